//! HTTP server of the embedded tracker: one request per connection, with a deadline and a size limit. Pending
//! connections form a queue; one whose request is incomplete goes to the end, so that slow clients do not block
//! others.
//!
//! Crates that were looked at: `tiny_http` sets no timeout for the connections that it accepts, so that slow clients hold
//! its threads; `hyper` needs an async runtime. What is left to them is little: requests have no body and are parsed by
//! `httparse`, and every response closes its connection.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError};
use socket2::SockRef;
use thiserror::Error;

use super::shared::{PendingConnections, Shared};
use super::store::{AnnounceCall, StoreFull};
use crate::format::counted;
use crate::wire::tracker::server::{
    AnnounceQuery, QueryError, encode_announce_response, encode_failure, encode_scrape, parse_scrape,
};

/// The number of worker threads.
pub(super) const THREADS: usize = 8;
/// The maximum number of pending connections; further ones are closed at once.
pub(super) const WAITING: usize = 256;
/// The maximum number of pending connections per address while the queue is more than half full.
const WAITING_HOST: usize = WAITING / 8;
/// The maximum size of a request, in bytes.
const REQUEST: usize = 8 * 1024;
/// The maximum number of header lines.
const HEADERS: usize = 64;
/// The total time to receive a request.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same while the queue is more than half full.
const PATIENCE_IN_NEED: Duration = Duration::from_millis(400);
/// The maximum number of reads per turn; usual requests arrive in one or two.
const READS: usize = 8;
/// How long a worker waits for more of a request, or for a connection.
const LOOK: Duration = Duration::from_millis(100);
/// The same while other connections are pending.
const GLANCE: Duration = Duration::from_millis(2);
/// The socket's send buffer size: larger than the longest response, so that a write never blocks.
const ANSWER: usize = 64 * 1024;

/// A connection whose request is not complete.
pub(super) struct PartialRequest {
    stream: TcpStream,
    request: Vec<u8>,
    began: Instant,
    _seat: HostSlot,
}

/// Counts one connection of an address until dropped.
struct HostSlot {
    crowd: PendingConnections,
    host: IpAddr,
}

impl HostSlot {
    /// Counts a connection, or returns `None` if the address has reached its limit.
    fn take(crowd: &PendingConnections, host: IpAddr, most: usize) -> Option<HostSlot> {
        let mut counts = crowd.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(host).or_default();
        let free = *count < most;
        *count += usize::from(free);
        free.then(|| HostSlot { crowd: Arc::clone(crowd), host })
    }
}

impl Drop for HostSlot {
    fn drop(&mut self) {
        let mut counts = self.crowd.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.host) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.host);
            }
        }
    }
}

