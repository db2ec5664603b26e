//! The message queues of a running torrent. A message wakes the torrent's [`Task`].
//!
//! The *control* queue carries commands and completions; it is unbounded because every item answers a request of the
//! torrent or of the user, and it is drained first. The *bulk* queue carries peer messages; it is bounded, so a busy
//! torrent blocks the reader threads and TCP flow control pushes back on the peer. Each peer has a limit of its own in
//! the bulk queue, so that one fast peer cannot fill it.

use std::collections::VecDeque;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::scheduler::Task;
use crate::disk::storage::{Resumed, Storage};
use crate::swarm::torrent::{Input, PeerInfo, PeerKey, TorrentConfig};
use crate::wire::message::Reserved;
use crate::wire::mse::Ciphers;

/// Maximum number of reads of all peers queued for a torrent: at most 16 MiB in the largest buffers.
const BULK: usize = 64;

/// Number of control messages that an emptied queue keeps room for.
const KEPT_ROOM: usize = 128;

/// Maximum number of reads of one peer queued for its torrent.
pub(crate) const READS_WAITING: usize = 4;

/// A message to a running torrent.
pub enum TorrentMessage {
    /// An input of the state machine.
    Input(Input),
    /// A connection that has completed its handshake.
    Connected(ConnectedPeer),
    /// The metadata of a magnet link was validated and its files are open.
    MetadataLoaded(Box<MetadataLoaded>),
    /// Whether views carry details from now on.
    Detail(bool),
}

/// What a magnet link becomes once its metadata is validated and its files are open.
pub struct MetadataLoaded {
    /// The configuration that replaces the one of the magnet link.
    pub config: TorrentConfig,
    pub storage: Storage,
    /// The resume data.
    pub resumed: Resumed,
}

/// A connection that has completed its handshake; the socket is in blocking mode.
pub struct ConnectedPeer {
    pub peer: PeerKey,
    /// What the handshake revealed about the peer.
    pub hello: PeerInfo,
    pub socket: TcpStream,
    /// Data and ciphers for the reader and writer threads.
    pub cover: HandshakeRemainder,
    /// Holds a slot of the global connection limit until dropped.
    pub seat: ConnectionPermit,
}

/// What the handshake hands to the reader and writer threads.
#[derive(Debug, Default)]
pub struct HandshakeRemainder {
    /// Decrypted bytes received after the handshake: at most [`limits::MSE_PAYLOAD`](crate::limits::MSE_PAYLOAD) and
    /// one read.
    pub early: Vec<u8>,
    /// The RC4 state of both directions, if the connection is encrypted (MSE).
    pub ciphers: Option<Box<Ciphers>>,
}

