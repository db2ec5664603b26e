//! Connections being born: one thread dials, accepts and shakes hands, waiting for all of them at once.
//!
//! A connection that is through its handshake goes to its torrent as an [`Arrival`]; one that stalls costs a socket
//! until its deadline and delays nobody. Those that call us have places of their own, so that neither side's half-open
//! connections take those of the other; when the places are full the oldest caller gives way.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};

use super::birth::{Birth, Dialled, Step, connect};
pub use super::dials::Call;
use super::dials::{ByUtp, GIVES_WAY, Second, Waiting, YOUNG, room};
use super::inbox::{Arrival, Inbox, Post, Seats};
use super::listen::Listeners;
use super::reader::{PATIENCE, words};
use super::threads::Crew;
use super::utp::Utp;
use crate::config::Encryption;
use crate::disk::fault::is_out_of_handles;
use crate::limits;
use crate::swarm::candidates::canonical;
use crate::swarm::event::Manner;
use crate::swarm::torrent::{Gone, Hello, Input, PeerKey};
use crate::wire::message::{Handshake, InfoHash, PeerId};
use crate::wire::metainfo::urls::is_local;
use crate::wire::mse::veiled;

/// The torrents that callers may ask for.
#[derive(Clone, Default)]
pub struct Routes(Arc<RwLock<BTreeMap<InfoHash, Route>>>);

/// The way to a torrent, and the name by which encrypted callers ask for it.
type Route = (Inbox, [u8; 20]);

impl Routes {
    /// Callers for this torrent go there from now on.
    pub fn open(&self, torrent: InfoHash, inbox: Inbox) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(torrent, (inbox, veiled(&torrent)));
    }

    /// Callers for this torrent are turned away from now on.
    pub fn close(&self, torrent: InfoHash) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&torrent);
    }

    pub(super) fn find(&self, torrent: InfoHash) -> Option<Inbox> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&torrent).map(|(inbox, _)| inbox.clone())
    }

    /// The torrent that an encrypted caller asks for.
    pub(super) fn unveil(&self, asked: &[u8; 20]) -> Option<InfoHash> {
        let routes = self.0.read().unwrap_or_else(PoisonError::into_inner);
        routes.iter().find(|(_, (_, name))| name == asked).map(|(torrent, _)| *torrent)
    }
}

/// How connections are made.
pub struct Greeting {
    /// Who we say we are.
    pub peer_id: PeerId,
    /// The address that connections are made from, if only one may be.
    pub bind: Option<IpAddr>,
    /// The torrents that callers may ask for.
    pub routes: Routes,
    /// Whether connections are encrypted.
    pub encryption: Encryption,
    /// The places for connections.
    pub seats: Seats,
    /// Told what a person should hear of.
    pub notice: Box<dyn Fn(String) + Send>,
    /// Told once that somebody from outside has called.
    pub called: Box<dyn Fn() + Send>,
}

enum Order {
    Dial {
        torrent: InfoHash,
        inbox: Inbox,
        calls: Vec<Call>,
    },
    /// Nobody is called for this torrent of those who wait: it has turned out to be private.
    Forget(InfoHash),
    /// From now on there is another way to those whom TCP does not reach.
    Speak(Utp),
    /// What became of a call by that way.
    Reached {
        ticket: u64,
        result: Result<std::net::TcpStream, Gone>,
    },
    /// Somebody has called by it.
    Came {
        socket: std::net::TcpStream,
        addr: SocketAddr,
    },
    Stop,
}

/// The thread that dials and accepts. Clones lead to the same one.
#[derive(Clone)]
pub struct Greeter {
    orders: Sender<Order>,
    waker: Arc<Waker>,
}

