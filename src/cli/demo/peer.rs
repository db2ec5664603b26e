//! A peer of the demo: a thread that follows a script and speaks the peer wire protocol (BEP 3, 6, 10) over TCP.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use socket2::{Domain, Protocol, Socket, Type};

use super::sample::Sample;
use crate::limits::BLOCK;
use crate::wire::extension;
use crate::wire::message::{self, Block, Frame, Handshake, Message, PeerId, PieceIndex, Reserved};

/// Longest wait for the other end, and so the precision of the rates.
const STEP: Duration = Duration::from_millis(25);
/// Number of requests that a peer keeps outstanding.
const PIPELINE: usize = 16;
/// Largest burst: this long at the peer's rate.
const BURST: f64 = 0.5;

/// What a peer is and does. Rates are in bytes per second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Script {
    /// Client name in the extended handshake.
    pub client: &'static str,
    /// First bytes of the peer id (BEP 20).
    pub id: [u8; 8],
    /// Percentage of the pieces that the peer has at first, from `from` on.
    pub have: u32,
    /// Percentage of the pieces before the first one that the peer has.
    pub from: u32,
    /// Upload rate; 0 never unchokes.
    pub up: u64,
    /// Download rate from us.
    pub down: u64,
    /// Rate at which the peer gets pieces from elsewhere.
    pub learns: u64,
    /// When the peer appears; later than at once, it dials.
    pub joins: u64,
    /// When the peer leaves, in seconds.
    pub leaves: Option<u64>,
    /// Seconds unchoked and choked, in turn.
    pub turns: Option<(u64, u64)>,
    /// The first piece that the peer sends from this second on is damaged.
    pub lies: Option<u64>,
}

/// A script that does nothing.
pub(super) const IDLE: Script = Script {
    client: "",
    id: *b"-XX0000-",
    have: 100,
    from: 0,
    up: 0,
    down: 0,
    learns: 0,
    joins: 0,
    leaves: None,
    turns: None,
    lies: None,
};

/// A running peer; stops when dropped.
pub(super) struct ScriptedPeer {
    /// Where the peer listens.
    pub addr: SocketAddr,
    pub id: PeerId,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl ScriptedPeer {
    /// Starts the peer on a loopback address of its own. A peer that joins later dials `engine`. Scripted seconds are
    /// divided by `haste`, rates are multiplied by it.
    ///
    /// # Errors
    /// It cannot listen, or there is no thread for it.
    pub(super) fn start(
        number: u8,
        script: Script,
        sample: &Arc<Sample>,
        engine: SocketAddr,
        haste: u32,
    ) -> io::Result<Self> {
        // Some systems have only one loopback address.
        let own = IpAddr::V4(Ipv4Addr::new(127, 0, 0, number));
        let listener = TcpListener::bind((own, 0)).or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let mut id = PeerId([b'0' + number % 10; 20]);
        id.0[..8].copy_from_slice(&script.id);
        let stop = Arc::<AtomicBool>::default();
        let actor =
            Actor { script, id, sample: Arc::clone(sample), stop: Arc::clone(&stop), haste, began: Instant::now() };
        let thread =
            thread::Builder::new().name(format!("demo{number}")).spawn(move || actor.run(&listener, engine))?;
        Ok(ScriptedPeer { addr, id, stop, thread: Some(thread) })
    }
}

impl Drop for ScriptedPeer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Actor {
    script: Script,
    id: PeerId,
    sample: Arc<Sample>,
    stop: Arc<AtomicBool>,
    haste: u32,
    began: Instant,
}

impl Actor {
    /// Returns the scripted time.
    fn second(&self) -> u64 {
        (self.began.elapsed() * self.haste).as_secs()
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.script.leaves.is_some_and(|at| self.second() >= at)
    }

    fn run(&self, listener: &TcpListener, engine: SocketAddr) {
        let mut have = self.sample.share(self.script.from, self.script.have);
        let mut lies = self.script.lies.is_some();
        while !self.is_over() {
            let stream = match self.script.joins {
                0 => listener.accept().map(|(stream, _)| stream),
                at if self.second() < at => Err(ErrorKind::WouldBlock.into()),
                _ => dial(listener, engine),
            };
            match stream {
                // The end of a connection is no error here: the other end may have no use for this peer.
                Ok(stream) => drop(Connection::new(self, stream, &mut have, &mut lies).and_then(Connection::run)),
                Err(_) => thread::sleep(STEP),
            }
        }
    }
}

/// Connects from the address that the peer listens on.
fn dial(listener: &TcpListener, engine: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&SocketAddr::new(listener.local_addr()?.ip(), 0).into())?;
    socket.connect_timeout(&engine.into(), Duration::from_secs(1))?;
    Ok(socket.into())
}

