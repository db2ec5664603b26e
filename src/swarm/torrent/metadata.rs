//! The metadata exchange (BEP 9): downloads the `info` dictionary of a magnet and serves it to peers.
//!
//! A magnet has peers before its piece count is known. Their bitfields and `have`s are buffered and applied when the
//! metadata is complete, so that blocks can be requested at once.

use std::ops::Range;
use std::time::Instant;

use bytes::Bytes;

use super::peers::ALLOWED_FAST;
use super::{DisconnectReason, Effect, PeerKey, Phase, Torrent, TorrentConfig};
use crate::format;
use crate::limits::{self, BLOCK};
use crate::swarm::bitfield::Bitfield;
use crate::swarm::job::DiskJob;
use crate::swarm::metadata::{MetadataDownload, MetadataOutcome};
use crate::swarm::peer::Peer;
use crate::swarm::picker::Picker;
use crate::swarm::rate::BurstLimiter;
use crate::swarm::view::Priority;
use crate::swarm::web_seeds::WebSeeds;
use crate::wire::extension::metadata::MetadataMessage;
use crate::wire::message::Message;
use crate::wire::metainfo::Metainfo;

impl Torrent {
    /// Sends a metadata message to a peer that supports the extension.
    fn say_metadata(&self, key: PeerKey, message: &MetadataMessage, out: &mut Vec<Effect>) {
        let Some(id) = self.peers.get(&key).and_then(|peer| peer.extension_ids.metadata) else { return };
        out.push(Effect::Send { peer: key, message: Message::Extended { id, payload: message.encode() } });
    }

    /// Enters the metadata phase: starts peer discovery and the metadata download.
    pub(super) fn begin_search(&mut self, now: Instant, out: &mut Vec<Effect>) {
        self.phase = Phase::Metadata;
        self.complete = false;
        self.start_discovery(now);
        match self.config.info.clone() {
            // The metadata was complete before the last stop, but not yet processed.
            Some(info) => self.emit_metadata(now, info, out),
            None => {
                self.search = Some(MetadataDownload::new(self.config.info_hash));
                self.ask_sources(now);
                self.write_log(now, "fetching metadata".into());
            }
        }
    }

    /// Adds a peer to the metadata download after an extension handshake with `metadata_size`.
    pub(super) fn offers_metadata(&mut self, now: Instant, key: PeerKey, out: &mut Vec<Effect>) {
        let Some(search) = &mut self.search else { return };
        let Some(peer) = self.peers.get(&key) else { return };
        if let (Some(_), Some(size)) = (peer.extension_ids.metadata, peer.metadata_size) {
            let heard = search.offered(key, size);
            self.on_metadata_outcome(now, heard, out);
        }
    }

    /// Handles a metadata piece.
    pub(super) fn on_metadata_data(
        &mut self,
        now: Instant,
        key: PeerKey,
        piece: u32,
        total: Option<u32>,
        data: &Bytes,
        out: &mut Vec<Effect>,
    ) {
        if let Some(search) = &mut self.search {
            let heard = search.data(key, piece, total, data);
            self.on_metadata_outcome(now, heard, out);
        }
    }

    /// Handles a `reject` for a metadata piece.
    pub(super) fn on_metadata_reject(&mut self, now: Instant, key: PeerKey, piece: u32) {
        if let Some(search) = &mut self.search {
            search.rejected(now, key, piece);
        }
    }

    fn on_metadata_outcome(&mut self, now: Instant, heard: MetadataOutcome, out: &mut Vec<Effect>) {
        match heard {
            MetadataOutcome::Nothing => {}
            MetadataOutcome::Complete(info) => {
                self.search = None;
                self.config.info = Some(info.clone());
                self.notify(now, format!("metadata received: {}", format::size(info.len() as u64)), out);
                self.emit_metadata(now, info, out);
            }
            MetadataOutcome::BadHash(key) => {
                if let Some(ip) = self.peers.get(&key).map(Peer::ip) {
                    self.ban(now, ip, "sent metadata that are not this torrent's", out);
                }
            }
            MetadataOutcome::Useless(key, why) => {
                self.disconnect(now, key, DisconnectReason::ProtocolViolation(why.into()), out);
            }
        }
    }

