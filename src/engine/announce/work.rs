//! The HTTP worker threads, started on demand: each takes jobs from the request queue and performs them one after the
//! other.

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ureq::config::Config;
use url::Url;

use super::client::{Client, Families, Reached, RequestPolicy, Response, parse, retry_after};
use super::error::{FetchError, HttpError, RequestError, WorkerFault};
use super::names::HostResolver;
use super::queue::{Attempt, FailedAnnounces, Fetch, Job, Queue, THREADS, Taken, Turn};
use crate::engine::threads::ThreadGroup;
use crate::limits;
use crate::wire::sanitize::sanitize;
use crate::wire::tracker::{
    AnnounceError, AnnounceEvent, AnnounceResponse, ResponseError, Retry, announce_url, decode_announce_response,
};

/// An idle worker thread ends after this time.
const IDLE: Duration = Duration::from_secs(20);

/// State shared by the announcer and its worker threads.
pub(super) struct Shared {
    pub(super) queue: Mutex<Queue>,
    pub(super) changed: Condvar,
    pub(super) crew: ThreadGroup,
    pub(super) config: Config,
    pub(super) bind: Option<IpAddr>,
    pub(super) names: HostResolver,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(self: &Arc<Self>, attempt: Attempt) {
        let mut queue = self.lock();
        let mut telling = FailedAnnounces::new();
        let pushed = if queue.closed { Err(Box::new(attempt)) } else { queue.push(attempt, &mut telling) };
        self.ensure_worker(queue);
        report_failures(telling);
        if let Err(attempt) = pushed {
            attempt.answering.answer(Err(AnnounceError::new("too many announces are waiting")));
        }
    }

    /// Spawns a worker if the queued work needs one, unlocks the queue and wakes an idle worker.
    pub(super) fn ensure_worker(self: &Arc<Self>, mut queue: MutexGuard<'_, Queue>) {
        if queue.wants_thread() && queue.threads < THREADS {
            let worker = Worker::new(Arc::clone(self));
            match self.crew.spawn(format!("http{}", queue.threads), move || worker.run(), |_| ()) {
                Ok(()) => queue.threads += 1,
                Err(e) if queue.threads > 0 => tracing::warn!("no thread for an announce: {e}"),
                Err(e) => {
                    let (telling, fetches) = queue.close();
                    queue.reopen();
                    drop(queue);
                    let why = FetchError::NoThread(e.to_string());
                    telling.into_iter().for_each(|(to, _)| to.answer(Err(AnnounceError::new(why.to_string()))));
                    return fetches.into_iter().for_each(|fetch| (fetch.done)(Err(why.clone())));
                }
            }
        }
        drop(queue);
        self.changed.notify_one();
    }
}

/// Reports the failed announces to their callbacks. The queue must not be locked: a callback may announce again.
pub(super) fn report_failures(telling: FailedAnnounces) {
    telling.into_iter().for_each(|(answering, error)| answering.answer(Err(error)));
}

/// A worker thread.
pub(super) struct Worker {
    shared: Arc<Shared>,
    client: Client,
}

/// An HTTP response before it is decoded.
struct Answer {
    status: u16,
    retry_after: Option<Duration>,
    /// The compression of the body, if it is one that is neither asked for nor undone here.
    packed: Option<String>,
    body: Vec<u8>,
}

/// The result of an announce, and whether its host did not respond at all.
type Outcome = (Result<AnnounceResponse, AnnounceError>, bool);

