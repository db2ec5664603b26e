//! The encrypted handshake: two machines that hear each other through a wire that cuts as it likes come to the same, and
//! whoever lies is told apart within a bound.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;
use ttui::limits;
use ttui::wire::message::InfoHash;
use ttui::wire::mse::diffie_hellman::{KEY, PRIVATE, public, secret};
use ttui::wire::mse::{
    Ciphers, CryptoMethod, CryptoProvide, Established, HandshakeEntropy, Initiator, MseError, PAD, Responder, req2_hash,
};
use ttui::wire::rc4::Rc4;

const TORRENT: InfoHash = InfoHash([0x5a; 20]);
const OTHER: InfoHash = InfoHash([0xa5; 20]);

fn find(asked: &[u8; 20]) -> Option<InfoHash> {
    [OTHER, TORRENT].into_iter().find(|torrent| req2_hash(torrent) == *asked)
}

fn chance() -> impl Strategy<Value = HandshakeEntropy> {
    let pad = prop::collection::vec(any::<u8>(), 0..=PAD);
    (any::<[u8; PRIVATE]>(), pad, 0..=PAD).prop_filter_map("a private key", |(mut private, pad, inner)| {
        private[0] |= 1;
        Some(HandshakeEntropy { private, pad, inner })
    })
}

fn methods() -> impl Strategy<Value = CryptoProvide> {
    prop_oneof![Just(CryptoProvide::RC4), Just(CryptoProvide::BOTH), Just(CryptoProvide::PLAINTEXT)]
}

/// What two sides come to, encryption being preferred.
fn method(a: CryptoProvide, b: CryptoProvide) -> Option<CryptoMethod> {
    let takes = |side, method| side == CryptoProvide::BOTH || side == method;
    if takes(a, CryptoProvide::RC4) && takes(b, CryptoProvide::RC4) {
        Some(CryptoMethod::Rc4)
    } else {
        (takes(a, CryptoProvide::PLAINTEXT) && takes(b, CryptoProvide::PLAINTEXT)).then_some(CryptoMethod::Plaintext)
    }
}

/// Lets both speak until neither has anything to say; `cuts` says how the bytes are cut on their way.
fn converse(
    (mut caller, first): (Initiator, Vec<u8>),
    mut called: Responder,
    cuts: &[usize],
) -> Result<(Established, Established), MseError> {
    let mut cuts = cuts.iter().copied().cycle();
    let (mut to_called, mut to_caller) = (first, Vec::new());
    let (mut a, mut b) = (None, None);
    while a.is_none() || b.is_none() {
        assert!(!to_called.is_empty() || !to_caller.is_empty(), "both wait for the other");
        for part in parts(&std::mem::take(&mut to_called), &mut cuts) {
            match &mut b {
                None => b = called.receive(&part, find, &mut to_caller)?,
                Some(b) => later(b, &part),
            }
        }
        for part in parts(&std::mem::take(&mut to_caller), &mut cuts) {
            match &mut a {
                None => a = caller.receive(&part, &mut to_called)?,
                Some(a) => later(a, &part),
            }
        }
    }
    Ok((a.unwrap(), b.unwrap()))
}

/// Bytes that come once the handshake is over.
fn later(it: &mut Established, bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    if let Some(ciphers) = &mut it.ciphers {
        ciphers.receive.apply(&mut bytes);
    }
    it.early_data.extend(bytes);
}

fn parts(bytes: &[u8], cuts: &mut impl Iterator<Item = usize>) -> Vec<Vec<u8>> {
    let (mut parts, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        let n = cuts.next().unwrap_or(1).clamp(1, rest.len());
        parts.push(rest[..n].to_vec());
        rest = &rest[n..];
    }
    parts
}

/// Feeds byte by byte until there is an error; how many it took.
fn eaten(noise: &[u8], mut feed: impl FnMut(&[u8], &mut Vec<u8>) -> Result<Option<Established>, MseError>) -> usize {
    let mut out = Vec::new();
    let end = noise.iter().position(|byte| match feed(&[*byte], &mut out) {
        Ok(None) => false,
        Ok(Some(_)) => panic!("noise is no handshake"),
        Err(_) => true,
    });
    end.expect("it ends") + 1
}

