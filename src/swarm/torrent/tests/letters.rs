//! How each peer was found and is spoken to, in the letters and words that the screen shows.

use super::*;
use crate::swarm::torrent::Method;

#[test]
fn a_peer_shows_how_it_was_found_and_is_spoken_to() {
    let (mut it, now, _) = torrent_with(1 << 20, |config| config.lan = true);
    let table = [
        (Source::Dht, Some(Method::Rc4), "EH", "TCP, encrypted (RC4)"),
        (Source::Pex, Some(Method::Plaintext), "eX", "TCP, encrypted handshake"),
        (Source::Lan, None, "L", "TCP, not encrypted"),
        (Source::Tracker, Some(Method::Rc4), "E", "TCP, encrypted (RC4)"),
        (Source::Incoming, Some(Method::Rc4), "IE", "TCP, encrypted (RC4)"),
        (Source::Incoming, None, "I", "TCP, not encrypted"),
    ];
    for (key, (source, encrypted, flags, transport)) in (1..).zip(table) {
        let addr = SocketAddr::from(([192, 168, 0, key as u8], 6881));
        let outgoing = source != Source::Incoming;
        if outgoing {
            it.candidates.learn(now, addr, source);
        }
        let (peer_id, reserved) = (PeerId([key as u8 + 10; 20]), Reserved::default());
        let hello = Hello { addr, outgoing, peer_id, reserved, encrypted };
        it.handle(now, Input::Arrived { peer: PeerKey(key), hello }, &mut Vec::new());
        let look = Input::Wish(Wish::Look { peer: Some(PeerKey(key)), piece: None });
        it.handle(now, look, &mut Vec::new());
        let detail = it.view(now, true).detail.unwrap();
        let row = detail.peers.iter().find(|row| row.key == key).unwrap();
        // `K` and `?`: neither wants anything of the other yet, and neither chokes the other.
        let letters: String = row.flags.chars().filter(|c| !"DdUuK?".contains(*c)).collect();
        assert_eq!((row.source, letters.as_str()), (source, flags));
        assert_eq!(detail.peer.unwrap().transport, transport, "{source:?}");
    }
}
