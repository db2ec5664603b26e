//! Errors of the HTTP client. The display text of each is a clause that follows the name of a host or a URL, safe to
//! print.

use std::io;

use thiserror::Error;

use crate::disk::error::{is_out_of_handles, reason};
use crate::limits;
use crate::wire::sanitize::sanitize;

/// Why a request failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct HttpError {
    pub(super) why: RequestError,
    /// The host did not respond at all, so that other requests to it are pointless.
    pub(super) host_unreachable: bool,
}

impl HttpError {
    pub(super) const fn late() -> Self {
        HttpError { why: RequestError::Late, host_unreachable: true }
    }
}

impl From<RequestError> for HttpError {
    fn from(why: RequestError) -> Self {
        HttpError { why, host_unreachable: false }
    }
}

impl From<ureq::Error> for HttpError {
    fn from(error: ureq::Error) -> Self {
        let dead = match &error {
            ureq::Error::Timeout(_) | ureq::Error::HostNotFound => true,
            // `ErrorKind::Other` is a refusal by our own policy, and running out of file handles says nothing about
            // the host.
            ureq::Error::Io(e) => e.kind() != io::ErrorKind::Other && !is_out_of_handles(e),
            _ => false,
        };
        HttpError { why: RequestError::Client(describe_error(&error)), host_unreachable: dead }
    }
}

/// Why a request was not made or not answered.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum RequestError {
    #[error("the URL holds a character that no URL may have")]
    Characters,
    #[error("the URL is {0} bytes long: too long")]
    TooLong(usize),
    #[error("the URL cannot be read: {0}")]
    Malformed(#[from] url::ParseError),
    #[error("the URL names port 0, which nobody can listen on")]
    PortZero,
    #[error("{0} URLs are not supported here, only http and https")]
    Scheme(String),
    /// The parameters of an announce make no URL: the reason.
    #[error("{0}")]
    Announce(String),
    #[error("no answer in time")]
    Late,
    #[error("it redirects to a magnet URL: refused")]
    RedirectToMagnet,
    #[error("it redirects to something that is no URL")]
    RedirectToNoUrl,
    #[error("it redirects to a {0} URL: refused")]
    RedirectToScheme(String),
    #[error("it redirects more than {} times", limits::REDIRECTS)]
    Redirects,
    /// The HTTP client or the server failed: its message.
    #[error("{0}")]
    Client(String),
}

/// Why a URL could not be downloaded.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum FetchError {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("the server answers with status {0}")]
    Status(u16),
    #[error("the server compresses its answer with {0} without being asked to: fetch the file otherwise")]
    Compressed(String),
    /// The system has no thread for the download.
    #[error("no thread for it: {0}")]
    NoThread(String),
    #[error(transparent)]
    Fault(#[from] WorkerFault),
    /// The thread of the download does not respond.
    #[error("no answer came")]
    NoAnswer,
    /// The engine stops.
    #[error("stopped")]
    Stopped,
}

/// A panic of a worker thread was caught.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("an error of ours, which the log tells")]
pub struct WorkerFault;

/// Why the router did not do what was asked.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub(crate) enum RouterError {
    /// There is no answer: the message of the HTTP client.
    #[error("{0}")]
    Client(String),
    #[error("the router answers with status {0}")]
    Status(u16),
    /// A SOAP fault.
    #[error("the router answers with error {code} {message}")]
    Soap { code: u16, message: String },
}

impl From<ureq::Error> for RouterError {
    fn from(error: ureq::Error) -> Self {
        RouterError::Client(describe_error(&error))
    }
}

impl RouterError {
    /// Returns the UPnP error code, if the router sent one.
    pub(crate) const fn code(&self) -> Option<u16> {
        match self {
            RouterError::Soap { code, .. } => Some(*code),
            RouterError::Client(_) | RouterError::Status(_) => None,
        }
    }
}

/// Describes an I/O error of a connection to a server; as [`describe_error`], but not sanitized.
pub(super) fn describe_io_error(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".into(),
        // `ureq` calls the server a peer, which would be misleading in a BitTorrent client.
        io::ErrorKind::UnexpectedEof => "connection closed by the server".into(),
        io::ErrorKind::ConnectionReset => "it broke off the connection".into(),
        _ if is_out_of_handles(error) => "too many files are open here".into(),
        _ => tls_error(error).map_or_else(|| reason(error), describe_tls_error),
    }
}

/// Returns the TLS error inside an I/O error: `rustls` reports errors of an established stream this way.
fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// Describes a failed TLS handshake.
fn describe_tls_error(error: &rustls::Error) -> String {
    use rustls::CertificateError as Bad;

    match error {
        rustls::Error::InvalidMessage(_) => "it does not speak TLS: try http:// in place of https://".into(),
        rustls::Error::InvalidCertificate(bad) => match bad {
            Bad::Expired | Bad::ExpiredContext { .. } => "its certificate has expired".into(),
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
                "its certificate is not valid yet: is the clock of this computer right?".into()
            }
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => "its certificate is for another name".into(),
            Bad::UnknownIssuer => "its certificate is signed by nobody whom this program trusts".into(),
            other => format!("its certificate is bad: {other:?}"),
        },
        other => format!("TLS failed: {other}"),
    }
}

/// Describes a failed request. The text is sanitized, because parts of it may come from the server.
pub(super) fn describe_error(error: &ureq::Error) -> String {
    let plain = match error {
        ureq::Error::Timeout(ureq::Timeout::Resolve) => "its name was not found in time".into(),
        ureq::Error::Timeout(ureq::Timeout::Connect) => "no connection in time".into(),
        ureq::Error::Timeout(_) => "no answer in time".into(),
        ureq::Error::HostNotFound => "its name is not known".into(),
        ureq::Error::Io(e) => describe_io_error(e),
        ureq::Error::BodyExceedsLimit(max) => format!("its answer is longer than {max} bytes"),
        ureq::Error::LargeResponseHeader(..) => "the header of its answer is too long".into(),
        ureq::Error::Decompress(..) => "its answer is damaged (compression)".into(),
        ureq::Error::Protocol(_) | ureq::Error::Http(_) => "it does not speak HTTP".into(),
        ureq::Error::Rustls(e) => describe_tls_error(e),
        other => other.to_string(),
    };
    sanitize(&plain, limits::TRACKER_TEXT)
}
