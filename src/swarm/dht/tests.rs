//! Tests of the DHT: simulated networks on virtual time, and single nodes against untrusted packets.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::*;

/// A packet in flight: time of arrival, sequence number, source, destination, bytes.
type Flight = Reverse<(Instant, u64, SocketAddr, SocketAddr, Vec<u8>)>;

struct Net {
    now: Instant,
    rng: fastrand::Rng,
    nodes: BTreeMap<SocketAddr, Dht>,
    flights: BinaryHeap<Flight>,
    sent: u64,
    /// One packet in this many is lost; 0 means no loss.
    loss: u32,
    /// Bootstrap nodes of every node.
    entries: Vec<SocketAddr>,
    /// Peers found and lookup results, by node.
    peers: Vec<(SocketAddr, SocketAddr)>,
    sought: Vec<(SocketAddr, Result<LookupSummary, NoNodes>)>,
}

const HASH: InfoHash = InfoHash([0x5a; 20]);

impl Net {
    fn new(seed: u64, entries: Vec<SocketAddr>) -> Net {
        let (now, rng) = (Instant::now(), fastrand::Rng::with_seed(seed));
        let (nodes, flights, peers, sought) = (BTreeMap::new(), BinaryHeap::new(), Vec::new(), Vec::new());
        Net { now, rng, nodes, flights, sent: 0, loss: 0, entries, peers, sought }
    }

    fn node(&mut self, addr: SocketAddr) {
        let families = [addr.is_ipv4(), addr.is_ipv6()];
        self.add(addr, families, Vec::new());
    }

    fn add(&mut self, addr: SocketAddr, families: [bool; 2], known: Vec<SocketAddr>) {
        let mut secret = [0; 32];
        self.rng.fill(&mut secret);
        let ids = [Some(id::make(Some(addr.ip()), &mut self.rng)); 2];
        let config = DhtConfig { families, ids, known, secret, seed: self.rng.u64(..) };
        let mut dht = Dht::new(self.now, config);
        let mut out = Vec::new();
        dht.poll(self.now, &mut out);
        self.nodes.insert(addr, dht);
        self.perform(addr, out);
    }

    fn with(&mut self, addr: SocketAddr, act: impl FnOnce(&mut Dht, Instant, &mut Vec<DhtEffect>)) {
        let mut out = Vec::new();
        act(self.nodes.get_mut(&addr).unwrap(), self.now, &mut out);
        self.perform(addr, out);
    }

    fn perform(&mut self, addr: SocketAddr, out: Vec<DhtEffect>) {
        for effect in out {
            match effect {
                DhtEffect::Send { to, packet } => {
                    assert!(packet.len() <= limits::DHT_ANSWER + 100 && to != addr);
                    self.sent += 1;
                    if self.loss == 0 || self.rng.u32(0..self.loss) > 0 {
                        let at = self.now + Duration::from_millis(self.rng.u64(5..100));
                        self.flights.push(Reverse((at, self.sent, addr, to, packet)));
                    }
                }
                DhtEffect::Peers(HASH, found) => self.peers.extend(found.into_iter().map(|peer| (addr, peer))),
                DhtEffect::Peers(..) => panic!("nobody looks for anything else"),
                DhtEffect::LookupDone(_, result) => self.sought.push((addr, result)),
                DhtEffect::Resolve => {
                    let entries = self.entries.iter().copied().filter(|entry| *entry != addr).collect();
                    self.with(addr, |dht, now, out| dht.on_resolved(now, entries, out));
                }
            }
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let tick = self.nodes.iter().map(|(addr, dht)| (dht.deadline(), *addr)).min();
            let flight = self.flights.peek().map(|Reverse((at, ..))| *at);
            let next = tick.map(|(at, _)| at).into_iter().chain(flight).min();
            let Some(next) = next.filter(|at| *at <= end) else { break };
            self.now = self.now.max(next);
            if flight == Some(next) {
                let Some(Reverse((_, _, from, to, packet))) = self.flights.pop() else { continue };
                if self.nodes.contains_key(&to) {
                    self.with(to, |dht, now, out| dht.received(now, from, &packet, out));
                }
            } else if let Some((_, addr)) = tick {
                self.with(addr, Dht::poll);
            }
        }
        self.now = end;
    }

