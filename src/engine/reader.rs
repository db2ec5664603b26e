//! The reader thread of a peer connection: decrypts and parses peer messages, one `Input::Messages` per socket read.

use std::io::{self, ErrorKind, Read};
use std::net::TcpStream;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Buf;

use super::buffers::{Buffer, BufferPool, CLASSES};
use super::inbox::{ReadSemaphore, TorrentHandle};
use crate::limits;
use crate::swarm::torrent::{DisconnectReason, Input, PeerKey};
use crate::wire::message::{self, Frame, FrameError, Message};
use crate::wire::rc4::Rc4;

/// Read timeout of a peer socket, after which the idle time is checked. Short on Windows, where shutting down a socket
/// does not wake a blocked read.
pub(crate) const READ_TIMEOUT: Duration = if cfg!(windows) { Duration::from_secs(1) } else { Duration::from_secs(20) };

/// Number of consecutive reads that must fit the next smaller buffer class before that class is used.
const SMALL_READS: u32 = 16;

/// The number of pieces of a torrent, set once the metadata is known.
pub(crate) type Pieces = Arc<OnceLock<u32>>;

/// The reader of one peer connection.
pub(crate) struct Reader {
    pub peer: PeerKey,
    /// The connection; its read timeout is set.
    pub socket: Arc<TcpStream>,
    /// Decrypted bytes received after the handshake.
    pub early: Vec<u8>,
    /// Decrypts received bytes, if the connection is encrypted (MSE).
    pub cipher: Option<Rc4>,
    /// The number of pieces, once the metadata is known.
    pub pieces: Pieces,
    /// Receives the parsed messages.
    pub inbox: TorrentHandle,
    /// The pool that read buffers come from.
    pub pool: BufferPool,
}

/// The result of parsing the buffered bytes.
struct Parsed {
    batch: Vec<Message>,
    /// Bytes of an unknown message that must still be skipped.
    skip: usize,
    /// Length of the incomplete message at the end, as far as known.
    need: usize,
    error: Option<FrameError>,
}

impl Reader {
    /// Reads until the connection ends, then reports the reason to the torrent.
    pub(crate) fn run(mut self) {
        let credit = Arc::new(ReadSemaphore::default());
        let why = self.read(&credit);
        let _ = self.inbox.bulk(Input::PeerDisconnected { peer: self.peer, why }, credit.take());
    }

    fn read(&mut self, credit: &Arc<ReadSemaphore>) -> DisconnectReason {
        let mut size = Size::default();
        let mut buffer = self.pool.take(size.class);
        // Bytes of an unknown message still to be skipped, and the length of the message at the front.
        let (mut skip, mut need) = (0, 4);
        let mut heard = Instant::now();
        let mut expected = 1;
        loop {
            if buffer.space().is_empty() {
                buffer = self.grown(&buffer, need);
            }
            let space = buffer.space().len();
            let n = match self.receive(buffer.space()) {
                Ok(0) => return DisconnectReason::Closed,
                Ok(n) => n,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => match heard.elapsed() {
                    quiet if quiet >= limits::IDLE => return DisconnectReason::TimedOut("next message"),
                    _ => continue,
                },
                Err(e) => return DisconnectReason::Network(describe_io_error(&e)),
            };
            heard = Instant::now();
            if skip > 0 {
                // The buffer was empty: only bytes after the unknown message are kept.
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
                FrontMessage::Yes => (),
                FrontMessage::Needs(bytes) => {
                    need = bytes;
                    continue;
                }
            }
            let class = size.class;
            let parsed = parse(&mut buffer, &self.pool, class, pieces, expected);
            (skip, need) = (parsed.skip, parsed.need);
            expected = parsed.batch.len();
            if !parsed.batch.is_empty() {
                let input = Input::Messages { peer: self.peer, batch: parsed.batch };
                if self.inbox.bulk(input, credit.take()).is_err() {
                    return DisconnectReason::Stopped;
                }
            }
            if let Some(error) = parsed.error {
                return DisconnectReason::ProtocolViolation(error.to_string());
            }
        }
    }

    /// Reads once from the socket and decrypts; bytes that came with the handshake are returned first.
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

