//! Web seeds (BEP 19): one thread each that fetches what the torrent asks for, one request after the other over one
//! connection, and hands the blocks on as a peer's reader does. What is asked for, and of whom, is not decided here.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Buf;
use crossbeam_channel::{Receiver, Sender, bounded};
use ureq::Agent;
use ureq::http::HeaderMap;

use super::client::{Client, parse};
use super::{Announcer, caught};
use crate::engine::buffers::{Buffer, CLASSES, Pool};
use crate::engine::inbox::{Credit, Ended, Inbox, Seat};
use crate::limits;
use crate::swarm::torrent::{Fetch, Gone, Input, Part, PeerKey, WebFault};
use crate::wire::message::{Block, Message};
use crate::wire::text::clean;
use crate::wire::web_seed::content_range;

/// Fetches that wait: the machine asks for two at a time.
const WAITING: usize = 8;
/// Blocks of a slow server are handed on after this long at the latest.
const PATIENCE: Duration = Duration::from_millis(100);
/// The longest path told in a sentence, in columns.
const PATH: usize = 80;
/// Bytes read at once where they are thrown away.
const SKIPPED: u64 = 64 * 1024;

/// A web seed as its torrent's thread holds it. Dropping it ends its thread, whatever that waits for.
pub struct WebLine {
    jobs: Sender<(u64, Fetch)>,
    asked: u64,
    /// Fetches up to this one are given up.
    given_up: Arc<AtomicU64>,
    agent: Option<Agent>,
    _seat: Seat,
}

impl WebLine {
    /// Fetches this after what was asked before; false when the thread does not take it.
    pub fn fetch(&mut self, fetch: Fetch) -> bool {
        self.asked += 1;
        self.jobs.try_send((self.asked, fetch)).is_ok()
    }

    /// Gives up what was asked so far.
    pub fn give_up(&self) {
        self.given_up.store(self.asked, Ordering::Relaxed);
    }
}

impl Drop for WebLine {
    fn drop(&mut self) {
        self.given_up.store(u64::MAX, Ordering::Relaxed);
        self.agent.take().into_iter().for_each(Agent::shutdown);
    }
}

impl Announcer {
    /// Starts the thread of a web seed, which answers to `inbox` under the name of `peer`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn web_line(
        &self,
        name: String,
        peer: PeerKey,
        (inbox, pool, seat): (Inbox, Pool, Seat),
    ) -> io::Result<WebLine> {
        let (agent, client) = Client::new(&self.web, self.bind);
        // The user chose the torrent, and it may lie in his own network: any path, but nothing that could be a command.
        client.rules.any_path.store(true, Ordering::Relaxed);
        client.rules.no_query.store(true, Ordering::Relaxed);
        client.rules.any_family.store(true, Ordering::Relaxed);
        let (jobs, todo) = bounded(WAITING);
        let given_up = Arc::<AtomicU64>::default();
        let gone = inbox.clone();
        let fault =
            move |words| gone.tell(Input::Gone { peer, why: Gone::Network(format!("a fault of ours: {words}")) });
        let thread = Thread { peer, client, inbox, pool, given_up: Arc::clone(&given_up), credit: Arc::default() };
        self.crew.spawn(name, move || thread.run(&todo), fault)?;
        Ok(WebLine { jobs, asked: 0, given_up, agent: Some(agent), _seat: seat })
    }
}

struct Thread {
    peer: PeerKey,
    client: Client,
    inbox: Inbox,
    pool: Pool,
    given_up: Arc<AtomicU64>,
    credit: Arc<Credit>,
}

/// A fault in these words, of nothing in particular.
const fn fault(words: String) -> WebFault {
    WebFault { file: None, wait: None, words }
}

/// The torrent's thread has ended: nobody wants to know more.
fn over(_: Ended) -> WebFault {
    fault(String::new())
}

impl Thread {
    fn run(self, todo: &Receiver<(u64, Fetch)>) {
        for (number, fetch) in todo {
            let result = match self.is_given_up(number) {
                true => Ok(()),
                // What the code of others panics at costs one fetch.
                false => caught(|| Ok(self.fetch(number, &fetch))).unwrap_or_else(|words| Err(fault(words))),
            };
            let result = if self.is_given_up(number) { Ok(()) } else { result };
            // Behind its blocks, so that it is read after them.
            if self.inbox.bulk(Input::Fetched { peer: self.peer, result }, self.credit.take()).is_err() {
                return;
            }
        }
    }

    fn is_given_up(&self, number: u64) -> bool {
        self.given_up.load(Ordering::Relaxed) >= number
    }