impl Greeter {
    /// Starts it.
    ///
    /// # Errors
    /// When the system gives no thread or no means to wait for sockets.
    pub fn start(crew: &Crew, listeners: Listeners, greeting: Greeting) -> io::Result<Greeter> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let (orders, todo) = unbounded();
        let mut doors = Vec::new();
        for socket in listeners.sockets {
            let mut door = TcpListener::from_std(socket);
            poll.registry().register(&mut door, Token(doors.len()), Interest::READABLE)?;
            doors.push(door);
        }
        let work = Work {
            poll,
            _waker: Arc::clone(&waker),
            doors,
            todo,
            greeting,
            waiting: Waiting::default(),
            births: BTreeMap::new(),
            next: FIRST,
            by_utp: ByUtp::default(),
            doors_open: Some(Instant::now()),
            backoff: BACKOFF_LEAST,
            said_full: false,
            said_called: false,
        };
        crew.spawn("greet".to_owned(), move || work.run(), |_| ())?;
        Ok(Greeter { orders, waker })
    }

    /// Connects to these addresses for a torrent; each is answered by an arrival or by `DialFailed`.
    pub fn dial(&self, torrent: InfoHash, inbox: &Inbox, calls: Vec<Call>) {
        self.order(Order::Dial { torrent, inbox: inbox.clone(), calls });
    }

    /// Gives up the dials of a torrent that have not begun, since it has turned out to be private; each is answered by
    /// `DialFailed`, and those that may still be made are asked for again.
    pub fn forget(&self, torrent: InfoHash) {
        self.order(Order::Forget(torrent));
    }

    /// Those whom TCP does not reach are called by uTP from now on.
    pub fn speak(&self, utp: Utp) {
        self.order(Order::Speak(utp));
    }

    /// A call by uTP has got through: this is our end.
    pub(super) fn reached(&self, ticket: u64, socket: std::net::TcpStream) {
        self.order(Order::Reached { ticket, result: Ok(socket) });
    }

    /// A call by uTP has come to nothing.
    pub(super) fn unreached(&self, ticket: u64, why: Gone) {
        self.order(Order::Reached { ticket, result: Err(why) });
    }

    /// Somebody has called by uTP.
    pub(super) fn came(&self, socket: std::net::TcpStream, addr: SocketAddr) {
        self.order(Order::Came { socket, addr });
    }

    /// Ends it, and all connections that are not through their handshake.
    pub fn stop(&self) {
        self.order(Order::Stop);
    }

    fn order(&self, order: Order) {
        if self.orders.send(order).is_ok() {
            let _ = self.waker.wake();
        }
    }
}

const WAKE: Token = Token(usize::MAX);
/// Tokens below are doors.
const FIRST: usize = 16;
const BACKOFF_LEAST: Duration = Duration::from_millis(100);
const BACKOFF_MOST: Duration = Duration::from_secs(1);

struct Work {
    poll: Poll,
    /// A waker that is closed takes its last call with it, so one is kept open here.
    _waker: Arc<Waker>,
    doors: Vec<TcpListener>,
    todo: Receiver<Order>,
    greeting: Greeting,
    waiting: Waiting,
    births: BTreeMap<usize, Birth>,
    next: usize,
    by_utp: ByUtp,
    /// When to look at the doors by ourselves: at once, or after a failure.
    doors_open: Option<Instant>,
    backoff: Duration,
    said_full: bool,
    said_called: bool,
}

impl Work {
    fn run(mut self) {
        let mut events = Events::with_capacity(256);
        loop {
            let now = Instant::now();
            if self.obey().is_err() {
                return;
            }
            self.expire(now);
            self.begin_dials(now);
            if self.doors_open.is_some_and(|at| at <= now) {
                self.doors_open = None;
                self.accept();
            }
            let wait = self.deadline().map(|at| at.saturating_duration_since(Instant::now()));
            if let Err(error) = self.poll.poll(&mut events, wait)
                && error.kind() != ErrorKind::Interrupted
            {
                log::error!("waiting for connections failed: {error}");
                (self.greeting.notice)(format!("no more connections can be made: {error}"));
                return;
            }
            for event in &events {
                match event.token() {
                    WAKE => (),
                    Token(door) if door < FIRST => {
                        // While accepting fails, the next try has its own time.
                        self.doors_open.get_or_insert_with(Instant::now);
                    }
                    Token(birth) => self.advance(birth),
                }
            }
        }
    }

