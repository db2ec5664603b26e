//! Trackers that lie, hang and shout, over HTTP and UDP, on loopback.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

/// An HTTP tracker that answers each connection in one bad way, until it is dropped.
pub struct BadHttp {
    pub addr: SocketAddr,
    pub requests: Arc<AtomicUsize>,
    /// Dropped to let go of those that hang.
    hangs: Vec<mpsc::Sender<()>>,
}

impl BadHttp {
    pub fn start(answer: impl Fn(&mut TcpStream, &mpsc::Receiver<()>) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&requests);
        let answer = Arc::new(answer);
        // Enough for every connection that a test makes.
        let (mut hangs, mut held): (Vec<_>, Vec<_>) = (0..16).map(|_| mpsc::channel()).unzip();
        hangs.reverse();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(mut stream), Some(hold)) = (stream, held.pop()) else { return };
                let (answer, counter) = (Arc::clone(&answer), Arc::clone(&counter));
                thread::spawn(move || {
                    if read_head(&mut stream) {
                        counter.fetch_add(1, Ordering::SeqCst);
                        answer(&mut stream, &hold);
                    }
                });
            }
        });
        BadHttp { addr, requests, hangs: std::mem::take(&mut hangs) }
    }

    pub fn url(&self) -> String {
        format!("http://{}/announce", self.addr)
    }

    /// Lets go of everything that hangs.
    pub fn release(&mut self) {
        self.hangs.clear();
    }
}

fn read_head(stream: &mut TcpStream) -> bool {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if !matches!(stream.read(&mut byte), Ok(1)) {
            return false;
        }
        head.push(byte[0]);
    }
    true
}

/// Sends a whole answer.
pub fn send(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(body);
}

/// A gzip member of `matches` times 258 zeros and one: a block with fixed codes that is one literal and many matches
/// of the greatest length, 13 bits each.
pub fn gzip_of_zeros(matches: usize) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    let mut bits = BitWriter::default();
    bits.put(1, 1); // the last block
    bits.put(1, 2); // fixed codes
    bits.code(0x30, 8); // literal 0
    for _ in 0..matches {
        bits.code(0xc5, 8); // length 258: symbol 285
        bits.code(0, 5); // distance 1
    }
    bits.code(0, 7); // the end
    out.extend(bits.finish());
    out.extend([0; 8]); // checksum and size, which nobody reaches
    out
}

#[derive(Default)]
struct BitWriter {
    bytes: Vec<u8>,
    used: u8,
}

impl BitWriter {
    fn bit(&mut self, bit: u32) {
        if self.used == 0 {
            self.bytes.push(0);
        }
        if let Some(last) = self.bytes.last_mut() {
            *last |= ((bit & 1) as u8) << self.used;
        }
        self.used = (self.used + 1) % 8;
    }

    /// A number: lowest bit first.
    fn put(&mut self, value: u32, length: u8) {
        (0..length).for_each(|n| self.bit(value >> n));
    }

    /// A Huffman code: highest bit first.
    fn code(&mut self, value: u32, length: u8) {
        (0..length).rev().for_each(|n| self.bit(value >> n));
    }

    fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// A UDP tracker that answers each packet as `answer` says: the packet and who sent it, and the socket to answer with.
pub fn bad_udp(mut answer: impl FnMut(&UdpSocket, &[u8], SocketAddr) + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut packet = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut packet) {
            answer(&socket, &packet[..length], from);
        }
    });
    addr
}
