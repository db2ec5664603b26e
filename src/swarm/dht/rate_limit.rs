//! Rate limits for incoming DHT queries and for the bytes of responses.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::limits;
use crate::swarm::rate::{BurstLimiter, TokenBucket};
use crate::wire::address::is_local;

/// Maximum number of hosts tracked.
const HOSTS: usize = 2_000;
/// A host without queries for this long is no longer tracked.
const QUIET: Duration = Duration::from_secs(10);
/// Burst size of one host, in queries.
const BURST: u32 = 4 * limits::DHT_QUERIES_HOST;

/// Limits queries per host, response bytes in total, and error responses.
#[derive(Debug)]
pub(crate) struct QueryRateLimiter {
    hosts: BTreeMap<SocketAddr, (BurstLimiter, Instant)>,
    answers: TokenBucket,
    /// When quiet hosts were last removed.
    cleaned: Instant,
    /// When the last error response was sent.
    refused: Option<Instant>,
}

impl QueryRateLimiter {
    /// Creates a limiter with no hosts tracked.
    #[must_use]
    pub(crate) fn new(now: Instant) -> Self {
        let mut answers = TokenBucket::default();
        answers.set(Some(u64::from(limits::DHT_ANSWERS)));
        // Starts the clock of the bucket.
        answers.take(now, 0);
        QueryRateLimiter { hosts: BTreeMap::new(), answers, cleaned: now, refused: None }
    }

    /// Returns whether to handle a query. Local hosts are limited per port, all others per IP address.
    pub(crate) fn may_ask(&mut self, now: Instant, from: SocketAddr) -> bool {
        let who = if is_local(from.ip()) { from } else { SocketAddr::new(from.ip(), 0) };
        if !self.hosts.contains_key(&who) && self.hosts.len() >= HOSTS {
            // At most once a second: a scan per packet would let a flood exhaust the CPU.
            if now.saturating_duration_since(self.cleaned) >= Duration::from_secs(1) {
                self.cleaned = now;
                self.hosts.retain(|_, (_, at)| now.saturating_duration_since(*at) < QUIET);
            }
            if self.hosts.len() >= HOSTS {
                return false;
            }
        }
        let new = || (BurstLimiter::new(now, BURST, limits::DHT_QUERIES_HOST), now);
        let (allowance, at) = self.hosts.entry(who).or_insert_with(new);
        *at = now;
        allowance.take(now)
    }

    /// Returns whether a response of this size may be sent. Responses to local hosts are not limited.
    pub(crate) fn may_answer(&mut self, now: Instant, to: SocketAddr, bytes: usize) -> bool {
        is_local(to.ip()) || self.answers.take(now, bytes as u64)
    }

    /// Returns whether an error response may be sent: at most one per second.
    pub(crate) fn may_refuse(&mut self, now: Instant) -> bool {
        if self.refused.is_some_and(|at| now.saturating_duration_since(at) < Duration::from_secs(1)) {
            return false;
        }
        self.refused = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_gets_a_few_answers_a_second_and_all_together_a_few_bytes() {
        let now = Instant::now();
        let mut it = QueryRateLimiter::new(now);
        let from = |port| SocketAddr::from(([9, 9, 9, 9], port));
        assert_eq!((0..1000).filter(|n| it.may_ask(now, from(*n))).count(), BURST as usize);
        let second = now + Duration::from_secs(1);
        assert_eq!((0..1000).filter(|n| it.may_ask(second, from(*n))).count(), limits::DHT_QUERIES_HOST as usize);
        assert!(it.may_ask(second, SocketAddr::from(([127, 0, 0, 1], 1))));

        let mut sent = 0;
        for n in 0..10_000_u32 {
            let at = now + Duration::from_millis(u64::from(n));
            if it.may_answer(at, from(1), 300) {
                sent += 300;
            }
        }
        assert!((70_000..130_000).contains(&sent), "{sent} bytes in ten seconds");
        assert!(it.may_refuse(now) && !it.may_refuse(now) && it.may_refuse(second));
    }

    #[test]
    fn a_flood_from_everywhere_takes_no_more_room() {
        let now = Instant::now();
        let mut it = QueryRateLimiter::new(now);
        let asked = (0..50_000_u32).filter(|n| it.may_ask(now, SocketAddr::from(((n << 8).to_be_bytes(), 1)))).count();
        assert_eq!((asked, it.hosts.len()), (HOSTS, HOSTS));
        assert!(it.may_ask(now + QUIET, SocketAddr::from(([200, 9, 9, 9], 1))));
    }
}