    /// Returns a larger buffer with the same bytes. At most doubles, so that a length prefix alone allocates little.
    fn grown(&self, full: &Buffer, need: usize) -> Buffer {
        let size = need.clamp(full.capacity() + 1, full.capacity() * 2);
        let mut larger = self.pool.take_for(size);
        larger.put(full.filled());
        larger
    }
}

enum FrontMessage {
    Yes,
    Needs(usize),
}

/// Returns whether a complete message (or an error) is at the front.
fn whole(bytes: &[u8], pieces: Option<u32>) -> FrontMessage {
    match message::frame_length(bytes, pieces) {
        Ok(Frame::Incomplete(n)) if n > bytes.len() => FrontMessage::Needs(n),
        _ => FrontMessage::Yes,
    }
}

/// Parses all complete messages in `buffer` and replaces it by a buffer with the incomplete rest.
fn parse(buffer: &mut Buffer, pool: &BufferPool, class: usize, pieces: Option<u32>, expected: usize) -> Parsed {
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

/// Chooses the buffer class of a peer: one class up after a read that filled the buffer, one class down after many
/// reads that would have fitted the smaller class.
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

/// Describes a socket error for the user, as a clause about the peer.
pub(crate) fn describe_io_error(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionReset => "connection reset".to_owned(),
        ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => "the connection broke".to_owned(),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => "host unreachable".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{Ipv4Addr, TcpListener};

    use bytes::Bytes;

    use super::super::inbox::{TorrentInbox, TorrentMessage, inbox};
    use super::*;
    use crate::wire::message::{Block, PieceIndex};

    fn start(pieces: Option<u32>) -> (TcpStream, TorrentInbox) {
        start_with(pieces, &[], None)
    }

    /// Starts a reader with these early bytes; later bytes are encrypted with `key`.
    fn start_with(pieces: Option<u32>, early: &[u8], key: Option<&[u8]>) -> (TcpStream, TorrentInbox) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let near = listener.accept().unwrap().0;
        let (inbox, mail) = inbox();
        let socket = Arc::new(near);
        let (early, cipher) = (early.to_vec(), key.map(Rc4::new));
        let pieces = Arc::new(pieces.map_or_else(OnceLock::new, OnceLock::from));
        let reader = Reader { peer: PeerKey(1), socket, early, cipher, pieces, inbox, pool: BufferPool::default() };
        std::thread::spawn(move || reader.run());
        (far, mail)
    }

    /// Collects all messages until the connection ends, and the reason why it ended.
    fn collect(mail: &TorrentInbox) -> (Vec<Message>, DisconnectReason) {
        let mut all = Vec::new();
        loop {
            match mail.recv_deadline(Instant::now() + Duration::from_secs(60)) {
                Ok(Some(TorrentMessage::Input(Input::Messages { batch, .. }))) => all.extend(batch),
                Ok(Some(TorrentMessage::Input(Input::PeerDisconnected { why, .. }))) => return (all, why),
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
        assert_eq!(why, DisconnectReason::Closed);
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
        assert_eq!(why, DisconnectReason::Closed);
    }

    #[test]
    fn encrypted_bytes_are_read_as_plain_ones_and_early_ones_first() {
        let sent: Vec<_> = (0..100).map(|n| piece(n, 16 * 1024)).collect();
        let mut bytes = encode(&sent);
        // The early bytes end in the middle of a message.
        let rest = bytes.split_off(20_001);
        let (mut far, mail) = start_with(Some(100), &bytes, Some(b"key"));
        let mut rest = rest;
        Rc4::new(b"key").apply(&mut rest);
        let sender = std::thread::spawn(move || far.write_all(&rest).unwrap());
        let (got, why) = collect(&mail);
        sender.join().unwrap();
        assert!(got == sent);
        assert_eq!(why, DisconnectReason::Closed);
    }

    #[test]
    fn messages_before_a_protocol_violation_are_delivered() {
        let (mut far, mail) = start(Some(8));
        let mut bytes = encode([&Message::Unchoke]);
        bytes.extend([0xff, 0xff, 0xff, 0xff, 7]);
        far.write_all(&bytes).unwrap();
        let (got, why) = collect(&mail);
        assert_eq!(got, [Message::Unchoke]);
        assert!(matches!(why, DisconnectReason::ProtocolViolation(_)));
    }
}
