//! # Architecture
//!
//! `ttui` is a BitTorrent client for the terminal.
//!
//! [`wire`] holds the codecs: it parses and serializes messages and does no I/O. [`swarm`] holds the protocol logic as
//! sans-IO state machines: they take events and the current time and return effects. [`disk`], [`engine`] and [`ui`]
//! perform I/O and make no protocol decisions.
//!
//! ```text
//!              main, cli
//!             /        \
//!         engine        ui           engine and ui do not depend on each other;
//!         /  |  \      /  \          they share the types in `api`;
//!     disk   |   `-- api -- words    `words` makes texts of them for ui and cli
//!        \   |   ___/
//!          swarm
//!            |
//!           wire
//! ```
//!
//! | layer | may use | must not use (checked by `tests/tidy.rs`) |
//! |---|---|---|
//! | [`wire`] | std; crates without I/O | other layers; clocks, sockets, files, threads |
//! | [`swarm`] | `wire` | clocks, hash maps and hash sets, global randomness, channels, files, sockets |
//! | [`api`] | view types of `swarm`, ids of `wire` | `Instant`: snapshots hold durations and numbers |
//! | [`words`] | `api`, view types of `swarm` | clocks, I/O |
//! | [`disk`] | geometry and job types of `swarm`, `wire` | `engine`, `ui`, `api`, sockets |
//! | [`engine`] | all layers below, [`config`] | `ui`; tokio outside `udp_tracker`; ureq outside `announce` |
//! | [`ui`] | `api`, `words`, `config` | other layers; clocks, files, terminal events outside the event loop and its helpers |
//!
//! ## The torrent state machine
//!
//! A torrent is one value, [`swarm::torrent::Torrent`], with one method that changes it, `handle`: it takes an
//! [`Input`](swarm::torrent::Input) and the current time and emits [`Effect`](swarm::torrent::Effect)s. `handle`
//! neither blocks nor fails. A running torrent is owned by the scheduler ([`engine::scheduler`]), a paused one by the
//! session ([`engine::session`]). `tests/swarm_sim.rs` runs the same type in a seeded simulator.
//!
//! ## Who runs the torrents
//!
//! ```text
//!  readers, writers of peers ──┐  inbox        task          ready queue     workers: one a core, at most 4
//!  disk threads ───────────────┼──> [····] ──> woken ──┬──> [t7][t2][t9] ──> turn of t7: take mail up to a bound,
//!  trackers, DHT, dialer ──────┤                       │                     state machine, perform all effects
//!  session ────────────────────┘     deadlines ────────┘                       │
//!                                        ^                                     │
//!                                        `── idle: no thread, a deadline ──────┘
//! ```
//! A running torrent has no thread of its own ([`engine::runner`]): a message in its inbox ([`engine::inbox`]) or its
//! deadline puts it into the ready queue, and a worker gives it a turn. It is run by one worker at a time; after a turn
//! it goes behind all others that are ready. Effects that take time go to other threads, which answer with a message,
//! so nothing blocks a worker: disk jobs, dials, announces and messages to peers are queued, and closing the files is
//! awaited like any other answer. Peers have a reader and a writer thread each, which block on the socket; a reader
//! also blocks while the inbox is full. A panic ends the torrent in whose turn it happens.
//!
//! ## Data path of a block
//!
//! 1. The reader thread of a peer ([`engine::reader`]) reads up to 256 KiB per call and slices the messages out of the
//!    buffer without copying payload.
//! 2. Each read is sent to the torrent as one `Input::Messages`.
//! 3. The torrent checks that the block is an in-flight request of this peer, refills the request pipeline and emits
//!    `DiskJob::Write`.
//! 4. The writer thread of the peer ([`engine::writer`]) sends the refill in one write.
//! 5. A disk thread ([`disk::shard`]; shard = piece mod n) collects the blocks of a piece, hashes the contiguous prefix
//!    and writes long runs.
//! 6. `DiskDone::Verified` makes the torrent send `have` to its peers. After `DiskDone::Corrupt` the piece is requested
//!    again, and the block hashes identify the peer that sent bad data.
//! 7. At most every 250 ms the torrent publishes a view. The session merges the views into an `Arc<Snapshot>`,
//!    which the user interface draws.
//!
//! ## Magnet links
//!
//! 1. A torrent without metadata (BEP 9) is the same state machine: it has trackers and peers, but no pieces. The
//!    pieces that peers announce before the metadata is known are buffered ([`swarm::peer::PendingBitfield`]).
//! 2. [`swarm::metadata::MetadataDownload`] requests the `info` dictionary from several peers at once. A dictionary
//!    whose hash matches the info-hash leaves the state machine as `Effect::MetadataComplete`.
//! 3. The session validates the metadata like every `.torrent` file, saves it and opens the files; if the user wants to
//!    select files, it asks first.
//! 4. `Input::MetadataLoaded` passes the configuration and the resume data to the torrent. Its peers stay connected and
//!    the buffered announcements are applied, so the first block is requested at once.
//!
//! ## Peer discovery and connection setup
//!
//! 1. Addresses come from trackers ([`engine::announce`], [`engine::udp_tracker`]), the DHT ([`engine::dht`], which
//!    drives [`swarm::dht`]), PEX ([`swarm::pex`]), LSD ([`swarm::lsd`]), magnet links and the user. Each arrives at
//!    the torrent with its source; a private torrent (BEP 27) accepts only trackers and the user.
//! 2. [`swarm::peer_list`] stores a bounded number of addresses per torrent with back-off and bans, and chooses the
//!    next address to dial: user-given and local addresses, then addresses that worked before. Sources and address
//!    families alternate; canonical peer priority ([`swarm::canonical_priority`], BEP 40) is one of the tie-breakers.
//! 3. `Effect::Dial` enters the [`engine::dial_queue`], which serves all torrents round-robin and limits the dials in
//!    progress.
//! 4. [`engine::connector`] dials, accepts and runs all handshakes on one thread, encrypted ([`wire::mse`]) or plain. A
//!    connected peer gets a reader and a writer thread. A failed dial returns as `Input::DialFailed` with its reason.
//! 5. A peer that is unreachable over TCP is dialed over uTP ([`engine::utp`], which drives a
//!    [`swarm::utp::Connection`] for each stream). A local socket pair bridges the stream to the connector and to the
//!    reader and writer threads, which handle it like TCP. The DHT and uTP share one UDP port
//!    ([`engine::udp_endpoint`]).
//! 6. If both fail, the torrent sends a `rendezvous` message to the connected peer that named the address by PEX (hole
//!    punch, BEP 55), and both ends dial each other over uTP.
//! 7. A web seed ([`swarm::web_seeds`], BEP 19) is a peer without an address: a thread of its own turns requests into
//!    HTTP range requests.
//!
//! ## Limits
//!
//! All limits that protect against untrusted input and remote peers are constants in [`limits`].
//!
//! ## Below all layers
//!
//! [`limits`], [`mod@format`] (numbers and dates as text) and [`clock`] (the time of day; not for `wire` and `swarm`)
//! import nothing of this crate.
//!
//! ## UDP
//!
//! [`engine::udp_endpoint`] waits for two sockets and for the local ends of all uTP streams at once, with mio; the state
//! machines behind it say when they are due. [`engine::udp_tracker`] runs on tokio: an announce is a sequence of lookups,
//! requests and repetitions over a socket of its own, hundreds at a time, which async functions express in order.

