//! The request queue of the HTTP workers. It schedules announces fairly across hosts and isolates unresponsive
//! trackers.
//!
//! A host without a successful last response gets one slot. If it turns out to be unreachable, all announces queued
//! for it fail at once, so a dead tracker occupies one slot however many torrents use it. If all slots are taken, the
//! slowest request is aborted after a few seconds. The newest and the oldest waiting host alternate, so that a
//! torrent just added is announced soon even if many trackers hang. `stopped` announces bypass the slots.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::answering::PendingAnnounce;
use super::client::CancelHandle;
use super::error::FetchError;
use super::job::Callback;
use crate::wire::message::InfoHash;
use crate::wire::tracker::{Announce, AnnounceError, AnnounceEvent, AnnounceIdentity};

/// The maximum number of concurrent announces, `stopped` announces excluded.
pub(super) const MAX_IN_FLIGHT: usize = 128;
/// The maximum number of threads. More than the slots, because `stopped` announces take no slot and an aborted
/// request may still be running.
pub(super) const THREADS: usize = 384;
/// The maximum number of queued announces.
const WAITING: usize = 16 * 1024;
/// The maximum number of concurrent requests to a host that has responded.
const PER_HOST: usize = 4;
/// The maximum number of concurrent `stopped` announces to one host.
const LAST_PER_HOST: usize = 16;
/// The maximum number of queued `stopped` announces counted by [`Queue::wants_thread`].
const LAST_WORDS: usize = 64;
/// The maximum number of hosts remembered.
const HOSTS: usize = 4096;
/// How long a request may take while others wait, if its host has never responded.
const ABORT_AFTER: Duration = Duration::from_secs(2);
/// How long a request may take while others wait, if its host has responded before.
const ABORT_AFTER_PROVEN: Duration = Duration::from_secs(10);
/// How long an address family is avoided after it failed.
const REST: Duration = Duration::from_secs(15 * 60);

/// One attempt of an announce over one address family.
pub(super) struct Attempt {
    pub(super) ask: Announce,
    pub(super) asker: AnnounceIdentity,
    pub(super) answering: Arc<PendingAnnounce>,
    /// When the announce was requested.
    pub(super) since: Instant,
    /// The attempt over IPv6 that accompanies one over IPv4.
    pub(super) twin: bool,
}

impl Attempt {
    fn is_last(&self) -> bool {
        self.ask.event == AnnounceEvent::Stopped
    }

    fn is_of(&self, torrent: InfoHash, url: &str) -> bool {
        self.asker.info_hash == torrent && self.ask.url == url
    }
}

/// A download of a `.torrent` file; the response may also be a magnet link.
pub(super) struct Fetch {
    pub(super) url: String,
    pub(super) max: u64,
    /// The URL comes from a magnet link, not from the user. On private addresses, only `.torrent` files are allowed
    /// then.
    pub(super) torrents_only: bool,
    pub(super) done: Callback<Vec<u8>, FetchError>,
}

/// A job for a worker thread.
pub(super) enum Job {
    Announce(Attempt),
    Fetch(Fetch),
}

/// A job taken from the queue by a worker.
pub(super) struct Taken {
    pub(super) ticket: u64,
    pub(super) job: Job,
    /// IPv4 (index 0) or IPv6 (index 1) of the host failed recently.
    pub(super) rests: [bool; 2],
}

/// The result of [`Queue::take`].
pub(super) enum Turn {
    Job(Box<Taken>),
    /// There is no job now; retry at this time, if given.
    Wait(Option<Instant>),
}

/// An announce in progress.
struct Running {
    host: String,
    torrent: InfoHash,
    url: String,
    last: bool,
    since: Instant,
    proven: bool,
    answering: Arc<PendingAnnounce>,
    ender: CancelHandle,
}

impl Running {
    fn gives_way(&self) -> Instant {
        self.since + if self.proven { ABORT_AFTER_PROVEN } else { ABORT_AFTER }
    }
}

#[derive(Default)]
struct Host {
    /// The number of announces in progress; `saying_last` counts the `stopped` announces in progress.
    busy: usize,
    stopped_in_flight: usize,
    jobs: VecDeque<Attempt>,
    /// The position among the hosts with jobs: the number of the latest job or of the last turn.
    turn: Option<u64>,
    /// The last request got a response.
    proven: bool,
    /// Until then this address family is avoided, because it failed on a host that has both.
    rests: Option<Instant>,
}

