//! A node of the DHT (BEP 5) as a machine: packets and the time go in, packets and peers come out.
//!
//! Both families have a table of their own (BEP 32), ids follow our address as others see it (BEP 42), nodes that answer
//! nobody are not kept (BEP 43). What a packet says is believed only when it answers a question that we asked of that
//! address.

mod answers;
pub mod guard;
pub mod id;
pub mod lookup;
mod seeks;
pub mod store;
pub mod table;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::limits;
use crate::swarm::address::is_local;
use crate::swarm::external::External;
use crate::wire::krpc::{Body, KrpcError, Node, NodeId, Packet, Query, Response, Want};
use crate::wire::message::InfoHash;
use guard::Guard;
use lookup::Lookup;
use seeks::{Job, Seek};
use store::{Store, Tokens};
use table::Table;

/// The time between two looks at nodes that have been quiet.
const CARE: Duration = Duration::from_secs(15);
/// The time between two searches that keep the table fresh.
const REFRESH: Duration = Duration::from_secs(15 * 60);
/// Nodes that are enough to begin with.
const ENOUGH: usize = 8;
/// Questions under way to those whom we only heard of.
const HEARD_OF: usize = 32;
/// Hosts that must agree on our address before our id follows it.
const AGREED: usize = 3;

/// What a node is made of.
#[derive(Clone, Debug)]
pub struct DhtConfig {
    /// Which families there are sockets for: IPv4, IPv6.
    pub families: [bool; 2],
    /// Our ids of the last session, by family.
    pub ids: [Option<NodeId>; 2],
    /// Nodes of the last session.
    pub known: Vec<SocketAddr>,
    /// From the system's source of chance.
    pub secret: [u8; 32],
    /// Seeds its chance where nobody has to be kept from guessing.
    pub seed: u64,
}

/// What a node asks of the world.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum DhtEffect {
    /// Send this packet.
    Send {
        /// Where.
        to: SocketAddr,
        /// The packet.
        packet: Vec<u8>,
    },
    /// Peers of a torrent were found; more may follow.
    Peers(InfoHash, Vec<SocketAddr>),
    /// A search is over.
    Sought(InfoHash, Result<Sought, NoNodes>),
    /// Find out where to begin: answered by [`Dht::begin_at`].
    Resolve,
}

/// What came of a search.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sought {
    /// Nodes that answered.
    pub nodes: u32,
    /// Peers found, all together.
    pub peers: u32,
    /// Nodes that were told of us.
    pub told: u32,
}

/// There is no node to ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoNodes;

/// How a node is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DhtState {
    /// Nodes that we know, by family: IPv4, IPv6.
    pub nodes: [u32; 2],
    /// Nodes to begin with are being looked for.
    pub beginning: bool,
    /// When they are looked for again, from now.
    pub again: Option<Duration>,
    /// Time since the last answer to a question of ours.
    pub last: Option<Duration>,
}

/// Why a question was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Purpose {
    /// Is it there?
    Ping,
    /// For the search with this number.
    Search(u64),
    /// To tell of us.
    Announce,
}

/// A question under way.
#[derive(Debug)]
struct Question {
    to: SocketAddr,
    at: Instant,
    slow: bool,
    purpose: Purpose,
}

/// The nodes of one family.
#[derive(Debug)]
struct Family {
    own: NodeId,
    table: Table,
}

/// A node.
#[derive(Debug)]
pub struct Dht {
    rng: fastrand::Rng,
    families: [Option<Family>; 2],
    external: External,
    tokens: Tokens,
    guard: Guard,
    store: Store,
    questions: BTreeMap<[u8; 4], Question>,
    asked: u64,
    searches: BTreeMap<u64, Lookup>,
    jobs: BTreeMap<InfoHash, Job>,
    waiting: VecDeque<Seek>,
    /// Addresses to begin at, while it has not begun.
    entries: Vec<SocketAddr>,
    begin: Begin,
    care_at: Instant,
    refresh_at: Instant,
    last_answer: Option<Instant>,
}