fn seal(from: &mut Established, to: &mut Established) {
    let plain = b"whatever follows, in several parts".to_vec();
    let mut bytes = plain.clone();
    match (&mut from.ciphers, &mut to.ciphers) {
        (Some(a), Some(b)) => {
            bytes.chunks_mut(5).for_each(|part| a.send.apply(part));
            assert!(bytes != plain);
            b.receive.apply(&mut bytes);
        }
        (None, None) => {}
        _ => panic!("only one of them encrypts"),
    }
    assert_eq!(bytes, plain);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn both_come_to_the_same_however_the_bytes_are_cut(
        a in chance(),
        b in chance(),
        theirs in methods(),
        ours in methods(),
        payload in prop::collection::vec(any::<u8>(), 0..3000),
        cuts in prop::collection::vec(1..700_usize, 1..8),
    ) {
        let caller = Initiator::new(a, TORRENT, theirs, payload.clone());
        match (converse(caller, Responder::new(b, ours), &cuts), method(theirs, ours)) {
            (Err(MseError::NoMethod { .. }), None) => {}
            (Ok((mut a, mut b)), Some(method)) => {
                prop_assert_eq!((a.torrent, b.torrent), (TORRENT, TORRENT));
                prop_assert_eq!((a.method, b.method), (method, method));
                prop_assert_eq!(&b.early_data, &payload);
                prop_assert!(a.early_data.is_empty());
                seal(&mut a, &mut b);
                seal(&mut b, &mut a);
            }
            (other, method) => panic!("{method:?} and {other:?}"),
        }
    }

    #[test]
    fn noise_is_told_apart_within_a_bound(mut noise in prop::collection::vec(any::<u8>(), 3000), chance in chance()) {
        // A key below the prime and above 1.
        noise[0] = noise[0] & 0x7f | 1;
        let mut called = Responder::new(chance.clone(), CryptoProvide::BOTH);
        prop_assert_eq!(eaten(&noise, |part, out| called.receive(part, find, out)), KEY + PAD + 20);
        let (mut caller, _) = Initiator::new(chance, TORRENT, CryptoProvide::BOTH, Vec::new());
        prop_assert_eq!(eaten(&noise, |part, out| caller.receive(part, out)), KEY + PAD + 8);
    }
}

/// A caller made by hand, that can lie.
struct Liar {
    secret: [u8; KEY],
    ciphers: Ciphers,
    called: Responder,
}

fn sha1(parts: &[&[u8]]) -> [u8; 20] {
    use sha1::{Digest, Sha1};
    parts.iter().fold(Sha1::new(), |hash, part| hash.chain_update(part)).finalize().into()
}

impl Liar {
    fn new(methods: CryptoProvide) -> Liar {
        let mine = [9; PRIVATE];
        let mut out = Vec::new();
        let mut called =
            Responder::new(HandshakeEntropy { private: [7; PRIVATE], ..HandshakeEntropy::default() }, methods);
        assert!(called.receive(&public(&mine), find, &mut out).unwrap().is_none());
        let secret = secret(&mine, &out[..].try_into().expect("a key without padding")).expect("a good key");
        let cipher = |name: &[u8]| Rc4::new(&sha1(&[name, &secret, &TORRENT.0]));
        Liar { secret, ciphers: Ciphers { receive: cipher(b"keyB"), send: cipher(b"keyA") }, called }
    }

    /// The two hashes, for a torrent.
    fn hashes(&self, torrent: &InfoHash) -> Vec<u8> {
        let mask = sha1(&[b"req3", &self.secret]);
        let name = req2_hash(torrent).iter().zip(mask).map(|(a, b)| a ^ b).collect::<Vec<u8>>();
        [&sha1(&[b"req1", &self.secret])[..], &name].concat()
    }

    fn say(&mut self, plain: &[u8], mut secret: Vec<u8>) -> Result<Option<Established>, MseError> {
        self.ciphers.send.apply(&mut secret);
        self.called.receive(&[plain, &secret].concat(), find, &mut Vec::new())
    }
}

/// The encrypted part: zeros, methods, a padding's length and as much of it, a payload's length.
fn offer(zeros: [u8; 8], methods: u32, pad: u16, payload: u16) -> Vec<u8> {
    let mut out = [&zeros[..], &methods.to_be_bytes(), &pad.to_be_bytes()].concat();
    out.resize(out.len() + usize::from(pad), 0);
    out.extend(payload.to_be_bytes());
    out
}

