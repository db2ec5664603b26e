//! The Kademlia routing table of one address family (BEP 5): dense near our node id, sparse far away.
//!
//! Only nodes that answered one of our queries are stored, so spoofed packets cannot fill the table. One node per host
//! and a few per subnet, against Sybil attacks; local addresses are exempt.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::id::fits;
use crate::limits;
use crate::wire::address::{is_local, network};
use crate::wire::krpc::{Node, NodeId};

/// Bucket size (BEP 5).
pub(crate) const K: usize = 8;
/// Sizes of the farthest buckets: lookups start there, and larger buckets save lookup steps.
const FAR: [usize; 4] = [64, 48, 32, 16];
/// Consecutive unanswered queries after which a node is removed.
const FAILS: u32 = 2;
/// A node silent for this long is pinged.
const STALE: Duration = Duration::from_secs(10 * 60);
/// Size of the replacement cache of a full bucket.
const SPARE: usize = 8;

#[derive(Clone, Debug)]
struct Entry {
    node: Node,
    /// Time of the last response.
    seen: Instant,
    /// Time of the last ping by `stale`.
    asked: Option<Instant>,
    fails: u32,
}

#[derive(Clone, Debug, Default)]
struct Bucket {
    entries: Vec<Entry>,
    /// Replacement cache, newest last.
    replacements: Vec<Node>,
}

/// A routing table around our own node id.
#[derive(Debug)]
pub(crate) struct RoutingTable {
    own: NodeId,
    /// Indexed by the number of leading bits that a node id shares with ours.
    buckets: Vec<Bucket>,
}

impl RoutingTable {
    /// Creates an empty table.
    #[must_use]
    pub(crate) fn new(own: NodeId) -> Self {
        RoutingTable { own, buckets: vec![Bucket::default(); 160] }
    }

    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.buckets.iter().map(|bucket| bucket.entries.len()).sum()
    }

    /// Returns all nodes, those without failures and with the most recent response first.
    #[must_use]
    pub(crate) fn freshest(&self) -> Vec<Node> {
        let mut all: Vec<&Entry> = self.entries().collect();
        all.sort_by_key(|entry| (entry.fails, std::cmp::Reverse(entry.seen)));
        all.into_iter().map(|entry| entry.node).collect()
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.buckets.iter().flat_map(|bucket| &bucket.entries)
    }

    /// Returns up to `most` nodes closest to the target, closest first.
    #[must_use]
    pub(crate) fn closest(&self, target: NodeId, most: usize) -> Vec<Node> {
        let mut all: Vec<Node> = self.entries().map(|entry| entry.node).collect();
        all.sort_by_key(|node| node.id.distance(target));
        all.truncate(most);
        all
    }

    /// Returns whether the table contains a node with this address.
    #[must_use]
    pub(crate) fn knows(&self, addr: SocketAddr) -> bool {
        self.entries().any(|entry| entry.node.addr == addr)
    }

    /// Returns whether an unverified node could enter the table, so that a ping is worthwhile.
    #[must_use]
    pub(crate) fn wants(&self, node: &Node) -> bool {
        let Some(at) = self.place(node.id) else { return false };
        let bucket = &self.buckets[at];
        let room = bucket.entries.len() < capacity(at) || bucket.entries.iter().any(|entry| entry.fails > 0);
        room && !self.knows(node.addr) && self.admits(node.addr.ip())
    }

    fn place(&self, id: NodeId) -> Option<usize> {
        let bits = self.own.common_bits(id);
        (bits < self.buckets.len()).then_some(bits)
    }

    /// Returns whether the host and subnet limits allow another node at this IP address.
    fn admits(&self, ip: IpAddr) -> bool {
        if is_local(ip) {
            return true;
        }
        let (low, high) = network(ip);
        let near = |entry: &&Entry| low <= entry.node.addr && entry.node.addr <= high;
        let mut neighbours = 0;
        for entry in self.entries().filter(near) {
            neighbours += 1;
            if entry.node.addr.ip() == ip {
                return false;
            }
        }
        neighbours < limits::DHT_NODES_NETWORK
    }

    /// Records a response: refreshes the node, or adds it to its bucket or replacement cache.
    pub(crate) fn answered(&mut self, now: Instant, node: Node) {
        let Some(at) = self.place(node.id) else { return };
        if let Some(entry) = self.buckets[at].entries.iter_mut().find(|entry| entry.node == node) {
            (entry.seen, entry.fails, entry.asked) = (now, 0, None);
            return;
        }
        // An address has one node id at a time: a new id replaces the old entry.
        self.buckets.iter_mut().for_each(|bucket| bucket.entries.retain(|entry| entry.node.addr != node.addr));
        if !self.admits(node.addr.ip()) {
            return;
        }
        let bucket = &mut self.buckets[at];
        bucket.replacements.retain(|spare| spare.addr != node.addr);
        let entry = Entry { node, seen: now, asked: None, fails: 0 };
        if bucket.entries.len() < capacity(at) {
            return bucket.entries.push(entry);
        }
        // Full: replaces a failing node first, then one whose id violates BEP 42.
        let proper = |node: &Node| fits(node.id, node.addr.ip());
        let worst = bucket.entries.iter_mut().max_by_key(|entry| (entry.fails, !proper(&entry.node)));
        match worst {
            Some(worst) if worst.fails > 0 || (proper(&node) && !proper(&worst.node)) => *worst = entry,
            _ => {
                bucket.replacements.push(node);
                if bucket.replacements.len() > SPARE {
                    bucket.replacements.remove(0);
                }
            }
        }
    }

    /// Records an unanswered query. Returns the replacement to ping if the node was removed.
    pub(crate) fn failed(&mut self, addr: SocketAddr) -> Option<Node> {
        for bucket in &mut self.buckets {
            if let Some(at) = bucket.entries.iter().position(|entry| entry.node.addr == addr) {
                bucket.entries[at].fails += 1;
                if bucket.entries[at].fails >= FAILS {
                    bucket.entries.swap_remove(at);
                    return bucket.replacements.pop();
                }
                return None;
            }
        }
        None
    }

    /// Returns the node silent for the longest time, at least `STALE`, and marks it as pinged.
    pub(crate) fn stale(&mut self, now: Instant) -> Option<Node> {
        let recent = |at: Instant| now.saturating_duration_since(at) < STALE;
        // A pending ping gets time to be answered; an unanswered one is repeated soon.
        let waits = |entry: &Entry| entry.asked.is_some_and(|at| now.saturating_duration_since(at) < STALE / 20);
        let all = self.buckets.iter_mut().flat_map(|bucket| &mut bucket.entries);
        let entry = all.filter(|entry| !recent(entry.seen) && !waits(entry)).min_by_key(|entry| entry.seen)?;
        entry.asked = Some(now);
        Some(entry.node)
    }

    /// Changes the own node id and sorts the nodes into the new buckets.
    pub(crate) fn move_to(&mut self, own: NodeId) {
        let old = std::mem::replace(self, RoutingTable::new(own));
        let mut entries: Vec<Entry> = old.buckets.into_iter().flat_map(|bucket| bucket.entries).collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.seen));
        for entry in entries {
            self.answered(entry.seen, entry.node);
        }
    }
}

