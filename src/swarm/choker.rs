//! Whom to serve: one function over a slice.
//!
//! While downloading, the peers that give most are served (tit for tat, BEP 3); while seeding, those that take
//! fastest. Some slots go round among the rest, so that newcomers can show what they are worth.

use std::time::Duration;

/// The time between two rounds.
pub const ROUND: Duration = Duration::from_secs(10);
/// Rounds for which an optimistic unchoke lasts.
const OPTIMISTIC_ROUNDS: u64 = 3;

/// What the choker needs to know of a peer.
#[derive(Clone, Copy, Debug)]
pub struct Contender<K> {
    /// The peer.
    pub key: K,
    /// It wants something of ours.
    pub interested: bool,
    /// It is unchoked now.
    pub unchoked: bool,
    /// It lets us wait: no tit for its tat.
    pub snubbed: bool,
    /// Bytes a second from it.
    pub down: u64,
    /// Bytes a second to it.
    pub up: u64,
    /// How long it has been choked and waiting; longest first among the optimistic.
    pub waiting: Duration,
}

/// Who is to be unchoked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chosen<K> {
    /// For what they are worth, or because there is room for all.
    pub worthy: Vec<K>,
    /// Because it is their turn (optimistic unchoke).
    pub in_turn: Vec<K>,
}

/// Picks who is to be unchoked, given `slots` of which one in five is optimistic. The rest is to be choked.
///
/// `round` counts the rounds: optimistic slots move on every third one.
pub fn choose<K: Copy + PartialEq>(contenders: &[Contender<K>], slots: usize, seeding: bool, round: u64) -> Chosen<K> {
    let mut interested: Vec<&Contender<K>> = contenders.iter().filter(|c| c.interested).collect();
    if interested.len() <= slots {
        return Chosen { worthy: interested.iter().map(|c| c.key).collect(), in_turn: Vec::new() };
    }
    let worth = |c: &Contender<K>| {
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
    let mut rest: Vec<&&Contender<K>> = interested.iter().skip(slots - optimistic).collect();
    // Whoever holds an optimistic slot keeps it until the turn; then the one that waited longest is next.
    let turn = round.is_multiple_of(OPTIMISTIC_ROUNDS);
    rest.sort_by_key(|c| (if turn { c.unchoked } else { !c.unchoked }, std::cmp::Reverse(c.waiting)));
    Chosen { worthy, in_turn: rest.iter().take(optimistic).map(|c| c.key).collect() }
}

/// How many slots to have: enough to fill the link, few enough that each moves.
///
/// With a limit, one for each 20 KiB/s of it. Without, more when all that are in use move well, fewer when they crawl.
#[must_use]
pub fn slots(now: usize, limit: Option<u64>, used: usize, up: u64) -> usize {
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

/// Slots to begin with: enough for a swarm to start at once on a fast link.
pub const FIRST_SLOTS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(key: u32, down: u64, up: u64) -> Contender<u32> {
        Contender { key, interested: true, unchoked: false, snubbed: false, down, up, waiting: Duration::ZERO }
    }

    #[test]
    fn givers_are_served_while_downloading_and_takers_while_seeding() {
        let peers: Vec<_> = (0..20).map(|n| peer(n, u64::from(n), u64::from(100 - n))).collect();
        let chosen = choose(&peers, 5, false, 1);
        assert_eq!((chosen.worthy, chosen.in_turn.len()), (vec![19, 18, 17, 16], 1));
        assert_eq!(choose(&peers, 5, true, 1).worthy, [0, 1, 2, 3]);
    }

    #[test]
    fn nobody_waits_while_there_are_slots_and_the_uninterested_get_none() {
        let mut peers: Vec<_> = (0..4).map(|n| peer(n, 0, 0)).collect();
        peers[2].interested = false;
        assert_eq!(choose(&peers, 8, false, 0), Chosen { worthy: vec![0, 1, 3], in_turn: vec![] });
    }

    #[test]
    fn the_optimistic_slot_goes_to_whoever_waited_longest() {
        let mut peers: Vec<_> = (0..6).map(|n| peer(n, if n < 2 { 9 } else { 0 }, 0)).collect();
        peers[5].waiting = Duration::from_secs(60);
        peers[3].unchoked = true;
        assert_eq!(choose(&peers, 3, false, 3), Chosen { worthy: vec![0, 1], in_turn: vec![5] });
        assert_eq!(choose(&peers, 3, false, 4), Chosen { worthy: vec![0, 1], in_turn: vec![3] });
    }

    #[test]
    fn slots_follow_the_link() {
        assert_eq!(slots(32, Some(102_400), 0, 0), 5);
        assert_eq!(slots(32, None, 32, 32 * 60_000), 48);
        assert_eq!(slots(32, None, 32, 32 * 1_000), 28);
        assert_eq!(slots(32, None, 3, 0), 32);
    }
}
