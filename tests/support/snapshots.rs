//! Made-up snapshots: what an engine might show, the same in every run.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ttui::api::{
    Capability, ConnectionCount, Detail, Diagnosis, DisconnectReason, DisconnectedPeer, DiskFault, Encryption, Facts,
    FaultKind, FileRow, InfoHash, Listening, LogEntry, PeerDetail, PeerEvent, PeerRow, PeerTransport, PieceDetail,
    PieceMapCell, PieceProgress, PortStatus, Priority, RateLimits, Reachability, Reason, Snapshot, Source,
    SourceFailure, SourceRow, State, TimelineEntry, TorrentId, TorrentMeta, TorrentView, TrackerRow, TrackerStatus,
};
use ttui::swarm::reason::{DownloadReason, ExampleTracker, HeldData, NoPeers, SeedingReason, Spare, UploadReason};
use ttui::swarm::status::{Failures, TrackerState};
use ttui::swarm::view::{LogLine, RequestedBlocks};

/// A generator of numbers that look random and are not.
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Numbers(seed | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }
}

/// A world with these torrents, of which the first is focused.
pub fn world(torrents: Vec<TorrentView>) -> Snapshot {
    let down = torrents.iter().map(|t| t.down).sum();
    let up = torrents.iter().map(|t| t.up).sum();
    let torrents: Vec<_> = (1..).map(TorrentId).zip(torrents).collect();
    Snapshot {
        uptime: Duration::from_secs(754),
        focus: torrents.first().map(|(id, _)| *id),
        torrents,
        down,
        up,
        limits: RateLimits { down: None, up: Some(5_000_000) },
        port: PortStatus { listening: Listening::On { port: 6881, instead_of: None }, ..PortStatus::default() },
        free: Some(41_200_000_000),
        disk_busy: 0.02,
        connections: ConnectionCount { open: 38, max: 500 },
        folder: "~/Downloads".into(),
        log: [
            (0, None, "listening on port 6881"),
            (0, Some(TorrentId(1)), "added, 1,996 pieces to fetch"),
            (2, Some(TorrentId(2)), "complete: all 775 pieces"),
            (61, Some(TorrentId(1)), "piece 812 failed its hash: 203.0.113.9:6881 sent bad data and is banned"),
            (700, Some(TorrentId(7)), "the disk is full"),
        ]
        .map(|(seconds, torrent, text)| LogEntry { at: Duration::from_secs(seconds), torrent, text: text.to_owned() })
        .to_vec(),
        ..Snapshot::default()
    }
}

/// An empty world, before or after anything was added.
pub fn empty() -> Snapshot {
    world(Vec::new())
}

/// A download in full swing, with its detail.
pub fn download(name: &str, peers: usize) -> TorrentView {
    let mut numbers = Numbers::new(name.bytes().fold(7, |sum: u64, b| sum.wrapping_mul(31).wrapping_add(u64::from(b))));
    let peers = self::peers(&mut numbers, peers);
    let cells = map(&mut numbers, 1996, 0.62);
    let have = cells.iter().map(|c| u32::from(c.have)).sum();
    let size = 3_909_091_328;
    TorrentView {
        name: name.into(),
        info_hash: Some(InfoHash([0xd5; 20])),
        size,
        wanted: size,
        done: size / 100 * 62,
        pieces: 1996,
        have,
        state: State::Downloading,
        down: peers.iter().map(|p| p.down).sum(),
        up: peers.iter().map(|p| p.up).sum(),
        downloaded: size / 100 * 62 + 3_400_000,
        uploaded: 1_430_000_000,
        wasted: 2_100_000,
        peers: peers.len() as u32,
        seeds: peers.iter().filter(|p| p.done >= 1.0).count() as u32,
        known: (peers.len() as u32 * 3).saturating_sub(2),
        eta: Some(Duration::from_secs(134)),
        active: Duration::from_secs(754),
        added: 1_793_437_200,
        why: sending(),
        detail: Some(Box::new(Detail {
            copies: 6.42,
            missing: 0,
            disconnected: departed(),
            sources: sources(),
            peer: peer_detail(&peers),
            piece: Some(piece_detail(&peers, &cells)),
            meta: meta(name),
            cells,
            peers,
            files: files(),
            trackers: trackers(),
            piece_length: 2 << 20,
            folder: "~/Downloads/debian".into(),
            log: log(),
        })),
        ..TorrentView::default()
    }
}

