//! # The house of `ttui`
//!
//! `ttui` is a BitTorrent client for the terminal. In three sentences:
//! [`wire`] turns bytes into values. [`swarm`] turns values and the time into decisions. Everything else -
//! [`disk`], [`engine`], [`ui`] - carries bytes to them and carries decisions out, and decides nothing.
//!
//! ```text
//!              main, cli
//!             /        \
//!         engine        ui           engine and ui never see each other;
//!         /  |  \       /            they share only the words in `api`
//!     disk   |   `-- api
//!        \   |   ___/
//!          swarm
//!            |
//!           wire
//! ```
//!
//! | layer | may use | may never use (held by `tests/tidy.rs`) |
//! |---|---|---|
//! | [`wire`] | std; crates that are pure | other layers; clocks, sockets, files, threads |
//! | [`swarm`] | `wire` | clocks, randomly ordered maps, global randomness, channels, files, sockets |
//! | [`api`] | view types of `swarm`, ids of `wire` | `Instant`: snapshots hold durations and numbers |
//! | [`disk`] | geometry and job types of `swarm`, `wire` | `engine`, `ui`, `api`, sockets |
//! | [`engine`] | all below, [`config`] | `ui`; tokio outside `udp.rs` and what is below it; ureq outside `announce.rs` and what is below it |
//! | [`ui`] | `api`, `config` | `engine`, `disk`, `swarm`, `wire`; terminal events, clocks and files outside `run.rs`, `picker.rs` and `terminal_input.rs` |
//!
//! ## The machine
//!
//! One torrent is one value, [`swarm::torrent::Torrent`], changed by one method, `handle`: an
//! [`Input`](swarm::torrent::Input) comes in, [`Effect`](swarm::torrent::Effect)s come out, time is an argument. It can
//! neither block nor fail. A thread owns the value while the torrent runs; nothing owns it while it is paused.
//! The same value runs in a seeded simulator (`tests/swarm_sim.rs`).
//!
//! ## The way of a block
//!
//! 1. The peer's reader thread reads up to 256 KiB in one call and slices messages out of it without copying payload.
//! 2. It sends one `Input::Wire` per read to the torrent thread.
//! 3. The torrent thread decides: was this block asked of this peer? If so: refill the pipeline, `DiskJob::Write`.
//! 4. The peer's writer thread sends the refill in one write.
//! 5. A disk thread (shard = piece mod n) collects the blocks of a piece, hashes the growing prefix and writes long runs.
//! 6. The torrent thread concludes: `Have` to the others, or the piece is wanted again and the blame goes to one peer.
//! 7. At most every 250 ms it publishes a view; the session folds it into an `Arc<Snapshot>`; the screen draws it.
//!
//! ## The way of a magnet
//!
//! 1. A torrent of which only the info-hash is known is the same machine in a phase of its own: it has trackers and
//!    peers, and no pieces. What peers say of theirs is kept (`swarm::peer::Early`).
//! 2. [`swarm::metadata::Search`] asks several peers at once for the `info` dictionary and judges what they send, peer by
//!    peer. What has the right hash leaves the machine as `Effect::Metadata`.
//! 3. The session has it judged as every `.torrent`, keeps it, opens the files, and, where the user wishes to choose among
//!    them, asks first.
//! 4. `Input::Described` brings what it is made of. The peers are still there, and what they said holds: the first block is
//!    asked for in the same moment.
//!
//! ## The way of an address
//!
//! 1. Trackers ([`engine::announce`], [`engine::udp`]), the DHT ([`engine::dht`] around [`swarm::dht`]), peers
//!    ([`swarm::exchange`]), the local network ([`swarm::local`]), a magnet link and the user name addresses. Each comes to
//!    the torrent as `Input::Found` with its source; where the torrent is private, only trackers and the user are heard.
//! 2. [`swarm::candidates`] keeps them, a bounded number in which no source pushes out another, knows who answered before and in which manner,
//!    and says whom to call next: the local network first, then those known to be good, then by [`swarm::priority`].
//! 3. `Effect::Dial` asks [`engine::dials`] for one of the places that all torrents share; torrents, sources and address
//!    families take turns, and a call that stays silent lets the next one begin beside it.
//! 4. [`engine::greet`] - one thread for all connections that are being born, ours and those that call us - connects,
//!    encrypts where that is wanted ([`wire::mse`]) and shakes hands. What comes through gets its reader and its writer
//!    thread; what does not goes back to the candidates as `Input::DialFailed`, with the reason that the screen shows.
//! 5. Whom TCP does not reach is called by uTP ([`engine::utp`], around a [`swarm::utp::Link`] for each connection), and
//!    whoever calls by it is greeted like any other: a local pair of sockets stands between, so that readers and writers
//!    need not know. DHT and uTP share one UDP port and its thread ([`engine::datagrams`]).
//! 6. An address that a peer named and that is not reached by either is asked for at that peer: it introduces us to each
//!    other (BEP 55, `swarm::torrent`), and both call by uTP at the same time.
//! 7. A web seed ([`swarm::web_seeds`]) is a peer without an address: a thread of its own turns requests into ranges.
//!
//! ## Limits
//!
//! Every bound that protects us from strangers stands in one table: [`limits`].

