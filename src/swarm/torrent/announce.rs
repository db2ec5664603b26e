//! Tracker announces of a torrent: transfer counters, announce results, and adding and removing trackers.

use std::time::Instant;

use super::{AnnounceResponse, Effect, Phase, Torrent};
use crate::limits;
use crate::swarm::trackers::TransferCounters;
use crate::swarm::view::{Source, TrackerRow};
use crate::wire::metainfo::urls;
use crate::wire::tracker::{AnnounceError, public_url};

impl Torrent {
    /// Returns the tracker URLs by tier, including trackers added by the user and without removed ones.
    ///
    /// The URLs may hold passkeys: not for display.
    #[must_use]
    pub fn trackers(&self) -> Vec<Vec<String>> {
        self.trackers.urls()
    }

    /// Returns the tracker rows of the view, followed by the trackers that were refused as unusable.
    pub(super) fn tracker_rows(&self, now: Instant) -> Vec<TrackerRow> {
        let mut rows = self.trackers.rows(now);
        let tier = rows.last().map_or(0, |row| row.tier + 1);
        let refused = self.config.meta.refused_trackers.iter();
        rows.extend(refused.map(|it| TrackerRow::refused(tier, it.url.clone(), it.why)));
        rows
    }

    fn counters(&self, now: Instant) -> TransferCounters {
        let room = self.config.max_peers.saturating_sub(self.peers.len());
        let known = self.peer_list.len();
        let alone = self.peers.values().all(|peer| peer.web.is_some());
        TransferCounters {
            uploaded: self.up.total(),
            downloaded: self.down.total(),
            // Without metadata the size is unknown; `left` of 0 would announce us as a seed.
            left: if self.has_metadata() { self.picker.amounts().left() } else { u64::from(limits::BLOCK) },
            partial_seed: self.complete,
            num_want: if known > limits::KNOWN_PEERS / 2 { 0 } else { room.min(limits::PEERS_PER_REPLY) as u32 },
            alone,
            hopeless: alone && !self.peer_list.has_candidate(now),
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

    pub(super) fn on_announce_done(
        &mut self,
        now: Instant,
        tracker: usize,
        result: Result<AnnounceResponse, AnnounceError>,
        out: &mut Vec<Effect>,
    ) {
        if result.is_ok() && self.peers.is_empty() && self.trackers.is_failing(tracker) {
            self.peer_list.answered(now);
        }
        self.trackers.announced(now, tracker, result.as_ref());
        if !self.trackers.is_listed(tracker) {
            // The user removed this tracker while the announce was in flight: ignore the response.
            return;
        }
        match result {
            Ok(reply) => {
                let url = self.trackers.url(tracker).to_owned();
                let told = match reply.peers.len() + reply.named_peers.len() {
                    1 => "1 peer".to_owned(),
                    n => format!("{n} peers"),
                };
                self.write_log(now, format!("{url} returned {told}"));
                if let Some(ip) = reply.external {
                    self.seen_at(ip);
                }
                self.on_peers_found(now, Source::Tracker, &reply.peers);
                self.resolve_hosts(now, Source::Tracker, &reply.named_peers, out);
                if let Some(warning) = reply.warning {
                    self.notify(now, format!("{url} warns: {warning}"), out);
                }
            }
            Err(AnnounceError { why, forbidden, .. }) => {
                let text = format!("{} did not help: {why}", self.trackers.url(tracker));
                // The user should hear of a source that fails if there is no other.
                let runs = !matches!(self.phase, Phase::Stopping { .. } | Phase::Stopped);
                let alone = self.peers.is_empty() && self.trackers.have_all_failed() && runs;
                match forbidden || alone {
                    true => self.notify(now, text, out),
                    false => self.write_log(now, text),
                }
            }
        }
    }

    /// Adds a tracker at the user's request, after the same validation as for the URLs of a `.torrent`.
    pub(super) fn add_tracker(&mut self, now: Instant, url: &str, out: &mut Vec<Effect>) {
        let shown = public_url(url.trim());
        let added = match urls::tracker(url.trim().as_bytes()) {
            Ok(url) => self.trackers.add(now, &url).map_err(str::to_owned),
            Err(why) => Err(why.to_string()),
        };
        match added {
            Ok(()) => self.notify(now, format!("added the tracker {shown}"), out),
            Err(why) => self.notify(now, format!("the tracker {shown} is not added: {why}"), out),
        }
    }

    /// Removes a tracker at the user's request.
    pub(super) fn remove_tracker(&mut self, now: Instant, index: usize, out: &mut Vec<Effect>) {
        let shown = self.trackers.url(index).to_owned();
        if self.trackers.remove(now, index) {
            self.notify(now, format!("removed the tracker {shown}"), out);
        }
    }
}