/// How it comes by its first nodes.
#[derive(Debug, Default)]
struct Begin {
    /// When the next try is due; `None` while one is under way or none is needed.
    at: Option<Instant>,
    /// Searches of the present try that are not over: by their numbers, since our own id may change meanwhile.
    searches: BTreeSet<u64>,
    /// It has been asked where to begin, and nobody has answered yet.
    resolving: bool,
    tries: u32,
}

impl Dht {
    /// A node that knows nobody; it begins with the first [`Dht::tick`].
    #[must_use]
    pub fn new(now: Instant, config: DhtConfig) -> Self {
        let mut rng = fastrand::Rng::with_seed(config.seed);
        let mut family = |at: usize| {
            let own = config.ids[at].unwrap_or_else(|| id::make(None, &mut rng));
            config.families[at].then(|| Family { own, table: Table::new(own) })
        };
        let families = [family(0), family(1)];
        Dht {
            rng,
            families,
            external: External::default(),
            tokens: Tokens::new(now, config.secret),
            guard: Guard::new(now),
            store: Store::default(),
            questions: BTreeMap::new(),
            asked: 0,
            searches: BTreeMap::new(),
            jobs: BTreeMap::new(),
            waiting: VecDeque::new(),
            entries: config.known,
            begin: Begin { at: Some(now), ..Begin::default() },
            care_at: now + CARE,
            refresh_at: now + REFRESH,
            last_answer: None,
        }
    }

    fn family(&self, addr: SocketAddr) -> Option<&Family> {
        self.families[usize::from(addr.is_ipv6())].as_ref()
    }

    fn family_mut(&mut self, addr: SocketAddr) -> Option<&mut Family> {
        self.families[usize::from(addr.is_ipv6())].as_mut()
    }

    /// How it is doing.
    #[must_use]
    pub fn state(&self, now: Instant) -> DhtState {
        let count = |family: &Option<Family>| family.as_ref().map_or(0, |family| family.table.len() as u32);
        DhtState {
            nodes: [count(&self.families[0]), count(&self.families[1])],
            beginning: self.begins(),
            again: self.begin.at.map(|at| at.saturating_duration_since(now)),
            last: self.last_answer.map(|at| now.saturating_duration_since(at)),
        }
    }

    /// What the next session is to begin with: our ids, and the nodes that answered last.
    #[must_use]
    pub fn to_keep(&self) -> ([Option<NodeId>; 2], Vec<SocketAddr>) {
        let ids = [0, 1].map(|at| self.families[at].as_ref().map(|family| family.own));
        let nodes = self.families.iter().flatten().flat_map(|family| {
            let half = limits::DHT_FILE_NODES / 2;
            family.table.freshest().into_iter().take(half).map(|node| node.addr)
        });
        (ids, nodes.collect())
    }

    /// Whether a try to come by first nodes is under way.
    fn begins(&self) -> bool {
        self.begin.resolving || !self.begin.searches.is_empty()
    }

    fn nodes(&self) -> usize {
        self.families.iter().flatten().map(|family| family.table.len()).sum()
    }

    /// An address where there may be a node: a peer has told of it. A host is asked at one port at a time, so that it
    /// does not take the turn of others by naming many.
    pub fn meet(&mut self, now: Instant, addr: SocketAddr, out: &mut Vec<DhtEffect>) {
        let addr = SocketAddr::new(addr.ip().to_canonical(), addr.port());
        let known = self.family(addr).is_none_or(|family| family.table.knows(addr));
        let same = |to: SocketAddr| if is_local(addr.ip()) { to == addr } else { to.ip() == addr.ip() };
        let asked = self.questions.values().any(|question| same(question.to));
        if addr.port() != 0 && !known && !asked && self.pings() < HEARD_OF {
            self.ask(now, addr, Purpose::Ping, out);
        }
    }

    fn pings(&self) -> usize {
        self.questions.values().filter(|question| question.purpose == Purpose::Ping).count()
    }

    // --- asking --------------------------------------------------------------------------------------

    /// Asks this address what the purpose needs.
    fn ask(&mut self, now: Instant, to: SocketAddr, purpose: Purpose, out: &mut Vec<DhtEffect>) {
        let want = Want { four: self.families[0].is_some(), six: self.families[1].is_some() };
        let Some(family) = self.family(to) else { return };
        let query = match purpose {
            Purpose::Ping if self.nodes() < ENOUGH => Query::FindNode { target: family.own, want },
            Purpose::Ping | Purpose::Announce => Query::Ping,
            Purpose::Search(number) => match self.searches.get(&number) {
                Some(it) if it.peers => Query::GetPeers { info_hash: InfoHash(it.target.0), want },
                Some(it) => Query::FindNode { target: it.target, want },
                None => return,
            },
        };
        self.put(now, to, purpose, query, out);
    }