/// Most peers send, some choke.
fn sending() -> Diagnosis {
    let facts = Facts {
        state: State::Downloading,
        pieces: 1996,
        have: 1240,
        lacking: 756,
        active: 12,
        outstanding: 412 << 14,
        peers: 38,
        seeds: 9,
        interesting: 35,
        choking: 11,
        asked: 24,
        giving: 27,
        interested: 21,
        taking: 4,
        known: 112,
        down: 10_900_000,
        up: 1_200_000,
        unwritten: 1_200_000,
        disk_busy: 2,
        reach: Reachability::Open,
        ..Facts::default()
    };
    let reason = DownloadReason::Sending {
        sending: 27,
        peers: 38,
        choking: 11,
        snubbed: 0,
        unavailable: 0,
        spare: Spare { disk_busy: 2, limited: false },
    };
    Diagnosis { reason: Reason::Downloading(reason), facts: Some(Box::new(facts)) }
}

/// Most addresses do not answer.
fn nobody() -> Diagnosis {
    let failures = Failures { silent: 49, ..Failures::default() };
    let status = TrackerStatus::Failed("no peers".into());
    let tracker = TrackerState { url: "http://bttracker.debian.org:6969/announce".into(), status, failed: true };
    let facts = Facts { known: 57, failures, trackers: vec![tracker.clone()], ..Facts::default() };
    let tracker = Some(ExampleTracker { tracker, only: true });
    let reason = DownloadReason::NoPeers(NoPeers { known: 57, failures, tracker, ..NoPeers::default() });
    Diagnosis { reason: Reason::Downloading(reason), facts: Some(Box::new(facts)) }
}

/// A download that nobody gives anything to, with its detail.
pub fn stuck(name: &str) -> TorrentView {
    let mut view = download(name, 0);
    view.eta = None;
    view.known = 57;
    view.why = nobody();
    if let Some(detail) = &mut view.detail {
        detail.copies = 0.66;
        detail.missing = 678;
        detail.piece = None;
        for cell in &mut detail.cells {
            cell.active = 0;
            cell.rarest = 0;
        }
        for row in &mut detail.sources {
            row.failed = row.known.saturating_sub(1);
            row.connected = 0;
        }
    }
    view
}

/// A download of so many files, in folders of a hundred.
pub fn library(files: usize) -> TorrentView {
    let mut view = download("library", 3);
    if let Some(detail) = &mut view.detail {
        detail.files = (0..files)
            .map(|at| FileRow {
                index: at,
                path: format!("library/shelf {:03}/book {at:05}.epub", at / 100),
                size: 400_000 + (at as u64 * 7919) % 900_000,
                done: if at % 3 == 0 { 400_000 } else { 0 },
                priority: if at % 10 == 9 { Priority::Skip } else { Priority::Normal },
                eta: (at % 3 != 0).then(|| Duration::from_secs(60 + at as u64)),
            })
            .collect();
    }
    view
}

/// A folder that is seeded.
pub fn seed(name: &str) -> TorrentView {
    TorrentView {
        name: name.into(),
        size: 812_400_000,
        wanted: 812_400_000,
        done: 812_400_000,
        pieces: 775,
        have: 775,
        state: State::Seeding,
        up: 2_210_000,
        downloaded: 812_400_000,
        uploaded: 1_498_000_000,
        peers: 4,
        known: 9,
        active: Duration::from_secs(80_000),
        why: Reason::Seeding(SeedingReason {
            held: HeldData::Complete,
            upload: UploadReason::Uploading { receiving: 2, interested: 4 },
        })
        .into(),
        ..TorrentView::default()
    }
}

