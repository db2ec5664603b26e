//! Responses of the DHT node to queries of remote nodes (BEP 5).

use std::net::SocketAddr;
use std::time::Instant;

use super::routing_table::K;
use super::{Dht, DhtEffect};
use crate::limits;
use crate::wire::address::is_local;
use crate::wire::krpc::{Body, Node, NodeId, Packet, Query, Response, WantFamilies, error};
use crate::wire::message::InfoHash;

/// Upper bound of the response bytes other than nodes, peers and token.
const FRAME: usize = 100;
/// Encoded size of a token with its key, in bytes.
const TOKEN: usize = 18;
/// Maximum number of peers in a response.
const VALUES: usize = 100;

impl Dht {
    pub(super) fn answer(
        &mut self,
        now: Instant,
        from: Node,
        transaction: Vec<u8>,
        query: &Query,
        asked: usize,
        out: &mut Vec<DhtEffect>,
    ) {
        let Some(family) = self.family(from.addr) else { return };
        let id = family.own;
        // The source address may be spoofed: limit the amplification unless the node is verified.
        let proven = is_local(from.addr.ip()) || family.table.knows(from.addr);
        let most = if proven { limits::DHT_ANSWER } else { limits::DHT_ANSWER.min(asked * limits::DHT_AMPLIFICATION) };
        let room = most.saturating_sub(FRAME);
        let response = match query {
            Query::Ping => Response { id, ..Response::default() },
            Query::FindNode { target, want } => {
                Response { id, nodes: self.near(*target, *want, from.addr, room), ..Response::default() }
            }
            Query::GetPeers { info_hash, want } => self.peers(now, id, *info_hash, *want, from.addr, room),
            Query::AnnouncePeer { info_hash, port, token } => {
                if !self.tokens.good(now, from.addr.ip(), token) {
                    return self.refuse(now, from.addr, transaction, error::PROTOCOL, out);
                }
                let peer = SocketAddr::new(from.addr.ip(), port.unwrap_or(from.addr.port()));
                self.store.keep(now, *info_hash, peer);
                Response { id, ..Response::default() }
            }
            Query::Unknown => return self.refuse(now, from.addr, transaction, error::UNKNOWN, out),
        };
        self.send(now, from.addr, transaction, Body::Response(response), out);
    }

    /// Builds the `get_peers` response: stored peers, closest nodes and the token for `announce_peer`.
    fn peers(
        &mut self,
        now: Instant,
        id: NodeId,
        info_hash: InfoHash,
        want: WantFamilies,
        from: SocketAddr,
        room: usize,
    ) -> Response {
        let room = room.saturating_sub(TOKEN);
        // With peers in the response, nodes get at most half of the space.
        let size = if from.is_ipv6() { 21 } else { 8 };
        let all = self.store.some(now, info_hash, from.is_ipv6(), VALUES, &mut self.rng);
        let nodes = self.near(info_hash.into(), want, from, if all.is_empty() { room } else { room / 2 });
        let used: usize = nodes.iter().map(node_size).sum();
        let mut values = all;
        values.truncate(room.saturating_sub(used + 10) / size);
        let token = Some(self.tokens.give(now, from.ip()));
        Response { id, nodes, values, token }
    }

    /// Returns the closest nodes of the requested families that fit into `room` bytes.
    fn near(&self, target: NodeId, want: WantFamilies, from: SocketAddr, room: usize) -> Vec<Node> {
        let WantFamilies { four, six } = match want {
            WantFamilies { four: false, six: false } => WantFamilies { four: from.is_ipv4(), six: from.is_ipv6() },
            want => want,
        };
        let near = is_local(from.ip());
        let mut nodes = Vec::new();
        for (on, family) in [four, six].into_iter().zip(&self.families) {
            let table = family.as_ref().filter(|_| on).map(|family| &family.table);
            let closest = table.map_or_else(Vec::new, |table| table.closest(target, 2 * K));
            // Local addresses are not sent to global hosts, and no node is sent its own address.
            let fitting = closest.into_iter().filter(|n| n.addr != from && (near || !is_local(n.addr.ip())));
            nodes.extend(fitting.take(K));
        }
        let mut left = room.saturating_sub(24);
        nodes.retain(|node| {
            let fits = left >= node_size(node);
            left = left.saturating_sub(node_size(node));
            fits
        });
        nodes
    }

    pub(super) fn refuse(
        &mut self,
        now: Instant,
        to: SocketAddr,
        transaction: Vec<u8>,
        code: i64,
        out: &mut Vec<DhtEffect>,
    ) {
        if self.guard.may_refuse(now) {
            self.send(now, to, transaction, Body::Error(code), out);
        }
    }

    fn send(&mut self, now: Instant, to: SocketAddr, transaction: Vec<u8>, body: Body, out: &mut Vec<DhtEffect>) {
        let packet = Packet { transaction, ip: Some(to), read_only: false, body }.encode();
        if self.guard.may_answer(now, to, packet.len()) {
            out.push(DhtEffect::Send { to, packet });
        }
    }
}

fn node_size(node: &Node) -> usize {
    if node.addr.is_ipv6() { 38 } else { 26 }
}
