//! The writer loop of a peer: parcels of the torrent become few and large writes to its socket.

use std::io::{self, ErrorKind, IoSlice, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

use super::buffers::{CLASSES, Pool};
use super::inbox::Inbox;
use super::reader::words;
use crate::limits;
use crate::swarm::job::DiskFault;
use crate::swarm::torrent::{Gone, Input, PeerKey};
use crate::wire::message::{Block, Message, PIECE_HEADER, PieceIndex, piece_header};
use crate::wire::rc4::Rc4;

/// Reads these bytes of a torrent from disk.
pub type ReadBlock = Arc<dyn Fn(Block, &mut [u8]) -> Result<(), DiskFault> + Send + Sync>;

/// The most blocks of one write: with their headers they stay far below the slices that a system takes in a call.
const BLOCKS_A_WRITE: usize = 32;
/// The most and the least bytes of blocks of one write.
const WRITE_MOST: usize = CLASSES[CLASSES.len() - 1];
const WRITE_LEAST: usize = limits::BLOCK as usize;
/// A write that takes longer makes the next one smaller, so that what a slow peer was sent is counted as it goes.
const SLOW: Duration = Duration::from_millis(250);

/// What goes to a peer, in order. One queue item is a list of these.
#[derive(Debug)]
pub enum Parcel {
    /// Encoded messages.
    Control {
        /// Their bytes.
        bytes: Vec<u8>,
        /// How many they are.
        messages: usize,
    },
    /// Blocks to be read from disk.
    Blocks(Vec<Block>),
}

/// The torrent's end of a writer's queue. The writer ends when it is dropped.
pub struct Outbox {
    queue: Sender<Vec<Parcel>>,
    waiting: Arc<AtomicUsize>,
    pending: Vec<Parcel>,
}

/// The writer's end.
pub struct Queue {
    parcels: Receiver<Vec<Parcel>>,
    waiting: Arc<AtomicUsize>,
}

/// The queue of a peer's writer. It has no bound of its own, since a torrent waits for nobody; [`Outbox::waiting`] tells
/// when the peer is to be dropped.
#[must_use]
pub fn outbox() -> (Outbox, Queue) {
    let (queue, parcels) = unbounded();
    let waiting = Arc::new(AtomicUsize::new(0));
    (Outbox { queue, waiting: Arc::clone(&waiting), pending: Vec::new() }, Queue { parcels, waiting })
}

impl Outbox {
    /// Adds a message to what the next [`Outbox::flush`] hands over.
    pub fn message(&mut self, message: &Message) {
        if let Some(Parcel::Control { bytes, messages }) = self.pending.last_mut() {
            *messages += 1;
            message.encode(bytes);
            return;
        }
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        self.pending.push(Parcel::Control { bytes, messages: 1 });
    }

    /// Adds a block.
    pub fn block(&mut self, block: Block) {
        match self.pending.last_mut() {
            Some(Parcel::Blocks(blocks)) => blocks.push(block),
            _ => self.pending.push(Parcel::Blocks(vec![block])),
        }
    }

    /// Whether [`Outbox::flush`] has anything to hand over.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Hands all of it to the writer as one item.
    pub fn flush(&mut self) {
        let parcels = std::mem::take(&mut self.pending);
        let messages: usize = parcels.iter().map(Parcel::messages).sum();
        self.waiting.fetch_add(messages, Ordering::Relaxed);
        // A writer that has ended has told so itself.
        let _ = self.queue.send(parcels);
    }

    /// Messages that the writer has not written yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl Parcel {
    fn messages(&self) -> usize {
        match self {
            Parcel::Control { messages, .. } => *messages,
            Parcel::Blocks(_) => 0,
        }
    }
}

/// One peer's writer.
pub struct Writer {
    /// The peer.
    pub peer: PeerKey,
    /// Its connection, with [`limits::WRITE`] as write timeout.
    pub socket: Arc<TcpStream>,
    /// Encrypts what goes out, if it is to be.
    pub cipher: Option<Rc4>,
    /// What to write.
    pub queue: Queue,
    /// Where `Sent`, `Unread` and `Gone` go.
    pub inbox: Inbox,
    /// Reads blocks.
    pub read: ReadBlock,
    /// Where buffers come from.
    pub pool: Pool,
}

impl Writer {
    /// Writes until the queue or the connection ends; tells the torrent in the latter case.
    pub fn run(mut self) {
        let cipher = self.cipher.take();
        let mut work = Work { writer: &self, cipher, control: Vec::new(), most: WRITE_LEAST };
        if let Err(error) = work.write_all_parcels() {
            let why = match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => Gone::TimedOut("taking what we send"),
                ErrorKind::BrokenPipe => Gone::Closed,
                _ => Gone::Network(words(&error)),
            };
            self.inbox.tell(Input::Gone { peer: self.peer, why });
        }
    }
}

struct Work<'a> {
    writer: &'a Writer,
    cipher: Option<Rc4>,
    /// Encoded messages that go out before anything else.
    control: Vec<u8>,
    /// Bytes of blocks that the next write takes at most.
    most: usize,
}

