use bytes::Bytes;

use super::*;
use crate::limits::{self, BLOCK};
use crate::swarm::geometry::Geometry;
use crate::swarm::job::DiskJob;
use crate::swarm::reason::{DownloadReason, Reason};
use crate::swarm::status::SourceFailure;
use crate::swarm::timeline::PeerEvent;
use crate::swarm::view::Source;
use crate::swarm::view::TorrentMeta;
use crate::wire::message::PeerId;
use crate::wire::message::{Block, Message, Reserved};

mod counts;
mod dht;
mod introductions;
mod kept_info;
mod letters;
mod link;
mod local;
mod pex;
mod private;
mod recovery;
mod selection;

pub(super) const PIECES: u32 = 8;

fn torrent(budget: u64) -> (Torrent, Instant) {
    let (it, now, _) = torrent_with(budget, |_| ());
    (it, now)
}

/// Returns a torrent that has just started, and the effects of the start.
pub(super) fn torrent_with(budget: u64, change: impl FnOnce(&mut TorrentConfig)) -> (Torrent, Instant, Vec<Effect>) {
    let geometry = Geometry::new(u64::from(PIECES * 4 * BLOCK), 4 * BLOCK);
    let mut config = TorrentConfig {
        name: "t".into(),
        name_on_disk: None,
        info_hash: InfoHash([1; 20]),
        peer_id: PeerId([2; 20]),
        info: None,
        kept_info: 0,
        geometry,
        files: vec![FileSpan { path: "t".into(), offset: 0, length: geometry.total(), pad: false, web: None }],
        priorities: Vec::new(),
        sequential: false,
        seed_only: false,
        private: false,
        trackers: Vec::new(),
        web_seeds: Vec::new(),
        is_folder: false,
        peers: Vec::new(),
        link: MagnetExtras::default(),
        pex: true,
        utp: true,
        dht: Some(7000),
        port: 6881,
        folder: String::new(),
        max_peers: 50,
        lan: false,
        lan_unlimited: false,
        quota: Quota { budget, ..Quota::default() },
        super_seed: false,
        meta: TorrentMeta::default(),
        added: 0,
        finished: None,
        totals: Totals::default(),
        seed: 1,
    };
    change(&mut config);
    if config.geometry.pieces() == 0 {
        // Of a magnet no files are known.
        config.files.clear();
    }
    let mut it = Torrent::new(config);
    let now = Instant::now();
    let mut out = Vec::new();
    it.handle(now, Input::Start { have: Default::default(), check: Vec::new() }, &mut out);
    (it, now, out)
}

/// Connects an incoming peer that sends the given messages in one read.
pub(super) fn meets(it: &mut Torrent, now: Instant, key: u64, batch: Vec<Message>) -> Vec<Effect> {
    let addr = SocketAddr::from(([127, 0, 9, key as u8], 6881));
    let (peer_id, reserved) = (PeerId([key as u8; 20]), Reserved::default());
    let hello = PeerInfo { addr, outgoing: false, utp: false, peer_id, reserved, encrypted: None };
    let mut out = Vec::new();
    it.handle(now, Input::PeerConnected { peer: PeerKey(key), hello }, &mut out);
    says(it, now, key, batch, &mut out);
    out
}

pub(super) fn says(it: &mut Torrent, now: Instant, key: u64, batch: Vec<Message>, out: &mut Vec<Effect>) {
    it.handle(now, Input::Messages { peer: PeerKey(key), batch }, out);
    it.check_invariants().unwrap();
}

fn requests(out: &[Effect]) -> Vec<Block> {
    let request = |effect: &Effect| match effect {
        Effect::Send { message: Message::Request(block), .. } => Some(*block),
        _ => None,
    };
    out.iter().filter_map(request).collect()
}

fn bits(byte: u8) -> Message {
    Message::Bitfield(bytes::Bytes::copy_from_slice(&[byte]))
}

