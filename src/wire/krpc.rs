//! KRPC, the language of DHT nodes (BEP 5), with IPv6 (BEP 32), read-only nodes (BEP 43) and the sender's view of our
//! address (BEP 42).

use std::net::SocketAddr;

use thiserror::Error;

use crate::limits;
use crate::wire::bencode::{BencodeError, Item, Value};
use crate::wire::message::InfoHash;
use crate::wire::tracker::{can_be_peer, put_compact};

/// Names a node, and a place in the space in which nodes and torrents are near or far.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NodeId(pub [u8; 20]);

impl NodeId {
    /// How far apart two places are: the fewer leading zeros, the farther.
    #[must_use]
    pub fn distance(self, other: NodeId) -> NodeId {
        let mut out = [0; 20];
        out.iter_mut().zip(self.0.iter().zip(other.0)).for_each(|(out, (a, b))| *out = a ^ b);
        NodeId(out)
    }

    /// The bits from the start in which two places are alike: 0 to 160.
    #[must_use]
    pub fn common_bits(self, other: NodeId) -> usize {
        let distance = self.distance(other);
        let same = distance.0.iter().take_while(|byte| **byte == 0).count();
        same * 8 + distance.0.get(same).map_or(0, |byte| byte.leading_zeros() as usize)
    }
}

impl From<InfoHash> for NodeId {
    fn from(hash: InfoHash) -> Self {
        NodeId(hash.0)
    }
}

impl std::fmt::Debug for NodeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NodeId({})", InfoHash(self.0))
    }
}

/// A node and where it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Node {
    /// Its name.
    pub id: NodeId,
    /// Its address.
    pub addr: SocketAddr,
}

/// Which nodes the asker wants to hear of (BEP 32); of the family that the question came by where it says nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Want {
    /// IPv4.
    pub four: bool,
    /// IPv6.
    pub six: bool,
}

/// One packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet {
    /// What the answer repeats; 1 to [`limits::DHT_TRANSACTION`] bytes.
    pub transaction: Vec<u8>,
    /// Our address as the sender sees it (BEP 42).
    pub ip: Option<SocketAddr>,
    /// The sender answers no questions (BEP 43).
    pub read_only: bool,
    /// What it says.
    pub body: Body,
}

/// What a packet says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Body {
    /// A question.
    Query {
        /// Who asks.
        id: NodeId,
        /// What.
        query: Query,
    },
    /// An answer.
    Response(Response),
    /// A refusal: its number.
    Error(i64),
}

/// A question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Query {
    /// Are you there?
    Ping,
    /// Which nodes do you know near this place?
    FindNode {
        /// The place.
        target: NodeId,
        /// Of which family.
        want: Want,
    },
    /// Which peers do you know of this torrent?
    GetPeers {
        /// The torrent.
        info_hash: InfoHash,
        /// Of which family, as far as nodes are concerned.
        want: Want,
    },
    /// I am a peer of this torrent.
    AnnouncePeer {
        /// The torrent.
        info_hash: InfoHash,
        /// The port that peers reach the asker on; `None` where it is the one that the question came from.
        port: Option<u16>,
        /// What the asked one gave with its last answer to `GetPeers`.
        token: Vec<u8>,
    },
    /// Something else.
    Unknown,
}

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Response {
    /// Who answers.
    pub id: NodeId,
    /// Nodes, of both families.
    pub nodes: Vec<Node>,
    /// Peers.
    pub values: Vec<SocketAddr>,
    /// What an announce to this node must repeat; at most [`limits::DHT_TOKEN`] bytes.
    pub token: Option<Vec<u8>>,
}

/// The numbers of refusals (BEP 5).
pub mod error {
    /// The question is no good: a wrong token, a missing value.
    pub const PROTOCOL: i64 = 203;
    /// There is no such question.
    pub const UNKNOWN: i64 = 204;
}

/// Why bytes are no packet.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum KrpcError {
    /// Longer than any packet need be.
    #[error("{0} bytes are too many")]
    TooLong(usize),
    /// Broken bencode.
    #[error(transparent)]
    Damaged(#[from] BencodeError),
    /// A packet that lacks what it must have; a question can be refused by its transaction.
    #[error("it lacks what a packet must have")]
    Lacks {
        /// The transaction of a question.
        question: Option<Vec<u8>>,
    },
}

