//! Tests of the connector over real sockets: incoming connections and dials, plain and encrypted.

use std::io::{Read, Write};
use std::net::Ipv4Addr;

use std::net::IpAddr;

use super::super::connector_config::TorrentRegistry;
use super::super::inbox::ConnectionLimit;
use super::*;
use crate::engine::inbox::{TorrentInbox, inbox};
use crate::engine::listen::listen;
use crate::swarm::event::DialHint;
use crate::wire::message::PeerId;
use crate::wire::message::Reserved;

const TORRENT: InfoHash = InfoHash([7; 20]);
const US: PeerId = PeerId(*b"-TU0100-abcdefghijkl");
const THEM: PeerId = PeerId(*b"-XX0100-abcdefghijkl");

struct World {
    crew: ThreadGroup,
    connector: Connector,
    inbox: TorrentHandle,
    mail: TorrentInbox,
    addr: SocketAddr,
    seats: ConnectionLimit,
}

fn world(seats: usize) -> World {
    world_with(seats, Encryption::Off)
}

fn world_of(peer_id: PeerId, encryption: Encryption) -> World {
    make(9, peer_id, encryption)
}

fn world_with(seats: usize, encryption: Encryption) -> World {
    make(seats, US, encryption)
}

fn make(seats: usize, peer_id: PeerId, encryption: Encryption) -> World {
    let (crew, routes, seats) = (ThreadGroup::default(), TorrentRegistry::default(), ConnectionLimit::new(seats));
    let host = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let listeners = listen(Some(host), 0, false);
    let addr = SocketAddr::new(host, listeners.listening.port().unwrap());
    let (inbox, mail) = inbox();
    routes.open(TORRENT, inbox.clone());
    let notice = Box::new(|_| ());
    let (seats_given, called) = (seats.clone(), Box::new(|| ()));
    let config = ConnectorConfig {
        peer_id,
        bind: Some(host),
        encryption,
        routes,
        seats: seats_given,
        notice,
        on_reachable: called,
    };
    let connector = Connector::start(&crew, listeners, config).unwrap();
    World { crew, connector, inbox, mail, addr, seats }
}

fn call(addr: SocketAddr) -> DialRequest {
    DialRequest::new(addr, DialHint::default())
}

fn hello(peer_id: PeerId, info_hash: InfoHash) -> [u8; Handshake::LENGTH] {
    Handshake { reserved: Reserved::OURS, info_hash, peer_id }.encode()
}

fn next(mail: &TorrentInbox) -> TorrentMessage {
    mail.recv_deadline(Instant::now() + Duration::from_secs(60)).unwrap().expect("something comes")
}

fn arrival(mail: &TorrentInbox) -> ConnectedPeer {
    match next(mail) {
        TorrentMessage::Connected(arrival) => arrival,
        _ => panic!("not an arrival"),
    }
}

fn failure(mail: &TorrentInbox) -> DisconnectReason {
    match next(mail) {
        TorrentMessage::Input(Input::DialFailed { why, .. }) => why,
        _ => panic!("not a failed dial"),
    }
}

#[test]
fn a_caller_may_shake_hands_byte_by_byte_and_its_messages_stay_for_the_reader() {
    let w = world(9);
    let mut caller = std::net::TcpStream::connect(w.addr).unwrap();
    for byte in hello(THEM, TORRENT) {
        caller.write_all(&[byte]).unwrap();
    }
    caller.write_all(b"\0\0\0\0").unwrap();
    let mut arrival = arrival(&w.mail);
    assert_eq!(arrival.hello.peer_id, THEM);
    assert!(!arrival.hello.outgoing);
    let mut rest = [1; 4];
    arrival.socket.read_exact(&mut rest).unwrap();
    assert_eq!(rest, [0; 4]);
    let mut answer = [0; Handshake::LENGTH];
    caller.read_exact(&mut answer).unwrap();
    assert_eq!(answer, hello(US, TORRENT));
}

#[test]
fn half_handshakes_do_not_keep_a_good_one_out() {
    let w = world(9);
    let slow: Vec<_> = (0..4 * limits::HALF_OPEN_IN)
        .map(|_| {
            let mut caller = std::net::TcpStream::connect(w.addr).unwrap();
            caller.write_all(b"\x13BitTorrent").unwrap();
            caller
        })
        .collect();
    let mut good = std::net::TcpStream::connect(w.addr).unwrap();
    good.write_all(&hello(THEM, TORRENT)).unwrap();
    assert_eq!(arrival(&w.mail).hello.peer_id, THEM);
    drop(slow);
}

