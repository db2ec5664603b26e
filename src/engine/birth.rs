//! One connection being born: its handshake as far as it has come, plain or encrypted.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, Type};

use super::greet::Greeting;
use super::inbox::{Cover, Inbox};
use super::reader::words;
use crate::config::Encryption;
use crate::limits;
use crate::swarm::torrent::{Gone, Input};
use crate::wire::message::{Handshake, InfoHash, Reserved};
use crate::wire::mse::{self, Called, Caller, Chance, Ciphers, Method, Methods, MseError, Secured};

/// Bytes of a handshake up to the end of the info-hash: enough to answer.
const ASKED: usize = 48;
/// Bytes read at once while a handshake is encrypted.
const READ: usize = 2048;

/// A connection being born.
pub(super) struct Birth {
    pub(super) socket: TcpStream,
    pub(super) addr: SocketAddr,
    pub(super) began: Instant,
    pub(super) deadline: Instant,
    /// The torrent and its inbox: known from the start for a dial, later for a caller.
    pub(super) torrent: Option<(InfoHash, Inbox)>,
    /// How it was dialled; `None` for a caller.
    pub(super) dialled: Option<Dialled>,
    pub(super) connected: bool,
    /// The other side has said something.
    pub(super) heard: bool,
    /// It goes by uTP: the socket is our end of a local pair.
    pub(super) utp: bool,
    talk: Talk,
    /// Their handshake of the peer protocol, as far as it has come, and what came with it.
    theirs: Vec<u8>,
    /// What is to be sent, and how much of it has been.
    out: Vec<u8>,
    sent: usize,
    /// Our handshake is in `out`, or under way.
    introduced: bool,
    method: Option<Method>,
    ciphers: Option<Box<Ciphers>>,
}

/// How an address was dialled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Dialled {
    /// It is spoken to encrypted from the first byte on.
    pub(super) encrypted: bool,
    /// It was tried the other way just before.
    pub(super) again: bool,
    /// uTP was tried before, or is being tried.
    pub(super) tried_utp: bool,
}

/// What is being spoken.
enum Talk {
    /// Nothing yet.
    Silence,
    /// We called, and encrypt.
    Calling(Box<Caller>),
    /// A caller encrypts.
    Called(Box<Called>),
    /// The peer protocol's handshake.
    Greeting,
}

/// What comes next.
pub(super) enum Step {
    Wait,
    Done(Handshake),
    Fail(Gone),
}

/// Why a connection comes to nothing, inside of this file.
enum Trouble {
    Network(io::Error),
    Gone(Gone),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Trouble::Network(error)
    }
}

impl From<MseError> for Trouble {
    fn from(error: MseError) -> Self {
        fail(&error.to_string())
    }
}

fn fail(what: &str) -> Trouble {
    Trouble::Gone(Gone::Misbehaved(what.to_owned()))
}

/// The methods that may follow an encrypted handshake.
const fn methods(wish: Encryption) -> Methods {
    match wish {
        Encryption::Require => Methods::RC4,
        Encryption::Off | Encryption::Prefer => Methods::BOTH,
    }
}

/// A private key that nobody can foresee, and paddings.
fn chance() -> io::Result<Chance> {
    let mut chance = Chance { inner: fastrand::usize(..=mse::PAD), ..Chance::default() };
    getrandom::fill(&mut chance.private).map_err(io::Error::from)?;
    chance.pad.resize_with(fastrand::usize(..=mse::PAD), || fastrand::u8(..));
    Ok(chance)
}

impl Birth {
    pub(super) fn new(socket: TcpStream, addr: SocketAddr, now: Instant, time: Duration) -> Self {
        Birth {
            socket,
            addr,
            began: now,
            deadline: now + time,
            torrent: None,
            dialled: None,
            connected: false,
            heard: false,
            utp: false,
            talk: Talk::Silence,
            theirs: Vec::with_capacity(Handshake::LENGTH),
            out: Vec::new(),
            sent: 0,
            introduced: false,
            method: None,
            ciphers: None,
        }
    }

    /// Whether we made it, by TCP: it takes one of the places of those.
    pub(super) const fn is_tcp_dial(&self) -> bool {
        self.dialled.is_some() && !self.utp
    }

    /// Tells the torrent that dialled; a caller is turned away without a word.
    pub(super) fn fail(self, why: Gone) {
        if self.dialled.is_some()
            && let Some((_, inbox)) = self.torrent
        {
            inbox.tell(Input::DialFailed { addr: self.addr, why });
        }
    }

