//! Connection setup: one thread dials, accepts and runs all handshakes on a single `mio::Poll`.
//!
//! A completed handshake is handed to its torrent as a [`ConnectedPeer`]; a stalled one is dropped at its deadline.
//! Incoming and outgoing half-open connections have separate limits ([`limits::HALF_OPEN_IN`],
//! [`limits::HALF_OPEN_OUT`]); when the incoming limit is reached, the oldest pending connection is closed.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};

use super::connector_config::ConnectorConfig;
pub(crate) use super::dial_queue::DialRequest;
use super::dial_queue::{DialQueue, GIVES_WAY, UtpDial, UtpDials, YOUNG, free_dial_slots};
use super::handshake::{DialState, HandshakeStep, PendingConnection, connect};
use super::inbox::{ConnectedPeer, TorrentHandle, TorrentMessage};
use super::listen::Listeners;
use super::reader::{READ_TIMEOUT, describe_io_error};
use super::threads::ThreadGroup;
use super::utp::{Utp, UtpEvent, UtpEventHandler};
use crate::config::Encryption;
use crate::disk::error::is_out_of_handles;
use crate::limits;
use crate::swarm::event::DialHint;
use crate::swarm::peer_list::canonical;
use crate::swarm::torrent::{DisconnectReason, Input, PeerInfo, PeerKey};
use crate::wire::address::is_internal;
use crate::wire::message::{Handshake, InfoHash};

enum Request {
    Dial {
        torrent: InfoHash,
        inbox: TorrentHandle,
        calls: Vec<DialRequest>,
    },
    /// Cancel the queued dials of a torrent: its metadata marks it as private (BEP 27).
    CancelDials(InfoHash),
    /// Enable uTP dials.
    SetUtp(Utp),
    Utp(UtpEvent),
    Stop,
}

/// Handle of the connector thread. Clones refer to the same thread.
#[derive(Clone)]
pub(crate) struct Connector {
    orders: Sender<Request>,
    waker: Arc<Waker>,
}

impl Connector {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the poll, the waker or the thread cannot be created.
    pub(crate) fn start(crew: &ThreadGroup, listeners: Listeners, config: ConnectorConfig) -> io::Result<Connector> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let (orders, todo) = unbounded();
        let mut doors = Vec::new();
        for socket in listeners.sockets {
            let mut door = TcpListener::from_std(socket);
            poll.registry().register(&mut door, Token(doors.len()), Interest::READABLE)?;
            doors.push(door);
        }
        let work = ConnectorThread {
            poll,
            _waker: Arc::clone(&waker),
            listeners: doors,
            todo,
            config,
            waiting: DialQueue::default(),
            pending: BTreeMap::new(),
            next: FIRST,
            by_utp: UtpDials::default(),
            accept_at: Some(Instant::now()),
            backoff: BACKOFF_LEAST,
            said_full: false,
            said_called: false,
        };
        crew.spawn("greet".to_owned(), move || work.run(), |_| ())?;
        Ok(Connector { orders, waker })
    }

    /// Dials these addresses for a torrent; each one yields a [`ConnectedPeer`] or `Input::DialFailed`.
    pub(crate) fn dial(&self, torrent: InfoHash, inbox: &TorrentHandle, calls: Vec<DialRequest>) {
        self.order(Request::Dial { torrent, inbox: inbox.clone(), calls });
    }

    /// Cancels the queued dials of a torrent that turned out to be private (BEP 27). Each one yields
    /// `Input::DialFailed`; the torrent dials the allowed addresses again.
    pub(crate) fn cancel_dials(&self, torrent: InfoHash) {
        self.order(Request::CancelDials(torrent));
    }

    /// Enables uTP: peers that cannot be reached over TCP are dialed again over uTP from now on.
    pub(crate) fn set_utp(&self, utp: Utp) {
        self.order(Request::SetUtp(utp));
    }

    /// Returns what is to receive the events of uTP.
    #[must_use]
    pub(crate) fn utp_events(&self) -> UtpEventHandler {
        let connector = self.clone();
        Box::new(move |event| connector.order(Request::Utp(event)))
    }

    /// Ends the thread and closes all pending connections.
    pub(crate) fn stop(&self) {
        self.order(Request::Stop);
    }

    fn order(&self, order: Request) {
        if self.orders.send(order).is_ok() {
            let _ = self.waker.wake();
        }
    }
}

const WAKE: Token = Token(usize::MAX);
/// The first token of pending connections; smaller tokens are indices of `listeners`.
const FIRST: usize = 16;
const BACKOFF_LEAST: Duration = Duration::from_millis(100);
const BACKOFF_MOST: Duration = Duration::from_secs(1);

