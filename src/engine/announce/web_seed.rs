//! Web seeds (BEP 19): one thread per web seed downloads the requested byte ranges over HTTP. The blocks are passed
//! on as by a peer's reader thread. Which ranges are requested from which web seed is decided in `swarm`.

use std::cell::RefCell;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Buf;
use crossbeam_channel::{Receiver, Sender, bounded};
use ureq::BodyReader;
use ureq::http::HeaderMap;

use super::Announcer;
use super::client::{CancelHandle, Client, parse, retry_after};
use super::error::describe_io_error;
use super::work::caught;
use crate::engine::buffers::{Buffer, BufferPool, CLASSES};
use crate::engine::inbox::{ConnectionPermit, ReadSemaphore, TorrentHandle, TorrentStopped};
use crate::limits;
use crate::swarm::torrent::{DisconnectReason, FileRange, Input, PeerKey, WebSeedError, WebSeedFetch};
use crate::wire::message::{Block, Message};
use crate::wire::sanitize::sanitize;
use crate::wire::web_seed::{ContentRange, content_range};

/// The capacity of the request channel; the torrent state machine keeps at most two requests in flight.
const WAITING: usize = 8;
/// The maximum delay until blocks of a slow server are passed on.
const PATIENCE: Duration = Duration::from_millis(100);
/// The maximum width of a path in a message, in columns.
const PATH: usize = 80;
/// The smallest partial response that is accepted, in bytes.
const LEAST: u64 = 16 * 1024;
/// The read size while skipping bytes.
const SKIPPED: u64 = 64 * 1024;

/// Handle of a web seed's thread, owned by the torrent. Dropping it cancels the request in progress and ends
/// the thread.
pub struct WebSeedHandle {
    jobs: Sender<(u64, WebSeedFetch)>,
    asked: u64,
    /// Requests up to this number are canceled.
    given_up: Arc<AtomicU64>,
    ender: CancelHandle,
    _seat: ConnectionPermit,
}

impl WebSeedHandle {
    /// Queues a request; returns false if the thread does not accept it.
    pub fn fetch(&mut self, fetch: WebSeedFetch) -> bool {
        self.asked += 1;
        self.jobs.try_send((self.asked, fetch)).is_ok()
    }

    /// Cancels all requests made so far.
    pub fn give_up(&self) {
        self.given_up.store(self.asked, Ordering::Relaxed);
    }
}

impl Drop for WebSeedHandle {
    fn drop(&mut self) {
        self.given_up.store(u64::MAX, Ordering::Relaxed);
        self.ender.end();
    }
}

impl Announcer {
    /// Starts the thread of a web seed, which reports to `inbox` as the peer `peer`.
    ///
    /// # Errors
    /// If the thread cannot be spawned.
    pub fn start_web_seed(
        &self,
        name: String,
        peer: PeerKey,
        (inbox, pool, seat): (TorrentHandle, BufferPool, ConnectionPermit),
    ) -> io::Result<WebSeedHandle> {
        let client = Client::new(&self.web, self.shared.bind, &self.shared.names);
        let ender = client.cancel_handle();
        // The user chose the torrent, and a web seed may be on the local network: any path, but no query, which could
        // be a command.
        client.rules.any_path.store(true, Ordering::Relaxed);
        client.rules.no_query.store(true, Ordering::Relaxed);
        client.rules.any_family.store(true, Ordering::Relaxed);
        let (jobs, todo) = bounded(WAITING);
        let given_up = Arc::<AtomicU64>::default();
        let gone = inbox.clone();
        let fault = move |words| {
            gone.send(Input::PeerDisconnected {
                peer,
                why: DisconnectReason::Network(format!("a fault of ours: {words}")),
            });
        };
        let thread = Thread {
            peer,
            client,
            inbox,
            pool,
            given_up: Arc::clone(&given_up),
            credit: Arc::default(),
            open: RefCell::default(),
        };
        self.shared.crew.spawn(name, move || thread.run(&todo), fault)?;
        Ok(WebSeedHandle { jobs, asked: 0, given_up, ender, _seat: seat })
    }
}

struct Thread {
    peer: PeerKey,
    client: Client,
    inbox: TorrentHandle,
    pool: BufferPool,
    given_up: Arc<AtomicU64>,
    credit: Arc<ReadSemaphore>,
    /// The open response of a server that sends whole files, at its current position.
    open: RefCell<Option<Open>>,
}