#[test]
fn invalid_handshakes_are_closed_without_an_answer() {
    let w = world(9);
    for words in [&b"GET / HTTP/1.1\r\n\r\n"[..], &hello(THEM, InfoHash([8; 20])), &[0x16, 3, 1, 2, 0]] {
        let mut caller = std::net::TcpStream::connect(w.addr).unwrap();
        caller.write_all(words).unwrap();
        let mut heard = Vec::new();
        let _ = caller.read_to_end(&mut heard);
        assert!(heard.is_empty());
    }
}

#[test]
fn a_dial_ends_in_an_arrival_or_says_why_not() {
    let (w, other) = (world(1), world(9));
    let closed = listen(Some(other.addr.ip()), 0, false).listening.port().unwrap();
    let closed = SocketAddr::new(other.addr.ip(), closed);
    w.connector.dial(TORRENT, &w.inbox, vec![call(closed)]);
    assert_eq!(failure(&w.mail), DisconnectReason::Network("connection refused".into()));
    // The peer has our own peer id.
    w.connector.dial(TORRENT, &w.inbox, vec![call(other.addr)]);
    assert_eq!(failure(&w.mail), DisconnectReason::SelfConnection);

    let friend = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let addr = friend.local_addr().unwrap();
    w.connector.dial(TORRENT, &w.inbox, vec![call(addr)]);
    let mut near = friend.accept().unwrap().0;
    near.write_all(&hello(THEM, TORRENT)).unwrap();
    let arrived = arrival(&w.mail);
    assert!(arrived.hello.outgoing && arrived.hello.addr == addr);

    // The connection limit is one, and that permit is taken.
    w.connector.dial(TORRENT, &w.inbox, vec![call(addr)]);
    friend.accept().unwrap().0.write_all(&hello(THEM, TORRENT)).unwrap();
    assert_eq!(failure(&w.mail), DisconnectReason::TooManyConnections);
    drop(arrived);
    assert_eq!(w.seats.taken(), 0);
}

#[test]
fn it_stops_when_told_whatever_hangs() {
    let w = world(9);
    let _half = std::net::TcpStream::connect(w.addr).unwrap();
    w.connector.stop();
    assert!(w.crew.wait(Instant::now() + Duration::from_secs(60)).is_empty());
}

// --- encrypted --------------------------------------------------------------------------------------

use crate::wire::mse::{CryptoMethod, CryptoProvide, Established, HandshakeEntropy, Initiator};

/// Connects with MSE, offering these methods, and sends a handshake followed by `after`.
fn call_encrypted(to: SocketAddr, methods: CryptoProvide, after: &[u8]) -> (std::net::TcpStream, Established) {
    let mut socket = std::net::TcpStream::connect(to).unwrap();
    let chance = HandshakeEntropy { private: [5; 20], pad: vec![1; 300], inner: 20 };
    let ours = [&hello(THEM, TORRENT)[..], after].concat();
    let (mut caller, first) = Initiator::new(chance, TORRENT, methods, ours);
    let mut out = first;
    loop {
        socket.write_all(&std::mem::take(&mut out)).unwrap();
        let mut bytes = [0; 100];
        let n = socket.read(&mut bytes).unwrap();
        assert!(n > 0, "it hung up");
        if let Some(secured) = caller.receive(&bytes[..n], &mut out).unwrap() {
            return (socket, secured);
        }
    }
}

/// Reads the connector's BitTorrent handshake, which follows the MSE handshake.
fn answer(socket: &mut std::net::TcpStream, secured: &mut Established) -> [u8; Handshake::LENGTH] {
    let mut answer = [0; Handshake::LENGTH];
    let early = secured.early_data.len();
    answer[..early].copy_from_slice(&secured.early_data);
    socket.read_exact(&mut answer[early..]).unwrap();
    if let Some(ciphers) = &mut secured.ciphers {
        ciphers.receive.apply(&mut answer[early..]);
    }
    answer
}

