use proptest::prelude::*;

use super::*;

/// Two connections and a simulated lossy network between them, on virtual time.
struct World {
    now: Instant,
    ends: [Option<Connection>; 2],
    /// Packets in flight by arrival time, with the end that they go to.
    air: Vec<(Instant, usize, Vec<u8>)>,
    rng: fastrand::Rng,
    /// Percentage of packets lost, duplicated, or delayed.
    lost: u8,
    twice: u8,
    late: u8,
    trip: Duration,
    /// Bytes that each end still has to send, and bytes received.
    to_send: [VecDeque<u8>; 2],
    got: [Vec<u8>; 2],
    /// Whether an end consumes received bytes.
    takes: [bool; 2],
    /// Maximum bytes in flight so far.
    most: usize,
    packets: usize,
}

impl World {
    fn new(seed: u64, lost: u8, twice: u8, late: u8, trip: Duration) -> World {
        let now = Instant::now();
        let mut rng = fastrand::Rng::with_seed(seed);
        let caller = Connection::connect(now, now - Duration::from_secs(77), rng.u16(..), rng.u16(..));
        World {
            now,
            ends: [Some(caller), None],
            air: Vec::new(),
            rng,
            lost,
            twice,
            late,
            trip,
            to_send: Default::default(),
            got: Default::default(),
            takes: [true, true],
            most: 0,
            packets: 0,
        }
    }

    /// Sends and receives what is possible at one end.
    fn pump(&mut self, end: usize) {
        let Some(link) = &mut self.ends[end] else { return };
        while self.takes[end] && !link.ready().is_empty() {
            let n = self.rng.usize(1..=link.ready().len());
            self.got[end].extend(&link.ready()[..n]);
            link.take(n);
        }
        let n = link.allows().min(self.to_send[end].len());
        let bytes: Vec<u8> = self.to_send[end].drain(..n).collect();
        link.send(self.now, &bytes);
        self.most = self.most.max(link.under_way + n);
        let mut out = Vec::new();
        link.flush(self.now, &mut out);
        for packet in out {
            self.packets += 1;
            let chance = |rng: &mut fastrand::Rng, percent: u8| rng.u8(0..100) < percent;
            if chance(&mut self.rng, self.lost) {
                continue;
            }
            let copies = 1 + usize::from(chance(&mut self.rng, self.twice));
            for _ in 0..copies {
                let late =
                    if chance(&mut self.rng, self.late) { self.trip * self.rng.u32(1..3) } else { Duration::ZERO };
                self.air.push((self.now + self.trip / 2 + late, 1 - end, packet.clone()));
            }
        }
    }

    /// Runs until `done` returns true; returns false after too many steps.
    fn run(&mut self, mut done: impl FnMut(&World) -> bool) -> bool {
        for _ in 0..200_000 {
            (0..2).for_each(|end| self.pump(end));
            if done(self) {
                return true;
            }
            let comes = self.air.iter().map(|(at, ..)| *at).min();
            let due = self.ends.iter().flatten().filter(|link| !matches!(link.phase, Phase::Closed(_)));
            let Some(next) = due.map(Connection::deadline).chain(comes).min() else { return done(self) };
            self.now = next.max(self.now + Duration::from_micros(1));
            let (here, later): (Vec<_>, Vec<_>) = self.air.drain(..).partition(|(at, ..)| *at <= self.now);
            self.air = later;
            here.into_iter().for_each(|(_, end, packet)| self.arrives(end, &packet));
        }
        false
    }

    fn arrives(&mut self, end: usize, bytes: &[u8]) {
        let packet = Packet::decode(bytes).unwrap();
        match &mut self.ends[end] {
            Some(link) => {
                let known = packet.header.connection == link.receives || packet.header.kind == Kind::Syn;
                assert!(known, "a packet of another connection");
                link.received(self.now, &packet);
            }
            None if packet.header.kind == Kind::Syn => {
                let (epoch, seq) = (self.now - Duration::from_secs(5), self.rng.u16(..));
                self.ends[end] = Some(Connection::accept(self.now, epoch, &packet.header, seq));
            }
            None => panic!("words before the first word"),
        }
    }

