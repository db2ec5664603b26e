//! Connections being born: one thread dials, accepts and shakes hands, waiting for all of them at once.
//!
//! A connection that is through its handshake goes to its torrent as an [`Arrival`]; one that stalls costs a socket
//! until its deadline and delays nobody. Those that call us have places of their own, so that neither side's half-open
//! connections take those of the other; when the places are full the oldest caller gives way.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};

use super::birth::{Birth, Step, connect, plain};
use super::inbox::{Arrival, Inbox, Post, Seats};
use super::listen::Listeners;
use super::reader::{PATIENCE, words};
use super::threads::Crew;
use crate::limits;
use crate::swarm::torrent::{Gone, Hello, Input, PeerKey};
use crate::wire::message::{Handshake, InfoHash, PeerId};

/// The torrents that callers may ask for.
#[derive(Clone, Default)]
pub struct Routes(Arc<RwLock<BTreeMap<InfoHash, Inbox>>>);

impl Routes {
    /// Callers for this torrent go there from now on.
    pub fn open(&self, torrent: InfoHash, inbox: Inbox) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(torrent, inbox);
    }

    /// Callers for this torrent are turned away from now on.
    pub fn close(&self, torrent: InfoHash) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&torrent);
    }

    pub(super) fn find(&self, torrent: InfoHash) -> Option<Inbox> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&torrent).cloned()
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
    /// The places for connections.
    pub seats: Seats,
    /// Told what a person should hear of.
    pub notice: Box<dyn Fn(String) + Send>,
}

