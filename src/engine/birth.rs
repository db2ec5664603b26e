//! One connection being born: its handshake as far as it has come.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, Type};

use super::greet::Greeting;
use super::inbox::Inbox;
use super::reader::words;
use crate::limits;
use crate::swarm::torrent::{Gone, Input};
use crate::wire::message::{Handshake, InfoHash, Reserved};

/// Bytes of a handshake up to the end of the info-hash: enough to answer.
const ASKED: usize = 48;

/// A connection being born.
pub(super) struct Birth {
    pub(super) socket: TcpStream,
    pub(super) addr: SocketAddr,
    pub(super) began: Instant,
    pub(super) deadline: Instant,
    /// The torrent and its inbox: known from the start for a dial, from byte [`ASKED`] for a caller.
    pub(super) torrent: Option<(InfoHash, Inbox)>,
    pub(super) outgoing: bool,
    pub(super) connected: bool,
    /// Their handshake, as far as it has come.
    theirs: [u8; Handshake::LENGTH],
    got: usize,
    /// How much of our handshake has been sent.
    sent: usize,
}

/// What comes next.
pub(super) enum Step {
    Wait,
    Done(Handshake),
    Fail(Gone),
}

impl Birth {
    pub(super) fn new(socket: TcpStream, addr: SocketAddr, now: Instant, time: Duration) -> Self {
        Birth {
            socket,
            addr,
            began: now,
            deadline: now + time,
            torrent: None,
            outgoing: false,
            connected: false,
            theirs: [0; Handshake::LENGTH],
            got: 0,
            sent: 0,
        }
    }

    /// Tells the torrent that dialled; a caller is turned away without a word.
    pub(super) fn fail(self, why: Gone) {
        if self.outgoing
            && let Some((_, inbox)) = self.torrent
        {
            inbox.tell(Input::DialFailed { addr: self.addr, why });
        }
    }

    pub(super) fn step(&mut self, greeting: &Greeting) -> Step {
        self.try_step(greeting).unwrap_or_else(|error| Step::Fail(Gone::Network(words(&error))))
    }

    fn try_step(&mut self, greeting: &Greeting) -> io::Result<Step> {
        if !self.connected {
            if let Some(error) = self.socket.take_error()? {
                return Err(error);
            }
            match self.socket.peer_addr() {
                Ok(_) => self.connected = true,
                Err(_) => return Ok(Step::Wait),
            }
            self.deadline = Instant::now() + limits::HANDSHAKE;
        }
        self.send(greeting)?;
        while self.got < Handshake::LENGTH {
            match self.socket.read(&mut self.theirs[self.got..]) {
                Ok(0) => return Ok(Step::Fail(Gone::Closed)),
                Ok(n) => self.got += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => (),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(Step::Wait),
                Err(e) => return Err(e),
            }
            let step = self.judge(greeting);
            // A caller that turns out to be ourselves is answered too, so that the dialling side learns of it.
            self.send(greeting)?;
            if let Some(step) = step {
                return Ok(step);
            }
        }
        let ours = Handshake::LENGTH;
        match Handshake::decode(&self.theirs) {
            // Our side is small enough to fit into any socket's buffer; one that does not take it is of no use.
            Ok(theirs) if self.sent == ours => Ok(Step::Done(theirs)),
            Ok(_) => Ok(Step::Wait),
            Err(error) => Ok(Step::Fail(Gone::Misbehaved(error.to_string()))),
        }
    }

    /// Looks at what has come of their handshake, and finds the torrent that a caller wants.
    fn judge(&mut self, greeting: &Greeting) -> Option<Step> {
        let fail = |what: &str| Some(Step::Fail(Gone::Misbehaved(what.to_owned())));
        let theirs = &self.theirs[..self.got];
        if !Handshake::begins(theirs) {
            return fail("it does not speak the BitTorrent protocol");
        }
        if let Some(asked) = theirs.get(28..ASKED) {
            match &self.torrent {
                Some((torrent, _)) if torrent.0 != asked => return fail("it answered for another torrent"),
                Some(_) => (),
                None => {
                    let mut torrent = InfoHash([0; 20]);
                    torrent.0.copy_from_slice(asked);
                    let inbox = greeting.routes.find(torrent);
                    self.torrent = inbox.map(|inbox| (torrent, inbox));
                    if self.torrent.is_none() {
                        return fail("it asked for a torrent that is not here");
                    }
                }
            }
        }
        match theirs.get(ASKED..Handshake::LENGTH) {
            Some(id) if id == greeting.peer_id.0 => Some(Step::Fail(Gone::Ourselves)),
            _ => None,
        }
    }

    /// Sends what is left of our handshake, once the torrent is known.
    fn send(&mut self, greeting: &Greeting) -> io::Result<()> {
        let Some((info_hash, _)) = self.torrent else { return Ok(()) };
        let ours = Handshake { reserved: Reserved::OURS, info_hash, peer_id: greeting.peer_id }.encode();
        while self.sent < ours.len() {
            match self.socket.write(&ours[self.sent..]) {
                Ok(n) => self.sent += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => (),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// Begins to connect, from `bind` if that is given.
pub(super) fn connect(bind: Option<IpAddr>, addr: SocketAddr) -> io::Result<TcpStream> {
    let Some(ip) = bind else { return TcpStream::connect(addr) };
    if ip.is_ipv4() != addr.is_ipv4() {
        return Err(io::Error::new(ErrorKind::Unsupported, format!("it cannot be reached from {ip}")));
    }
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::new(ip, 0).into())?;
    match socket.connect(&addr.into()) {
        Ok(()) => (),
        Err(e) if e.kind() == ErrorKind::WouldBlock => (),
        #[cfg(unix)]
        Err(e) if e.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => (),
        Err(e) => return Err(e),
    }
    Ok(TcpStream::from_std(socket.into()))
}

/// An IPv4 address that came in IPv6 clothes is that IPv4 address.
pub(super) fn plain(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}