    /// Takes in orders; an error means to stop.
    fn obey(&mut self) -> Result<(), ()> {
        for order in self.todo.try_iter().collect::<Vec<_>>() {
            match order {
                Order::Stop => return Err(()),
                Order::Dial { torrent, inbox, calls } => self.waiting.add(torrent, inbox, calls),
                Order::Forget(torrent) => self.waiting.forget(torrent),
                Order::Speak(utp) => self.by_utp.speak(utp),
                Order::Reached { ticket, result } => self.reached(ticket, result),
                Order::Came { socket, addr } => {
                    if socket.set_nonblocking(true).is_ok() {
                        self.greet(TcpStream::from_std(socket), addr, true);
                    }
                }
            }
        }
        Ok(())
    }

    /// A call by uTP has got through, or has not.
    fn reached(&mut self, ticket: u64, result: Result<std::net::TcpStream, Gone>) {
        let Some(Second { torrent, addr, dialled, before }) = self.by_utp.answered(ticket) else { return };
        match result.map(|socket| socket.set_nonblocking(true).map(|()| TcpStream::from_std(socket))) {
            Ok(Ok(socket)) => {
                let mut birth = Birth::new(socket, addr, Instant::now(), limits::CONNECT);
                (birth.dialled, birth.torrent, birth.utp) = (Some(dialled), Some(torrent), true);
                self.admit(birth);
            }
            Ok(Err(error)) => torrent.1.tell(Input::DialFailed { addr, why: Gone::Network(words(&error)) }),
            Err(why) => match before {
                Some(why) => torrent.1.tell(Input::DialFailed { addr, why }),
                // There is TCP still, when its turn comes.
                None if self.greeting.routes.find(torrent.0).is_some_and(|it| it.same(&torrent.1)) => {
                    let call = Call { utp_failed: true, ..Call::new(addr, Manner::default()) };
                    self.waiting.add(torrent.0, torrent.1, vec![call]);
                }
                None => torrent.1.tell(Input::DialFailed { addr, why }),
            },
        }
    }

    /// When something is to be done even if no socket moves.
    fn deadline(&self) -> Option<Instant> {
        let births = self.births.values().map(|birth| birth.deadline);
        let dials = self.births.values().filter(|b| b.is_tcp_dial() && !self.waiting.is_empty());
        let aging = dials.flat_map(|b| [b.began + YOUNG, b.began + GIVES_WAY]);
        let now = Instant::now();
        births.chain(aging.filter(|&at| at > now)).chain(self.doors_open).min()
    }

    fn expire(&mut self, now: Instant) {
        let late: Vec<_> = self.births.iter().filter(|(_, b)| b.deadline <= now).map(|(&token, _)| token).collect();
        for token in late {
            if let Some(birth) = self.take(token) {
                let what = if birth.connected { "its handshake" } else { "connecting" };
                self.give_up(birth, Gone::TimedOut(what));
            }
        }
    }

