//! Timeline of a peer: timestamped events for the view, and the share of time that a state was active.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::wire::message::PieceIndex;

/// Maximum number of events kept per peer.
const LINES: usize = 100;

/// An event of a peer connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PeerEvent {
    /// Outgoing connection established.
    Dialled,
    /// Incoming connection accepted.
    AcceptedIncoming,
    /// The peer is a web seed, and its first request was scheduled.
    Asked,
    /// The extension handshake named the client.
    Named,
    ChokedUs,
    UnchokedUs,
    Choked,
    Unchoked,
    /// We became interested.
    AmInterested,
    /// We are no longer interested.
    AmNotInterested,
    /// The peer became interested.
    PeerInterested,
    /// The peer is no longer interested.
    PeerNotInterested,
    /// The first block was received.
    FirstBlock,
    /// The first block was sent.
    FirstSent,
    /// Snubbed: requested blocks timed out.
    Snubbed,
    /// Snubbed: the peer rejected many requests in a row.
    Refuses,
    /// A block arrived from a snubbed peer.
    Delivers,
    /// A piece with blocks of this peer failed its hash check.
    Failed(PieceIndex),
    BecameSeed,
    /// The piece was offered to this peer while super-seeding (BEP 16).
    Offered(PieceIndex),
    /// Super-seeding ended: all pieces were announced to the peer.
    SuperSeedEnded,
}

/// An event and when it happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimelineEntry {
    /// Time since the first event of the connection.
    pub at: Duration,
    pub event: PeerEvent,
}

/// The events of one peer, oldest first.
///
/// Beyond [`LINES`] the oldest is dropped, except for the very first.
#[derive(Debug)]
pub(crate) struct Timeline {
    began: Instant,
    first: PeerEvent,
    lines: VecDeque<(Instant, PeerEvent)>,
}

impl Timeline {
    /// Creates a timeline that starts with this event.
    #[must_use]
    pub(crate) const fn new(now: Instant, first: PeerEvent) -> Self {
        Timeline { began: now, first, lines: VecDeque::new() }
    }

    /// Appends an event.
    pub(crate) fn add(&mut self, now: Instant, what: PeerEvent) {
        if self.lines.len() == LINES - 1 {
            self.lines.pop_front();
        }
        self.lines.push_back((now, what));
    }

    /// Returns the events with the time since the first one.
    #[must_use]
    pub(crate) fn entries(&self) -> Vec<TimelineEntry> {
        let all = std::iter::once((self.began, self.first)).chain(self.lines.iter().copied());
        all.map(|(at, event)| TimelineEntry { at: at.saturating_duration_since(self.began), event }).collect()
    }
}

/// The share of time during which a state was active.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeShare {
    since: Instant,
    on: Option<Instant>,
    total: Duration,
}

impl TimeShare {
    /// Starts the measurement with the current state.
    #[must_use]
    pub(crate) fn new(now: Instant, on: bool) -> Self {
        TimeShare { since: now, on: on.then_some(now), total: Duration::ZERO }
    }

    /// Records a change of the state; ignored if the state is the same.
    pub(crate) fn set(&mut self, now: Instant, on: bool) {
        match (self.on, on) {
            (None, true) => self.on = Some(now),
            (Some(from), false) => {
                self.total += now.saturating_duration_since(from);
                self.on = None;
            }
            _ => {}
        }
    }

    /// Returns the active share since the start, 0 to 1; 0 or 1 by the current state if no time has passed.
    #[must_use]
    pub(crate) fn of(&self, now: Instant) -> f32 {
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
        let mut history = Timeline::new(t0, PeerEvent::AcceptedIncoming);
        for n in 0..250 {
            history.add(t0 + SECOND * n, PeerEvent::Failed(PieceIndex(n)));
        }
        let lines = history.entries();
        assert_eq!(lines.len(), LINES);
        assert_eq!(lines[0], TimelineEntry { at: Duration::ZERO, event: PeerEvent::AcceptedIncoming });
        assert_eq!(lines[1].at, SECOND * 151);
        assert_eq!(lines[99], TimelineEntry { at: SECOND * 249, event: PeerEvent::Failed(PieceIndex(249)) });
    }

    #[test]
    fn a_share_counts_what_is_past_and_what_goes_on() {
        let t0 = Instant::now();
        let mut share = TimeShare::new(t0, true);
        assert_eq!(share.of(t0), 1.0);
        share.set(t0 + SECOND, false);
        share.set(t0 + SECOND, false);
        assert_eq!(share.of(t0 + SECOND * 4), 0.25);
        share.set(t0 + SECOND * 4, true);
        assert_eq!(share.of(t0 + SECOND * 8), 0.625);
    }
}
