//! The queue of addresses to dial, and the limits of TCP and uTP dials in progress.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use super::handshake::DialState;
use super::inbox::TorrentHandle;
use super::utp::Utp;
use crate::limits;
use crate::swarm::event::{DialHint, DisconnectReason, Input};
use crate::wire::message::InfoHash;

/// A dial pending for longer than this no longer counts towards [`YOUNG_MOST`]. Most responsive hosts have answered
/// by then.
pub(super) const YOUNG: Duration = Duration::from_millis(500);
/// The maximum number of dials younger than [`YOUNG`].
const YOUNG_MOST: usize = 32;
/// An unanswered dial is canceled after this time if all slots are taken and addresses are queued. The system has
/// sent two SYNs by then. At the maximum rate, the dials started within this time just fill the slots, so that a
/// queued address does not wait for the timeout of a batch of dead ones.
pub(super) const GIVES_WAY: Duration = Duration::from_secs(2);
const _: () =
    assert!(YOUNG_MOST as u128 * (GIVES_WAY.as_millis() / YOUNG.as_millis()) <= limits::HALF_OPEN_OUT as u128);

/// An address to dial.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct DialRequest {
    pub addr: SocketAddr,
    /// What is known about the peer: uTP and encryption.
    pub hint: DialHint,
    /// A uTP dial to this address has failed.
    pub utp_failed: bool,
}

impl DialRequest {
    /// Creates the first dial to an address.
    #[must_use]
    pub(crate) const fn new(addr: SocketAddr, manner: DialHint) -> DialRequest {
        DialRequest { addr, hint: manner, utp_failed: false }
    }
}

/// Queued dials, served round-robin by torrent. A torrent with many dead addresses does not delay the others.
#[derive(Default)]
pub(super) struct DialQueue {
    queues: BTreeMap<InfoHash, (TorrentHandle, VecDeque<DialRequest>)>,
    last: Option<InfoHash>,
}

impl DialQueue {
    pub(super) fn add(&mut self, torrent: InfoHash, inbox: TorrentHandle, calls: Vec<DialRequest>) {
        // A restarted torrent has a new handle; dials of the old one are discarded.
        let (known, queue) = self.queues.entry(torrent).or_insert_with(|| (inbox.clone(), VecDeque::new()));
        if !known.same(&inbox) {
            (*known, *queue) = (inbox, VecDeque::new());
        }
        queue.extend(calls);
    }

    /// Removes the queued dials of a private torrent and reports each as failed.
    pub(super) fn forget(&mut self, torrent: InfoHash) {
        let Some((inbox, queue)) = self.queues.remove(&torrent) else { return };
        queue.iter().for_each(|call| inbox.send(Input::DialFailed { addr: call.addr, why: DisconnectReason::Private }));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// Takes the next dial, round-robin by torrent.
    pub(super) fn next(&mut self) -> Option<(InfoHash, TorrentHandle, DialRequest)> {
        let later = |last: &InfoHash| {
            self.queues.range((std::ops::Bound::Excluded(last), std::ops::Bound::Unbounded)).next().map(|(t, _)| *t)
        };
        let torrent = self.last.as_ref().and_then(later).or_else(|| self.queues.keys().next().copied())?;
        self.last = Some(torrent);
        let (inbox, queue) = self.queues.get_mut(&torrent)?;
        let (inbox, call) = (inbox.clone(), queue.pop_front());
        if queue.is_empty() {
            self.queues.remove(&torrent);
        }
        call.map(|call| (torrent, inbox, call))
    }
}

/// Returns how many dials may be started, given the ages of the dials in progress.
pub(super) fn free_dial_slots(ages: impl Iterator<Item = Duration>) -> usize {
    let (mut all, mut young) = (0, 0);
    for age in ages {
        all += 1;
        young += usize::from(age < YOUNG);
    }
    let room = |taken: usize, most: usize| most.saturating_sub(taken);
    room(all, limits::HALF_OPEN_OUT).min(room(young, YOUNG_MOST))
}

/// A uTP dial in progress.
pub(super) struct UtpDial {
    pub(super) torrent: (InfoHash, TorrentHandle),
    pub(super) addr: SocketAddr,
    pub(super) dialled: DialState,
    /// The error of the preceding TCP dial, if there was one.
    pub(super) before: Option<DisconnectReason>,
}

/// uTP dials in progress. Limited separately from TCP dials, because an unanswered uTP SYN has no early failure and
/// would occupy slots that reachable TCP peers need.
#[derive(Default)]
pub(super) struct UtpDials {
    utp: Option<Utp>,
    under_way: BTreeMap<u64, UtpDial>,
    last: u64,
}

impl UtpDials {
    /// Enables uTP.
    pub(super) fn set_utp(&mut self, utp: Utp) {
        self.utp = Some(utp);
    }

