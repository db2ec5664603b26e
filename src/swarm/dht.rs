//! A DHT node (BEP 5) as a sans-IO state machine: packets and the time in, packets and peers out.
//!
//! Keeps one routing table per address family (BEP 32), derives its node id from the external IP address (BEP 42) and
//! does not store read-only nodes (BEP 43). A response counts only if its transaction id and source address match a
//! pending query.
//!
//! The crate `mainline` has no IPv6 and no limit on queries, and a socket and a thread of its own; this one shares its
//! port with uTP and runs in a simulator. `rustydht-lib` has no IPv6 either.

pub(crate) mod id;
mod jobs;
pub(crate) mod lookup;
pub(crate) mod peer_store;
pub(crate) mod rate_limit;
pub(crate) mod routing_table;
mod scheduler;
mod server;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::limits;
use crate::swarm::external_ip::ExternalIpVotes;
use crate::wire::address::is_local;
use crate::wire::krpc::{Body, KrpcError, Node, NodeId, Packet, Query, Response, WantFamilies};
use crate::wire::message::InfoHash;

pub use jobs::{LookupSummary, NoNodes};

use jobs::{Job, QueuedLookup};
use lookup::Lookup;
use peer_store::{Store, Tokens};
use rate_limit::QueryRateLimiter;
use routing_table::RoutingTable;

/// Interval of maintenance: store expiry and one ping per family to the node that was quiet longest.
const CARE: Duration = Duration::from_secs(15);
/// Interval between the lookups that refresh the routing tables.
const REFRESH: Duration = Duration::from_secs(15 * 60);
/// Number of nodes at which bootstrapping ends.
const ENOUGH: usize = 8;
/// Number of pending pings at which no further unverified node is pinged.
const HEARD_OF: usize = 32;
/// Number of hosts that must agree on the external IP before the node id is derived from it.
const AGREED: usize = 3;

/// Configuration of a DHT node.
#[derive(Clone, Debug)]
pub struct DhtConfig {
    /// Address families that have a socket: IPv4, IPv6.
    pub families: [bool; 2],
    /// Node ids of the last session, by family.
    pub ids: [Option<NodeId>; 2],
    /// Saved nodes of the last session.
    pub known: Vec<SocketAddr>,
    /// Key of tokens and transaction ids, from the system's secure random source.
    pub secret: [u8; 32],
    /// Seed of the random numbers that need not be unpredictable.
    pub seed: u64,
}

/// An effect requested by the DHT node, executed by the driver.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum DhtEffect {
    Send {
        to: SocketAddr,
        packet: Vec<u8>,
    },
    /// Peers found by a lookup; more may follow.
    Peers(InfoHash, Vec<SocketAddr>),
    /// A lookup ended.
    LookupDone(InfoHash, Result<LookupSummary, NoNodes>),
    /// Resolve the bootstrap nodes; answered by [`Dht::on_resolved`].
    Resolve,
}

/// Status of a DHT node for the view.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DhtState {
    /// Nodes in the routing tables: IPv4, IPv6.
    pub nodes: [u32; 2],
    /// A bootstrap is in progress.
    pub beginning: bool,
    /// Time until the next bootstrap attempt.
    pub again: Option<Duration>,
    /// Time since the last response to one of our queries.
    pub last: Option<Duration>,
}

/// The purpose of a query.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum QueryPurpose {
    /// Checks whether the node answers.
    Ping,
    /// Part of the lookup with this number.
    Search(u64),
    /// Announces a peer.
    Announce,
}

/// A query that has not been answered.
#[derive(Debug)]
struct PendingQuery {
    to: SocketAddr,
    at: Instant,
    slow: bool,
    purpose: QueryPurpose,
}

/// Node id and routing table of one address family.
#[derive(Debug)]
struct AddressFamily {
    own: NodeId,
    table: RoutingTable,
}

/// A DHT node for one or both address families.
#[derive(Debug)]
pub struct Dht {
    rng: fastrand::Rng,
    families: [Option<AddressFamily>; 2],
    external: ExternalIpVotes,
    tokens: Tokens,
    guard: QueryRateLimiter,
    store: Store,
    questions: BTreeMap<[u8; 4], PendingQuery>,
    asked: u64,
    searches: BTreeMap<u64, Lookup>,
    jobs: BTreeMap<InfoHash, Job>,
    waiting: VecDeque<QueuedLookup>,
    /// Bootstrap addresses: first those of the last session, then the resolved bootstrap nodes.
    entries: Vec<SocketAddr>,
    begin: Bootstrap,
    care_at: Instant,
    refresh_at: Instant,
    last_answer: Option<Instant>,
}

