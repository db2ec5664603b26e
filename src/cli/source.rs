//! What a user names as a TORRENT.

use color_eyre::eyre::{WrapErr, eyre};

use super::Common;
use crate::config::Config;
use crate::engine::add::{self, fetch};
use crate::engine::announce::{Announcer, AnnouncerConfig};
use crate::engine::threads::Crew;
use crate::wire::link::{self, Link};
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

/// Reads what a user named: a path of a `.torrent`, a magnet link, an info-hash or an http(s) URL.
///
/// # Errors
/// When it cannot be read or fetched, or is no torrent: a sentence that names it.
pub fn read(what: &str, common: &Common) -> color_eyre::Result<Named> {
    let by_http = |url: &str| {
        let config = Config::load(common.clone())?;
        let announcing = AnnouncerConfig { bind: config.bind, ..AnnouncerConfig::default() };
        let announcer = Announcer::start(&Crew::default(), &announcing);
        fetch(url, &announcer.map_err(|why| format!("{url} cannot be fetched: {why}"))?)
    };
    match add::read(what, by_http).map_err(|why| eyre!(why))? {
        add::Named::Magnet(magnet) => Ok(Named::Magnet(*magnet)),
        add::Named::Torrent(bytes) => {
            let it = Metainfo::parse(&bytes).wrap_err_with(|| format!("cannot use {what}"))?;
            Ok(Named::Torrent(Box::new(it), bytes))
        }
    }
}

/// The torrents of a command line. An argument with line breaks that begins with a magnet link holds one link that was
/// broken over lines, or several.
#[must_use]
pub fn each(torrents: &[String]) -> Vec<String> {
    let several = |text: &String| text.contains('\n') && matches!(Link::find(text), Some(Link::Magnet(_)));
    torrents.iter().flat_map(|text| if several(text) { link::lines(text) } else { vec![text.clone()] }).collect()
}