    /// Returns whether uTP is enabled and a dial slot is free.
    pub(super) fn has_free_slot(&self) -> bool {
        self.utp.is_some() && self.under_way.len() < limits::UTP_CALLS
    }

    /// Starts a uTP dial; the connector receives the result.
    pub(super) fn call(&mut self, second: UtpDial) {
        if let Some(utp) = &self.utp {
            self.last += 1;
            utp.call(self.last, second.addr);
            self.under_way.insert(self.last, second);
        }
    }

    /// Removes and returns a finished dial.
    pub(super) fn remove(&mut self, ticket: u64) -> Option<UtpDial> {
        self.under_way.remove(&ticket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::inbox::{TorrentMessage, inbox};

    fn call(n: u16) -> DialRequest {
        DialRequest::new(SocketAddr::from(([127, 0, 0, 1], n)), DialHint::default())
    }

    #[test]
    fn torrents_take_turns() {
        let mut waiting = DialQueue::default();
        let (inbox, _mail) = inbox();
        let hash = |n| InfoHash([n; 20]);
        waiting.add(hash(1), inbox.clone(), (10..13).map(call).collect());
        waiting.add(hash(2), inbox.clone(), (20..22).map(call).collect());
        waiting.add(hash(3), inbox, vec![call(30)]);
        let order: Vec<u16> = std::iter::from_fn(|| waiting.next()).map(|(_, _, call)| call.addr.port()).collect();
        assert_eq!(order, [10, 20, 30, 11, 21, 12]);
        assert!(waiting.is_empty());
    }

    #[test]
    fn what_a_torrent_asked_for_before_it_was_stopped_is_forgotten() {
        let mut waiting = DialQueue::default();
        let ((old, _old_mail), (new, _new_mail)) = (inbox(), inbox());
        let hash = InfoHash([1; 20]);
        waiting.add(hash, old, vec![call(1)]);
        waiting.add(hash, new, vec![call(2)]);
        assert_eq!(waiting.next().map(|(_, _, call)| call), Some(call(2)));
        assert!(waiting.next().is_none());
    }

    #[test]
    fn what_waits_for_a_torrent_that_is_private_is_answered_and_not_dialled() {
        let mut waiting = DialQueue::default();
        let ((private, mail), (public, _public_mail)) = (inbox(), inbox());
        waiting.add(InfoHash([1; 20]), private, (1..4).map(call).collect());
        waiting.add(InfoHash([2; 20]), public, vec![call(9)]);
        waiting.forget(InfoHash([1; 20]));
        waiting.forget(InfoHash([3; 20]));
        for port in 1..4 {
            let Ok(Some(TorrentMessage::Input(Input::DialFailed { addr, why }))) = mail.try_recv() else {
                panic!("no answer")
            };
            assert_eq!((addr.port(), why), (port, DisconnectReason::Private));
        }
        assert_eq!(waiting.next().map(|(_, _, call)| call), Some(call(9)));
        assert!(waiting.is_empty());
    }

    #[test]
    fn silent_dials_let_others_begin_but_never_more_than_the_limit() {
        let ages = |n: usize, ms| std::iter::repeat_n(Duration::from_millis(ms), n);
        assert_eq!(free_dial_slots(ages(0, 0)), YOUNG_MOST);
        assert_eq!(free_dial_slots(ages(30, 10)), YOUNG_MOST - 30);
        assert_eq!(free_dial_slots(ages(40, 10)), 0);
        assert_eq!(free_dial_slots(ages(40, 600)), YOUNG_MOST);
        assert_eq!(free_dial_slots(ages(limits::HALF_OPEN_OUT - 3, 600)), 3);
        assert_eq!(free_dial_slots(ages(limits::HALF_OPEN_OUT, 600)), 0);
    }
}