    /// The other way to speak to an address that we reached and that would not be spoken to in this one.
    pub(super) fn other_way(&self, wish: Encryption) -> Option<Dialled> {
        let dialled = self.dialled.filter(|dialled| !dialled.again && self.connected && wish == Encryption::Prefer)?;
        let untold = match self.talk {
            Talk::Calling(_) => true,
            // Who has said a word of the plain handshake does take it.
            Talk::Greeting => self.method.is_none() && self.theirs.is_empty(),
            Talk::Silence | Talk::Called(_) => false,
        };
        untold.then_some(Dialled { encrypted: !dialled.encrypted, again: true, ..dialled })
    }

    /// How the connection is encrypted, and what has come already of what follows the handshake.
    pub(super) fn cover(&mut self) -> (Option<Method>, Cover) {
        let early = self.theirs.split_off(Handshake::LENGTH.min(self.theirs.len()));
        (self.method, Cover { early, ciphers: self.ciphers.take() })
    }

    pub(super) fn step(&mut self, greeting: &Greeting) -> Step {
        match self.try_step(greeting) {
            Ok(step) => step,
            Err(Trouble::Network(error)) => Step::Fail(Gone::Network(words(&error))),
            Err(Trouble::Gone(why)) => {
                if why == Gone::Ourselves {
                    // It is answered too, so that the dialling side learns of it.
                    let _ = self.send();
                }
                Step::Fail(why)
            }
        }
    }

