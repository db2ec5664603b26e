//! The uTP receive buffer: reorders packets, delivers bytes in order, builds the SACK.

use std::collections::BTreeMap;

use crate::limits;
use crate::wire::utp::SACK;

/// Capacity kept for the ready bytes while the buffer is empty.
const KEPT: usize = 64 * limits::KIB;

/// The receive buffer of a connection.
#[derive(Debug)]
pub(super) struct RecvBuffer {
    /// `ack_nr`: the last packet up to which all were received.
    got: u16,
    /// Out-of-order packets, received beyond a gap.
    beyond: BTreeMap<u16, Vec<u8>>,
    beyond_bytes: usize,
    /// Bytes in order, and how many of them are consumed; contiguous so that one read can take all.
    ready: Vec<u8>,
    taken: usize,
    /// `seq_nr` of the FIN (`eof_pkt`).
    last: Option<u16>,
}

impl RecvBuffer {
    /// Creates a buffer that expects the packet after `got`.
    pub(super) fn after(got: u16) -> RecvBuffer {
        RecvBuffer { got, beyond: BTreeMap::new(), beyond_bytes: 0, ready: Vec::new(), taken: 0, last: None }
    }

    /// Returns the `ack_nr`.
    pub(super) const fn got(&self) -> u16 {
        self.got
    }

    /// Returns the bytes in order that are not consumed.
    pub(super) fn ready(&self) -> &[u8] {
        &self.ready[self.taken..]
    }

    /// Consumes bytes.
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

    /// Returns whether the FIN was received and all bytes before it were consumed.
    pub(super) fn ended(&self) -> bool {
        self.last == Some(self.got) && self.ready().is_empty()
    }

    /// Returns the buffered bytes.
    pub(super) const fn held(&self) -> usize {
        self.ready.len() - self.taken + self.beyond_bytes
    }

    /// Returns the receive window to advertise, in bytes.
    pub(super) const fn space(&self) -> usize {
        limits::UTP_WINDOW.saturating_sub(self.held())
    }

    /// Adds a received packet; `fin` marks the last one.
    pub(super) fn came(&mut self, fin: bool, seq: u16, payload: &[u8]) {
        let ahead = usize::from(seq.wrapping_sub(self.got));
        // Duplicates, implausible sequence numbers, packets after the FIN.
        if ahead == 0 || ahead > limits::UTP_PACKETS || self.last.is_some_and(|last| follows(seq, last)) {
            return;
        }
        // A FIN with packets after it is invalid.
        if fin && self.beyond.keys().any(|&other| follows(other, seq)) {
            return;
        }
        // A quarter more than the window: the peer learns late of a window that shrinks.
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

    /// Returns the selective ACK bitmask of the out-of-order packets; empty without a gap.
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

/// Returns whether one sequence number comes after another, with wrap-around.
pub(super) const fn follows(later: u16, earlier: u16) -> bool {
    earlier.wrapping_sub(later) >= 1 << 15
}