    fn link(&mut self, end: usize) -> &mut Connection {
        self.ends[end].as_mut().unwrap()
    }

    fn open(&self) -> bool {
        self.ends.iter().all(|link| link.as_ref().is_some_and(|link| link.phase == Phase::Connected))
    }
}

fn bytes(n: usize, seed: u64) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(seed);
    (0..n).map(|_| rng.u8(..)).collect()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Sends in both directions, closes the connection and compares the bytes.
fn exchange(mut world: World, up: usize, down: usize) -> World {
    let sent = [bytes(up, 1), bytes(down, 2)];
    world.to_send = sent.clone().map(VecDeque::from);
    let came = |world: &World| world.got[1].len() >= up && world.got[0].len() >= down;
    assert!(world.run(came), "{:?} of {up}, {down}", world.got.each_ref().map(Vec::len));
    assert!(world.got[1] == sent[0] && world.got[0] == sent[1]);
    let now = world.now;
    world.link(0).finish(now);
    assert!(
        world.run(|world| world.ends[1].as_ref().is_some_and(Connection::ended)),
        "the other side hears of the end"
    );
    let now = world.now;
    world.link(1).finish(now);
    let over = |world: &World| world.ends.iter().flatten().all(|link| matches!(link.phase, Phase::Closed(_)));
    assert!(world.run(over), "both come to their end");
    world
}

#[test]
fn bytes_go_both_ways_and_a_good_line_is_used() {
    let world = exchange(World::new(3, 0, 0, 0, ms(20)), 3_000_000, 1_000_000);
    assert_eq!(world.got[1].len(), 3_000_000);
    // Slow start fills the link after a few round trips.
    assert!(world.most > 300_000, "{} bytes under way", world.most);
    let needed = 4_000_000 / PAYLOAD;
    assert!(world.packets < needed * 2 + 500, "{} packets for {needed}", world.packets);
}

#[test]
fn losses_are_made_good_without_waiting() {
    let mut world = World::new(4, 0, 0, 0, ms(40));
    assert!(world.run(World::open));
    world.lost = 2;
    let began = world.now;
    let world = exchange(world, 2_000_000, 0);
    // One retransmission timeout per loss would take half a second each, for 29 losses.
    let took = world.now - began;
    assert!(took < ms(13_000), "{took:?}");
}

#[test]
fn a_zero_window_pauses_the_sender() {
    let mut world = World::new(5, 0, 0, 0, ms(10));
    world.takes[1] = false;
    let sent = bytes(2 * limits::UTP_WINDOW, 9);
    world.to_send[0] = sent.clone().into();
    let until = world.now + Duration::from_secs(60);
    assert!(world.run(|world| world.now > until));
    let held = world.link(1).recv_buffer.held();
    assert!((limits::UTP_WINDOW - PAYLOAD..=limits::UTP_WINDOW * 5 / 4).contains(&held), "{held}");
    world.takes[1] = true;
    assert!(world.run(|world| world.got[1].len() >= sent.len()));
    assert!(world.got[1] == sent);
}

/// The accepting side may send first.
#[test]
fn the_caller_says_at_once_that_it_has_heard() {
    let mut world = World::new(12, 0, 0, 0, ms(50));
    let began = world.now;
    world.to_send[1] = bytes(10, 1).into();
    assert!(world.run(|world| world.got[0].len() == 10));
    assert!(world.now - began <= ms(100), "{:?}", world.now - began);
}

#[test]
fn an_answer_that_is_lost_is_given_again() {
    let mut world = World::new(6, 0, 0, 0, ms(10));
    world.pump(0);
    let (_, _, syn) = world.air.pop().unwrap();
    world.arrives(1, &syn);
    world.pump(1);
    world.air.clear();
    assert!(world.run(World::open) || world.link(1).phase == Phase::SynReceived);
    world.to_send[0] = bytes(10, 1).into();
    assert!(world.run(|world| world.got[1].len() == 10));
}

