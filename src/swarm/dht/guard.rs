//! How much strangers may ask, and how much they get for it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::limits;
use crate::swarm::address::is_local;
use crate::swarm::rate::{Allowance, Bucket};

/// Hosts whose questions are counted.
const HOSTS: usize = 2_000;
/// A host that has not asked for this long is not counted any more.
const QUIET: Duration = Duration::from_secs(10);
/// Questions that a host may ask at once.
const BURST: u32 = 4 * limits::DHT_QUERIES_HOST;

/// Counts questions and bytes of answers.
#[derive(Debug)]
pub struct Guard {
    hosts: BTreeMap<SocketAddr, (Allowance, Instant)>,
    answers: Bucket,
    /// When those that are quiet were forgotten.
    cleaned: Instant,
    /// When the last refusal went out.
    refused: Option<Instant>,
}

impl Guard {
    /// Nobody has asked yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        let mut answers = Bucket::default();
        answers.set(Some(u64::from(limits::DHT_ANSWERS)));
        // It fills from now on.
        answers.take(now, 0);
        Guard { hosts: BTreeMap::new(), answers, cleaned: now, refused: None }
    }

    /// Whether this question is to be looked at. In local networks each program counts for itself.
    pub fn may_ask(&mut self, now: Instant, from: SocketAddr) -> bool {
        let who = if is_local(from.ip()) { from } else { SocketAddr::new(from.ip(), 0) };
        if !self.hosts.contains_key(&who) && self.hosts.len() >= HOSTS {
            // Looking through all of them for each packet of a flood would be what the flood is after.
            if now.saturating_duration_since(self.cleaned) >= Duration::from_secs(1) {
                self.cleaned = now;
                self.hosts.retain(|_, (_, at)| now.saturating_duration_since(*at) < QUIET);
            }
            if self.hosts.len() >= HOSTS {
                return false;
            }
        }
        let new = || (Allowance::new(now, BURST, limits::DHT_QUERIES_HOST), now);
        let (allowance, at) = self.hosts.entry(who).or_insert_with(new);
        *at = now;
        allowance.take(now)
    }

    /// Whether an answer of so many bytes may go there. Local networks have their own measure of what is much.
    pub fn may_answer(&mut self, now: Instant, to: SocketAddr, bytes: usize) -> bool {
        is_local(to.ip()) || self.answers.take(now, bytes as u64)
    }

    /// Whether a refusal may go out: one a second.
    pub fn may_refuse(&mut self, now: Instant) -> bool {
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
        let mut it = Guard::new(now);
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
        let mut it = Guard::new(now);
        let asked = (0..50_000_u32).filter(|n| it.may_ask(now, SocketAddr::from(((n << 8).to_be_bytes(), 1)))).count();
        assert_eq!((asked, it.hosts.len()), (HOSTS, HOSTS));
        assert!(it.may_ask(now + QUIET, SocketAddr::from(([200, 9, 9, 9], 1))));
    }
}