#[test]
fn a_late_bitfield_adds_to_what_a_peer_has_and_takes_nothing_away() {
    let (mut it, now) = torrent(1 << 20);
    let out = meets(&mut it, now, 1, vec![bits(0b1100_0000), Message::Unchoke]);
    assert_eq!(requests(&out).len(), 8, "two pieces of four blocks");
    let mut out = Vec::new();
    says(&mut it, now, 1, vec![bits(0b0010_0000)], &mut out);
    assert!(!out.iter().any(|effect| matches!(effect, Effect::Disconnect { .. })));
    let row = &it.view(now, true).detail.unwrap().peers[0];
    assert_eq!(row.done, 3.0 / 8.0);
    let mut out = Vec::new();
    says(&mut it, now, 1, vec![Message::Bitfield(bytes::Bytes::from_static(b"xy"))], &mut out);
    assert!(out.iter().any(|effect| matches!(effect, Effect::Disconnect { .. })), "a wrong size is still an offence");
}

#[test]
fn no_more_is_asked_for_than_the_budget_allows_and_a_larger_share_is_used_at_once() {
    let (mut it, now) = torrent(3 * u64::from(BLOCK));
    let out = meets(&mut it, now, 1, vec![bits(0xff), Message::Unchoke]);
    assert_eq!(requests(&out).len(), 3);
    let mut out = Vec::new();
    it.handle(now, Input::Quota(Quota { budget: 10 * u64::from(BLOCK), ..Quota::default() }), &mut out);
    assert_eq!(requests(&out).len(), 7);
    it.check_invariants().unwrap();
}

#[test]
fn a_limit_is_shared_by_all_who_give() {
    let (mut it, mut now) = torrent(1 << 20);
    let down = Some(4 * u64::from(BLOCK));
    it.handle(now, Input::Quota(Quota { down, budget: 1 << 20, ..Quota::default() }), &mut Vec::new());
    let mut out: Vec<Effect> =
        (3..=6).flat_map(|key| meets(&mut it, now, key, vec![bits(0xff), Message::Unchoke])).collect();
    let mut served = [0; 7];
    for _ in 0..140 {
        // Every requested block arrives at once.
        let mut next = Vec::new();
        for effect in std::mem::take(&mut out) {
            if let Effect::Send { peer, message: Message::Request(Block { piece, begin, length }) } = effect {
                served[peer.0 as usize] += 1;
                let data = bytes::Bytes::from(vec![0; length as usize]);
                says(&mut it, now, peer.0, vec![Message::Piece { piece, begin, data }], &mut next);
            }
        }
        now += Duration::from_millis(50);
        it.handle(now, Input::Tick, &mut next);
        out = next;
    }
    assert!(served[3..].iter().all(|blocks| (4..=10).contains(blocks)), "{served:?}");
}

#[test]
fn seeds_are_told_of_pieces_together_and_of_the_last_ones_before_they_part() {
    let (mut it, now) = torrent(1 << 20);
    meets(&mut it, now, 1, vec![bits(0xff), Message::Unchoke]);
    meets(&mut it, now, 3, vec![bits(0x80)]);
    let verified = |it: &mut Torrent, now, piece| {
        let mut out = Vec::new();
        let done = DiskDone::Verified { piece: PieceIndex(piece), blocks: Vec::new() };
        it.handle(now, Input::Disk(done), &mut out);
        out
    };
    assert_eq!(offers(&verified(&mut it, now, 0)), [(3, 0)], "whoever lacks something hears of it at once");
    assert_eq!(offers(&verified(&mut it, now, 1)), [(3, 1)]);
    let mut out = Vec::new();
    it.handle(now + Duration::from_secs(1), Input::Tick, &mut out);
    assert_eq!(offers(&out), [(1, 0), (1, 1)]);
    let mut out: Vec<Effect> = Vec::new();
    for piece in 2..it.pieces() {
        out.extend(verified(&mut it, now, piece));
    }
    let last = it.pieces() - 1;
    let heard = offers(&out).into_iter().filter(|(key, _)| *key == 1).map(|(_, piece)| piece);
    assert_eq!(heard.collect::<Vec<_>>(), (2..=last).collect::<Vec<_>>());
    let place = |sought: &dyn Fn(&Effect) -> bool| out.iter().rposition(sought);
    let told = place(&|e| matches!(e, Effect::Send { peer, message: Message::Have(_) } if peer.0 == 1));
    let parted = place(&|e| matches!(e, Effect::Disconnect { peer, .. } if peer.0 == 1));
    assert!(told < parted, "{out:?}");
}