    /// Emits the complete metadata. A private torrent (BEP 27) stops public discovery before that, because the user
    /// may take long to choose files and the torrent must not be announced meanwhile.
    pub(super) fn emit_metadata(&mut self, now: Instant, info: Bytes, out: &mut Vec<Effect>) {
        if Metainfo::is_private(&info) {
            self.config.private = true;
            self.local.stop();
            self.dht.stop();
            self.stop_pex();
            self.enforce_private(now, out);
        }
        out.push(Effect::MetadataComplete(info));
    }

    /// Requests metadata pieces from peers and fetches due `.torrent` URLs.
    pub(super) fn search(&mut self, now: Instant, out: &mut Vec<Effect>) {
        self.poll_sources(now, out);
        let Some(search) = &mut self.search else { return };
        let mut asks = Vec::new();
        search.poll(now, &mut asks);
        for (key, piece) in asks {
            self.say_metadata(key, &MetadataMessage::Request(piece), out);
        }
    }

    /// Buffers piece announcements while the piece count is unknown. Returns whether the message was consumed.
    pub(super) fn buffer_early_message(
        &mut self,
        now: Instant,
        key: PeerKey,
        message: &Message,
        out: &mut Vec<Effect>,
    ) -> bool {
        let held: usize = self.peers.values().map(|peer| peer.early.held()).sum();
        let Some(peer) = self.peers.get_mut(&key) else { return true };
        let fast = peer.hello.reserved.fast();
        match message {
            Message::Have(piece) | Message::AllowedFast(piece) if piece.0 >= limits::PIECES => {
                let text = format!("peer announced the impossible piece {piece}");
                self.disconnect(now, key, DisconnectReason::ProtocolViolation(text), out);
                return true;
            }
            Message::Have(piece) => peer.early.has(*piece),
            Message::Bitfield(bits) => peer.early.on_bitfield(bits),
            Message::HaveAll if fast => peer.early.on_have_all(),
            Message::HaveNone if fast => peer.early.on_have_none(),
            Message::AllowedFast(piece) if fast => {
                if peer.allowed.len() < ALLOWED_FAST {
                    peer.allowed.insert(*piece);
                }
            }
            Message::Request(block) => {
                if fast {
                    out.push(Effect::Send { peer: key, message: Message::Reject(*block) });
                }
            }
            _ => return false,
        }
        if peer.early.held() > 0 && held > limits::EARLY_HELD {
            self.disconnect(now, key, DisconnectReason::TooManyConnections, out);
        }
        true
    }

    /// Handles processed metadata: the torrent becomes an ordinary one and starts checking or downloading.
    pub(super) fn on_metadata_loaded(
        &mut self,
        now: Instant,
        config: TorrentConfig,
        have: &Bytes,
        check: Vec<Range<u32>>,
        out: &mut Vec<Effect>,
    ) {
        if self.phase != Phase::Metadata || self.has_metadata() || config.info_hash != self.config.info_hash {
            return;
        }
        self.search = None;
        self.take_trackers(now, &config);
        self.apply_metadata(config);
        let pieces = self.config.geometry.pieces();
        // With existing data we claimed to have no pieces: disconnect, hash the data, and dial the peers again.
        let fresh = check.iter().all(Range::is_empty) && have.iter().all(|byte| *byte == 0);
        for key in self.peers.keys().copied().collect::<Vec<_>>() {
            if !fresh {
                self.disconnect(now, key, DisconnectReason::Stopped, out);
            } else if let Some(peer) = self.peers.get_mut(&key) {
                peer.has = Bitfield::new(pieces);
                peer.allowed.retain(|piece| piece.0 < pieces);
            }
        }
        if self.config.private {
            self.enforce_private(now, out);
        }
        if !fresh {
            self.peer_list.reset_backoff(now);
        }
        self.begin(now, have, check, out);
        for key in self.peers.keys().copied().collect::<Vec<_>>() {
            self.apply_early_messages(now, key, out);
        }
    }

    /// Adds the trackers that came with the metadata. A private torrent keeps to them (BEP 27).
    fn take_trackers(&mut self, now: Instant, config: &TorrentConfig) {
        if config.private && !config.trackers.is_empty() {
            self.trackers.keep_only(now, &config.trackers);
        }
        for url in config.trackers.iter().flatten() {
            if !self.trackers.has(url) {
                // Fails if there are too many, which is fine.
                let _ = self.trackers.add(now, url);
            }
        }
    }

