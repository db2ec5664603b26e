//! The two inboxes of a torrent's thread.
//!
//! *Control* is small, has no bound of its own (each item answers something that the torrent asked for, or is a wish of
//! the user) and is always read first. *Bulk* carries what peers send; it is bounded, so that a busy torrent makes
//! readers wait, and TCP tells the other side. A peer may have only a few reads waiting there, so that a loud one does
//! not fill it alone.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, TryRecvError, select_biased, unbounded};

use crate::disk::storage::{Resumed, Storage};
use crate::swarm::torrent::{Hello, Input, PeerKey, TorrentConfig};
use crate::wire::message::Reserved;
use crate::wire::mse::Ciphers;

/// Reads of all peers waiting for a torrent: at most 16 MiB in the largest buffers.
const BULK: usize = 64;

/// Reads of one peer waiting for its torrent.
pub const READS_WAITING: usize = 4;

/// What a torrent's thread is told.
pub enum Post {
    /// Something for the machine.
    Input(Input),
    /// A connection that is through its handshake.
    Arrived(Arrival),
    /// What its metadata say: it has files from now on.
    Described(Box<Described>),
    /// Whether views are to carry the detail from now on.
    Detail(bool),
}

/// What becomes of a magnet when its metadata were judged and its files looked at.
pub struct Described {
    /// What it is made from now.
    pub config: TorrentConfig,
    /// Its files.
    pub storage: Storage,
    /// What its record vouches for.
    pub resumed: Resumed,
}

/// A connection that is through its handshake; the socket blocks.
pub struct Arrival {
    /// Its name from now on.
    pub peer: PeerKey,
    /// What the machine is told of it.
    pub hello: Hello,
    /// The connection.
    pub socket: TcpStream,
    /// What the handshake leaves to those who read and write.
    pub cover: Cover,
    /// Counts it among all connections until it is dropped.
    pub seat: Seat,
}

/// What a handshake leaves to those who read and write afterwards.
#[derive(Debug, Default)]
pub struct Cover {
    /// Bytes that came behind it, decrypted; at most [`limits::MSE_PAYLOAD`](crate::limits::MSE_PAYLOAD) and a read.
    pub early: Vec<u8>,
    /// The ciphers of both directions, where the connection is encrypted.
    pub ciphers: Option<Box<Ciphers>>,
}

/// The connections of all torrents together.
#[derive(Clone)]
pub struct Seats {
    taken: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Seats {
    /// Room for this many.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Seats { taken: Arc::default(), most: Arc::new(AtomicUsize::new(most)) }
    }

    /// Takes one, if there is one.
    #[must_use]
    pub fn take(&self) -> Option<Seat> {
        let seat = Seat(Arc::clone(&self.taken));
        (self.taken.fetch_add(1, Ordering::Relaxed) < self.most()).then_some(seat)
    }