#[test]
fn a_download_is_complete_when_its_files_are_as_they_were_left() {
    let finish = || {
        let (mut it, now) = torrent(1 << 20);
        let out = meets(&mut it, now, 1, vec![bits(0xff), Message::Unchoke]);
        let Block { piece, begin, length } = requests(&out)[0];
        let data = bytes::Bytes::from(vec![0; length as usize]);
        says(&mut it, now, 1, vec![Message::Piece { piece, begin, data }], &mut Vec::new());
        let mut out = Vec::new();
        for piece in (0..it.pieces()).map(PieceIndex) {
            it.handle(now, Input::Disk(DiskDone::Verified { piece, blocks: Vec::new() }), &mut out);
        }
        assert!(out.iter().any(|e| matches!(e, Effect::Disk(DiskJob::Compare))) && !it.is_complete());
        it.check_invariants().unwrap();
        (it, now)
    };
    let tell = |it: &mut Torrent, now, done| {
        let mut out = Vec::new();
        it.handle(now, Input::Disk(done), &mut out);
        it.check_invariants().unwrap();
        out
    };
    let completes = |out: &[Effect]| out.iter().any(|e| matches!(e, Effect::Complete));
    // Unchanged files: complete at once.
    let (mut it, now) = finish();
    assert!(completes(&tell(&mut it, now, DiskDone::Compared(Ok(vec![])))) && it.is_complete());
    // Changed files that hash correctly; then changed files with a corrupt piece.
    for good in [true, false] {
        let (mut it, now) = finish();
        let changed = vec![1..3, 6..7];
        let out = tell(&mut it, now, DiskDone::Compared(Ok(changed.clone())));
        let check = |e: &Effect| matches!(e, Effect::Disk(DiskJob::Check(pieces)) if *pieces == changed);
        assert!(out.iter().any(check) && !it.is_complete() && !completes(&out), "{out:?}");
        tell(&mut it, now, DiskDone::Checked { first: PieceIndex(1), good: vec![true, good] });
        tell(&mut it, now, DiskDone::Checked { first: PieceIndex(6), good: vec![true] });
        let out = tell(&mut it, now, DiskDone::CheckDone(None));
        assert_eq!((completes(&out), it.is_complete()), (good, good));
    }
    // A different file occupies the path.
    let (mut it, now) = finish();
    let fault = crate::swarm::job::DiskFault { kind: crate::swarm::job::FaultKind::Other, text: "larger".into() };
    let out = tell(&mut it, now, DiskDone::Compared(Err(fault)));
    assert!(!completes(&out) && it.view(now, false).error.as_deref() == Some("larger"));
    // The comparison ends after the torrent was stopped.
    let (mut it, now) = finish();
    it.handle(now, Input::Stop, &mut Vec::new());
    assert!(!completes(&tell(&mut it, now, DiskDone::Compared(Ok(vec![])))));
}

#[test]
fn a_stopped_torrent_has_no_rates() {
    let (mut it, now) = torrent(1 << 20);
    let out = meets(&mut it, now, 1, vec![bits(0xff), Message::Unchoke]);
    let Block { piece, begin, length } = requests(&out)[0];
    let data = bytes::Bytes::from(vec![0; length as usize]);
    says(&mut it, now, 1, vec![Message::Piece { piece, begin, data }], &mut Vec::new());
    assert!(it.view(now, false).down > 0);
    it.handle(now, Input::Stop, &mut Vec::new());
    it.handle(now, Input::Disk(DiskDone::Saved), &mut Vec::new());
    assert!(it.stopped());
    assert_eq!(it.view(now, false).down, 0);
}

/// Returns a complete torrent that super-seeds.
fn super_seeder() -> (Torrent, Instant) {
    let (mut it, now) = torrent(1 << 20);
    it.handle(now, Input::Stop, &mut Vec::new());
    it.handle(now, Input::Disk(DiskDone::Saved), &mut Vec::new());
    it.handle(now, Input::Command(TorrentCommand::SuperSeed(true)), &mut Vec::new());
    let have = bytes::Bytes::from_static(&[0xff]);
    it.handle(now, Input::Start { have, check: Vec::new() }, &mut Vec::new());
    assert!(it.is_complete() && it.view(now, false).super_seed);
    (it, now)
}

fn offers(out: &[Effect]) -> Vec<(u64, u32)> {
    let offer = |effect: &Effect| match effect {
        Effect::Send { peer, message: Message::Have(piece) } => Some((peer.0, piece.0)),
        _ => None,
    };
    out.iter().filter_map(offer).collect()
}