    /// Dials while there are places; addresses that swallow packets do not hold off those behind them.
    fn begin_dials(&mut self, now: Instant) {
        if self.waiting.is_empty() {
            return;
        }
        let dials = || self.births.iter().filter(|(_, b)| b.is_tcp_dial());
        let unanswered = |b: &Birth| !b.connected && now.saturating_duration_since(b.began) >= GIVES_WAY;
        if dials().count() >= limits::HALF_OPEN_OUT {
            let old: Vec<usize> = dials().filter(|(_, b)| unanswered(b)).map(|(token, _)| *token).collect();
            for birth in old.into_iter().filter_map(|token| self.take(token)).collect::<Vec<_>>() {
                self.give_up(birth, Gone::TimedOut("connecting"));
            }
        }
        let ages = self.births.values().filter(|b| b.is_tcp_dial());
        let mut room = room(ages.map(|b| now.saturating_duration_since(b.began)));
        while room > 0 {
            let Some((torrent, inbox, call)) = self.waiting.next() else { return };
            let encrypted = match self.greeting.encryption {
                Encryption::Off => false,
                Encryption::Require => true,
                Encryption::Prefer => call.manner.encrypted != Some(false),
            };
            let mut dialled = Dialled { encrypted, again: false, tried_utp: call.utp_failed };
            let (torrent, addr) = ((torrent, inbox), call.addr);
            if call.manner.utp && !call.utp_failed && self.by_utp.has_room() {
                dialled.tried_utp = true;
                self.by_utp.call(Second { torrent, addr, dialled, before: None });
                continue;
            }
            room -= usize::from(self.call(torrent, addr, dialled, now));
            let all = self.births.values().filter(|b| b.is_tcp_dial()).count();
            debug_assert!(all <= limits::HALF_OPEN_OUT, "{all} dials are under way");
        }
    }

    /// Begins a connection; false, and the torrent is told, when that cannot be.
    fn call(&mut self, torrent: (InfoHash, Inbox), addr: SocketAddr, dialled: Dialled, now: Instant) -> bool {
        match connect(self.greeting.bind, addr) {
            Ok(socket) => {
                let mut birth = Birth::new(socket, addr, now, limits::CONNECT);
                birth.dialled = Some(dialled);
                birth.torrent = Some(torrent);
                self.admit(birth);
                true
            }
            Err(error) => {
                torrent.1.tell(Input::DialFailed { addr, why: no_way(&error) });
                false
            }
        }
    }

    /// A connection has come to nothing. One that was reached and may only have been spoken to in the wrong way is
    /// called once more, in the other way; one that TCP does not reach, or where it meets silence, may be reached by
    /// uTP.
    fn give_up(&mut self, mut birth: Birth, why: Gone) {
        let other_way = birth.other_way(self.greeting.encryption);
        // It begins as the first call by TCP did.
        let anew = |it: Dialled| Dialled { encrypted: it.encrypted != it.again, again: false, tried_utp: true };
        let by_utp = birth.dialled.filter(|it| !it.tried_utp && !birth.heard).map(anew);
        let Some(dialled) = other_way.or(by_utp) else { return birth.fail(why) };
        let (addr, utp) = (birth.addr, birth.utp || other_way.is_none());
        let Some(torrent) = birth.torrent.take() else { return };
        drop(birth);
        if !utp {
            self.call(torrent, addr, dialled, Instant::now());
        } else if self.by_utp.has_room() {
            self.by_utp.call(Second { torrent, addr, dialled, before: Some(why) });
        } else {
            torrent.1.tell(Input::DialFailed { addr, why });
        }
    }