    fn try_step(&mut self, greeting: &Greeting) -> Result<Step, Trouble> {
        if !self.connected {
            if let Some(error) = self.socket.take_error()? {
                return Err(error.into());
            }
            // The end of a pair is there from the start, and has no address of a peer.
            if !self.utp && self.socket.peer_addr().is_err() {
                return Ok(Step::Wait);
            }
            self.connected = true;
            self.deadline = Instant::now() + self.patience(greeting.encryption);
            self.open(greeting)?;
        }
        self.send()?;
        while self.theirs.len() < Handshake::LENGTH {
            let mut bytes = [0; READ];
            match self.socket.read(&mut bytes[..self.wants()]) {
                Ok(0) => return Ok(Step::Fail(Gone::Closed)),
                Ok(n) => {
                    self.heard = true;
                    self.hear(&mut bytes[..n], greeting)?;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => (),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(Step::Wait),
                Err(e) => return Err(e.into()),
            }
            self.send()?;
        }
        let Some(theirs) = self.theirs.first_chunk() else { return Ok(Step::Wait) };
        match Handshake::decode(theirs) {
            // Our side is small enough to fit into any socket's buffer; one that does not take it is of no use.
            Ok(theirs) if self.sent == self.out.len() => Ok(Step::Done(theirs)),
            Ok(_) => Ok(Step::Wait),
            Err(error) => Err(fail(&error.to_string())),
        }
    }

    /// The time for the handshake, once connected. One that has another way to be spoken to has less.
    fn patience(&self, wish: Encryption) -> Duration {
        match self.dialled {
            Some(Dialled { again: false, .. }) if wish == Encryption::Prefer => limits::HANDSHAKE_FIRST,
            _ => limits::HANDSHAKE,
        }
    }

    /// Says the first word to an address that we dialled.
    fn open(&mut self, greeting: &Greeting) -> io::Result<()> {
        let (Some(dialled), Some((torrent, inbox))) = (self.dialled, &self.torrent) else { return Ok(()) };
        if dialled.encrypted {
            let ours = ours(*torrent, inbox.reserved(), greeting).to_vec();
            let (caller, first) = Caller::new(chance()?, *torrent, methods(greeting.encryption), ours);
            self.introduced = true;
            self.out = first;
            self.talk = Talk::Calling(Box::new(caller));
        } else {
            self.introduce(greeting);
            self.talk = Talk::Greeting;
        }
        Ok(())
    }

    /// How many bytes to read: of a plain handshake none too many, since what follows it is for the reader.
    fn wants(&self) -> usize {
        match self.talk {
            Talk::Silence => mse::NAME - self.theirs.len().min(mse::NAME - 1),
            Talk::Greeting => Handshake::LENGTH - self.theirs.len(),
            Talk::Calling(_) | Talk::Called(_) => READ,
        }
    }

    /// Deals with bytes that came.
    fn hear(&mut self, bytes: &mut [u8], greeting: &Greeting) -> Result<(), Trouble> {
        let secured = match &mut self.talk {
            Talk::Silence => return self.first_words(bytes, greeting),
            Talk::Greeting => {
                if let Some(ciphers) = &mut self.ciphers {
                    ciphers.receive.apply(bytes);
                }
                self.theirs.extend_from_slice(bytes);
                return self.judge(greeting);
            }
            Talk::Calling(caller) => caller.feed(bytes, &mut self.out)?,
            Talk::Called(called) => called.feed(bytes, |veiled| greeting.routes.unveil(veiled), &mut self.out)?,
        };
        match secured {
            Some(secured) => self.secured(secured, greeting),
            None => Ok(()),
        }
    }

    /// A caller's first bytes say whether it speaks plainly.
    fn first_words(&mut self, bytes: &[u8], greeting: &Greeting) -> Result<(), Trouble> {
        self.theirs.extend_from_slice(bytes);
        if Handshake::begins(&self.theirs) {
            if self.theirs.len() >= mse::NAME {
                if greeting.encryption == Encryption::Require {
                    return Err(fail("it does not encrypt"));
                }
                self.talk = Talk::Greeting;
            }
            return Ok(());
        }
        if greeting.encryption == Encryption::Off {
            return Err(fail("it does not speak the BitTorrent protocol"));
        }
        let mut bytes = std::mem::take(&mut self.theirs);
        self.talk = Talk::Called(Box::new(Called::new(chance()?, methods(greeting.encryption))));
        self.hear(&mut bytes, greeting)
    }

    /// The encrypted handshake is over; the plain one follows it.
    fn secured(&mut self, secured: Secured, greeting: &Greeting) -> Result<(), Trouble> {
        let Secured { torrent, method, ciphers, early } = secured;
        if self.torrent.is_none() {
            self.torrent = greeting.routes.find(torrent).map(|inbox| (torrent, inbox));
        }
        self.method = Some(method);
        self.ciphers = ciphers;
        self.theirs = early;
        self.talk = Talk::Greeting;
        self.judge(greeting)
    }

    /// Looks at what has come of their handshake, finds the torrent that a caller wants, and answers it.
    fn judge(&mut self, greeting: &Greeting) -> Result<(), Trouble> {
        let theirs = &self.theirs[..self.theirs.len().min(Handshake::LENGTH)];
        if !Handshake::begins(theirs) {
            return Err(fail("it does not speak the BitTorrent protocol"));
        }
        let mut introduce = false;
        if let Some(asked) = theirs.get(28..ASKED) {
            match &self.torrent {
                Some((torrent, _)) if torrent.0 != asked => return Err(fail("it answered for another torrent")),
                Some(_) => (),
                None => {
                    let mut torrent = InfoHash([0; 20]);
                    torrent.0.copy_from_slice(asked);
                    let inbox = greeting.routes.find(torrent);
                    let inbox = inbox.ok_or_else(|| fail("it asked for a torrent that is not here"))?;
                    self.torrent = Some((torrent, inbox));
                }
            }
            // Not before, though an encrypted handshake has told us the torrent: webtorrent decrypts nothing that comes in
            // one packet with the answer to its own encrypted handshake.
            introduce = true;
        }
        let ourselves = theirs.get(ASKED..Handshake::LENGTH).is_some_and(|id| id == greeting.peer_id.0);
        if introduce {
            self.introduce(greeting);
        }
        if ourselves { Err(Trouble::Gone(Gone::Ourselves)) } else { Ok(()) }
    }

    /// Puts our handshake on its way, once the torrent is known.
    fn introduce(&mut self, greeting: &Greeting) {
        let Some((torrent, reserved)) = self.torrent.as_ref().map(|(torrent, inbox)| (*torrent, inbox.reserved()))
        else {
            return;
        };
        if std::mem::replace(&mut self.introduced, true) {
            return;
        }
        let mut ours = ours(torrent, reserved, greeting);
        if let Some(ciphers) = &mut self.ciphers {
            ciphers.send.apply(&mut ours);
        }
        self.out.extend(ours);
    }

    /// Sends what is to be sent, as far as the socket takes it.
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

fn ours(info_hash: InfoHash, reserved: Reserved, greeting: &Greeting) -> [u8; Handshake::LENGTH] {
    Handshake { reserved, info_hash, peer_id: greeting.peer_id }.encode()
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
