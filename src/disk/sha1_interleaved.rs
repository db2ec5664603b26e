//! Interleaved (multi-buffer) SHA-1: hashes several streams at a time on one core.
//!
//! The SHA-1 instructions of a CPU are latency-bound: each one depends on the result of the previous one, so the
//! execution unit idles most of the time. Blocks of other streams are independent. Interleaving one block of each
//! stream fills these gaps: three streams reach 1.6 to 1.7 times the throughput of one; a fourth stream adds nothing.

use sha1::block_api::Sha1Core;
use sha1::digest::array::Array;
use sha1::digest::block_api::{Block, Buffer, FixedOutputCore, UpdateCore};

/// Number of streams that one core hashes at a time.
pub(crate) const LANES: usize = 3;

/// The incremental SHA-1 state of one stream.
#[derive(Clone, Default)]
pub(crate) struct Sha1Lane {
    core: Sha1Core,
    /// Bytes of an incomplete 64-byte block.
    rest: Buffer<Sha1Core>,
}

impl Sha1Lane {
    /// Hashes the next bytes of this stream.
    pub(crate) fn update(&mut self, part: &[u8]) {
        self.rest.digest_blocks(part, |blocks| self.core.update_blocks(blocks));
    }

    /// Returns the SHA-1 of all bytes passed to `update`.
    #[must_use]
    pub(crate) fn finish(mut self) -> [u8; 20] {
        let mut hash = Array::default();
        self.core.finalize_fixed_core(&mut self.rest, &mut hash);
        hash.into()
    }

    /// Returns the complete blocks of `part`; none if an earlier part ended within a block.
    fn blocks<'a>(&self, part: &'a [u8]) -> &'a [Block<Sha1Core>] {
        if self.rest.get_pos() == 0 { Array::slice_as_chunks(part).0 } else { &[] }
    }
}

/// Hashes the next bytes of each stream, interleaved while all streams have complete blocks.
pub(crate) fn update(streams: &mut [(&mut Sha1Lane, &[u8])]) {
    let shared = streams.iter().map(|(lane, part)| lane.blocks(part).len()).min().unwrap_or(0);
    for n in 0..shared {
        for (lane, part) in &mut *streams {
            lane.core.update_blocks(&lane.blocks(part)[n..=n]);
        }
    }
    for (lane, part) in streams {
        lane.update(&part[shared * size_of::<Block<Sha1Core>>()..]);
    }
}

#[cfg(test)]
mod tests {
    use sha1::{Digest, Sha1};

    use super::*;

    #[test]
    fn streams_side_by_side_have_the_hashes_that_they_have_alone() {
        let mut random = fastrand::Rng::with_seed(11);
        for round in 0..200 {
            let streams: Vec<Vec<u8>> = (0..random.usize(1..=LANES + 1))
                .map(|_| {
                    let mut stream = vec![0; random.usize(..700)];
                    random.fill(&mut stream);
                    stream
                })
                .collect();
            let mut lanes = vec![Sha1Lane::default(); streams.len()];
            let mut rest: Vec<&[u8]> = streams.iter().map(Vec::as_slice).collect();
            while rest.iter().any(|rest| !rest.is_empty()) {
                // Complete blocks in all streams, or parts of arbitrary length.
                let even = 64 * random.usize(1..4);
                let mut parts = Vec::new();
                for rest in &mut rest {
                    let take = if round % 2 == 0 { even } else { random.usize(..200) };
                    let (part, later) = rest.split_at(take.min(rest.len()));
                    parts.push(part);
                    *rest = later;
                }
                update(&mut lanes.iter_mut().zip(parts).collect::<Vec<_>>());
            }
            for (lane, stream) in lanes.into_iter().zip(&streams) {
                assert_eq!(lane.finish()[..], Sha1::digest(stream)[..], "{} bytes", stream.len());
            }
        }
    }
}
