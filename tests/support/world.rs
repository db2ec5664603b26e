//! A small world with a seed: real `Torrent` machines on virtual time, over a network and disks that are made up.
//!
//! Nothing here waits: the next event is taken from a queue and the clock jumps to it. The same seed gives the same
//! trace, to the last event.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sha1::{Digest, Sha1};
use ttui::limits::BLOCK;
use ttui::swarm::bitfield::Bitfield;
use ttui::swarm::geometry::Geometry;
use ttui::swarm::job::{BlockHash, DiskDone, DiskFault, DiskJob, FaultKind};
use ttui::swarm::torrent::{
    DisconnectReason, Effect, FileSpan, Input, MagnetExtras, PeerInfo, PeerKey, Quota, Torrent, TorrentCommand,
    TorrentConfig, WebSeedError, WebSeedFetch,
};
use ttui::swarm::view::{Source, TorrentMeta};
use ttui::wire::message::{InfoHash, Message, PeerId, PieceIndex, Reserved};
use ttui::words::why::sentence;

/// How a member of the swarm behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Has everything from the start.
    Seed,
    /// Has nothing at first.
    Leecher,
    /// Has nothing at first, not even the metadata.
    Magnet,
    /// Has everything, and metadata that are made up, so much longer than the true ones.
    FalseMetadata(usize),
    /// Has everything, and answers no request for metadata.
    MuteMetadata,
    /// Says that it has everything; one in so many blocks that it sends is made up.
    Liar(u32),
    /// Says that it has everything, unchokes, and never sends a block.
    Mute,
    /// Has nothing, says that it wants something, and asks for nothing.
    Idle,
    /// A leecher whose disk is full between these two times.
    FullDisk(Duration, Duration),
}

impl Role {
    fn begins_whole(self) -> bool {
        matches!(self, Role::Seed | Role::Liar(_) | Role::Mute | Role::FalseMetadata(_) | Role::MuteMetadata)
    }

    /// Whether it is to complete.
    pub fn is_honest(self) -> bool {
        matches!(self, Role::Seed | Role::Leecher | Role::Magnet | Role::FullDisk(..))
    }
}

/// A web seed that everybody knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Server {
    /// Gives what it is asked for.
    Honest,
    /// One block in so many is bad.
    Liar(u32),
    /// One fetch in so many breaks off before its end.
    Breaks(u32),
    /// Gives what it is asked for, so many times slower than a member.
    Slow(u64),
    /// Never gives anything, nor says so.
    Mute,
}

/// What a world is made of.
#[derive(Clone, Debug)]
pub struct Rules {
    pub seed: u64,
    pub pieces: u32,
    pub blocks_per_piece: u32,
    pub roles: Vec<Role>,
    /// Web seeds; each serves everybody at the rate of `upload`.
    pub servers: Vec<Server>,
    /// Bytes of the metadata.
    pub metadata: usize,
    /// Addresses that each member knows at first.
    pub acquaintances: usize,
    pub max_peers: usize,
    /// One-way delay, least and most.
    pub latency: (Duration, Duration),
    /// Bytes a second that a member can send.
    pub upload: u64,
    /// One message in so many breaks its connection; 0 is none.
    pub loss: u32,
    /// Whether members offer the fast extension.
    pub fast: bool,
    /// Whether members tell each other of members (BEP 11).
    pub pex: bool,
    /// Whether members super-seed (BEP 16) when they have everything.
    pub super_seed: bool,
    /// After how many events each machine's invariants are checked.
    pub check_every: u64,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            seed: 1,
            pieces: 24,
            blocks_per_piece: 4,
            roles: vec![Role::Seed, Role::Leecher],
            servers: Vec::new(),
            metadata: 50_000,
            acquaintances: 20,
            max_peers: 30,
            latency: (Duration::from_millis(5), Duration::from_millis(150)),
            upload: 1 << 20,
            loss: 0,
            fast: true,
            pex: true,
            super_seed: false,
            check_every: 1,
        }
    }
}

