//! A pending connection: the state of one handshake, plain (BEP 3) or encrypted (MSE). It exists from connect or
//! accept until the handshake succeeds or fails.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, Type};

use super::connector_config::ConnectorConfig;
use super::inbox::{HandshakeRemainder, TorrentHandle};
use super::reader::describe_io_error;
use crate::config::Encryption;
use crate::limits;
use crate::swarm::torrent::{DisconnectReason, Input};
use crate::swarm::view::Source;
use crate::wire::message::{Handshake, InfoHash, Reserved};
use crate::wire::mse::{
    self, Ciphers, CryptoMethod, CryptoProvide, Established, HandshakeEntropy, Initiator, MseError, Responder,
};

/// The length of a handshake up to the end of the info-hash, which is enough to answer it.
const ASKED: usize = 48;
/// Why an incoming connection is refused where encryption is required.
const PLAIN: &str = "peer does not support encryption";
/// The read size during an MSE handshake.
const READ: usize = 2048;

/// A connection whose handshake is not complete.
pub(super) struct PendingConnection {
    pub(super) socket: TcpStream,
    pub(super) addr: SocketAddr,
    pub(super) began: Instant,
    pub(super) deadline: Instant,
    /// The torrent: known from the start for a dial, after its info-hash for an incoming connection.
    pub(super) torrent: Option<(InfoHash, TorrentHandle)>,
    /// How the peer was dialed; `None` for an incoming connection.
    pub(super) dialled: Option<DialState>,
    pub(super) connected: bool,
    /// The peer has sent at least one byte.
    pub(super) received_any: bool,
    /// A uTP connection: `socket` is the local end of a socket pair.
    pub(super) utp: bool,
    state: HandshakeState,
    /// The peer's BitTorrent handshake as far as it was received, and bytes that follow it.
    recv_buf: Vec<u8>,
    /// The bytes to send; `sent` of them have been written.
    out: Vec<u8>,
    sent: usize,
    /// Our handshake was queued in `out` or passed to the MSE initiator.
    handshake_queued: bool,
    method: Option<CryptoMethod>,
    ciphers: Option<Box<Ciphers>>,
}

/// How an address was dialed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct DialState {
    /// The dial starts with an MSE handshake.
    pub(super) encrypted: bool,
    /// This is the fallback dial: the other setting of `encrypted` has failed.
    pub(super) is_fallback: bool,
    /// uTP was tried before or is being tried.
    pub(super) tried_utp: bool,
}

/// The protocol phase of a pending connection.
enum HandshakeState {
    /// Nothing has been sent; an incoming connection is not yet known to be plain or encrypted.
    AwaitFirstBytes,
    /// MSE handshake of an outgoing connection.
    MseInitiator(Box<Initiator>),
    /// MSE handshake of an incoming connection.
    MseResponder(Box<Responder>),
    /// The BitTorrent handshake (BEP 3), alone or after the MSE handshake.
    Plain,
}

/// The result of advancing a handshake.
pub(super) enum HandshakeStep {
    Wait,
    Done(Handshake),
    Fail(DisconnectReason),
}

/// Why a handshake failed.
enum PendingError {
    Network(io::Error),
    Gone(DisconnectReason),
}

impl From<io::Error> for PendingError {
    fn from(error: io::Error) -> Self {
        PendingError::Network(error)
    }
}

impl From<MseError> for PendingError {
    fn from(error: MseError) -> Self {
        fail(&error.to_string())
    }
}

fn fail(what: &str) -> PendingError {
    PendingError::Gone(DisconnectReason::ProtocolViolation(what.to_owned()))
}

/// Returns the encryption methods to offer or accept (`crypto_provide`).
const fn methods(wish: Encryption) -> CryptoProvide {
    match wish {
        Encryption::Require => CryptoProvide::RC4,
        Encryption::Off | Encryption::Prefer => CryptoProvide::BOTH,
    }
}

