//! The torrents and peers of the demo, and what each peer does.

use super::peer::{IDLE, Script};

/// Files of the torrent that is downloaded: path, size in bytes.
pub(super) const DOWNLOAD: (&str, &[(&str, u64)]) = (
    "open-movie-collection",
    &[
        ("a short film.mkv", 168_000_000),
        ("the making of.mkv", 96_000_123),
        ("soundtrack/01 overture.flac", 31_400_000),
        ("soundtrack/02 finale.flac", 24_600_001),
        ("license.txt", 1_074),
    ],
);
/// The torrent that is complete and seeded.
pub(super) const SEEDED: (&str, &[(&str, u64)]) =
    ("field-recordings-2026.flac", &[("field-recordings-2026.flac", 48_000_000)]);
/// The torrent of which nobody has all pieces.
pub(super) const STUCK: (&str, &[(&str, u64)]) = ("old-magazine-scans.pdf", &[("old-magazine-scans.pdf", 18_000_000)]);

/// Peers of the download: in all about 4.5 MB/s, so that it takes a little more than a minute.
pub(super) const UPLOADERS: &[Script] = &[
    Script { client: "qBittorrent/5.1.2", id: *b"-qB5120-", up: 1_300_000, ..IDLE },
    Script { client: "Transmission 4.0.6", id: *b"-TR4060-", up: 900_000, ..IDLE },
    Script { client: "Deluge/2.1.1", id: *b"-DE211s-", up: 500_000, have: 70, learns: 150_000, down: 200_000, ..IDLE },
    // Chokes for some seconds, again and again.
    Script { client: "rtorrent/0.9.8", id: *b"-lt0D80-", up: 900_000, turns: Some((9, 6)), ..IDLE },
    Script {
        client: "BiglyBT 3.8.0.0",
        id: *b"-BI3800-",
        up: 250_000,
        have: 45,
        learns: 300_000,
        down: 150_000,
        ..IDLE
    },
    Script { client: "KTorrent 23.8", id: *b"-KT23A8-", up: 60_000, ..IDLE },
    // Leaves in the middle.
    Script { client: "\u{b5}Torrent 3.6", id: *b"-UT360W-", up: 700_000, leaves: Some(24), ..IDLE },
    // Sends one piece that is damaged.
    Script { client: "aria2/1.37.0", id: *b"A2-1-37-", up: 350_000, lies: Some(8), ..IDLE },
    // Takes and gives nothing.
    Script { client: "Xunlei 0.0.1.9", id: *b"-XL0019-", have: 20, down: 100_000, ..IDLE },
    // Appear later.
    Script { client: "Tixati 3.31", id: *b"TIX0331-", up: 350_000, joins: 12, ..IDLE },
    Script {
        client: "rqbit 8.1.0",
        id: *b"-rQ0810-",
        up: 200_000,
        have: 30,
        learns: 200_000,
        down: 250_000,
        joins: 20,
        ..IDLE
    },
    Script { client: "WebTorrent 2.5.1", id: *b"-WW0251-", up: 500_000, joins: 30, ..IDLE },
];

/// Peers of the seeded torrent.
pub(super) const LEECHERS: &[Script] = &[
    Script { client: "qBittorrent/5.0.4", id: *b"-qB5040-", have: 0, down: 300_000, ..IDLE },
    Script { client: "Transmission 4.1.0", id: *b"-TR4100-", have: 30, down: 150_000, ..IDLE },
    Script { client: "libtorrent/2.0.11", id: *b"-LT20B0-", have: 60, down: 80_000, joins: 15, ..IDLE },
];

/// Peers of the torrent that is stuck: together they have three quarters of the pieces.
pub(super) const INCOMPLETE: &[Script] = &[
    Script { client: "rtorrent/0.15.1", id: *b"-lt0F10-", up: 400_000, have: 50, ..IDLE },
    Script { client: "qBittorrent/4.6.7", id: *b"-qB4670-", up: 300_000, have: 50, from: 25, ..IDLE },
];