    /// How many there are.
    #[must_use]
    pub fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    /// Makes them this many. Nobody has to leave: where there are fewer than before, none is given until enough are free.
    pub fn set_most(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// How many are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

/// A place among the connections of all torrents; free again when dropped.
pub struct Seat(Arc<AtomicUsize>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The sending side. Clones lead to the same torrent; all of them are dead once its thread has ended.
#[derive(Clone)]
pub struct Inbox {
    control: Sender<Post>,
    bulk: Sender<Bulk>,
    /// Whether peers of this torrent hear that we have a DHT node. One for all who hold this inbox: a torrent may turn out
    /// to be private.
    dht: Arc<AtomicBool>,
    /// Places in `bulk`. The channel itself has no bound, because one that has keeps what is in it when its receiver is
    /// dropped, and with it the tickets that readers wait for.
    room: Arc<Credit>,
}

/// The torrent's side.
pub struct Mail {
    control: Receiver<Post>,
    bulk: Receiver<Bulk>,
}

/// What a peer sent, with its places among the peer's reads and in the inbox.
struct Bulk {
    input: Input,
    _places: [Ticket; 2],
}

/// The torrent's thread has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ended;

/// A pair of inboxes.
#[must_use]
pub fn inbox() -> (Inbox, Mail) {
    let (control, control_mail) = unbounded();
    let (bulk, bulk_mail) = unbounded();
    let room = Arc::new(Credit::of(BULK));
    (Inbox { control, bulk, dht: Arc::default(), room }, Mail { control: control_mail, bulk: bulk_mail })
}

impl Inbox {
    /// Whether peers of this torrent hear from now on that we have a DHT node.
    pub fn offer_dht(&self, on: bool) {
        self.dht.store(on, Ordering::Relaxed);
    }

    /// What we offer to peers of this torrent.
    #[must_use]
    pub fn reserved(&self) -> Reserved {
        Reserved::ours(self.dht.load(Ordering::Relaxed))
    }

    /// Puts something into the control inbox; never waits.
    ///
    /// # Errors
    /// When the torrent's thread has ended.
    pub fn post(&self, post: Post) -> Result<(), Ended> {
        self.control.send(post).map_err(|_| Ended)
    }

    /// Whether both lead to the same torrent's thread.
    #[must_use]
    pub fn same(&self, other: &Inbox) -> bool {
        self.control.same_channel(&other.control)
    }

    /// Puts an input into the control inbox; never waits. An input for a torrent that has ended is of no more use.
    pub fn tell(&self, input: Input) {
        let _ = self.post(Post::Input(input));
    }

    /// Puts what a peer sent into the bulk inbox; waits while it is full.
    ///
    /// # Errors
    /// When the torrent's thread has ended.
    pub fn bulk(&self, input: Input, ticket: Ticket) -> Result<(), Ended> {
        let room = self.room.take();
        self.bulk.send(Bulk { input, _places: [ticket, room] }).map_err(|_| Ended)
    }
}

impl Mail {
    /// What waits, control first; `Ok(None)` when nothing does.
    ///
    /// # Errors
    /// When nobody can post any more.
    pub fn waiting(&self) -> Result<Option<Post>, Ended> {
        let control = match self.control.try_recv() {
            Ok(post) => return Ok(Some(post)),
            Err(error) => error,
        };
        match (self.bulk.try_recv(), control) {
            (Ok(bulk), _) => Ok(Some(Post::Input(bulk.input))),
            (Err(_), TryRecvError::Disconnected) => Err(Ended),
            (Err(_), TryRecvError::Empty) => Ok(None),
        }
    }

    /// Waits for something until the deadline; `Ok(None)` when it has come.
    ///
    /// # Errors
    /// When nobody can post any more.
    pub fn wait(&self, deadline: Instant) -> Result<Option<Post>, Ended> {
        select_biased! {
            recv(self.control) -> post => post.map_or_else(|_| self.waiting(), |post| Ok(Some(post))),
            recv(self.bulk) -> bulk => bulk.map(|bulk| Some(Post::Input(bulk.input))).map_err(|_| Ended),
            default(deadline.saturating_duration_since(Instant::now())) => Ok(None),
        }
    }
}

/// How many more reads may wait; by default [`READS_WAITING`].
pub struct Credit {
    free: Mutex<usize>,
    freed: Condvar,
}

impl Default for Credit {
    fn default() -> Self {
        Credit::of(READS_WAITING)
    }
}

impl Credit {
    fn of(places: usize) -> Self {
        Credit { free: Mutex::new(places), freed: Condvar::new() }
    }

    /// Takes one place; waits while there is none. Places come back when the torrent has dealt with a read, also when
    /// its thread ends.
    #[must_use]
    pub fn take(self: &Arc<Self>) -> Ticket {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            free = self.freed.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Ticket(Arc::clone(self))
    }
}

/// One place of a [`Credit`], given back when dropped.
pub struct Ticket(Arc<Credit>);

impl Drop for Ticket {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_given_while_there_are_any() {
        let seats = Seats::new(1);
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
        Input::Wire { peer: PeerKey(n), batch: Vec::new() }
    }

    #[test]
    fn control_is_read_before_bulk() {
        let (inbox, mail) = inbox();
        let credit = Arc::new(Credit::default());
        inbox.bulk(wire(1), credit.take()).unwrap();
        inbox.tell(Input::Stop);
        assert!(matches!(mail.waiting(), Ok(Some(Post::Input(Input::Stop)))));
        assert!(matches!(mail.wait(Instant::now()), Ok(Some(Post::Input(Input::Wire { .. })))));
        assert!(matches!(mail.wait(Instant::now()), Ok(None)));
        drop(inbox);
        assert!(matches!(mail.waiting(), Err(Ended)));
    }

    #[test]
    fn a_reader_without_credit_is_freed_when_the_torrent_ends() {
        let (inbox, mail) = inbox();
        let credit = Arc::new(Credit::default());
        for n in 0..READS_WAITING as u64 {
            inbox.bulk(wire(n), credit.take()).unwrap();
        }
        let reader = std::thread::spawn(move || inbox.bulk(wire(9), credit.take()));
        drop(mail);
        assert_eq!(reader.join().unwrap(), Err(Ended));
    }
}
