//! Every limit and deadline that protects us from strangers, in one table.
//!
//! Sizes are bytes, times are [`Duration`]s. A limit that a user may change is a default here and a key in
//! [`crate::config`]; the others are constants on purpose.

use std::time::Duration;

/// One KiB in bytes.
pub const KIB: usize = 1024;
/// One MiB in bytes.
pub const MIB: usize = 1024 * KIB;

// --- metainfo -----------------------------------------------------------------------------------

/// How deep bencode may nest.
pub const BENCODE_DEPTH: usize = 32;
/// How many tokens (strings, numbers, openings) a bencoded value may have: enough for [`FILES`] files with all that makers
/// say of one. Reading them takes no memory.
pub const BENCODE_TOKENS: usize = 32 * FILES;
/// The largest `.torrent` file that is read.
pub const TORRENT_FILE: u64 = 64 * MIB as u64;
/// The largest `info` dictionary taken from peers (BEP 9).
pub const METADATA: usize = 30 * MIB;
/// The most pieces a torrent may have.
pub const PIECES: u32 = 1 << 21;
/// The longest piece.
pub const PIECE_LENGTH: u64 = 512 * MIB as u64;
/// The most files in a torrent.
pub const FILES: usize = 1_000_000;
/// The longest path component, in bytes of UTF-8.
pub const PATH_COMPONENT: usize = 255;
/// The longest relative path, in bytes: leaves room for a download folder below the usual 4,096.
pub const PATH_LENGTH: usize = 3072;
/// The most components of a path.
pub const PATH_DEPTH: usize = 100;
/// The most trackers kept of a torrent.
pub const TRACKERS: usize = 100;
/// The longest magnet link, in bytes.
pub const MAGNET: usize = 64 * KIB;
/// The most runs of files that a magnet link may select.
pub const MAGNET_SELECT: usize = 1000;
/// The most places of a magnet link where its `.torrent` may lie.
pub const EXACT_SOURCES: usize = 8;
/// The most host names of peers that are looked up of one tracker's reply, or of one magnet link.
pub const PEER_NAMES: usize = 10;
/// The longest tracker URL.
pub const TRACKER_URL: usize = 2048;

// --- peer protocol ------------------------------------------------------------------------------

/// The block size that we ask for (BEP 3).
pub const BLOCK: u32 = 16 * KIB as u32;
/// The largest block that we serve.
pub const BLOCK_SERVED: u32 = 128 * KIB as u32;
/// The longest message of any kind that we take in.
pub const MESSAGE: usize = MIB;
/// The longest unknown message that is skipped rather than answered by closing.
pub const UNKNOWN_MESSAGE: usize = MIB;
/// Requests of one peer that we queue; told to it as `reqq` (BEP 10).
pub const REQUESTS_IN: usize = 2000;
/// Requests beyond [`REQUESTS_IN`] that are rejected or ignored before the peer is dropped.
pub const REQUESTS_IN_EXCESS: usize = 8000;
/// Requests outstanding at a peer that has not told its `reqq` (BEP 10).
pub const REQUESTS_OUT_UNTOLD: usize = 250;
/// Requests outstanding at any peer: 2,000 blocks are 200 ms at 160 MB/s.
pub const REQUESTS_OUT: usize = 2000;
/// Bytes of blocks handed to a peer's writer and not yet taken by its socket.
pub const SEND_WINDOW: usize = MIB;
/// Control messages waiting in a peer's writer before the peer is dropped.
pub const SEND_QUEUE: usize = 20_000;
/// Blocks that nobody asked for before their sender is dropped.
pub const UNASKED_BLOCKS: u32 = 64;
/// Messages other than blocks and requests that a peer may send in a burst before it counts as a flood.
pub const CHATTER_BURST: u32 = 60_000;
/// Messages a second by which that allowance grows again.
pub const CHATTER_RATE: u32 = 1_000;
/// The longest client name kept, in characters.
pub const CLIENT_NAME: usize = 40;
/// Bytes of unfinished metadata held of one torrent: two of the largest there may be, of peers that name other lengths.
pub const METADATA_HELD: usize = 2 * METADATA + 4 * MIB;
/// A piece of metadata that does not come in this time is asked elsewhere, and its holder left alone for a while.
pub const METADATA_ANSWER: Duration = Duration::from_secs(12);
/// Bytes kept of what peers say they have before the metadata is here, all peers of a torrent together.
pub const EARLY_HELD: usize = 16 * MIB;
/// Pieces of metadata that one peer gets at once (BEP 9): 4 MiB, more than nearly all metadata are.
pub const METADATA_BURST: u32 = 256;
/// Pieces of metadata a second that it gets after that; more are refused.
pub const METADATA_RATE: u32 = 32;
/// Pieces of metadata that all peers of a torrent get at once: 8 MiB may wait for peers that do not read.
pub const METADATA_BURST_ALL: u32 = 512;
/// Pieces of metadata a second that all of them get after that.
pub const METADATA_RATE_ALL: u32 = 128;
/// The largest extended handshake that is read at all.
pub const EXTENDED_HANDSHAKE: usize = 64 * KIB;
/// The longest peer exchange message that is read (BEP 11): 200 addresses of both families are 5 KiB.
pub const PEX_MESSAGE: usize = 64 * KIB;
/// Addresses taken from a peer's first peer exchange message, and told in ours.
pub const PEX_FIRST: usize = 200;
/// Addresses taken from each later one, and told in ours (BEP 11).
pub const PEX_LATER: usize = 50;
/// The shortest time between two peer exchange messages to one peer (BEP 11).
pub const PEX_INTERVAL: Duration = Duration::from_secs(60);
/// Peer exchange messages that come sooner than this after the one before are ignored: a little less than the minute
/// that BEP 11 asks for, since clocks and lines differ.
pub const PEX_EARLY: Duration = Duration::from_secs(45);
/// Of them so many in a row before their sender is dropped.
pub const PEX_STORM: u32 = 50;