/// A torrent of that state, with plausible numbers.
pub fn other(name: &str, state: State, percent: u64) -> TorrentView {
    let size = 41_200_000_000 / (1 + name.len() as u64 % 7);
    let full = "the disk is full: free some space in ~/Downloads, it goes on by itself";
    let error = (state == State::Error).then(|| full.to_owned());
    let reason = match (error.clone(), state) {
        (Some(text), _) => Reason::Fault(DiskFault { kind: FaultKind::Final, text }),
        (None, State::Paused) => Reason::Paused,
        (None, State::Checking) => Reason::Checking(PieceProgress { done: 4420, total: 9823 }),
        (None, State::Queued) => Reason::Queued(None),
        (None, State::Downloading) => Reason::Downloading(DownloadReason::Sending {
            sending: 1,
            peers: 1,
            choking: 0,
            snubbed: 0,
            unavailable: 0,
            spare: Spare::default(),
        }),
        _ => Reason::Unknown,
    };
    TorrentView {
        name: name.into(),
        size,
        wanted: size,
        done: size / 100 * percent,
        pieces: 9823,
        have: 98 * percent as u32,
        checked: 4420,
        state,
        error,
        why: reason.into(),
        ..TorrentView::default()
    }
}

/// The world of the pictures.
pub fn busy() -> Snapshot {
    let slow = TorrentView {
        down: 312_000,
        peers: 1,
        known: 1,
        eta: Some(Duration::from_secs(33_000)),
        state: State::Downloading,
        ..other("backup-2026", State::Downloading, 4)
    };
    world(vec![
        download("debian-13.1.0-amd64-DVD-1.iso", 38),
        seed("holiday-photos"),
        slow,
        other("archlinux-2026.03.01-x86_64.iso", State::Checking, 0),
        other("Big Buck Bunny 4K", State::Paused, 71),
        other("Κλασική μουσική (FLAC)", State::Queued, 0),
        other("freebsd-15.0-release", State::Error, 38),
    ])
}

/// Five hundred torrents, the first with two thousand peers.
pub fn crowd() -> Snapshot {
    let mut numbers = Numbers::new(500);
    let mut torrents = vec![download("a-very-popular-torrent", 2000)];
    for at in 1..500 {
        let states = [State::Downloading, State::Seeding, State::Paused, State::Queued, State::Checking];
        let state = states[numbers.below(5) as usize];
        let mut view = other(&format!("torrent number {at:03}"), state, numbers.below(101));
        view.down = numbers.below(4) * 321_000;
        view.known = numbers.below(200) as u32;
        view.peers = view.known / 2;
        torrents.push(view);
    }
    world(torrents)
}

fn peers(numbers: &mut Numbers, count: usize) -> Vec<PeerRow> {
    let clients =
        ["qBittorrent 5.2.3", "Transmission 4.1.3", "libtorrent 2.0.11", "Deluge 2.2.0", "µTorrent 3.6", "ttui 0.1.0"];
    let sources = [Source::Tracker, Source::Pex, Source::Dht, Source::Lan, Source::Incoming];
    (0..count)
        .map(|at| {
            let chokes_us = numbers.below(10) < 3;
            let snubbed = numbers.below(20) == 0;
            let down = if chokes_us { 0 } else { numbers.below(700_000) };
            let up = if numbers.below(3) == 0 { numbers.below(150_000) } else { 0 };
            let done = if numbers.below(4) == 0 { 1.0 } else { numbers.below(1000) as f32 / 1000.0 };
            let ip = if at % 9 == 4 {
                IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x85a3, at as u16, 0, 0x8a2e, 0x370, 0x7334))
            } else {
                IpAddr::V4(Ipv4Addr::from(0x0b00_0000 + (numbers.next() as u32 & 0xbfff_ffff)))
            };
            PeerRow {
                key: at as u64 + 1,
                addr: SocketAddr::new(ip, 1024 + numbers.below(60_000) as u16),
                host: None,
                client: clients[numbers.below(6) as usize].into(),
                flags: format!(
                    "{}{}{}",
                    if chokes_us { "d" } else { "D" },
                    if up > 0 { "U" } else { "u" },
                    ["E", "EP", "X", "EX", "H", ""][numbers.below(6) as usize]
                ),
                done,
                down,
                up,
                downloaded: down * numbers.below(300),
                uploaded: up * numbers.below(300),
                requests_out: if chokes_us { 0 } else { numbers.below(64) as u32 },
                requests_in: if up > 0 { numbers.below(12) as u32 } else { 0 },
                source: sources[numbers.below(5) as usize],
                age: Duration::from_secs(numbers.below(4000)),
                peer_choking: chokes_us,
                am_choking: up == 0,
                am_interested: done > 0.1,
                peer_interested: up > 0,
                snubbed,
                failed: 0,
            }
        })
        .collect()
}

