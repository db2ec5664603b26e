//! KRPC, the message format of the DHT (BEP 5), with IPv6 (BEP 32), read-only nodes (BEP 43) and the `ip` field that
//! reports our external address (BEP 42).

use std::net::SocketAddr;

use thiserror::Error;

use crate::limits;
use crate::wire::bencode::{BencodeError, OwnedValue, Value};
use crate::wire::message::InfoHash;
use crate::wire::tracker::{can_be_peer, encode_compact};

/// Id of a DHT node: a point in the 160-bit key space that nodes share with info-hashes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NodeId(pub [u8; 20]);

impl NodeId {
    /// Returns the XOR distance of two ids. Distances compare as big-endian integers: smaller is closer.
    #[must_use]
    pub fn distance(self, other: NodeId) -> NodeId {
        let mut out = [0; 20];
        out.iter_mut().zip(self.0.iter().zip(other.0)).for_each(|(out, (a, b))| *out = a ^ b);
        NodeId(out)
    }

    /// Returns the length of the common prefix of two ids in bits, 0 to 160.
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

/// Contact information of a DHT node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Node {
    pub id: NodeId,
    pub addr: SocketAddr,
}

/// The `want` argument: address families of the nodes to return (BEP 32).
///
/// If neither is set, the query asks for nodes of the family over which it was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WantFamilies {
    pub four: bool,
    pub six: bool,
}

/// A KRPC message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet {
    /// Transaction id (`t`), which the response repeats; 1 to [`limits::DHT_TRANSACTION`] bytes.
    pub transaction: Vec<u8>,
    /// The address of the receiver as the sender sees it (`ip`, BEP 42).
    pub ip: Option<SocketAddr>,
    /// The sender is a read-only node: it does not answer queries (`ro`, BEP 43).
    pub read_only: bool,
    pub body: Body,
}

/// The type-specific part of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Body {
    Query {
        /// Id of the querying node.
        id: NodeId,
        query: Query,
    },
    Response(Response),
    /// An error response: its code, 0 if it has none.
    Error(i64),
}

/// A query with its arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Query {
    Ping,
    /// Asks for the nodes closest to `target`.
    FindNode {
        target: NodeId,
        want: WantFamilies,
    },
    /// Asks for peers of a torrent; the response also has the nodes closest to `info_hash`.
    GetPeers {
        info_hash: InfoHash,
        /// Applies to nodes only, not to peers.
        want: WantFamilies,
    },
    /// Announces the querying node as a peer of a torrent.
    AnnouncePeer {
        info_hash: InfoHash,
        /// The peer port; `None` if it is the source port of the query (`implied_port`).
        port: Option<u16>,
        /// The token from the last `get_peers` response of the queried node.
        token: Vec<u8>,
    },
    /// An unknown method without `target` and `info_hash`.
    Unknown,
}

/// The return values of a response.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Response {
    /// Id of the responding node.
    pub id: NodeId,
    /// Nodes of both address families.
    pub nodes: Vec<Node>,
    /// Peers of the requested torrent.
    pub values: Vec<SocketAddr>,
    /// Token to repeat in `announce_peer`; at most [`limits::DHT_TOKEN`] bytes.
    pub token: Option<Vec<u8>>,
}

/// KRPC error codes (BEP 5).
pub mod error {
    /// Protocol Error: a malformed message, invalid arguments or a bad token.
    pub const PROTOCOL: i64 = 203;
    /// Method Unknown.
    pub const UNKNOWN: i64 = 204;
}

/// Error of decoding a KRPC message.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum KrpcError {
    /// Longer than [`limits::DHT_PACKET`].
    #[error("{0} bytes are too many")]
    TooLong(usize),
    /// Invalid bencode.
    #[error(transparent)]
    Damaged(#[from] BencodeError),
    /// The message is not a dictionary, or a required field is missing or malformed.
    #[error("it lacks what a packet must have")]
    MissingField {
        /// Transaction id if the message is a query, so that an error response can be sent.
        question: Option<Vec<u8>>,
    },
}

