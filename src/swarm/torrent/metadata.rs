//! The metadata of a torrent (BEP 9): fetched from peers while they are not here, handed to those who ask for them.
//!
//! A magnet has peers before anybody knows how many pieces it has. What they say of their pieces is kept, and holds as
//! soon as the metadata are here: the first block is asked for in the same moment.

use std::ops::Range;
use std::time::Instant;

use bytes::Bytes;

use super::members::ALLOWED_FAST;
use super::{Effect, Gone, PeerKey, Phase, Torrent, TorrentConfig};
use crate::limits::{self, BLOCK};
use crate::swarm::bitfield::Bitfield;
use crate::swarm::metadata::{Heard, Search};
use crate::swarm::peer::Peer;
use crate::swarm::picker::Picker;
use crate::swarm::rate::Allowance;
use crate::swarm::view::Priority;
use crate::swarm::web_seeds::WebSeeds;
use crate::wire::extension::metadata::MetadataMessage;
use crate::wire::message::Message;
use crate::wire::metainfo::Metainfo;

impl Torrent {
    /// Says something of the metadata exchange to a peer that takes it.
    fn say_metadata(&self, key: PeerKey, message: &MetadataMessage, out: &mut Vec<Effect>) {
        let Some(id) = self.peers.get(&key).and_then(|peer| peer.takes.metadata) else { return };
        out.push(Effect::Send { peer: key, message: Message::Extended { id, payload: message.encode() } });
    }

    /// Looks for the metadata: from now on there are peers, and no files.
    pub(super) fn begin_search(&mut self, now: Instant, out: &mut Vec<Effect>) {
        self.phase = Phase::Metadata;
        self.complete = false;
        self.seek(now);
        match self.config.info.clone() {
            // They were here when it was stopped, before anybody had judged them.
            Some(info) => self.pass_on(now, info, out),
            None => {
                self.search = Some(Search::new(self.config.info_hash));
                self.ask_sources(now);
                self.write_log(now, "looking for its metadata".into());
            }
        }
    }

    /// A peer has told what it can do: it may have the metadata.
    pub(super) fn offers_metadata(&mut self, now: Instant, key: PeerKey, out: &mut Vec<Effect>) {
        let Some(search) = &mut self.search else { return };
        let Some(peer) = self.peers.get(&key) else { return };
        if let (Some(_), Some(size)) = (peer.takes.metadata, peer.metadata_size) {
            let heard = search.offered(key, size);
            self.metadata_heard(now, heard, out);
        }
    }