/// Pieces as rarest first leaves them: scattered, with a few under way.
fn map(numbers: &mut Numbers, pieces: usize, done: f64) -> Vec<PieceMapCell> {
    (0..pieces)
        .map(|at| {
            let wave = ((at as f64 / 211.0).sin() + (at as f64 / 83.0).cos()) * 0.3;
            let have = numbers.below(1000) as f64 / 1000.0 < done + wave;
            let active = !have && numbers.below(24) == 0;
            PieceMapCell {
                pieces: 1,
                have: u16::from(have),
                active: u16::from(active),
                rarest: if have { 0 } else { 1 + numbers.below(9) as u16 },
            }
        })
        .collect()
}

/// The peer that gives most, looked at closely.
fn peer_detail(peers: &[PeerRow]) -> Option<PeerDetail> {
    let row = peers.iter().max_by_key(|row| row.down + row.up)?;
    let timeline = [
        (0, PeerEvent::Dialled),
        (1, PeerEvent::Named),
        (1, PeerEvent::AmInterested),
        (4, PeerEvent::UnchokedUs),
        (5, PeerEvent::FirstBlock),
        (64, PeerEvent::ChokedUs),
        (74, PeerEvent::UnchokedUs),
        (75, PeerEvent::Unchoked),
    ];
    Some(PeerDetail {
        key: row.key,
        peer_id: "-qB5230-a1b2c3d4e5f6".into(),
        transport: PeerTransport::Tcp(Encryption::Rc4),
        capabilities: vec![Capability::Fast, Capability::Extended, Capability::Pex],
        reqq: 500,
        pipeline: 64,
        pieces: 1996,
        wanted: 667,
        failed: 3,
        choked_us: 0.12,
        choked_it: 0.74,
        timeline: timeline.map(|(at, event)| TimelineEntry { at: Duration::from_secs(at), event }).to_vec(),
    })
}

/// The first piece that is under way, looked at closely.
fn piece_detail(peers: &[PeerRow], cells: &[PieceMapCell]) -> PieceDetail {
    let index = cells.iter().position(|cell| cell.active > 0).unwrap_or(0) as u32;
    PieceDetail {
        index,
        size: 2 << 20,
        have: false,
        blocks: 128,
        received: 96,
        files: vec!["debian/debian-13.1.0-amd64-DVD-1.iso".into()],
        peers_with_piece: 6,
        fastest_holders: peers.iter().take(4).map(|row| row.addr).collect(),
        asked: peers.iter().take(2).map(|row| RequestedBlocks { peer: row.addr, blocks: 16 }).collect(),
        asked_web: Vec::new(),
        age: Some(Duration::from_secs(4)),
        fails: 1,
    }
}

fn meta(name: &str) -> TorrentMeta {
    TorrentMeta {
        comment: Some("Debian DVD from cdimage.debian.org".into()),
        created_by: Some("mktorrent 1.1".into()),
        created: Some(1_757_160_000),
        source: None,
        web_seeds: vec!["https://cdimage.debian.org/cdimage/".into()],
        magnet: format!("magnet:?xt=urn:btih:{}&dn={}", "d5".repeat(20), name.replace(' ', "+")),
        refused_trackers: Vec::new(),
    }
}

