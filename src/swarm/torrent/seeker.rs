//! The DHT as one torrent uses it: when it asks for peers there and is told of, and what came of that (BEP 5).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Effect, PeerKey, Torrent};
use crate::swarm::dht::{NoNodes, Sought};
use crate::swarm::view::{Source, SourceRow};

/// The time between two searches: nodes forget who does not tell of itself again.
const EVERY: Duration = Duration::from_secs(15 * 60);
/// The same while nobody is connected: short at first, since whoever has the torrent may just be coming up, then twice as
/// long each time.
const LONELY: Duration = Duration::from_secs(20);
/// No longer than this.
const LONELY_MOST: Duration = Duration::from_secs(3 * 60);
/// The same while there is no node to ask.
const NO_NODES: Duration = Duration::from_secs(30);
/// The shortest time between two searches, whatever the user wishes.
const LEAST: Duration = Duration::from_secs(60);

/// When a torrent asks the DHT.
#[derive(Debug, Default)]
pub(super) struct Seeker {
    next: Option<Instant>,
    asked: Option<Instant>,
    /// Searches in a row at the end of which nobody was connected.
    lonely: u32,
    /// What came of the last search, and when that was known.
    last: Option<(Instant, Result<Sought, NoNodes>)>,
}

impl Torrent {
    /// Whether the DHT may know of it (BEP 27).
    pub(super) const fn uses_dht(&self) -> bool {
        self.config.dht.is_some() && !self.config.private
    }

    /// The DHT is asked from now on, unless it is already.
    pub(super) fn start_seeking(&mut self, now: Instant) {
        if !self.uses_dht() {
            self.seeker.next = None;
        } else if self.seeker.next.is_none() && self.seeker.asked.is_none() {
            self.seeker.next = Some(now);
        }
    }

    /// It is not asked any more.
    pub(super) const fn stop_seeking(&mut self) {
        (self.seeker.next, self.seeker.asked) = (None, None);
    }

    /// The user wishes it now.
    pub(super) fn seek_now(&mut self, now: Instant) {
        let at = self.seeker.asked.map_or(now, |asked| now.max(asked + LEAST));
        self.seeker.lonely = 0;
        self.seeker.next = self.seeker.next.map(|next| next.min(at));
    }

    /// When it is asked next.
    pub(super) const fn seek_at(&self) -> Option<Instant> {
        self.seeker.next
    }

    /// Asks when it is time.
    pub(super) fn poll_dht(&mut self, now: Instant, out: &mut Vec<Effect>) {
        if self.seeker.next.is_none_or(|at| now < at) {
            return;
        }
        // Whom the last search named may have answered since.
        if self.seeker.lonely > 0 && !self.peers.is_empty() {
            self.seeker.lonely = 0;
            self.seeker.next = self.seeker.asked.map(|asked| asked + EVERY);
            return;
        }
        // The answer sets the time; this one is for the case that there is none.
        (self.seeker.next, self.seeker.asked) = (Some(now + EVERY), Some(now));
        if self.uses_dht() {
            let port = self.port();
            out.push(Effect::Seek { announce: (port != 0).then_some(port) });
        }
    }

    /// A search is over.
    pub(super) fn sought(&mut self, now: Instant, result: Result<Sought, NoNodes>) {
        if self.seeker.next.is_none() {
            return;
        }
        if self.seeker.last.is_none_or(|(_, last)| last.is_ok() != result.is_ok()) {
            let text = match result {
                Ok(sum) => format!("the DHT: {}", asked(sum)),
                Err(NoNodes) => "the DHT: no nodes".to_owned(),
            };
            self.write_log(now, text);
        }
        self.seeker.last = Some((now, result));
        let wait = match result {
            Err(NoNodes) => NO_NODES,
            Ok(_) if self.peers.is_empty() => {
                self.seeker.lonely += 1;
                LONELY_MOST.min(LONELY * 2_u32.pow((self.seeker.lonely - 1).min(8)))
            }
            Ok(_) => EVERY,
        };
        self.seeker.next = Some(now + wait);
    }

    /// A peer tells where its DHT node is.
    pub(super) fn tells_node(&mut self, key: PeerKey, port: u16, out: &mut Vec<Effect>) {
        let uses = self.uses_dht();
        let Some(peer) = self.peers.get_mut(&key) else { return };
        // Once: it has one.
        if uses && port != 0 && !std::mem::replace(&mut peer.told_node, true) {
            out.push(Effect::Meet(SocketAddr::new(peer.ip(), port)));
        }
    }

    /// What is to be said of the DHT where there is nobody; nothing where it is not used.
    pub(super) const fn dht_words(&self) -> Option<&'static str> {
        match self.seeker.last {
            _ if !self.uses_dht() => None,
            Some((_, Err(NoNodes))) => Some("the DHT has no nodes to ask"),
            Some((_, Ok(_))) => Some("the DHT names nobody new"),
            None => Some("the DHT is being asked"),
        }
    }

    /// Tells of the DHT among the sources, also when it has brought nothing yet.
    pub(super) fn show_dht(&self, now: Instant, rows: &mut Vec<SourceRow>) {
        if !self.uses_dht() {
            return;
        }
        let row = SourceRow::among(rows, Source::Dht);
        row.last = self.seeker.last.map(|(at, _)| now.saturating_duration_since(at));
        row.next = self.seeker.next.map(|at| at.saturating_duration_since(now));
        row.status = match (self.seeker.next, self.seeker.last) {
            (None, _) => "not asked while it does not run".to_owned(),
            (_, None) => "being asked".to_owned(),
            (_, Some((_, Err(NoNodes)))) => "no nodes".to_owned(),
            (_, Some((_, Ok(sum)))) => format!("{}; {} told of us", asked(sum), sum.told),
        };
    }
}

/// How many nodes a search has asked, and what for.
fn asked(sum: Sought) -> String {
    let count = |n: u32, one: &str, several: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {several}") };
    format!("{} asked, {}", count(sum.nodes, "node", "nodes"), count(sum.peers, "address", "addresses"))
}
