//! The metadata of a torrent (BEP 9): handed to those who ask for it.

use std::time::Instant;

use super::{Effect, PeerKey, Torrent};
use crate::limits::{self, BLOCK};
use crate::swarm::rate::Allowance;
use crate::wire::extension::metadata::MetadataMessage;
use crate::wire::message::Message;

impl Torrent {
    /// Says something of the metadata exchange to a peer that takes it.
    fn say_metadata(&self, key: PeerKey, message: &MetadataMessage, out: &mut Vec<Effect>) {
        let Some(id) = self.peers.get(&key).and_then(|peer| peer.takes.metadata) else { return };
        out.push(Effect::Send { peer: key, message: Message::Extended { id, payload: message.encode() } });
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