impl Packet {
    /// The packet as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut entries = vec![("t", Item::from(&self.transaction[..])), ("v", Item::from(&VERSION[..]))];
        entries.extend(self.ip.map(|addr| ("ip", Item::from(compact(&addr)))));
        entries.extend(self.read_only.then_some(("ro", Item::from(1))));
        match &self.body {
            Body::Query { id, query } => {
                let (name, mut arguments) = query.arguments();
                arguments.push(("id", Item::from(&id.0[..])));
                entries.extend([("y", Item::from("q")), ("q", Item::from(name)), ("a", Item::dictionary(arguments))]);
            }
            Body::Response(response) => {
                entries.extend([("y", Item::from("r")), ("r", Item::dictionary(response.entries()))]);
            }
            Body::Error(code) => {
                let words = if *code == error::UNKNOWN { "Method Unknown" } else { "Protocol Error" };
                entries.extend([("y", Item::from("e")), ("e", Item::from(vec![Item::from(*code), Item::from(words)]))]);
            }
        }
        Item::dictionary(entries).encode()
    }

    /// Reads a packet. Nodes and peers that nobody can be are left out.
    ///
    /// # Errors
    /// When it is too long, no bencode, or lacks what it must have.
    pub fn decode(bytes: &[u8]) -> Result<Self, KrpcError> {
        if bytes.len() > limits::DHT_PACKET {
            return Err(KrpcError::TooLong(bytes.len()));
        }
        let (top, _) = Value::parse_prefix(bytes)?;
        let lacks = || KrpcError::Lacks { question: None };
        let (mut transaction, mut kind, mut ip, mut read_only) = (None, None, None, false);
        let (mut name, mut arguments, mut response, mut refusal) = (None, None, None, None);
        for (key, value) in top.dictionary().ok_or_else(lacks)? {
            match key {
                b"t" => transaction = value.text(),
                b"y" => kind = value.text(),
                b"ip" => ip = value.text().and_then(one_address),
                b"ro" => read_only = value.number() == Some(1),
                b"q" => name = value.text(),
                b"a" => arguments = Some(value),
                b"r" => response = Some(value),
                b"e" => refusal = value.list().and_then(|mut list| list.next()?.number()),
                _ => {}
            }
        }
        let fits = |t: &&[u8]| (1..=limits::DHT_TRANSACTION).contains(&t.len());
        let transaction = transaction.filter(fits).ok_or_else(lacks)?.to_vec();
        let body = match kind {
            Some(b"q") => {
                let query = name.zip(arguments).and_then(|(name, arguments)| Query::read(name, arguments));
                let lacks = || KrpcError::Lacks { question: Some(transaction.clone()) };
                let (id, query) = query.ok_or_else(lacks)?;
                Body::Query { id, query }
            }
            Some(b"r") => Body::Response(response.and_then(Response::read).ok_or_else(lacks)?),
            Some(b"e") => Body::Error(refusal.unwrap_or(0)),
            _ => return Err(lacks()),
        };
        Ok(Packet { transaction, ip, read_only, body })
    }
}

/// What we call ourselves to nodes: two letters and the version.
const VERSION: [u8; 4] = *b"TU\x01\x00";

impl Query {
    fn arguments(&self) -> (&'static str, Vec<(&'static str, Item)>) {
        let wants = |want: &Want| {
            let words = [(want.four, "n4"), (want.six, "n6")].into_iter().filter(|(on, _)| *on);
            let words: Vec<Item> = words.map(|(_, word)| Item::from(word)).collect();
            (!words.is_empty()).then_some(("want", Item::from(words)))
        };
        match self {
            Query::Ping => ("ping", Vec::new()),
            Query::Unknown => ("unknown", Vec::new()),
            Query::FindNode { target, want } => (
                "find_node",
                [Some(("target", Item::from(&target.0[..]))), wants(want)].into_iter().flatten().collect(),
            ),
            Query::GetPeers { info_hash, want } => {
                let hash = ("info_hash", Item::from(&info_hash.0[..]));
                ("get_peers", [Some(hash), wants(want)].into_iter().flatten().collect())
            }
            Query::AnnouncePeer { info_hash, port, token } => (
                "announce_peer",
                vec![
                    ("info_hash", Item::from(&info_hash.0[..])),
                    ("implied_port", Item::from(i64::from(port.is_none()))),
                    ("port", Item::from(i64::from(port.unwrap_or(0)))),
                    ("token", Item::from(&token[..])),
                ],
            ),
        }
    }

    fn read(name: &[u8], arguments: Value<'_>) -> Option<(NodeId, Query)> {
        let (mut id, mut target, mut info_hash, mut want) = (None, None, None, Want::default());
        let (mut port, mut implied, mut token) = (None, false, None);
        for (key, value) in arguments.dictionary()? {
            match key {
                b"id" => id = place(value),
                b"target" => target = place(value),
                b"info_hash" => info_hash = place(value).map(|place| InfoHash(place.0)),
                b"want" => {
                    for word in value.list().into_iter().flatten().filter_map(|word| word.text()) {
                        want.four |= word == b"n4";
                        want.six |= word == b"n6";
                    }
                }
                b"port" => port = value.number().and_then(|n| u16::try_from(n).ok()).filter(|port| *port != 0),
                b"implied_port" => implied = value.number().is_some_and(|n| n != 0),
                b"token" => token = value.text().filter(|t| t.len() <= limits::DHT_TOKEN),
                _ => {}
            }
        }
        let query = match name {
            b"ping" => Query::Ping,
            b"find_node" => Query::FindNode { target: target?, want },
            b"get_peers" => Query::GetPeers { info_hash: info_hash?, want },
            b"announce_peer" => {
                let port = if implied { None } else { Some(port?) };
                Query::AnnouncePeer { info_hash: info_hash?, port, token: token?.to_vec() }
            }
            // A question that we do not know is answered as the one that it is nearest to, by what it asks about.
            _ => match (target, info_hash) {
                (Some(target), _) => Query::FindNode { target, want },
                (None, Some(hash)) => Query::FindNode { target: hash.into(), want },
                (None, None) => Query::Unknown,
            },
        };
        Some((id?, query))
    }
}