/// The state of a request.
enum State {
    Whole,
    Partial,
    /// Invalid: the HTTP status to respond with, or `None` if the connection is closed or timed out.
    Bad(Option<&'static str>),
}

/// Accepts connections until the tracker stops.
pub(super) fn accept(shared: &Shared, listener: &TcpListener, hand_over: &Sender<PartialRequest>) {
    loop {
        let connection = listener.accept();
        if shared.stopping() {
            return;
        }
        match connection {
            Ok((stream, from)) => {
                let most = if hand_over.len() > WAITING / 2 { WAITING_HOST } else { WAITING };
                let Some(seat) = HostSlot::take(&shared.crowd, from.ip().to_canonical(), most) else {
                    Shared::count(&shared.refused);
                    continue;
                };
                let half = PartialRequest { stream, request: Vec::new(), began: Instant::now(), _seat: seat };
                if let Err(TrySendError::Full(_)) = hand_over.try_send(half) {
                    Shared::count(&shared.refused);
                }
            }
            // Out of file descriptors or the like: wait instead of spinning.
            Err(e) if e.kind() != io::ErrorKind::ConnectionAborted => {
                tracing::warn!("the tracker cannot take connections: {e}");
                std::thread::sleep(LOOK);
            }
            Err(_) => {}
        }
    }
}

/// Worker thread: serves pending connections until the tracker stops.
pub(super) fn serve(shared: &Shared, line: &(Sender<PartialRequest>, Receiver<PartialRequest>)) {
    while !shared.stopping() {
        let Ok(mut half) = line.1.recv_timeout(LOOK) else { continue };
        match half.read(line.1.len()) {
            State::Whole => {
                let answer = half.stream.peer_addr().map(|addr| respond(shared, &half.request, addr));
                if let Ok(answer) = answer {
                    send(&mut half.stream, &answer);
                }
            }
            State::Partial => {
                if line.0.try_send(half).is_err() {
                    Shared::count(&shared.refused);
                }
            }
            State::Bad(status) => {
                Shared::count(&shared.refused);
                if let Some(status) = status {
                    send(&mut half.stream, &Answer::text(status, "This is a BitTorrent tracker; ask GET /announce.\n"));
                }
            }
        }
    }
}

impl PartialRequest {
    /// Reads up to the end of the headers; the time allowed depends on how many connections are waiting.
    fn read(&mut self, waiting: usize) -> State {
        let patience = if waiting > WAITING / 2 { PATIENCE_IN_NEED } else { PATIENCE };
        let look = if waiting > 0 { GLANCE } else { LOOK };
        if self.began.elapsed() > patience || self.stream.set_read_timeout(Some(look)).is_err() {
            return State::Bad(None);
        }
        let mut buffer = [0; 1024];
        // The number of reads is limited, so that a client that sends byte by byte yields its turn too.
        for _ in 0..READS {
            match self.stream.read(&mut buffer) {
                Ok(0) => return State::Bad(None),
                Ok(n) => self.request.extend_from_slice(&buffer[..n]),
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    return State::Partial;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return State::Bad(None),
            }
            let mut headers = [httparse::EMPTY_HEADER; HEADERS];
            match httparse::Request::new(&mut headers).parse(&self.request) {
                Ok(httparse::Status::Complete(_)) => return State::Whole,
                Ok(httparse::Status::Partial) if self.request.len() < REQUEST => {}
                Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
                    return State::Bad(Some("431 Request Header Fields Too Large"));
                }
                Err(_) => return State::Bad(Some("400 Bad Request")),
            }
        }
        State::Partial
    }
}

/// An HTTP response.
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
        // Clients ignore the content type; trackers conventionally send `text/plain`.
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
    // A request through a proxy has an absolute URL as its target.
    let target = target.split_once("://").map_or(target, |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    match path {
        "/announce" => Answer::bencode(announce(shared, query, from).unwrap_or_else(|reason| {
            Shared::count(&shared.refused);
            encode_failure(&reason.to_string())
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
                &format!(
                    "ttui tracker: {}, {}, of them {}\n",
                    counted(s.torrents as u64, "torrent"),
                    counted(s.peers as u64, "peer"),
                    counted(s.seeds as u64, "seed")
                ),
            )
        }
        _ => {
            Shared::count(&shared.refused);
            Answer::text("404 Not Found", "There is only /announce, /scrape, /stats and /.\n")
        }
    }
}

/// Why an announce is refused: the failure reason for the client.
#[derive(Debug, Error)]
enum Refusal {
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(transparent)]
    Full(#[from] StoreFull),
}

fn announce(shared: &Shared, query: &str, from: SocketAddr) -> Result<Vec<u8>, Refusal> {
    let query = AnnounceQuery::parse(query)?;
    let call = AnnounceCall {
        info_hash: query.info_hash,
        peer_id: query.peer_id,
        addr: SocketAddr::new(from.ip().to_canonical(), query.port),
        left: query.left,
        event: query.event,
        num_want: query.num_want,
        same_family: false,
    };
    let answer = shared.announce(&call)?;
    Ok(encode_announce_response(&answer, &query))
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
    // The response fits into the send buffer, so the worker never blocks on a client that does not read.
    let sent = SockRef::from(&*stream)
        .set_send_buffer_size(ANSWER)
        .and_then(|()| stream.set_nonblocking(true))
        .and_then(|()| stream.write_all(&bytes));
    if let Err(error) = sent {
        tracing::debug!("an answer of the tracker was lost: {error}");
    }
    let _ = stream.shutdown(Shutdown::Write);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_share_of_places_and_gives_them_back() {
        let crowd = PendingConnections::default();
        let [one, other] = [IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2])];
        let seats: Vec<HostSlot> = (0..3).filter_map(|_| HostSlot::take(&crowd, one, 2)).collect();
        assert_eq!(seats.len(), 2);
        let guest = HostSlot::take(&crowd, other, 2);
        assert!(guest.is_some());
        drop(seats);
        assert!(HostSlot::take(&crowd, one, 1).is_some());
        drop(guest);
        assert!(crowd.lock().unwrap().is_empty());
    }
}
