//! Invariant checks of the picker, for tests and the simulator; they scan all pieces.

use super::{Amounts, BlockState, Picker, PieceState};

impl Picker {
    /// Checks all invariants; for tests and the simulator.
    ///
    /// # Errors
    /// Describes the first violated invariant.
    pub fn check(&self) -> Result<(), String> {
        let mut amounts = Amounts { have: 0, done: 0, to_fetch: 0, ..self.amounts };
        let mut unasked = 0;
        let mut lacking = 0;
        let mut listed = 0;
        for piece in self.geometry.all() {
            let (blocks, data) = (u64::from(self.map.data_blocks(piece)), self.map.piece_data(piece));
            let wanted = self.wanted_in(piece);
            match self.state[piece.as_usize()] {
                PieceState::Have => (amounts.have, amounts.done) = (amounts.have + data, amounts.done + wanted),
                PieceState::Ignored => {}
                PieceState::Wanted => (unasked, lacking, listed) = (unasked + blocks, lacking + 1, listed + 1),
                PieceState::Active => {
                    let Some(a) = self.active.get(&piece) else { return Err(format!("active {piece} has no record")) };
                    let free = a.slots.iter().filter(|s| **s == BlockState::Free).count() as u64;
                    let here = a.slots.iter().filter(|s| matches!(s, BlockState::Received(_))).count();
                    if free != u64::from(a.free) || here != a.here as usize {
                        return Err(format!("piece {piece} miscounts its blocks"));
                    }
                    if (free > 0) != self.open.get(&a.owner).is_some_and(|o| o.contains(&piece)) {
                        return Err(format!("piece {piece} with {free} free blocks is listed wrongly as open"));
                    }
                    if free > 0 && a.slots.iter().position(|s| *s == BlockState::Free) < Some(a.hint as usize) {
                        return Err(format!("piece {piece} has a free block before its hint"));
                    }
                    (unasked, lacking) = (unasked + free, lacking + 1);
                }
            }
            if self.wants(piece) {
                amounts.to_fetch += data;
            }
            if self.wants(piece) && blocks == 0 {
                return Err(format!("piece {piece} is wanted and has nothing to ask for"));
            }
            if self.order.is_listed(piece) != (self.state[piece.as_usize()] == PieceState::Wanted) {
                return Err(format!("piece {piece} is listed though {:?}", self.state[piece.as_usize()]));
            }
            self.order.check(piece)?;
            if self.have.has(piece) != (self.state[piece.as_usize()] == PieceState::Have) {
                return Err(format!("piece {piece} is had and not had"));
            }
        }
        if (unasked, lacking, listed) != (self.unasked, self.lacking, self.order.len()) {
            return Err(format!("miscounted: {unasked} unasked {lacking} lacking, {} {}", self.unasked, self.lacking));
        }
        if amounts != self.amounts {
            return Err(format!("there are {amounts:?}, counted are {:?}", self.amounts));
        }
        Ok(())
    }
}