    fn fetch(&self, number: u64, fetch: &Fetch) -> Result<(), WebFault> {
        let mut sink = Sink::new(self, &fetch.blocks);
        let fetched = self.parts(number, &fetch.parts, &mut sink);
        // What came whole before it broke off is as good as the rest.
        sink.flush(true).map_err(over).and(fetched)
    }

    fn parts(&self, number: u64, parts: &[Part], sink: &mut Sink<'_>) -> Result<(), WebFault> {
        for part in parts {
            match &part.url {
                None => copy(&mut io::repeat(0).take(part.length), part, sink, &|| self.is_given_up(number))?,
                Some(url) => self.part(number, url, part, sink)?,
            }
            if self.is_given_up(number) {
                break;
            }
        }
        Ok(())
    }

    /// Fetches bytes of one file.
    fn part(&self, number: u64, url: &str, part: &Part, sink: &mut Sink<'_>) -> Result<(), WebFault> {
        let url = parse(url).map_err(fault)?;
        let mut response = self.client.get(url, Some((part.from, part.from + part.length - 1)), None).map_err(fault)?;
        let status = response.status().as_u16();
        let mut skip = judge(status, response.headers(), part)?;
        // No limit is needed: no more is read than was asked for.
        let mut body = response.body_mut().as_reader();
        while skip > 0 {
            let passed = io::copy(&mut (&mut body).take(skip.min(SKIPPED)), &mut io::sink());
            match passed.map_err(|e| fault(read_words(&e, part)))? {
                0 => return Err(short(part, 0)),
                n => skip -= n,
            }
            if self.is_given_up(number) {
                return Ok(());
            }
        }
        copy(&mut body, part, sink, &|| self.is_given_up(number))?;
        // At its end the connection is free for the next request; a server that sends more loses it.
        let _ = body.read(&mut [0]);
        Ok(())
    }
}

/// What the head of an answer means: how many bytes of its body come before those that are wanted.
fn judge(status: u16, headers: &HeaderMap, part: &Part) -> Result<u64, WebFault> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let path = clean(&part.path, PATH);
    let of_file = |words: String| WebFault { file: Some(part.file), wait: None, words };
    let other_size = |is: u64| of_file(format!("{path} has {is} bytes there, not {}: another file", part.size));
    let packed = header("content-encoding").is_some_and(|packed| !packed.eq_ignore_ascii_case("identity"));
    match status {
        200 | 206 if packed => Err(of_file(format!("{path} comes packed there: its bytes cannot be told"))),
        206 => match header("content-range").and_then(content_range) {
            Some((_, Some(total))) if total != part.size => Err(other_size(total)),
            Some((first, _)) if first == part.from => Ok(0),
            _ => Err(fault(format!("it sends other bytes of {path} than were asked for"))),
        },
        200 => match header("content-length").and_then(|length| length.parse::<u64>().ok()) {
            Some(length) if length != part.size => Err(other_size(length)),
            _ if part.from > limits::WEB_SEED_SKIP => {
                Err(of_file(format!("it cannot send parts of a file, and {path} is long")))
            }
            _ => Ok(part.from),
        },
        401 | 403 | 404 | 410 | 451 => Err(of_file(format!("{path} is not to be had there (status {status})"))),
        416 => Err(of_file(format!("{path} is shorter there: another file"))),
        _ => {
            let wait = header("retry-after").and_then(|wait| wait.trim().parse().ok()).map(Duration::from_secs);
            Err(WebFault { file: None, wait, words: format!("it answers with status {status}") })
        }
    }
}

fn short(part: &Part, got: u64) -> WebFault {
    fault(format!("it ended after {got} of {} bytes of {}", part.length, clean(&part.path, PATH)))
}

/// What reading failed with. The system's words alone would not say of what.
fn read_words(error: &io::Error, part: &Part) -> String {
    format!("{} broke off: {}", clean(&part.path, PATH), clean(&error.to_string(), limits::TRACKER_TEXT))
}

/// Hands on as many bytes as the part has.
fn copy(from: &mut impl Read, part: &Part, sink: &mut Sink<'_>, given_up: &dyn Fn() -> bool) -> Result<(), WebFault> {
    let mut left = part.length;
    while left > 0 && !given_up() {
        let space = sink.space().map_err(over)?;
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(space.len());
        let n = match from.read(&mut space[..most]) {
            Ok(0) => return Err(short(part, part.length - left)),
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(fault(read_words(&e, part))),
        };
        left -= n as u64;
        sink.took(n).map_err(over)?;
    }
    Ok(())
}