struct ConnectorThread {
    poll: Poll,
    /// Kept open: dropping the last waker would discard a pending wake-up.
    _waker: Arc<Waker>,
    listeners: Vec<TcpListener>,
    todo: Receiver<Request>,
    config: ConnectorConfig,
    waiting: DialQueue,
    pending: BTreeMap<usize, PendingConnection>,
    next: usize,
    by_utp: UtpDials,
    /// When to accept next: at once if a listener is readable, after the back-off if accepting failed.
    accept_at: Option<Instant>,
    backoff: Duration,
    said_full: bool,
    said_called: bool,
}

impl ConnectorThread {
    fn run(mut self) {
        let mut events = Events::with_capacity(256);
        loop {
            let now = Instant::now();
            if self.handle_requests().is_err() {
                return;
            }
            self.expire(now);
            self.begin_dials(now);
            if self.accept_at.is_some_and(|at| at <= now) {
                self.accept_at = None;
                self.accept();
            }
            let wait = self.deadline().map(|at| at.saturating_duration_since(Instant::now()));
            if let Err(error) = self.poll.poll(&mut events, wait)
                && error.kind() != ErrorKind::Interrupted
            {
                tracing::error!("waiting for connections failed: {error}");
                (self.config.notice)(format!("no more connections can be made: {error}"));
                return;
            }
            for event in &events {
                match event.token() {
                    WAKE => (),
                    Token(door) if door < FIRST => {
                        // After a failed accept, the back-off deadline stays in place.
                        self.accept_at.get_or_insert_with(Instant::now);
                    }
                    Token(token) => self.advance(token),
                }
            }
        }
    }

    /// Handles queued requests; an error means to stop.
    fn handle_requests(&mut self) -> Result<(), ()> {
        for order in self.todo.try_iter().collect::<Vec<_>>() {
            match order {
                Request::Stop => return Err(()),
                Request::Dial { torrent, inbox, calls } => self.waiting.add(torrent, inbox, calls),
                Request::CancelDials(torrent) => self.waiting.forget(torrent),
                Request::SetUtp(utp) => self.by_utp.set_utp(utp),
                Request::Utp(UtpEvent::Connected { ticket, socket }) => self.on_utp_dial_done(ticket, Ok(socket)),
                Request::Utp(UtpEvent::Failed { ticket, why }) => self.on_utp_dial_done(ticket, Err(why)),
                Request::Utp(UtpEvent::Accepted { socket, addr }) => {
                    if socket.set_nonblocking(true).is_ok() {
                        self.add_incoming(TcpStream::from_std(socket), addr, true);
                    }
                }
            }
        }
        Ok(())
    }

    fn on_utp_dial_done(&mut self, ticket: u64, result: Result<std::net::TcpStream, DisconnectReason>) {
        let Some(UtpDial { torrent, addr, dialled, before }) = self.by_utp.remove(ticket) else { return };
        match result.map(|socket| socket.set_nonblocking(true).map(|()| TcpStream::from_std(socket))) {
            Ok(Ok(socket)) => {
                let mut connection = PendingConnection::new(socket, addr, Instant::now(), limits::CONNECT);
                (connection.dialled, connection.torrent, connection.utp) = (Some(dialled), Some(torrent), true);
                self.register(connection);
            }
            Ok(Err(error)) => {
                torrent.1.send(Input::DialFailed { addr, why: DisconnectReason::Network(describe_io_error(&error)) });
            }
            Err(why) => match before {
                Some(why) => torrent.1.send(Input::DialFailed { addr, why }),
                // TCP has not been tried yet: queue a TCP dial.
                None if self.config.routes.find(torrent.0).is_some_and(|it| it.same(&torrent.1)) => {
                    let call = DialRequest { utp_failed: true, ..DialRequest::new(addr, DialHint::default()) };
                    self.waiting.add(torrent.0, torrent.1, vec![call]);
                }
                None => torrent.1.send(Input::DialFailed { addr, why }),
            },
        }
    }

    /// Returns when there is work even without a socket event.
    fn deadline(&self) -> Option<Instant> {
        let pending = self.pending.values().map(|connection| connection.deadline);
        let dials = self.pending.values().filter(|b| b.is_tcp_dial() && !self.waiting.is_empty());
        let aging = dials.flat_map(|b| [b.began + YOUNG, b.began + GIVES_WAY]);
        let now = Instant::now();
        pending.chain(aging.filter(|&at| at > now)).chain(self.accept_at).min()
    }

