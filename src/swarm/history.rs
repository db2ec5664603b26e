//! What happened between us and one peer: lines with their time, and shares of time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::wire::message::PieceIndex;

/// The most lines kept of one peer.
const LINES: usize = 100;

/// Something that happened between us and a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Happened {
    /// We called it.
    Called,
    /// It called us.
    Came,
    /// It is a web seed, and we began to ask it.
    Asked,
    /// It told its name in the extended handshake.
    Named,
    /// It chokes us.
    ChokesUs,
    /// It serves us.
    ServesUs,
    /// We choke it.
    Choked,
    /// We serve it.
    Served,
    /// It has something that we want.
    WeWant,
    /// It has nothing more that we want.
    WeWantNothing,
    /// It wants something of ours.
    ItWants,
    /// It wants nothing more of ours.
    ItWantsNothing,
    /// Its first block came.
    FirstBlock,
    /// Our first block went to it.
    FirstSent,
    /// It let us wait too long.
    Snubbed,
    /// It refused block after block.
    Refuses,
    /// After a while in which it counted as snubbed a block has come.
    Delivers,
    /// A piece that it sent blocks of failed its hash.
    Failed(PieceIndex),
    /// It has everything now.
    Whole,
    /// This piece was offered to it alone (BEP 16).
    Offered(PieceIndex),
    /// It was told of all pieces after having been offered one at a time.
    Unmasked,
}

impl Happened {
    /// The sentence; `client` is what the peer calls itself.
    fn words(self, client: &str) -> String {
        match self {
            Happened::Called => "we called it, and it answered".into(),
            Happened::Came => "it called us".into(),
            Happened::Asked => "we began to ask it".into(),
            Happened::Named => format!("it says that it is {client}"),
            Happened::ChokesUs => "it chokes us".into(),
            Happened::ServesUs => "it serves us".into(),
            Happened::Choked => "we choke it".into(),
            Happened::Served => "we serve it".into(),
            Happened::WeWant => "it has something that we want".into(),
            Happened::WeWantNothing => "it has nothing more that we want".into(),
            Happened::ItWants => "it wants something of ours".into(),
            Happened::ItWantsNothing => "it wants nothing more of ours".into(),
            Happened::FirstBlock => "its first block came".into(),
            Happened::FirstSent => "our first block went to it".into(),
            Happened::Snubbed => "snubbed: it let us wait too long for a block".into(),
            Happened::Refuses => "snubbed: it refuses blocks that it says it has".into(),
            Happened::Delivers => "it delivers again".into(),
            Happened::Failed(piece) => format!("piece {piece}, with blocks of it, failed its hash"),
            Happened::Whole => "it has everything now".into(),
            Happened::Offered(piece) => format!("piece {piece} was offered to it"),
            Happened::Unmasked => "it was told of all pieces".into(),
        }
    }
}

/// The lines of one peer, the oldest first. Beyond [`LINES`] the oldest goes, but for the very first.
#[derive(Debug)]
pub struct History {
    began: Instant,
    first: Happened,
    lines: VecDeque<(Instant, Happened)>,
}

impl History {
    /// A history that begins now.
    #[must_use]
    pub const fn new(now: Instant, first: Happened) -> Self {
        History { began: now, first, lines: VecDeque::new() }
    }

    /// Writes a line down.
    pub fn add(&mut self, now: Instant, what: Happened) {
        if self.lines.len() == LINES - 1 {
            self.lines.pop_front();
        }
        self.lines.push_back((now, what));
    }

    /// The lines as sentences, each with the time since the first one.
    #[must_use]
    pub fn sentences(&self, client: &str) -> Vec<(Duration, String)> {
        let all = std::iter::once((self.began, self.first)).chain(self.lines.iter().copied());
        all.map(|(at, what)| (at.saturating_duration_since(self.began), what.words(client))).collect()
    }
}

/// How much of the time something was so.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    since: Instant,
    on: Option<Instant>,
    total: Duration,
}

impl Share {
    /// From now on it is so, or not.
    #[must_use]
    pub fn new(now: Instant, on: bool) -> Self {
        Share { since: now, on: on.then_some(now), total: Duration::ZERO }
    }

    /// It became so, or it ended.
    pub fn set(&mut self, now: Instant, on: bool) {
        match (self.on, on) {
            (None, true) => self.on = Some(now),
            (Some(from), false) => {
                self.total += now.saturating_duration_since(from);
                self.on = None;
            }
            _ => {}
        }
    }

    /// The share of the time since the beginning in which it was so, 0 to 1; before any time has passed, whether it
    /// is so.
    #[must_use]
    pub fn of(&self, now: Instant) -> f32 {
        let all = now.saturating_duration_since(self.since);
        if all.is_zero() {
            return f32::from(u8::from(self.on.is_some()));
        }
        let on = self.total + self.on.map_or(Duration::ZERO, |from| now.saturating_duration_since(from));
        (on.as_secs_f32() / all.as_secs_f32()).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn old_lines_go_but_the_first_one_stays() {
        let t0 = Instant::now();
        let mut history = History::new(t0, Happened::Came);
        for n in 0..250 {
            history.add(t0 + SECOND * n, Happened::Failed(PieceIndex(n)));
        }
        let lines = history.sentences("x");
        assert_eq!(lines.len(), LINES);
        assert_eq!(lines[0], (Duration::ZERO, "it called us".into()));
        assert_eq!(lines[1].0, SECOND * 151);
        assert_eq!(lines[99], (SECOND * 249, "piece 249, with blocks of it, failed its hash".into()));
    }

    #[test]
    fn a_share_counts_what_is_past_and_what_goes_on() {
        let t0 = Instant::now();
        let mut share = Share::new(t0, true);
        assert_eq!(share.of(t0), 1.0);
        share.set(t0 + SECOND, false);
        share.set(t0 + SECOND, false);
        assert_eq!(share.of(t0 + SECOND * 4), 0.25);
        share.set(t0 + SECOND * 4, true);
        assert_eq!(share.of(t0 + SECOND * 8), 0.625);
    }
}
