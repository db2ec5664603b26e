//! Parses a TORRENT argument: path, magnet link, info-hash or URL.

use color_eyre::eyre::WrapErr;

use super::args::Common;
use crate::config::Config;
use crate::engine::add::{self, fetch};
use crate::engine::announce::error::FetchError;
use crate::engine::announce::{Announcer, AnnouncerConfig};
use crate::engine::error::EngineError;
use crate::engine::threads::ThreadGroup;
use crate::wire::link::{self, Link};
use crate::wire::magnet::Magnet;
use crate::wire::metainfo::Metainfo;

/// A torrent that was named on the command line.
#[derive(Clone, Debug)]
pub(crate) enum TorrentArg {
    /// A `.torrent` file.
    Torrent(Box<Metainfo>),
    /// A magnet link or an info-hash.
    Magnet(Box<Magnet>),
}

/// Reads a TORRENT argument: a path of a `.torrent`, a magnet link, an info-hash or an http(s) URL.
///
/// # Errors
/// The argument cannot be read or fetched, or is not a torrent: a sentence that names it.
pub(crate) fn read(what: &str, common: &Common) -> color_eyre::Result<TorrentArg> {
    let by_http = |url: &str| {
        let config = Config::load(common.clone()).map_err(EngineError::Config)?;
        let announcing = AnnouncerConfig { bind: config.bind, ..AnnouncerConfig::default() };
        let announcer = Announcer::start(&ThreadGroup::default(), &announcing);
        let failed = |why: std::io::Error| EngineError::Fetch {
            url: url.to_owned(),
            source: FetchError::NoThread(why.to_string()),
        };
        fetch(url, &announcer.map_err(failed)?)
    };
    match add::read(what, by_http)? {
        add::TorrentSource::Magnet(magnet) => Ok(TorrentArg::Magnet(magnet)),
        add::TorrentSource::Torrent(bytes) => {
            let it = Metainfo::parse(&bytes).wrap_err_with(|| format!("cannot use {what}"))?;
            Ok(TorrentArg::Torrent(Box::new(it)))
        }
    }
}

/// Returns the torrents of a command line. An argument with line breaks that begins with a magnet link is one link
/// broken over several lines, or several links.
#[must_use]
pub(crate) fn each(torrents: &[String]) -> Vec<String> {
    let several = |text: &String| text.contains('\n') && matches!(Link::find(text), Some(Link::Magnet(_)));
    torrents.iter().flat_map(|text| if several(text) { link::lines(text) } else { vec![text.clone()] }).collect()
}
