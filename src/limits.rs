//! Limits and timeouts that protect the client from untrusted input and remote peers, in one table.
//!
//! Sizes are in bytes, times are [`Duration`]s. A limit that is configurable is a default here and a key in
//! [`crate::config`]; all others are constants on purpose.

use std::time::Duration;

pub const KIB: usize = 1024;
pub const MIB: usize = 1024 * KIB;

// --- metainfo -----------------------------------------------------------------------------------

/// Maximum nesting depth of bencode.
pub const BENCODE_DEPTH: usize = 32;
/// Maximum number of tokens (strings, integers, openings) in a bencoded value.
///
/// Enough for [`FILES`] files with all the keys that torrent creators add. Tokenizing allocates no memory.
pub const BENCODE_TOKENS: usize = 32 * FILES;
/// Maximum size of a `.torrent` file.
pub const TORRENT_FILE: u64 = 64 * MIB as u64;
/// Maximum size of an `info` dictionary received from peers (BEP 9).
pub const METADATA: usize = 30 * MIB;
/// Maximum number of pieces in a torrent.
pub const PIECES: u32 = 1 << 21;
/// Maximum piece length.
pub const PIECE_LENGTH: u64 = 512 * MIB as u64;
/// Maximum number of files in a torrent.
pub const FILES: usize = 1_000_000;
/// Maximum length of a path component, in bytes of UTF-8.
pub const PATH_COMPONENT: usize = 255;
/// Maximum length of a relative path, in bytes.
///
/// Leaves room for the download directory below the usual 4,096.
pub const PATH_LENGTH: usize = 3072;
/// Maximum number of components in a path.
pub const PATH_DEPTH: usize = 100;
/// Maximum number of trackers kept per torrent.
pub const TRACKERS: usize = 100;
/// Maximum length of a magnet link, in bytes.
pub const MAGNET: usize = 64 * KIB;
/// Maximum length of a file or HTTP response in which magnet links are looked for.
pub const MAGNET_FILE: usize = 2 * MIB;
/// Maximum number of file ranges in the `so` parameter of a magnet link (BEP 53).
pub const MAGNET_SELECT: usize = 1000;
/// Maximum number of `.torrent` URLs (`xs`, `as`) kept from a magnet link.
pub const EXACT_SOURCES: usize = 8;
/// Maximum number of peer host names resolved per tracker response or magnet link.
pub const PEER_NAMES: usize = 10;
/// Maximum length of a tracker URL, in bytes.
pub const TRACKER_URL: usize = 2048;

// --- peer protocol ------------------------------------------------------------------------------