impl Response {
    fn entries(&self) -> Vec<(&'static str, Item)> {
        let mut nodes = [Vec::new(), Vec::new()];
        for node in &self.nodes {
            let list = &mut nodes[usize::from(node.addr.is_ipv6())];
            list.extend_from_slice(&node.id.0);
            put_compact(&node.addr, list);
        }
        let [four, six] = nodes;
        let mut entries = vec![("id", Item::from(&self.id.0[..]))];
        entries.extend((!four.is_empty()).then(|| ("nodes", Item::from(four))));
        entries.extend((!six.is_empty()).then(|| ("nodes6", Item::from(six))));
        if !self.values.is_empty() {
            let values: Vec<Item> = self.values.iter().map(|addr| Item::from(compact(addr))).collect();
            entries.push(("values", Item::from(values)));
        }
        entries.extend(self.token.as_deref().map(|token| ("token", Item::from(token))));
        entries
    }

    fn read(value: Value<'_>) -> Option<Response> {
        let mut it = Response::default();
        let mut id = None;
        for (key, value) in value.dictionary()? {
            match key {
                b"id" => id = place(value),
                b"nodes" => it.nodes.extend(nodes::<26>(value)),
                b"nodes6" => it.nodes.extend(nodes::<38>(value)),
                b"values" => {
                    let values = value.list().into_iter().flatten();
                    it.values = values.filter_map(|v| one_address(v.text()?)).filter(can_be_peer).collect();
                }
                b"token" => it.token = value.text().filter(|t| t.len() <= limits::DHT_TOKEN).map(<[u8]>::to_vec),
                _ => {}
            }
        }
        it.id = id?;
        Some(it)
    }
}

/// Twenty bytes.
fn place(value: Value<'_>) -> Option<NodeId> {
    value.text().and_then(|bytes| bytes.try_into().ok()).map(NodeId)
}

/// The nodes of a compact list; a rest too short for a node is passed over.
fn nodes<const SIZE: usize>(value: Value<'_>) -> impl Iterator<Item = Node> {
    let chunks = value.text().unwrap_or_default().as_chunks::<SIZE>().0.iter();
    chunks.filter_map(|chunk| {
        let (id, addr) = chunk.split_at_checked(20)?;
        let addr = one_address(addr).filter(can_be_peer)?;
        Some(Node { id: NodeId(id.try_into().ok()?), addr })
    })
}

/// An address in its compact form: 6 or 18 bytes.
#[must_use]
pub fn one_address(bytes: &[u8]) -> Option<SocketAddr> {
    let (ip, port) = bytes.split_at_checked(bytes.len().checked_sub(2)?)?;
    let port = u16::from_be_bytes(port.try_into().ok()?);
    if let Ok(four) = <[u8; 4]>::try_from(ip) {
        return Some((four, port).into());
    }
    let six = std::net::Ipv6Addr::from(<[u8; 16]>::try_from(ip).ok()?);
    Some(SocketAddr::new(six.to_canonical(), port))
}