#[test]
fn a_super_seeder_shows_one_piece_at_a_time_and_serves_no_other() {
    let (mut it, now) = super_seeder();
    let out = meets(&mut it, now, 1, vec![Message::Interested]);
    let [(1, first)] = offers(&out)[..] else { panic!("{out:?}") };
    assert!(!out.iter().any(|e| matches!(e, Effect::Send { message: Message::Bitfield(_) | Message::HaveAll, .. })));
    let [(3, second)] = offers(&meets(&mut it, now, 3, vec![Message::Interested]))[..] else { panic!() };
    assert_ne!(first, second, "each has something for the other");

    let ask = |piece| Message::Request(Block { piece: PieceIndex(piece), begin: 0, length: BLOCK });
    let uploads = |out: &[Effect]| out.iter().filter(|e| matches!(e, Effect::SendBlock { .. })).count();
    let mut out = Vec::new();
    says(&mut it, now, 1, vec![ask(second), ask(first)], &mut out);
    assert_eq!(uploads(&out), 1);

    // The next offer needs another peer with the piece; that the first peer has it is not enough.
    let mut out = Vec::new();
    says(&mut it, now, 1, vec![Message::Have(PieceIndex(first))], &mut out);
    assert_eq!(offers(&out), []);
    says(&mut it, now, 3, vec![Message::Have(PieceIndex(first))], &mut out);
    let [(1, third)] = offers(&out)[..] else { panic!("{out:?}") };
    assert!(![first, second].contains(&third));

    // At the end of super-seeding all hidden pieces are announced.
    let mut out = Vec::new();
    it.handle(now, Input::Command(TorrentCommand::SuperSeed(false)), &mut out);
    let told = |key| offers(&out).iter().filter(|(k, _)| *k == key).count();
    assert_eq!((told(1), told(3)), (6, 6), "all but what it has or was offered");
    let timeline = look(&mut it, now, Some(1), None).peer.unwrap().timeline;
    assert_eq!(timeline[1].event, PeerEvent::Offered(PieceIndex(first)), "{timeline:?}");
}

#[test]
fn what_is_not_whole_does_not_super_seed() {
    let (mut it, now) = torrent(1 << 20);
    let mut out = Vec::new();
    it.handle(now, Input::Command(TorrentCommand::SuperSeed(true)), &mut out);
    assert!(matches!(&out[..], [Effect::Notice(text)] if text.contains("when the torrent is complete")));
    let have = |it: &mut Torrent, piece| {
        let verified = DiskDone::Verified { piece: PieceIndex(piece), blocks: Vec::new() };
        it.handle(now, Input::Disk(verified), &mut Vec::new());
    };
    have(&mut it, 3);
    let out = meets(&mut it, now, 1, vec![]);
    assert!(out.iter().any(|e| matches!(e, Effect::Send { message: Message::Bitfield(_), .. })));
    (0..PIECES).for_each(|piece| have(&mut it, piece));
    assert_eq!(offers(&meets(&mut it, now, 3, vec![])).len(), 1, "now it does");
}

fn look(it: &mut Torrent, now: Instant, peer: Option<u64>, piece: Option<u32>) -> crate::swarm::view::Detail {
    it.handle(now, Input::Command(TorrentCommand::Inspect { peer: peer.map(PeerKey), piece }), &mut Vec::new());
    *it.view(now, true).detail.unwrap()
}