enum What {
    Input(Input),
    /// Bytes reach the other side of a connection; dropped if that connection is gone by then.
    Deliver {
        to: PeerKey,
        batch: Vec<Message>,
    },
    Closed {
        peer: PeerKey,
    },
    /// A block of a web seed; not sent if its fetch was given up by then.
    Served {
        peer: PeerKey,
        number: u64,
        message: Message,
    },
    Dialled {
        from: usize,
        addr: SocketAddr,
    },
    Tick,
}

struct Event {
    at: Instant,
    order: u64,
    node: usize,
    what: What,
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}
impl Eq for Event {}
impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Event {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// One end of a connection.
#[derive(Clone, Copy)]
struct End {
    node: usize,
    other: PeerKey,
    other_node: usize,
    latency: Duration,
    /// When the last byte sent so far will be there: later ones come after it.
    busy_until: Instant,
}

struct Node {
    role: Role,
    torrent: Torrent,
    addr: SocketAddr,
    peer_id: PeerId,
    disk: BTreeMap<PieceIndex, BTreeMap<u32, BlockHash>>,
    stained: BTreeSet<PieceIndex>,
    line_free: Instant,
    ticks_at: Instant,
    completed: Option<Duration>,
    described: Option<Duration>,
    notices: Vec<String>,
}

/// What a member asked of a web seed.
struct Line {
    /// When all of it will have come.
    free: Instant,
    asked: u64,
    given_up: u64,
}

/// The world.
pub struct World {
    rules: Rules,
    geometry: Geometry,
    rng: fastrand::Rng,
    start: Instant,
    now: Instant,
    queue: BinaryHeap<Reverse<Event>>,
    order: u64,
    nodes: Vec<Node>,
    by_addr: BTreeMap<SocketAddr, usize>,
    ends: BTreeMap<PeerKey, End>,
    /// What each member asked of each web seed.
    lines: BTreeMap<(usize, PeerKey), Line>,
    next_key: u64,
    trace: DefaultHasher,
    good: Bytes,
    bad: Bytes,
    info: Bytes,
    /// Events so far.
    pub events: u64,
    /// Blocks delivered so far.
    pub delivered: u64,
}

/// The number that the name of a web seed begins with.
fn server(name: &str) -> usize {
    let digits = name.split(|c: char| !c.is_ascii_digit()).next();
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(usize::MAX)
}

const GOOD: BlockHash = [0; 20];

impl World {
    /// A world under these rules, everybody started.
    pub fn new(rules: Rules) -> Self {
        let start = Instant::now();
        let geometry = Geometry::new(
            u64::from(rules.pieces * rules.blocks_per_piece * BLOCK) - 1000,
            rules.blocks_per_piece * BLOCK,
        );
        let mut rng = fastrand::Rng::with_seed(rules.seed);
        let info: Bytes = (0..rules.metadata).map(|_| rng.u8(..)).collect::<Vec<_>>().into();
        let mut world = World {
            geometry,
            rng,
            start,
            now: start,
            queue: BinaryHeap::new(),
            order: 0,
            nodes: Vec::new(),
            by_addr: BTreeMap::new(),
            ends: BTreeMap::new(),
            lines: BTreeMap::new(),
            next_key: 1,
            trace: DefaultHasher::new(),
            good: Bytes::from(vec![0; BLOCK as usize]),
            bad: Bytes::from(vec![1; BLOCK as usize]),
            info,
            events: 0,
            delivered: 0,
            rules,
        };
        for (n, role) in world.rules.roles.clone().into_iter().enumerate() {
            world.settle_in(n, role);
        }
        for node in 0..world.nodes.len() {
            let have = if world.nodes[node].role.begins_whole() {
                Bitfield::full(geometry.pieces())
            } else {
                Bitfield::new(geometry.pieces())
            };
            world.input(node, Input::Start { have: have.to_wire(), check: Vec::new() });
            let addrs: Vec<SocketAddr> = (0..world.rules.acquaintances)
                .map(|_| world.nodes[world.rng.usize(0..world.nodes.len())].addr)
                .collect();
            world.input(node, Input::PeersFound { source: Source::Tracker, addrs });
        }
        world
    }

    fn settle_in(&mut self, n: usize, role: Role) {
        let addr = SocketAddr::from(([10, (n >> 16) as u8, (n >> 8) as u8, n as u8], 6881));
        let mut peer_id = PeerId([b'-'; 20]);
        peer_id.0[12..].copy_from_slice(&self.rng.u64(..).to_be_bytes());
        let info = match role {
            Role::Magnet => None,
            Role::FalseMetadata(longer) => Some(vec![n as u8; self.info.len() + longer].into()),
            _ => Some(self.info.clone()),
        };
        let torrent = Torrent::new(self.config(n, peer_id, info));
        self.by_addr.insert(addr, n);
        self.nodes.push(Node {
            role,
            torrent,
            addr,
            peer_id,
            disk: BTreeMap::new(),
            stained: BTreeSet::new(),
            line_free: self.now,
            ticks_at: self.now + Duration::from_secs(1_000_000),
            completed: None,
            described: None,
            notices: Vec::new(),
        });
    }

    /// What a member is made from; without `info` nothing is known of it.
    fn config(&mut self, n: usize, peer_id: PeerId, info: Option<Bytes>) -> TorrentConfig {
        let geometry = if info.is_some() { self.geometry } else { Geometry::new(0, 1) };
        let file = FileSpan { path: "data".into(), offset: 0, length: geometry.total(), pad: false, web: None };
        let files = if info.is_some() { vec![file] } else { Vec::new() };
        // Every other member has its metadata on disk only.
        let (info, kept_info) = match info {
            Some(info) if n % 2 == 1 => (None, info.len()),
            info => (info, 0),
        };
        TorrentConfig {
            name: format!("node {n}"),
            name_on_disk: None,
            info_hash: InfoHash(Sha1::digest(&self.info).into()),
            peer_id,
            info,
            kept_info,
            geometry,
            files,
            priorities: Vec::new(),
            sequential: false,
            seed_only: false,
            private: false,
            trackers: Vec::new(),
            web_seeds: (0..self.rules.servers.len()).map(|n| format!("http://server{n}.example/")).collect(),
            is_folder: false,
            peers: Vec::new(),
            link: MagnetExtras::default(),
            pex: self.rules.pex,
            utp: true,
            dht: None,
            port: 6881,
            folder: String::new(),
            max_peers: self.rules.max_peers,
            lan: false,
            lan_unlimited: false,
            quota: Quota { budget: 4 << 20, ..Quota::default() },
            super_seed: self.rules.super_seed,
            meta: TorrentMeta::default(),
            added: 0,
            finished: None,
            totals: ttui::swarm::job::Totals::default(),
            seed: self.rng.u64(..),
        }
    }

    /// Runs until everybody honest is complete or this much virtual time has passed. Whether they are.
    pub fn run(&mut self, most: Duration) -> bool {
        while !self.done() {
            let Some(Reverse(event)) = self.queue.pop() else { return self.done() };
            if event.at.saturating_duration_since(self.start) > most {
                return false;
            }
            self.now = event.at;
            self.step(event);
        }
        true
    }

    /// Whether every honest member is complete.
    pub fn done(&self) -> bool {
        self.nodes.iter().all(|n| !n.role.is_honest() || n.role == Role::Seed || n.completed.is_some())
    }

    /// Makes a member's address known to another one.
    pub fn acquaint(&mut self, node: usize, with: usize) {
        let addrs = vec![self.nodes[with].addr];
        self.input(node, Input::PeersFound { source: Source::Tracker, addrs });
    }

    /// Payload bytes that the first member has sent, as copies of the whole torrent.
    pub fn copies_sent_by_the_first(&self) -> f64 {
        let view = self.nodes[0].torrent.view(self.now, false);
        view.uploaded as f64 / view.size as f64
    }

    /// What the user asks of a member.
    pub fn wish(&mut self, node: usize, wish: TorrentCommand) {
        self.input(node, Input::Command(wish));
    }

    /// A number for everything that happened, in order.
    pub fn trace(&self) -> u64 {
        self.trace.finish()
    }

    /// The virtual time that has passed.
    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// Those who are not complete, and why they say so.
    pub fn laggards(&self) -> Vec<String> {
        let late = self.nodes.iter().filter(|n| n.role.is_honest() && n.role != Role::Seed && n.completed.is_none());
        late.map(|n| {
            let view = n.torrent.view(self.now, false);
            format!("{} {:?}: {}/{} pieces, {}", view.name, n.role, view.have, view.pieces, sentence(&view.why))
        })
        .collect()
    }

    /// When each magnet got its metadata.
    pub fn described(&self) -> Vec<Option<Duration>> {
        self.nodes.iter().filter(|n| n.role == Role::Magnet).map(|n| n.described).collect()
    }

    /// Sentences that members logged and that contain this word.
    pub fn notices(&self, word: &str) -> usize {
        self.nodes.iter().flat_map(|n| &n.notices).filter(|text| text.contains(word)).count()
    }

    /// The hosts that some honest member banned: their roles.
    pub fn banned(&self) -> Vec<Role> {
        let texts = self.nodes.iter().flat_map(|n| &n.notices).filter_map(|t| t.strip_prefix("banned "));
        let hosts: BTreeSet<&str> = texts.filter_map(|t| t.split(':').next()).collect();
        let role = |host: &str| self.nodes.iter().find(|n| n.addr.ip().to_string() == host).map(|n| n.role);
        hosts.into_iter().filter_map(role).collect()
    }

    /// The web seeds that some member banned.
    pub fn banned_servers(&self) -> Vec<Server> {
        let texts = self.nodes.iter().flat_map(|n| &n.notices);
        let names: BTreeSet<&str> =
            texts.filter_map(|t| t.strip_prefix("banned web seed server")?.split('.').next()).collect();
        names.into_iter().map(|name| self.rules.servers[server(name)]).collect()
    }

    /// Asks everybody to stop, and runs until they have.
    pub fn stop(&mut self) -> bool {
        for node in 0..self.nodes.len() {
            self.input(node, Input::Stop);
        }
        let end = self.now + Duration::from_secs(60);
        while !self.nodes.iter().all(|n| n.torrent.stopped()) {
            let Some(Reverse(event)) = self.queue.pop() else { return false };
            if event.at > end {
                return false;
            }
            self.now = event.at;
            self.step(event);
        }
        true
    }

    fn step(&mut self, event: Event) {
        self.events += 1;
        let node = event.node;
        match event.what {
            What::Input(input) => self.input(node, input),
            What::Deliver { to, batch } => {
                if self.ends.contains_key(&to) {
                    self.input(node, Input::Messages { peer: to, batch });
                }
            }
            What::Closed { peer } => {
                if self.ends.remove(&peer).is_some() {
                    self.input(node, Input::PeerDisconnected { peer, why: DisconnectReason::Closed });
                }
            }
            What::Served { peer, number, message } => {
                if self.lines.get(&(node, peer)).is_some_and(|line| line.given_up < number) {
                    self.delivered += 1;
                    self.input(node, Input::Messages { peer, batch: vec![message] });
                }
            }
            What::Dialled { from, addr } => self.dialled(from, addr),
            What::Tick => {
                if self.nodes[node].ticks_at <= self.now {
                    self.nodes[node].ticks_at = self.now + Duration::from_secs(1_000_000);
                    self.input(node, Input::Tick);
                }
            }
        }
    }

    fn later(&mut self, at: Instant, node: usize, what: What) {
        self.order += 1;
        self.queue.push(Reverse(Event { at, order: self.order, node, what }));
    }

    fn input(&mut self, node: usize, input: Input) {
        let kind = std::mem::discriminant(&input);
        (self.now - self.start, node).hash(&mut self.trace);
        kind.hash(&mut self.trace);
        let mut out = Vec::new();
        self.nodes[node].torrent.handle(self.now, input, &mut out);
        out.len().hash(&mut self.trace);
        if self.events.is_multiple_of(self.rules.check_every)
            && let Err(broken) = self.nodes[node].torrent.check_invariants()
        {
            panic!("seed {}: node {node} at {:?}, event {}: {broken}", self.rules.seed, self.elapsed(), self.events);
        }
        self.perform(node, out);
        let deadline = self.nodes[node].torrent.deadline(self.now).max(self.now + Duration::from_millis(1));
        if deadline < self.nodes[node].ticks_at {
            self.nodes[node].ticks_at = deadline;
            self.later(deadline, node, What::Tick);
        }
    }

    fn perform(&mut self, node: usize, effects: Vec<Effect>) {
        let mut batches: Vec<(PeerKey, Vec<Message>)> = Vec::new();
        for effect in effects {
            match effect {
                Effect::Send { message: Message::Extended { id: 1.., .. }, .. }
                    if self.nodes[node].role == Role::MuteMetadata => {}
                Effect::Send { message: Message::Request(_), .. } if self.nodes[node].role == Role::Idle => {}
                Effect::Send { peer, message } => match batches.last_mut() {
                    Some((last, batch)) if *last == peer => batch.push(message),
                    _ => batches.push((peer, vec![message])),
                },
                Effect::SendBlock { peer, block } => {
                    for (peer, batch) in batches.drain(..) {
                        self.send(node, peer, batch);
                    }
                    self.upload(node, peer, block);
                }
                Effect::Disconnect { peer, .. } => {
                    for (peer, batch) in batches.drain(..) {
                        self.send(node, peer, batch);
                    }
                    self.hang_up(peer);
                }
                Effect::Dial { addr, .. } => {
                    let at = self.now + self.latency() * 2;
                    self.later(at, node, What::Dialled { from: node, addr });
                }
                Effect::Disk(job) => self.disk(node, job),
                Effect::Announce { .. }
                | Effect::AnnounceLsd
                | Effect::StopPublicDiscovery
                | Effect::FetchTorrent { .. }
                | Effect::ResolveHosts { .. }
                | Effect::DhtGetPeers { .. }
                | Effect::DhtPing(_)
                | Effect::CheckDone => {}
                Effect::MetadataComplete(info) => {
                    assert_eq!(info, self.info, "node {node} took metadata that are none");
                    self.nodes[node].described = Some(self.now - self.start);
                    let config = Box::new(self.config(node, self.nodes[node].peer_id, Some(info)));
                    let (have, check) = (Bytes::new(), Vec::new());
                    let at = self.now + Duration::from_millis(20);
                    self.later(at, node, What::Input(Input::MetadataLoaded { config, have, check }));
                }
                Effect::Notice(text) | Effect::Occupied(DiskFault { text, .. }) => self.nodes[node].notices.push(text),
                Effect::WebFetch { peer, fetch } => self.fetch(node, peer, &fetch),
                Effect::CancelWebFetch { peer } => {
                    if let Some(line) = self.lines.get_mut(&(node, peer)) {
                        line.given_up = line.asked;
                    }
                }
                Effect::Complete => self.nodes[node].completed = Some(self.now - self.start),
            }
        }
        for (peer, batch) in batches {
            self.send(node, peer, batch);
        }
    }

    fn latency(&mut self) -> Duration {
        let (least, most) = self.rules.latency;
        Duration::from_micros(self.rng.u64(least.as_micros() as u64..=most.as_micros() as u64))
    }

    fn dialled(&mut self, from: usize, addr: SocketAddr) {
        let to = self.by_addr.get(&addr).copied().unwrap_or(from);
        if to == from {
            self.input(from, Input::DialFailed { addr, why: DisconnectReason::SelfConnection });
            return;
        }
        let (a, b) = (PeerKey(self.next_key), PeerKey(self.next_key + 1));
        self.next_key += 2;
        let latency = self.latency();
        let end = |node, other, other_node| End { node, other, other_node, latency, busy_until: self.now };
        self.ends.insert(a, end(from, b, to));
        self.ends.insert(b, end(to, a, from));
        let reserved = if self.rules.fast { Reserved::OURS } else { Reserved([0, 0, 0, 0, 0, 0x10, 0, 0]) };
        let port = 20_000 + (self.next_key % 40_000) as u16;
        let caller = SocketAddr::new(self.nodes[from].addr.ip(), port);
        let hello = PeerInfo {
            addr: caller,
            outgoing: false,
            utp: false,
            peer_id: self.nodes[from].peer_id,
            reserved,
            encrypted: None,
        };
        self.input(to, Input::PeerConnected { peer: b, hello });
        let hello =
            PeerInfo { addr, outgoing: true, utp: false, peer_id: self.nodes[to].peer_id, reserved, encrypted: None };
        if self.ends.contains_key(&a) {
            self.input(from, Input::PeerConnected { peer: a, hello });
        } else {
            self.input(from, Input::DialFailed { addr, why: DisconnectReason::Closed });
        }
    }

    fn hang_up(&mut self, peer: PeerKey) {
        if let Some(end) = self.ends.remove(&peer) {
            let at = end.busy_until.max(self.now) + end.latency;
            self.later(at, end.other_node, What::Closed { peer: end.other });
        }
    }

    fn send(&mut self, node: usize, peer: PeerKey, batch: Vec<Message>) {
        self.send_at(node, peer, batch, self.now);
    }

    fn send_at(&mut self, node: usize, peer: PeerKey, batch: Vec<Message>, from: Instant) {
        let lost = self.rules.loss > 0 && self.rng.u32(0..self.rules.loss) == 0;
        let Some(end) = self.ends.get_mut(&peer) else { return };
        assert_eq!(end.node, node);
        // TCP: what is sent later comes later.
        end.busy_until = end.busy_until.max(from);
        let (at, to, other) = (end.busy_until + end.latency, end.other, end.other_node);
        if lost {
            // The line breaks: both sides find out.
            self.ends.remove(&peer);
            self.later(at, other, What::Closed { peer: to });
            self.later(
                at,
                node,
                What::Input(Input::PeerDisconnected {
                    peer,
                    why: DisconnectReason::Network("connection reset".into()),
                }),
            );
            return;
        }
        self.later(at, other, What::Deliver { to, batch });
    }

    fn upload(&mut self, node: usize, peer: PeerKey, block: ttui::wire::message::Block) {
        let line = Duration::from_secs_f64(f64::from(block.length) / self.rules.upload as f64);
        let from = self.nodes[node].line_free.max(self.now) + line;
        self.nodes[node].line_free = from;
        let bytes = u64::from(block.length);
        self.later(from, node, What::Input(Input::BytesSent { peer, bytes }));
        let data = match self.nodes[node].role {
            Role::Mute => return,
            Role::Liar(n) if self.rng.u32(0..n) == 0 => self.bad.slice(..block.length as usize),
            _ => self.good.slice(..block.length as usize),
        };
        self.delivered += 1;
        let message = Message::Piece { piece: block.piece, begin: block.begin, data };
        self.send_at(node, peer, vec![message], from);
    }

    /// A web seed sends, one fetch after the other.
    fn fetch(&mut self, node: usize, peer: PeerKey, fetch: &WebSeedFetch) {
        let url = fetch.parts[0].url.as_deref().unwrap_or_default();
        let server = self.rules.servers[server(url.trim_start_matches("http://server"))];
        let latency = self.latency();
        let free = self.now;
        let line = self.lines.entry((node, peer)).or_insert(Line { free, asked: 0, given_up: 0 });
        line.asked += 1;
        let (mut at, number) = (line.free.max(self.now) + latency, line.asked);
        let breaks = match server {
            Server::Mute => return,
            Server::Breaks(n) if self.rng.u32(0..n) == 0 => Some(self.rng.usize(0..fetch.blocks.len())),
            _ => None,
        };
        for (n, block) in fetch.blocks.iter().enumerate() {
            let slower = if let Server::Slow(n) = server { n } else { 1 };
            at += Duration::from_secs_f64((u64::from(block.length) * slower) as f64 / self.rules.upload as f64);
            if breaks == Some(n) {
                break;
            }
            let lies = matches!(server, Server::Liar(n) if self.rng.u32(0..n) == 0);
            let data = if lies { &self.bad } else { &self.good }.slice(..block.length as usize);
            let message = Message::Piece { piece: block.piece, begin: block.begin, data };
            self.later(at, node, What::Served { peer, number, message });
        }
        if let Some(line) = self.lines.get_mut(&(node, peer)) {
            line.free = at;
        }
        let fault = WebSeedError { file: None, wait: None, whole: false, words: "it broke off".into() };
        let result = if breaks.is_some() { Err(fault) } else { Ok(()) };
        self.later(at, node, What::Input(Input::WebFetchDone { peer, result }));
    }

    fn disk(&mut self, node: usize, job: DiskJob) {
        let at = self.now + Duration::from_micros(self.rng.u64(100..5_000));
        let done = |what| What::Input(Input::Disk(what));
        match job {
            DiskJob::Write { block, data } => {
                self.later(at, node, done(DiskDone::Wrote(u64::from(block.length))));
                if self.disk_is_full(node) {
                    self.nodes[node].disk.remove(&block.piece);
                    let fault = DiskFault { kind: FaultKind::Full, text: "disk full".into() };
                    self.later(at, node, done(DiskDone::Failed { piece: block.piece, fault }));
                    return;
                }
                let hash = if data[0] == 0 { GOOD } else { [1; 20] };
                let piece = self.nodes[node].disk.entry(block.piece).or_default();
                assert!(piece.insert(block.begin / BLOCK, hash).is_none(), "block given twice: {block:?}");
                if piece.len() == self.geometry.blocks(block.piece) as usize {
                    self.judge(node, block.piece, at);
                }
            }
            DiskJob::Forget(piece) => _ = self.nodes[node].disk.remove(&piece),
            DiskJob::Check(ranges) => {
                for range in ranges {
                    let good = vec![false; range.len()];
                    self.later(at, node, done(DiskDone::Checked { first: PieceIndex(range.start), good }));
                }
                self.later(at, node, done(DiskDone::CheckDone(None)));
            }
            DiskJob::Probe(_) => {
                let fault = || DiskFault { kind: FaultKind::Full, text: "disk full".into() };
                let room = if self.disk_is_full(node) { Err(fault()) } else { Ok(()) };
                self.later(at, node, done(DiskDone::ProbeDone(room)));
            }
            DiskJob::Select(_) | DiskJob::Finish | DiskJob::Totals(_) => {}
            DiskJob::ReadInfo => self.later(at, node, done(DiskDone::Info(Some(self.info.clone())))),
            DiskJob::Compare => self.later(at, node, done(DiskDone::Compared(Ok(Vec::new())))),
            DiskJob::Save => self.later(at, node, done(DiskDone::Saved)),
        }
    }

    fn judge(&mut self, node: usize, piece: PieceIndex, at: Instant) {
        let Some(blocks) = self.nodes[node].disk.remove(&piece) else { return };
        let blocks: Vec<BlockHash> = blocks.into_values().collect();
        let what = if blocks.iter().all(|hash| *hash == GOOD) {
            let blocks = if self.nodes[node].stained.remove(&piece) { blocks } else { Vec::new() };
            DiskDone::Verified { piece, blocks }
        } else {
            self.nodes[node].stained.insert(piece);
            DiskDone::Corrupt { piece, blocks }
        };
        // A little later than the write itself is told.
        self.later(at + Duration::from_micros(1), node, What::Input(Input::Disk(what)));
    }

    fn disk_is_full(&self, node: usize) -> bool {
        let since = self.now - self.start;
        matches!(self.nodes[node].role, Role::FullDisk(from, to) if (from..to).contains(&since))
    }
}