impl Host {
    const fn free(&self) -> usize {
        let most = if self.proven { PER_HOST } else { 1 };
        most - if self.busy < most { self.busy } else { most }
    }
}

/// Failed announces, to be reported after the queue has been unlocked.
pub(super) type FailedAnnounces = Vec<(Arc<PendingAnnounce>, AnnounceError)>;

/// The request queue.
#[derive(Default)]
pub(super) struct Queue {
    hosts: HashMap<String, Host>,
    /// The hosts with jobs, ordered by turn.
    turns: BTreeMap<u64, String>,
    /// The queued `stopped` announces, with their hosts.
    stopped_announces: VecDeque<(String, Attempt)>,
    fetches: VecDeque<Fetch>,
    running: BTreeMap<u64, Running>,
    /// The downloads in progress.
    fetching: BTreeMap<u64, CancelHandle>,
    waiting: usize,
    numbers: u64,
    /// Whether the newest host is next, not the one that waits longest.
    newest: bool,
    pub(super) idle: usize,
    pub(super) threads: usize,
    pub(super) closed: bool,
    fetches_stopped: bool,
}

/// Returns the queue key of a URL's host; IPv6 attempts have a key of their own.
fn host_of(url: &str, v6: bool) -> String {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let mut host = rest.split(['/', '?', '#']).next().unwrap_or("").to_ascii_lowercase();
    if v6 {
        host.push_str(" over IPv6");
    }
    host
}

impl Queue {
    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Queues an announce. A `stopped` announce cancels the pending announces of the same torrent to the same
    /// tracker; if its `started` was still queued, it is not sent either.
    ///
    /// # Errors
    /// Returns the attempt if the queue is full.
    pub(super) fn push(&mut self, attempt: Attempt, telling: &mut FailedAnnounces) -> Result<(), Box<Attempt>> {
        if attempt.is_last() && !attempt.twin && self.cancel_superseded(&attempt) {
            telling.push((attempt.answering, AnnounceError::new("it was not asked before the end")));
            return Ok(());
        }
        if attempt.is_last() {
            self.stopped_announces.push_back((host_of(&attempt.ask.url, attempt.twin), attempt));
            return Ok(());
        }
        if self.waiting >= WAITING {
            return Err(Box::new(attempt));
        }
        self.waiting += 1;
        let name = host_of(&attempt.ask.url, attempt.twin);
        let number = self.number();
        let host = self.hosts.entry(name.clone()).or_default();
        host.jobs.push_back(attempt);
        if let Some(old) = host.turn.replace(number) {
            self.turns.remove(&old);
        }
        self.turns.insert(number, name);
        Ok(())
    }

    pub(super) fn push_fetch(&mut self, fetch: Fetch) {
        self.fetches.push_back(fetch);
    }

    /// Cancels the pending announces that a `stopped` announce supersedes. Returns whether the tracker does not know
    /// the torrent because its `started` was still queued.
    fn cancel_superseded(&mut self, last: &Attempt) -> bool {
        let (torrent, url) = (last.asker.info_hash, last.ask.url.as_str());
        let mut unheard = false;
        for v6 in [false, true] {
            let name = host_of(url, v6);
            let Some(host) = self.hosts.get_mut(&name) else { continue };
            let before = host.jobs.len();
            host.jobs.retain(|job| {
                let is = job.is_of(torrent, url);
                if is {
                    job.answering.mute();
                    unheard |= !v6 && job.ask.event == AnnounceEvent::Started;
                }
                !is
            });
            self.waiting -= before - host.jobs.len();
            self.settle(&name);
        }
        let is = |it: &Running| it.torrent == torrent && it.url == url && !it.last;
        let tickets: Vec<u64> = self.running.iter().filter(|(_, it)| is(it)).map(|(ticket, _)| *ticket).collect();
        for ticket in tickets {
            unheard = false;
            if let Some(it) = self.remove(ticket) {
                it.answering.mute();
                it.ender.end();
            }
        }
        unheard
    }