/// Where the bytes go: cut into blocks, a batch at a time, to the torrent.
struct Sink<'a> {
    thread: &'a Thread,
    blocks: &'a [Block],
    /// How many of them have been handed on.
    done: usize,
    buffer: Buffer,
    flushed: Instant,
}

impl<'a> Sink<'a> {
    fn new(thread: &'a Thread, blocks: &'a [Block]) -> Self {
        let buffer = thread.pool.take(CLASSES.len() - 1);
        Sink { thread, blocks, done: 0, buffer, flushed: Instant::now() }
    }

    /// Where more bytes can be put; never empty.
    fn space(&mut self) -> Result<&mut [u8], Ended> {
        if self.buffer.space().is_empty() {
            self.flush(true)?;
        }
        Ok(self.buffer.space())
    }

    fn took(&mut self, n: usize) -> Result<(), Ended> {
        self.buffer.advance(n);
        self.flush(self.flushed.elapsed() >= PATIENCE)
    }

    /// Hands on the blocks that are whole; all of them or, where it is not pressing, when there is no room for more.
    fn flush(&mut self, now: bool) -> Result<(), Ended> {
        if !now && !self.buffer.space().is_empty() {
            return Ok(());
        }
        let mut whole = 0;
        let filled = self.buffer.filled().len();
        let ready = self.blocks[self.done..].iter().take_while(|block| {
            whole += block.length as usize;
            whole <= filled
        });
        let count = ready.count();
        if count == 0 {
            return Ok(());
        }
        let next = self.thread.pool.take(CLASSES.len() - 1);
        let mut bytes = std::mem::replace(&mut self.buffer, next).freeze();
        let piece = |block: &Block| Message::Piece {
            piece: block.piece,
            begin: block.begin,
            data: bytes.split_to(block.length as usize),
        };
        let batch = self.blocks[self.done..self.done + count].iter().map(piece).collect();
        self.done += count;
        self.buffer.put(&bytes);
        bytes.advance(bytes.len());
        self.flushed = Instant::now();
        self.thread.inbox.bulk(Input::Wire { peer: self.thread.peer, batch }, self.thread.credit.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(from: u64, length: u64, size: u64) -> Part {
        Part { file: 3, path: "a/b".into(), url: None, from, length, size }
    }

    fn judged(status: u16, headers: &[(&'static str, &str)], part: &Part) -> Result<u64, (Option<usize>, String)> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        judge(status, &map, part).map_err(|fault| (fault.file, fault.words))
    }

    #[test]
    fn only_the_bytes_that_were_asked_for_are_taken() {
        let it = part(10, 5, 100);
        assert_eq!(judged(206, &[("content-range", "bytes 10-14/100")], &it), Ok(0));
        assert_eq!(judged(206, &[("content-range", "bytes 10-14/*")], &it), Ok(0));
        assert!(judged(206, &[("content-range", "bytes 0-4/100")], &it).is_err_and(|(file, _)| file.is_none()));
        assert!(judged(206, &[], &it).is_err());
        let (file, words) = judged(206, &[("content-range", "bytes 10-14/99")], &it).unwrap_err();
        assert_eq!((file, words.as_str()), (Some(3), "a/b has 99 bytes there, not 100: another file"));
        assert!(judged(206, &[("content-range", "bytes 10-14/100"), ("content-encoding", "gzip")], &it).is_err());
    }

    #[test]
    fn a_whole_file_is_read_up_to_what_is_wanted_unless_it_is_long() {
        assert_eq!(judged(200, &[("content-length", "100")], &part(10, 5, 100)), Ok(10));
        assert_eq!(judged(200, &[], &part(0, 5, 100)), Ok(0));
        assert!(judged(200, &[("content-length", "9")], &part(0, 5, 100)).is_err_and(|(file, _)| file == Some(3)));
        let far = limits::WEB_SEED_SKIP + 1;
        assert!(judged(200, &[], &part(far, 5, far + 5)).is_err_and(|(file, _)| file == Some(3)));
    }

    #[test]
    fn refusals_concern_a_file_or_all_and_say_for_how_long() {
        assert!(judged(404, &[], &part(0, 1, 1)).is_err_and(|(file, words)| file.is_some() && words.contains("404")));
        assert!(judged(416, &[], &part(0, 1, 1)).is_err_and(|(file, _)| file.is_some()));
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", "17".parse().unwrap());
        let busy = judge(503, &headers, &part(0, 1, 1)).unwrap_err();
        assert_eq!((busy.file, busy.wait), (None, Some(Duration::from_secs(17))));
        headers.insert("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT".parse().unwrap());
        assert_eq!(judge(503, &headers, &part(0, 1, 1)).unwrap_err().wait, None);
    }
}