#[test]
fn a_caller_that_lies_is_sent_away() {
    let told = |torrent, secret| {
        let mut liar = Liar::new(CryptoProvide::BOTH);
        let hashes = liar.hashes(&torrent);
        liar.say(&hashes, secret).map(|it| it.is_some())
    };
    let good = [0; 8];
    assert_eq!(told(TORRENT, offer(good, 3, 0, 0)), Ok(true));
    assert_eq!(told(TORRENT, offer(good, 0xffff_ffff, 512, 0)), Ok(true), "bits of the future");
    assert_eq!(told(InfoHash([1; 20]), offer(good, 3, 0, 0)), Err(MseError::UnknownTorrent));
    assert_eq!(told(OTHER, offer(good, 3, 0, 0)), Err(MseError::WrongKey), "keys of another torrent");
    assert_eq!(told(TORRENT, offer([0, 0, 0, 0, 0, 0, 0, 1], 3, 0, 0)), Err(MseError::WrongKey));
    assert_eq!(told(TORRENT, offer(good, 0, 0, 0)), Err(MseError::NoMethod { got: 0 }));
    assert_eq!(told(TORRENT, offer(good, 4, 0, 0)), Err(MseError::NoMethod { got: 4 }));
    assert_eq!(told(TORRENT, offer(good, 3, 513, 0)), Err(MseError::TooLong { got: 513, max: PAD }));
    let most = limits::MSE_PAYLOAD;
    let long = most as u16 + 1;
    assert_eq!(told(TORRENT, offer(good, 3, 0, long)), Err(MseError::TooLong { got: most + 1, max: most }));
    // It announces more than it sends: whoever holds the clock waits no longer than for any handshake.
    assert_eq!(told(TORRENT, offer(good, 3, 0, 68)), Ok(false));
}

#[test]
fn who_takes_only_encrypted_bytes_refuses_plain_ones() {
    let mut liar = Liar::new(CryptoProvide::RC4);
    let hashes = liar.hashes(&TORRENT);
    assert_eq!(liar.say(&hashes, offer([0; 8], 1, 0, 0)).map(|_| ()), Err(MseError::NoMethod { got: 1 }));
}

#[test]
fn weak_keys_are_refused_by_both_sides() {
    let mut one = [0; KEY];
    one[KEY - 1] = 1;
    for key in [[0; KEY], one, [0xff; KEY]] {
        let chance = HandshakeEntropy { private: [7; PRIVATE], ..HandshakeEntropy::default() };
        let mut out = Vec::new();
        let heard = Responder::new(chance.clone(), CryptoProvide::BOTH).receive(&key, find, &mut out).map(|_| ());
        assert_eq!((heard, out.len()), (Err(MseError::WeakKey), 0), "not a word to a weak key");
        let (mut caller, _) = Initiator::new(chance, TORRENT, CryptoProvide::BOTH, Vec::new());
        assert_eq!(caller.receive(&key, &mut out).map(|_| ()), Err(MseError::WeakKey));
    }
}

#[test]
fn who_answers_in_plain_is_known_at_once() {
    let (mut caller, _) = Initiator::new(HandshakeEntropy::default(), TORRENT, CryptoProvide::BOTH, Vec::new());
    let said = caller.receive(b"\x13BitTorrent protocol", &mut Vec::new()).map(|_| ());
    assert_eq!(said, Err(MseError::Plain));
}

/// The called side as a liar would have it: the caller must not take a method that it did not offer, nor two.
#[test]
fn a_choice_that_was_not_offered_is_refused() {
    for (offered, choice, good) in [
        (CryptoProvide::BOTH, 2, true),
        (CryptoProvide::BOTH, 1, true),
        (CryptoProvide::BOTH, 3, false),
        (CryptoProvide::BOTH, 0, false),
        (CryptoProvide::BOTH, 0x102, false),
        (CryptoProvide::RC4, 1, false),
        (CryptoProvide::RC4, 2, true),
    ] {
        let (mut caller, first) = Initiator::new(
            HandshakeEntropy { private: [3; PRIVATE], ..HandshakeEntropy::default() },
            TORRENT,
            offered,
            Vec::new(),
        );
        let mine = [4; PRIVATE];
        let secret = secret(&mine, &first[..].try_into().unwrap()).unwrap();
        let mut answer = [&[0; 8][..], &u32::to_be_bytes(choice), &[0; 2]].concat();
        Rc4::new(&sha1(&[b"keyB", &secret, &TORRENT.0])).apply(&mut answer);
        let heard = caller.receive(&[&public(&mine)[..], &answer].concat(), &mut Vec::new());
        assert_eq!(heard.is_ok_and(|it| it.is_some()), good, "{offered:?} {choice}");
    }
}
