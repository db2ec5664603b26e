//! Executes the user's [`TorrentCommand`]s on a torrent.

use std::time::Instant;

use super::{DisconnectReason, Effect, PeerKey, Torrent, TorrentCommand};
use crate::swarm::job::DiskJob;
use crate::swarm::peer::Peer;
use crate::swarm::picker::BlockSource;
use crate::wire::message::PieceIndex;

impl Torrent {
    pub(super) fn on_command(&mut self, now: Instant, wish: TorrentCommand, out: &mut Vec<Effect>) {
        match wish {
            TorrentCommand::Verify => self.verify(now, out),
            TorrentCommand::Announce(which) => {
                self.trackers.announce_now(now, which);
                if which.is_none() {
                    self.local.announce_soon(now);
                    self.dht.announce_now(now);
                }
            }
            TorrentCommand::AddTracker(url) => self.add_tracker(now, &url, out),
            TorrentCommand::AddWebSeeds(urls) => _ = self.add_web_seeds(&urls),
            TorrentCommand::RemoveTracker(index) => self.remove_tracker(now, index, out),
            TorrentCommand::SuperSeed(on) => self.set_super_seed(now, on, out),
            TorrentCommand::Inspect { peer, piece } => self.inspected = (peer, piece.map(PieceIndex)),
            TorrentCommand::Sequential(on) => {
                self.picker.set_sequential(on);
                self.config.sequential = on;
            }
            TorrentCommand::Priority(files) => {
                self.set_priorities(&files);
                self.recompute_wanted();
                self.tell_selection(out);
                let was = self.complete;
                self.check_complete(now, out);
                if was && self.complete {
                    // Still complete, but a newly wanted file may be empty and has to be created.
                    out.push(Effect::Disk(DiskJob::Finish));
                }
                for key in self.peers.keys().copied().collect::<Vec<PeerKey>>() {
                    self.update_interest(now, key, out);
                }
            }
            TorrentCommand::Limits { down, up } => {
                self.down_limit[super::OWN].set(down);
                self.up_limit[super::OWN].set(up);
                self.freed = true;
            }
            TorrentCommand::Ban(key) => match self.peers.get(&key).map(Peer::block_source) {
                Some(BlockSource::Host(ip)) => self.ban(now, ip, "by you", out),
                Some(BlockSource::Web(seed)) => self.ban_web_seed(now, seed, "by you", out),
                None => {}
            },
            TorrentCommand::Kick(key) => self.disconnect(now, key, DisconnectReason::DisconnectedByUser, out),
        }
    }
}
