//! Consistency checks of the torrent state machine, for tests and the simulator.

use super::state::recovery::Comparison;
use super::{Phase, Torrent};

impl Torrent {
    /// Checks the invariants of the torrent.
    ///
    /// # Errors
    /// A description of the first broken invariant.
    pub fn check_invariants(&self) -> Result<(), String> {
        self.picker.check()?;
        if let Some(search) = &self.search {
            search.check_invariants()?;
        }
        let asked: u64 = self.peers.values().flat_map(|p| &p.inflight).map(|a| u64::from(self.length(a))).sum();
        if asked != self.outstanding {
            return Err(format!("{asked} bytes are asked for, {} are counted", self.outstanding));
        }
        for (key, peer) in &self.peers {
            let wanted = peer.has.iter().filter(|p| self.picker.wants(*p)).count();
            if wanted != peer.wanted as usize {
                return Err(format!("{key:?} has {wanted} wanted pieces, {} are counted", peer.wanted));
            }
            if self.phase == Phase::Active && peer.am_interested != (wanted > 0) {
                return Err(format!("{key:?} has {wanted} wanted pieces and interest is {}", peer.am_interested));
            }
            if peer.am_choking && !peer.queue.is_empty() {
                return Err(format!("{key:?} is choked and has requests queued"));
            }
        }
        let complete = self.picker.missing() == 0 && (!self.fetched || self.comparison == Comparison::Done);
        if self.phase == Phase::Active && self.complete != complete {
            return Err(format!("{} pieces lacking, complete is {}", self.picker.missing(), self.complete));
        }
        Ok(())
    }

    fn length(&self, asked: &crate::swarm::peer::InFlightRequest) -> u32 {
        self.picker.block(asked.piece, asked.block).length
    }
}