/// Addresses kept of those that one peer has named.
pub const PEX_NAMED: usize = 500;
/// Introductions (BEP 55) that one peer may ask for at once, and that may make us call somebody.
pub const INTRODUCTIONS_BURST: u32 = 20;
/// So many a second more from then on.
pub const INTRODUCTIONS_RATE: u32 = 1;
/// Addresses that we may have asked to be introduced to.
pub const INTRODUCTIONS_ASKED: usize = 256;
/// The time before that is asked again of the same address.
pub const INTRODUCTION_AGAIN: Duration = Duration::from_secs(10 * 60);

/// The most bytes of the peer protocol that come with an encrypted handshake: far more than the handshake and the first
/// messages that some send with it.
pub const MSE_PAYLOAD: usize = 16 * KIB;

// --- connections --------------------------------------------------------------------------------

/// Time to connect to a peer.
pub const CONNECT: Duration = Duration::from_secs(10);
/// Time for the whole handshake, not for each read.
pub const HANDSHAKE: Duration = Duration::from_secs(10);
/// The same for an address that can be spoken to in another way: encrypted, or plainly.
pub const HANDSHAKE_FIRST: Duration = Duration::from_secs(5);
/// A peer that sends nothing for this long is dropped.
pub const IDLE: Duration = Duration::from_secs(125);
/// A peer to which nothing was sent for this long gets a keep-alive.
pub const KEEP_ALIVE: Duration = Duration::from_secs(100);
/// A write that makes no progress for this long ends the connection.
pub const WRITE: Duration = Duration::from_secs(60);
/// A requested block that does not come in this time makes its holder snubbed and is asked elsewhere.
pub const REQUEST: Duration = Duration::from_secs(30);
/// Dials under way at once, all torrents together. Where most addresses are dead, this many that are silent are seen
/// off in two seconds.
pub const HALF_OPEN_OUT: usize = 128;
/// Dials that one torrent asks for at once: some more than can be under way, since silent ones give way only to others
/// that wait. Those that uTP is tried for after TCP do not count against the others.
pub const DIALS_TORRENT: usize = HALF_OPEN_OUT + UTP_CALLS + 32;
/// Incoming connections in their handshake at once.
pub const HALF_OPEN_IN: usize = 50;
/// Connected peers of one torrent (default).
pub const PEERS_TORRENT: usize = 200;
/// Connected peers of all torrents together (default).
pub const PEERS_ALL: usize = 1000;
/// Downloads that the interface lets run at once (default): each may then have [`PEERS_TORRENT`] of the [`PEERS_ALL`]
/// connections, and more downloads would only take peers from each other.
pub const ACTIVE: u32 = 5;
/// Addresses remembered for a torrent.
pub const KNOWN_PEERS: usize = 3000;
/// Addresses of the local network remembered for a torrent: they are dialled before others.
pub const LAN_PEERS: usize = 200;
/// Of them, addresses of one host: it may run a few clients, and must not fill the list with ports.
pub const LAN_PER_HOST: usize = 4;
/// Datagrams of local discovery read in a second; those beyond are left to the system to drop.
pub const LAN_DATAGRAMS: u32 = 200;
/// Addresses of local discovery that are told to torrents in a minute, each once.
pub const LAN_TOLD: usize = 1000;
/// Of the addresses that peers and the DHT name in one /24 (IPv6: /64), each is called so much later than the one before.
pub const NEIGHBOUR_WAIT: Duration = Duration::from_secs(10);
/// Neighbours that lengthen that wait.
pub const NEIGHBOURS_WAIT: usize = 60;
/// Hosts whose word on our own address is kept.
pub const VOICES: usize = 64;
/// Addresses taken from one tracker reply.
pub const PEERS_PER_REPLY: usize = 200;

