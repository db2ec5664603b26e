//! Web seeds (BEP 19): one thread each that fetches what the torrent asks for, one request after the other over one
//! connection, and hands the blocks on as a peer's reader does. What is asked for, and of whom, is not decided here.

use std::cell::RefCell;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Buf;
use crossbeam_channel::{Receiver, Sender, bounded};
use ureq::BodyReader;
use ureq::http::HeaderMap;

use super::client::{Client, Ender, parse, retry_after};
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
/// The fewest bytes that a server may hold a request down to.
const LEAST: u64 = 16 * 1024;
/// Bytes read at once where they are thrown away.
const SKIPPED: u64 = 64 * 1024;

/// A web seed as its torrent's thread holds it. Dropping it ends its thread, whatever that waits for.
pub struct WebLine {
    jobs: Sender<(u64, Fetch)>,
    asked: u64,
    /// Fetches up to this one are given up.
    given_up: Arc<AtomicU64>,
    ender: Ender,
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
        self.ender.end();
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
        let client = Client::new(&self.web, self.shared.bind, &self.shared.names);
        let ender = client.ender();
        // The user chose the torrent, and it may lie in his own network: any path, but nothing that could be a command.
        client.rules.any_path.store(true, Ordering::Relaxed);
        client.rules.no_query.store(true, Ordering::Relaxed);
        client.rules.any_family.store(true, Ordering::Relaxed);
        let (jobs, todo) = bounded(WAITING);
        let given_up = Arc::<AtomicU64>::default();
        let gone = inbox.clone();
        let fault =
            move |words| gone.tell(Input::Gone { peer, why: Gone::Network(format!("a fault of ours: {words}")) });
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
        Ok(WebLine { jobs, asked: 0, given_up, ender, _seat: seat })
    }
}

struct Thread {
    peer: PeerKey,
    client: Client,
    inbox: Inbox,
    pool: Pool,
    given_up: Arc<AtomicU64>,
    credit: Arc<Credit>,
    /// A file that a server sends whole, as far as it has been read.
    open: RefCell<Option<Open>>,
}

/// A file that comes whole.
struct Open {
    url: String,
    at: u64,
    body: BodyReader<'static>,
}

/// A fault in these words, of nothing in particular.
const fn fault(words: String) -> WebFault {
    WebFault { file: None, wait: None, whole: false, words }
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
                false => caught(|| self.fetch(number, &fetch)).unwrap_or_else(|words| Err(fault(words))),
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
        let fetched = self.parts(number, fetch, &mut sink);
        // What came whole before it broke off is as good as the rest.
        sink.flush(true).map_err(over).and(fetched)
    }

    fn parts(&self, number: u64, fetch: &Fetch, sink: &mut Sink<'_>) -> Result<(), WebFault> {
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

    /// Fetches bytes of one file. What a server holds back of them is asked for again, and a file that comes whole is read
    /// on where the last bytes ended.
    fn part(
        &self,
        number: u64,
        (address, whole): (&str, bool),
        part: &Part,
        sink: &mut Sink<'_>,
    ) -> Result<(), WebFault> {
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
            let given = Part { length: give, ..rest.clone() };
            copy(&mut open.body, &given, sink, &|| self.is_given_up(number))?;
            (rest.from, rest.length, open.at) = (rest.from + give, rest.length - give, open.at + give);
            if comes_whole && rest.from < rest.size {
                if !self.is_given_up(number) {
                    *self.open.borrow_mut() = Some(open);
                }
                continue;
            }
            // At its end the connection is free for the next request; a server that sends more loses it.
            let _ = open.body.read(&mut [0]);
        }
        Ok(())
    }

    /// Asks for a part: its body, how many bytes of the part are in it, and whether it is the whole file.
    fn ask(&self, address: &str, whole: bool, part: &Part) -> Result<(Open, u64, bool), WebFault> {
        // One connection at a time.
        *self.open.borrow_mut() = None;
        let url = parse(address).map_err(|why| fault(why.words))?;
        let response = self.client.get(url, Some((part.from, part.from + part.length - 1)), None);
        let response = response.map_err(|why| fault(why.words))?;
        let status = response.status().as_u16();
        let (at, give) = judge(status, response.headers(), part, whole)?;
        // No limit is needed: no more is read than was asked for.
        let body = response.into_body().into_reader();
        Ok((Open { url: address.to_owned(), at, body }, give, status == 200))
    }
}