/// Size of the blocks that we request (BEP 3).
pub const BLOCK: u32 = 16 * KIB as u32;
/// Maximum size of a block that we serve.
pub const BLOCK_SERVED: u32 = 128 * KIB as u32;
/// Maximum size of any received message.
pub const MESSAGE: usize = MIB;
/// Maximum size of an unknown message; larger ones close the connection instead of being skipped.
pub const UNKNOWN_MESSAGE: usize = MIB;
/// Maximum number of queued requests per peer; sent to the peer as `reqq` (BEP 10).
pub const REQUESTS_IN: usize = 2000;
/// Number of requests beyond [`REQUESTS_IN`] after which a peer is disconnected.
pub const REQUESTS_IN_EXCESS: usize = 8000;
/// Maximum number of in-flight requests to a peer that sent no `reqq` (BEP 10).
pub const REQUESTS_OUT_UNTOLD: usize = 250;
/// Maximum number of in-flight requests to any peer: 2,000 blocks are 200 ms at 160 MB/s.
pub const REQUESTS_OUT: usize = 2000;
/// Maximum payload bytes handed to the writer of a peer and not yet accepted by the socket.
pub const SEND_WINDOW: usize = MIB;
/// Number of control messages queued in the writer of a peer at which the peer is disconnected.
pub const SEND_QUEUE: usize = 20_000;
/// Number of unrequested blocks after which a peer is disconnected.
pub const UNASKED_BLOCKS: u32 = 64;
/// Burst limit of messages other than blocks and requests; beyond it they count as a flood.
pub const CHATTER_BURST: u32 = 60_000;
/// Refill rate of [`CHATTER_BURST`], in messages per second.
pub const CHATTER_RATE: u32 = 1_000;
/// Maximum length of a client name, in characters.
pub const CLIENT_NAME: usize = 40;
/// Maximum bytes of incomplete metadata per torrent: room for two attempts of maximum size.
pub const METADATA_HELD: usize = 2 * METADATA + 4 * MIB;
/// Timeout of a metadata request (BEP 9); then the piece is requested elsewhere and the peer backs off.
pub const METADATA_ANSWER: Duration = Duration::from_secs(12);
/// Maximum bytes of bitfields kept before the metadata is known, over all peers of a torrent.
pub const EARLY_HELD: usize = 16 * MIB;
/// Burst limit of metadata pieces sent to one peer (BEP 9): 4 MiB, more than nearly all metadata.
pub const METADATA_BURST: u32 = 256;
/// Rate limit of metadata pieces sent to one peer after the burst, per second.
///
/// Requests beyond it are rejected.
pub const METADATA_RATE: u32 = 32;
/// Burst limit of metadata pieces sent to all peers of a torrent.
///
/// Bounds what is queued for slow readers to 8 MiB.
pub const METADATA_BURST_ALL: u32 = 512;
/// Rate limit of metadata pieces sent to all peers of a torrent after the burst, per second.
pub const METADATA_RATE_ALL: u32 = 128;
/// Maximum size of an extension handshake (BEP 10).
pub const EXTENDED_HANDSHAKE: usize = 64 * KIB;
/// Maximum size of a PEX message (BEP 11): 200 addresses of both families take 5 KiB.
pub const PEX_MESSAGE: usize = 64 * KIB;
/// Maximum number of addresses in the first PEX message, received or sent.
pub const PEX_FIRST: usize = 200;
/// Maximum number of addresses in each later PEX message, received or sent (BEP 11).
pub const PEX_LATER: usize = 50;
/// Minimum interval between two PEX messages sent to a peer (BEP 11).
pub const PEX_INTERVAL: Duration = Duration::from_secs(60);
/// PEX messages received sooner than this after the previous one are ignored.
///
/// Slightly less than the minute of BEP 11, to tolerate clock and network jitter.
pub const PEX_EARLY: Duration = Duration::from_secs(45);
/// Number of early PEX messages in a row after which a peer is disconnected.
pub const PEX_STORM: u32 = 50;

/// Maximum number of addresses remembered per peer from its PEX messages.
pub const PEX_NAMED: usize = 500;
/// Burst limit of `rendezvous` requests per peer (BEP 55); each may cause a dial.
pub const INTRODUCTIONS_BURST: u32 = 20;
/// Rate limit of `rendezvous` requests per peer after the burst, per second.
pub const INTRODUCTIONS_RATE: u32 = 1;
/// Maximum number of addresses with a `rendezvous` request of ours on record.
pub const INTRODUCTIONS_ASKED: usize = 256;
/// Minimum interval between two `rendezvous` requests for the same address.
pub const INTRODUCTION_AGAIN: Duration = Duration::from_secs(10 * 60);

/// Maximum bytes of initial payload in an encrypted handshake (MSE).
///
/// Far more than the first messages of any client.
pub const MSE_PAYLOAD: usize = 16 * KIB;

// --- connections --------------------------------------------------------------------------------

/// Timeout of a connection attempt.
pub const CONNECT: Duration = Duration::from_secs(10);
/// Timeout of the whole handshake.
pub const HANDSHAKE: Duration = Duration::from_secs(10);
/// Timeout of the handshake if a fallback remains: plain after encrypted, or encrypted after plain.
pub const HANDSHAKE_FIRST: Duration = Duration::from_secs(5);
/// A peer that sends nothing for this long is disconnected.
pub const IDLE: Duration = Duration::from_secs(125);
/// A keep-alive is sent after this long without another message.
pub const KEEP_ALIVE: Duration = Duration::from_secs(100);
/// A write without progress for this long closes the connection.
pub const WRITE: Duration = Duration::from_secs(60);
/// Timeout of a block request; then the peer is snubbed and the block is requested elsewhere.
pub const REQUEST: Duration = Duration::from_secs(30);
/// Maximum number of dials in progress, over all torrents.
///
/// Sized for swarms of mostly dead addresses: this many unanswered dials are cleared in two seconds.
pub const HALF_OPEN_OUT: usize = 128;
/// Maximum number of dials queued or in progress per torrent.
///
/// Above [`HALF_OPEN_OUT`] because unanswered dials are replaced only if others wait. Includes the uTP dials that
/// follow failed TCP dials, which are limited separately.
pub const DIALS_TORRENT: usize = HALF_OPEN_OUT + UTP_CALLS + 32;
/// Maximum number of incoming connections in the handshake.
pub const HALF_OPEN_IN: usize = 50;
/// Maximum number of connected peers per torrent (default).
pub const PEERS_TORRENT: usize = 200;
/// Maximum number of connected peers over all torrents (default).
pub const PEERS_ALL: usize = 1000;
/// Maximum number of active downloads in the interface (default).
///
/// Each may then have [`PEERS_TORRENT`] of the [`PEERS_ALL`] connections; more downloads would compete for peers.
pub const ACTIVE: u32 = 5;
/// Maximum number of addresses in the peer list of a torrent.
pub const KNOWN_PEERS: usize = 3000;
/// Maximum number of LAN addresses in the peer list of a torrent; they are dialed before all others.
pub const LAN_PEERS: usize = 200;
/// Maximum number of LAN addresses per host: room for a few clients, not for a flood of ports.
pub const LAN_PER_HOST: usize = 4;
/// Maximum number of LSD datagrams read per second; the system drops the rest.
pub const LAN_DATAGRAMS: u32 = 200;
/// Maximum number of distinct LSD addresses passed to torrents per minute.
pub const LAN_TOLD: usize = 1000;
/// Delay between the first dials of PEX and DHT addresses in the same /24 (IPv6: /64).
pub const NEIGHBOUR_WAIT: Duration = Duration::from_secs(10);
/// Maximum number of neighbors that add to that delay.
pub const NEIGHBOURS_WAIT: usize = 60;
/// Maximum number of hosts whose vote on our external IP is kept.
pub const VOICES: usize = 64;
/// Maximum number of peers used from a tracker response.
pub const PEERS_PER_REPLY: usize = 200;