fn departed() -> Vec<DisconnectedPeer> {
    let row = |at: u8, client: &str, ago, stayed, downloaded, why: DisconnectReason| DisconnectedPeer {
        addr: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(203, 0, 113, at)), 6881),
        host: None,
        client: client.into(),
        source: if at == 9 { Source::Pex } else { Source::Tracker },
        ago: Duration::from_secs(ago),
        connected_for: Duration::from_secs(stayed),
        downloaded,
        uploaded: downloaded / 3,
        why,
    };
    vec![
        row(9, "Xunlei 7.9.0", 693, 42, 5_200_000, DisconnectReason::Banned("bad data in piece 812".into())),
        row(17, "qBittorrent 5.2.3", 240, 310, 48_100_000, DisconnectReason::Closed),
        row(40, "", 65, 10, 0, DisconnectReason::TimedOut("handshake")),
        row(81, "Transmission 4.1.3", 12, 700, 0, DisconnectReason::Useless),
    ]
}

fn sources() -> Vec<SourceRow> {
    let row = |source, known, failed, connected, last: Option<&str>| SourceRow {
        source,
        known,
        failed,
        connected,
        last_failure: last.map(|text| SourceFailure::Peer(DisconnectReason::Network(text.to_owned()))),
        ..SourceRow::new(source)
    };
    vec![
        row(Source::Tracker, 50, 23, 19, Some("connection refused")),
        row(Source::Pex, 31, 18, 8, Some("no answer in 10 s")),
        row(Source::Dht, 22, 4, 6, Some("no route to host")),
        row(Source::Incoming, 5, 0, 5, None),
    ]
}

fn files() -> Vec<FileRow> {
    let row = |index, path: &str, size, share: u64, priority| FileRow {
        index,
        path: path.into(),
        size,
        done: size / 100 * share,
        priority,
        eta: (share < 100 && priority != Priority::Skip).then(|| Duration::from_secs(30 + size / 20_000_000)),
    };
    vec![
        row(0, "debian/debian-13.1.0-amd64-DVD-1.iso", 3_200_000_000, 71, Priority::Normal),
        row(1, "debian/extra/firmware-13.1.0.tar.xz", 612_000_000, 28, Priority::High),
        row(2, "debian/extra/sources.list", 91_328, 100, Priority::Normal),
        row(3, "debian/SHA512SUMS", 4_000, 0, Priority::Low),
        row(4, "debian/trailer.mkv", 96_996_000, 0, Priority::Skip),
    ]
}

fn trackers() -> Vec<TrackerRow> {
    let row = |tier, url: &str, status: TrackerStatus, failed| TrackerRow {
        index: tier as usize,
        tier,
        url: url.into(),
        status,
        failed,
        seeds: (!failed).then_some(112),
        leechers: (!failed).then_some(31),
        completed: (!failed).then_some(12_040),
        last: (!failed).then_some(Duration::from_secs(297)),
        next: Some(Duration::from_secs(if failed { 95 } else { 1503 })),
        peers: (!failed).then_some(50),
    };
    vec![
        row(0, "http://bttracker.debian.org:6969/announce", TrackerStatus::Working, false),
        row(
            1,
            "udp://tracker.example.org:1337",
            TrackerStatus::Failed("no answer in 15 s; again in 2 min".into()),
            true,
        ),
    ]
}

fn log() -> Vec<LogLine> {
    [
        (0, "added, 1,996 pieces to fetch"),
        (1, "tracker bttracker.debian.org returned 50 peers"),
        (1, "tracker tracker.example.org did not answer in 15 s"),
        (4, "first block from 192.0.2.17:51413"),
        (61, "piece 812 failed its hash: 203.0.113.9:6881 sent bad data and is banned"),
        (302, "50% complete"),
        (640, "peer exchange: 31 peers"),
    ]
    .map(|(second, text)| LogLine { ago: Duration::from_secs(754 - second), text: text.to_owned() })
    .to_vec()
}
