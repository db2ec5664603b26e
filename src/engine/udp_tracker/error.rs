//! Errors of announces to UDP trackers. The display text of each is a clause that follows the URL, safe to print.

use std::io;

use thiserror::Error;

use crate::limits;
use crate::wire::sanitize::sanitize;

/// Why an announce to a UDP tracker failed.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub(super) enum UdpTrackerError {
    #[error("the URL holds a character that no URL may have")]
    Characters,
    #[error("the URL is {0} bytes long: too long")]
    TooLong(usize),
    #[error("the URL has no scheme")]
    NoScheme,
    #[error("the URL cannot be read: {0}")]
    Malformed(#[from] url::ParseError),
    #[error("the URL of a UDP tracker must name a port")]
    NoPort,
    #[error("the URL names port 0, which nobody can listen on")]
    PortZero,
    #[error("the URL names no host")]
    NoHost,
    #[error("its name was not found in time")]
    LookupTimeout,
    #[error("its name is not known")]
    UnknownName,
    #[error("its address is none that a tracker can have")]
    UnusableAddress,
    #[error("no answer in time")]
    Timeout,
    #[error("connection refused")]
    ConnectionRefused,
    /// A socket error: the message of the operating system.
    #[error("{0}")]
    Socket(String),
    /// The tracker's error message.
    #[error("it says: {0}")]
    Says(String),
    /// The answer is not that of a tracker.
    #[error("it does not answer as a tracker does")]
    NotATracker,
    /// The engine stops.
    #[error("stopped")]
    Stopped,
}

impl From<io::Error> for UdpTrackerError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => UdpTrackerError::ConnectionRefused,
            _ => UdpTrackerError::Socket(sanitize(&error.to_string(), limits::TRACKER_TEXT)),
        }
    }
}
