//! What a user may set, and how it is written.

pub mod size;