// --- disk ---------------------------------------------------------------------------------------

/// Bytes asked for and not yet written, all torrents together (default).
pub const BUDGET: u64 = 48 * MIB as u64;
/// The least of it that a torrent gets, however many share it: enough to keep its peers at work.
pub const BUDGET_LEAST: u64 = 16 * BLOCK as u64;
/// Descriptors kept for everything that is neither a data file nor a peer: listeners, the UDP port, trackers, the log, the
/// lists of torrents, files that are hashed, connections that are being opened.
pub const DESCRIPTORS_KEPT: usize = 48;
/// The most data files and journals open at once.
pub const FILES_OPEN: usize = 1024;
/// The least, however few descriptors there are.
pub const FILES_OPEN_LEAST: usize = 4;
/// The length of a write that is worth a call of its own.
pub const WRITE_RUN: usize = 256 * KIB;

// --- trackers -----------------------------------------------------------------------------------

/// The largest tracker reply, after decoding.
pub const TRACKER_REPLY: u64 = MIB as u64;
/// Time for one announce, all told.
pub const TRACKER: Duration = Duration::from_secs(30);
/// Time to connect to a tracker.
pub const TRACKER_CONNECT: Duration = Duration::from_secs(10);
/// Redirects followed.
pub const REDIRECTS: u32 = 3;
/// Announces under way at once.
pub const ANNOUNCES: usize = 10;
/// The shortest time between two announces to one tracker.
pub const INTERVAL_MIN: Duration = Duration::from_secs(60);
/// The longest.
pub const INTERVAL_MAX: Duration = Duration::from_secs(12 * 3600);
/// The interval where a tracker names none.
pub const INTERVAL_DEFAULT: Duration = Duration::from_secs(1800);
/// The longest text of a tracker that is kept, in characters.
pub const TRACKER_TEXT: usize = 200;

// --- DHT ----------------------------------------------------------------------------------------