/// An open HTTP response for a whole file.
struct Open {
    url: String,
    at: u64,
    body: BodyReader<'static>,
}

/// Creates an error that concerns the whole web seed.
const fn fault(words: String) -> WebSeedError {
    WebSeedError { file: None, wait: None, whole: false, words }
}

/// The torrent has ended, so the message is never read.
fn over(_: TorrentStopped) -> WebSeedError {
    fault(String::new())
}

impl Thread {
    fn run(self, todo: &Receiver<(u64, WebSeedFetch)>) {
        for (number, fetch) in todo {
            let result = match self.is_given_up(number) {
                true => Ok(()),
                // A panic in third-party code fails one request only.
                false => caught(|| self.fetch(number, &fetch)).unwrap_or_else(|why| Err(fault(why.to_string()))),
            };
            let result = if self.is_given_up(number) { Ok(()) } else { result };
            // On the same queue as the blocks, so that the torrent handles this message after them.
            if self.inbox.bulk(Input::WebFetchDone { peer: self.peer, result }, self.credit.take()).is_err() {
                return;
            }
        }
    }

    fn is_given_up(&self, number: u64) -> bool {
        self.given_up.load(Ordering::Relaxed) >= number
    }

    fn fetch(&self, number: u64, fetch: &WebSeedFetch) -> Result<(), WebSeedError> {
        let mut sink = BlockSink::new(self, &fetch.blocks);
        let fetched = self.parts(number, fetch, &mut sink);
        // Blocks completed before an error are passed on too.
        sink.flush(true).map_err(over).and(fetched)
    }

    fn parts(&self, number: u64, fetch: &WebSeedFetch, sink: &mut BlockSink<'_>) -> Result<(), WebSeedError> {
        for part in &fetch.parts {
            match &part.url {
                None => copy(&mut io::repeat(0).take(part.length), part, sink, &|| self.is_given_up(number))?,
                Some(url) => self.part(number, (url, fetch.whole), part, sink)?,
            }
            if self.is_given_up(number) {
                break;
            }
        }
        Ok(())
    }

    /// Downloads a byte range of one file. If the server sends less than requested, the rest is requested again; a
    /// response with the whole file is kept open and read on by the next range.
    fn part(
        &self,
        number: u64,
        (address, whole): (&str, bool),
        part: &FileRange,
        sink: &mut BlockSink<'_>,
    ) -> Result<(), WebSeedError> {
        let mut rest = part.clone();
        while rest.length > 0 && !self.is_given_up(number) {
            let goes_on = |open: &mut Open| open.url == address && open.at <= rest.from;
            let open = self.open.borrow_mut().take_if(goes_on);
            let (mut open, give, comes_whole) = match open {
                Some(open) => (open, rest.length, true),
                None => self.ask(address, whole, &rest)?,
            };
            while open.at < rest.from {
                let most = (rest.from - open.at).min(SKIPPED);
                let passed = io::copy(&mut (&mut open.body).take(most), &mut io::sink());
                match passed.map_err(|e| fault(read_words(&e, &rest)))? {
                    0 => return Err(short(&rest, 0)),
                    n => open.at += n,
                }
                if self.is_given_up(number) {
                    return Ok(());
                }
            }
            let given = FileRange { length: give, ..rest.clone() };
            copy(&mut open.body, &given, sink, &|| self.is_given_up(number))?;
            (rest.from, rest.length, open.at) = (rest.from + give, rest.length - give, open.at + give);
            if comes_whole && rest.from < rest.size {
                if !self.is_given_up(number) {
                    *self.open.borrow_mut() = Some(open);
                }
                continue;
            }
            // Reading to the end frees the connection for the next request; if the server sends more, the connection
            // is closed.
            let _ = open.body.read(&mut [0]);
        }
        Ok(())
    }

    /// Requests a byte range. Returns the response, the number of requested bytes in it, and whether it is the whole
    /// file.
    fn ask(&self, address: &str, whole: bool, part: &FileRange) -> Result<(Open, u64, bool), WebSeedError> {
        // Closes the previous response: one connection at a time.
        *self.open.borrow_mut() = None;
        let url = parse(address).map_err(|why| fault(why.to_string()))?;
        let response = self.client.get(url, Some((part.from, part.from + part.length - 1)), None);
        let response = response.map_err(|error| fault(error.why.to_string()))?;
        let status = response.status().as_u16();
        let (at, give) = check_response_head(status, response.headers(), part, whole)?;
        // No size limit is needed: at most the requested number of bytes is read.
        let body = response.into_body().into_reader();
        Ok((Open { url: address.to_owned(), at, body }, give, status == 200))
    }
}

