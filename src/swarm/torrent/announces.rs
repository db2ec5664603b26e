//! What trackers are told and what they tell.

use std::time::Instant;

use super::{AnnounceReply, Effect, Torrent};
use crate::limits;
use crate::swarm::trackers::Counters;
use crate::swarm::view::{Source, TrackerRow};
use crate::wire::metainfo::urls;
use crate::wire::tracker::{AnnounceError, public_url};

impl Torrent {
    /// Its trackers as they would stand in a `.torrent`, by tier, with those that the user added and without those he
    /// took away. They may hold secrets: not for a screen.
    #[must_use]
    pub fn trackers(&self) -> Vec<Vec<String>> {
        self.trackers.urls()
    }

    /// Its trackers as the screen shows them, and behind them those that are not asked at all.
    pub(super) fn tracker_rows(&self, now: Instant) -> Vec<TrackerRow> {
        let mut rows = self.trackers.rows(now);
        let tier = rows.last().map_or(0, |row| row.tier + 1);
        let refused = self.config.meta.refused_trackers.iter();
        rows.extend(refused.map(|(url, why)| TrackerRow::refused(tier, url.clone(), why)));
        rows
    }

    fn counters(&self, now: Instant) -> Counters {
        let room = self.config.max_peers.saturating_sub(self.peers.len());
        let known = self.candidates.len();
        let alone = self.peers.values().all(|peer| peer.web.is_some());
        Counters {
            uploaded: self.up.total(),
            downloaded: self.down.total(),
            // Before the metadata are here nobody knows how much there is; nothing would mean that all of it is here.
            left: if self.is_described() { self.picker.amounts().left() } else { u64::from(limits::BLOCK) },
            partial_seed: self.complete,
            num_want: if known > limits::KNOWN_PEERS / 2 { 0 } else { room.min(limits::PEERS_PER_REPLY) as u32 },
            alone,
            hopeless: alone && !self.candidates.hopeful(now),
        }
    }

    pub(super) fn poll_trackers(&mut self, now: Instant, out: &mut Vec<Effect>) {
        if self.trackers.deadline().is_none_or(|at| now < at) {
            return;
        }
        let mut asks = Vec::new();
        let counters = self.counters(now);
        self.trackers.poll(now, &counters, &mut asks);
        out.extend(asks.into_iter().map(|(tracker, ask)| Effect::Announce { tracker, ask }));
    }

    pub(super) fn announced(
        &mut self,
        now: Instant,
        tracker: usize,
        result: Result<AnnounceReply, AnnounceError>,
        out: &mut Vec<Effect>,
    ) {
        if result.is_ok() && self.peers.is_empty() && self.trackers.is_failing(tracker) {
            self.candidates.answered(now);
        }
        self.trackers.announced(now, tracker, result.as_ref());
        if !self.trackers.lists(tracker) {
            // The user took it away while it was being asked: nothing of it is heeded.
            return;
        }
        match result {
            Ok(reply) => {
                let url = self.trackers.url(tracker).to_owned();
                let told = match reply.peers.len() + reply.named_peers.len() {
                    1 => "one address".to_owned(),
                    n => format!("{n} addresses"),
                };
                self.write_log(now, format!("{url} gave {told}"));
                if let Some(ip) = reply.external {
                    self.seen_at(ip);
                }
                self.found(now, Source::Tracker, &reply.peers);
                self.look_up(now, Source::Tracker, &reply.named_peers, out);
                if let Some(warning) = reply.warning {
                    self.note(now, format!("{url} warns: {warning}"), out);
                }
            }
            Err(AnnounceError { why, forbidden, .. }) => {
                let text = format!("{} did not help: {why}", self.trackers.url(tracker));
                match forbidden {
                    true => self.note(now, text, out),
                    false => self.write_log(now, text),
                }
            }
        }
    }

    /// The user's wish for one more tracker, judged as those of a `.torrent` are.
    pub(super) fn add_tracker(&mut self, now: Instant, url: &str, out: &mut Vec<Effect>) {
        let shown = public_url(url.trim());
        let added = match urls::tracker(url.trim().as_bytes()) {
            Ok(url) => self.trackers.add(now, &url).map_err(str::to_owned),
            Err(why) => Err(why.to_string()),
        };
        match added {
            Ok(()) => self.note(now, format!("added the tracker {shown}"), out),
            Err(why) => self.note(now, format!("the tracker {shown} is not added: {why}"), out),
        }
    }

    /// The user's wish for one tracker less.
    pub(super) fn remove_tracker(&mut self, now: Instant, index: usize, out: &mut Vec<Effect>) {
        let shown = self.trackers.url(index).to_owned();
        if self.trackers.remove(now, index) {
            self.note(now, format!("removed the tracker {shown}"), out);
        }
    }
}
