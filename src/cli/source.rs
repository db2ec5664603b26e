//! What a user names as a TORRENT.

use std::path::Path;

use color_eyre::eyre::{WrapErr, bail};

use crate::disk::open::read_torrent;
use crate::wire::magnet::Magnet;
use crate::wire::metainfo::Metainfo;

/// A torrent as it was named.
#[derive(Clone, Debug)]
pub enum Named {
    /// A `.torrent` file, with its bytes as they stood.
    Torrent(Box<Metainfo>, Vec<u8>),
    /// A magnet link or an info-hash.
    Magnet(Magnet),
}

/// Whether a text is an http(s) URL.
#[must_use]
pub fn is_url(text: &str) -> bool {
    let begins = |prefix: &str| text.get(..prefix.len()).is_some_and(|t| t.eq_ignore_ascii_case(prefix));
    begins("http://") || begins("https://")
}

/// Whether a text is meant as a magnet link or an info-hash rather than as a path. A file whose name looks like an
/// info-hash is a file.
#[must_use]
pub fn is_magnet(text: &str) -> bool {
    let begins = text.trim_start().get(..7).is_some_and(|t| t.eq_ignore_ascii_case("magnet:"));
    begins || (Magnet::parse(text).is_ok() && !Path::new(text).exists())
}

/// Reads what a user named: a path of a `.torrent`, a magnet link or an info-hash.
///
/// # Errors
/// When it cannot be read or is no torrent: a sentence that names it.
pub fn read(what: &str) -> color_eyre::Result<Named> {
    if is_magnet(what) {
        return Ok(Named::Magnet(Magnet::parse(what)?));
    }
    if is_url(what) {
        bail!("{what} is on the web: save the .torrent file first and name that");
    }
    let bytes = read_torrent(Path::new(what))?;
    let it = Metainfo::parse(&bytes).wrap_err_with(|| format!("cannot use {what}"))?;
    Ok(Named::Torrent(Box::new(it), bytes))
}