    /// A piece of the metadata has come.
    pub(super) fn metadata_came(
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
            self.metadata_heard(now, heard, out);
        }
    }

    /// A peer does not give a piece of the metadata.
    pub(super) fn metadata_refused(&mut self, now: Instant, key: PeerKey, piece: u32) {
        if let Some(search) = &mut self.search {
            search.rejected(now, key, piece);
        }
    }

    fn metadata_heard(&mut self, now: Instant, heard: Heard, out: &mut Vec<Effect>) {
        match heard {
            Heard::Nothing => {}
            Heard::Whole(info) => {
                self.search = None;
                self.config.info = Some(info.clone());
                self.note(
                    now,
                    format!("its metadata are here: {}", humansize::format_size(info.len(), humansize::DECIMAL)),
                    out,
                );
                self.pass_on(now, info, out);
            }
            Heard::Lied(key) => {
                if let Some(ip) = self.peers.get(&key).map(Peer::ip) {
                    self.ban(now, ip, "sent metadata that are not this torrent's", out);
                }
            }
            Heard::Useless(key, why) => self.expel(now, key, Gone::Misbehaved(why.into()), out),
        }
    }

    /// Has the metadata judged. Who may know of the torrent is settled before that: it can wait for the user to choose
    /// files, and a private one must not be told of meanwhile.
    pub(super) fn pass_on(&mut self, now: Instant, info: Bytes, out: &mut Vec<Effect>) {
        if Metainfo::is_private(&info) {
            self.config.private = true;
            self.local.stop();
            self.stop_seeking();
            self.stop_gossip();
            self.keep_to_trackers(now, out);
        }
        out.push(Effect::Metadata(info));
    }

    /// Asks those who have the metadata.
    pub(super) fn search(&mut self, now: Instant, out: &mut Vec<Effect>) {
        self.poll_sources(now, out);
        let Some(search) = &mut self.search else { return };
        let mut asks = Vec::new();
        search.poll(now, &mut asks);
        for (key, piece) in asks {
            self.say_metadata(key, &MetadataMessage::Request(piece), out);
        }
    }

    /// Keeps what a peer says of pieces while nobody knows how many there are. Whether this message was of that kind.
    pub(super) fn keeps_early(&mut self, now: Instant, key: PeerKey, message: &Message, out: &mut Vec<Effect>) -> bool {
        let held: usize = self.peers.values().map(|peer| peer.early.held()).sum();
        let Some(peer) = self.peers.get_mut(&key) else { return true };
        let fast = peer.hello.reserved.fast();
        match message {
            Message::Have(piece) | Message::AllowedFast(piece) if piece.0 >= limits::PIECES => {
                let text = format!("it says it has piece {piece}, and no torrent has so many");
                self.expel(now, key, Gone::Misbehaved(text), out);
                return true;
            }
            Message::Have(piece) => peer.early.has(*piece),
            Message::Bitfield(bits) => peer.early.has_these(bits),
            Message::HaveAll if fast => peer.early.has_all(),
            Message::HaveNone if fast => peer.early.has_none(),
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
            self.expel(now, key, Gone::Full, out);
        }
        true
    }

    /// The metadata were judged: from now on this is a torrent as any other.
    pub(super) fn described(
        &mut self,
        now: Instant,
        config: TorrentConfig,
        have: &Bytes,
        check: Vec<Range<u32>>,
        out: &mut Vec<Effect>,
    ) {
        if self.phase != Phase::Metadata || self.is_described() || config.info_hash != self.config.info_hash {
            return;
        }
        self.search = None;
        self.take_contents(config);
        let pieces = self.config.geometry.pieces();
        // What was found on disk is hashed first, and others were told that nothing is here: they are called again.
        let fresh = check.iter().all(Range::is_empty) && have.iter().all(|byte| *byte == 0);
        for key in self.peers.keys().copied().collect::<Vec<_>>() {
            if !fresh {
                self.expel(now, key, Gone::Stopped, out);
            } else if let Some(peer) = self.peers.get_mut(&key) {
                peer.has = Bitfield::new(pieces);
                peer.allowed.retain(|piece| piece.0 < pieces);
            }
        }
        if self.config.private {
            self.keep_to_trackers(now, out);
        }
        if !fresh {
            self.candidates.rest(now);
        }
        self.begin(now, have, check, out);
        for key in self.peers.keys().copied().collect::<Vec<_>>() {
            self.meet_again(now, key, out);
        }
    }

    /// Takes on what the metadata say.
    fn take_contents(&mut self, config: TorrentConfig) {
        let mine = &mut self.config;
        let TorrentConfig { name, info, geometry, files, private, meta, priorities, web_seeds, is_folder, .. } = config;
        (mine.name, mine.info, mine.geometry) = (name, info, geometry);
        (mine.files, mine.private, mine.meta) = (files, private, meta);
        (mine.web_seeds, mine.is_folder) = (web_seeds, is_folder);
        self.web_seeds = WebSeeds::new(&self.config.web_seeds);
        let in_order = self.picker.sequential();
        self.picker = Picker::with_map(self.config.data_map(), &mut self.rng);
        self.picker.set_sequential(in_order);
        self.files_wanted = vec![Priority::Normal; self.config.files.len()];
        self.set_priorities(&priorities);
    }

    /// A peer that came before the metadata: what it said then holds now, and it may have the metadata of us.
    fn meet_again(&mut self, now: Instant, key: PeerKey, out: &mut Vec<Effect>) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let lacks = peer.takes.metadata.is_some() && peer.metadata_size.is_none();
        if lacks {
            self.introduce_extensions(key, false, out);
        }
        let Some(peer) = self.peers.get_mut(&key) else { return };
        match std::mem::take(&mut peer.early).of(self.config.geometry.pieces()) {
            Ok(None) => {}
            Ok(Some(has)) => self.has_all_of(now, key, Some(has), out),
            Err(why) => self.expel(now, key, Gone::Misbehaved(why.to_string()), out),
        }
    }

    /// A peer asks for a piece of the metadata. It gets those that exist, so many at once and a second; more than that,
    /// and what does not exist, is refused.
    pub(super) fn metadata_asked(&mut self, now: Instant, key: PeerKey, piece: u32, out: &mut Vec<Effect>) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let all = self
            .metadata_all
            .get_or_insert_with(|| Allowance::new(now, limits::METADATA_BURST_ALL, limits::METADATA_RATE_ALL));
        let begin = (piece as usize).saturating_mul(BLOCK as usize);
        let info = self.config.info.as_ref().filter(|info| begin < info.len());
        let answer = match info {
            // Peers first: one that has had its share takes nothing of what there is for all.
            Some(info) if peer.metadata.take(now) && all.take(now) => MetadataMessage::Data {
                piece,
                total: u32::try_from(info.len()).ok(),
                data: info.slice(begin..info.len().min(begin + BLOCK as usize)),
            },
            _ => MetadataMessage::Reject(piece),
        };
        self.say_metadata(key, &answer, out);
    }
}