/// State of the bootstrap.
#[derive(Debug, Default)]
struct Bootstrap {
    /// When the next attempt is due; `None` while one is in progress or none is needed.
    at: Option<Instant>,
    /// Numbers of the unfinished lookups of this attempt.
    ///
    /// By number, because the node id (their target) may change meanwhile.
    searches: BTreeSet<u64>,
    /// `DhtEffect::Resolve` is pending.
    resolving: bool,
    tries: u32,
}

impl Dht {
    /// Creates a node with empty routing tables; it bootstraps on the first [`Dht::poll`].
    #[must_use]
    pub fn new(now: Instant, config: DhtConfig) -> Self {
        let mut rng = fastrand::Rng::with_seed(config.seed);
        let mut family = |at: usize| {
            let own = config.ids[at].unwrap_or_else(|| id::make(None, &mut rng));
            config.families[at].then(|| AddressFamily { own, table: RoutingTable::new(own) })
        };
        let families = [family(0), family(1)];
        Dht {
            rng,
            families,
            external: ExternalIpVotes::default(),
            tokens: Tokens::new(now, config.secret),
            guard: QueryRateLimiter::new(now),
            store: Store::default(),
            questions: BTreeMap::new(),
            asked: 0,
            searches: BTreeMap::new(),
            jobs: BTreeMap::new(),
            waiting: VecDeque::new(),
            entries: config.known,
            begin: Bootstrap { at: Some(now), ..Bootstrap::default() },
            care_at: now + CARE,
            refresh_at: now + REFRESH,
            last_answer: None,
        }
    }

    fn family(&self, addr: SocketAddr) -> Option<&AddressFamily> {
        self.families[usize::from(addr.is_ipv6())].as_ref()
    }

    fn family_mut(&mut self, addr: SocketAddr) -> Option<&mut AddressFamily> {
        self.families[usize::from(addr.is_ipv6())].as_mut()
    }

    /// Returns the status for the view.
    #[must_use]
    pub fn state(&self, now: Instant) -> DhtState {
        let count = |family: &Option<AddressFamily>| family.as_ref().map_or(0, |family| family.table.len() as u32);
        DhtState {
            nodes: [count(&self.families[0]), count(&self.families[1])],
            beginning: self.is_bootstrapping(),
            again: self.begin.at.map(|at| at.saturating_duration_since(now)),
            last: self.last_answer.map(|at| now.saturating_duration_since(at)),
        }
    }

    /// Returns what to save for the next session: node ids and the nodes that answered last.
    #[must_use]
    pub fn saved_nodes(&self) -> ([Option<NodeId>; 2], Vec<SocketAddr>) {
        let ids = [0, 1].map(|at| self.families[at].as_ref().map(|family| family.own));
        let nodes = self.families.iter().flatten().flat_map(|family| {
            let half = limits::DHT_FILE_NODES / 2;
            family.table.freshest().into_iter().take(half).map(|node| node.addr)
        });
        (ids, nodes.collect())
    }

    /// Returns whether a bootstrap attempt is in progress.
    fn is_bootstrapping(&self) -> bool {
        self.begin.resolving || !self.begin.searches.is_empty()
    }

    fn nodes(&self) -> usize {
        self.families.iter().flatten().map(|family| family.table.len()).sum()
    }

    /// Pings the address of a possible DHT node, such as one from a `port` message.
    ///
    /// One query per host at a time, so that a host cannot crowd out others by naming many ports.
    pub fn add_node_hint(&mut self, now: Instant, addr: SocketAddr, out: &mut Vec<DhtEffect>) {
        let addr = SocketAddr::new(addr.ip().to_canonical(), addr.port());
        let known = self.family(addr).is_none_or(|family| family.table.knows(addr));
        let same = |to: SocketAddr| if is_local(addr.ip()) { to == addr } else { to.ip() == addr.ip() };
        let asked = self.questions.values().any(|question| same(question.to));
        if addr.port() != 0 && !known && !asked && self.pings() < HEARD_OF {
            self.ask(now, addr, QueryPurpose::Ping, out);
        }
    }

