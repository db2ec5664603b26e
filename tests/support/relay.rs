//! A wire with an ear: connections go through it, and every byte is kept. And a tracker that tells what the test says.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// How a plain handshake begins.
const NAME: &[u8] = b"\x13BitTorrent protocol";

/// What went over one connection.
#[derive(Clone, Default)]
pub struct Tape {
    /// What the caller sent.
    pub caller: Vec<u8>,
    /// What it was sent.
    pub called: Vec<u8>,
}

impl Tape {
    /// Whether a plain handshake stands anywhere in these bytes.
    pub fn names_itself(bytes: &[u8]) -> bool {
        bytes.windows(NAME.len()).any(|part| part == NAME)
    }

    /// Whether neither side says what it speaks.
    pub fn is_encrypted(&self) -> bool {
        !Tape::names_itself(&self.caller) && !Tape::names_itself(&self.called)
    }
}

impl std::fmt::Debug for Tape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let side =
            |bytes: &[u8]| format!("{} bytes{}", bytes.len(), if Tape::names_itself(bytes) { ", plain" } else { "" });
        write!(f, "[caller {}; called {}]", side(&self.caller), side(&self.called))
    }
}

type Tapes = Arc<Mutex<Vec<Tape>>>;

/// Passes connections on to one address.
pub struct Relay {
    pub addr: SocketAddr,
    tapes: Tapes,
}

impl Relay {
    /// Listens on `ip`, from the namespace of the calling thread.
    pub fn start(ip: Ipv4Addr, to: SocketAddr) -> Relay {
        let listener = TcpListener::bind((ip, 0)).expect("it can listen");
        let addr = listener.local_addr().expect("it has an address");
        let tapes = Tapes::default();
        let shared = Arc::clone(&tapes);
        // It ends with the test's process: nothing but the test knows of it.
        thread::spawn(move || {
            for caller in listener.incoming().flatten() {
                let Ok(called) = TcpStream::connect(to) else { continue };
                let n = {
                    let mut tapes = shared.lock().unwrap_or_else(PoisonError::into_inner);
                    tapes.push(Tape::default());
                    tapes.len() - 1
                };
                pass(&caller, &called, Arc::clone(&shared), move |tapes| &mut tapes[n].caller);
                pass(&called, &caller, Arc::clone(&shared), move |tapes| &mut tapes[n].called);
            }
        });
        Relay { addr, tapes }
    }

    /// What went over each connection so far.
    pub fn tapes(&self) -> Vec<Tape> {
        self.tapes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Passes on one direction until it ends.
fn pass(
    from: &TcpStream,
    to: &TcpStream,
    tapes: Tapes,
    side: impl Fn(&mut Vec<Tape>) -> &mut Vec<u8> + Send + 'static,
) {
    let (mut from, mut to) = (from.try_clone().expect("a handle"), to.try_clone().expect("a handle"));
    thread::spawn(move || {
        let mut bytes = [0; 8192];
        while let Ok(n @ 1..) = from.read(&mut bytes) {
            side(&mut tapes.lock().unwrap_or_else(PoisonError::into_inner)).extend_from_slice(&bytes[..n]);
            if to.write_all(&bytes[..n]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
        let _ = from.shutdown(Shutdown::Read);
    });
}

#[derive(Default)]
struct Told {
    /// Whoever lacks something of a torrent is told of these.
    peers: BTreeMap<[u8; 20], SocketAddr>,
    /// Torrents that somebody has announced as whole.
    whole: BTreeSet<[u8; 20]>,
}

/// An HTTP tracker that knows who is to call whom.
pub struct Teller {
    at: SocketAddr,
    told: Arc<Mutex<Told>>,
}

impl Teller {
    /// Listens on `ip`, from the namespace of the calling thread.
    pub fn start(ip: Ipv4Addr) -> Teller {
        let listener = TcpListener::bind((ip, 0)).expect("it can listen");
        let at = listener.local_addr().expect("it has an address");
        let told: Arc<Mutex<Told>> = Arc::default();
        let shared = Arc::clone(&told);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(stream, &shared);
            }
        });
        Teller { at, told }
    }

    /// The URL to announce to.
    pub fn url(&self) -> String {
        format!("http://{}/announce", self.at)
    }

    /// From now on whoever lacks something of this torrent is told of this peer.
    pub fn tell(&self, hash: &[u8; 20], peer: SocketAddr) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).peers.insert(*hash, peer);
    }

    /// Whether somebody has announced that it has all of this torrent.
    pub fn knows(&self, hash: &[u8; 20]) -> bool {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).whole.contains(hash)
    }
}

fn answer(mut stream: TcpStream, told: &Mutex<Told>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && head.len() < 8192 {
        if !matches!(stream.read(&mut byte), Ok(1)) {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let of = |key: &str| head.split(['?', '&', ' ']).find_map(|part| part.strip_prefix(key)?.strip_prefix('='));
    let hash = of("info_hash").map(decoded).and_then(|hash| <[u8; 20]>::try_from(hash).ok()).unwrap_or_default();
    let mut body = b"d8:intervali60e5:peers".to_vec();
    {
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        let peer = match of("left") {
            Some("0") => {
                told.whole.insert(hash);
                None
            }
            _ => told.peers.get(&hash),
        };
        match peer {
            Some(SocketAddr::V4(peer)) => {
                body.extend(b"6:");
                body.extend(compact(*peer));
            }
            _ => body.extend(b"0:"),
        }
    }
    body.push(b'e');
    let head = format!("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n", body.len());
    let _ = stream.write_all(&[head.as_bytes(), &body].concat());
}

fn compact(peer: SocketAddrV4) -> [u8; 6] {
    let ([a, b, c, d], [e, f]) = (peer.ip().octets(), peer.port().to_be_bytes());
    [a, b, c, d, e, f]
}

/// Undoes percent-encoding.
fn decoded(text: &str) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&first, others)) = rest.split_first() {
        let digits = others.get(..2).filter(|_| first == b'%').and_then(|two| std::str::from_utf8(two).ok());
        match digits.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = &others[2..];
            }
            None => {
                out.push(first);
                rest = others;
            }
        }
    }
    out
}