#[test]
fn an_encrypted_caller_is_understood_and_what_it_said_early_is_kept() {
    for (methods, method) in
        [(CryptoProvide::BOTH, CryptoMethod::Rc4), (CryptoProvide::PLAINTEXT, CryptoMethod::Plaintext)]
    {
        let w = world_with(9, Encryption::Prefer);
        let (mut socket, mut secured) = call_encrypted(w.addr, methods, b"and more");
        let arrival = arrival(&w.mail);
        assert_eq!((arrival.hello.peer_id, arrival.hello.encrypted), (THEM, Some(method)));
        assert_eq!(arrival.cover.early, b"and more");
        assert_eq!(arrival.cover.ciphers.is_some(), method == CryptoMethod::Rc4);
        assert_eq!(answer(&mut socket, &mut secured), hello(US, TORRENT));
    }
}

#[test]
fn who_requires_encryption_takes_no_plain_caller_and_who_has_it_off_no_encrypted_one() {
    let w = world_with(9, Encryption::Require);
    let mut caller = std::net::TcpStream::connect(w.addr).unwrap();
    caller.write_all(&hello(THEM, TORRENT)).unwrap();
    let mut heard = Vec::new();
    let _ = caller.read_to_end(&mut heard);
    assert!(heard.is_empty());
    let (mut socket, mut secured) = call_encrypted(w.addr, CryptoProvide::BOTH, b"");
    assert_eq!(arrival(&w.mail).hello.encrypted, Some(CryptoMethod::Rc4));
    assert_eq!(answer(&mut socket, &mut secured), hello(US, TORRENT));

    let w = world_with(9, Encryption::Off);
    let mut caller = std::net::TcpStream::connect(w.addr).unwrap();
    caller.write_all(&[0x5a; 120]).unwrap();
    let mut heard = Vec::new();
    let _ = caller.read_to_end(&mut heard);
    assert!(heard.is_empty());
}

#[test]
fn a_plain_caller_over_utp_is_refused_and_its_address_suggested_to_the_torrent() {
    let w = world_with(9, Encryption::Require);
    let from = SocketAddr::from(([127, 0, 3, 3], 4444));
    let accepted = |words: &[u8]| {
        let door = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut caller = std::net::TcpStream::connect(door.local_addr().unwrap()).unwrap();
        (w.connector.utp_events())(UtpEvent::Accepted { socket: door.accept().unwrap().0, addr: from });
        let _ = caller.write_all(words);
        let mut heard = Vec::new();
        let _ = caller.read_to_end(&mut heard);
        assert!(heard.is_empty(), "{heard:?}");
    };
    // Only for a torrent that is here, and one that says which it means.
    accepted(&hello(THEM, InfoHash([8; 20])));
    accepted(b"\x13BitTorrent protocol but not so");
    accepted(&hello(THEM, TORRENT));
    match next(&w.mail) {
        TorrentMessage::Input(Input::PeersFound { source, addrs }) => {
            assert_eq!((source, addrs), (crate::swarm::view::Source::Incoming, vec![from]));
        }
        _ => panic!("not an address"),
    }
    // By TCP it calls from a port where nobody listens.
    let mut caller = std::net::TcpStream::connect(w.addr).unwrap();
    caller.write_all(&hello(THEM, TORRENT)).unwrap();
    let _ = caller.read_to_end(&mut Vec::new());
    assert!(w.mail.recv_deadline(Instant::now()).is_ok_and(|message| message.is_none()));
}

#[test]
fn two_that_prefer_it_encrypt_and_one_that_cannot_is_called_again_plainly() {
    for (ours, theirs, method) in [
        (Encryption::Prefer, Encryption::Prefer, Some(CryptoMethod::Rc4)),
        (Encryption::Require, Encryption::Prefer, Some(CryptoMethod::Rc4)),
        (Encryption::Prefer, Encryption::Require, Some(CryptoMethod::Rc4)),
        (Encryption::Off, Encryption::Prefer, None),
        (Encryption::Prefer, Encryption::Off, None),
    ] {
        let (here, there) = (world_of(US, ours), world_of(THEM, theirs));
        here.connector.dial(TORRENT, &here.inbox, vec![call(there.addr)]);
        let (out, came) = (arrival(&here.mail), arrival(&there.mail));
        assert_eq!((out.hello.encrypted, came.hello.encrypted), (method, method), "{ours:?} calls {theirs:?}");
        assert!(out.hello.outgoing && out.hello.peer_id == THEM && came.hello.peer_id == US);
    }
    for (ours, theirs) in [(Encryption::Require, Encryption::Off), (Encryption::Off, Encryption::Require)] {
        let (here, there) = (world_of(US, ours), world_of(THEM, theirs));
        here.connector.dial(TORRENT, &here.inbox, vec![call(there.addr)]);
        assert!(
            matches!(failure(&here.mail), DisconnectReason::Closed | DisconnectReason::Network(_)),
            "{ours:?} calls {theirs:?}"
        );
    }
}