/// The largest packet of a node that is read: what fits an Ethernet frame, and room for those who do not care.
pub const DHT_PACKET: usize = 2048;
/// The longest transaction id.
pub const DHT_TRANSACTION: usize = 32;
/// The longest token.
pub const DHT_TOKEN: usize = 64;
/// Peers kept of all answers to one lookup.
pub const DHT_VALUES: usize = 200;
/// Torrents of which we keep peers for others.
pub const DHT_TORRENTS: usize = 2_000;
/// Peers kept of each.
pub const DHT_PEERS: usize = 500;
/// Of them, of one host: several programs behind one router.
pub const DHT_PEERS_HOST: usize = 8;
/// How long an announce is kept (BEP 5 leaves it open; clients announce every quarter of an hour).
pub const DHT_PEER_AGE: Duration = Duration::from_secs(45 * 60);
/// Questions a second that one host may ask.
pub const DHT_QUERIES_HOST: u32 = 5;
/// Bytes a second of answers, to all together; local networks excepted.
pub const DHT_ANSWERS: u32 = 8 * KIB as u32;
/// An answer to a host that has not shown that it has its address is at most so many times as long as the question.
pub const DHT_AMPLIFICATION: usize = 3;
/// The longest answer.
pub const DHT_ANSWER: usize = 1_200;
/// Nodes of one /24 (IPv6: /64) in the table; local networks excepted.
pub const DHT_NODES_NETWORK: usize = 8;
/// Nodes of one /24 (IPv6: /64) among those that a lookup heeds.
pub const DHT_LOOKUP_NETWORK: usize = 2;
/// How long a node has to answer.
pub const DHT_TIMEOUT: Duration = Duration::from_secs(8);
/// After this time without an answer another node is asked beside it.
pub const DHT_SLOW: Duration = Duration::from_millis(1500);
/// Lookups under way at once.
pub const DHT_LOOKUPS: usize = 8;
/// Lookups waiting.
pub const DHT_LOOKUPS_WAITING: usize = 4096;
/// Questions under way at once, of all lookups.
pub const DHT_QUESTIONS: usize = 256;
/// The first wait before nodes to begin with are looked for again; it doubles each time.
pub const DHT_RETRY: Duration = Duration::from_secs(60);
/// The longest.
pub const DHT_RETRY_MOST: Duration = Duration::from_secs(1800);
/// The largest file of nodes that is read at a start.
pub const DHT_FILE: u64 = 64 * KIB as u64;
/// Nodes kept in it.
pub const DHT_FILE_NODES: usize = 300;

// --- uTP ----------------------------------------------------------------------------------------

/// The largest packet of uTP that is read: some find out that loopback takes larger ones than Ethernet does.
pub const UTP_PACKET: usize = 9 * KIB;
/// Bytes that one connection may have under way to us, or here and not yet taken.
pub const UTP_WINDOW: usize = 512 * KIB;
/// Packets of one connection under way in one direction: far from the half of the numbers that there are.
pub const UTP_PACKETS: usize = 1024;
/// Callers who have not shown yet that they have their addresses; each costs a few hundred bytes.
pub const UTP_CALLERS: usize = 256;
/// The time that they have for it.
pub const UTP_CALLER: Duration = Duration::from_secs(10);
/// Connections of uTP in all, with those that are being closed.
pub const UTP_LINKS: usize = 4096;
/// Calls by uTP under way to those who do not answer by TCP.
pub const UTP_CALLS: usize = 64;
/// Answers a second to packets of connections that are not known.
pub const UTP_RESETS: u32 = 100;

// --- web seeds ----------------------------------------------------------------------------------

/// Web seeds of one torrent that are kept.
pub const WEB_SEEDS: usize = 100;
/// Web seeds of one torrent that are asked at once: each costs a thread and a connection, and one fills most links.
pub const WEB_SEEDS_AT_ONCE: usize = 4;
/// Time until a web seed that failed is asked again; three times as long each time.
pub const WEB_SEED_BACKOFF: Duration = Duration::from_secs(5);
/// The longest such time, also when the server itself asks for more (`Retry-After`).
pub const WEB_SEED_BACKOFF_MOST: Duration = Duration::from_secs(1800);
/// Files in a row that a web seed may lack before it is left alone for a while: whoever makes a torrent names its web
/// seeds, and must not send us to somebody else's server a million times for what was never there.
pub const WEB_SEED_LACKS: u32 = 16;
/// Time for a web seed to send anything more: to connect, to answer, for each read of its answer.
pub const WEB_SEED_READ: Duration = Duration::from_secs(25);
/// Blocks asked of a web seed in one go: 8 MiB, so that one request lasts while the next is on its way.
pub const WEB_SEED_RUN: usize = 512;
/// Bytes of a file that are read and thrown away where a web seed ignores ranges. One that does so with larger files
/// would send far more than is of use.
pub const WEB_SEED_SKIP: u64 = 4 * MIB as u64;

// --- leaving ------------------------------------------------------------------------------------

/// Time for everything to stop.
pub const SHUTDOWN: Duration = Duration::from_secs(5);
/// Time for the last announce.
pub const LAST_ANNOUNCE: Duration = Duration::from_secs(3);
