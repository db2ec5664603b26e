//! Tests of the peer list's flags, sources and transports.

use super::*;
use crate::swarm::torrent::CryptoMethod;
use crate::swarm::view::{Encryption, PeerTransport};

#[test]
fn a_peer_shows_how_it_was_found_and_is_spoken_to() {
    let (mut it, now, _) = torrent_with(1 << 20, |config| config.lan = true);
    let table = [
        (Source::Dht, false, Some(CryptoMethod::Rc4), "EH", PeerTransport::Tcp(Encryption::Rc4)),
        (Source::Pex, false, Some(CryptoMethod::Plaintext), "eX", PeerTransport::Tcp(Encryption::Handshake)),
        (Source::Lan, false, None, "L", PeerTransport::Tcp(Encryption::Plain)),
        (Source::Tracker, false, Some(CryptoMethod::Rc4), "E", PeerTransport::Tcp(Encryption::Rc4)),
        (Source::Incoming, false, Some(CryptoMethod::Rc4), "IE", PeerTransport::Tcp(Encryption::Rc4)),
        (Source::Incoming, false, None, "I", PeerTransport::Tcp(Encryption::Plain)),
        (Source::Incoming, true, None, "IP", PeerTransport::Utp(Encryption::Plain)),
        (Source::Pex, true, Some(CryptoMethod::Rc4), "EPX", PeerTransport::Utp(Encryption::Rc4)),
        (Source::Dht, true, Some(CryptoMethod::Plaintext), "ePH", PeerTransport::Utp(Encryption::Handshake)),
    ];
    for (key, (source, utp, encrypted, flags, transport)) in (1..).zip(table) {
        let addr = SocketAddr::from(([192, 168, 0, key as u8], 6881));
        let outgoing = source != Source::Incoming;
        if outgoing {
            it.peer_list.add(now, addr, source);
        }
        let (peer_id, reserved) = (PeerId([key as u8 + 10; 20]), Reserved::default());
        let hello = PeerInfo { addr, outgoing, utp, peer_id, reserved, encrypted };
        it.handle(now, Input::PeerConnected { peer: PeerKey(key), hello }, &mut Vec::new());
        let look = Input::Command(TorrentCommand::Inspect { peer: Some(PeerKey(key)), piece: None });
        it.handle(now, look, &mut Vec::new());
        let detail = it.view(now, true).detail.unwrap();
        let row = detail.peers.iter().find(|row| row.key == key).unwrap();
        // Leave out `K` and `?` (neither side interested, neither choked), which all of these peers show.
        let letters: String = row.flags.chars().filter(|c| !"DdUuK?".contains(*c)).collect();
        assert_eq!((row.source, letters.as_str()), (source, flags));
        assert_eq!(detail.peer.unwrap().transport, transport, "{source:?}");
    }
}

/// With more interested peers than upload slots, some are unchoked optimistically.
#[test]
fn a_peer_that_is_served_in_turn_says_so() {
    let (mut it, now, _) = torrent_with(1 << 20, |config| config.quota.up = Some(1));
    for key in 1..=9_u8 {
        let addr = SocketAddr::from(([192, 0, 2, key], 6881));
        let hello = PeerInfo {
            addr,
            outgoing: false,
            utp: false,
            peer_id: PeerId([key; 20]),
            reserved: Reserved::default(),
            encrypted: None,
        };
        let peer = PeerKey(key.into());
        it.handle(now, Input::PeerConnected { peer, hello }, &mut Vec::new());
        says(&mut it, now, u64::from(key), vec![Message::Interested], &mut Vec::new());
    }
    it.handle(now + choker::ROUND, Input::Tick, &mut Vec::new());
    let rows = it.view(now + choker::ROUND, true).detail.unwrap().peers;
    let flags: Vec<&str> = rows.iter().map(|row| row.flags.as_str()).collect();
    let served = flags.iter().filter(|flags| flags.contains('U')).count();
    let in_turn = flags.iter().filter(|flags| flags.contains('O')).count();
    assert_eq!((served, in_turn), (4, 1), "{flags:?}");
    assert!(flags.iter().all(|flags| flags.contains('U') || !flags.contains('O')), "{flags:?}");
}