/// Checks the response head. Returns the file offset at which the body begins and how many of the requested bytes it
/// holds. `whole` allows any number of bytes to skip before them.
fn check_response_head(
    status: u16,
    headers: &HeaderMap,
    part: &FileRange,
    whole: bool,
) -> Result<(u64, u64), WebSeedError> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let path = sanitize(&part.path, PATH);
    let of_file = |words: String| WebSeedError { file: Some(part.file), ..fault(words) };
    let other_size = |is: u64| of_file(format!("{path} has {is} bytes there, not {}: another file", part.size));
    let packed = header("content-encoding").is_some_and(|packed| !packed.eq_ignore_ascii_case("identity"));
    match status {
        200 | 206 if packed => Err(of_file(format!("{path} comes packed there: its bytes cannot be told"))),
        206 => match header("content-range").and_then(content_range) {
            Some(ContentRange { total: Some(total), .. }) if total != part.size => Err(other_size(total)),
            Some(ContentRange { first, last, .. }) if first == part.from => match part.length.min(last - first + 1) {
                give if give < part.length.min(LEAST) => {
                    Err(fault(format!("it sends only {give} bytes of {path} at a time")))
                }
                give => Ok((first, give)),
            },
            _ => Err(fault(format!("it sends other bytes of {path} than were asked for"))),
        },
        200 => match header("content-length").and_then(|length| length.parse::<u64>().ok()) {
            Some(length) if length != part.size => Err(other_size(length)),
            _ if part.from > limits::WEB_SEED_SKIP && !whole => {
                let words = format!(
                    "it cannot send parts of a file, and {path} is long: it is read from the start, and only where nobody else gives anything"
                );
                Err(WebSeedError { whole: true, ..fault(words) })
            }
            _ => Ok((0, part.length)),
        },
        401 | 403 | 404 | 410 | 451 => Err(of_file(format!("{path} is not to be had there (status {status})"))),
        416 => Err(of_file(format!("{path} is shorter there: another file"))),
        _ => {
            let wait = retry_after(headers);
            Err(WebSeedError { file: None, wait, whole: false, words: format!("it answers with status {status}") })
        }
    }
}

fn short(part: &FileRange, got: u64) -> WebSeedError {
    fault(format!("it ended after {got} of {} bytes of {}", part.length, sanitize(&part.path, PATH)))
}

/// Describes a read error together with the file's path, which the system's message lacks.
fn read_words(error: &io::Error, part: &FileRange) -> String {
    format!("{} broke off: {}", sanitize(&part.path, PATH), sanitize(&describe_io_error(error), limits::TRACKER_TEXT))
}

/// Copies `part.length` bytes to the sink.
fn copy(
    from: &mut impl Read,
    part: &FileRange,
    sink: &mut BlockSink<'_>,
    given_up: &dyn Fn() -> bool,
) -> Result<(), WebSeedError> {
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

/// Cuts the received bytes into blocks and sends them to the torrent in batches.
struct BlockSink<'a> {
    thread: &'a Thread,
    blocks: &'a [Block],
    /// The number of blocks sent.
    done: usize,
    buffer: Buffer,
    flushed: Instant,
}

impl<'a> BlockSink<'a> {
    fn new(thread: &'a Thread, blocks: &'a [Block]) -> Self {
        let buffer = thread.pool.take(CLASSES.len() - 1);
        BlockSink { thread, blocks, done: 0, buffer, flushed: Instant::now() }
    }

    /// Returns the free part of the buffer; never empty.
    fn space(&mut self) -> Result<&mut [u8], TorrentStopped> {
        if self.buffer.space().is_empty() {
            self.flush(true)?;
        }
        Ok(self.buffer.space())
    }

    fn took(&mut self, n: usize) -> Result<(), TorrentStopped> {
        self.buffer.advance(n);
        self.flush(self.flushed.elapsed() >= PATIENCE)
    }