    /// Replaces what depends on the metadata: pieces, files, priorities and web seeds.
    fn apply_metadata(&mut self, config: TorrentConfig) {
        let mine = &mut self.config;
        let TorrentConfig { name, info, kept_info, geometry, files, private, meta, priorities, .. } = config;
        let TorrentConfig { web_seeds, is_folder, .. } = config;
        (mine.name, mine.info, mine.kept_info, mine.geometry) = (name, info, kept_info, geometry);
        mine.name_on_disk = config.name_on_disk;
        (mine.files, mine.private, mine.meta) = (files, private, meta);
        (mine.web_seeds, mine.is_folder) = (web_seeds, is_folder);
        self.web_seeds = WebSeeds::new(&self.config.web_seeds);
        let in_order = self.picker.sequential();
        self.picker = Picker::with_map(self.config.data_map(), &mut self.rng);
        self.picker.set_sequential(in_order);
        self.files_wanted = vec![Priority::Normal; self.config.files.len()];
        self.set_priorities(&priorities);
    }

    /// Applies what a peer announced before the metadata was known, and offers the metadata to the peer.
    fn apply_early_messages(&mut self, now: Instant, key: PeerKey, out: &mut Vec<Effect>) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let lacks = peer.extension_ids.metadata.is_some() && peer.metadata_size.is_none();
        if lacks {
            self.introduce_extensions(key, false, out);
        }
        let Some(peer) = self.peers.get_mut(&key) else { return };
        match std::mem::take(&mut peer.early).into_bitfield(self.config.geometry.pieces()) {
            Ok(None) => {}
            Ok(Some(has)) => self.on_bitfield(now, key, Some(has), out),
            Err(why) => self.disconnect(now, key, DisconnectReason::ProtocolViolation(why.to_string()), out),
        }
    }

    /// Returns the length of the metadata; 0 until it is known.
    pub(super) fn info_length(&self) -> usize {
        self.config.info.as_ref().map_or(self.config.kept_info, Bytes::len)
    }

    /// Serves a metadata request. Requests beyond the rate limits or outside the metadata are rejected.
    pub(super) fn on_metadata_request(&mut self, now: Instant, key: PeerKey, piece: u32, out: &mut Vec<Effect>) {
        let inside = metadata_range(piece, self.info_length()).is_some();
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let all = self
            .metadata_all
            .get_or_insert_with(|| BurstLimiter::new(now, limits::METADATA_BURST_ALL, limits::METADATA_RATE_ALL));
        // The peer's limit comes first: a peer over its own limit must not use up the limit for all peers.
        let granted = inside && peer.metadata.take(now) && all.take(now);
        match &self.config.info {
            _ if !granted => self.say_metadata(key, &MetadataMessage::Reject(piece), out),
            Some(_) => self.send_metadata(now, key, piece, out),
            None => {
                if self.info.ask(key, piece) {
                    out.push(Effect::Disk(DiskJob::ReadInfo));
                }
            }
        }
    }

    fn send_metadata(&mut self, now: Instant, key: PeerKey, piece: u32, out: &mut Vec<Effect>) {
        let answer = match &self.config.info {
            Some(info) => metadata_range(piece, info.len()).map(|range| MetadataMessage::Data {
                piece,
                total: u32::try_from(info.len()).ok(),
                data: info.slice(range),
            }),
            None => None,
        };
        self.info.used(now);
        self.say_metadata(key, &answer.unwrap_or(MetadataMessage::Reject(piece)), out);
    }

    /// Answers the requests that waited until the metadata was read from disk.
    pub(super) fn on_info_read(&mut self, now: Instant, info: Option<Bytes>, out: &mut Vec<Effect>) {
        if self.config.info.is_none()
            && let Some(info) = info.filter(|info| info.len() == self.config.kept_info)
        {
            self.config.info = Some(info);
            self.info.read(now);
        }
        for (key, piece) in self.info.take_asked() {
            self.send_metadata(now, key, piece, out);
        }
    }

    /// Drops metadata that was read from disk and not used for a while.
    pub(super) fn drop_unused_info(&mut self, now: Instant) {
        if self.info.is_unused(now) {
            self.config.info = None;
        }
    }
}

/// Returns the bytes of a piece of the metadata; `None` if there is no such piece.
fn metadata_range(piece: u32, length: usize) -> Option<Range<usize>> {
    let begin = (piece as usize).saturating_mul(BLOCK as usize);
    (begin < length).then(|| begin..length.min(begin + BLOCK as usize))
}
