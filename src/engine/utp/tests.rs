//! The port before a plain UDP socket that behaves as no friend does, and before itself.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};

use super::super::datagrams::{Datagrams, Wishes};
use super::super::greet::{Call, Greeting, Routes};
use super::super::inbox::{Arrival, Inbox, Mail, Post, Seats, inbox};
use super::super::listen::listen;
use super::super::threads::Crew;
use super::*;
use crate::config::Encryption;
use crate::swarm::event::{Input, Manner};
use crate::wire::message::{InfoHash, PeerId};

const TORRENT: InfoHash = InfoHash([7; 20]);

struct Peer {
    crew: Crew,
    greeter: Greeter,
    datagrams: Datagrams,
    inbox: Inbox,
    mail: Mail,
    addr: SocketAddr,
}

/// Somebody who is reached by uTP alone.
fn peer(id: u8) -> Peer {
    let (crew, routes, bind) = (Crew::default(), Routes::default(), Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    let mut listeners = listen(bind, 0);
    listeners.sockets.clear();
    let port = listeners.port.unwrap();
    let (inbox, mail) = inbox();
    routes.open(TORRENT, inbox.clone());
    let greeting = Greeting {
        peer_id: PeerId([id; 20]),
        bind,
        encryption: Encryption::Prefer,
        routes,
        seats: Seats::new(9),
        notice: Box::new(|_| ()),
        called: Box::new(|| ()),
    };
    let greeter = Greeter::start(&crew, listeners, greeting).unwrap();
    let datagrams = Datagrams::start(&crew, Wishes { bind, port, dht: None, utp: Some(greeter.clone()) }).unwrap();
    greeter.speak(datagrams.utp.clone().unwrap());
    Peer { crew, greeter, datagrams, inbox, mail, addr: (Ipv4Addr::LOCALHOST, port).into() }
}

impl Peer {
    fn dial(&self, addr: SocketAddr) {
        self.greeter.dial(TORRENT, &self.inbox, vec![Call::new(addr, Manner::default())]);
    }

    fn next(&self) -> Result<Arrival, Gone> {
        match self.mail.wait(Instant::now() + Duration::from_secs(60)).unwrap().expect("something comes") {
            Post::Arrived(arrival) => Ok(arrival),
            Post::Input(Input::DialFailed { why, .. }) => Err(why),
            _ => panic!("neither an arrival nor a failure"),
        }
    }
}

fn header(kind: Kind, connection: u16) -> Header {
    Header { kind, connection, sent: 1, delay: 0, window: 1 << 20, seq: 5, ack: 0 }
}

#[test]
fn two_meet_by_utp_and_part() {
    let (here, there) = (peer(1), peer(2));
    here.dial(there.addr);
    let (mut out, mut came) = (here.next().unwrap(), there.next().unwrap());
    assert!(out.hello.utp && out.hello.outgoing && came.hello.utp && !came.hello.outgoing);
    assert_eq!(out.hello.addr, there.addr);
    assert_eq!(came.hello.addr, here.addr);
    // Both ends are plain sockets that block; what they say arrives, and so does the end.
    let said = vec![9; 3_000_000];
    let words = said.clone();
    let speaker = std::thread::spawn(move || {
        out.socket.write_all(&words).unwrap();
        drop(out);
    });
    let mut heard = Vec::new();
    came.socket.read_to_end(&mut heard).unwrap();
    speaker.join().unwrap();
    assert!(heard == said);
    drop(came);
    for peer in [here, there] {
        peer.greeter.stop();
        peer.datagrams.stop();
        assert_eq!(peer.crew.wait(Instant::now() + Duration::from_secs(60)), Vec::<String>::new());
    }
}

#[test]
fn where_nobody_is_tcp_has_the_last_word() {
    let here = peer(1);
    let nobody = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    here.dial(nobody.local_addr().unwrap());
    assert_eq!(here.next().err(), Some(Gone::Network("it refused the connection".to_owned())));
}

#[test]
fn callers_without_a_second_word_keep_nobody_out() {
    let (here, there) = (peer(1), peer(2));
    let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    for n in 0..4 * limits::UTP_CALLERS as u16 {
        stranger.send_to(&header(Kind::Syn, n).encode(&[], &[]), there.addr).unwrap();
    }
    here.dial(there.addr);
    assert!(here.next().is_ok() && there.next().is_ok());
}

#[test]
fn each_word_out_of_place_is_answered_by_one_no_longer_than_itself() {
    let there = peer(2);
    let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    stranger.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut buffer = [0; 2000];
    for (kind, said) in [(Kind::Data, &b"words"[..]), (Kind::Fin, b""), (Kind::State, b"")] {
        stranger.send_to(&header(kind, 77).encode(&[], said), there.addr).unwrap();
        let n = stranger.recv(&mut buffer).unwrap();
        let packet = Packet::decode(&buffer[..n]).unwrap();
        assert_eq!((packet.header.kind, packet.header.connection, packet.header.ack), (Kind::Reset, 77, 5));
        assert_eq!(n, crate::wire::utp::HEADER);
    }
    // A refusal is not answered: two who refuse each other would never end. The call behind it is.
    stranger.send_to(&header(Kind::Reset, 77).encode(&[], &[]), there.addr).unwrap();
    stranger.send_to(&header(Kind::Syn, 90).encode(&[], &[]), there.addr).unwrap();
    let n = stranger.recv(&mut buffer).unwrap();
    let answer = Packet::decode(&buffer[..n]).unwrap();
    assert_eq!((answer.header.kind, answer.header.connection, n), (Kind::State, 90, crate::wire::utp::HEADER));
}