#[test]
fn nobody_there_and_somebody_who_refuses() {
    let mut world = World::new(7, 100, 0, 0, ms(10));
    let began = world.now;
    assert!(
        world.run(|world| world.ends[0].as_ref().is_some_and(|link| link.phase == Phase::Closed(CloseReason::Silent)))
    );
    assert!(world.now - began <= Duration::from_secs(4), "{:?}", world.now - began);

    let mut world = World::new(8, 0, 0, 0, ms(10));
    world.pump(0);
    let syn = world.link(0).next.wrapping_sub(1);
    let number = world.link(0).receives;
    let no = |ack| Header { kind: Kind::Reset, connection: number, sent: 0, delay: 0, window: 0, seq: 9, ack };
    let now = world.now;
    // A RESET with an implausible ACK is ignored.
    world.link(0).received(now, &Packet { header: no(syn.wrapping_add(2000)), sack: &[], payload: &[] });
    assert_eq!(world.link(0).phase, Phase::SynSent);
    world.link(0).received(now, &Packet { header: no(syn), sack: &[], payload: &[] });
    assert_eq!(world.link(0).phase, Phase::Closed(CloseReason::Reset));
}

#[test]
fn the_other_side_falls_silent() {
    let mut world = World::new(9, 0, 0, 0, ms(10));
    assert!(world.run(World::open));
    world.lost = 100;
    world.to_send[0] = bytes(10_000, 1).into();
    let began = world.now;
    assert!(
        world.run(|world| world.ends[0].as_ref().is_some_and(|link| link.phase == Phase::Closed(CloseReason::Silent)))
    );
    assert!(world.now - began < Duration::from_secs(60), "{:?}", world.now - began);
}

#[test]
fn a_quiet_connection_stays_alive() {
    let mut world = World::new(10, 0, 0, 0, ms(10));
    assert!(world.run(World::open));
    let (until, before) = (world.now + Duration::from_secs(300), world.packets);
    assert!(world.run(|world| world.now > until));
    assert!((10..80).contains(&(world.packets - before)), "{} packets in five minutes", world.packets - before);
    assert!(world.open());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_the_line_does_the_bytes_are_the_same(
        seed in any::<u64>(), lost in 0u8..25, twice in 0u8..20, late in 0u8..30, trip in 1u64..300,
        up in 0usize..200_000, down in 0usize..200_000,
    ) {
        let mut world = World::new(seed, 0, twice, late, ms(trip));
        prop_assert!(world.run(World::open) || world.ends[1].is_some());
        world.lost = lost / 2;
        let sent = [bytes(up, 1), bytes(down, 2)];
        world.to_send = sent.clone().map(VecDeque::from);
        let came = |world: &World| world.got[1].len() >= up && world.got[0].len() >= down;
        prop_assert!(world.run(came), "{:?} of {up}, {down}", world.got.each_ref().map(Vec::len));
        prop_assert!(world.got[1] == sent[0] && world.got[0] == sent[1]);
    }

    #[test]
    fn no_packet_harms(packets in proptest::collection::vec((0u8..5, any::<u16>(), any::<u16>(), any::<u32>(),
        proptest::collection::vec(any::<u8>(), 0..40), 0usize..9000), 1..60), near in any::<bool>())
    {
        let mut world = World::new(11, 0, 0, 0, ms(10));
        world.to_send = [bytes(50_000, 1).into(), bytes(50_000, 1).into()];
        prop_assert!(world.run(|world| world.got[1].len() > 20_000));
        for (kind, seq, ack, window, sack, length) in packets {
            let now = world.now;
            let link = world.link(1);
            let kind = [Kind::Data, Kind::Fin, Kind::State, Kind::Reset, Kind::Syn][usize::from(kind)];
            // Plausible sequence numbers find more faults than random ones.
            let (seq, ack) = if near { (link.recv_buffer.got().wrapping_add(seq % 9), link.first().wrapping_add(ack % 9)) } else { (seq, ack) };
            let header = Header { kind, connection: link.receives, sent: 1, delay: window, window, seq, ack };
            let payload = vec![7; length];
            link.received(now, &Packet { header, sack: &sack, payload: &payload });
            prop_assert!(link.recv_buffer.held() <= limits::UTP_WINDOW * 5 / 4 + 9000);
            prop_assert!(link.flight.len() <= limits::UTP_PACKETS);
            world.now += ms(3);
            world.pump(1);
            world.air.clear();
        }
    }
}
