//! One search: nearer and nearer to a place, asking those who are nearest of those that were told of (BEP 5).

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::table::K;
use crate::limits;
use crate::swarm::address::{is_local, network};
use crate::wire::krpc::{Node, NodeId};

/// Questions under way at once, those that are slow not counted.
const ALPHA: usize = 4;
/// Nodes kept: far more than are ever asked.
const NEAR: usize = 128;

#[derive(Clone, PartialEq, Eq, Debug)]
enum State {
    Fresh,
    Asked,
    /// Asked a while ago: somebody else may be asked beside it.
    Slow,
    /// With what an announce to it must repeat.
    Answered(Option<Vec<u8>>),
    Failed,
}

#[derive(Clone, Debug)]
struct Candidate {
    node: Node,
    state: State,
}

/// A search among the nodes of one family.
#[derive(Debug)]
pub struct Lookup {
    /// What is looked for.
    pub target: NodeId,
    /// Peers are looked for, not nodes.
    pub peers: bool,
    /// Where to begin when nobody is known: addresses whose ids are not.
    entries: Vec<SocketAddr>,
    entries_asked: BTreeSet<SocketAddr>,
    /// By their distance.
    near: BTreeMap<NodeId, Candidate>,
    /// Nodes that answered.
    pub answered: u32,
}

impl Lookup {
    /// A search that begins with these nodes, and with these addresses beside them.
    #[must_use]
    pub fn new(target: NodeId, peers: bool, nodes: Vec<Node>, entries: Vec<SocketAddr>) -> Self {
        let (near, entries_asked) = (BTreeMap::new(), BTreeSet::new());
        let mut it = Lookup { target, peers, entries, entries_asked, near, answered: 0 };
        nodes.into_iter().for_each(|node| it.hear(node));
        it
    }

    /// Somebody told of a node.
    fn hear(&mut self, node: Node) {
        let distance = self.target.distance(node.id);
        if self.near.contains_key(&distance) || !self.admits(node.addr) {
            return;
        }
        self.near.insert(distance, Candidate { node, state: State::Fresh });
        if self.near.len() > NEAR {
            let far = self.near.iter().rev().find(|(_, c)| c.state == State::Fresh).map(|(distance, _)| *distance);
            far.map(|distance| self.near.remove(&distance));
        }
    }

    /// A host is heeded once, a network twice: who has many addresses in one place is not to surround a torrent.
    fn admits(&self, addr: SocketAddr) -> bool {
        let mut all = self.near.values().map(|c| c.node.addr);
        if is_local(addr.ip()) {
            return !all.any(|other| other == addr);
        }
        let (low, high) = network(addr.ip());
        let neighbours: Vec<SocketAddr> = all.filter(|other| low <= *other && *other <= high).collect();
        neighbours.len() < limits::DHT_LOOKUP_NETWORK && neighbours.iter().all(|other| other.ip() != addr.ip())
    }

    /// The next one to ask, if one more may be asked now.
    pub fn next_to_ask(&mut self) -> Option<SocketAddr> {
        let waiting = self.near.values().filter(|c| c.state == State::Asked).count() + self.entries_asked.len();
        if waiting >= ALPHA {
            return None;
        }
        let hopeful = self.near.values_mut().filter(|c| c.state != State::Failed).take(K);
        if let Some(next) = hopeful.into_iter().find(|c| c.state == State::Fresh) {
            next.state = State::Asked;
            return Some(next.node.addr);
        }
        // Nobody near is left to ask: begin where searches begin, as long as that has not led anywhere.
        let entry = if self.answered < K as u32 { self.entries.pop() } else { None };
        self.entries_asked.extend(entry);
        entry
    }