    fn accept(&mut self) {
        for door in 0..self.doors.len() {
            loop {
                match self.doors[door].accept() {
                    Ok((socket, addr)) => {
                        self.backoff = BACKOFF_LEAST;
                        self.greet(socket, addr, false);
                    }
                    Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                    Err(e) if matches!(e.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => (),
                    Err(e) => {
                        // Out of descriptors or memory: what waits at the door can wait longer.
                        self.say_full(&e);
                        self.doors_open = Some(Instant::now() + self.backoff);
                        self.backoff = (self.backoff * 2).min(BACKOFF_MOST);
                        return;
                    }
                }
            }
        }
    }

    fn say_full(&mut self, error: &io::Error) {
        if !self.said_full {
            self.said_full = true;
            log::warn!("accepting a connection failed: {error}");
            (self.greeting.notice)(format!("no more connections (limit): {error}"));
        }
    }

    /// Takes a caller in; the oldest one gives way when there are too many.
    fn greet(&mut self, socket: TcpStream, addr: SocketAddr, utp: bool) {
        let callers = || self.births.iter().filter(|(_, birth)| birth.dialled.is_none());
        if callers().count() >= limits::HALF_OPEN_IN
            && let Some(oldest) = callers().min_by_key(|(_, birth)| birth.began).map(|(&token, _)| token)
        {
            drop(self.take(oldest));
        }
        let mut birth = Birth::new(socket, canonical(addr), Instant::now(), limits::HANDSHAKE);
        (birth.connected, birth.utp) = (true, utp);
        self.admit(birth);
    }

    /// Registers a connection and tries at once what can be done.
    fn admit(&mut self, mut birth: Birth) {
        let token = self.next;
        self.next = if self.next >= WAKE.0 - 1 { FIRST } else { self.next + 1 };
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(&mut birth.socket, Token(token), interest) {
            birth.fail(Gone::Network(words(&error)));
            return;
        }
        let try_now = birth.connected || birth.utp;
        self.births.insert(token, birth);
        if try_now {
            self.advance(token);
        }
    }

    /// Does what a connection's socket allows, and sees it off when it is through or has failed.
    fn advance(&mut self, token: usize) {
        let Some(birth) = self.births.get_mut(&token) else { return };
        match birth.step(&self.greeting) {
            Step::Wait => (),
            Step::Fail(why) => {
                if let Some(birth) = self.take(token) {
                    self.give_up(birth, why);
                }
            }
            Step::Done(handshake) => {
                if let Some(birth) = self.take(token) {
                    self.hand_over(birth, token, handshake);
                }
            }
        }
    }

    fn take(&mut self, token: usize) -> Option<Birth> {
        let mut birth = self.births.remove(&token)?;
        let _ = self.poll.registry().deregister(&mut birth.socket);
        Some(birth)
    }

    fn hand_over(&mut self, mut birth: Birth, token: usize, theirs: Handshake) {
        // A caller by uTP may have come through a hole that our own packets made: that says nothing of the port.
        let from_outside = birth.dialled.is_none() && !birth.utp && !is_local(birth.addr.ip());
        if from_outside && !std::mem::replace(&mut self.said_called, true) {
            (self.greeting.called)();
        }
        let Some(seat) = self.greeting.seats.take() else {
            birth.fail(Gone::Full);
            return;
        };
        let (addr, outgoing, utp) = (birth.addr, birth.dialled.is_some(), birth.utp);
        let (encrypted, cover) = birth.cover();
        let Some((_, inbox)) = birth.torrent else { return };
        let socket = std::net::TcpStream::from(birth.socket);
        let hello = Hello { addr, outgoing, utp, peer_id: theirs.peer_id, reserved: theirs.reserved, encrypted };
        let ready = socket
            .set_nonblocking(false)
            // Where there is a local pair, uTP decides when a packet goes.
            .and_then(|()| if utp { Ok(()) } else { socket.set_nodelay(true) })
            .and_then(|()| socket.set_read_timeout(Some(PATIENCE)))
            .and_then(|()| socket.set_write_timeout(Some(limits::WRITE)));
        match ready {
            Ok(()) => {
                let arrival = Arrival { peer: PeerKey(token as u64), hello, socket, cover, seat };
                // A torrent that has ended meanwhile needs no more peers.
                let _ = inbox.post(Post::Arrived(arrival));
            }
            Err(error) if outgoing => inbox.tell(Input::DialFailed { addr, why: Gone::Network(words(&error)) }),
            Err(_) => (),
        }
    }
}

/// Why a connection could not even be begun. What we lack ourselves, a route, an address or handles, says nothing of the
/// other end; a router elsewhere that knows no way tells so later, in another place.
fn no_way(error: &io::Error) -> Gone {
    match error.kind() {
        ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown | ErrorKind::AddrNotAvailable => {
            Gone::Offline(words(error))
        }
        _ if is_out_of_handles(error) => Gone::Full,
        _ => Gone::Network(words(error)),
    }
}

#[cfg(test)]
mod tests;