// What no user of the library needs stays inside the crate, so that the compiler finds what nobody needs.
#![warn(unreachable_pub)]
// Without the program nobody calls what only its subcommands need.
#![cfg_attr(not(feature = "cli"), allow(dead_code))]

#[cfg(feature = "cli")]
pub mod cli;
pub(crate) mod clock;
pub mod config;
pub(crate) mod format;
pub mod limits;

pub mod wire {
    //! Codecs: bytes to values and back. No I/O, no clock, no protocol state.
    pub(crate) mod address;
    pub mod bencode;
    pub mod extension;
    pub(crate) mod host;
    pub mod krpc;
    pub mod link;
    pub mod lsd;
    pub mod magnet;
    pub mod message;
    pub mod metainfo;
    pub mod mse;
    pub mod peer_id;
    pub mod port_mapping;
    pub mod rc4;
    pub mod sanitize;
    pub mod tracker;
    pub mod upnp;
    pub mod utp;
    pub mod web_seed;
}

pub mod swarm {
    //! Protocol logic: sans-IO state machines that take events and the current time and return effects.
    pub mod bitfield;
    pub(crate) mod canonical_priority;
    pub(crate) mod choker;
    pub(crate) mod crc32c;
    pub mod data_map;
    pub mod dht;
    pub(crate) mod diagnosis;
    pub(crate) mod disconnect;
    pub(crate) mod event;
    pub(crate) mod external_ip;
    pub mod geometry;
    pub mod job;
    pub(crate) mod lsd;
    pub mod metadata;
    pub(crate) mod peer;
    pub(crate) mod peer_list;
    pub(crate) mod pex;
    pub mod picker;
    pub(crate) mod quota;
    pub mod rate;
    pub mod reason;
    pub mod status;
    pub mod timeline;
    pub mod torrent;
    pub(crate) mod torrent_config;
    pub(crate) mod trackers;
    pub mod utp;
    pub mod view;
    pub(crate) mod web_seeds;
}

