//! The writer thread of a peer connection: coalesces queued messages and blocks into few large socket writes.

use std::io::{self, ErrorKind, IoSlice, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

use super::buffers::{BufferPool, CLASSES};
use super::inbox::TorrentHandle;
use super::reader::describe_io_error;
use crate::limits;
use crate::swarm::job::DiskFault;
use crate::swarm::torrent::{DisconnectReason, Input, PeerKey};
use crate::wire::message::{Block, Message, PIECE_HEADER, PieceIndex, piece_header};
use crate::wire::rc4::Rc4;

/// Reads a block of a torrent from disk into the buffer.
pub(crate) type ReadBlock = Arc<dyn Fn(Block, &mut [u8]) -> Result<(), DiskFault> + Send + Sync>;

/// Maximum number of blocks in one write; with headers this stays far below the system's `IOV_MAX`.
const BLOCKS_A_WRITE: usize = 32;
/// Maximum and minimum payload bytes of one write.
const WRITE_MOST: usize = CLASSES[CLASSES.len() - 1];
const WRITE_LEAST: usize = limits::BLOCK as usize;
/// A write slower than this halves the size of the next one, so that the upload is counted in small steps.
const SLOW: Duration = Duration::from_millis(250);

/// An item of the send queue; items are sent in order.
#[derive(Debug)]
pub(crate) enum SendItem {
    Control {
        bytes: Vec<u8>,
        /// Number of encoded messages.
        messages: usize,
    },
    /// Blocks to be read from disk and sent as `piece` messages.
    Blocks(Vec<Block>),
}

/// The torrent's end of a send queue. The writer thread ends when it is dropped.
pub(crate) struct SendQueue {
    queue: Sender<Vec<SendItem>>,
    waiting: Arc<AtomicUsize>,
    pending: Vec<SendItem>,
}

/// The writer's end of a send queue.
pub(crate) struct SendQueueReceiver {
    parcels: Receiver<Vec<SendItem>>,
    waiting: Arc<AtomicUsize>,
}

/// Creates the send queue of a connection.
///
/// The queue is unbounded, because the torrent must not block. [`SendQueue::waiting`] tells when the torrent
/// should disconnect the peer.
#[must_use]
pub(crate) fn outbox() -> (SendQueue, SendQueueReceiver) {
    let (queue, parcels) = unbounded();
    let waiting = Arc::new(AtomicUsize::new(0));
    (SendQueue { queue, waiting: Arc::clone(&waiting), pending: Vec::new() }, SendQueueReceiver { parcels, waiting })
}

impl SendQueue {
    /// Appends a message to the pending items.
    pub(crate) fn message(&mut self, message: &Message) {
        if let Some(SendItem::Control { bytes, messages }) = self.pending.last_mut() {
            *messages += 1;
            message.encode(bytes);
            return;
        }
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        self.pending.push(SendItem::Control { bytes, messages: 1 });
    }

    /// Appends a block to the pending items.
    pub(crate) fn block(&mut self, block: Block) {
        match self.pending.last_mut() {
            Some(SendItem::Blocks(blocks)) => blocks.push(block),
            _ => self.pending.push(SendItem::Blocks(vec![block])),
        }
    }

    /// Returns `true` if there are no pending items to [`SendQueue::flush`].
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Passes all pending items to the writer thread.
    pub(crate) fn flush(&mut self) {
        let parcels = std::mem::take(&mut self.pending);
        let messages: usize = parcels.iter().map(SendItem::messages).sum();
        self.waiting.fetch_add(messages, Ordering::Relaxed);
        // Fails only after the writer has ended, which it reports itself.
        let _ = self.queue.send(parcels);
    }

    /// Returns the number of messages, without blocks, that are flushed but not written yet.
    #[must_use]
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl SendItem {
    fn messages(&self) -> usize {
        match self {
            SendItem::Control { messages, .. } => *messages,
            SendItem::Blocks(_) => 0,
        }
    }
}

/// The writer of one peer connection.
pub(crate) struct Writer {
    pub peer: PeerKey,
    /// The connection, with [`limits::WRITE`] as write timeout.
    pub socket: Arc<TcpStream>,
    /// Encrypts sent bytes, if the connection is encrypted (MSE).
    pub cipher: Option<Rc4>,
    pub queue: SendQueueReceiver,
    /// Receives `Input::BytesSent`, `Input::ReadFailed` and `Input::PeerDisconnected`.
    pub inbox: TorrentHandle,
    pub read: ReadBlock,
    /// The pool that block buffers come from.
    pub pool: BufferPool,
}

impl Writer {
    /// Writes until the queue is dropped or the connection fails; reports a failure to the torrent.
    pub(crate) fn run(mut self) {
        let cipher = self.cipher.take();
        let mut work = Work { writer: &self, cipher, control: Vec::new(), most: WRITE_LEAST };
        if let Err(error) = work.write_all_parcels() {
            let why = match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => DisconnectReason::TimedOut("sending"),
                ErrorKind::BrokenPipe => DisconnectReason::Closed,
                _ => DisconnectReason::Network(describe_io_error(&error)),
            };
            self.inbox.send(Input::PeerDisconnected { peer: self.peer, why });
        }
    }
}

struct Work<'a> {
    writer: &'a Writer,
    cipher: Option<Rc4>,
    /// Encoded messages to be sent before the next blocks.
    control: Vec<u8>,
    /// Current maximum payload bytes of one write.
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

    /// Collects messages and writes blocks. Returns the number of messages collected.
    fn take(&mut self, parcels: Vec<SendItem>) -> io::Result<usize> {
        let mut count = 0;
        for parcel in parcels {
            match parcel {
                SendItem::Control { bytes, messages } => {
                    count += messages;
                    match self.control.is_empty() {
                        true => self.control = bytes,
                        false => self.control.extend(bytes),
                    }
                }
                SendItem::Blocks(blocks) => {
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

    /// Returns how many blocks from the front go into one write; at least one.
    fn group(&self, blocks: &[Block]) -> usize {
        let mut bytes = 0;
        let fits = blocks.iter().take(BLOCKS_A_WRITE).take_while(|block| {
            bytes += block.length as usize;
            bytes <= self.most
        });
        fits.count().max(1)
    }

    /// Reads these blocks from disk and sends them in one write; contiguous blocks are read together.
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
            writer.inbox.send(Input::ReadFailed { peer: writer.peer, blocks: failed, fault });
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
        writer.inbox.send(Input::BytesSent { peer: writer.peer, bytes: at as u64 });
        Ok(())
    }

    /// Writes the collected messages, then these blocks with their headers, in one vectored write if possible.
    ///
    /// Encrypts everything in place if the connection is encrypted.
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

/// Writes all slices, in as many calls as the socket needs.
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

    use super::super::inbox::{TorrentInbox, TorrentMessage, inbox};
    use super::*;
    use crate::swarm::job::FaultKind;
    use crate::wire::message::{Frame, decode};

    /// Starts a writer for a torrent with pieces of 1 MiB whose piece 9 cannot be read.
    fn start() -> (TcpStream, SendQueue, TorrentInbox) {
        start_with(None)
    }

    /// Like [`start`], encrypting with `key`.
    fn start_with(key: Option<&[u8]>) -> (TcpStream, SendQueue, TorrentInbox) {
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
        let pool = BufferPool::default();
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
    fn order_is_kept_when_encrypted() {
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
            match mail.recv_deadline(Instant::now() + Duration::from_secs(60)) {
                Ok(Some(TorrentMessage::Input(Input::BytesSent { bytes, .. }))) => sent += bytes,
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
    fn read_error_is_reported_and_the_rest_is_sent() {
        let (far, mut outbox, mail) = start();
        let bad = Block { piece: PieceIndex(9), begin: 0, length: 16384 };
        outbox.block(bad);
        outbox.block(Block { piece: PieceIndex(8), begin: 0, length: 100 });
        outbox.flush();
        match mail.recv_deadline(Instant::now() + Duration::from_secs(60)) {
            Ok(Some(TorrentMessage::Input(Input::ReadFailed { blocks, .. }))) => assert_eq!(blocks, [bad]),
            _ => panic!("no word of the fault"),
        }
        drop(outbox);
        assert_eq!(receive(far).len(), 1);
    }

    #[test]
    fn closed_connection_is_reported() {
        let (far, mut outbox, mail) = start();
        drop(far);
        loop {
            outbox.message(&Message::KeepAlive);
            outbox.flush();
            if let Ok(Some(TorrentMessage::Input(Input::PeerDisconnected { .. }))) =
                mail.recv_deadline(Instant::now() + Duration::from_millis(1))
            {
                break;
            }
        }
    }
}