/// Generates the Diffie-Hellman private key from secure randomness, and random padding.
fn new_entropy() -> io::Result<HandshakeEntropy> {
    let mut chance = HandshakeEntropy { inner: fastrand::usize(..=mse::PAD), ..HandshakeEntropy::default() };
    getrandom::fill(&mut chance.private).map_err(io::Error::from)?;
    chance.pad.resize_with(fastrand::usize(..=mse::PAD), || fastrand::u8(..));
    Ok(chance)
}

impl PendingConnection {
    pub(super) fn new(socket: TcpStream, addr: SocketAddr, now: Instant, time: Duration) -> Self {
        PendingConnection {
            socket,
            addr,
            began: now,
            deadline: now + time,
            torrent: None,
            dialled: None,
            connected: false,
            received_any: false,
            utp: false,
            state: HandshakeState::AwaitFirstBytes,
            recv_buf: Vec::with_capacity(Handshake::LENGTH),
            out: Vec::new(),
            sent: 0,
            handshake_queued: false,
            method: None,
            ciphers: None,
        }
    }

    /// Returns whether this is an outgoing TCP dial, which counts towards [`limits::HALF_OPEN_OUT`].
    pub(super) const fn is_tcp_dial(&self) -> bool {
        self.dialled.is_some() && !self.utp
    }

    /// Reports a failed dial to its torrent; an incoming connection is closed silently.
    pub(super) fn fail(self, why: DisconnectReason) {
        if self.dialled.is_some()
            && let Some((_, inbox)) = self.torrent
        {
            inbox.send(Input::DialFailed { addr: self.addr, why });
        }
    }

    /// Returns the dial to try next if the peer accepted the connection but not the handshake. That is plain after
    /// encrypted, or encrypted after plain. `None` if this was already the fallback or [`Encryption`] does not allow
    /// it.
    pub(super) fn fallback(&self, wish: Encryption) -> Option<DialState> {
        let dialled =
            self.dialled.filter(|dialled| !dialled.is_fallback && self.connected && wish == Encryption::Prefer)?;
        let untold = match self.state {
            HandshakeState::MseInitiator(_) => true,
            // A peer that has sent part of a plain handshake accepts plain handshakes.
            HandshakeState::Plain => self.method.is_none() && self.recv_buf.is_empty(),
            HandshakeState::AwaitFirstBytes | HandshakeState::MseResponder(_) => false,
        };
        untold.then_some(DialState { encrypted: !dialled.encrypted, is_fallback: true, ..dialled })
    }

    /// Takes the encryption method, the cipher state and the payload bytes received after the handshake.
    pub(super) fn take_remainder(&mut self) -> (Option<CryptoMethod>, HandshakeRemainder) {
        let early = self.recv_buf.split_off(Handshake::LENGTH.min(self.recv_buf.len()));
        (self.method, HandshakeRemainder { early, ciphers: self.ciphers.take() })
    }

    pub(super) fn step(&mut self, config: &ConnectorConfig) -> HandshakeStep {
        match self.try_step(config) {
            Ok(step) => step,
            Err(PendingError::Network(error)) => {
                HandshakeStep::Fail(DisconnectReason::Network(describe_io_error(&error)))
            }
            Err(PendingError::Gone(why)) => {
                if why == DisconnectReason::SelfConnection {
                    // The handshake is still sent, so that the dialing end detects the self-connection too.
                    let _ = self.send();
                }
                HandshakeStep::Fail(why)
            }
        }
    }

