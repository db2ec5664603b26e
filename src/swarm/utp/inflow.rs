//! What comes: packets in any order, bytes in theirs.

use std::collections::BTreeMap;

use crate::limits;
use crate::wire::utp::SACK;

/// Room that is kept for bytes while there are none.
const KEPT: usize = 64 * limits::KIB;

/// The bytes of one direction on their way to whoever takes them.
#[derive(Debug)]
pub(super) struct Inflow {
    /// The last packet up to which all have come.
    got: u16,
    /// Packets beyond a gap.
    beyond: BTreeMap<u16, Vec<u8>>,
    beyond_bytes: usize,
    /// Bytes that came in order, and how many of them were taken: together, so that they can be taken at once.
    ready: Vec<u8>,
    taken: usize,
    /// The number of the last packet that there will be.
    last: Option<u16>,
}

impl Inflow {
    /// The first packet is the one after this.
    pub(super) fn after(got: u16) -> Inflow {
        Inflow { got, beyond: BTreeMap::new(), beyond_bytes: 0, ready: Vec::new(), taken: 0, last: None }
    }

    /// The last packet up to which all have come.
    pub(super) const fn got(&self) -> u16 {
        self.got
    }

    /// The next bytes in order.
    pub(super) fn ready(&self) -> &[u8] {
        &self.ready[self.taken..]
    }

    /// So many of them were taken.
    pub(super) fn take(&mut self, bytes: usize) {
        self.taken += bytes;
        if self.ready().is_empty() {
            self.ready.clear();
            self.ready.shrink_to(KEPT);
            self.taken = 0;
        } else if self.taken > self.ready.len() / 2 {
            self.ready.drain(..self.taken);
            self.taken = 0;
        }
    }

    /// Whether all that there will ever be has been taken.
    pub(super) fn ended(&self) -> bool {
        self.last == Some(self.got) && self.ready().is_empty()
    }

    /// Bytes held.
    pub(super) const fn held(&self) -> usize {
        self.ready.len() - self.taken + self.beyond_bytes
    }

    /// Bytes that there is room for.
    pub(super) const fn space(&self) -> usize {
        limits::UTP_WINDOW.saturating_sub(self.held())
    }

    /// A packet came; `fin` is the last one.
    pub(super) fn came(&mut self, fin: bool, seq: u16, payload: &[u8]) {
        let ahead = usize::from(seq.wrapping_sub(self.got));
        // Those that came before, those of no sense, those beyond the end.
        if ahead == 0 || ahead > limits::UTP_PACKETS || self.last.is_some_and(|last| follows(seq, last)) {
            return;
        }
        // Nothing may follow what is the last.
        if fin && self.beyond.keys().any(|&other| follows(other, seq)) {
            return;
        }
        // With a little room beyond what was told: of a window that shrinks the other side hears late.
        if payload.len() > self.space() + limits::UTP_WINDOW / 4 || self.beyond.contains_key(&seq) {
            return;
        }
        if fin {
            self.last = Some(seq);
        }
        if ahead > 1 {
            self.beyond_bytes += payload.len();
            self.beyond.insert(seq, payload.to_vec());
            return;
        }
        self.got = seq;
        self.ready.extend_from_slice(payload);
        while let Some(payload) = self.beyond.remove(&self.got.wrapping_add(1)) {
            self.got = self.got.wrapping_add(1);
            self.beyond_bytes -= payload.len();
            self.ready.extend_from_slice(&payload);
        }
    }

    /// Which packets beyond the gap have come, as they are acknowledged; empty where there is no gap.
    pub(super) fn sack(&self) -> Vec<u8> {
        let mut bits = [0; SACK];
        let mut used = 0;
        for seq in self.beyond.keys() {
            let n = usize::from(seq.wrapping_sub(self.got).wrapping_sub(2));
            if let Some(byte) = bits.get_mut(n / 8) {
                *byte |= 1 << (n % 8);
                used = used.max(n / 8 + 1);
            }
        }
        bits[..used.next_multiple_of(4)].to_vec()
    }
}

/// Whether one number comes after another, on a counter that wraps.
pub(super) const fn follows(later: u16, earlier: u16) -> bool {
    earlier.wrapping_sub(later) >= 1 << 15
}
