//! How a limit of all torrents together is split among them.

/// The least that a torrent gets while there is a limit, bytes a second: enough to begin.
const LEAST: u64 = 16 * 1024;

/// Splits `limit` among torrents by what they use now: one that does not use up its part leaves the rest to the others.
/// `None` is no limit.
#[must_use]
pub fn shares(limit: Option<u64>, used: &[u64]) -> Vec<Option<u64>> {
    let Some(limit) = limit else { return vec![None; used.len()] };
    // What each could use: a quarter more than now, so that it can grow.
    let mut wants: Vec<(usize, u64)> =
        used.iter().map(|&rate| rate.saturating_add(rate / 4).saturating_add(LEAST)).enumerate().collect();
    wants.sort_by_key(|&(_, want)| want);
    let mut out = vec![None; used.len()];
    let (mut left, mut count) = (limit, wants.len() as u64);
    for (n, want) in wants {
        let fair = left / count;
        let share = want.min(fair);
        out[n] = Some(share);
        left -= share;
        count -= 1;
    }
    // What nobody wants now goes to all, for the next second.
    let spare = left / (used.len() as u64).max(1);
    out.into_iter().map(|share| share.map(|n| n.saturating_add(spare).max(1))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(limit: u64, used: &[u64]) -> Vec<u64> {
        shares(Some(limit), used).into_iter().map(Option::unwrap).collect()
    }

    #[test]
    fn no_limit_is_no_limit_for_anybody() {
        assert_eq!(shares(None, &[1, 2]), [None, None]);
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
}
