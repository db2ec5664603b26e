//! The tracker's HTTP side: one request a connection, read under a deadline and a size limit. Connections stand in a line;
//! whoever lets us wait goes to its end, so that half a request keeps nobody else from an answer.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError};
use socket2::SockRef;

use super::Shared;
use super::store::Call;
use crate::wire::text::counted;
use crate::wire::tracker::server::{AnnounceQuery, encode_answer, encode_failure, encode_scrape, parse_scrape};

/// Threads that answer.
pub(super) const THREADS: usize = 8;
/// Connections that may wait for one of them; more are closed at once.
pub(super) const WAITING: usize = 256;
/// Connections of one address that may wait while half of the places are taken.
const WAITING_HOST: usize = WAITING / 8;
/// The largest request.
const REQUEST: usize = 8 * 1024;
/// The most header lines of a request.
const HEADERS: usize = 64;
/// Time for a request, all told.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same while half of the places are taken.
const PATIENCE_IN_NEED: Duration = Duration::from_millis(400);
/// Reads of a connection in one turn; a request of any client comes in one or two.
const READS: usize = 8;
/// How long a thread waits for more of a request, or for a connection.
const LOOK: Duration = Duration::from_millis(100);
/// The same while other connections wait: theirs is mostly there already.
const GLANCE: Duration = Duration::from_millis(2);
/// What the system is to hold of an answer for one who takes it slowly: more than the longest.
const ANSWER: usize = 64 * 1024;

/// How many connections wait, by address.
pub(super) type Crowd = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// A connection whose request has not come whole yet.
pub(super) struct Half {
    stream: TcpStream,
    request: Vec<u8>,
    began: Instant,
    _seat: Seat,
}

/// One of the connections of an address, for as long as there is this.
struct Seat {
    crowd: Crowd,
    host: IpAddr,
}

impl Seat {
    /// `None` where the address has had its share.
    fn take(crowd: &Crowd, host: IpAddr, most: usize) -> Option<Seat> {
        let mut counts = crowd.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(host).or_default();
        let free = *count < most;
        *count += usize::from(free);
        free.then(|| Seat { crowd: Arc::clone(crowd), host })
    }
}

impl Drop for Seat {
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

/// How a request stands.
enum State {
    Whole,
    /// More of it may come.
    Partial,
    /// It is none; the status to answer with, or nothing where the other side is gone or too slow.
    Bad(Option<&'static str>),
}

/// Takes connections until the tracker stops.
pub(super) fn accept(shared: &Shared, listener: &TcpListener, hand_over: &Sender<Half>) {
    loop {
        let connection = listener.accept();
        if shared.stopping() {
            return;
        }
        match connection {
            Ok((stream, from)) => {
                let most = if hand_over.len() > WAITING / 2 { WAITING_HOST } else { WAITING };
                let Some(seat) = Seat::take(&shared.crowd, from.ip().to_canonical(), most) else {
                    Shared::count(&shared.refused);
                    continue;
                };
                let half = Half { stream, request: Vec::new(), began: Instant::now(), _seat: seat };
                if let Err(TrySendError::Full(_)) = hand_over.try_send(half) {
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

/// Answers connections until the tracker stops. One that does not come to the point goes to the end of the line while
/// others wait.
pub(super) fn serve(shared: &Shared, line: &(Sender<Half>, Receiver<Half>)) {
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

impl Half {
    /// Reads on, up to the end of the headers, for a short time while so many others wait.
    fn read(&mut self, waiting: usize) -> State {
        let patience = if waiting > WAITING / 2 { PATIENCE_IN_NEED } else { PATIENCE };
        let look = if waiting > 0 { GLANCE } else { LOOK };
        if self.began.elapsed() > patience || self.stream.set_read_timeout(Some(look)).is_err() {
            return State::Bad(None);
        }
        let mut buffer = [0; 1024];
        // Whoever sends byte by byte goes to the end of the line too.
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
    // The system holds the whole of it. Whoever does not read it has lost it; no thread of ours waits for that.
    let sent = SockRef::from(&*stream)
        .set_send_buffer_size(ANSWER)
        .and_then(|()| stream.set_nonblocking(true))
        .and_then(|()| stream.write_all(&bytes));
    if let Err(error) = sent {
        log::debug!("an answer of the tracker was lost: {error}");
    }
    let _ = stream.shutdown(Shutdown::Write);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_share_of_places_and_gives_them_back() {
        let crowd = Crowd::default();
        let [one, other] = [IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2])];
        let seats: Vec<Seat> = (0..3).filter_map(|_| Seat::take(&crowd, one, 2)).collect();
        assert_eq!(seats.len(), 2);
        let guest = Seat::take(&crowd, other, 2);
        assert!(guest.is_some());
        drop(seats);
        assert!(Seat::take(&crowd, one, 1).is_some());
        drop(guest);
        assert!(crowd.lock().unwrap().is_empty());
    }
}
