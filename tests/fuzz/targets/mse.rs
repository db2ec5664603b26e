//! The encrypted handshake: neither side panics at any bytes, and neither takes in without end.

use ttui::wire::message::InfoHash;
use ttui::wire::mse::diffie_hellman::{KEY, PRIVATE, public, secret};
use ttui::wire::mse::{CryptoProvide, HandshakeEntropy, Initiator, PAD, Responder, req2_hash};
use ttui::wire::rc4::Rc4;

const TORRENT: InfoHash = InfoHash([7; 20]);
/// Whatever is longer than any handshake can be.
const MOST: usize = KEY + 2 * PAD + 2 * 20 + 16 + ttui::limits::MSE_PAYLOAD + 2;

fn sha1(parts: &[&[u8]]) -> [u8; 20] {
    use sha1::{Digest, Sha1};
    parts.iter().fold(Sha1::new(), |hash, part| hash.chain_update(part)).finalize().into()
}

/// One input.
pub fn run(bytes: &[u8]) {
    let Some((&[how, cut], bytes)) = bytes.split_first_chunk() else { return };
    let cut = usize::from(cut) + 1;
    let chance = HandshakeEntropy { private: [5; PRIVATE], ..HandshakeEntropy::default() };
    let mine = [6; PRIVATE];
    let secret = secret(&mine, &public(&chance.private)).expect("a good key");
    let find = |asked: &[u8; 20]| (*asked == req2_hash(&TORRENT)).then_some(TORRENT);
    let mut heard = Vec::new();
    // Bit by bit further into the handshake before the bytes come, since no fuzzer finds a hash.
    if how & 1 != 0 {
        heard.extend(public(&mine));
    }
    let called = how & 8 == 0;
    if how & 2 != 0 && called {
        heard.extend(sha1(&[b"req1", &secret]));
        let mask = sha1(&[b"req3", &secret]);
        heard.extend(req2_hash(&TORRENT).iter().zip(mask).map(|(a, b)| a ^ b));
    }
    let mut tail = bytes.to_vec();
    if how & 4 != 0 {
        // The bytes are what the machine sees after it has decrypted them.
        let name: &[u8] = if called { b"keyA" } else { b"keyB" };
        Rc4::new(&sha1(&[name, &secret, &TORRENT.0])).apply(&mut tail);
    }
    heard.extend(tail);
    let mut out = Vec::new();
    let (mut one, mut other) = (
        Responder::new(chance.clone(), CryptoProvide::BOTH),
        Initiator::new(chance, TORRENT, CryptoProvide::BOTH, vec![1; 68]).0,
    );
    let mut taken = 0;
    for part in heard.chunks(cut) {
        taken += part.len();
        let step = if called { one.receive(part, find, &mut out) } else { other.receive(part, &mut out) };
        match step {
            Ok(None) => assert!(taken <= MOST, "it takes in without end"),
            Ok(Some(secured)) => {
                assert!(secured.torrent == TORRENT && secured.early_data.len() <= taken);
                break;
            }
            Err(_) => break,
        }
    }
    assert!(out.len() <= MOST);
}