    /// Sends the complete blocks; unless `now` is set, only if the buffer is full.
    fn flush(&mut self, now: bool) -> Result<(), TorrentStopped> {
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
        self.thread.inbox.bulk(Input::Messages { peer: self.thread.peer, batch }, self.thread.credit.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(from: u64, length: u64, size: u64) -> FileRange {
        FileRange { file: 3, path: "a/b".into(), url: None, from, length, size }
    }

    fn judged(
        status: u16,
        headers: &[(&'static str, &str)],
        part: &FileRange,
    ) -> Result<(u64, u64), (Option<usize>, String)> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        check_response_head(status, &map, part, false).map_err(|fault| (fault.file, fault.words))
    }

    #[test]
    fn only_the_bytes_that_were_asked_for_are_taken() {
        let it = part(10, 5, 100);
        assert_eq!(judged(206, &[("content-range", "bytes 10-14/100")], &it), Ok((10, 5)));
        assert_eq!(judged(206, &[("content-range", "bytes 10-14/*")], &it), Ok((10, 5)));
        assert!(judged(206, &[("content-range", "bytes 0-4/100")], &it).is_err_and(|(file, _)| file.is_none()));
        assert!(judged(206, &[], &it).is_err());
        let (file, words) = judged(206, &[("content-range", "bytes 10-14/99")], &it).unwrap_err();
        assert_eq!((file, words.as_str()), (Some(3), "a/b has 99 bytes there, not 100: another file"));
        assert!(judged(206, &[("content-range", "bytes 10-14/100"), ("content-encoding", "gzip")], &it).is_err());
    }

    #[test]
    fn a_whole_file_is_read_up_to_what_is_wanted_unless_it_is_long() {
        assert_eq!(judged(200, &[("content-length", "100")], &part(10, 5, 100)), Ok((0, 5)));
        assert_eq!(judged(200, &[], &part(0, 5, 100)), Ok((0, 5)));
        assert!(judged(200, &[("content-length", "9")], &part(0, 5, 100)).is_err_and(|(file, _)| file == Some(3)));
        let far = limits::WEB_SEED_SKIP + 1;
        let map = HeaderMap::new();
        assert!(
            check_response_head(200, &map, &part(far, 5, far + 5), false)
                .is_err_and(|fault| fault.whole && fault.file.is_none())
        );
        assert_eq!(check_response_head(200, &map, &part(far, 5, far + 5), true), Ok((0, 5)));
    }

    #[test]
    fn a_shorter_answer_is_taken_as_far_as_it_goes() {
        let it = part(0, 1 << 20, 1 << 22);
        for (range, give) in
            [("bytes 0-1048575/4194304", 1 << 20), ("bytes 0-65535/*", 65536), ("bytes 0-16383/*", 16384)]
        {
            assert_eq!(judged(206, &[("content-range", range)], &it), Ok((0, give)), "{range}");
        }
        // Bytes beyond the requested range are not read, and a tiny response is refused.
        assert_eq!(judged(206, &[("content-range", "bytes 0-2097151/*")], &it), Ok((0, 1 << 20)));
        assert!(
            judged(206, &[("content-range", "bytes 0-0/*")], &it).is_err_and(|(_, words)| words.contains("1 bytes"))
        );
        assert_eq!(judged(206, &[("content-range", "bytes 7-7/9")], &part(7, 1, 9)), Ok((7, 1)));
    }

    #[test]
    fn refusals_concern_a_file_or_all_and_say_for_how_long() {
        assert!(judged(404, &[], &part(0, 1, 1)).is_err_and(|(file, words)| file.is_some() && words.contains("404")));
        assert!(judged(416, &[], &part(0, 1, 1)).is_err_and(|(file, _)| file.is_some()));
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", "17".parse().unwrap());
        let busy = check_response_head(503, &headers, &part(0, 1, 1), false).unwrap_err();
        assert_eq!((busy.file, busy.wait), (None, Some(Duration::from_secs(17))));
        let mut wait = |text: &str| {
            headers.insert("retry-after", text.parse().unwrap());
            check_response_head(503, &headers, &part(0, 1, 1), false).unwrap_err().wait
        };
        // HTTP has three date formats; a date in the past means no delay.
        assert_eq!(wait("Fri, 31 Dec 1999 23:59:59 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("Friday, 31-Dec-99 23:59:59 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("Fri Dec 31 23:59:59 1999"), Some(Duration::ZERO));
        let soon = httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(3600));
        assert!(wait(&soon).is_some_and(|wait| wait > Duration::from_secs(3000) && wait <= Duration::from_secs(3600)));
        assert_eq!((wait(" 5 "), wait("soon"), wait("-1")), (Some(Duration::from_secs(5)), None, None));
    }
}