/// Returns the bucket size for nodes with this many leading bits in common.
fn capacity(bits: usize) -> usize {
    FAR.get(bits).copied().unwrap_or(K)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(rng: &mut fastrand::Rng, addr: SocketAddr) -> Node {
        Node { id: super::super::id::make(None, rng), addr }
    }

    fn world(n: u32) -> SocketAddr {
        SocketAddr::from(((0x0800_0000 + (n << 8)).to_be_bytes(), 6881))
    }

    #[test]
    fn far_nodes_are_few_and_the_nearest_are_found() {
        let (now, mut rng) = (Instant::now(), fastrand::Rng::with_seed(1));
        let mut table = RoutingTable::new(NodeId([0; 20]));
        let nodes: Vec<Node> = (0..5000).map(|n| node(&mut rng, world(n))).collect();
        nodes.iter().for_each(|node| table.answered(now, *node));
        assert!((150..300).contains(&table.len()), "{}", table.len());
        let mut near = nodes.clone();
        near.sort_by_key(|node| node.id);
        let own = table.closest(NodeId([0; 20]), K);
        assert_eq!(own, near[..K], "of those next to ourselves nobody is left out");
        let moved = table.len();
        table.move_to(NodeId([0xff; 20]));
        assert!(table.len() > moved / 3 && table.closest(NodeId([0xff; 20]), 1).len() == 1);
    }

    #[test]
    fn one_house_gets_few_places() {
        let (now, mut rng) = (Instant::now(), fastrand::Rng::with_seed(2));
        let mut table = RoutingTable::new(NodeId([0; 20]));
        for n in 0..1000_u16 {
            let addr = SocketAddr::from(([9, 9, 9, (n % 250) as u8], n + 1));
            table.answered(now, node(&mut rng, addr));
        }
        assert_eq!(table.len(), limits::DHT_NODES_NETWORK);
        for port in 1..50 {
            table.answered(now, node(&mut rng, SocketAddr::from(([8, 8, 8, 8], port))));
        }
        assert_eq!(table.len(), limits::DHT_NODES_NETWORK + 1);
        let near = (1..=30).map(|n| node(&mut rng, SocketAddr::from(([127, 0, 0, n], 6881))));
        near.for_each(|node| table.answered(now, node));
        assert_eq!(table.len(), limits::DHT_NODES_NETWORK + 31, "in local networks there is no such limit");
    }

    #[test]
    fn who_does_not_answer_makes_room() {
        let (now, mut rng) = (Instant::now(), fastrand::Rng::with_seed(3));
        let mut table = RoutingTable::new(NodeId([0; 20]));
        // All in the farthest bucket.
        let mut far = |n: u32| {
            let mut node = node(&mut rng, world(n));
            node.id.0[0] |= 0x80;
            node
        };
        let nodes: Vec<Node> = (0..64).map(&mut far).collect();
        nodes.iter().for_each(|node| table.answered(now, *node));
        let next = far(99);
        assert!(!table.wants(&next) && table.len() == 64);
        table.answered(now, next);
        assert!(!table.knows(next.addr));
        assert_eq!(table.failed(nodes[0].addr), None);
        assert!(table.wants(&far(100)));
        assert_eq!(table.failed(nodes[0].addr), Some(next), "the one that was waiting");
        assert_eq!((table.len(), table.stale(now)), (63, None));
        table.answered(now + Duration::from_secs(500), nodes[1]);
        let later = now + Duration::from_secs(700);
        let asked: Vec<Node> = std::iter::from_fn(|| table.stale(later)).collect();
        assert!(asked.len() == 62 && !asked.contains(&nodes[1]), "each once, and not who was heard of");
        // A node id valid under BEP 42 replaces one that is not.
        table.answered(later, far(101));
        let mut proper = nodes[5];
        proper.addr = world(777);
        proper.id = loop {
            let id = super::super::id::make(Some(proper.addr.ip()), &mut rng);
            if id.0[0] & 0x80 != 0 {
                break id;
            }
        };
        table.answered(later, proper);
        assert!(table.knows(proper.addr) && table.len() == 64);
    }
}