    /// Whether the nearest nodes have all answered and nobody else is to be waited for.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let mut hopeful = self.near.values().filter(|c| c.state != State::Failed).take(K);
        let settled = hopeful.all(|c| matches!(c.state, State::Answered(_)));
        settled && self.entries_asked.is_empty() && (self.entries.is_empty() || self.answered >= K as u32)
    }

    /// A node that was asked at this address has answered, and told of these nodes.
    pub fn answered(&mut self, from: Node, token: Option<Vec<u8>>, nodes: impl IntoIterator<Item = Node>) {
        self.entries_asked.remove(&from.addr);
        self.answered += 1;
        // By its address: it may have another id than we were told.
        let told = self.near.iter().find(|(_, c)| c.node.addr == from.addr).map(|(distance, _)| *distance);
        let told = told.and_then(|distance| self.near.remove(&distance));
        let distance = self.target.distance(from.id);
        if told.is_some() || self.admits(from.addr) {
            self.near.insert(distance, Candidate { node: from, state: State::Answered(token) });
        }
        nodes.into_iter().for_each(|node| self.hear(node));
    }

    /// The node that was asked at this address lets us wait.
    pub fn slow(&mut self, addr: SocketAddr) {
        if let Some(c) = self.near.values_mut().find(|c| c.node.addr == addr && c.state == State::Asked) {
            c.state = State::Slow;
        }
    }

    /// The node that was asked at this address does not answer.
    pub fn failed(&mut self, addr: SocketAddr) {
        self.entries_asked.remove(&addr);
        let asked = |c: &&mut Candidate| c.node.addr == addr && matches!(c.state, State::Asked | State::Slow);
        if let Some(c) = self.near.values_mut().find(asked) {
            c.state = State::Failed;
        }
    }

    /// The nearest nodes that answered and gave a token, with their tokens: to be told of us.
    pub fn to_tell(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        let answered = self.near.values().filter(|c| matches!(c.state, State::Answered(_))).take(K);
        answered.filter_map(|c| match &c.state {
            State::Answered(Some(token)) => Some((c.node.addr, &token[..])),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(place: u8, n: u8) -> Node {
        let mut id = NodeId([place; 20]);
        id.0[19] = n;
        Node { id, addr: SocketAddr::from(([127, 0, place, n], 6881)) }
    }

    #[test]
    fn it_goes_nearer_until_the_nearest_have_answered() {
        let mut it = Lookup::new(NodeId([0; 20]), true, vec![node(64, 1)], Vec::new());
        assert_eq!((it.next_to_ask(), it.next_to_ask(), it.is_over()), (Some(node(64, 1).addr), None, false));
        it.answered(node(64, 1), None, [node(16, 1), node(16, 2)]);
        let asked: BTreeSet<_> = std::iter::from_fn(|| it.next_to_ask()).collect();
        assert_eq!(asked.len(), 2);
        it.failed(node(16, 1).addr);
        it.answered(node(16, 2), Some(b"t".to_vec()), (1..=20).map(|n| node(1, n)));
        let mut told = 0;
        while let Some(addr) = it.next_to_ask() {
            assert!(!it.is_over());
            let [_, _, place, n] = if let std::net::IpAddr::V4(ip) = addr.ip() { ip.octets() } else { [0; 4] };
            it.answered(node(place, n), Some(vec![n]), []);
            told += 1;
        }
        assert!(it.is_over());
        assert_eq!((told, it.answered), (K, K as u32 + 2), "the others are too far away");
        let tell: Vec<_> = it.to_tell().collect();
        assert_eq!((tell.len(), tell[0]), (K, (node(1, 1).addr, &[1][..])));
    }

    #[test]
    fn whoever_lets_it_wait_holds_nothing_up() {
        let mut it = Lookup::new(NodeId([0; 20]), true, (1..=8).map(|n| node(1, n)).collect(), Vec::new());
        let first: Vec<_> = std::iter::from_fn(|| it.next_to_ask()).collect();
        assert_eq!(first.len(), ALPHA);
        first.iter().for_each(|addr| it.slow(*addr));
        assert_eq!(std::iter::from_fn(|| it.next_to_ask()).count(), ALPHA);
        first.iter().for_each(|addr| it.failed(*addr));
        (5..=8).for_each(|n| it.answered(node(1, n), None, []));
        assert!(it.is_over() && it.to_tell().next().is_none());
    }

    #[test]
    fn it_begins_at_addresses_and_ends_when_none_answers() {
        let at = |n| SocketAddr::from(([127, 0, 0, n], 1));
        let mut it = Lookup::new(NodeId([0; 20]), false, Vec::new(), vec![at(1), at(2)]);
        assert_eq!((it.next_to_ask(), it.next_to_ask(), it.next_to_ask()), (Some(at(2)), Some(at(1)), None));
        it.failed(at(2));
        assert!(!it.is_over());
        it.answered(Node { id: NodeId([5; 20]), addr: at(1) }, None, [node(3, 3)]);
        assert_eq!(it.next_to_ask(), Some(node(3, 3).addr));
        it.failed(node(3, 3).addr);
        assert!(it.is_over());
    }

    #[test]
    fn a_crowd_from_one_house_does_not_surround_a_torrent() {
        let honest: Vec<Node> =
            (1..=20).map(|n| Node { addr: SocketAddr::from(([8, n, 1, 1], 1)), ..node(9, n) }).collect();
        let liars = (0..1000_u32).map(|n| {
            let mut id = NodeId([0; 20]);
            id.0[16..].copy_from_slice(&(n + 1).to_be_bytes());
            Node { id, addr: SocketAddr::from(([6, 6, 6, (n % 250) as u8], (n + 1) as u16)) }
        });
        let mut it = Lookup::new(NodeId([0; 20]), true, honest, Vec::new());
        let first = it.next_to_ask().unwrap();
        let from = it.near.values().find(|c| c.node.addr == first).unwrap().node;
        it.answered(from, Some(vec![1]), liars);
        while let Some(addr) = it.next_to_ask() {
            let from = it.near.values().find(|c| c.node.addr == addr).unwrap().node;
            it.answered(from, Some(vec![1]), []);
        }
        let captured = it.to_tell().filter(|(addr, _)| addr.ip().to_string().starts_with("6.")).count();
        assert_eq!((captured, it.to_tell().count()), (limits::DHT_LOOKUP_NETWORK, K));
    }
}
