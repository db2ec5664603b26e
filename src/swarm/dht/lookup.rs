//! An iterative Kademlia lookup (`find_node`, `get_peers`; BEP 5) in one address family.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::routing_table::K;
use crate::limits;
use crate::wire::address::{is_local, network};
use crate::wire::krpc::{Node, NodeId};

/// Maximum number of pending queries of a lookup, slow ones not counted.
const ALPHA: usize = 4;
/// Maximum number of candidates kept; far more than are ever queried.
const NEAR: usize = 128;

#[derive(Clone, PartialEq, Eq, Debug)]
enum State {
    Fresh,
    Asked,
    /// Queried a while ago without an answer: another node may be queried in addition.
    Slow,
    /// With the token for `announce_peer`, if the node sent one.
    Answered(Option<Vec<u8>>),
    Failed,
}

#[derive(Clone, Debug)]
struct Candidate {
    node: Node,
    state: State,
}

/// A lookup among the nodes of one address family.
#[derive(Debug)]
pub(crate) struct Lookup {
    pub target: NodeId,
    /// True for `get_peers`, false for `find_node`.
    pub peers: bool,
    /// Bootstrap addresses (node ids unknown) for when no candidate is left.
    entries: Vec<SocketAddr>,
    entries_asked: BTreeSet<SocketAddr>,
    /// Candidates by their distance to the target.
    near: BTreeMap<NodeId, Candidate>,
    /// Number of answers.
    pub answered: u32,
}

impl Lookup {
    /// Creates a lookup that starts from these nodes and falls back to the bootstrap addresses.
    #[must_use]
    pub(crate) fn new(target: NodeId, peers: bool, nodes: Vec<Node>, entries: Vec<SocketAddr>) -> Self {
        let (near, entries_asked) = (BTreeMap::new(), BTreeSet::new());
        let mut it = Lookup { target, peers, entries, entries_asked, near, answered: 0 };
        nodes.into_iter().for_each(|node| it.add_candidate(node));
        it
    }

    /// Adds a candidate; if there are too many, drops the farthest one that was not queried.
    fn add_candidate(&mut self, node: Node) {
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

    /// Returns whether a candidate is admitted: one per host, a few per subnet.
    ///
    /// Hampers Sybil attacks on a torrent.
    fn admits(&self, addr: SocketAddr) -> bool {
        let mut all = self.near.values().map(|c| c.node.addr);
        if is_local(addr.ip()) {
            return !all.any(|other| other == addr);
        }
        let (low, high) = network(addr.ip());
        let neighbours: Vec<SocketAddr> = all.filter(|other| low <= *other && *other <= high).collect();
        neighbours.len() < limits::DHT_LOOKUP_NETWORK && neighbours.iter().all(|other| other.ip() != addr.ip())
    }

    /// Returns the next address to query and marks it queried, or `None` if enough queries are pending.
    pub(crate) fn next_to_ask(&mut self) -> Option<SocketAddr> {
        let waiting = self.near.values().filter(|c| c.state == State::Asked).count() + self.entries_asked.len();
        if waiting >= ALPHA {
            return None;
        }
        let hopeful = self.near.values_mut().filter(|c| c.state != State::Failed).take(K);
        if let Some(next) = hopeful.into_iter().find(|c| c.state == State::Fresh) {
            next.state = State::Asked;
            return Some(next.node.addr);
        }
        // No near candidate is left to query: use a bootstrap address until K nodes have answered.
        let entry = if self.answered < K as u32 { self.entries.pop() } else { None };
        self.entries_asked.extend(entry);
        entry
    }

    /// Returns whether the K closest live candidates have all answered and no query is pending.
    #[must_use]
    pub(crate) fn is_over(&self) -> bool {
        let mut hopeful = self.near.values().filter(|c| c.state != State::Failed).take(K);
        let settled = hopeful.all(|c| matches!(c.state, State::Answered(_)));
        settled && self.entries_asked.is_empty() && (self.entries.is_empty() || self.answered >= K as u32)
    }

    /// Records the answer of a node, its token and the nodes it returned.
    pub(crate) fn answered(&mut self, from: Node, token: Option<Vec<u8>>, nodes: impl IntoIterator<Item = Node>) {
        self.entries_asked.remove(&from.addr);
        self.answered += 1;
        // Matched by address: the node id may differ from the one in the earlier response.
        let told = self.near.iter().find(|(_, c)| c.node.addr == from.addr).map(|(distance, _)| *distance);
        let told = told.and_then(|distance| self.near.remove(&distance));
        let distance = self.target.distance(from.id);
        if told.is_some() || self.admits(from.addr) {
            self.near.insert(distance, Candidate { node: from, state: State::Answered(token) });
        }
        nodes.into_iter().for_each(|node| self.add_candidate(node));
    }

    /// Marks the pending query to this address as slow.
    pub(crate) fn slow(&mut self, addr: SocketAddr) {
        if let Some(c) = self.near.values_mut().find(|c| c.node.addr == addr && c.state == State::Asked) {
            c.state = State::Slow;
        }
    }

    /// Marks the pending query to this address as failed.
    pub(crate) fn failed(&mut self, addr: SocketAddr) {
        self.entries_asked.remove(&addr);
        let asked = |c: &&mut Candidate| c.node.addr == addr && matches!(c.state, State::Asked | State::Slow);
        if let Some(c) = self.near.values_mut().find(asked) {
            c.state = State::Failed;
        }
    }

    /// Iterates over the closest answered nodes that gave a token: the targets of `announce_peer`.
    pub(crate) fn announce_targets(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
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
        let tell: Vec<_> = it.announce_targets().collect();
        assert_eq!((tell.len(), tell[0]), (K, (node(1, 1).addr, &[1][..])));
    }

    #[test]
    fn slow_nodes_do_not_stall_a_lookup() {
        let mut it = Lookup::new(NodeId([0; 20]), true, (1..=8).map(|n| node(1, n)).collect(), Vec::new());
        let first: Vec<_> = std::iter::from_fn(|| it.next_to_ask()).collect();
        assert_eq!(first.len(), ALPHA);
        first.iter().for_each(|addr| it.slow(*addr));
        assert_eq!(std::iter::from_fn(|| it.next_to_ask()).count(), ALPHA);
        first.iter().for_each(|addr| it.failed(*addr));
        (5..=8).for_each(|n| it.answered(node(1, n), None, []));
        assert!(it.is_over() && it.announce_targets().next().is_none());
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
    fn sybil_nodes_of_one_subnet_do_not_capture_a_lookup() {
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
        let captured = it.announce_targets().filter(|(addr, _)| addr.ip().to_string().starts_with("6.")).count();
        assert_eq!((captured, it.announce_targets().count()), (limits::DHT_LOOKUP_NETWORK, K));
    }
}