/// A connection of a scripted peer.
struct Connection<'a> {
    actor: &'a Actor,
    stream: TcpStream,
    have: &'a mut Vec<bool>,
    /// Whether the peer still has to send damaged data.
    lies: &'a mut bool,
    theirs: Vec<bool>,
    received: BytesMut,
    /// Blocks to send.
    queue: VecDeque<Block>,
    /// Blocks requested and not received yet.
    asked: Vec<Block>,
    /// The piece being received, and how many of its blocks have been requested.
    fetching: Option<(PieceIndex, u32)>,
    /// Whether we have unchoked them, and they us.
    unchoked: bool,
    may_ask: bool,
    wanted: bool,
    /// Bytes that may be sent, requested and learned now.
    up: f64,
    down: f64,
    learned: f64,
    /// The piece that was read last.
    piece: Option<(PieceIndex, Bytes)>,
    damaged: Option<PieceIndex>,
    at: Instant,
}

impl<'a> Connection<'a> {
    /// Exchanges the handshakes.
    fn new(actor: &'a Actor, mut stream: TcpStream, have: &'a mut Vec<bool>, lies: &'a mut bool) -> io::Result<Self> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.set_nodelay(true)?;
        let ours = Handshake { reserved: Reserved::OURS, info_hash: actor.sample.info_hash, peer_id: actor.id };
        stream.write_all(&ours.encode())?;
        let mut theirs = [0; Handshake::LENGTH];
        stream.read_exact(&mut theirs)?;
        Handshake::decode(&theirs).map_err(|_| ErrorKind::InvalidData)?;
        stream.set_read_timeout(Some(STEP))?;
        let theirs = vec![false; have.len()];
        let mut it = Connection {
            actor,
            stream,
            have,
            lies,
            theirs,
            received: BytesMut::new(),
            queue: VecDeque::new(),
            asked: Vec::new(),
            fetching: None,
            unchoked: false,
            may_ask: false,
            wanted: false,
            up: 0.0,
            down: 0.0,
            learned: 0.0,
            piece: None,
            damaged: None,
            at: Instant::now(),
        };
        let hello = extension::Handshake {
            client: Some(actor.script.client.to_owned()),
            reqq: Some(250),
            ..extension::Handshake::default()
        };
        it.send(&[Message::Extended { id: 0, payload: hello.encode().into() }, it.bitfield()])?;
        if actor.script.down > 0 {
            it.send(&[Message::Interested])?;
        }
        Ok(it)
    }

    fn bitfield(&self) -> Message {
        if self.have.iter().all(|has| *has) {
            return Message::HaveAll;
        }
        let mut bits = vec![0_u8; self.have.len().div_ceil(8)];
        for (piece, _) in self.have.iter().enumerate().filter(|(_, has)| **has) {
            bits[piece / 8] |= 0x80 >> (piece % 8);
        }
        Message::Bitfield(bits.into())
    }

    fn send(&mut self, messages: &[Message]) -> io::Result<()> {
        let mut out = Vec::new();
        messages.iter().for_each(|message| message.encode(&mut out));
        self.stream.write_all(&out)
    }

