//! Parsers of the values of flags.

use crate::config::size;
use crate::disk::create::{PIECE_LEAST, PIECE_MOST};
use crate::limits::{self, MIB};
use crate::wire::metainfo::urls;

/// Minimum payload in bytes: anything smaller would only measure process startup.
const LEAST: u64 = MIB as u64;

/// Parses `--piece-length`.
///
/// # Errors
/// The value cannot be parsed or is not an allowed piece length; the message lists what is allowed.
pub(crate) fn piece(text: &str) -> Result<u32, String> {
    let wanted = size::piece_length(text).map_err(|why| why.to_string())?;
    let fits = wanted.is_power_of_two() && (u64::from(PIECE_LEAST)..=u64::from(PIECE_MOST)).contains(&wanted);
    u32::try_from(wanted)
        .ok()
        .filter(|_| fits)
        .ok_or_else(|| "it needs a power of two from 16K to 128M, such as 256K or 4M".to_owned())
}

/// Parses one `--tracker` value: the comma-separated trackers of one tier, used in random order (BEP 12).
///
/// # Errors
/// Names the URL that is invalid and the cause.
pub(crate) fn trackers(text: &str) -> Result<Vec<String>, String> {
    let one = |url: &str| urls::tracker(url.as_bytes()).map_err(|why| format!("{url}: {why}"));
    let several: Result<Vec<String>, String> = text.split(',').map(|url| one(url.trim())).collect();
    // A single URL may itself contain a comma.
    several.or_else(|why| one(text).map(|url| vec![url]).map_err(|_| why))
}

/// Parses the URL of a web seed.
///
/// # Errors
/// The URL is invalid: returns the cause.
pub(crate) fn web_seed(text: &str) -> Result<String, String> {
    urls::web_seed(text.as_bytes()).map_err(|why| why.to_string())
}

/// Parses `--name`.
///
/// # Errors
/// The name is not a valid path component, or it is too long.
pub(crate) fn name(text: &str) -> Result<String, &'static str> {
    let plain = !matches!(text, "" | "." | "..") && !text.contains(['/', '\0']);
    let fits = plain && text.len() <= limits::PATH_COMPONENT;
    fits.then(|| text.to_owned()).ok_or("it needs the name of a file or a folder, without slashes")
}

/// Parses `--size`.
///
/// # Errors
/// The size cannot be parsed or is below the minimum; the message says what is accepted.
pub(crate) fn payload(text: &str) -> Result<u64, String> {
    let wanted = size::size(text).map_err(|why| why.to_string())?;
    (wanted >= LEAST).then_some(wanted).ok_or_else(|| "it needs 1MiB or more".to_owned())
}

/// Parses a ratio: a finite number >= 0.
pub(crate) fn ratio(text: &str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|r: &f64| r.is_finite() && *r >= 0.0).ok_or("it needs a number from 0, such as 1.5")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_a_wrong_call() {
        assert_eq!((piece("16K"), piece("4M"), piece("131072")), (Ok(16 << 10), Ok(4 << 20), Ok(1 << 17)));
        for wrong in ["3", "8K", "100K", "256M", "x", "0"] {
            assert!(piece(wrong).is_err(), "{wrong}");
        }
        assert_eq!(trackers("http://a.example.org/announce,udp://b.example.org:1").map(|all| all.len()), Ok(2));
        assert_eq!(trackers("http://a.example.org/announce?a=1,2").map(|all| all.len()), Ok(1));
        for wrong in ["a", "ftp://a.example.org", "http://", "udp://a.example.org", ""] {
            assert!(trackers(wrong).is_err(), "{wrong}");
        }
        assert!(web_seed("udp://a.example.org:1").is_err() && web_seed("https://a.example.org/x").is_ok());
        assert!(name("a b").is_ok() && name("..").is_err() && name("a/b").is_err() && name("").is_err());
    }
}