    fn pings(&self) -> usize {
        self.questions.values().filter(|question| question.purpose == QueryPurpose::Ping).count()
    }

    // --- outgoing queries ------------------------------------------------------------------------------

    /// Sends the query that serves the purpose.
    fn ask(&mut self, now: Instant, to: SocketAddr, purpose: QueryPurpose, out: &mut Vec<DhtEffect>) {
        let want = WantFamilies { four: self.families[0].is_some(), six: self.families[1].is_some() };
        let Some(family) = self.family(to) else { return };
        let query = match purpose {
            QueryPurpose::Ping if self.nodes() < ENOUGH => Query::FindNode { target: family.own, want },
            QueryPurpose::Ping | QueryPurpose::Announce => Query::Ping,
            QueryPurpose::Search(number) => match self.searches.get(&number) {
                Some(it) if it.peers => Query::GetPeers { info_hash: InfoHash(it.target.0), want },
                Some(it) => Query::FindNode { target: it.target, want },
                None => return,
            },
        };
        self.put(now, to, purpose, query, out);
    }

    fn put(&mut self, now: Instant, to: SocketAddr, purpose: QueryPurpose, query: Query, out: &mut Vec<DhtEffect>) {
        let Some(id) = self.family(to).map(|family| family.own) else { return };
        self.asked += 1;
        let transaction = self.tokens.transaction(self.asked);
        self.questions.insert(transaction, PendingQuery { to, at: now, slow: false, purpose });
        let body = Body::Query { id, query };
        let packet = Packet { transaction: transaction.to_vec(), ip: None, read_only: false, body };
        out.push(DhtEffect::Send { to, packet: packet.encode() });
    }

    // --- incoming packets ------------------------------------------------------------------------------