pub mod cli;
pub mod config;
pub mod limits;

pub mod wire {
    //! Bytes to values and back. Pure: knows no torrent's state, no clock, no socket.
    pub mod bencode;
    pub mod client;
    pub mod extension;
    pub mod host;
    pub mod krpc;
    pub mod link;
    pub mod lsd;
    pub mod magnet;
    pub mod message;
    pub mod metainfo;
    pub mod mse;
    pub mod nat;
    pub mod rc4;
    pub mod text;
    pub mod tracker;
    pub mod upnp;
    pub mod utp;
    pub mod web_seed;
}

pub mod swarm {
    //! Values and the time to decisions. Pure: cannot fail, cannot block.
    pub mod address;
    pub mod bitfield;
    pub mod candidates;
    pub mod choker;
    pub mod data_map;
    pub mod dht;
    pub mod event;
    pub mod exchange;
    pub mod external;
    pub mod geometry;
    pub mod history;
    pub mod job;
    pub mod local;
    pub mod metadata;
    pub mod peer;
    pub mod picker;
    pub mod priority;
    pub mod rate;
    pub mod reason;
    pub mod torrent;
    pub mod trackers;
    pub mod utp;
    pub mod view;
    pub mod web_seeds;
}

pub mod disk {
    //! Files. Performs `Effect::Disk`, answers `Input::Disk`.
    pub mod aligned;
    pub mod atomic;
    pub mod bits;
    pub mod busy;
    pub mod check;
    pub mod claims;
    pub mod create;
    pub mod fault;
    pub mod files;
    pub mod handles;
    pub(crate) mod hasher;
    pub mod lanes;
    pub mod layout;
    pub mod lock;
    pub mod moving;
    pub mod names;
    pub mod open;
    pub mod own_copy;
    pub mod owners;
    pub mod ownership;
    pub mod part;
    pub mod partial;
    pub mod paths;
    pub mod place;
    pub mod pool;
    pub mod rawio;
    pub mod record;
    pub mod resume;
    pub mod shard;
    pub mod stamps;
    pub mod storage;
    pub mod store;
    pub mod trust;
}

pub mod engine {
    //! Threads and sockets: carries bytes to the machine and its decisions out, and decides nothing itself.
    pub mod add;
    pub mod announce;
    pub(crate) mod birth;
    pub mod buffers;
    pub mod datagrams;
    pub mod dht;
    pub mod dials;
    pub mod greet;
    pub mod handle;
    pub mod inbox;
    pub mod interfaces;
    pub mod join;
    pub mod keep;
    pub mod kept;
    pub mod listen;
    pub mod ports;
    pub mod reader;
    pub mod requests;
    pub mod runner;
    pub mod session;
    pub mod share;
    pub mod threads;
    pub mod tracker;
    pub mod udp;
    pub mod utp;
    pub mod writer;
}

pub mod api;

pub mod ui {
    //! One loop in [`run`], the rest pure: `update` changes a model, `view` draws it.
    pub mod acts;
    pub mod add;
    pub mod answer;
    pub mod ask;
    pub mod browse;
    pub mod bulk;
    pub mod chooser;
    pub mod create;
    pub mod departed;
    pub mod dialog;
    pub mod edit;
    pub mod few;
    pub mod files;
    pub mod front;
    pub mod glob;
    pub mod graph;
    pub mod handout;
    pub mod help;
    pub mod hide;
    pub mod history;
    pub mod info;
    pub mod keymap;
    pub mod keys;
    pub mod layout;
    pub mod log;
    pub mod look;
    pub mod model;
    pub mod options;
    pub mod order;
    pub mod outward;
    pub mod overwrite;
    pub mod palette;
    pub mod panes;
    pub mod path;
    pub mod peer;
    pub mod peers;
    pub mod pen;
    pub mod picker;
    pub mod piece;
    pub mod pieces;
    pub mod qr;
    pub mod removal;
    pub mod run;
    pub mod setting;
    pub mod settings;
    pub mod sheet;
    pub mod side;
    pub mod style;
    pub mod tabs;
    pub mod targets;
    mod terminal_input;
    pub mod text;
    pub mod torrents;
    pub mod trackers;
    pub mod translate;
    pub mod tree;
    pub mod update;
    pub mod view;
    pub mod walk;
}