#[test]
fn dial_hint_selects_encryption_first_and_fallback_second() {
    let (here, there) = (world_of(US, Encryption::Prefer), world_of(THEM, Encryption::Prefer));
    here.connector.dial(
        TORRENT,
        &here.inbox,
        vec![DialRequest::new(there.addr, DialHint { encrypted: Some(false), utp: false })],
    );
    assert_eq!(arrival(&here.mail).hello.encrypted, None);
    let strict = world_of(THEM, Encryption::Require);
    here.connector.dial(
        TORRENT,
        &here.inbox,
        vec![DialRequest::new(strict.addr, DialHint { encrypted: Some(false), utp: false })],
    );
    assert_eq!(arrival(&here.mail).hello.encrypted, Some(CryptoMethod::Rc4));
}

#[test]
fn ourselves_are_known_behind_encryption_too() {
    let (here, there) = (world_of(US, Encryption::Prefer), world_of(US, Encryption::Prefer));
    here.connector.dial(TORRENT, &here.inbox, vec![call(there.addr)]);
    assert_eq!(failure(&here.mail), DisconnectReason::SelfConnection);
}

#[test]
fn stalled_key_exchanges_keep_no_good_caller_out() {
    let w = world_with(9, Encryption::Prefer);
    let stalled: Vec<_> = (0..2 * limits::HALF_OPEN_IN)
        .map(|_| {
            let mut caller = std::net::TcpStream::connect(w.addr).unwrap();
            caller.write_all(&[0x55; 96]).unwrap();
            caller
        })
        .collect();
    let (mut socket, mut secured) = call_encrypted(w.addr, CryptoProvide::BOTH, b"");
    assert_eq!(arrival(&w.mail).hello.peer_id, THEM);
    assert_eq!(answer(&mut socket, &mut secured), hello(US, TORRENT));
    drop(stalled);
}

#[test]
fn a_key_and_then_noise_is_hung_up_on_and_a_worthless_key_is_not_answered() {
    let w = world_with(9, Encryption::Prefer);
    for (words, most) in [(vec![0x55; 3000], 96 + 512), (vec![0; 96], 0), (vec![0xff; 400], 0)] {
        let mut caller = std::net::TcpStream::connect(w.addr).unwrap();
        caller.write_all(&words).unwrap();
        let mut heard = Vec::new();
        // The connection may end with a reset, since not all of the noise is read.
        let _ = caller.read_to_end(&mut heard);
        assert!(heard.len() <= most, "{} bytes", heard.len());
    }
}

#[test]
fn a_caller_that_shakes_hands_after_the_encrypted_handshake_is_answered_after_that_too() {
    for (methods, inner, pad) in
        [(CryptoProvide::RC4, 0, 0), (CryptoProvide::BOTH, 512, 512), (CryptoProvide::PLAINTEXT, 7, 100)]
    {
        let w = world_with(9, Encryption::Prefer);
        let mut socket = std::net::TcpStream::connect(w.addr).unwrap();
        let chance = HandshakeEntropy { private: [5; 20], pad: vec![1; pad], inner };
        let (mut caller, mut out) = Initiator::new(chance, TORRENT, methods, Vec::new());
        let mut secured = loop {
            socket.write_all(&std::mem::take(&mut out)).unwrap();
            let mut bytes = [0; 4096];
            let n = socket.read(&mut bytes).unwrap();
            assert!(n > 0, "it hung up");
            if let Some(secured) = caller.receive(&bytes[..n], &mut out).unwrap() {
                break secured;
            }
        };
        assert!(secured.early_data.is_empty(), "{} bytes came with the answer", secured.early_data.len());
        let mut ours = hello(THEM, TORRENT);
        if let Some(ciphers) = &mut secured.ciphers {
            ciphers.send.apply(&mut ours);
        }
        socket.write_all(&ours).unwrap();
        assert_eq!(answer(&mut socket, &mut secured), hello(US, TORRENT));
        assert_eq!(arrival(&w.mail).hello.peer_id, THEM);
    }
}