pub mod disk {
    //! File I/O: executes `Effect::Disk` and answers with `Input::Disk`.
    pub mod alias_paths;
    pub(crate) mod aligned_buf;
    pub(crate) mod atomic_bitfield;
    pub(crate) mod atomic_file;
    pub(crate) mod beneath;
    pub mod check;
    pub mod create;
    pub(crate) mod dispatch;
    pub(crate) mod error;
    pub(crate) mod file_cache;
    pub(crate) mod file_look;
    pub(crate) mod file_stamp;
    pub(crate) mod files;
    pub(crate) mod folders;
    pub(crate) mod hasher;
    pub mod layout;
    pub(crate) mod lock {
        //! Locks that keep two processes from the same files.

        pub(crate) mod claims;
        pub(crate) mod instance;
    }
    pub mod move_storage;
    pub(crate) mod own_copy;
    pub(crate) mod ownership {
        //! Which torrent owns which path on disk.

        pub(crate) mod record;
        pub(crate) mod registry;
        pub(crate) mod torrent;
    }
    pub mod part;
    pub(crate) mod piece_buffer;
    pub(crate) mod piece_hashes;
    pub mod pool;
    pub(crate) mod resume;
    pub(crate) mod resume_check;
    pub mod resume_format;
    pub mod resume_store;
    pub(crate) mod sha1_interleaved;
    pub(crate) mod shard;
    pub(crate) mod stamps;
    pub mod storage;
    pub mod sys;
    pub(crate) mod torrent_disk;
    pub(crate) mod torrent_file;
    pub(crate) mod utilization;
}

pub mod engine {
    //! Threads and sockets: passes inputs to the state machines and executes their effects.
    pub(crate) mod add;
    pub mod announce;
    pub(crate) mod bandwidth;
    pub(crate) mod buffers;
    pub(crate) mod connector;
    pub(crate) mod connector_config;
    pub(crate) mod context;
    pub mod dht;
    pub(crate) mod dial_queue;
    pub(crate) mod error;
    pub(crate) mod file_actions;
    pub mod handle;
    pub(crate) mod handshake;
    pub(crate) mod inbox;
    pub(crate) mod interfaces;
    pub(crate) mod listen;
    pub(crate) mod magnet;
    pub(crate) mod port_mapper;
    pub(crate) mod reader;
    pub(crate) mod runner;
    pub(crate) mod saved_torrent;
    pub(crate) mod scheduler;
    pub(crate) mod session;
    pub mod session_store;
    pub mod threads;
    pub(crate) mod torrent_event;
    #[cfg(feature = "tracker")]
    pub mod tracker;
    pub(crate) mod udp_endpoint;
    pub(crate) mod udp_socket;
    pub(crate) mod udp_tracker;
    pub(crate) mod utp;
    pub(crate) mod writer;
}