    fn expire(&mut self, now: Instant) {
        let late: Vec<_> = self.pending.iter().filter(|(_, b)| b.deadline <= now).map(|(&token, _)| token).collect();
        for token in late {
            if let Some(connection) = self.take(token) {
                let what = if connection.connected { "handshake" } else { "connecting" };
                self.on_dial_failed(connection, DisconnectReason::TimedOut(what));
            }
        }
    }

    /// Starts queued dials while slots are free; unanswered dials are canceled if they block queued ones.
    fn begin_dials(&mut self, now: Instant) {
        if self.waiting.is_empty() {
            return;
        }
        let dials = || self.pending.iter().filter(|(_, b)| b.is_tcp_dial());
        let unanswered = |b: &PendingConnection| !b.connected && now.saturating_duration_since(b.began) >= GIVES_WAY;
        if dials().count() >= limits::HALF_OPEN_OUT {
            let old: Vec<usize> = dials().filter(|(_, b)| unanswered(b)).map(|(token, _)| *token).collect();
            for connection in old.into_iter().filter_map(|token| self.take(token)).collect::<Vec<_>>() {
                self.on_dial_failed(connection, DisconnectReason::TimedOut("connecting"));
            }
        }
        let ages = self.pending.values().filter(|b| b.is_tcp_dial());
        let mut room = free_dial_slots(ages.map(|b| now.saturating_duration_since(b.began)));
        while room > 0 {
            let Some((torrent, inbox, call)) = self.waiting.next() else { return };
            let encrypted = match self.config.encryption {
                Encryption::Off => false,
                Encryption::Require => true,
                Encryption::Prefer => call.hint.encrypted != Some(false),
            };
            let mut dialled = DialState { encrypted, is_fallback: false, tried_utp: call.utp_failed };
            let (torrent, addr) = ((torrent, inbox), call.addr);
            if call.hint.utp && !call.utp_failed && self.by_utp.has_free_slot() {
                dialled.tried_utp = true;
                self.by_utp.call(UtpDial { torrent, addr, dialled, before: None });
                continue;
            }
            room -= usize::from(self.start_dial(torrent, addr, dialled, now));
            let all = self.pending.values().filter(|b| b.is_tcp_dial()).count();
            debug_assert!(all <= limits::HALF_OPEN_OUT, "{all} dials are under way");
        }
    }

    /// Starts a TCP dial. Returns false after reporting `Input::DialFailed` if the dial cannot be started.
    fn start_dial(
        &mut self,
        torrent: (InfoHash, TorrentHandle),
        addr: SocketAddr,
        dialled: DialState,
        now: Instant,
    ) -> bool {
        match connect(self.config.bind, addr) {
            Ok(socket) => {
                let mut connection = PendingConnection::new(socket, addr, now, limits::CONNECT);
                connection.dialled = Some(dialled);
                connection.torrent = Some(torrent);
                self.register(connection);
                true
            }
            Err(error) => {
                torrent.1.send(Input::DialFailed { addr, why: no_way(&error) });
                false
            }
        }
    }

    /// Retries a failed connection or reports it as failed. A peer that accepted the connection but not the handshake
    /// is dialed once more with or without encryption; a peer that is unreachable or silent over TCP is dialed over
    /// uTP.
    fn on_dial_failed(&mut self, mut connection: PendingConnection, why: DisconnectReason) {
        let other_way = connection.fallback(self.config.encryption);
        // Over uTP the first attempt uses the same encryption as the first attempt over TCP.
        let anew = |it: DialState| DialState {
            encrypted: it.encrypted != it.is_fallback,
            is_fallback: false,
            tried_utp: true,
        };
        let by_utp = connection.dialled.filter(|it| !it.tried_utp && !connection.received_any).map(anew);
        let Some(dialled) = other_way.or(by_utp) else { return connection.fail(why) };
        let (addr, utp) = (connection.addr, connection.utp || other_way.is_none());
        let Some(torrent) = connection.torrent.take() else { return };
        drop(connection);
        if !utp {
            self.start_dial(torrent, addr, dialled, Instant::now());
        } else if self.by_utp.has_free_slot() {
            self.by_utp.call(UtpDial { torrent, addr, dialled, before: Some(why) });
        } else {
            torrent.1.send(Input::DialFailed { addr, why });
        }
    }

