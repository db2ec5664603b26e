//! Which request is made next: hosts take turns, those that hang give their places up, and a last word waits for nobody.
//!
//! A host that has not answered yet, or did not the last time, has one place, and when it proves dead all who wait for it
//! hear so at once: it costs one place however many torrents name it. While all places are taken, a host that lets us wait
//! gives its place up to the next one. Of those that wait the newest and the one that waits longest take turns, so that what
//! the user has just added is asked at once, whatever else hangs.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Done;
use super::answering::Answering;
use super::client::Ender;
use crate::wire::message::InfoHash;
use crate::wire::tracker::{Announce, AnnounceError, AnnounceEvent, Asker};

/// Announces under way at once, last words aside.
pub(super) const PLACES: usize = 128;
/// Threads in all. More than places: a last word has none, and a request that gave its place up may not be over yet.
pub(super) const THREADS: usize = 384;
/// Requests waiting in all.
const WAITING: usize = 16 * 1024;
/// Requests at once to a host that answers.
const PER_HOST: usize = 4;
/// Last words at once to one host.
const LAST_PER_HOST: usize = 16;
/// Last words that are looked at for whether there is a thread: each that is taken makes room for another.
const LAST_WORDS: usize = 64;
/// Hosts remembered.
const HOSTS: usize = 4096;
/// While others wait: the time until a host that has never answered gives its place up.
const GIVE_WAY: Duration = Duration::from_secs(2);
/// The same for one that has answered before.
const GIVE_WAY_PROVEN: Duration = Duration::from_secs(10);
/// How long a family of addresses that failed is left alone.
const REST: Duration = Duration::from_secs(15 * 60);

/// One attempt of an announce, over one family of addresses or the one that is there.
pub(super) struct Attempt {
    pub(super) ask: Announce,
    pub(super) asker: Asker,
    pub(super) answering: Arc<Answering>,
    /// When it was wished for.
    pub(super) since: Instant,
    /// Over IPv6, beside another one over IPv4.
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

/// What the user wants fetched, or a magnet link.
pub(super) struct Fetch {
    pub(super) url: String,
    pub(super) max: u64,
    /// A link names it and not the user: of the local network only `.torrent` files are fetched.
    pub(super) torrents_only: bool,
    pub(super) done: Done<Vec<u8>, String>,
}

/// What a thread does next.
pub(super) enum Job {
    Announce(Attempt),
    Fetch(Fetch),
}

/// A job that a thread has taken.
pub(super) struct Taken {
    pub(super) ticket: u64,
    pub(super) job: Job,
    /// IPv4 (first) or IPv6 of its host did not work lately.
    pub(super) rests: [bool; 2],
}

/// What [`Queue::take`] comes to.
pub(super) enum Turn {
    Job(Box<Taken>),
    /// Nothing can be done now; perhaps at this time.
    Wait(Option<Instant>),
}

/// An announce under way.
struct Running {
    host: String,
    torrent: InfoHash,
    url: String,
    last: bool,
    since: Instant,
    proven: bool,
    answering: Arc<Answering>,
    ender: Ender,
}

impl Running {
    fn gives_way(&self) -> Instant {
        self.since + if self.proven { GIVE_WAY_PROVEN } else { GIVE_WAY }
    }
}

#[derive(Default)]
struct Host {
    /// Announces under way, and last words under way.
    busy: usize,
    saying_last: usize,
    jobs: VecDeque<Attempt>,
    /// When its turn comes among the hosts with jobs: the number of the job that came last, or of its last turn.
    turn: Option<u64>,
    /// Its last answer was one.
    proven: bool,
    /// It has both families of addresses, and this one did not work; until then it is left alone.
    rests: Option<Instant>,
}

impl Host {
    const fn free(&self) -> usize {
        let most = if self.proven { PER_HOST } else { 1 };
        most - if self.busy < most { self.busy } else { most }
    }
}

/// What is to be told to whom once the queue is not locked any more.
pub(super) type Telling = Vec<(Arc<Answering>, AnnounceError)>;

/// All requests.
#[derive(Default)]
pub(super) struct Queue {
    hosts: HashMap<String, Host>,
    /// The hosts with jobs, by their turn.
    turns: BTreeMap<u64, String>,
    /// With their hosts.
    last_words: VecDeque<(String, Attempt)>,
    fetches: VecDeque<Fetch>,
    running: BTreeMap<u64, Running>,
    /// The fetches under way.
    fetching: BTreeMap<u64, Ender>,
    waiting: usize,
    numbers: u64,
    /// Whether the newest is next, and not the one that waits longest.
    newest: bool,
    pub(super) idle: usize,
    pub(super) threads: usize,
    pub(super) closed: bool,
}

/// The host of an attempt; the families of one that has both are hosts of their own.
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