impl Work<'_> {
    fn write_all_parcels(&mut self) -> io::Result<()> {
        loop {
            let first = match self.writer.queue.parcels.recv_timeout(limits::KEEP_ALIVE) {
                Ok(parcels) => parcels,
                Err(RecvTimeoutError::Timeout) => {
                    Message::KeepAlive.encode(&mut self.control);
                    Vec::new()
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            let mut messages = self.take(first)?;
            while let Ok(more) = self.writer.queue.parcels.try_recv() {
                messages += self.take(more)?;
            }
            self.flush(&[], &mut [])?;
            self.writer.queue.waiting.fetch_sub(messages, Ordering::Relaxed);
        }
    }

    /// Collects messages, writes blocks. Returns how many messages there were.
    fn take(&mut self, parcels: Vec<Parcel>) -> io::Result<usize> {
        let mut count = 0;
        for parcel in parcels {
            match parcel {
                Parcel::Control { bytes, messages } => {
                    count += messages;
                    match self.control.is_empty() {
                        true => self.control = bytes,
                        false => self.control.extend(bytes),
                    }
                }
                Parcel::Blocks(blocks) => {
                    let mut rest = &blocks[..];
                    while !rest.is_empty() {
                        let (group, later) = rest.split_at(self.group(rest));
                        self.blocks(group)?;
                        rest = later;
                    }
                }
            }
        }
        Ok(count)
    }

    /// How many blocks from the front go into one write; at least one.
    fn group(&self, blocks: &[Block]) -> usize {
        let mut bytes = 0;
        let fits = blocks.iter().take(BLOCKS_A_WRITE).take_while(|block| {
            bytes += block.length as usize;
            bytes <= self.most
        });
        fits.count().max(1)
    }

    /// Reads these blocks and sends them in one write.
    fn blocks(&mut self, group: &[Block]) -> io::Result<()> {
        let writer = self.writer;
        let total = group.iter().map(|b| b.length as usize).sum();
        let mut buffer = writer.pool.take_for(total);
        let data = &mut buffer.space()[..total];
        let mut sent = Vec::with_capacity(group.len());
        let (mut at, mut failed, mut fault) = (0, Vec::new(), None);
        for run in group.chunk_by(|a, b| a.piece == b.piece && a.begin + a.length == b.begin) {
            let length: u32 = run.iter().map(|b| b.length).sum();
            let (piece, begin) = run.first().map_or((PieceIndex(0), 0), |b| (b.piece, b.begin));
            match (writer.read)(Block { piece, begin, length }, &mut data[at..at + length as usize]) {
                Ok(()) => {
                    sent.extend_from_slice(run);
                    at += length as usize;
                }
                Err(why) => {
                    failed.extend_from_slice(run);
                    fault = Some(why);
                }
            }
        }
        if let Some(fault) = fault {
            writer.inbox.tell(Input::Unread { peer: writer.peer, blocks: failed, fault });
        }
        if sent.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        self.flush(&sent, &mut data[..at])?;
        self.most = match began.elapsed() {
            slow if slow > SLOW => (self.most / 2).max(WRITE_LEAST),
            _ => (self.most * 2).min(WRITE_MOST),
        };
        writer.inbox.tell(Input::Sent { peer: writer.peer, bytes: at as u64 });
        Ok(())
    }

    /// Writes the messages that wait, then these blocks with their headers, in one call where the socket takes it.
    /// Where the connection is encrypted, so are they, where they lie.
    fn flush(&mut self, blocks: &[Block], data: &mut [u8]) -> io::Result<()> {
        let mut headers: Vec<[u8; PIECE_HEADER]> = blocks.iter().map(|&b| piece_header(b)).collect();
        if let Some(cipher) = &mut self.cipher {
            cipher.apply(&mut self.control);
            let mut rest = &mut *data;
            for (block, header) in blocks.iter().zip(&mut headers) {
                let (own, later) = rest.split_at_mut(block.length as usize);
                rest = later;
                cipher.apply(header);
                cipher.apply(own);
            }
        }
        let mut slices = Vec::with_capacity(1 + 2 * blocks.len());
        if !self.control.is_empty() {
            slices.push(IoSlice::new(&self.control));
        }
        let mut rest = &*data;
        for (block, header) in blocks.iter().zip(&headers) {
            let (own, later) = rest.split_at(block.length as usize);
            rest = later;
            slices.extend([IoSlice::new(header), IoSlice::new(own)]);
        }
        write_all(&self.writer.socket, &mut slices)?;
        drop(slices);
        self.control.clear();
        Ok(())
    }
}

/// Writes all slices, however little the socket takes at a time.
fn write_all(mut socket: &TcpStream, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
    while !slices.is_empty() {
        match socket.write_vectored(slices) {
            Ok(0) => return Err(ErrorKind::BrokenPipe.into()),
            Ok(n) => IoSlice::advance_slices(&mut slices, n),
            Err(e) if e.kind() == ErrorKind::Interrupted => (),
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{Ipv4Addr, TcpListener};

    use bytes::{Buf, Bytes};

    use super::super::inbox::{Mail, Post, inbox};
    use super::*;
    use crate::swarm::job::FaultKind;
    use crate::wire::message::{Frame, decode};

    /// A writer over a torrent of one MiB pieces whose piece 9 cannot be read.
    fn start() -> (TcpStream, Outbox, Mail) {
        start_with(None)
    }

    /// Whose bytes go out encrypted with this key.
    fn start_with(key: Option<&[u8]>) -> (TcpStream, Outbox, Mail) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let near = listener.accept().unwrap().0;
        let (inbox, mail) = inbox();
        let (outbox, queue) = outbox();
        let read: ReadBlock = Arc::new(|block, into| {
            if block.piece.0 == 9 {
                return Err(DiskFault { kind: FaultKind::Changed, text: "it is gone".into() });
            }
            into.iter_mut().enumerate().for_each(|(i, byte)| *byte = content(block.piece.0, block.begin as usize + i));
            Ok(())
        });
        let pool = Pool::default();
        let cipher = key.map(Rc4::new);
        let writer = Writer { peer: PeerKey(1), socket: Arc::new(near), cipher, queue, inbox, read, pool };
        std::thread::spawn(move || writer.run());
        (far, outbox, mail)
    }

    fn content(piece: u32, at: usize) -> u8 {
        (at / 7 + piece as usize) as u8
    }

    fn receive(far: TcpStream) -> Vec<Message> {
        receive_with(far, None)
    }

    fn receive_with(mut far: TcpStream, key: Option<&[u8]>) -> Vec<Message> {
        let mut raw = Vec::new();
        far.read_to_end(&mut raw).unwrap();
        if let Some(key) = key {
            Rc4::new(key).apply(&mut raw);
        }
        let mut bytes = Bytes::from(raw);
        let mut all = Vec::new();
        while let Ok(Frame::Message(message, n)) = decode(&bytes, Some(64)) {
            all.push(message);
            bytes.advance(n);
        }
        assert!(bytes.is_empty());
        all
    }

    #[test]
    fn messages_and_blocks_leave_in_the_order_they_were_given() {
        in_order(None);
    }

    #[test]
    fn and_in_the_same_order_encrypted() {
        in_order(Some(b"key"));
    }

    fn in_order(key: Option<&'static [u8]>) {
        let (far, mut outbox, mail) = start_with(key);
        let blocks: Vec<_> =
            (0..100).map(|n| Block { piece: PieceIndex(n / 64), begin: n % 64 * 16384, length: 16384 }).collect();
        outbox.message(&Message::Unchoke);
        for (n, &block) in blocks.iter().enumerate() {
            outbox.block(block);
            if n == 50 {
                outbox.message(&Message::Have(PieceIndex(3)));
                outbox.flush();
            }
        }
        outbox.message(&Message::Choke);
        outbox.flush();
        let reader = std::thread::spawn(move || receive_with(far, key));
        let mut sent = 0;
        while sent < 100 * 16384 {
            match mail.wait(Instant::now() + Duration::from_secs(60)) {
                Ok(Some(Post::Input(Input::Sent { bytes, .. }))) => sent += bytes,
                _ => panic!("no word of the blocks"),
            }
        }
        drop(outbox);
        let got = reader.join().unwrap();
        assert_eq!(got.len(), 103);
        assert_eq!((&got[0], &got[52], &got[102]), (&Message::Unchoke, &Message::Have(PieceIndex(3)), &Message::Choke));
        let pieces = got.iter().filter_map(|m| match m {
            Message::Piece { piece, begin, data } => Some((piece, begin, data)),
            _ => None,
        });
        for (block, (piece, begin, data)) in blocks.iter().zip(pieces) {
            assert_eq!((block.piece, block.begin), (*piece, *begin));
            assert!(data.iter().enumerate().all(|(i, &b)| b == content(piece.0, *begin as usize + i)));
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_and_the_rest_is_sent() {
        let (far, mut outbox, mail) = start();
        let bad = Block { piece: PieceIndex(9), begin: 0, length: 16384 };
        outbox.block(bad);
        outbox.block(Block { piece: PieceIndex(8), begin: 0, length: 100 });
        outbox.flush();
        match mail.wait(Instant::now() + Duration::from_secs(60)) {
            Ok(Some(Post::Input(Input::Unread { blocks, .. }))) => assert_eq!(blocks, [bad]),
            _ => panic!("no word of the fault"),
        }
        drop(outbox);
        assert_eq!(receive(far).len(), 1);
    }

    #[test]
    fn a_peer_that_hangs_up_is_gone() {
        let (far, mut outbox, mail) = start();
        drop(far);
        loop {
            outbox.message(&Message::KeepAlive);
            outbox.flush();
            if let Ok(Some(Post::Input(Input::Gone { .. }))) = mail.wait(Instant::now() + Duration::from_millis(1)) {
                break;
            }
        }
    }
}