    fn seek(&mut self, addr: SocketAddr, announce: Option<u16>) {
        self.with(addr, |dht, now, out| dht.seek(now, HASH, announce, out));
    }
}

fn near(n: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, n], 6881))
}

fn far(n: u32) -> SocketAddr {
    SocketAddr::from(((0x0800_0001 + (n << 8)).to_be_bytes(), 6881))
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn a_small_network_on_one_machine_brings_peers_together() {
    for seed in 0..5 {
        let mut net = Net::new(seed, vec![near(1), near(2)]);
        (1..=30).for_each(|n| net.node(near(n)));
        // The first nodes found no others yet and bootstrap again after a minute.
        net.run(secs(80));
        let counts: Vec<u32> = net.nodes.values().map(|dht| dht.state(net.now).nodes[0]).collect();
        assert!(counts.iter().all(|n| *n >= 8), "seed {seed}: {counts:?}");
        net.seek(near(7), Some(7777));
        net.run(secs(5));
        // A new node finds the torrent as fast as an old one.
        net.node(near(40));
        net.seek(near(40), Some(4444));
        net.run(secs(2));
        let him = SocketAddr::new(near(7).ip(), 7777);
        assert_eq!(net.peers, [(near(40), him)], "seed {seed}");
        let told = net.sought.iter().map(|(_, result)| result.unwrap().announced).collect::<Vec<_>>();
        assert_eq!(told, [8, 8], "seed {seed}");
    }
}

#[test]
fn a_large_network_that_loses_packets_does_too() {
    let mut net = Net::new(1, (0..4).map(far).collect());
    net.loss = 10;
    for n in 0..120 {
        net.node(far(n));
        net.run(Duration::from_millis(200));
    }
    net.run(secs(20));
    // Some of the nodes disappear.
    (100..120).for_each(|n| _ = net.nodes.remove(&far(n)));
    for n in 0..20 {
        net.seek(far(50 + n), Some(1000 + n as u16));
        net.run(Duration::from_millis(500));
    }
    net.run(secs(30));
    net.seek(far(90), None);
    net.run(secs(30));
    let found = net.peers.iter().filter(|(who, _)| *who == far(90)).count();
    assert!(found >= 18, "{found} of 20 found");
    assert_eq!(net.sought.len(), 21);
}

#[test]
fn without_a_first_node_it_says_so_and_tries_again_and_again() {
    let mut net = Net::new(1, vec![near(99)]);
    net.node(near(1));
    net.seek(near(1), None);
    net.run(secs(9));
    assert_eq!(net.sought, [(near(1), Err(NoNodes))]);
    let again = |net: &Net| net.nodes[&near(1)].state(net.now).again.unwrap().as_secs();
    assert!((50..=60).contains(&again(&net)), "{}", again(&net));
    let before = net.sent;
    net.run(secs(3600));
    assert!((4..=8).contains(&(net.sent - before)), "{} packets in an hour", net.sent - before);
    assert!(again(&net) <= 1800);
    // A lookup fails at once instead of waiting for the next attempt.
    net.seek(near(1), None);
    assert_eq!(net.sought.len(), 2);
    // A peer sends a `port` message.
    net.node(near(99));
    net.with(near(1), |dht, now, out| dht.add_node_hint(now, near(99), out));
    net.run(secs(1));
    assert_eq!(net.nodes[&near(1)].state(net.now).nodes, [1, 0]);
    net.seek(near(1), None);
    net.run(secs(1));
    assert_eq!(net.sought.last(), Some(&(near(1), Ok(LookupSummary { nodes: 1, peers: 0, announced: 0 }))));
}

#[test]
fn it_begins_with_the_nodes_of_the_last_session() {
    let mut net = Net::new(1, vec![near(1)]);
    (1..=20).for_each(|n| net.node(near(n)));
    net.run(secs(10));
    let (ids, known) = net.nodes[&near(5)].saved_nodes();
    assert!(ids[0].is_some() && known.len() > 5);
    net.entries = Vec::new();
    net.add(near(50), [true, false], known);
    net.run(secs(2));
    assert!(net.nodes[&near(50)].state(net.now).nodes[0] > 5);
}

#[test]
fn each_family_leads_to_the_other() {
    // One address stands for a program with two sockets: the simulation routes packets by address only.
    let six = |n: u16| SocketAddr::from((std::net::Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, n), 6881));
    let mut net = Net::new(1, vec![six(1)]);
    (1..=20).for_each(|n| net.node(six(n)));
    net.run(secs(10));
    net.seek(six(3), Some(33));
    net.run(secs(3));
    net.seek(six(9), None);
    net.run(secs(3));
    assert_eq!(net.peers, [(six(9), SocketAddr::new(six(3).ip(), 33))]);
    assert!(net.nodes[&six(9)].state(net.now).nodes[1] > 5);
}