pub mod api;
pub mod words;

#[cfg(feature = "tui")]
pub mod ui {
    //! Terminal user interface: one event loop; `update` changes the model, `view` draws it, both without I/O.
    pub(crate) mod terminal {
        //! The terminal: the event loop, input, what is written to it.

        pub(crate) mod ansi16;
        pub(crate) mod dir_reader;
        pub(crate) mod drain;
        pub(crate) mod event_loop;
        pub(crate) mod input;
    }

    pub mod app {
        //! The application: what a message does to the state, and the whole screen.

        pub(crate) mod actions;
        pub(crate) mod dialog_actions;
        pub(crate) mod dialog_events;
        pub(crate) mod dialog_stack;
        pub(crate) mod header;
        pub(crate) mod inspect;
        pub mod model;
        pub(crate) mod mouse;
        pub(crate) mod navigation;
        pub(crate) mod outbox;
        pub(crate) mod setup;
        pub(crate) mod status_bar;
        pub(crate) mod torrent_actions;
        pub mod update;
        pub mod view;
        pub(crate) mod welcome;
    }

    pub mod dialogs {
        //! Dialogs, in a stack above the panes.

        pub mod add;
        pub mod choice;
        pub(crate) mod columns;
        pub mod confirm;
        pub mod create;
        pub(crate) mod dialog;
        pub(crate) mod file_picker;
        pub(crate) mod file_select;
        pub(crate) mod help;
        pub mod message;
        pub(crate) mod messages;
        pub(crate) mod palette;
        pub(crate) mod prompt;
        pub(crate) mod settings;
        pub(crate) mod settings_table;
        pub mod share;
        pub(crate) mod sort;
        pub(crate) mod why;
    }

    pub(crate) mod panes {
        //! Panes: the list of torrents, the tabs of one torrent, the columns beside them.

        pub(crate) mod disconnected;
        pub(crate) mod files;
        pub(crate) mod graph;
        pub(crate) mod info;
        pub(crate) mod log;
        pub(crate) mod pane;
        pub(crate) mod peer_detail;
        pub(crate) mod peers;
        pub(crate) mod piece_detail;
        pub(crate) mod pieces;
        pub(crate) mod summary;
        pub(crate) mod tabs;
        pub(crate) mod torrents;
        pub(crate) mod trackers;
        pub(crate) mod why_line;
    }

    pub mod state {
        //! State of the interface that panes and dialogs read.

        pub mod app;
        pub mod columns;
        pub mod detail;
        pub(crate) mod guide;
        pub(crate) mod layout;
        pub(crate) mod privacy;
        pub mod rate_history;
        pub(crate) mod selection;
        pub(crate) mod settings;
        pub(crate) mod sorting;
        pub mod views;
    }

    pub mod widgets {
        //! Widgets without knowledge of torrents: tables, inputs, graphs, panels.

        pub(crate) mod file_tree;
        pub(crate) mod key_values;
        pub(crate) mod list;
        pub(crate) mod painter;
        pub(crate) mod panel;
        pub mod path_input;
        pub(crate) mod piece_map;
        pub(crate) mod qr;
        pub(crate) mod rate_graph;
        pub(crate) mod tab_bar;
        pub(crate) mod table;
        pub(crate) mod text_input;
    }

    pub mod effect;
    pub mod keys {
        //! Keys, actions and the table that binds them.

        pub mod action;
        pub mod bindings;
        pub mod context;
        pub mod key;
        pub mod keymap;
    }

    pub mod theme {
        //! Colors and glyphs.

        pub(crate) mod files;
        pub mod style;
    }

    pub(crate) mod text {
        //! Text as cells: sanitized, measured, cut; numbers formatted.

        pub(crate) mod format;
        pub(crate) mod labels;
        pub(crate) mod pattern;
        pub(crate) mod validate;
    }
}