    fn accept(&mut self) {
        for door in 0..self.listeners.len() {
            loop {
                match self.listeners[door].accept() {
                    Ok((socket, addr)) => {
                        self.backoff = BACKOFF_LEAST;
                        self.add_incoming(socket, addr, false);
                    }
                    Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                    Err(e) if matches!(e.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => (),
                    Err(e) => {
                        // Out of file descriptors or memory: connections in the backlog wait until the back-off ends.
                        self.say_full(&e);
                        self.accept_at = Some(Instant::now() + self.backoff);
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
            tracing::warn!("accepting a connection failed: {error}");
            (self.config.notice)(format!("no more connections (limit): {error}"));
        }
    }

    /// Adds an incoming connection; at the limit, the oldest pending incoming connection is closed.
    fn add_incoming(&mut self, socket: TcpStream, addr: SocketAddr, utp: bool) {
        let callers = || self.pending.iter().filter(|(_, connection)| connection.dialled.is_none());
        if callers().count() >= limits::HALF_OPEN_IN
            && let Some(oldest) = callers().min_by_key(|(_, connection)| connection.began).map(|(&token, _)| token)
        {
            drop(self.take(oldest));
        }
        let mut connection = PendingConnection::new(socket, canonical(addr), Instant::now(), limits::HANDSHAKE);
        (connection.connected, connection.utp) = (true, utp);
        self.register(connection);
    }

    /// Registers a pending connection with the poll and advances it at once if it may be ready.
    fn register(&mut self, mut connection: PendingConnection) {
        let token = self.next;
        self.next = if self.next >= WAKE.0 - 1 { FIRST } else { self.next + 1 };
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(&mut connection.socket, Token(token), interest) {
            connection.fail(DisconnectReason::Network(describe_io_error(&error)));
            return;
        }
        let try_now = connection.connected || connection.utp;
        self.pending.insert(token, connection);
        if try_now {
            self.advance(token);
        }
    }

    /// Advances a handshake as far as the socket allows. Removes the connection when the handshake has succeeded or
    /// failed.
    fn advance(&mut self, token: usize) {
        let Some(connection) = self.pending.get_mut(&token) else { return };
        match connection.step(&self.config) {
            HandshakeStep::Wait => (),
            HandshakeStep::Fail(why) => {
                if let Some(connection) = self.take(token) {
                    self.on_dial_failed(connection, why);
                }
            }
            HandshakeStep::Done(handshake) => {
                if let Some(connection) = self.take(token) {
                    self.hand_over(connection, token, handshake);
                }
            }
        }
    }

    fn take(&mut self, token: usize) -> Option<PendingConnection> {
        let mut connection = self.pending.remove(&token)?;
        let _ = self.poll.registry().deregister(&mut connection.socket);
        Some(connection)
    }

    fn hand_over(&mut self, mut connection: PendingConnection, token: usize, theirs: Handshake) {
        // An incoming uTP connection may use a NAT mapping created by our own packets, so it does not prove that the
        // port is open.
        let from_outside = connection.dialled.is_none() && !connection.utp && !is_internal(connection.addr.ip());
        if from_outside && !std::mem::replace(&mut self.said_called, true) {
            (self.config.on_reachable)();
        }
        let Some(seat) = self.config.seats.take() else {
            connection.fail(DisconnectReason::TooManyConnections);
            return;
        };
        let (addr, outgoing, utp) = (connection.addr, connection.dialled.is_some(), connection.utp);
        let (encrypted, cover) = connection.take_remainder();
        let Some((_, inbox)) = connection.torrent else { return };
        let socket = std::net::TcpStream::from(connection.socket);
        let hello = PeerInfo { addr, outgoing, utp, peer_id: theirs.peer_id, reserved: theirs.reserved, encrypted };
        let ready = socket
            .set_nonblocking(false)
            // A uTP connection uses a local socket pair; uTP itself decides when packets are sent.
            .and_then(|()| if utp { Ok(()) } else { socket.set_nodelay(true) })
            .and_then(|()| socket.set_read_timeout(Some(READ_TIMEOUT)))
            .and_then(|()| socket.set_write_timeout(Some(limits::WRITE)));
        match ready {
            Ok(()) => {
                let arrival = ConnectedPeer { peer: PeerKey(token as u64), hello, socket, cover, seat };
                // Fails if the torrent has stopped; the connection is dropped then.
                let _ = inbox.try_send(TorrentMessage::Connected(arrival));
            }
            Err(error) if outgoing => {
                inbox.send(Input::DialFailed { addr, why: DisconnectReason::Network(describe_io_error(&error)) });
            }
            Err(_) => (),
        }
    }
}

/// Returns why a dial could not be started. A missing route, address or file handle is a local problem and says
/// nothing about the peer; an ICMP error from a router arrives later, through the socket.
fn no_way(error: &io::Error) -> DisconnectReason {
    match error.kind() {
        ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown | ErrorKind::AddrNotAvailable => {
            DisconnectReason::Offline(describe_io_error(error))
        }
        _ if is_out_of_handles(error) => DisconnectReason::TooManyConnections,
        _ => DisconnectReason::Network(describe_io_error(error)),
    }
}

#[cfg(test)]
mod tests;
