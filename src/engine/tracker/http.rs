//! The tracker's HTTP side: one request a connection, read under a deadline and a size limit.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError};

use super::Shared;
use super::store::Call;
use crate::wire::tracker::server::{AnnounceQuery, encode_answer, encode_failure, encode_scrape, parse_scrape};

/// Threads that answer.
pub(super) const THREADS: usize = 8;
/// Connections that may wait for one of them; more are closed at once.
pub(super) const WAITING: usize = 256;
/// The largest request.
const REQUEST: usize = 8 * 1024;
/// The most header lines of a request.
const HEADERS: usize = 64;
/// Time for a request, all told.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same while other connections wait.
const PATIENCE_IN_NEED: Duration = Duration::from_millis(400);
/// How often a thread that reads looks whether others wait.
const LOOK: Duration = Duration::from_millis(100);
/// Time for the answer to go out.
const WRITE: Duration = Duration::from_secs(2);

/// Takes connections until the tracker stops.
pub(super) fn accept(shared: &Shared, listener: &TcpListener, hand_over: &Sender<TcpStream>) {
    loop {
        let connection = listener.accept();
        if shared.stopping() {
            return;
        }
        match connection {
            Ok((stream, _)) => {
                if let Err(TrySendError::Full(_)) = hand_over.try_send(stream) {
                    Shared::count(&shared.refused);
                }
            }
            // Out of descriptors or the like: wait for some to come back rather than spin.
            Err(e) if e.kind() != io::ErrorKind::ConnectionAborted => {
                log::warn!("the tracker cannot take connections: {e}");
                std::thread::sleep(LOOK);
            }
            Err(_) => {}
        }
    }
}

/// Answers connections until nobody hands over any more.
pub(super) fn serve(shared: &Shared, connections: &Receiver<TcpStream>) {
    for mut stream in connections {
        if shared.stopping() {
            continue;
        }
        let others_wait = || !connections.is_empty() || shared.stopping();
        match read_request(&mut stream, others_wait) {
            Ok(request) => {
                let answer = stream.peer_addr().map(|addr| respond(shared, &request, addr));
                if let Ok(answer) = answer {
                    send(&mut stream, &answer);
                }
            }
            Err(status) => {
                Shared::count(&shared.refused);
                if let Some(status) = status {
                    send(&mut stream, &Answer::text(status, "This is a BitTorrent tracker; ask GET /announce.\n"));
                }
            }
        }
    }
}

/// Reads up to the end of the headers. An error is the status to answer with, or `None` where the other side is gone
/// or too slow.
fn read_request(stream: &mut TcpStream, others_wait: impl Fn() -> bool) -> Result<Vec<u8>, Option<&'static str>> {
    let began = Instant::now();
    let mut request = Vec::with_capacity(1024);
    let mut buffer = [0; 1024];
    stream.set_read_timeout(Some(LOOK)).map_err(|_| None)?;
    loop {
        let patience = if others_wait() { PATIENCE_IN_NEED } else { PATIENCE };
        if began.elapsed() > patience {
            return Err(None);
        }
        match stream.read(&mut buffer) {
            Ok(0) => return Err(None),
            Ok(n) => request.extend_from_slice(&buffer[..n]),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => continue,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return Err(None),
        }
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        match httparse::Request::new(&mut headers).parse(&request) {
            Ok(httparse::Status::Complete(_)) => return Ok(request),
            Ok(httparse::Status::Partial) if request.len() < REQUEST => {}
            Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
                return Err(Some("431 Request Header Fields Too Large"));
            }
            Err(_) => return Err(Some("400 Bad Request")),
        }
    }
}

/// What goes back.
struct Answer {
    status: &'static str,
    kind: &'static str,
    body: Vec<u8>,
}

impl Answer {
    fn text(status: &'static str, body: &str) -> Self {
        Answer { status, kind: "text/plain; charset=utf-8", body: body.into() }
    }

    fn bencode(body: Vec<u8>) -> Self {
        // Clients do not care for the type; `text/plain` is what every tracker says.
        Answer { status: "200 OK", kind: "text/plain", body }
    }
}

fn respond(shared: &Shared, request: &[u8], from: SocketAddr) -> Answer {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let target = match (parsed.parse(request), parsed.method, parsed.path) {
        (Ok(_), Some("GET"), Some(target)) => target,
        _ => {
            Shared::count(&shared.refused);
            return Answer::text("405 Method Not Allowed", "Only GET is answered.\n");
        }
    };
    // Through a proxy the target is a whole URL.
    let target = target.split_once("://").map_or(target, |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    match path {
        "/announce" => Answer::bencode(announce(shared, query, from).unwrap_or_else(|reason| {
            Shared::count(&shared.refused);
            encode_failure(&reason)
        })),
        "/scrape" => {
            Shared::count(&shared.scrapes);
            let store = shared.store();
            let counts = parse_scrape(query).into_iter().filter_map(|hash| Some((hash, store.scrape(&hash)?)));
            Answer::bencode(encode_scrape(&counts.collect::<Vec<_>>()))
        }
        "/stats" => Answer { status: "200 OK", kind: "application/json", body: stats(shared).into_bytes() },
        "/" => {
            let s = shared.stats();
            Answer::text(
                "200 OK",
                &format!("ttui tracker: {} torrents, {} peers, {} of them seeds\n", s.torrents, s.peers, s.seeds),
            )
        }
        _ => {
            Shared::count(&shared.refused);
            Answer::text("404 Not Found", "There is only /announce, /scrape, /stats and /.\n")
        }
    }
}

fn announce(shared: &Shared, query: &str, from: SocketAddr) -> Result<Vec<u8>, String> {
    let query = AnnounceQuery::parse(query).map_err(|e| e.to_string())?;
    let call = Call {
        info_hash: query.info_hash,
        peer_id: query.peer_id,
        addr: SocketAddr::new(from.ip().to_canonical(), query.port),
        left: query.left,
        event: query.event,
        num_want: query.num_want,
        same_family: false,
    };
    let answer = shared.announce(&call)?;
    Ok(encode_answer(&answer, &query))
}

fn stats(shared: &Shared) -> String {
    let s = shared.stats();
    format!(
        "{{\"torrents\":{},\"peers\":{},\"seeds\":{},\"announces\":{},\"scrapes\":{},\"refused\":{}}}\n",
        s.torrents, s.peers, s.seeds, s.announces, s.scrapes, s.refused
    )
}

fn send(stream: &mut TcpStream, answer: &Answer) {
    let mut bytes = format!(
        "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        answer.status,
        answer.kind,
        answer.body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(&answer.body);
    // Who does not read its answer has lost it; nothing of ours depends on it.
    let _ = stream.set_write_timeout(Some(WRITE));
    let _ = stream.write_all(&bytes);
    let _ = stream.shutdown(Shutdown::Write);
}