enum Order {
    Dial { torrent: InfoHash, inbox: Inbox, addrs: Vec<SocketAddr> },
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
            dials: VecDeque::new(),
            births: BTreeMap::new(),
            next: FIRST,
            doors_open: Some(Instant::now()),
            backoff: BACKOFF_LEAST,
            said_full: false,
        };
        crew.spawn("greet".to_owned(), move || work.run(), |_| ())?;
        Ok(Greeter { orders, waker })
    }

    /// Connects to these addresses for a torrent; each is answered by an arrival or by `DialFailed`.
    pub fn dial(&self, torrent: InfoHash, inbox: &Inbox, addrs: Vec<SocketAddr>) {
        self.order(Order::Dial { torrent, inbox: inbox.clone(), addrs });
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
/// A dial that has waited for this long lets another one begin beside it.
const YOUNG: Duration = Duration::from_millis(1500);
/// The most dials under way, old ones included.
const DIALS: usize = 4 * limits::HALF_OPEN_OUT;

struct Dial {
    torrent: InfoHash,
    inbox: Inbox,
    addr: SocketAddr,
}

struct Work {
    poll: Poll,
    /// A waker that is closed takes its last call with it, so one is kept open here.
    _waker: Arc<Waker>,
    doors: Vec<TcpListener>,
    todo: Receiver<Order>,
    greeting: Greeting,
    dials: VecDeque<Dial>,
    births: BTreeMap<usize, Birth>,
    next: usize,
    /// When to look at the doors by ourselves: at once, or after a failure.
    doors_open: Option<Instant>,
    backoff: Duration,
    said_full: bool,
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
        for order in self.todo.try_iter() {
            match order {
                Order::Stop => return Err(()),
                Order::Dial { torrent, inbox, addrs } => {
                    let dial = |addr| Dial { torrent, inbox: inbox.clone(), addr };
                    self.dials.extend(addrs.into_iter().map(dial));
                }
            }
        }
        Ok(())
    }

    /// When something is to be done even if no socket moves.
    fn deadline(&self) -> Option<Instant> {
        let births = self.births.values().map(|birth| birth.deadline);
        let aging = self.births.values().filter(|b| b.outgoing && !self.dials.is_empty()).map(|b| b.began + YOUNG);
        let now = Instant::now();
        births.chain(aging.filter(|&at| at > now)).chain(self.doors_open).min()
    }

    fn expire(&mut self, now: Instant) {
        let late: Vec<_> = self.births.iter().filter(|(_, b)| b.deadline <= now).map(|(&token, _)| token).collect();
        for token in late {
            if let Some(birth) = self.take(token) {
                let what = if birth.connected { "its handshake" } else { "connecting" };
                birth.fail(Gone::TimedOut(what));
            }
        }
    }

    /// Dials while there are places: young dials count, and old ones only to a wider bound, so that addresses that
    /// swallow packets do not hold off those behind them.
    fn begin_dials(&mut self, now: Instant) {
        let ours = || self.births.values().filter(|b| b.outgoing);
        let mut all = ours().count();
        let mut young = ours().filter(|b| now.duration_since(b.began) < YOUNG).count();
        while young < limits::HALF_OPEN_OUT && all < DIALS {
            let Some(dial) = self.dials.pop_front() else { return };
            match connect(self.greeting.bind, dial.addr) {
                Ok(socket) => {
                    let mut birth = Birth::new(socket, dial.addr, now, limits::CONNECT);
                    birth.outgoing = true;
                    birth.torrent = Some((dial.torrent, dial.inbox));
                    self.admit(birth);
                    (all, young) = (all + 1, young + 1);
                }
                Err(error) => {
                    let why = Gone::Network(words(&error));
                    dial.inbox.tell(Input::DialFailed { addr: dial.addr, why });
                }
            }
        }
    }

    fn accept(&mut self) {
        for door in 0..self.doors.len() {
            loop {
                match self.doors[door].accept() {
                    Ok((socket, addr)) => {
                        self.backoff = BACKOFF_LEAST;
                        self.greet(socket, addr);
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
    fn greet(&mut self, socket: TcpStream, addr: SocketAddr) {
        let callers = || self.births.iter().filter(|(_, birth)| !birth.outgoing);
        if callers().count() >= limits::HALF_OPEN_IN
            && let Some(oldest) = callers().min_by_key(|(_, birth)| birth.began).map(|(&token, _)| token)
        {
            drop(self.take(oldest));
        }
        let mut birth = Birth::new(socket, plain(addr), Instant::now(), limits::HANDSHAKE);
        birth.connected = true;
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
        let try_now = birth.connected;
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
                    birth.fail(why);
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

    fn hand_over(&mut self, birth: Birth, token: usize, theirs: Handshake) {
        let Some(seat) = self.greeting.seats.take() else {
            birth.fail(Gone::Full);
            return;
        };
        let (addr, outgoing) = (birth.addr, birth.outgoing);
        let Some((_, inbox)) = birth.torrent else { return };
        let socket = std::net::TcpStream::from(birth.socket);
        let hello = Hello { addr, outgoing, peer_id: theirs.peer_id, reserved: theirs.reserved };
        let ready = socket
            .set_nonblocking(false)
            .and_then(|()| socket.set_nodelay(true))
            .and_then(|()| socket.set_read_timeout(Some(PATIENCE)))
            .and_then(|()| socket.set_write_timeout(Some(limits::WRITE)));
        match ready {
            Ok(()) => {
                let arrival = Arrival { peer: PeerKey(token as u64), hello, socket, seat };
                // A torrent that has ended meanwhile needs no more peers.
                let _ = inbox.post(Post::Arrived(arrival));
            }
            Err(error) if outgoing => inbox.tell(Input::DialFailed { addr, why: Gone::Network(words(&error)) }),
            Err(_) => (),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::Ipv4Addr;

    use super::super::inbox::{Mail, inbox};
    use super::super::listen::listen;
    use super::*;
    use crate::wire::message::Reserved;

    const TORRENT: InfoHash = InfoHash([7; 20]);
    const US: PeerId = PeerId(*b"-TU0100-abcdefghijkl");
    const THEM: PeerId = PeerId(*b"-XX0100-abcdefghijkl");

    struct World {
        crew: Crew,
        greeter: Greeter,
        inbox: Inbox,
        mail: Mail,
        addr: SocketAddr,
        seats: Seats,
    }

    fn world(seats: usize) -> World {
        let (crew, routes, seats) = (Crew::default(), Routes::default(), Seats::new(seats));
        let host = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let listeners = listen(Some(host), 0);
        let addr = SocketAddr::new(host, listeners.port.unwrap());
        let (inbox, mail) = inbox();
        routes.open(TORRENT, inbox.clone());
        let notice = Box::new(|_| ());
        let greeting = Greeting { peer_id: US, bind: Some(host), routes, seats: seats.clone(), notice };
        let greeter = Greeter::start(&crew, listeners, greeting).unwrap();
        World { crew, greeter, inbox, mail, addr, seats }
    }

    fn hello(peer_id: PeerId, info_hash: InfoHash) -> [u8; Handshake::LENGTH] {
        Handshake { reserved: Reserved::OURS, info_hash, peer_id }.encode()
    }

    fn next(mail: &Mail) -> Post {
        mail.wait(Instant::now() + Duration::from_secs(60)).unwrap().expect("something comes")
    }

    fn arrival(mail: &Mail) -> Arrival {
        match next(mail) {
            Post::Arrived(arrival) => arrival,
            _ => panic!("not an arrival"),
        }
    }

    fn failure(mail: &Mail) -> Gone {
        match next(mail) {
            Post::Input(Input::DialFailed { why, .. }) => why,
            _ => panic!("not a failed dial"),
        }
    }

    #[test]
    fn a_caller_may_shake_hands_byte_by_byte_and_its_messages_stay_for_the_reader() {
        let w = world(9);
        let mut caller = std::net::TcpStream::connect(w.addr).unwrap();
        for byte in hello(THEM, TORRENT) {
            caller.write_all(&[byte]).unwrap();
        }
        caller.write_all(b"\0\0\0\0").unwrap();
        let mut arrival = arrival(&w.mail);
        assert_eq!(arrival.hello.peer_id, THEM);
        assert!(!arrival.hello.outgoing);
        let mut rest = [1; 4];
        arrival.socket.read_exact(&mut rest).unwrap();
        assert_eq!(rest, [0; 4]);
        let mut answer = [0; Handshake::LENGTH];
        caller.read_exact(&mut answer).unwrap();
        assert_eq!(answer, hello(US, TORRENT));
    }

    #[test]
    fn half_handshakes_do_not_keep_a_good_one_out() {
        let w = world(9);
        let slow: Vec<_> = (0..4 * limits::HALF_OPEN_IN)
            .map(|_| {
                let mut caller = std::net::TcpStream::connect(w.addr).unwrap();
                caller.write_all(b"\x13BitTorrent").unwrap();
                caller
            })
            .collect();
        let mut good = std::net::TcpStream::connect(w.addr).unwrap();
        good.write_all(&hello(THEM, TORRENT)).unwrap();
        assert_eq!(arrival(&w.mail).hello.peer_id, THEM);
        drop(slow);
    }

    #[test]
    fn strangers_are_turned_away_without_a_word() {
        let w = world(9);
        for words in [&b"GET / HTTP/1.1\r\n\r\n"[..], &hello(THEM, InfoHash([8; 20])), &[0x16, 3, 1, 2, 0]] {
            let mut caller = std::net::TcpStream::connect(w.addr).unwrap();
            caller.write_all(words).unwrap();
            let mut heard = Vec::new();
            let _ = caller.read_to_end(&mut heard);
            assert!(heard.is_empty());
        }
    }

    #[test]
    fn a_dial_ends_in_an_arrival_or_says_why_not() {
        let (w, other) = (world(1), world(9));
        let closed = listen(Some(other.addr.ip()), 0).port.unwrap();
        let closed = SocketAddr::new(other.addr.ip(), closed);
        w.greeter.dial(TORRENT, &w.inbox, vec![closed]);
        assert_eq!(failure(&w.mail), Gone::Network("it refused the connection".into()));
        // The other one has our own peer id.
        w.greeter.dial(TORRENT, &w.inbox, vec![other.addr]);
        assert_eq!(failure(&w.mail), Gone::Ourselves);

        let friend = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = friend.local_addr().unwrap();
        w.greeter.dial(TORRENT, &w.inbox, vec![addr]);
        let mut near = friend.accept().unwrap().0;
        near.write_all(&hello(THEM, TORRENT)).unwrap();
        let arrived = arrival(&w.mail);
        assert!(arrived.hello.outgoing && arrived.hello.addr == addr);

        // There is one seat, and it is taken.
        w.greeter.dial(TORRENT, &w.inbox, vec![addr]);
        friend.accept().unwrap().0.write_all(&hello(THEM, TORRENT)).unwrap();
        assert_eq!(failure(&w.mail), Gone::Full);
        drop(arrived);
        assert_eq!(w.seats.taken(), 0);
    }

    #[test]
    fn it_stops_when_told_whatever_hangs() {
        let w = world(9);
        let _half = std::net::TcpStream::connect(w.addr).unwrap();
        w.greeter.stop();
        assert!(w.crew.wait(Instant::now() + Duration::from_secs(60)).is_empty());
    }
}