// --- a single node against untrusted packets -------------------------------------------------------

fn alone() -> (Dht, Instant) {
    let now = Instant::now();
    let config = DhtConfig { families: [true, true], ids: [None, None], known: Vec::new(), secret: [3; 32], seed: 3 };
    (Dht::new(now, config), now + secs(2))
}

fn ask(dht: &mut Dht, now: Instant, from: SocketAddr, query: Query) -> Vec<Packet> {
    let packet = Packet {
        transaction: b"q".to_vec(),
        ip: None,
        read_only: true,
        body: Body::Query { id: NodeId([9; 20]), query },
    };
    let mut out = Vec::new();
    dht.received(now, from, &packet.encode(), &mut out);
    sent(&out)
}

fn sent(out: &[DhtEffect]) -> Vec<Packet> {
    let packet = |effect: &DhtEffect| match effect {
        DhtEffect::Send { packet, .. } => Some(Packet::decode(packet).unwrap()),
        _ => None,
    };
    out.iter().filter_map(packet).collect()
}

fn response(packets: &[Packet]) -> Response {
    match packets {
        [Packet { body: Body::Response(response), .. }] => response.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_announce_is_kept_for_who_repeats_his_own_token() {
    let (mut dht, now) = alone();
    let get = Query::GetPeers { info_hash: HASH, want: WantFamilies::default() };
    let token = response(&ask(&mut dht, now, far(1), get.clone())).token.unwrap();
    let announce = |token: &[u8], port| Query::AnnouncePeer { info_hash: HASH, port, token: token.to_vec() };
    let refused = |packets: Vec<Packet>| matches!(packets[..], [Packet { body: Body::Error(203), .. }]);
    assert!(refused(ask(&mut dht, now, far(2), announce(&token, Some(5)))), "a token of somebody else");
    assert!(ask(&mut dht, now, far(2), announce(b"made up", Some(5))).is_empty(), "one refusal a second");
    assert_eq!(ask(&mut dht, now, far(1), announce(&token, Some(5))).len(), 1);
    assert_eq!(ask(&mut dht, now, far(1), announce(&token, None)).len(), 1);
    let at = |port| SocketAddr::new(far(1).ip(), port);
    let mut values = response(&ask(&mut dht, now, far(3), get.clone())).values;
    values.sort_unstable();
    assert_eq!(values, [at(5), at(6881)]);
    let later = now + secs(601);
    assert!(refused(ask(&mut dht, later, far(1), announce(&token, Some(6)))), "an old token");
    assert_eq!(response(&ask(&mut dht, later, near(3), get)).values.len(), 2);
}

#[test]
fn a_stranger_gets_little_for_a_short_question() {
    let (mut dht, now) = alone();
    let mut rng = fastrand::Rng::with_seed(1);
    for n in 0..100 {
        let addr = far(n);
        let node = Node { id: id::make(Some(addr.ip()), &mut rng), addr };
        dht.families[0].as_mut().unwrap().table.answered(now, node);
        dht.store.keep(now, HASH, addr);
    }
    let both = WantFamilies { four: true, six: true };
    for query in [
        Query::GetPeers { info_hash: HASH, want: both },
        Query::FindNode { target: HASH.into(), want: both },
        Query::Ping,
    ] {
        let body = Body::Query { id: NodeId([9; 20]), query };
        let packet = Packet { transaction: b"q".to_vec(), ip: None, read_only: true, body }.encode();
        for (from, most) in [(far(900), packet.len() * limits::DHT_AMPLIFICATION), (far(5), limits::DHT_ANSWER)] {
            let mut out = Vec::new();
            dht.received(now + secs(60), from, &packet, &mut out);
            let [DhtEffect::Send { to, packet: answer }] = &out[..] else { panic!("{out:?}") };
            assert!(*to == from && answer.len() <= most, "{} bytes for {}", answer.len(), packet.len());
        }
    }
    let get = Query::GetPeers { info_hash: HASH, want: WantFamilies::default() };
    let known = response(&ask(&mut dht, now + secs(120), far(5), get.clone()));
    assert!(known.values.len() > 50 && known.nodes.len() == 8, "who has shown to be there gets what there is");
    let stranger = response(&ask(&mut dht, now + secs(180), far(950), get));
    assert!(!stranger.values.is_empty() && !stranger.nodes.is_empty());
    assert_eq!(dht.store.len(), (1, 100));
}

#[test]
fn only_an_answer_to_a_question_of_ours_puts_a_node_into_the_table() {
    let (mut dht, now) = alone();
    let mut out = Vec::new();
    dht.add_node_hint(now, far(1), &mut out);
    let [Packet { transaction, .. }] = &sent(&out)[..] else { panic!("{out:?}") };
    let answer = |transaction: &[u8]| {
        let body = Body::Response(Response { id: NodeId([7; 20]), ..Response::default() });
        Packet { transaction: transaction.to_vec(), ip: None, read_only: false, body }.encode()
    };
    for (from, transaction) in [(far(2), &transaction[..]), (far(1), b"zzzz"), (far(1), b"")] {
        dht.received(now, from, &answer(transaction), &mut out);
        assert_eq!(dht.state(now).nodes, [0, 0], "{from}");
    }
    dht.received(now, far(1), &answer(transaction), &mut out);
    assert_eq!(dht.state(now).nodes, [1, 0]);
    dht.received(now, far(1), &answer(transaction), &mut out);
    // A node that queries us is pinged unless it is read-only (BEP 43).
    for (read_only, asked) in [(true, 1), (false, 2)] {
        let body = Body::Query { id: NodeId([0x33; 20]), query: Query::Ping };
        let packet = Packet { transaction: b"q".to_vec(), ip: None, read_only, body }.encode();
        let mut out = Vec::new();
        dht.received(now, far(8), &packet, &mut out);
        assert_eq!(out.len(), asked, "{out:?}");
    }
}

#[test]
fn its_id_follows_the_address_that_many_see() {
    let (mut dht, now) = alone();
    let ours = SocketAddr::from(([5, 6, 7, 8], 6881));
    let mut out = Vec::new();
    (0..10).for_each(|n| dht.add_node_hint(now, far(n), &mut out));
    let asked: Vec<(SocketAddr, Vec<u8>)> = out
        .iter()
        .filter_map(|effect| match effect {
            DhtEffect::Send { to, packet } => Some((*to, Packet::decode(packet).unwrap().transaction)),
            _ => None,
        })
        .collect();
    for (n, (from, transaction)) in asked.into_iter().enumerate() {
        let fits = id::fits(dht.saved_nodes().0[0].unwrap(), ours.ip());
        assert_eq!(fits, n >= AGREED, "{n} voices");
        let body = Body::Response(Response { id: NodeId([n as u8 + 1; 20]), ..Response::default() });
        let packet = Packet { transaction, ip: Some(ours), read_only: false, body };
        dht.received(now, from, &packet.encode(), &mut Vec::new());
    }
    assert_eq!((dht.external(), dht.state(now).nodes), (vec![ours.ip()], [10, 0]));
}

#[test]
fn the_first_search_ends_although_its_id_changes_meanwhile() {
    let (mut dht, now) = alone();
    let (ours, mut rng) = (SocketAddr::from(([5, 6, 7, 8], 6881)), fastrand::Rng::with_seed(1));
    let mut out = Vec::new();
    dht.poll(now, &mut out);
    assert_eq!(out, [DhtEffect::Resolve]);
    let before = dht.saved_nodes().0[0];
    dht.on_resolved(now, (0..9).map(far).collect(), &mut out);
    assert!(dht.state(now).beginning);
    while let Some(effect) = out.pop() {
        let DhtEffect::Send { to, packet } = effect else { continue };
        let transaction = Packet::decode(&packet).unwrap().transaction;
        let body = Body::Response(Response { id: id::make(Some(to.ip()), &mut rng), ..Response::default() });
        let answer = Packet { transaction, ip: Some(ours), read_only: false, body };
        dht.received(now, to, &answer.encode(), &mut out);
    }
    assert_ne!(dht.saved_nodes().0[0], before, "many have told of another address");
    assert!(!dht.state(now).beginning);
}

#[test]
fn whoever_waits_for_a_place_is_asked_when_one_is_free() {
    let (mut dht, now) = alone();
    let own = dht.saved_nodes().0[0].unwrap();
    let mut rng = fastrand::Rng::with_seed(1);
    let table = &mut dht.families[0].as_mut().unwrap().table;
    for n in 0..=64 {
        // All in the farthest bucket, which holds 64 nodes.
        let mut id = id::make(None, &mut rng);
        id.0[0] = !own.0[0];
        table.answered(now, Node { id, addr: far(n) });
    }
    assert!(table.len() == 64 && !table.knows(far(64)));
    assert_eq!(table.failed(far(0)), None);
    let mut out = Vec::new();
    dht.ask(now, far(0), QueryPurpose::Ping, &mut out);
    out.clear();
    dht.poll(now + limits::DHT_TIMEOUT, &mut out);
    let asked = |effect: &DhtEffect| matches!(effect, DhtEffect::Send { to, .. } if *to == far(64));
    assert!(out.iter().any(asked), "{out:?}");
}

#[test]
fn a_flood_of_questions_gets_a_trickle_of_answers() {
    let (mut dht, now) = alone();
    let mut bytes = 0;
    for n in 0..20_000_u32 {
        let at = now + Duration::from_micros(u64::from(n) * 500);
        for packet in
            ask(&mut dht, at, far(n % 5000), Query::FindNode { target: HASH.into(), want: WantFamilies::default() })
        {
            bytes += packet.encode().len();
        }
    }
    assert!(bytes < 120_000, "{bytes} bytes in ten seconds");
    assert!(dht.questions.len() < 100);
}

#[test]
fn what_peers_say_of_nodes_is_followed_to_a_few_at_a_time() {
    let (mut it, now) = alone();
    let mut out = Vec::new();
    for port in 0..1000 {
        it.add_node_hint(now, SocketAddr::from(([9, 9, 9, 9], port)), &mut out);
    }
    assert_eq!(out.len(), 1, "a host at a time, and no port 0");
    for n in 0..10_000_u32 {
        it.add_node_hint(now, SocketAddr::from(((0x0b00_0000 + (n << 8)).to_be_bytes(), 6881)), &mut out);
    }
    assert_eq!(out.len(), HEARD_OF);
    // None of them answers: the slots are freed and no node is stored.
    let later = now + limits::DHT_TIMEOUT;
    it.poll(later, &mut out);
    out.clear();
    it.add_node_hint(later, SocketAddr::from(([9, 9, 9, 9], 7)), &mut out);
    assert_eq!((out.len(), it.state(later).nodes), (1, [0, 0]));
}

#[test]
fn peers_are_few_enough_and_not_ourselves() {
    let (mut dht, now) = alone();
    let mut out = Vec::new();
    dht.add_node_hint(now, far(1), &mut out);
    let transaction = sent(&out)[0].transaction.clone();
    let ours = SocketAddr::from(([5, 6, 7, 8], 6881));
    let reply = |transaction, values| {
        let response = Response { id: NodeId([7; 20]), values, ..Response::default() };
        Packet { transaction, ip: Some(ours), read_only: false, body: Body::Response(response) }.encode()
    };
    dht.received(now, far(1), &reply(transaction, Vec::new()), &mut out);
    let mut out = Vec::new();
    dht.seek(now, HASH, Some(6881), &mut out);
    let transaction = sent(&out)[0].transaction.clone();
    let many = (0..50).map(far).chain([ours, near(4), SocketAddr::new(ours.ip(), 1)]).collect();
    let mut out = Vec::new();
    dht.received(now, far(1), &reply(transaction, many), &mut out);
    let found = out.iter().find_map(|effect| if let DhtEffect::Peers(_, found) = effect { Some(found) } else { None });
    let found = found.unwrap();
    assert!(found.len() == 51 && !found.contains(&ours) && !found.contains(&near(4)), "nobody near, not us: {found:?}");
}
