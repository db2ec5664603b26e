//! Pieces that are nothing but zeros: they prove nothing.

use std::collections::BTreeMap;

use sha1::{Digest, Sha1};

use crate::disk::layout::Layout;
use crate::wire::message::PieceIndex;

/// The hashes of pieces that are nothing but zeros, by their size.
#[derive(Default)]
pub(super) struct Zeros(BTreeMap<u32, [u8; 20]>);

impl Zeros {
    /// Whether a piece is one of them.
    pub(super) fn is(&mut self, layout: &Layout, piece: u32) -> bool {
        let size = layout.geometry().piece_size(PieceIndex(piece));
        let hash = self.0.entry(size).or_insert_with(|| Sha1::digest(vec![0; size as usize]).into());
        layout.hash(PieceIndex(piece)) == Some(*hash)
    }
}