    fn put(&mut self, now: Instant, to: SocketAddr, purpose: Purpose, query: Query, out: &mut Vec<DhtEffect>) {
        let Some(id) = self.family(to).map(|family| family.own) else { return };
        self.asked += 1;
        let transaction = self.tokens.transaction(self.asked);
        self.questions.insert(transaction, Question { to, at: now, slow: false, purpose });
        let body = Body::Query { id, query };
        let packet = Packet { transaction: transaction.to_vec(), ip: None, read_only: false, body };
        out.push(DhtEffect::Send { to, packet: packet.encode() });
    }

    // --- hearing -------------------------------------------------------------------------------------

    /// A packet has come.
    pub fn received(&mut self, now: Instant, from: SocketAddr, bytes: &[u8], out: &mut Vec<DhtEffect>) {
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        if from.port() == 0 || self.family(from).is_none() {
            return;
        }
        match Packet::decode(bytes) {
            Ok(Packet { transaction, body: Body::Query { id, query }, read_only, .. }) => {
                if self.guard.may_ask(now, from) {
                    self.answer(now, Node { id, addr: from }, transaction, &query, bytes.len(), out);
                    if !read_only {
                        self.heard_of(now, Node { id, addr: from }, out);
                    }
                }
            }
            Ok(Packet { transaction, ip, body: Body::Response(response), .. }) => {
                if let Some(question) = self.question(&transaction, from) {
                    if let Some(ours) = ip {
                        self.external.says(from.ip(), ours.ip());
                    }
                    self.answered(now, from, &question, response, out);
                }
            }
            Ok(Packet { transaction, body: Body::Error(_), .. }) => {
                // It is there, and will not do what we asked for: as far as that goes, no answer.
                if let Some(question) = self.question(&transaction, from) {
                    self.gave_up(&question);
                    self.go_on(now, out);
                }
            }
            Err(KrpcError::Lacks { question: Some(transaction) }) => {
                if self.guard.may_ask(now, from) {
                    self.refuse(now, from, transaction, crate::wire::krpc::error::PROTOCOL, out);
                }
            }
            Err(_) => {}
        }
    }

    /// Takes out the question that this answers, if it comes from where it was sent to.
    fn question(&mut self, transaction: &[u8], from: SocketAddr) -> Option<Question> {
        let transaction = <[u8; 4]>::try_from(transaction).ok()?;
        let asked = self.questions.get(&transaction).is_some_and(|question| question.to == from);
        if asked { self.questions.remove(&transaction) } else { None }
    }

    fn answered(
        &mut self,
        now: Instant,
        from: SocketAddr,
        question: &Question,
        response: Response,
        out: &mut Vec<DhtEffect>,
    ) {
        self.last_answer = Some(now);
        let node = Node { id: response.id, addr: from };
        let ours = self.families.iter().flatten().any(|family| family.own == node.id);
        if !ours && !self.is_entry(from) {
            self.families[usize::from(from.is_ipv6())].as_mut().into_iter().for_each(|f| f.table.answered(now, node));
        }
        self.follow_address(now, from.is_ipv6());
        // Hosts of local networks are heeded from there only.
        let near = is_local(from.ip());
        let fits = |addr: &SocketAddr| near || !is_local(addr.ip());
        let nodes: Vec<Node> = response.nodes.into_iter().filter(|node| fits(&node.addr)).collect();
        if let Purpose::Search(number) = question.purpose {
            let values = response.values.into_iter().filter(fits).collect();
            self.found(number, values, out);
            if let Some(search) = self.searches.get_mut(&number) {
                let same = |node: &&Node| node.addr.is_ipv6() == from.is_ipv6();
                search.answered(node, response.token, nodes.iter().filter(same).copied());
            }
        }
        // Those of the other family, and all when there are few: they may be there.
        let few = self.nodes() < ENOUGH;
        for node in nodes.into_iter().filter(|node| few || node.addr.is_ipv6() != from.is_ipv6()) {
            self.heard_of(now, node, out);
        }
        self.go_on(now, out);
    }

