//! How a limit of all torrents together is split among them.

use crate::swarm::view::Priority;

/// The least that a torrent gets while there is a limit, bytes a second: enough to begin.
const LEAST: u64 = 16 * 1024;

/// How large a torrent's share is beside that of one of normal rank, in quarters.
#[must_use]
pub const fn weight(rank: Priority) -> u64 {
    match rank {
        Priority::Skip | Priority::Low => 1,
        Priority::Normal => 4,
        Priority::High => 16,
    }
}

/// Splits `limit` among torrents by what they use now and by their weights: one that does not use up its part leaves the
/// rest to the others. `None` is no limit.
#[must_use]
pub fn shares(limit: Option<u64>, used: &[(u64, u64)]) -> Vec<Option<u64>> {
    let Some(limit) = limit else { return vec![None; used.len()] };
    // What each could use: a quarter more than now, so that it can grow.
    let want = |(used, weight): (u64, u64)| (used.saturating_add(used / 4).saturating_add(LEAST), weight.max(1));
    let mut wants: Vec<(usize, u64, u64)> =
        used.iter().map(|it| want(*it)).enumerate().map(|(n, (want, weight))| (n, want, weight)).collect();
    // Whoever wants least for its weight is satisfied first.
    wants.sort_by_key(|&(n, want, weight)| (want / weight, n));
    let all: u64 = wants.iter().map(|(_, _, weight)| weight).sum();
    let part = |of: u64, weight: u64, all: u64| (u128::from(of) * u128::from(weight) / u128::from(all.max(1))) as u64;
    let mut out = vec![None; used.len()];
    let (mut left, mut weights) = (limit, all);
    for (n, want, weight) in &wants {
        let share = (*want).min(part(left, *weight, weights));
        out[*n] = Some(share);
        left -= share;
        weights -= weight;
    }
    // What nobody wants now goes to all, for the next second.
    for (n, _, weight) in wants {
        out[n] = out[n].map(|share| share.saturating_add(part(left, weight, all)).max(1));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(limit: u64, used: &[u64]) -> Vec<u64> {
        let used: Vec<(u64, u64)> = used.iter().map(|used| (*used, weight(Priority::Normal))).collect();
        shares(Some(limit), &used).into_iter().map(Option::unwrap).collect()
    }

    #[test]
    fn no_limit_is_no_limit_for_anybody() {
        assert_eq!(shares(None, &[(1, 4), (2, 4)]), [None, None]);
        assert!(shares(Some(5), &[]).is_empty());
    }

    #[test]
    fn equals_get_equal_parts_and_the_sum_is_kept() {
        assert_eq!(split(1_000_000, &[900_000, 900_000]), [500_000, 500_000]);
        for used in [vec![0, 0, 0], vec![1_000_000, 0, 5], vec![10, 20, 3_000_000, 4_000_000]] {
            let parts = split(2_000_000, &used);
            let sum: u64 = parts.iter().sum();
            assert!((1_999_000..=2_000_000).contains(&sum), "{used:?}: {parts:?}");
        }
    }

    #[test]
    fn what_one_does_not_use_the_other_gets() {
        let parts = split(1_000_000, &[0, 900_000]);
        assert!(parts[1] > 900_000 && parts[0] >= LEAST, "{parts:?}");
    }

    #[test]
    fn a_higher_rank_has_the_larger_part_of_what_both_want() {
        let of = |a: (u64, Priority), b: (u64, Priority)| {
            let parts = shares(Some(1_000_000), &[(a.0, weight(a.1)), (b.0, weight(b.1))]);
            (parts[0].unwrap(), parts[1].unwrap())
        };
        let busy = 5_000_000;
        assert_eq!(of((busy, Priority::High), (busy, Priority::Normal)), (800_000, 200_000));
        assert_eq!(of((busy, Priority::Normal), (busy, Priority::Low)), (800_000, 200_000));
        let (idle, other) = of((0, Priority::High), (busy, Priority::Low));
        assert!(other > 900_000 && idle >= LEAST, "{idle} {other}");
    }
}