    /// Removes the turn of a host without jobs, and forgets an idle host without state worth keeping.
    fn settle(&mut self, name: &str) {
        let Some(host) = self.hosts.get_mut(name) else { return };
        if host.jobs.is_empty()
            && let Some(turn) = host.turn.take()
        {
            self.turns.remove(&turn);
        }
        let idle = host.jobs.is_empty() && host.busy == 0 && host.stopped_in_flight == 0;
        if idle && ((!host.proven && host.rests.is_none()) || self.hosts.len() > HOSTS) {
            self.hosts.remove(name);
        }
    }

    fn remove(&mut self, ticket: u64) -> Option<Running> {
        let it = self.running.remove(&ticket)?;
        if let Some(host) = self.hosts.get_mut(&it.host) {
            let count = if it.last { &mut host.stopped_in_flight } else { &mut host.busy };
            *count = count.saturating_sub(1);
        }
        self.settle(&it.host);
        Some(it)
    }

    fn places_taken(&self) -> usize {
        self.running.values().filter(|it| !it.last).count()
    }

    /// Returns whether there is work for more threads than are idle.
    pub(super) fn wants_thread(&self) -> bool {
        let mut idle = self.idle;
        let mut pressing = self.stopped_announces.len().min(LAST_WORDS) + self.fetches.len();
        let free = MAX_IN_FLIGHT.saturating_sub(self.places_taken());
        // Without a free slot, one thread is needed to abort the slowest request.
        let mut could = if free == 0 { usize::from(!self.turns.is_empty()) } else { 0 };
        for host in self.turns.values().filter_map(|name| self.hosts.get(name)) {
            if pressing + could > idle || could >= free {
                break;
            }
            could += host.free().min(host.jobs.len());
        }
        pressing += could;
        idle = idle.min(THREADS);
        pressing > idle
    }

    /// Takes the next job. If all slots are taken, aborts the slowest request once its time is up.
    pub(super) fn take(&mut self, now: Instant, ender: CancelHandle, telling: &mut FailedAnnounces) -> Turn {
        if let Some(fetch) = self.fetches.pop_front() {
            let ticket = self.number();
            self.fetching.insert(ticket, ender);
            return Turn::Job(Box::new(Taken { ticket, job: Job::Fetch(fetch), rests: [false; 2] }));
        }
        let free = |(name, _): &(String, Attempt)| {
            self.hosts.get(name).is_none_or(|host| host.stopped_in_flight < LAST_PER_HOST)
        };
        let last = self.stopped_announces.iter().position(free);
        if let Some((_, attempt)) = last.and_then(|at| self.stopped_announces.remove(at)) {
            return self.run(now, attempt, ender);
        }
        let Some(name) = self.next_host() else { return Turn::Wait(None) };
        if self.places_taken() >= MAX_IN_FLIGHT {
            let slowest = self.running.iter().filter(|(_, it)| !it.last).min_by_key(|(_, it)| it.gives_way());
            let Some((ticket, at)) = slowest.map(|(ticket, it)| (*ticket, it.gives_way())) else {
                return Turn::Wait(None);
            };
            if at > now {
                return Turn::Wait(Some(at));
            }
            self.abandon(ticket, telling);
        }
        let newest = self.newest;
        self.newest = !newest;
        let number = self.number();
        let Some(host) = self.hosts.get_mut(&name) else { return Turn::Wait(None) };
        let attempt = if newest { host.jobs.pop_back() } else { host.jobs.pop_front() };
        let Some(attempt) = attempt else { return Turn::Wait(None) };
        if let Some(turn) = host.turn.replace(number) {
            self.turns.remove(&turn);
        }
        self.turns.insert(number, name);
        self.waiting -= 1;
        self.run(now, attempt, ender)
    }

    /// Returns the next host that has jobs and a free slot.
    fn next_host(&self) -> Option<String> {
        let may = |name: &&String| self.hosts.get(*name).is_some_and(|host| host.free() > 0 && !host.jobs.is_empty());
        let found = if self.newest { self.turns.values().rev().find(may) } else { self.turns.values().find(may) };
        found.cloned()
    }

