//! An announce as it is asked for, and who is told of its result.

use std::net::SocketAddr;

use crate::wire::tracker::{Announce, AnnounceError, AnnounceIdentity, AnnounceResponse};

/// Callback for the result of a job. Called on a thread of the announcer or of the caller: must not block.
pub type Callback<T, E> = Box<dyn FnOnce(Result<T, E>) + Send>;

/// Callback for peers that arrive after the first response.
pub(crate) type LatePeersCallback = Box<dyn FnOnce(Vec<SocketAddr>) + Send>;

/// A request to announce one torrent to one tracker.
pub struct AnnounceJob {
    pub ask: Announce,
    pub identity: AnnounceIdentity,
    /// Receives the first successful response, or the error if every attempt failed.
    pub done: Callback<AnnounceResponse, AnnounceError>,
    /// Receives the peers of a later response over the other address family (BEP 7).
    pub more: LatePeersCallback,
}
