//! Swarms of real `Torrent` machines in a made-up world: everybody honest completes, whatever the others do.

#[path = "support/world.rs"]
#[expect(clippy::panic, reason = "a broken invariant ends the test")]
mod world;

use std::time::Duration;

use ttui::swarm::torrent::TorrentCommand;
use world::{Role, Rules, Server, World};

fn roles(parts: &[(usize, Role)]) -> Vec<Role> {
    parts.iter().flat_map(|(n, role)| vec![*role; *n]).collect()
}

fn completes(rules: Rules, most: Duration) -> World {
    let seed = rules.seed;
    let mut world = World::new(rules);
    let done = world.run(most);
    assert!(done, "seed {seed}: after {:?} of virtual time: {:#?}", world.elapsed(), world.laggards());
    world
}

#[test]
fn one_seed_and_one_leecher_for_many_seeds_of_chance() {
    for seed in 0..40 {
        let rules = Rules { seed, fast: seed % 2 == 0, acquaintances: 8, ..Rules::default() };
        completes(rules, Duration::from_secs(120));
    }
}

#[test]
fn a_swarm_shares_what_one_seed_sends() {
    let roles = roles(&[(1, Role::Seed), (40, Role::Leecher)]);
    let rules = Rules { roles, upload: 256 << 10, ..Rules::default() };
    let size = u64::from(rules.pieces * rules.blocks_per_piece * ttui::limits::BLOCK);
    // The seed alone would need 40 times this.
    let alone = Duration::from_secs_f64(size as f64 / (256 << 10) as f64);
    let world = completes(rules, alone * 12);
    assert!(world.delivered >= 40 * 96);
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_one_another() {
    let trace = |seed| {
        let roles = roles(&[(2, Role::Seed), (20, Role::Leecher), (2, Role::Liar(4)), (2, Role::Mute)]);
        completes(Rules { seed, roles, loss: 2000, ..Rules::default() }, Duration::from_secs(1200)).trace()
    };
    assert_eq!(trace(7), trace(7));
    assert_ne!(trace(7), trace(8));
}

#[test]
fn liars_are_found_and_nobody_else_is_banned() {
    for seed in 0..8 {
        let roles = roles(&[(2, Role::Seed), (10, Role::Leecher), (4, Role::Liar(4))]);
        let world = completes(Rules { seed, roles, ..Rules::default() }, Duration::from_secs(1200));
        let banned = world.banned();
        assert!(!banned.is_empty(), "seed {seed}: nobody was found out");
        // A leecher passes on only what it has verified: it is never to blame.
        assert!(banned.iter().all(|role| matches!(role, Role::Liar(_))), "seed {seed}: {banned:?}");
    }
}

#[test]
fn web_seeds_feed_a_swarm_of_which_nobody_has_anything() {
    for seed in 0..8 {
        let servers = vec![Server::Honest, Server::Breaks(4), Server::Mute];
        let roles = roles(&[(6, Role::Leecher)]);
        let rules = Rules { seed, roles, servers, ..Rules::default() };
        let world = completes(rules, Duration::from_secs(600));
        assert!(world.banned().is_empty() && world.banned_servers().is_empty(), "seed {seed}");
    }
}

#[test]
fn web_seeds_that_lie_are_found_and_nobody_is_banned_for_them() {
    for seed in 0..8 {
        let servers = vec![Server::Liar(6), Server::Honest];
        let roles = roles(&[(1, Role::Seed), (8, Role::Leecher), (2, Role::Liar(4))]);
        let world = completes(Rules { seed, roles, servers, ..Rules::default() }, Duration::from_secs(1200));
        assert_eq!(world.banned_servers(), [Server::Liar(6)], "seed {seed}");
        let banned = world.banned();
        assert!(banned.iter().all(|role| matches!(role, Role::Liar(_))), "seed {seed}: {banned:?}");
    }
}

#[test]
fn a_slow_web_seed_keeps_nobody_from_faster_peers() {
    for seed in 0..6 {
        let time = |servers| {
            let roles = roles(&[(3, Role::Seed), (1, Role::Leecher)]);
            let rules = Rules { seed, roles, servers, pieces: 240, ..Rules::default() };
            completes(rules, Duration::from_secs(600)).elapsed()
        };
        let (without, slow, fast) = (time(vec![]), time(vec![Server::Slow(50)]), time(vec![Server::Honest]));
        assert!(slow < without.mul_f64(1.25), "seed {seed}: {slow:?} with it, {without:?} without");
        assert!(fast < without, "seed {seed}: {fast:?} with a fast one, {without:?} without");
    }
}

#[test]
fn a_web_seed_and_peers_bring_little_twice() {
    let roles = roles(&[(3, Role::Seed), (1, Role::Leecher)]);
    let rules = Rules { roles, servers: vec![Server::Honest], pieces: 240, ..Rules::default() };
    let blocks = u64::from(rules.pieces * rules.blocks_per_piece);
    let world = completes(rules, Duration::from_secs(120));
    assert!(world.delivered <= blocks + blocks / 10, "{} blocks were sent for {blocks}", world.delivered);
}

#[test]
fn mutes_hold_nobody_up_for_good() {
    for seed in 0..8 {
        let roles = roles(&[(1, Role::Seed), (5, Role::Leecher), (25, Role::Mute)]);
        completes(Rules { seed, roles, acquaintances: 31, ..Rules::default() }, Duration::from_secs(600));
    }
}

#[test]
fn broken_lines_are_mended() {
    for seed in 0..8 {
        let roles = roles(&[(1, Role::Seed), (12, Role::Leecher)]);
        completes(Rules { seed, roles, loss: 150, ..Rules::default() }, Duration::from_secs(1800));
    }
}

#[test]
fn a_full_disk_halts_its_torrent_and_it_goes_on_when_there_is_room() {
    let full = Role::FullDisk(Duration::from_secs(1), Duration::from_secs(90));
    let roles = roles(&[(1, Role::Seed), (4, Role::Leecher), (3, full)]);
    let world = completes(Rules { roles, upload: 128 << 10, ..Rules::default() }, Duration::from_secs(600));
    assert_eq!(world.notices("disk full"), 3, "told once each");
    assert_eq!(world.notices("resuming"), 3);
}

#[test]
fn long_lines_do_not_stop_anything() {
    let latency = (Duration::from_millis(800), Duration::from_millis(2000));
    let roles = roles(&[(1, Role::Seed), (10, Role::Leecher)]);
    completes(Rules { roles, latency, ..Rules::default() }, Duration::from_secs(900));
}

#[test]
fn a_super_seeder_sends_little_more_than_one_copy() {
    for seed in 0..6 {
        let roles = roles(&[(1, Role::Seed), (12, Role::Leecher)]);
        let rules = Rules { seed, roles, pieces: 60, fast: seed % 2 == 0, acquaintances: 30, ..Rules::default() };
        let plain = completes(rules.clone(), Duration::from_secs(1200)).copies_sent_by_the_first();
        let rules = Rules { super_seed: true, ..rules };
        let world = completes(rules, Duration::from_secs(1200));
        let copies = world.copies_sent_by_the_first();
        assert!((1.0..1.8).contains(&copies), "seed {seed}: {copies} copies, without super-seeding {plain}");
    }
}

#[test]
fn a_super_seeder_serves_a_lone_leecher_and_those_who_pass_nothing_on() {
    let alone = Rules { super_seed: true, ..Rules::default() };
    completes(alone, Duration::from_secs(120));
    // Two who know nobody but the seeder: each waits for the other in vain, and then gets its next piece all the same.
    let roles = roles(&[(1, Role::Seed), (2, Role::Leecher)]);
    let alone = Rules { super_seed: true, roles, acquaintances: 0, pex: false, pieces: 6, ..Rules::default() };
    let mut world = World::new(alone);
    for node in 1..3 {
        world.acquaint(node, 0);
    }
    assert!(world.run(Duration::from_secs(1200)), "{:#?}", world.laggards());
}

#[test]
fn who_does_nothing_with_a_super_seeded_piece_holds_up_nobody() {
    for (seed, idle, leechers) in [(1, 1, 1), (2, 5, 1), (3, 1, 2), (4, 4, 6)] {
        let roles = roles(&[(1, Role::Seed), (leechers, Role::Leecher), (idle, Role::Idle)]);
        let rules = Rules { seed, super_seed: true, roles, pieces: 60, acquaintances: 30, ..Rules::default() };
        let world = completes(rules, Duration::from_secs(90));
        let copies = world.copies_sent_by_the_first();
        assert!((1.0..1.5).contains(&copies), "{idle} idle, {leechers} leechers: {copies} copies");
    }
}

#[test]
fn when_super_seeding_ends_everybody_hears_of_everything() {
    let roles = roles(&[(1, Role::Seed), (2, Role::Leecher)]);
    // Two who do not hear of each other.
    let rules = Rules { super_seed: true, roles, acquaintances: 0, pex: false, pieces: 40, ..Rules::default() };
    let mut world = World::new(rules);
    world.acquaint(1, 0);
    world.acquaint(2, 0);
    assert!(!world.run(Duration::from_secs(50)));
    let before = world.copies_sent_by_the_first();
    world.wish(0, TorrentCommand::SuperSeed(false));
    assert!(world.run(Duration::from_secs(120)), "{:#?}", world.laggards());
    assert!(before < 0.5 && world.copies_sent_by_the_first() > 1.9);
}

#[test]
fn a_swarm_finds_itself_through_one_of_its_members() {
    // Everybody knows nobody but the one seed, which could not serve half of them in that time.
    let roles = roles(&[(1, Role::Seed), (20, Role::Leecher)]);
    let rules = Rules { roles, acquaintances: 0, upload: 64 << 10, ..Rules::default() };
    let alone =
        Duration::from_secs(u64::from(20 * rules.pieces * rules.blocks_per_piece * ttui::limits::BLOCK / (64 << 10)));
    let mut world = World::new(rules);
    (1..21).for_each(|node| world.acquaint(node, 0));
    assert!(world.run(alone / 2), "{:#?}", world.laggards());
}

#[test]
fn five_hundred_with_every_trouble_at_once() {
    let full = Role::FullDisk(Duration::from_secs(5), Duration::from_secs(60));
    let roles = roles(&[(5, Role::Seed), (440, Role::Leecher), (15, Role::Liar(6)), (25, Role::Mute), (15, full)]);
    let rules =
        Rules { roles, loss: 20_000, pieces: 16, upload: 512 << 10, pex: false, check_every: 7, ..Rules::default() };
    let mut world = completes(rules, Duration::from_secs(3600));
    assert!(world.banned().iter().all(|role| matches!(role, Role::Liar(_))));
    assert!(world.stop(), "not everybody stopped");
}

#[test]
fn magnets_get_their_metadata_from_each_other_and_complete() {
    for seed in 0..6 {
        let roles = roles(&[(1, Role::Seed), (20, Role::Magnet), (5, Role::Leecher)]);
        let rules = Rules { seed, roles, fast: seed % 2 == 0, metadata: 1 << (2 * seed + 9), ..Rules::default() };
        let rules = Rules { check_every: 7, ..rules };
        let world = completes(rules, Duration::from_secs(600));
        assert!(world.described().iter().all(Option::is_some));
        assert_eq!(world.banned(), []);
    }
}

#[test]
fn liars_and_mutes_delay_no_metadata() {
    for seed in 0..12 {
        let liars =
            [Role::FalseMetadata(0), Role::FalseMetadata(9), Role::FalseMetadata(3_000_000), Role::MuteMetadata];
        let roles = roles(&[(1, Role::Seed), (2, Role::Magnet), (6, liars[seed % 4]), (3, liars[seed / 4 + 1])]);
        let seed = seed as u64;
        let rules = Rules { seed, roles, acquaintances: 0, ..Rules::default() };
        let mut world = World::new(rules);
        for magnet in [1, 2] {
            for other in (0..12).filter(|n| *n != magnet) {
                world.acquaint(magnet, other);
            }
        }
        assert!(world.run(Duration::from_secs(300)), "seed {seed}: {:#?}", world.laggards());
        // Calling takes up to 0.45 s and a round up to 0.3 s; a mute is waited for 1.5 s before others are asked too.
        let late = world.described().into_iter().flatten().max();
        assert!(late < Some(Duration::from_secs(5)), "seed {seed}: {late:?}");
        assert!(world.banned().iter().all(|role| matches!(role, Role::FalseMetadata(_))), "{:?}", world.banned());
    }
}

#[test]
fn a_magnet_asks_for_blocks_as_soon_as_its_metadata_are_here() {
    let roles = roles(&[(1, Role::Seed), (1, Role::Magnet)]);
    let latency = (Duration::from_millis(100), Duration::from_millis(100));
    let mut world = World::new(Rules { roles, acquaintances: 0, latency, pieces: 1, ..Rules::default() });
    world.acquaint(1, 0);
    assert!(world.run(Duration::from_secs(60)));
    let described = world.described()[0].unwrap();
    // A call and its answer, two handshakes, the request for the metadata and the metadata.
    assert!(described <= Duration::from_millis(700), "{described:?}");
    // Interest, unchoke, request, blocks, and the 20 ms that the disk takes: what peers had said before still holds.
    assert!(world.elapsed() <= described + Duration::from_millis(900), "{:?} after {described:?}", world.elapsed());
}
