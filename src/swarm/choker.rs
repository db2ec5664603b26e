//! The choking algorithm (BEP 3) as a pure function.
//!
//! A leecher unchokes the peers with the highest download rate (tit for tat), a seed those with the highest upload
//! rate. One slot in five is an optimistic unchoke that rotates among the remaining interested peers.

use std::time::Duration;

/// Interval between two choking rounds.
pub(crate) const ROUND: Duration = Duration::from_secs(10);
/// Number of rounds between rotations of the optimistic unchoke.
const OPTIMISTIC_ROUNDS: u64 = 3;

/// Input of the choker for one peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChokeCandidate<K> {
    pub key: K,
    /// The peer is interested in our pieces.
    pub interested: bool,
    /// We do not choke the peer at present.
    pub unchoked: bool,
    /// The peer has not sent requested blocks for a while (snubbed): its download rate counts as 0.
    pub snubbed: bool,
    /// Download rate from the peer, in bytes per second.
    pub down: u64,
    /// Upload rate to the peer, in bytes per second.
    pub up: u64,
    /// Time since the peer was choked; the longest wait gets the next optimistic unchoke.
    pub waiting: Duration,
}

/// The peers to unchoke; all others are to be choked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ChokeDecision<K> {
    /// Regular unchokes: by rate, or all interested peers if there are enough slots.
    pub regular: Vec<K>,
    /// Optimistic unchokes.
    pub optimistic: Vec<K>,
}

/// Chooses the peers to unchoke for `slots` upload slots, one in five of them optimistic.
///
/// `round` is the round number: the optimistic unchokes rotate on every third round.
pub(crate) fn choose<K: Copy + PartialEq>(
    contenders: &[ChokeCandidate<K>],
    slots: usize,
    seeding: bool,
    round: u64,
) -> ChokeDecision<K> {
    let mut interested: Vec<&ChokeCandidate<K>> = contenders.iter().filter(|c| c.interested).collect();
    if interested.len() <= slots {
        return ChokeDecision { regular: interested.iter().map(|c| c.key).collect(), optimistic: Vec::new() };
    }
    let worth = |c: &ChokeCandidate<K>| {
        if seeding {
            c.up
        } else if c.snubbed {
            0
        } else {
            c.down
        }
    };
    interested.sort_by_key(|c| std::cmp::Reverse((worth(c), c.unchoked)));
    let optimistic = (slots / 5).max(1).min(slots);
    let worthy = interested.iter().take(slots - optimistic).map(|c| c.key).collect();
    let mut rest: Vec<&&ChokeCandidate<K>> = interested.iter().skip(slots - optimistic).collect();
    // An optimistic unchoke is kept until the rotation; then the peer with the longest wait is next.
    let turn = round.is_multiple_of(OPTIMISTIC_ROUNDS);
    rest.sort_by_key(|c| (if turn { c.unchoked } else { !c.unchoked }, std::cmp::Reverse(c.waiting)));
    ChokeDecision { regular: worthy, optimistic: rest.iter().take(optimistic).map(|c| c.key).collect() }
}

/// Returns the number of upload slots: enough to fill the link, few enough to keep each slot fast.
///
/// With an upload `limit`, one slot per 20 KiB/s of it, between 4 and 50. Without one, if all `now` slots are `used`,
/// more above 50,000 bytes/s per slot and fewer below 5,000. `up` is the total upload rate in bytes per second.
#[must_use]
pub(crate) fn slots(now: usize, limit: Option<u64>, used: usize, up: u64) -> usize {
    const LEAST: usize = 8;
    const MOST: usize = 500;
    if let Some(limit) = limit {
        return usize::try_from(limit / 20_480).unwrap_or(MOST).clamp(4, 50);
    }
    if used < now {
        return now;
    }
    match up / used.max(1) as u64 {
        each if each > 50_000 => (now + now / 2).min(MOST),
        each if each < 5_000 => (now - now / 8).max(LEAST),
        _ => now,
    }
}

/// Initial number of upload slots: enough for a new swarm on a fast link.
pub(crate) const FIRST_SLOTS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(key: u32, down: u64, up: u64) -> ChokeCandidate<u32> {
        ChokeCandidate { key, interested: true, unchoked: false, snubbed: false, down, up, waiting: Duration::ZERO }
    }

    #[test]
    fn leecher_ranks_by_download_rate_and_seed_by_upload_rate() {
        let peers: Vec<_> = (0..20).map(|n| peer(n, u64::from(n), u64::from(100 - n))).collect();
        let chosen = choose(&peers, 5, false, 1);
        assert_eq!((chosen.regular, chosen.optimistic.len()), (vec![19, 18, 17, 16], 1));
        assert_eq!(choose(&peers, 5, true, 1).regular, [0, 1, 2, 3]);
    }

    #[test]
    fn nobody_waits_while_there_are_slots_and_the_uninterested_get_none() {
        let mut peers: Vec<_> = (0..4).map(|n| peer(n, 0, 0)).collect();
        peers[2].interested = false;
        assert_eq!(choose(&peers, 8, false, 0), ChokeDecision { regular: vec![0, 1, 3], optimistic: vec![] });
    }

    #[test]
    fn the_optimistic_slot_goes_to_whoever_waited_longest() {
        let mut peers: Vec<_> = (0..6).map(|n| peer(n, if n < 2 { 9 } else { 0 }, 0)).collect();
        peers[5].waiting = Duration::from_secs(60);
        peers[3].unchoked = true;
        assert_eq!(choose(&peers, 3, false, 3), ChokeDecision { regular: vec![0, 1], optimistic: vec![5] });
        assert_eq!(choose(&peers, 3, false, 4), ChokeDecision { regular: vec![0, 1], optimistic: vec![3] });
    }

    #[test]
    fn slots_follow_the_link() {
        assert_eq!(slots(32, Some(102_400), 0, 0), 5);
        assert_eq!(slots(32, None, 32, 32 * 60_000), 48);
        assert_eq!(slots(32, None, 32, 32 * 1_000), 28);
        assert_eq!(slots(32, None, 3, 0), 32);
    }
}