// --- disk ---------------------------------------------------------------------------------------

/// Maximum bytes requested or received and not yet written, over all torrents (default).
pub const BUDGET: u64 = 48 * MIB as u64;
/// Minimum share of [`BUDGET`] per torrent: enough to keep its peers busy.
pub const BUDGET_LEAST: u64 = 16 * BLOCK as u64;
/// File descriptors reserved for everything except data files and peers.
///
/// Covers listeners, the UDP port, trackers, the log, session files, files being hashed, connections being opened.
pub const DESCRIPTORS_KEPT: usize = 48;
/// Maximum number of open data files and journals.
pub const FILES_OPEN: usize = 1024;
/// Minimum of [`FILES_OPEN`] when descriptors are scarce.
pub const FILES_OPEN_LEAST: usize = 4;
/// Minimum length of a write that gets a system call of its own.
pub const WRITE_RUN: usize = 256 * KIB;

// --- trackers -----------------------------------------------------------------------------------

/// Maximum size of a tracker response after decompression.
pub const TRACKER_REPLY: u64 = MIB as u64;
/// Timeout of a whole announce.
pub const TRACKER: Duration = Duration::from_secs(30);
/// Timeout of a connection to a tracker.
pub const TRACKER_CONNECT: Duration = Duration::from_secs(10);
/// Maximum number of HTTP redirects followed.
pub const REDIRECTS: u32 = 3;
/// Maximum number of announces in progress.
pub const ANNOUNCES: usize = 10;
/// Minimum interval between two announces to a tracker.
pub const INTERVAL_MIN: Duration = Duration::from_secs(60);
/// Maximum interval between two announces to a tracker.
pub const INTERVAL_MAX: Duration = Duration::from_secs(12 * 3600);
/// Interval if the tracker sends none.
pub const INTERVAL_DEFAULT: Duration = Duration::from_secs(1800);
/// Maximum length of a tracker's message, in characters.
pub const TRACKER_TEXT: usize = 200;

// --- DHT ----------------------------------------------------------------------------------------