    /// Takes an announce in; gives it back where there are too many. What the same torrent still has to say to the same
    /// tracker is given up for a last word, and where that was never begun there is none to say.
    pub(super) fn push(&mut self, attempt: Attempt, telling: &mut Telling) -> Result<(), Box<Attempt>> {
        if attempt.is_last() && !attempt.twin && self.give_up(&attempt) {
            telling.push((attempt.answering, AnnounceError::new("it was not asked before the end")));
            return Ok(());
        }
        if attempt.is_last() {
            self.last_words.push_back((host_of(&attempt.ask.url, attempt.twin), attempt));
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

    /// Gives up what is to be said before a last word; whether the tracker never heard of the torrent, since its
    /// `started` is still waiting here.
    fn give_up(&mut self, last: &Attempt) -> bool {
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

    /// A host without jobs has no turn, and one of which nothing is known need not be remembered.
    fn settle(&mut self, name: &str) {
        let Some(host) = self.hosts.get_mut(name) else { return };
        if host.jobs.is_empty()
            && let Some(turn) = host.turn.take()
        {
            self.turns.remove(&turn);
        }
        let idle = host.jobs.is_empty() && host.busy == 0 && host.saying_last == 0;
        if idle && ((!host.proven && host.rests.is_none()) || self.hosts.len() > HOSTS) {
            self.hosts.remove(name);
        }
    }

    fn remove(&mut self, ticket: u64) -> Option<Running> {
        let it = self.running.remove(&ticket)?;
        if let Some(host) = self.hosts.get_mut(&it.host) {
            let count = if it.last { &mut host.saying_last } else { &mut host.busy };
            *count = count.saturating_sub(1);
        }
        self.settle(&it.host);
        Some(it)
    }

    fn places_taken(&self) -> usize {
        self.running.values().filter(|it| !it.last).count()
    }

    /// Whether more threads have something to do than are idle.
    pub(super) fn wants_thread(&self) -> bool {
        let mut idle = self.idle;
        let mut pressing = self.last_words.len().min(LAST_WORDS) + self.fetches.len();
        let free = PLACES.saturating_sub(self.places_taken());
        // Where there is no place one thread sees to it that somebody gives way.
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

    /// The next job. A host that lets us wait gives way where all places are taken.
    pub(super) fn take(&mut self, now: Instant, ender: Ender, telling: &mut Telling) -> Turn {
        if let Some(fetch) = self.fetches.pop_front() {
            let ticket = self.number();
            self.fetching.insert(ticket, ender);
            return Turn::Job(Box::new(Taken { ticket, job: Job::Fetch(fetch), rests: [false; 2] }));
        }
        let free =
            |(name, _): &(String, Attempt)| self.hosts.get(name).is_none_or(|host| host.saying_last < LAST_PER_HOST);
        let last = self.last_words.iter().position(free);
        if let Some((_, attempt)) = last.and_then(|at| self.last_words.remove(at)) {
            return self.run(now, attempt, ender);
        }
        let Some(name) = self.next_host() else { return Turn::Wait(None) };
        if self.places_taken() >= PLACES {
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

    /// The host that is next, if one may be asked.
    fn next_host(&self) -> Option<String> {
        let may = |name: &&String| self.hosts.get(*name).is_some_and(|host| host.free() > 0 && !host.jobs.is_empty());
        let found = if self.newest { self.turns.values().rev().find(may) } else { self.turns.values().find(may) };
        found.cloned()
    }

    fn run(&mut self, now: Instant, attempt: Attempt, ender: Ender) -> Turn {
        let (url, last) = (attempt.ask.url.clone(), attempt.is_last());
        let name = host_of(&url, attempt.twin);
        let rests = |it: &Self, v6: bool| {
            let host = it.hosts.get(&host_of(&url, v6));
            host.and_then(|host| host.rests).is_some_and(|until| until > now)
        };
        // A last word has no time for a family that has never answered.
        let proven = self.hosts.get(&host_of(&url, true)).is_some_and(|host| host.proven);
        let rests = [rests(self, false), rests(self, true) || (last && !proven)];
        let ticket = self.number();
        let host = self.hosts.entry(name.clone()).or_default();
        *(if last { &mut host.saying_last } else { &mut host.busy }) += 1;
        let proven = host.proven;
        let torrent = attempt.asker.info_hash;
        let answering = Arc::clone(&attempt.answering);
        self.running
            .insert(ticket, Running { host: name.clone(), torrent, url, last, since: now, proven, answering, ender });
        self.settle(&name);
        Turn::Job(Box::new(Taken { ticket, job: Job::Announce(attempt), rests }))
    }

    /// Takes its place from one that lets us wait: as if its time were up.
    fn abandon(&mut self, ticket: u64, telling: &mut Telling) {
        let Some(it) = self.running.get(&ticket) else { return };
        it.ender.end();
        let answering = Arc::clone(&it.answering);
        let error = AnnounceError::new("no answer in time");
        self.died(ticket, &error, telling);
        telling.push((answering, error));
    }

    /// A job is over; whether its answer is still wanted. `chose` is the family that was chosen where there were both.
    pub(super) fn finished(
        &mut self,
        ticket: u64,
        now: Instant,
        dead: Option<&AnnounceError>,
        chose: Option<bool>,
        telling: &mut Telling,
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
            Some(error) => self.died(ticket, error, telling),
            None => {
                if let Some(host) = self.hosts.get_mut(&it.host) {
                    host.proven = true;
                }
                self.remove(ticket);
            }
        }
        true
    }

    /// A host did not answer: nor will it answer those who wait for it.
    fn died(&mut self, ticket: u64, error: &AnnounceError, telling: &mut Telling) {
        let Some(it) = self.running.get(&ticket) else { return };
        // A last word has little time, and says nothing about the host.
        if !it.last
            && let Some(host) = self.hosts.get_mut(&it.host)
        {
            host.proven = false;
            self.waiting -= host.jobs.len();
            telling.extend(host.jobs.drain(..).map(|job| (job.answering, error.clone())));
        }
        self.remove(ticket);
    }

    /// Ends everything; what waits is to be told so.
    pub(super) fn close(&mut self) -> (Telling, Vec<Fetch>) {
        self.closed = true;
        let stopped = |attempt: Attempt| (attempt.answering, AnnounceError::new("stopped"));
        let waiting = self.hosts.values_mut().flat_map(|host| host.jobs.drain(..));
        let telling = waiting.chain(self.last_words.drain(..).map(|(_, attempt)| attempt)).map(stopped).collect();
        self.turns.clear();
        self.waiting = 0;
        self.running.values().for_each(|it| it.ender.end());
        self.fetching.values().for_each(Ender::end);
        (telling, self.fetches.drain(..).collect())
    }
}