impl Packet {
    /// Encodes the message as a datagram.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut entries = vec![("t", OwnedValue::from(&self.transaction[..])), ("v", OwnedValue::from(&VERSION[..]))];
        entries.extend(self.ip.map(|addr| ("ip", OwnedValue::from(compact(&addr)))));
        entries.extend(self.read_only.then_some(("ro", OwnedValue::from(1))));
        match &self.body {
            Body::Query { id, query } => {
                let (name, mut arguments) = query.arguments();
                arguments.push(("id", OwnedValue::from(&id.0[..])));
                entries.extend([
                    ("y", OwnedValue::from("q")),
                    ("q", OwnedValue::from(name)),
                    ("a", OwnedValue::dictionary(arguments)),
                ]);
            }
            Body::Response(response) => {
                entries.extend([("y", OwnedValue::from("r")), ("r", OwnedValue::dictionary(response.entries()))]);
            }
            Body::Error(code) => {
                let words = if *code == error::UNKNOWN { "Method Unknown" } else { "Protocol Error" };
                entries.extend([
                    ("y", OwnedValue::from("e")),
                    ("e", OwnedValue::from(vec![OwnedValue::from(*code), OwnedValue::from(words)])),
                ]);
            }
        }
        OwnedValue::dictionary(entries).encode()
    }

    /// Decodes a datagram. Drops nodes and peers whose address cannot belong to a peer.
    ///
    /// # Errors
    /// If the datagram is too long, invalid bencode, or lacks a required field.
    pub fn decode(bytes: &[u8]) -> Result<Self, KrpcError> {
        if bytes.len() > limits::DHT_PACKET {
            return Err(KrpcError::TooLong(bytes.len()));
        }
        let (top, _) = Value::parse_prefix(bytes)?;
        let lacks = || KrpcError::MissingField { question: None };
        let (mut transaction, mut kind, mut ip, mut read_only) = (None, None, None, false);
        let (mut name, mut arguments, mut response, mut refusal) = (None, None, None, None);
        for (key, value) in top.dictionary().ok_or_else(lacks)? {
            match key {
                b"t" => transaction = value.as_bytes(),
                b"y" => kind = value.as_bytes(),
                b"ip" => ip = value.as_bytes().and_then(parse_compact_address),
                b"ro" => read_only = value.as_integer() == Some(1),
                b"q" => name = value.as_bytes(),
                b"a" => arguments = Some(value),
                b"r" => response = Some(value),
                b"e" => refusal = value.list().and_then(|mut list| list.next()?.as_integer()),
                _ => {}
            }
        }
        let fits = |t: &&[u8]| (1..=limits::DHT_TRANSACTION).contains(&t.len());
        let transaction = transaction.filter(fits).ok_or_else(lacks)?.to_vec();
        let body = match kind {
            Some(b"q") => {
                let query = name.zip(arguments).and_then(|(name, arguments)| Query::read(name, arguments));
                let lacks = || KrpcError::MissingField { question: Some(transaction.clone()) };
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

/// Client version (`v`): two letters and two bytes of version number.
const VERSION: [u8; 4] = *b"TU\x01\x00";

impl Query {
    fn arguments(&self) -> (&'static str, Vec<(&'static str, OwnedValue)>) {
        let wants = |want: &WantFamilies| {
            let words = [(want.four, "n4"), (want.six, "n6")].into_iter().filter(|(on, _)| *on);
            let words: Vec<OwnedValue> = words.map(|(_, word)| OwnedValue::from(word)).collect();
            (!words.is_empty()).then_some(("want", OwnedValue::from(words)))
        };
        match self {
            Query::Ping => ("ping", Vec::new()),
            Query::Unknown => ("unknown", Vec::new()),
            Query::FindNode { target, want } => (
                "find_node",
                [Some(("target", OwnedValue::from(&target.0[..]))), wants(want)].into_iter().flatten().collect(),
            ),
            Query::GetPeers { info_hash, want } => {
                let hash = ("info_hash", OwnedValue::from(&info_hash.0[..]));
                ("get_peers", [Some(hash), wants(want)].into_iter().flatten().collect())
            }
            Query::AnnouncePeer { info_hash, port, token } => (
                "announce_peer",
                vec![
                    ("info_hash", OwnedValue::from(&info_hash.0[..])),
                    ("implied_port", OwnedValue::from(i64::from(port.is_none()))),
                    ("port", OwnedValue::from(i64::from(port.unwrap_or(0)))),
                    ("token", OwnedValue::from(&token[..])),
                ],
            ),
        }
    }

    fn read(name: &[u8], arguments: Value<'_>) -> Option<(NodeId, Query)> {
        let (mut id, mut target, mut info_hash, mut want) = (None, None, None, WantFamilies::default());
        let (mut port, mut implied, mut token) = (None, false, None);
        for (key, value) in arguments.dictionary()? {
            match key {
                b"id" => id = parse_id(value),
                b"target" => target = parse_id(value),
                b"info_hash" => info_hash = parse_id(value).map(|place| InfoHash(place.0)),
                b"want" => {
                    for word in value.list().into_iter().flatten().filter_map(|word| word.as_bytes()) {
                        want.four |= word == b"n4";
                        want.six |= word == b"n6";
                    }
                }
                b"port" => port = value.as_integer().and_then(|n| u16::try_from(n).ok()).filter(|port| *port != 0),
                b"implied_port" => implied = value.as_integer().is_some_and(|n| n != 0),
                b"token" => token = value.as_bytes().filter(|t| t.len() <= limits::DHT_TOKEN),
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
            // For forward compatibility, an unknown method with `target` or `info_hash` is treated as `find_node`.
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
    fn entries(&self) -> Vec<(&'static str, OwnedValue)> {
        let mut nodes = [Vec::new(), Vec::new()];
        for node in &self.nodes {
            let list = &mut nodes[usize::from(node.addr.is_ipv6())];
            list.extend_from_slice(&node.id.0);
            encode_compact(&node.addr, list);
        }
        let [four, six] = nodes;
        let mut entries = vec![("id", OwnedValue::from(&self.id.0[..]))];
        entries.extend((!four.is_empty()).then(|| ("nodes", OwnedValue::from(four))));
        entries.extend((!six.is_empty()).then(|| ("nodes6", OwnedValue::from(six))));
        if !self.values.is_empty() {
            let values: Vec<OwnedValue> = self.values.iter().map(|addr| OwnedValue::from(compact(addr))).collect();
            entries.push(("values", OwnedValue::from(values)));
        }
        entries.extend(self.token.as_deref().map(|token| ("token", OwnedValue::from(token))));
        entries
    }

    fn read(value: Value<'_>) -> Option<Response> {
        let mut it = Response::default();
        let mut id = None;
        for (key, value) in value.dictionary()? {
            match key {
                b"id" => id = parse_id(value),
                b"nodes" => it.nodes.extend(nodes::<26>(value)),
                b"nodes6" => it.nodes.extend(nodes::<38>(value)),
                b"values" => {
                    let values = value.list().into_iter().flatten();
                    it.values =
                        values.filter_map(|v| parse_compact_address(v.as_bytes()?)).filter(can_be_peer).collect();
                }
                b"token" => it.token = value.as_bytes().filter(|t| t.len() <= limits::DHT_TOKEN).map(<[u8]>::to_vec),
                _ => {}
            }
        }
        it.id = id?;
        Some(it)
    }
}

/// Parses a node id or info-hash of 20 bytes.
fn parse_id(value: Value<'_>) -> Option<NodeId> {
    value.as_bytes().and_then(|bytes| bytes.try_into().ok()).map(NodeId)
}

/// Parses compact node info of `SIZE` bytes per node; ignores an incomplete entry at the end.
fn nodes<const SIZE: usize>(value: Value<'_>) -> impl Iterator<Item = Node> {
    let chunks = value.as_bytes().unwrap_or_default().as_chunks::<SIZE>().0.iter();
    chunks.filter_map(|chunk| {
        let (id, addr) = chunk.split_at_checked(20)?;
        let addr = parse_compact_address(addr).filter(can_be_peer)?;
        Some(Node { id: NodeId(id.try_into().ok()?), addr })
    })
}

/// Parses a compact address of 6 bytes (IPv4) or 18 bytes (IPv6).
///
/// IPv4-mapped IPv6 addresses become IPv4.
#[must_use]
pub fn parse_compact_address(bytes: &[u8]) -> Option<SocketAddr> {
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
    encode_compact(addr, &mut out);
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
        let want = WantFamilies { four: false, six: true };
        let find = "6:target20:mnopqrstuvwxyz1234564:wantl2:n62:xxe";
        assert_eq!(asked(&query("find_node", find)), Query::FindNode { target: hash.into(), want });
        let get = asked(&query("get_peers", "9:info_hash20:mnopqrstuvwxyz123456"));
        assert_eq!(get, Query::GetPeers { info_hash: hash, want: WantFamilies::default() });
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
            assert_eq!(why, KrpcError::MissingField { question: Some(b"aa".to_vec()) }, "{name} {arguments}");
        }
        let lacks = Err(KrpcError::MissingField { question: None });
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
