//! The reader loop of a peer: bytes of its socket become one `Input::Wire` a read.

use std::io::{self, ErrorKind, Read};
use std::net::TcpStream;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Buf;

use super::buffers::{Buffer, CLASSES, Pool};
use super::inbox::{Credit, Inbox};
use crate::limits;
use crate::swarm::torrent::{Gone, Input, PeerKey};
use crate::wire::message::{self, Frame, FrameError, Message};
use crate::wire::rc4::Rc4;

/// How long a read waits before it looks whether the connection has been given up. Where shutting a socket down wakes
/// its reader this only paces the idle check.
pub const PATIENCE: Duration = if cfg!(windows) { Duration::from_secs(1) } else { Duration::from_secs(20) };

/// Reads in a row that would have fitted into the next smaller buffer before it is used.
const SMALL_READS: u32 = 16;

/// A torrent's number of pieces, told to its readers as soon as it is known.
pub type Pieces = Arc<OnceLock<u32>>;

/// One peer's reader.
pub struct Reader {
    /// The peer.
    pub peer: PeerKey,
    /// Its connection, with [`PATIENCE`] as read timeout.
    pub socket: Arc<TcpStream>,
    /// What came behind the handshake, decrypted.
    pub early: Vec<u8>,
    /// Decrypts what it sends, if that is encrypted.
    pub cipher: Option<Rc4>,
    /// The torrent's number of pieces, once that is known.
    pub pieces: Pieces,
    /// Where its messages go.
    pub inbox: Inbox,
    /// Where buffers come from.
    pub pool: Pool,
}

/// What is made of the bytes of one read.
struct Parsed {
    batch: Vec<Message>,
    /// Bytes still to come that are to be passed over.
    skip: usize,
    /// The size of the unfinished message at the end, as far as known.
    need: usize,
    error: Option<FrameError>,
}

impl Reader {
    /// Reads until the connection ends, and tells the torrent why.
    pub fn run(mut self) {
        let credit = Arc::new(Credit::default());
        let why = self.read(&credit);
        let _ = self.inbox.bulk(Input::Gone { peer: self.peer, why }, credit.take());
    }

    fn read(&mut self, credit: &Arc<Credit>) -> Gone {
        let mut size = Size::default();
        let mut buffer = self.pool.take(size.class);
        // Bytes of an unknown message that are still to be passed over, and the size of the message at the front.
        let (mut skip, mut need) = (0, 4);
        let mut heard = Instant::now();
        let mut expected = 1;
        loop {
            if buffer.space().is_empty() {
                buffer = self.grown(&buffer, need);
            }
            let space = buffer.space().len();
            let n = match self.receive(buffer.space()) {
                Ok(0) => return Gone::Closed,
                Ok(n) => n,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => match heard.elapsed() {
                    quiet if quiet >= limits::IDLE => return Gone::TimedOut("its next word"),
                    _ => continue,
                },
                Err(e) => return Gone::Network(words(&e)),
            };
            heard = Instant::now();
            if skip > 0 {
                // The buffer was empty: only what follows the unknown message is worth keeping.
                let passed = skip.min(n);
                skip -= passed;
                buffer.space().copy_within(passed..n, 0);
                buffer.advance(n - passed);
            } else {
                buffer.advance(n);
            }
            size.saw(n, space);
            let pieces = self.pieces.get().copied();
            match whole(buffer.filled(), pieces) {
                Whole::Yes => (),
                Whole::Needs(bytes) => {
                    need = bytes;
                    continue;
                }
            }
            let class = size.class;
            let parsed = parse(&mut buffer, &self.pool, class, pieces, expected);
            (skip, need) = (parsed.skip, parsed.need);
            expected = parsed.batch.len();
            if !parsed.batch.is_empty() {
                let input = Input::Wire { peer: self.peer, batch: parsed.batch };
                if self.inbox.bulk(input, credit.take()).is_err() {
                    return Gone::Stopped;
                }
            }
            if let Some(error) = parsed.error {
                return Gone::Misbehaved(error.to_string());
            }
        }
    }

