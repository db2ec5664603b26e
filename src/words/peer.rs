//! How a peer is connected, what it supports, and the events of its connection.

use crate::swarm::timeline::PeerEvent;
use crate::swarm::view::{Capability, Encryption, PeerTransport};

/// Returns the text of an event; `client` is the client name of the peer.
#[must_use]
pub fn event(event: PeerEvent, client: &str) -> String {
    match event {
        PeerEvent::Dialled => "outgoing connection established".into(),
        PeerEvent::AcceptedIncoming => "incoming connection".into(),
        PeerEvent::Asked => "first request sent".into(),
        PeerEvent::Named => format!("client: {client}"),
        PeerEvent::ChokedUs => "peer choked us".into(),
        PeerEvent::UnchokedUs => "peer unchoked us".into(),
        PeerEvent::Choked => "we choked the peer".into(),
        PeerEvent::Unchoked => "we unchoked the peer".into(),
        PeerEvent::AmInterested => "we are interested".into(),
        PeerEvent::AmNotInterested => "we are not interested".into(),
        PeerEvent::PeerInterested => "peer is interested".into(),
        PeerEvent::PeerNotInterested => "peer is not interested".into(),
        PeerEvent::FirstBlock => "first block received".into(),
        PeerEvent::FirstSent => "first block sent".into(),
        PeerEvent::Snubbed => "snubbed: requested block did not arrive in time".into(),
        PeerEvent::Refuses => "snubbed: peer rejects blocks that it has".into(),
        PeerEvent::Delivers => "no longer snubbed".into(),
        PeerEvent::Failed(piece) => format!("piece {piece} with blocks of this peer failed its hash"),
        PeerEvent::BecameSeed => "peer became a seed".into(),
        PeerEvent::Offered(piece) => format!("piece {piece} offered (super-seeding)"),
        PeerEvent::SuperSeedEnded => "super-seeding ended".into(),
    }
}

/// Returns the transport and the encryption of a connection: `TCP, encrypted (RC4)`.
#[must_use]
pub const fn transport(transport: PeerTransport) -> &'static str {
    match transport {
        PeerTransport::Http => "HTTP",
        PeerTransport::Tcp(Encryption::Rc4) => "TCP, encrypted (RC4)",
        PeerTransport::Tcp(Encryption::Handshake) => "TCP, encrypted handshake",
        PeerTransport::Tcp(Encryption::Plain) => "TCP, not encrypted",
        PeerTransport::Utp(Encryption::Rc4) => "uTP, encrypted (RC4)",
        PeerTransport::Utp(Encryption::Handshake) => "uTP, encrypted handshake",
        PeerTransport::Utp(Encryption::Plain) => "uTP, not encrypted",
    }
}

/// Returns what a peer supports: `fast extension, extension protocol`.
#[must_use]
pub fn capabilities(all: &[Capability]) -> String {
    if all.is_empty() {
        return "plain protocol".into();
    }
    let word = |one: &Capability| match one {
        Capability::HttpRanges => "HTTP ranges".to_owned(),
        Capability::Fast => "fast extension".to_owned(),
        Capability::Extended => "extension protocol".to_owned(),
        Capability::Dht => "DHT".to_owned(),
        Capability::Pex => "peer exchange".to_owned(),
        Capability::Metadata => "exchanges metadata".to_owned(),
        Capability::UploadOnly => "only uploads".to_owned(),
        Capability::ListensOn(port) => format!("listens on port {port}"),
    };
    all.iter().map(word).collect::<Vec<_>>().join(", ")
}