#[test]
fn a_closer_look_tells_of_one_peer_and_one_piece() {
    let (mut it, now) = torrent(1 << 20);
    let second = std::time::Duration::from_secs(1);
    let out = meets(&mut it, now, 1, vec![bits(0b1100_0000)]);
    assert!(requests(&out).is_empty());
    let mut out = Vec::new();
    says(&mut it, now + second, 1, vec![Message::Unchoke, Message::Interested], &mut out);
    let asked = requests(&out)[0];
    let data = bytes::Bytes::from(vec![0; asked.length as usize]);
    let answer = Message::Piece { piece: asked.piece, begin: asked.begin, data };
    says(&mut it, now + second * 2, 1, vec![answer, Message::Choke], &mut Vec::new());

    let detail = look(&mut it, now + second * 4, Some(1), Some(asked.piece.0));
    let peer = detail.peer.unwrap();
    assert_eq!((peer.key, peer.pieces, peer.wanted, peer.choked_us), (1, 2, 2, 0.75));
    let lines: Vec<(u64, PeerEvent)> = peer.timeline.iter().map(|entry| (entry.at.as_secs(), entry.event)).collect();
    assert_eq!(
        lines,
        [
            (0, PeerEvent::AcceptedIncoming),
            (0, PeerEvent::AmInterested),
            (1, PeerEvent::UnchokedUs),
            (1, PeerEvent::PeerInterested),
            (1, PeerEvent::Unchoked),
            (2, PeerEvent::FirstBlock),
            (2, PeerEvent::ChokedUs),
        ]
    );
    let piece = detail.piece.unwrap();
    assert_eq!((piece.blocks, piece.received, piece.peers_with_piece, piece.have), (4, 1, 1, false));
    assert_eq!((piece.age, piece.asked.len(), &piece.files[..]), (Some(second * 3), 0, &["t".to_owned()][..]));
    assert_eq!(look(&mut it, now, Some(9), Some(99)).piece, None);

    let blocks = vec![[0; 20]; 4];
    let corrupt = Input::Disk(DiskDone::Corrupt { piece: asked.piece, blocks });
    it.handle(now + second * 4, corrupt, &mut Vec::new());
    let detail = look(&mut it, now + second * 4, None, Some(asked.piece.0));
    assert_eq!(detail.piece.unwrap().fails, 1);
    assert!(detail.disconnected[0].why.to_string().contains("bad data"), "{:?}", detail.disconnected);
}

#[test]
fn those_who_left_are_kept_and_failed_calls_belong_to_their_source() {
    let (mut it, now) = torrent(1 << 20);
    let addrs: Vec<SocketAddr> = (1..=20).map(|n| SocketAddr::from(([127, 0, 8, n], 6881))).collect();
    it.handle(now, Input::PeersFound { source: Source::Tracker, addrs: addrs.clone() }, &mut Vec::new());
    for addr in addrs {
        it.handle(now, Input::DialFailed { addr, why: DisconnectReason::TimedOut("connecting") }, &mut Vec::new());
    }
    for key in 1..=60 {
        meets(&mut it, now, key, vec![]);
        let why = DisconnectReason::Network(format!("fault {key}"));
        it.handle(now, Input::PeerDisconnected { peer: PeerKey(key), why }, &mut Vec::new());
    }
    let view = it.view(now, true);
    let Reason::Downloading(DownloadReason::NoPeers(nobody)) = view.why.reason else { panic!("{:?}", view.why) };
    assert_eq!((nobody.known, nobody.failures.silent), (20, 20));
    let detail = view.detail.unwrap();
    assert_eq!(detail.disconnected.len(), crate::swarm::view::Detail::DEPARTED);
    let fault = DisconnectReason::Network("fault 60".to_owned());
    assert_eq!(detail.disconnected[49].why, fault);
    let [row, ..] = &detail.sources[..] else { panic!("{:?}", detail.sources) };
    assert_eq!((row.source, row.known, row.failed), (Source::Tracker, 20, 20));
    let silent = DisconnectReason::TimedOut("connecting");
    assert_eq!(row.last_failure, Some(SourceFailure::Peer(silent)));
    // Peers disconnected by stopping the torrent are not listed.
    meets(&mut it, now, 61, vec![]);
    it.handle(now, Input::Stop, &mut Vec::new());
    assert_eq!(it.view(now, true).detail.unwrap().disconnected[49].why, fault);
}

#[test]
fn what_earlier_sessions_moved_is_counted() {
    let (it, now) = torrent(1 << 20);
    let mut config = it.config;
    config.totals = Totals { downloaded: 1000, uploaded: 500, was_whole: false };
    (config.added, config.finished) = (77, Some(99));
    let mut it = Torrent::new(config);
    let view = it.view(now, false);
    assert_eq!((view.downloaded, view.uploaded, view.added, view.finished), (1000, 500, 77, Some(99)));
    it.set_finished(Some(101));
    assert_eq!(it.view(now, false).finished, Some(101));
}

#[test]
fn a_warning_names_the_tracker_that_gave_it() {
    for url in ["http://t.example/announce", "udp://u.example:6969", "https://a:b@v.example/x/announce?key=secret"] {
        let (mut it, now, _) = torrent_with(1 << 20, |config| config.trackers = vec![vec![url.into()]]);
        let reply = AnnounceResponse { warning: Some("be nice".into()), ..AnnounceResponse::default() };
        let mut out = Vec::new();
        it.handle(now, Input::AnnounceDone { tracker: 0, result: Ok(reply) }, &mut out);
        let host = url.split(['/', '@', ':']).find(|part| part.contains(".example")).unwrap();
        let told = out.iter().find_map(|e| if let Effect::Notice(text) = e { Some(text) } else { None }).unwrap();
        assert!(told.contains(host) && told.ends_with(" warns: be nice") && !told.contains("secret"), "{told}");
    }
}