    /// Reads once, and decrypts where that is due. What came behind the handshake comes first.
    fn receive(&mut self, space: &mut [u8]) -> io::Result<usize> {
        if !self.early.is_empty() {
            let n = self.early.len().min(space.len());
            space[..n].copy_from_slice(&self.early[..n]);
            self.early.drain(..n);
            return Ok(n);
        }
        let n = (&*self.socket).read(space)?;
        if let Some(cipher) = &mut self.cipher {
            cipher.apply(&mut space[..n]);
        }
        Ok(n)
    }

    /// A larger buffer with the same bytes: at most twice as large, so that a length alone reserves nothing.
    fn grown(&self, full: &Buffer, need: usize) -> Buffer {
        let size = need.clamp(full.capacity() + 1, full.capacity() * 2);
        let mut larger = self.pool.take_for(size);
        larger.put(full.filled());
        larger
    }
}

enum Whole {
    Yes,
    Needs(usize),
}

/// Whether a message (or an error) stands whole at the front.
fn whole(bytes: &[u8], pieces: Option<u32>) -> Whole {
    match message::measure(bytes, pieces) {
        Ok(Frame::Incomplete(n)) if n > bytes.len() => Whole::Needs(n),
        _ => Whole::Yes,
    }
}

/// Takes all whole messages out of `buffer`, which is another one afterwards, with the unfinished rest in it.
fn parse(buffer: &mut Buffer, pool: &Pool, class: usize, pieces: Option<u32>, expected: usize) -> Parsed {
    let mut parsed = Parsed { batch: Vec::with_capacity(expected), skip: 0, need: 4, error: None };
    let full = std::mem::replace(buffer, pool.take(class));
    let mut bytes = full.freeze();
    while !bytes.is_empty() {
        match message::decode(&bytes, pieces) {
            Ok(Frame::Message(message, length)) => {
                parsed.batch.push(message);
                bytes.advance(length);
            }
            Ok(Frame::Skip(length)) => {
                parsed.skip = length.saturating_sub(bytes.len());
                bytes.advance(length.min(bytes.len()));
            }
            Ok(Frame::Incomplete(length)) => {
                parsed.need = length;
                break;
            }
            Err(error) => {
                parsed.error = Some(error);
                return parsed;
            }
        }
    }
    if bytes.len() >= buffer.capacity() {
        *buffer = pool.take_for(bytes.len() + 1);
    }
    buffer.put(&bytes);
    parsed
}

/// Which class of buffer suits a peer: the next larger one after a read that filled its buffer, the next smaller one
/// after many reads that did not need it.
#[derive(Default)]
struct Size {
    class: usize,
    small: u32,
}

impl Size {
    fn saw(&mut self, read: usize, space: usize) {
        if read == space {
            self.class = (self.class + 1).min(CLASSES.len() - 1);
            self.small = 0;
        } else if self.class > 0 && read < CLASSES[self.class - 1] {
            self.small += 1;
            if self.small >= SMALL_READS {
                self.class -= 1;
                self.small = 0;
            }
        } else {
            self.small = 0;
        }
    }
}