/// What the head of an answer means: which byte of the file its body begins with, and how many bytes of the part are in it.
/// `whole` allows any number of bytes before them.
fn judge(status: u16, headers: &HeaderMap, part: &Part, whole: bool) -> Result<(u64, u64), WebFault> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let path = clean(&part.path, PATH);
    let of_file = |words: String| WebFault { file: Some(part.file), ..fault(words) };
    let other_size = |is: u64| of_file(format!("{path} has {is} bytes there, not {}: another file", part.size));
    let packed = header("content-encoding").is_some_and(|packed| !packed.eq_ignore_ascii_case("identity"));
    match status {
        200 | 206 if packed => Err(of_file(format!("{path} comes packed there: its bytes cannot be told"))),
        206 => match header("content-range").and_then(content_range) {
            Some((_, _, Some(total))) if total != part.size => Err(other_size(total)),
            Some((first, last, _)) if first == part.from => match part.length.min(last - first + 1) {
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
                Err(WebFault { whole: true, ..fault(words) })
            }
            _ => Ok((0, part.length)),
        },
        401 | 403 | 404 | 410 | 451 => Err(of_file(format!("{path} is not to be had there (status {status})"))),
        416 => Err(of_file(format!("{path} is shorter there: another file"))),
        _ => {
            let wait = retry_after(headers);
            Err(WebFault { file: None, wait, whole: false, words: format!("it answers with status {status}") })
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

    fn judged(
        status: u16,
        headers: &[(&'static str, &str)],
        part: &Part,
    ) -> Result<(u64, u64), (Option<usize>, String)> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        judge(status, &map, part, false).map_err(|fault| (fault.file, fault.words))
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
            judge(200, &map, &part(far, 5, far + 5), false).is_err_and(|fault| fault.whole && fault.file.is_none())
        );
        assert_eq!(judge(200, &map, &part(far, 5, far + 5), true), Ok((0, 5)));
    }

    #[test]
    fn a_shorter_answer_is_taken_as_far_as_it_goes() {
        let it = part(0, 1 << 20, 1 << 22);
        for (range, give) in
            [("bytes 0-1048575/4194304", 1 << 20), ("bytes 0-65535/*", 65536), ("bytes 0-16383/*", 16384)]
        {
            assert_eq!(judged(206, &[("content-range", range)], &it), Ok((0, give)), "{range}");
        }
        // More than was asked for is not taken, and too little at a time is refused.
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
        let busy = judge(503, &headers, &part(0, 1, 1), false).unwrap_err();
        assert_eq!((busy.file, busy.wait), (None, Some(Duration::from_secs(17))));
        let mut wait = |text: &str| {
            headers.insert("retry-after", text.parse().unwrap());
            judge(503, &headers, &part(0, 1, 1), false).unwrap_err().wait
        };
        // A date, in each of the three ways that HTTP knows; one that has gone by means now.
        assert_eq!(wait("Fri, 31 Dec 1999 23:59:59 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("Friday, 31-Dec-99 23:59:59 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("Fri Dec 31 23:59:59 1999"), Some(Duration::ZERO));
        let soon = httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(3600));
        assert!(wait(&soon).is_some_and(|wait| wait > Duration::from_secs(3000) && wait <= Duration::from_secs(3600)));
        assert_eq!((wait(" 5 "), wait("soon"), wait("-1")), (Some(Duration::from_secs(5)), None, None));
    }
}