fn compact(addr: &SocketAddr) -> Vec<u8> {
    let mut out = Vec::with_capacity(18);
    put_compact(addr, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &[u8; 20] = b"abcdefghij0123456789";

    fn query(name: &str, arguments: &str) -> Vec<u8> {
        format!("d1:ad2:id20:abcdefghij0123456789{arguments}e1:q{}:{name}1:t2:aa1:y1:qe", name.len()).into_bytes()
    }

    fn asked(bytes: &[u8]) -> Query {
        match Packet::decode(bytes).unwrap().body {
            Body::Query { id: NodeId(id), query } if id == *ID => query,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_questions_of_the_standard_are_understood() {
        let hash = InfoHash(*b"mnopqrstuvwxyz123456");
        assert_eq!(asked(&query("ping", "")), Query::Ping);
        let want = Want { four: false, six: true };
        let find = "6:target20:mnopqrstuvwxyz1234564:wantl2:n62:xxe";
        assert_eq!(asked(&query("find_node", find)), Query::FindNode { target: hash.into(), want });
        let get = asked(&query("get_peers", "9:info_hash20:mnopqrstuvwxyz123456"));
        assert_eq!(get, Query::GetPeers { info_hash: hash, want: Want::default() });
        for (implied, port) in [(0, Some(6881)), (1, None)] {
            let text =
                format!("12:implied_porti{implied}e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e5:token8:aoeusnth");
            let token = b"aoeusnth".to_vec();
            assert_eq!(asked(&query("announce_peer", &text)), Query::AnnouncePeer { info_hash: hash, port, token });
        }
        assert_eq!(asked(&query("vote", "")), Query::Unknown);
        assert!(matches!(asked(&query("sample_infohashes", find)), Query::FindNode { .. }));
    }

    #[test]
    fn a_question_without_what_it_needs_can_be_refused() {
        for (name, arguments) in [
            ("find_node", ""),
            ("get_peers", "9:info_hash19:mnopqrstuvwxyz12345"),
            ("announce_peer", "9:info_hash20:mnopqrstuvwxyz1234564:porti0e5:token1:a"),
            ("announce_peer", "9:info_hash20:mnopqrstuvwxyz1234564:porti6881e"),
        ] {
            let why = Packet::decode(&query(name, arguments)).unwrap_err();
            assert_eq!(why, KrpcError::Lacks { question: Some(b"aa".to_vec()) }, "{name} {arguments}");
        }
        let lacks = Err(KrpcError::Lacks { question: None });
        for raw in [
            &b"d1:y1:qe"[..],
            b"d1:t0:1:y1:re",
            b"d1:t60:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1:y1:ee",
            b"d1:rd2:id2:xxe1:t2:aa1:y1:re",
            b"d1:t2:aa1:y1:ze",
            b"le",
            b"i5e",
        ] {
            assert_eq!(Packet::decode(raw), lacks, "{}", String::from_utf8_lossy(raw));
        }
        assert!(matches!(Packet::decode(b"d1:"), Err(KrpcError::Damaged(_))));
        assert!(matches!(Packet::decode(&vec![b'l'; 9000]), Err(KrpcError::TooLong(9000))));
    }

    #[test]
    fn answers_hold_only_what_can_be() {
        let raw = [
            &b"d2:ip6:\x7f\0\0\x09\x1a\xe11:rd2:id20:abcdefghij01234567895:nodes53:"[..],
            ID,
            b"\x0a\0\0\x01\x1a\xe1",
            ID,
            b"\x0a\0\0\x01\0\0x5:token3:tok6:valuesl6:\x0a\0\0\x02\0\x056:\xe0\0\0\x01\0\x054:abcdi7eee2:roi1e1:t1:a1:y1:re",
        ]
        .concat();
        let it = Packet::decode(&raw).unwrap();
        let expected = Response {
            id: NodeId(*ID),
            nodes: vec![Node { id: NodeId(*ID), addr: "10.0.0.1:6881".parse().unwrap() }],
            values: vec!["10.0.0.2:5".parse().unwrap()],
            token: Some(b"tok".to_vec()),
        };
        assert_eq!(it.body, Body::Response(expected));
        assert!(it.read_only && it.ip == Some("127.0.0.9:6881".parse().unwrap()));
        assert_eq!(Packet::decode(b"d1:eli203e5:helloe1:t1:a1:y1:ee").unwrap().body, Body::Error(203));
    }

    #[test]
    fn nearness_is_counted_in_bits() {
        let (a, mut b) = (NodeId([0; 20]), NodeId([0; 20]));
        assert_eq!(a.common_bits(b), 160);
        b.0[2] = 0b0001_0000;
        assert_eq!((a.common_bits(b), a.distance(b)), (19, b));
    }
}