    fn run(mut self) -> io::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        while !self.actor.is_over() {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => self.received.extend_from_slice(&buffer[..read]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(error),
            }
            self.take_messages()?;
            self.act()?;
        }
        Ok(())
    }

    fn take_messages(&mut self) -> io::Result<()> {
        let mut bytes = self.received.split().freeze();
        loop {
            match message::decode(&bytes, Some(self.have.len() as u32)) {
                Ok(Frame::Message(message, length)) => {
                    self.on_message(message)?;
                    bytes = bytes.slice(length..);
                }
                Ok(Frame::Skip(length)) if length <= bytes.len() => bytes = bytes.slice(length..),
                Ok(_) => break,
                Err(_) => return Err(ErrorKind::InvalidData.into()),
            }
        }
        self.received = BytesMut::from(&bytes[..]);
        Ok(())
    }

    fn on_message(&mut self, message: Message) -> io::Result<()> {
        match message {
            Message::Interested => self.wanted = true,
            Message::NotInterested => self.wanted = false,
            Message::Choke => {
                self.may_ask = false;
                self.asked.clear();
                self.fetching = None;
            }
            Message::Unchoke => self.may_ask = true,
            Message::HaveAll => self.theirs.fill(true),
            Message::Have(piece) => self.theirs[piece.as_usize()] = true,
            Message::Bitfield(bits) => {
                for (piece, has) in self.theirs.iter_mut().enumerate() {
                    *has = bits[piece / 8] & (0x80 >> (piece % 8)) != 0;
                }
            }
            Message::Request(block) if self.unchoked => self.queue.push_back(block),
            Message::Request(block) => self.send(&[Message::Reject(block)])?,
            Message::Cancel(block) => {
                let before = self.queue.len();
                self.queue.retain(|queued| *queued != block);
                if self.queue.len() < before {
                    self.send(&[Message::Reject(block)])?;
                }
            }
            // Begins another piece, or this one again.
            Message::Reject(_) => {
                self.asked.clear();
                self.fetching = None;
            }
            Message::Piece { piece, begin, .. } => {
                self.asked.retain(|asked| (asked.piece, asked.begin) != (piece, begin));
                let last =
                    self.fetching.is_some_and(|(of, next)| of == piece && next >= self.actor.sample.length(piece));
                if last && self.asked.is_empty() {
                    self.fetching = None;
                    self.has(piece)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes a piece as complete and announces it.
    fn has(&mut self, piece: PieceIndex) -> io::Result<()> {
        self.have[piece.as_usize()] = true;
        self.send(&[Message::Have(piece)])
    }

    /// Does what the script says for the time since the last call.
    fn act(&mut self) -> io::Result<()> {
        let script = self.actor.script;
        let passed = self.at.elapsed().as_secs_f64() * f64::from(self.actor.haste);
        self.at = Instant::now();
        let grow = |left: f64, rate: u64| (left + passed * rate as f64).min(rate as f64 * BURST + f64::from(BLOCK));
        (self.up, self.down) = (grow(self.up, script.up), grow(self.down, script.down));
        self.choke()?;
        while self.up >= f64::from(BLOCK)
            && let Some(block) = self.queue.pop_front()
        {
            self.up -= f64::from(block.length);
            let data = self.block(block);
            self.send(&[Message::Piece { piece: block.piece, begin: block.begin, data }])?;
        }
        self.learned += passed * script.learns as f64;
        if self.learned >= f64::from(self.actor.sample.piece_length) {
            self.learned = 0.0;
            if let Some(new) = self.have.iter().position(|has| !has) {
                self.has(PieceIndex(new as u32))?;
            }
        }
        self.ask()
    }

    fn choke(&mut self) -> io::Result<()> {
        let script = self.actor.script;
        let turn = script.turns.is_none_or(|(on, off)| self.actor.second() % (on + off) < on);
        let open = script.up > 0 && turn && self.wanted;
        if open == self.unchoked {
            return Ok(());
        }
        self.unchoked = open;
        if open {
            return self.send(&[Message::Unchoke]);
        }
        let rejected: Vec<Message> = self.queue.drain(..).map(Message::Reject).collect();
        self.send(&[Message::Choke])?;
        self.send(&rejected)
    }

    /// Returns the data of a block; damaged for all blocks of the first piece if the peer lies.
    fn block(&mut self, block: Block) -> Bytes {
        if self.piece.as_ref().is_none_or(|(piece, _)| *piece != block.piece) {
            self.piece = Some((block.piece, self.actor.sample.piece(block.piece).into()));
        }
        if *self.lies && self.actor.script.lies.is_some_and(|at| self.actor.second() >= at) && block.begin == 0 {
            *self.lies = false;
            self.damaged = Some(block.piece);
        }
        let Some((_, whole)) = &self.piece else { return Bytes::new() };
        let data = whole.slice(block.begin as usize..(block.begin + block.length) as usize);
        if self.damaged != Some(block.piece) {
            return data;
        }
        data.iter().map(|byte| !byte).collect()
    }

    /// Requests blocks, as far as the peer's download rate allows.
    fn ask(&mut self) -> io::Result<()> {
        while self.may_ask && self.asked.len() < PIPELINE && self.down >= f64::from(BLOCK) {
            let Some((piece, begin)) = self.fetching.or_else(|| self.next_piece().map(|piece| (piece, 0))) else {
                break;
            };
            let length = self.actor.sample.length(piece);
            if begin >= length {
                break;
            }
            let block = Block { piece, begin, length: BLOCK.min(length - begin) };
            self.fetching = Some((piece, begin + block.length));
            self.down -= f64::from(block.length);
            self.asked.push(block);
            self.send(&[Message::Request(block)])?;
        }
        Ok(())
    }

    fn next_piece(&self) -> Option<PieceIndex> {
        let missing = self.have.iter().zip(&self.theirs).position(|(have, theirs)| !have && *theirs);
        missing.map(|piece| PieceIndex(piece as u32))
    }
}