    /// Handles an incoming packet.
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
                        self.ping_if_useful(now, Node { id, addr: from }, out);
                    }
                }
            }
            Ok(Packet { transaction, ip, body: Body::Response(response), .. }) => {
                if let Some(question) = self.question(&transaction, from) {
                    if let Some(ours) = ip {
                        self.external.add_vote(from.ip(), ours.ip());
                    }
                    self.answered(now, from, &question, response, out);
                }
            }
            Ok(Packet { transaction, body: Body::Error(_), .. }) => {
                // The node is alive but did not answer the query: no answer as far as the lookup goes.
                if let Some(question) = self.question(&transaction, from) {
                    self.gave_up(&question);
                    self.advance_lookups(now, out);
                }
            }
            Err(KrpcError::MissingField { question: Some(transaction) }) => {
                if self.guard.may_ask(now, from) {
                    self.refuse(now, from, transaction, crate::wire::krpc::error::PROTOCOL, out);
                }
            }
            Err(_) => {}
        }
    }

    /// Takes the pending query of a transaction if the response comes from the queried address.
    fn question(&mut self, transaction: &[u8], from: SocketAddr) -> Option<PendingQuery> {
        let transaction = <[u8; 4]>::try_from(transaction).ok()?;
        let asked = self.questions.get(&transaction).is_some_and(|question| question.to == from);
        if asked { self.questions.remove(&transaction) } else { None }
    }

    fn answered(
        &mut self,
        now: Instant,
        from: SocketAddr,
        question: &PendingQuery,
        response: Response,
        out: &mut Vec<DhtEffect>,
    ) {
        self.last_answer = Some(now);
        let node = Node { id: response.id, addr: from };
        let ours = self.families.iter().flatten().any(|family| family.own == node.id);
        if !ours && !self.is_entry(from) {
            self.families[usize::from(from.is_ipv6())].as_mut().into_iter().for_each(|f| f.table.answered(now, node));
        }
        self.update_node_id(now, from.is_ipv6());
        // Local addresses are accepted only from local nodes.
        let near = is_local(from.ip());
        let fits = |addr: &SocketAddr| near || !is_local(addr.ip());
        let nodes: Vec<Node> = response.nodes.into_iter().filter(|node| fits(&node.addr)).collect();
        if let QueryPurpose::Search(number) = question.purpose {
            let values = response.values.into_iter().filter(fits).collect();
            self.found(number, values, out);
            if let Some(search) = self.searches.get_mut(&number) {
                let same = |node: &&Node| node.addr.is_ipv6() == from.is_ipv6();
                search.answered(node, response.token, nodes.iter().filter(same).copied());
            }
        }
        // Ping nodes of the other family, and all nodes while there are few: they may enter the routing table.
        let few = self.nodes() < ENOUGH;
        for node in nodes.into_iter().filter(|node| few || node.addr.is_ipv6() != from.is_ipv6()) {
            self.ping_if_useful(now, node, out);
        }
        self.advance_lookups(now, out);
    }

    /// Returns whether this is a public bootstrap address.
    ///
    /// Those are not stored, to avoid load on them; a local bootstrap address is treated like any other node.
    fn is_entry(&self, addr: SocketAddr) -> bool {
        !is_local(addr.ip()) && self.entries.contains(&addr)
    }

    /// Pings a node from a response or a query if it could enter the routing table.
    fn ping_if_useful(&mut self, now: Instant, node: Node, out: &mut Vec<DhtEffect>) {
        let asked = self.questions.values().any(|question| question.to == node.addr);
        let wanted = self.family(node.addr).is_some_and(|family| family.table.wants(&node));
        if wanted && !asked && self.pings() < HEARD_OF {
            self.ask(now, node.addr, QueryPurpose::Ping, out);
        }
    }

    /// Derives a new node id from the external IP address (BEP 42) if the present id is invalid for it.
    ///
    /// Waits until `AGREED` hosts agree on the address.
    fn update_node_id(&mut self, now: Instant, six: bool) {
        let Some((ip, voices)) = self.external.agreed(six) else { return };
        let Some(family) = &mut self.families[usize::from(six)] else { return };
        if voices < AGREED || id::fits(family.own, ip) {
            return;
        }
        family.own = id::make(Some(ip), &mut self.rng);
        family.table.move_to(family.own);
        // The nodes near the old id are not near the new one.
        self.refresh_at = now;
    }

    /// Returns the external IP address of each family, by majority vote.
    #[must_use]
    pub fn external(&self) -> Vec<IpAddr> {
        self.external.all()
    }

    // --- timers ----------------------------------------------------------------------------------------

    /// Runs all timers that are due.
    pub fn poll(&mut self, now: Instant, out: &mut Vec<DhtEffect>) {
        self.expire(now, out);
        if self.begin.at.is_some_and(|at| now >= at) {
            self.start_bootstrap(now, out);
        }
        if now >= self.care_at {
            self.care_at = now + CARE;
            self.store.expire(now);
            for six in [0, 1] {
                let stale = self.families[six].as_mut().and_then(|family| family.table.stale(now));
                stale.into_iter().for_each(|node| self.ask(now, node.addr, QueryPurpose::Ping, out));
            }
            if self.nodes() == 0 && self.begin.at.is_none() && !self.is_bootstrapping() {
                (self.begin.at, self.begin.tries) = (Some(now), 0);
            }
        }
        if now >= self.refresh_at {
            self.refresh_at = now + REFRESH;
            self.refresh();
        }
        self.advance_lookups(now, out);
    }

    /// Marks slow queries in their lookups and drops those that timed out.
    fn expire(&mut self, now: Instant, out: &mut Vec<DhtEffect>) {
        let waited = |question: &PendingQuery| now.saturating_duration_since(question.at);
        for question in self.questions.values_mut().filter(|q| !q.slow && waited(q) >= limits::DHT_SLOW) {
            question.slow = true;
            if let QueryPurpose::Search(number) = question.purpose
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
                self.ping_if_useful(now, node, out);
            }
        }
    }

    /// Reports an unanswered query to its lookup.
    fn gave_up(&mut self, question: &PendingQuery) {
        if let QueryPurpose::Search(number) = question.purpose
            && let Some(search) = self.searches.get_mut(&number)
        {
            search.failed(question.to);
        }
    }

    /// Returns when [`Dht::poll`] must be called next, at the latest.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        let wait = |q: &PendingQuery| q.at + if q.slow { limits::DHT_TIMEOUT } else { limits::DHT_SLOW };
        let questions = self.questions.values().map(wait);
        questions.chain(self.begin.at).fold(self.care_at.min(self.refresh_at), Instant::min)
    }
}

#[cfg(test)]
mod tests;