    fn run(&mut self, now: Instant, attempt: Attempt, ender: CancelHandle) -> Turn {
        let (url, last) = (attempt.ask.url.clone(), attempt.is_last());
        let name = host_of(&url, attempt.twin);
        let rests = |it: &Self, v6: bool| {
            let host = it.hosts.get(&host_of(&url, v6));
            host.and_then(|host| host.rests).is_some_and(|until| until > now)
        };
        // A `stopped` announce has too little time for an address family that has never worked.
        let proven = self.hosts.get(&host_of(&url, true)).is_some_and(|host| host.proven);
        let rests = [rests(self, false), rests(self, true) || (last && !proven)];
        let ticket = self.number();
        let host = self.hosts.entry(name.clone()).or_default();
        *(if last { &mut host.stopped_in_flight } else { &mut host.busy }) += 1;
        let proven = host.proven;
        let torrent = attempt.asker.info_hash;
        let answering = Arc::clone(&attempt.answering);
        self.running
            .insert(ticket, Running { host: name.clone(), torrent, url, last, since: now, proven, answering, ender });
        self.settle(&name);
        Turn::Job(Box::new(Taken { ticket, job: Job::Announce(attempt), rests }))
    }

    /// Aborts a slow request to free its slot, as if it had timed out.
    fn abandon(&mut self, ticket: u64, telling: &mut FailedAnnounces) {
        let Some(it) = self.running.get(&ticket) else { return };
        it.ender.end();
        let answering = Arc::clone(&it.answering);
        let error = AnnounceError::new("no answer in time");
        self.on_host_unreachable(ticket, &error, telling);
        telling.push((answering, error));
    }

    /// Removes a finished job and returns whether its result is still wanted. `chose` is the address family selected
    /// if the host had both.
    pub(super) fn finished(
        &mut self,
        ticket: u64,
        now: Instant,
        dead: Option<&AnnounceError>,
        chose: Option<bool>,
        telling: &mut FailedAnnounces,
    ) -> bool {
        if self.fetching.remove(&ticket).is_some() {
            return true;
        }
        let Some(it) = self.running.get(&ticket) else { return false };
        if let Some(name) = chose.filter(|_| !it.last).map(|v6| host_of(&it.url, v6)) {
            match dead {
                Some(_) => self.hosts.entry(name).or_default().rests = Some(now + REST),
                None => self.hosts.get_mut(&name).into_iter().for_each(|host| host.rests = None),
            }
        }
        match dead {
            Some(error) => self.on_host_unreachable(ticket, error, telling),
            None => {
                if let Some(host) = self.hosts.get_mut(&it.host) {
                    host.proven = true;
                }
                self.remove(ticket);
            }
        }
        true
    }

    /// Fails the jobs queued for a host that did not respond.
    fn on_host_unreachable(&mut self, ticket: u64, error: &AnnounceError, telling: &mut FailedAnnounces) {
        let Some(it) = self.running.get(&ticket) else { return };
        // A `stopped` announce has a short timeout, so its failure says nothing about the host.
        if !it.last
            && let Some(host) = self.hosts.get_mut(&it.host)
        {
            host.proven = false;
            self.waiting -= host.jobs.len();
            telling.extend(host.jobs.drain(..).map(|job| (job.answering, error.clone())));
        }
        self.remove(ticket);
    }

    /// Takes jobs again after all were canceled for lack of a thread.
    pub(super) const fn reopen(&mut self) {
        (self.closed, self.fetches_stopped) = (false, false);
    }

    pub(super) const fn refuses_fetches(&self) -> bool {
        self.closed || self.fetches_stopped
    }

    /// Cancels the downloads in progress and refuses later ones. Returns the queued ones, to be reported as stopped.
    pub(super) fn stop_fetches(&mut self) -> Vec<Fetch> {
        self.fetches_stopped = true;
        self.fetching.values().for_each(CancelHandle::end);
        self.fetches.drain(..).collect()
    }

    /// Closes the queue and cancels all requests. Returns what must be reported as stopped.
    pub(super) fn close(&mut self) -> (FailedAnnounces, Vec<Fetch>) {
        self.closed = true;
        let stopped = |attempt: Attempt| (attempt.answering, AnnounceError::new("stopped"));
        let waiting = self.hosts.values_mut().flat_map(|host| host.jobs.drain(..));
        let telling =
            waiting.chain(self.stopped_announces.drain(..).map(|(_, attempt)| attempt)).map(stopped).collect();
        self.turns.clear();
        self.waiting = 0;
        self.running.values().for_each(|it| it.ender.end());
        (telling, self.stop_fetches())
    }
}