/// The limit on connections of all torrents together. Clones share the count.
#[derive(Clone)]
pub(crate) struct ConnectionLimit {
    taken: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl ConnectionLimit {
    /// Creates a limit with this maximum.
    #[must_use]
    pub(crate) fn new(most: usize) -> Self {
        ConnectionLimit { taken: Arc::default(), most: Arc::new(AtomicUsize::new(most)) }
    }

    /// Returns a permit for one connection, or `None` if the limit is reached.
    #[must_use]
    pub(crate) fn take(&self) -> Option<ConnectionPermit> {
        let seat = ConnectionPermit(Arc::clone(&self.taken));
        (self.taken.fetch_add(1, Ordering::Relaxed) < self.most()).then_some(seat)
    }

    /// Returns the maximum number of connections.
    #[must_use]
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    /// Sets the maximum number of connections.
    ///
    /// Existing connections are kept; if the limit shrinks, no permit is issued until the count falls below it.
    pub(crate) fn set_most(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// Returns the current number of connections.
    #[must_use]
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

/// A slot of the [`ConnectionLimit`], released on drop.
pub struct ConnectionPermit(Arc<AtomicUsize>);

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The sending side of a torrent's queues. Clones send to the same torrent; sending fails once it has ended.
#[derive(Clone)]
pub struct TorrentHandle(Arc<Queues>);

struct Queues {
    mail: Mutex<Mail>,
    /// Whether handshakes of this torrent offer our DHT node. Shared by all clones, because a magnet link may turn out
    /// to be private.
    dht: AtomicBool,
    /// Limits the bulk queue.
    room: Arc<ReadSemaphore>,
    /// Woken after each message.
    task: Task,
}

/// Plain queues behind a lock: an idle torrent has none in memory, unlike channels, which hold room for many messages.
#[derive(Default)]
struct Mail {
    control: VecDeque<TorrentMessage>,
    bulk: VecDeque<Bulk>,
    /// The torrent has ended.
    ended: bool,
}

impl Queues {
    fn lock(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message into a queue and wakes the torrent.
    fn put(&self, put: impl FnOnce(&mut Mail)) -> Result<(), TorrentStopped> {
        let mut mail = self.lock();
        if mail.ended {
            // The message is dropped after the lock is released: it may hold permits.
            return Err(TorrentStopped);
        }
        put(&mut mail);
        drop(mail);
        self.task.wake();
        Ok(())
    }
}

/// The receiving side of a torrent's queues. Dropping it frees readers that wait for a place.
pub(crate) struct TorrentInbox(Arc<Queues>);

/// A peer's input with its permits of the peer limit and of the queue limit.
struct Bulk {
    input: Input,
    _places: [ReadPermit; 2],
}

/// Error: the torrent has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TorrentStopped;

/// Creates the queues of one torrent.
#[must_use]
pub(crate) fn inbox() -> (TorrentHandle, TorrentInbox) {
    let room = Arc::new(ReadSemaphore::of(BULK));
    let queues = Queues { mail: Mutex::default(), dht: AtomicBool::new(false), room, task: Task::default() };
    let handle = TorrentHandle(Arc::new(queues));
    let mail = TorrentInbox(Arc::clone(&handle.0));
    (handle, mail)
}

impl TorrentHandle {
    /// Sets whether handshakes of this torrent offer our DHT node.
    pub fn offer_dht(&self, on: bool) {
        self.0.dht.store(on, Ordering::Relaxed);
    }

    /// Returns the reserved bytes for handshakes of this torrent.
    #[must_use]
    pub fn reserved(&self) -> Reserved {
        Reserved::supported(self.0.dht.load(Ordering::Relaxed))
    }

    /// Returns the task that runs the torrent.
    #[must_use]
    pub(crate) fn task(&self) -> &Task {
        &self.0.task
    }

    /// Puts a message into the control queue. Never blocks.
    ///
    /// # Errors
    /// Fails if the torrent has ended.
    pub fn try_send(&self, post: TorrentMessage) -> Result<(), TorrentStopped> {
        self.0.put(|mail| mail.control.push_back(post))
    }

    /// Returns `true` if both handles send to the same run of a torrent.
    #[must_use]
    pub fn same(&self, other: &TorrentHandle) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Puts an input into the control queue. Never blocks; the input is dropped if the torrent has ended.
    pub fn send(&self, input: Input) {
        let _ = self.try_send(TorrentMessage::Input(input));
    }

    /// Puts a peer's input into the bulk queue. Blocks while the queue is full.
    ///
    /// # Errors
    /// Fails if the torrent has ended.
    pub fn bulk(&self, input: Input, ticket: ReadPermit) -> Result<(), TorrentStopped> {
        let room = self.0.room.take();
        let bulk = Bulk { input, _places: [ticket, room] };
        self.0.put(|mail| mail.bulk.push_back(bulk))
    }
}

impl TorrentInbox {
    /// Returns the next queued message, control first; `Ok(None)` if both queues are empty.
    ///
    /// # Errors
    /// Fails if all sending handles are dropped.
    pub(crate) fn try_recv(&self) -> Result<Option<TorrentMessage>, TorrentStopped> {
        let mut mail = self.0.lock();
        if let Some(post) = mail.control.pop_front() {
            return Ok(Some(post));
        }
        if let Some(bulk) = mail.bulk.pop_front() {
            drop(mail);
            return Ok(Some(TorrentMessage::Input(bulk.input)));
        }
        if mail.control.capacity() > KEPT_ROOM {
            mail.control = VecDeque::new();
        }
        if Arc::strong_count(&self.0) == 1 { Err(TorrentStopped) } else { Ok(None) }
    }

    /// Waits for a message, control first; `Ok(None)` at the deadline.
    ///
    /// # Errors
    /// Fails if all sending handles are dropped.
    #[cfg(test)]
    pub(crate) fn recv_deadline(&self, deadline: std::time::Instant) -> Result<Option<TorrentMessage>, TorrentStopped> {
        loop {
            match self.try_recv() {
                Ok(None) if std::time::Instant::now() < deadline => {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
                other => return other,
            }
        }
    }
}

impl Drop for TorrentInbox {
    fn drop(&mut self) {
        // Messages are dropped after the lock is released: they hold permits.
        let _left = std::mem::replace(&mut *self.0.lock(), Mail { ended: true, ..Mail::default() });
    }
}

/// A counting semaphore for queued reads; by default of [`READS_WAITING`] permits.
pub(crate) struct ReadSemaphore {
    places: Mutex<Places>,
    freed: Condvar,
}

struct Places {
    free: usize,
    /// Number of threads that wait for a permit; without any, a release wakes nobody.
    waiting: usize,
}

impl Default for ReadSemaphore {
    fn default() -> Self {
        ReadSemaphore::of(READS_WAITING)
    }
}

impl ReadSemaphore {
    fn of(places: usize) -> Self {
        ReadSemaphore { places: Mutex::new(Places { free: places, waiting: 0 }), freed: Condvar::new() }
    }

    /// Returns a permit; blocks while none is available. A permit is released when the torrent has handled the read or
    /// has ended.
    #[must_use]
    pub(crate) fn take(self: &Arc<Self>) -> ReadPermit {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        while places.free == 0 {
            places.waiting += 1;
            places = self.freed.wait(places).unwrap_or_else(PoisonError::into_inner);
            places.waiting -= 1;
        }
        places.free -= 1;
        ReadPermit(Arc::clone(self))
    }
}

/// A permit of a [`ReadSemaphore`], released on drop.
pub struct ReadPermit(Arc<ReadSemaphore>);

impl Drop for ReadPermit {
    fn drop(&mut self) {
        let mut places = self.0.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.free += 1;
        let waiting = places.waiting > 0;
        drop(places);
        if waiting {
            self.0.freed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn permits_are_issued_up_to_the_limit() {
        let seats = ConnectionLimit::new(1);
        let first = seats.take();
        assert!(first.is_some() && seats.take().is_none());
        seats.set_most(2);
        let second = seats.take();
        seats.set_most(1);
        drop(first);
        assert!(second.is_some() && seats.take().is_none());
        assert_eq!((seats.taken(), seats.most()), (1, 1));
    }

    fn wire(n: u64) -> Input {
        Input::Messages { peer: PeerKey(n), batch: Vec::new() }
    }

    #[test]
    fn control_is_read_before_bulk() {
        let (inbox, mail) = inbox();
        let credit = Arc::new(ReadSemaphore::default());
        inbox.bulk(wire(1), credit.take()).unwrap();
        inbox.send(Input::Stop);
        assert!(matches!(mail.try_recv(), Ok(Some(TorrentMessage::Input(Input::Stop)))));
        assert!(matches!(mail.recv_deadline(Instant::now()), Ok(Some(TorrentMessage::Input(Input::Messages { .. })))));
        assert!(matches!(mail.recv_deadline(Instant::now()), Ok(None)));
        drop(inbox);
        assert!(matches!(mail.try_recv(), Err(TorrentStopped)));
    }

    #[test]
    fn a_reader_without_credit_is_freed_when_the_torrent_ends() {
        let (inbox, mail) = inbox();
        let credit = Arc::new(ReadSemaphore::default());
        for n in 0..READS_WAITING as u64 {
            inbox.bulk(wire(n), credit.take()).unwrap();
        }
        let reader = std::thread::spawn(move || inbox.bulk(wire(9), credit.take()));
        drop(mail);
        assert_eq!(reader.join().unwrap(), Err(TorrentStopped));
    }
}
