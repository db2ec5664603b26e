//! What the user asks of a torrent.

use std::time::Instant;

use super::{Effect, Gone, PeerKey, Torrent, Wish};
use crate::swarm::job::DiskJob;
use crate::swarm::peer::Peer;
use crate::swarm::picker::Giver;
use crate::wire::message::PieceIndex;

impl Torrent {
    pub(super) fn wish(&mut self, now: Instant, wish: Wish, out: &mut Vec<Effect>) {
        match wish {
            Wish::Verify => self.verify(now, out),
            Wish::Announce(which) => {
                self.trackers.announce_now(now, which);
                if which.is_none() {
                    self.local.wish(now);
                    self.seek_now(now);
                }
            }
            Wish::AddTracker(url) => self.add_tracker(now, &url, out),
            Wish::AddWebSeeds(urls) => _ = self.add_web_seeds(&urls),
            Wish::RemoveTracker(index) => self.remove_tracker(now, index, out),
            Wish::SuperSeed(on) => self.set_super_seed(now, on, out),
            Wish::Look { peer, piece } => self.look = (peer, piece.map(PieceIndex)),
            Wish::Sequential(on) => {
                self.picker.set_sequential(on);
                self.config.sequential = on;
            }
            Wish::Priority(files) => {
                self.set_priorities(&files);
                self.recount();
                self.tell_selection(out);
                let was = self.complete;
                self.look_if_complete(now, out);
                if was && self.complete {
                    // A file without bytes may be wanted that was not.
                    out.push(Effect::Disk(DiskJob::Finish));
                }
                for key in self.peers.keys().copied().collect::<Vec<PeerKey>>() {
                    self.show_interest(now, key, out);
                }
            }
            Wish::Limits { down, up } => {
                self.down_limit[super::OWN].set(down);
                self.up_limit[super::OWN].set(up);
                self.freed = true;
            }
            Wish::Ban(key) => match self.peers.get(&key).map(Peer::giver) {
                Some(Giver::Host(ip)) => self.ban(now, ip, "by you", out),
                Some(Giver::Web(seed)) => self.ban_web_seed(now, seed, "by you", out),
                None => {}
            },
            Wish::Kick(key) => self.expel(now, key, Gone::Kicked, out),
        }
    }
}