/// Maximum size of a DHT packet: an Ethernet frame, with some tolerance.
pub const DHT_PACKET: usize = 2048;
/// Maximum length of a transaction id.
pub const DHT_TRANSACTION: usize = 32;
/// Maximum length of a token.
pub const DHT_TOKEN: usize = 64;
/// Maximum number of peers kept per lookup.
pub const DHT_VALUES: usize = 200;
/// Maximum number of torrents in the peer store.
pub const DHT_TORRENTS: usize = 2_000;
/// Maximum number of peers per torrent in the peer store.
pub const DHT_PEERS: usize = 500;
/// Maximum number of peers per torrent and host: several clients behind one NAT.
pub const DHT_PEERS_HOST: usize = 8;
/// Lifetime of an announced peer. BEP 5 specifies none; clients announce every 15 minutes.
pub const DHT_PEER_AGE: Duration = Duration::from_secs(45 * 60);
/// Maximum number of queries per second from one host.
pub const DHT_QUERIES_HOST: u32 = 5;
/// Maximum bytes of responses per second, to all hosts together; local networks are exempt.
pub const DHT_ANSWERS: u32 = 8 * KIB as u32;
/// Maximum ratio of response to query size for hosts with an unverified address.
///
/// Limits amplification attacks with spoofed source addresses.
pub const DHT_AMPLIFICATION: usize = 3;
/// Maximum size of a response.
pub const DHT_ANSWER: usize = 1_200;
/// Maximum number of nodes per subnet (/24, IPv6 /64) in the routing table; local networks are exempt.
pub const DHT_NODES_NETWORK: usize = 8;
/// Maximum number of candidates per subnet (/24, IPv6 /64) in a lookup.
pub const DHT_LOOKUP_NETWORK: usize = 2;
/// Timeout of a query.
pub const DHT_TIMEOUT: Duration = Duration::from_secs(8);
/// A query unanswered for this long is slow: another node is queried in addition.
pub const DHT_SLOW: Duration = Duration::from_millis(1500);
/// Maximum number of peer lookups in progress.
pub const DHT_LOOKUPS: usize = 8;
/// Maximum number of queued peer lookups.
pub const DHT_LOOKUPS_WAITING: usize = 4096;
/// Maximum number of pending queries, over all lookups.
pub const DHT_QUESTIONS: usize = 256;
/// First delay between bootstrap attempts; doubles each time.
pub const DHT_RETRY: Duration = Duration::from_secs(60);
/// Maximum delay between bootstrap attempts.
pub const DHT_RETRY_MOST: Duration = Duration::from_secs(1800);
/// Maximum size of the saved DHT state.
pub const DHT_FILE: u64 = 64 * KIB as u64;
/// Maximum number of saved nodes.
pub const DHT_FILE_NODES: usize = 300;

// --- uTP ----------------------------------------------------------------------------------------

/// Maximum size of a uTP packet: path MTU discovery over loopback yields larger packets than Ethernet.
pub const UTP_PACKET: usize = 9 * KIB;
/// Receive window of a connection: bytes in flight to us or received and not consumed.
pub const UTP_WINDOW: usize = 512 * KIB;
/// Maximum number of packets in flight per connection and direction.
///
/// Must be far below half of the sequence number space.
pub const UTP_PACKETS: usize = 1024;
/// Maximum number of incoming connections with an unverified address; each costs a few hundred bytes.
pub const UTP_CALLERS: usize = 256;
/// Time in which an incoming connection must verify its address.
pub const UTP_CALLER: Duration = Duration::from_secs(10);
/// Maximum number of uTP connections, including those being closed.
pub const UTP_LINKS: usize = 4096;
/// Maximum number of uTP dials in progress, to peers that did not answer over TCP.
pub const UTP_CALLS: usize = 64;
/// Maximum number of RESET packets per second sent in reply to packets of unknown connections.
pub const UTP_RESETS: u32 = 100;

// --- web seeds ----------------------------------------------------------------------------------

/// Maximum number of web seeds kept per torrent.
pub const WEB_SEEDS: usize = 100;
/// Maximum number of web seeds in use per torrent.
///
/// Each costs a thread and a connection, and one fills most links.
pub const WEB_SEEDS_AT_ONCE: usize = 4;
/// First back-off of a web seed after a failure; triples each time.
pub const WEB_SEED_BACKOFF: Duration = Duration::from_secs(5);
/// Maximum back-off of a web seed, also for a `Retry-After` of the server.
pub const WEB_SEED_BACKOFF_MOST: Duration = Duration::from_secs(1800);
/// Number of missing files in a row after which a web seed backs off.
///
/// The creator of a torrent chooses its web seeds and must not be able to aim a million futile requests at a server.
pub const WEB_SEED_LACKS: u32 = 16;
/// Timeout of each step of a web seed request: connect, response head, each read.
pub const WEB_SEED_READ: Duration = Duration::from_secs(25);
/// Maximum number of blocks per web seed request.
///
/// 8 MiB, so that one transfer lasts until the next one starts.
pub const WEB_SEED_RUN: usize = 512;
/// Maximum bytes read and discarded at the start of a file if a web seed ignores range requests.
///
/// Beyond that the transfer would be mostly waste.
pub const WEB_SEED_SKIP: u64 = 4 * MIB as u64;

// --- shutdown -----------------------------------------------------------------------------------

/// Deadline of the whole shutdown.
pub const SHUTDOWN: Duration = Duration::from_secs(5);
/// Deadline of the `stopped` announce.
pub const LAST_ANNOUNCE: Duration = Duration::from_secs(3);