#[test]
fn a_tracker_can_be_added_asked_and_taken_away() {
    let (mut it, now) = torrent(1 << 20);
    let mut wish = |wish| {
        let mut out = Vec::new();
        it.handle(now, Input::Command(wish), &mut out);
        out
    };
    let out = wish(TorrentCommand::AddTracker(" udp://127.0.0.1:6969 ".into()));
    let [Effect::Notice(text), Effect::Announce { tracker: 0, ask }] = &out[..] else { panic!("{out:?}") };
    assert_eq!((text.as_str(), ask.url.as_str()), ("added the tracker udp://127.0.0.1:6969", "udp://127.0.0.1:6969"));
    for bad in ["udp://127.0.0.1:6969", "gopher://x:1/", "http://192.168.1.1/admin", "x\x1b[2J"] {
        let out = wish(TorrentCommand::AddTracker(bad.into()));
        let [Effect::Notice(text)] = &out[..] else { panic!("{out:?}") };
        assert!(text.contains("is not added: ") && !text.contains('\x1b'), "{text}");
    }
    assert!(matches!(&wish(TorrentCommand::RemoveTracker(0))[..], [Effect::Notice(_)]));
    assert!(wish(TorrentCommand::RemoveTracker(0)).is_empty());
    assert!(it.trackers().is_empty() && it.view(now, true).detail.unwrap().trackers.is_empty());
    let reply =
        AnnounceResponse { peers: vec![SocketAddr::from(([127, 0, 8, 1], 6881))], ..AnnounceResponse::default() };
    let mut out = Vec::new();
    it.handle(now, Input::AnnounceDone { tracker: 0, result: Ok(reply) }, &mut out);
    assert!(matches!(&out[..], [Effect::Announce { ask, .. }] if ask.event == AnnounceEvent::Stopped), "{out:?}");
    assert_eq!(it.view(now, false).known, 0);
}

/// Returns the payloads of the extended messages sent with this id.
fn extended(out: &[Effect], wanted: u8) -> Vec<Bytes> {
    let payload = |effect: &Effect| match effect {
        Effect::Send { message: Message::Extended { id, payload }, .. } if *id == wanted => Some(payload.clone()),
        _ => None,
    };
    out.iter().filter_map(payload).collect()
}

#[test]
fn metadata_is_handed_out_within_bounds_and_never_more_than_there_is() {
    use crate::wire::extension::metadata::MetadataMessage;
    use crate::wire::extension::{Handshake, ours};
    let (mut it, now) = torrent(1 << 20);
    let info: Bytes = (0..40_000_u32).map(|n| n as u8).collect::<Vec<_>>().into();
    it.config.info = Some(info.clone());
    let hello = Handshake { ut_metadata: Some(9), ..Handshake::default() };
    let hello = Message::Extended { id: 0, payload: hello.encode().into() };
    let ask = |piece| Message::Extended { id: ours::UT_METADATA, payload: MetadataMessage::Request(piece).encode() };
    let heard = |out: &[Effect]| -> Vec<MetadataMessage> {
        extended(out, 9).iter().map(|payload| MetadataMessage::decode(payload).unwrap()).collect()
    };
    let out = meets(&mut it, now, 1, vec![hello, ask(0), ask(2), ask(3), ask(u32::MAX)]);
    let data = |piece, data| MetadataMessage::Data { piece, total: Some(40_000), data };
    let none = MetadataMessage::Reject;
    let expected = [data(0, info.slice(..16384)), data(2, info.slice(32768..)), none(3), none(u32::MAX)];
    assert_eq!(heard(&out), expected);
    let mut out = Vec::new();
    says(&mut it, now, 1, (0..5000).map(|n| ask(n % 3)).collect(), &mut out);
    let given = heard(&out).iter().filter(|m| matches!(m, MetadataMessage::Data { .. })).count();
    assert_eq!(given, limits::METADATA_BURST as usize - 2);
    assert_eq!(heard(&out).len(), 5000, "the others are refused in words");
}