impl Worker {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let client = Client::new(&shared.config, shared.bind, &shared.names);
        Worker { shared, client }
    }

    /// Runs until the queue is closed or the thread has been idle for [`IDLE`].
    pub(super) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let mut queue = shared.lock();
        let mut since = Instant::now();
        loop {
            let now = Instant::now();
            if queue.closed || now >= since + IDLE {
                queue.threads -= 1;
                return;
            }
            let mut telling = FailedAnnounces::new();
            match queue.take(now, self.client.cancel_handle(), &mut telling) {
                Turn::Wait(at) => {
                    queue.idle += 1;
                    let until = at.map_or(since + IDLE, |at| at.min(since + IDLE));
                    let wait = shared.changed.wait_timeout(queue, until.saturating_duration_since(now));
                    queue = wait.unwrap_or_else(PoisonError::into_inner).0;
                    queue.idle -= 1;
                }
                Turn::Job(taken) => {
                    // Another thread may be needed for the remaining jobs.
                    shared.ensure_worker(queue);
                    report_failures(telling);
                    self.perform(*taken);
                    if self.client.ended() {
                        self.client = Client::new(&shared.config, shared.bind, &shared.names);
                    }
                    queue = shared.lock();
                    since = Instant::now();
                }
            }
        }
    }

    fn perform(&self, taken: Taken) {
        let Taken { ticket, job, rests } = taken;
        match job {
            Job::Announce(attempt) => {
                let (result, dead) = self.announce(&attempt, rests);
                let chose = self.client.rules.families().chosen;
                let mut telling = FailedAnnounces::new();
                let dead = result.as_ref().err().filter(|_| dead);
                let wanted = self.shared.lock().finished(ticket, Instant::now(), dead, chose, &mut telling);
                report_failures(telling);
                if wanted {
                    attempt.answering.answer(result);
                }
            }
            Job::Fetch(Fetch { url, max, torrents_only, done }) => {
                self.client.rules.torrents_only.store(torrents_only, Ordering::Relaxed);
                let result = caught(|| self.fetch(&url, max)).map_err(FetchError::from).flatten();
                self.client.rules.torrents_only.store(false, Ordering::Relaxed);
                self.shared.lock().finished(ticket, Instant::now(), None, None, &mut FailedAnnounces::new());
                done(result);
            }
        }
    }

    fn fetch(&self, url: &str, max: u64) -> Result<Vec<u8>, FetchError> {
        // URLs of downloads may have any path.
        let rules = &self.client.rules;
        rules.any_path.store(true, Ordering::Relaxed);
        rules.any_family.store(true, Ordering::Relaxed);
        let deadline = Instant::now() + limits::TRACKER;
        let reached = parse(url).map_err(HttpError::from).and_then(|url| self.client.reach(url, None, Some(deadline)));
        let answer = reached.and_then(|reached| match reached {
            Reached::Answer(response) => read(*response, max),
            Reached::Magnet(link) => {
                Ok(Answer { status: 200, retry_after: None, packed: None, body: link.into_bytes() })
            }
        });
        rules.any_path.store(false, Ordering::Relaxed);
        rules.any_family.store(false, Ordering::Relaxed);
        match answer.map_err(|error| error.why)? {
            Answer { status: 200..=299, packed: Some(how), body, .. } if body.first() != Some(&b'd') => {
                Err(FetchError::Compressed(how))
            }
            Answer { status: 200..=299, body, .. } => Ok(body),
            Answer { status, .. } => Err(FetchError::Status(status)),
        }
    }

    /// Performs one announce. If both the tracker and this host have IPv4 and IPv6 (BEP 7), queues a second announce
    /// over IPv6, so that peers of both families learn our address.
    fn announce(&self, attempt: &Attempt, rests: [bool; 2]) -> Outcome {
        let last = attempt.ask.event == AnnounceEvent::Stopped;
        let deadline = if last { attempt.since + limits::LAST_ANNOUNCE } else { Instant::now() + limits::TRACKER };
        let twin: Option<Box<dyn FnOnce() + Send>> = if attempt.twin { None } else { Some(self.twin(attempt)) };
        let only = attempt.twin.then_some(true);
        *self.client.rules.families() = Families { only, rests, twin, chosen: None };
        let outcome = caught(|| self.ask(attempt, deadline))
            .unwrap_or_else(|why| (Err(AnnounceError::new(why.to_string())), false));
        self.client.rules.families().twin = None;
        outcome
    }

    /// Returns the callback that queues the same announce over IPv6.
    fn twin(&self, attempt: &Attempt) -> Box<dyn FnOnce() + Send> {
        let shared = Arc::clone(&self.shared);
        let twin = Attempt {
            ask: attempt.ask.clone(),
            asker: attempt.asker,
            answering: Arc::clone(&attempt.answering),
            since: attempt.since,
            twin: true,
        };
        Box::new(move || {
            twin.answering.add_attempt();
            shared.push(twin);
        })
    }

    fn ask(&self, attempt: &Attempt, deadline: Instant) -> Outcome {
        let answer = self.request(attempt).and_then(|url| self.follow(url, limits::TRACKER_REPLY, deadline));
        let answer = match answer {
            Ok(answer) => answer,
            Err(HttpError { why, host_unreachable: dead }) => {
                let forbidden = RequestPolicy::get(&self.client.rules.forbidden);
                return (Err(AnnounceError { forbidden, ..AnnounceError::new(why.to_string()) }), dead);
            }
        };
        let refused = |error: ResponseError| match answer.status {
            200..=299 => error.into(),
            status if error == ResponseError::NotATracker => {
                let retry = answer.retry_after.map_or(Retry::Unspecified, Retry::After);
                AnnounceError { retry, ..AnnounceError::new(format!("it answers with status {status}")) }
            }
            status => {
                let error = AnnounceError::from(error);
                AnnounceError { why: format!("{} (status {status})", error.why), ..error }
            }
        };
        (decode_announce_response(&answer.body).map_err(refused), false)
    }

    fn request(&self, attempt: &Attempt) -> Result<Url, HttpError> {
        let mut ask = attempt.ask.clone();
        ask.url = parse(&ask.url)?.into();
        let url = announce_url(&ask, &attempt.asker).map_err(|e| RequestError::Announce(e.to_string()))?;
        Ok(parse(&url)?)
    }

    /// Sends a GET request and reads at most `max` bytes of the response.
    fn follow(&self, url: Url, max: u64, deadline: Instant) -> Result<Answer, HttpError> {
        read(self.client.get(url, None, Some(deadline))?, max)
    }
}

fn read(mut response: Response, max: u64) -> Result<Answer, HttpError> {
    let (status, retry_after) = (response.status().as_u16(), retry_after(response.headers()));
    let packed = response.headers().get("content-encoding").map(|how| String::from_utf8_lossy(how.as_bytes()));
    let packed = packed.map(|how| sanitize(how.trim(), limits::TRACKER_TEXT).to_ascii_lowercase());
    let packed = packed.filter(|how| !matches!(how.as_str(), "" | "identity" | "gzip" | "x-gzip"));
    let body = response.body_mut().with_config().limit(max).read_to_vec()?;
    Ok(Answer { status, retry_after, packed, body })
}

/// Runs code that may panic, so that a panic fails one request instead of ending the thread. Third-party code parses
/// untrusted input here.
///
/// # Errors
/// If `work` panicked.
pub(super) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, WorkerFault> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| WorkerFault)
}
