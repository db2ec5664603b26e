//! Addresses that wait to be dialled, and how many may be under way.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use super::birth::Dialled;
use super::inbox::Inbox;
use super::utp::Utp;
use crate::limits;
use crate::swarm::event::{Gone, Input, Manner};
use crate::wire::message::InfoHash;

/// A dial that has waited for this long lets another one begin beside it: most hosts that answer at all have answered.
pub(super) const YOUNG: Duration = Duration::from_millis(500);
/// Dials younger than that.
const YOUNG_MOST: usize = 32;
/// Where all places are taken and others wait, a dial that nobody has answered for this long gives way: the system has
/// asked twice by then. At the pace at which dials begin, so many are under way after this time that they just fill the
/// places: whoever is heard of waits for no wave of others to break.
pub(super) const GIVES_WAY: Duration = Duration::from_secs(2);
const _: () =
    assert!(YOUNG_MOST as u128 * (GIVES_WAY.as_millis() / YOUNG.as_millis()) <= limits::HALF_OPEN_OUT as u128);

/// An address to connect to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Call {
    /// The address.
    pub addr: SocketAddr,
    /// How it is to be spoken to.
    pub manner: Manner,
    /// uTP was tried, and came to nothing.
    pub utp_failed: bool,
}

impl Call {
    /// A call that nothing has been tried for yet.
    #[must_use]
    pub const fn new(addr: SocketAddr, manner: Manner) -> Call {
        Call { addr, manner, utp_failed: false }
    }
}

/// The addresses that wait. Torrents take turns, so that one with many dead addresses does not hold off the others.
#[derive(Default)]
pub(super) struct Waiting {
    queues: BTreeMap<InfoHash, (Inbox, VecDeque<Call>)>,
    last: Option<InfoHash>,
}

impl Waiting {
    pub(super) fn add(&mut self, torrent: InfoHash, inbox: Inbox, calls: Vec<Call>) {
        // A torrent that was stopped and started has another inbox; what it asked for before is of no use to it.
        let (known, queue) = self.queues.entry(torrent).or_insert_with(|| (inbox.clone(), VecDeque::new()));
        if !known.same(&inbox) {
            (*known, *queue) = (inbox, VecDeque::new());
        }
        queue.extend(calls);
    }

    /// Tells a torrent that the addresses that wait for it are not dialled.
    pub(super) fn forget(&mut self, torrent: InfoHash) {
        let Some((inbox, queue)) = self.queues.remove(&torrent) else { return };
        queue.iter().for_each(|call| inbox.tell(Input::DialFailed { addr: call.addr, why: Gone::Private }));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// The next address, of the torrent whose turn it is.
    pub(super) fn next(&mut self) -> Option<(InfoHash, Inbox, Call)> {
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

/// How many dials may begin beside those under way, by the ages of these.
pub(super) fn room(ages: impl Iterator<Item = Duration>) -> usize {
    let (mut all, mut young) = (0, 0);
    for age in ages {
        all += 1;
        young += usize::from(age < YOUNG);
    }
    let room = |taken: usize, most: usize| most.saturating_sub(taken);
    room(all, limits::HALF_OPEN_OUT).min(room(young, YOUNG_MOST))
}

/// Somebody who is called by uTP.
pub(super) struct Second {
    pub(super) torrent: (InfoHash, Inbox),
    pub(super) addr: SocketAddr,
    pub(super) dialled: Dialled,
    /// What became of it by TCP, if that was tried.
    pub(super) before: Option<Gone>,
}

/// Those who are called by uTP, since TCP does not reach them. They have places of their own: a call by uTP is silent
/// for long where nobody is, and would hold off those that TCP reaches.
#[derive(Default)]
pub(super) struct ByUtp {
    utp: Option<Utp>,
    under_way: BTreeMap<u64, Second>,
    last: u64,
}

impl ByUtp {
    /// From now on it can be done.
    pub(super) fn speak(&mut self, utp: Utp) {
        self.utp = Some(utp);
    }

    /// Whether one more can be called.
    pub(super) fn has_room(&self) -> bool {
        self.utp.is_some() && self.under_way.len() < limits::UTP_CALLS
    }

    /// Calls; the greeter hears what came of it.
    pub(super) fn call(&mut self, second: Second) {
        if let Some(utp) = &self.utp {
            self.last += 1;
            utp.call(self.last, second.addr);
            self.under_way.insert(self.last, second);
        }
    }

    /// It has come to an end.
    pub(super) fn answered(&mut self, ticket: u64) -> Option<Second> {
        self.under_way.remove(&ticket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::inbox::{Post, inbox};

    fn call(n: u16) -> Call {
        Call::new(SocketAddr::from(([127, 0, 0, 1], n)), Manner::default())
    }

    #[test]
    fn torrents_take_turns() {
        let mut waiting = Waiting::default();
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
        let mut waiting = Waiting::default();
        let ((old, _old_mail), (new, _new_mail)) = (inbox(), inbox());
        let hash = InfoHash([1; 20]);
        waiting.add(hash, old, vec![call(1)]);
        waiting.add(hash, new, vec![call(2)]);
        assert_eq!(waiting.next().map(|(_, _, call)| call), Some(call(2)));
        assert!(waiting.next().is_none());
    }

    #[test]
    fn what_waits_for_a_torrent_that_is_private_is_answered_and_not_dialled() {
        let mut waiting = Waiting::default();
        let ((private, mail), (public, _public_mail)) = (inbox(), inbox());
        waiting.add(InfoHash([1; 20]), private, (1..4).map(call).collect());
        waiting.add(InfoHash([2; 20]), public, vec![call(9)]);
        waiting.forget(InfoHash([1; 20]));
        waiting.forget(InfoHash([3; 20]));
        for port in 1..4 {
            let Ok(Some(Post::Input(Input::DialFailed { addr, why }))) = mail.waiting() else { panic!("no answer") };
            assert_eq!((addr.port(), why), (port, Gone::Private));
        }
        assert_eq!(waiting.next().map(|(_, _, call)| call), Some(call(9)));
        assert!(waiting.is_empty());
    }

    #[test]
    fn silent_dials_let_others_begin_but_never_more_than_the_limit() {
        let ages = |n: usize, ms| std::iter::repeat_n(Duration::from_millis(ms), n);
        assert_eq!(room(ages(0, 0)), YOUNG_MOST);
        assert_eq!(room(ages(30, 10)), YOUNG_MOST - 30);
        assert_eq!(room(ages(40, 10)), 0);
        assert_eq!(room(ages(40, 600)), YOUNG_MOST);
        assert_eq!(room(ages(limits::HALF_OPEN_OUT - 3, 600)), 3);
        assert_eq!(room(ages(limits::HALF_OPEN_OUT, 600)), 0);
    }
}
