//! Bandwidth distribution: splits a global rate limit among the torrents.

use crate::swarm::view::Priority;

/// Bytes per second added to the demand of every torrent, so that an idle one can start.
const LEAST: u64 = 16 * 1024;

/// Returns the weight of a bandwidth priority, in quarters of the normal weight.
#[must_use]
pub(crate) const fn weight(rank: Priority) -> u64 {
    match rank {
        Priority::Skip | Priority::Low => 1,
        Priority::Normal => 4,
        Priority::High => 16,
    }
}

/// Splits `limit` (bytes per second) among torrents given as (current rate, weight).
///
/// Capacity that a torrent does not use goes to the others. `None` is unlimited.
#[must_use]
pub(crate) fn split_limit(limit: Option<u64>, used: &[(u64, u64)]) -> Vec<Option<u64>> {
    let Some(limit) = limit else { return vec![None; used.len()] };
    // Demand of a torrent: 25% above the current rate, so that it can grow.
    let want = |(used, weight): (u64, u64)| (used.saturating_add(used / 4).saturating_add(LEAST), weight.max(1));
    let mut wants: Vec<(usize, u64, u64)> =
        used.iter().map(|it| want(*it)).enumerate().map(|(n, (want, weight))| (n, want, weight)).collect();
    // The torrents with the smallest demand per weight are served first.
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
    // Unclaimed capacity is distributed among all torrents by weight.
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
        split_limit(Some(limit), &used).into_iter().map(Option::unwrap).collect()
    }

    #[test]
    fn no_limit_is_no_limit_for_anybody() {
        assert_eq!(split_limit(None, &[(1, 4), (2, 4)]), [None, None]);
        assert!(split_limit(Some(5), &[]).is_empty());
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
            let parts = split_limit(Some(1_000_000), &[(a.0, weight(a.1)), (b.0, weight(b.1))]);
            (parts[0].unwrap(), parts[1].unwrap())
        };
        let busy = 5_000_000;
        assert_eq!(of((busy, Priority::High), (busy, Priority::Normal)), (800_000, 200_000));
        assert_eq!(of((busy, Priority::Normal), (busy, Priority::Low)), (800_000, 200_000));
        let (idle, other) = of((0, Priority::High), (busy, Priority::Low));
        assert!(other > 900_000 && idle >= LEAST, "{idle} {other}");
    }
}
