//! Why a connection ended.

use thiserror::Error;

/// Why a connection ended or was never established.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum DisconnectReason {
    /// The peer closed the connection.
    #[error("closed by peer")]
    Closed,
    /// A socket error: the message of the operating system.
    #[error("{0}")]
    Network(String),
    /// No route to the address family at present: the message of the operating system.
    #[error("{0}")]
    Offline(String),
    /// A time-out; names what was awaited.
    #[error("{0} took too long")]
    TimedOut(&'static str),
    /// The peer violated the protocol or sent false data.
    #[error("{0}")]
    ProtocolViolation(String),
    /// The peer is banned, with the reason.
    #[error("banned: {0}")]
    Banned(String),
    #[error("connected to ourselves")]
    SelfConnection,
    /// Already connected to this peer id.
    #[error("already connected")]
    Duplicate,
    /// Neither side wants anything from the other.
    #[error("no mutual interest")]
    Useless,
    /// Evicted in favor of another peer.
    #[error("replaced by another peer")]
    Replaced,
    /// Found other than by the trackers of a private torrent (BEP 27).
    #[error("private torrent: peer is not from its trackers")]
    Private,
    #[error("torrent stopped")]
    Stopped,
    #[error("disconnected by user")]
    DisconnectedByUser,
    /// One of our limits is reached: connections, threads, file descriptors.
    #[error("connection limit reached")]
    TooManyConnections,
}

impl DisconnectReason {
    /// Returns the texts in it that come from the peer or the operating system.
    pub fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        let text = match self {
            DisconnectReason::Network(text)
            | DisconnectReason::Offline(text)
            | DisconnectReason::ProtocolViolation(text)
            | DisconnectReason::Banned(text) => Some(text),
            _ => None,
        };
        text.into_iter()
    }
}