/// A socket's error in few words.
pub fn words(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionReset => "it reset the connection".to_owned(),
        ErrorKind::ConnectionRefused => "it refused the connection".to_owned(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => "the connection broke".to_owned(),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => "it cannot be reached".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{Ipv4Addr, TcpListener};

    use bytes::Bytes;

    use super::super::inbox::{Mail, Post, inbox};
    use super::*;
    use crate::wire::message::{Block, PieceIndex};

    fn start(pieces: Option<u32>) -> (TcpStream, Mail) {
        start_with(pieces, &[], None)
    }

    /// With these bytes from before, and what comes encrypted with this key.
    fn start_with(pieces: Option<u32>, early: &[u8], key: Option<&[u8]>) -> (TcpStream, Mail) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let near = listener.accept().unwrap().0;
        let (inbox, mail) = inbox();
        let socket = Arc::new(near);
        let (early, cipher) = (early.to_vec(), key.map(Rc4::new));
        let pieces = Arc::new(pieces.map_or_else(OnceLock::new, OnceLock::from));
        let reader = Reader { peer: PeerKey(1), socket, early, cipher, pieces, inbox, pool: Pool::default() };
        std::thread::spawn(move || reader.run());
        (far, mail)
    }

    /// All messages until the connection ends, and why it did.
    fn collect(mail: &Mail) -> (Vec<Message>, Gone) {
        let mut all = Vec::new();
        loop {
            match mail.wait(Instant::now() + Duration::from_secs(60)) {
                Ok(Some(Post::Input(Input::Wire { batch, .. }))) => all.extend(batch),
                Ok(Some(Post::Input(Input::Gone { why, .. }))) => return (all, why),
                _ => panic!("nothing came"),
            }
        }
    }

    fn piece(n: u32, length: usize) -> Message {
        let data = (0..length).map(|i| (i as u32 ^ n) as u8).collect::<Vec<_>>();
        Message::Piece { piece: PieceIndex(n), begin: 0, data: data.into() }
    }

    fn encode<'a>(messages: impl IntoIterator<Item = &'a Message>) -> Vec<u8> {
        let mut out = Vec::new();
        messages.into_iter().for_each(|m| m.encode(&mut out));
        out
    }

    #[test]
    fn many_blocks_arrive_as_they_were_sent() {
        let (mut far, mail) = start(Some(200));
        let sent: Vec<_> = (0..200).map(|n| piece(n, 16 * 1024 - n as usize % 3)).collect();
        let bytes = encode(&sent);
        let sender = std::thread::spawn(move || far.write_all(&bytes).unwrap());
        let (got, why) = collect(&mail);
        sender.join().unwrap();
        assert!(got == sent);
        assert_eq!(why, Gone::Closed);
    }

    #[test]
    fn bytes_may_come_one_by_one_and_unknown_messages_are_passed_over() {
        let (mut far, mail) = start(Some(8));
        let request = Message::Request(Block { piece: PieceIndex(1), begin: 0, length: 5 });
        let mut bytes = encode([&Message::HaveAll, &Message::KeepAlive]);
        bytes.extend([0, 0, 0, 40, 99]);
        bytes.extend([7; 39]);
        bytes.extend(encode([&request, &Message::Bitfield(Bytes::from_static(&[1]))]));
        for byte in bytes {
            far.write_all(&[byte]).unwrap();
        }
        drop(far);
        let (got, _) = collect(&mail);
        assert_eq!(got, [Message::HaveAll, Message::KeepAlive, request, Message::Bitfield(Bytes::from_static(&[1]))]);
    }

    #[test]
    fn a_large_message_and_a_skipped_one_cross_many_reads() {
        let (mut far, mail) = start(None);
        let large = Message::Extended { id: 2, payload: vec![5; 700_000].into() };
        let mut bytes = encode([&large]);
        bytes.extend(900_000u32.to_be_bytes());
        bytes.push(77);
        bytes.extend(vec![1; 899_999]);
        bytes.extend(encode([&Message::Unchoke]));
        let sender = std::thread::spawn(move || far.write_all(&bytes).unwrap());
        let (got, why) = collect(&mail);
        sender.join().unwrap();
        assert!(got == [large, Message::Unchoke]);
        assert_eq!(why, Gone::Closed);
    }

    #[test]
    fn encrypted_bytes_are_read_as_plain_ones_and_early_ones_first() {
        let sent: Vec<_> = (0..100).map(|n| piece(n, 16 * 1024)).collect();
        let mut bytes = encode(&sent);
        // The first bytes came with the handshake, in the middle of a message.
        let rest = bytes.split_off(20_001);
        let (mut far, mail) = start_with(Some(100), &bytes, Some(b"key"));
        let mut rest = rest;
        Rc4::new(b"key").apply(&mut rest);
        let sender = std::thread::spawn(move || far.write_all(&rest).unwrap());
        let (got, why) = collect(&mail);
        sender.join().unwrap();
        assert!(got == sent);
        assert_eq!(why, Gone::Closed);
    }

    #[test]
    fn what_came_before_a_lie_is_still_told() {
        let (mut far, mail) = start(Some(8));
        let mut bytes = encode([&Message::Unchoke]);
        bytes.extend([0xff, 0xff, 0xff, 0xff, 7]);
        far.write_all(&bytes).unwrap();
        let (got, why) = collect(&mail);
        assert_eq!(got, [Message::Unchoke]);
        assert!(matches!(why, Gone::Misbehaved(_)));
    }
}