    /// Whether this is one of the addresses where everybody begins: they have enough to do, and are not kept. Those of
    /// local networks are nodes like others.
    fn is_entry(&self, addr: SocketAddr) -> bool {
        !is_local(addr.ip()) && self.entries.contains(&addr)
    }

    /// A node was named, or has asked something: if it could be of use it is asked whether it is there.
    fn heard_of(&mut self, now: Instant, node: Node, out: &mut Vec<DhtEffect>) {
        let asked = self.questions.values().any(|question| question.to == node.addr);
        let wanted = self.family(node.addr).is_some_and(|family| family.table.wants(&node));
        if wanted && !asked && self.pings() < HEARD_OF {
            self.ask(now, node.addr, Purpose::Ping, out);
        }
    }

    /// Takes an id that fits our address, once enough hosts agree on it.
    fn follow_address(&mut self, now: Instant, six: bool) {
        let Some((ip, voices)) = self.external.agreed(six) else { return };
        let Some(family) = &mut self.families[usize::from(six)] else { return };
        if voices < AGREED || id::fits(family.own, ip) {
            return;
        }
        family.own = id::make(Some(ip), &mut self.rng);
        family.table.move_to(family.own);
        // Who is near is not who was.
        self.refresh_at = now;
    }

    /// Our address as others see it.
    #[must_use]
    pub fn external(&self) -> Vec<IpAddr> {
        self.external.all()
    }

    // --- the time ------------------------------------------------------------------------------------

    /// Does what is due.
    pub fn tick(&mut self, now: Instant, out: &mut Vec<DhtEffect>) {
        self.expire(now, out);
        if self.begin.at.is_some_and(|at| now >= at) {
            self.try_to_begin(now, out);
        }
        if now >= self.care_at {
            self.care_at = now + CARE;
            self.store.expire(now);
            for six in [0, 1] {
                let stale = self.families[six].as_mut().and_then(|family| family.table.stale(now));
                stale.into_iter().for_each(|node| self.ask(now, node.addr, Purpose::Ping, out));
            }
            if self.nodes() == 0 && self.begin.at.is_none() && !self.begins() {
                (self.begin.at, self.begin.tries) = (Some(now), 0);
            }
        }
        if now >= self.refresh_at {
            self.refresh_at = now + REFRESH;
            self.refresh();
        }
        self.go_on(now, out);
    }

    /// Questions that have waited too long.
    fn expire(&mut self, now: Instant, out: &mut Vec<DhtEffect>) {
        let waited = |question: &Question| now.saturating_duration_since(question.at);
        for question in self.questions.values_mut().filter(|q| !q.slow && waited(q) >= limits::DHT_SLOW) {
            question.slow = true;
            if let Purpose::Search(number) = question.purpose
                && let Some(search) = self.searches.get_mut(&number)
            {
                search.slow(question.to);
            }
        }
        let late: Vec<[u8; 4]> =
            self.questions.iter().filter(|(_, q)| waited(q) >= limits::DHT_TIMEOUT).map(|(t, _)| *t).collect();
        for question in late.iter().filter_map(|transaction| self.questions.remove(transaction)).collect::<Vec<_>>() {
            let next = self.family_mut(question.to).and_then(|family| family.table.failed(question.to));
            self.gave_up(&question);
            if let Some(node) = next {
                self.heard_of(now, node, out);
            }
        }
    }

    /// A question has no answer.
    fn gave_up(&mut self, question: &Question) {
        if let Purpose::Search(number) = question.purpose
            && let Some(search) = self.searches.get_mut(&number)
        {
            search.failed(question.to);
        }
    }

    /// When [`Dht::tick`] is to be called at the latest.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        let wait = |q: &Question| q.at + if q.slow { limits::DHT_TIMEOUT } else { limits::DHT_SLOW };
        let questions = self.questions.values().map(wait);
        questions.chain(self.begin.at).fold(self.care_at.min(self.refresh_at), Instant::min)
    }
}

#[cfg(test)]
mod tests;