    fn try_step(&mut self, config: &ConnectorConfig) -> Result<HandshakeStep, PendingError> {
        if !self.connected {
            if let Some(error) = self.socket.take_error()? {
                return Err(error.into());
            }
            // The end of a local socket pair is connected from the start and has no peer address.
            if !self.utp && self.socket.peer_addr().is_err() {
                return Ok(HandshakeStep::Wait);
            }
            self.connected = true;
            self.deadline = Instant::now() + self.handshake_timeout(config.encryption);
            self.open(config)?;
        }
        self.send()?;
        while self.recv_buf.len() < Handshake::LENGTH {
            let mut bytes = [0; READ];
            match self.socket.read(&mut bytes[..self.wants()]) {
                Ok(0) => return Ok(HandshakeStep::Fail(DisconnectReason::Closed)),
                Ok(n) => {
                    self.received_any = true;
                    self.on_bytes(&mut bytes[..n], config)?;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => (),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(HandshakeStep::Wait),
                Err(e) => return Err(e.into()),
            }
            self.send()?;
        }
        let Some(theirs) = self.recv_buf.first_chunk() else { return Ok(HandshakeStep::Wait) };
        match Handshake::decode(theirs) {
            // Our handshake fits into any socket's send buffer, so it has usually been written by now.
            Ok(theirs) if self.sent == self.out.len() => Ok(HandshakeStep::Done(theirs)),
            Ok(_) => Ok(HandshakeStep::Wait),
            Err(error) => Err(fail(&error.to_string())),
        }
    }

    /// Returns the timeout of the handshake once connected; shorter if a fallback dial can follow.
    fn handshake_timeout(&self, wish: Encryption) -> Duration {
        match self.dialled {
            Some(DialState { is_fallback: false, .. }) if wish == Encryption::Prefer => limits::HANDSHAKE_FIRST,
            _ => limits::HANDSHAKE,
        }
    }

    /// Queues the first bytes of an outgoing connection.
    fn open(&mut self, config: &ConnectorConfig) -> io::Result<()> {
        let (Some(dialled), Some((torrent, inbox))) = (self.dialled, &self.torrent) else { return Ok(()) };
        if dialled.encrypted {
            let ours = ours(*torrent, inbox.reserved(), config).to_vec();
            let (caller, first) = Initiator::new(new_entropy()?, *torrent, methods(config.encryption), ours);
            self.handshake_queued = true;
            self.out = first;
            self.state = HandshakeState::MseInitiator(Box::new(caller));
        } else {
            self.queue_handshake(config);
            self.state = HandshakeState::Plain;
        }
        Ok(())
    }

    /// Returns how many bytes to read. Never past a plain handshake, because the reader thread reads what follows.
    fn wants(&self) -> usize {
        match self.state {
            HandshakeState::AwaitFirstBytes => mse::PLAIN_PREFIX - self.recv_buf.len().min(mse::PLAIN_PREFIX - 1),
            HandshakeState::Plain => Handshake::LENGTH - self.recv_buf.len(),
            HandshakeState::MseInitiator(_) | HandshakeState::MseResponder(_) => READ,
        }
    }

    fn on_bytes(&mut self, bytes: &mut [u8], config: &ConnectorConfig) -> Result<(), PendingError> {
        let secured = match &mut self.state {
            HandshakeState::AwaitFirstBytes => return self.detect_protocol(bytes, config),
            HandshakeState::Plain => {
                if let Some(ciphers) = &mut self.ciphers {
                    ciphers.receive.apply(bytes);
                }
                self.recv_buf.extend_from_slice(bytes);
                return self.check_handshake(config);
            }
            HandshakeState::MseInitiator(caller) => caller.receive(bytes, &mut self.out)?,
            HandshakeState::MseResponder(called) => {
                called.receive(bytes, |veiled| config.routes.resolve_obfuscated(veiled), &mut self.out)?
            }
        };
        match secured {
            Some(secured) => self.secured(secured, config),
            None => Ok(()),
        }
    }

    /// Detects from the first bytes of an incoming connection whether it is plain or encrypted.
    fn detect_protocol(&mut self, bytes: &[u8], config: &ConnectorConfig) -> Result<(), PendingError> {
        self.recv_buf.extend_from_slice(bytes);
        if Handshake::is_handshake_prefix(&self.recv_buf) {
            if self.recv_buf.len() >= mse::PLAIN_PREFIX {
                // Over uTP the rest tells which torrent is meant; see `refuse_plain`.
                if config.encryption == Encryption::Require && !self.utp {
                    return Err(fail(PLAIN));
                }
                self.state = HandshakeState::Plain;
            }
            return Ok(());
        }
        if config.encryption == Encryption::Off {
            return Err(fail("not a BitTorrent handshake"));
        }
        let mut bytes = std::mem::take(&mut self.recv_buf);
        self.state = HandshakeState::MseResponder(Box::new(Responder::new(new_entropy()?, methods(config.encryption))));
        self.on_bytes(&mut bytes, config)
    }

    /// Continues with the BitTorrent handshake after the MSE handshake.
    fn secured(&mut self, secured: Established, config: &ConnectorConfig) -> Result<(), PendingError> {
        let Established { torrent, method, ciphers, early_data: early } = secured;
        if self.torrent.is_none() {
            self.torrent = config.routes.find(torrent).map(|inbox| (torrent, inbox));
        }
        self.method = Some(method);
        self.ciphers = ciphers;
        self.recv_buf = early;
        self.state = HandshakeState::Plain;
        self.check_handshake(config)
    }

    /// Checks the peer's handshake as far as it was received, looks up the torrent and queues the answer.
    fn check_handshake(&mut self, config: &ConnectorConfig) -> Result<(), PendingError> {
        let theirs = &self.recv_buf[..self.recv_buf.len().min(Handshake::LENGTH)];
        if !Handshake::is_handshake_prefix(theirs) {
            return Err(fail("not a BitTorrent handshake"));
        }
        if config.encryption == Encryption::Require && self.dialled.is_none() && self.method.is_none() {
            return theirs.get(28..ASKED).map_or(Ok(()), |asked| self.refuse_plain(asked, config));
        }
        let mut introduce = false;
        if let Some(asked) = theirs.get(28..ASKED) {
            match &self.torrent {
                Some((torrent, _)) if torrent.0 != asked => return Err(fail("peer answered for another torrent")),
                Some(_) => (),
                None => {
                    let mut torrent = InfoHash([0; 20]);
                    torrent.0.copy_from_slice(asked);
                    let inbox = config.routes.find(torrent);
                    let inbox = inbox.ok_or_else(|| fail("peer asked for an unknown torrent"))?;
                    self.torrent = Some((torrent, inbox));
                }
            }
            // Not earlier, although MSE has already named the torrent: webtorrent does not decrypt bytes that arrive
            // in the same packet as the last message of the MSE handshake.
            introduce = true;
        }
        let ourselves = theirs.get(ASKED..Handshake::LENGTH).is_some_and(|id| id == config.peer_id.0);
        if introduce {
            self.queue_handshake(config);
        }
        if ourselves { Err(PendingError::Gone(DisconnectReason::SelfConnection)) } else { Ok(()) }
    }

    /// Refuses an incoming uTP connection that is not encrypted, and suggests its address to the torrent.
    ///
    /// uTP sends from the port that it listens on. libtorrent and the clients made of it try a plain handshake first, and the
    /// encrypted one only a minute after the plain one was refused: dialed by us, they encrypt at once.
    fn refuse_plain(&self, asked: &[u8], config: &ConnectorConfig) -> Result<(), PendingError> {
        if let Ok(hash) = asked.try_into()
            && let Some(inbox) = config.routes.find(InfoHash(hash))
        {
            inbox.send(Input::PeersFound { source: Source::Incoming, addrs: vec![self.addr] });
        }
        Err(fail(PLAIN))
    }

    /// Queues our handshake once the torrent is known.
    fn queue_handshake(&mut self, config: &ConnectorConfig) {
        let Some((torrent, reserved)) = self.torrent.as_ref().map(|(torrent, inbox)| (*torrent, inbox.reserved()))
        else {
            return;
        };
        if std::mem::replace(&mut self.handshake_queued, true) {
            return;
        }
        let mut ours = ours(torrent, reserved, config);
        if let Some(ciphers) = &mut self.ciphers {
            ciphers.send.apply(&mut ours);
        }
        self.out.extend(ours);
    }

    /// Writes queued bytes as far as the socket accepts them.
    fn send(&mut self) -> io::Result<()> {
        while self.sent < self.out.len() {
            match self.socket.write(&self.out[self.sent..]) {
                Ok(n) => self.sent += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => (),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

fn ours(info_hash: InfoHash, reserved: Reserved, config: &ConnectorConfig) -> [u8; Handshake::LENGTH] {
    Handshake { reserved, info_hash, peer_id: config.peer_id }.encode()
}

/// Starts a non-blocking TCP connect, from the local address `bind` if given.
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
