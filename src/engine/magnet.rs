//! Magnet links (BEP 9): the torrent before its metadata is known, and the torrent that the metadata describes.

use std::path::Path;

use super::add::{
    TorrentDefaults, TorrentSource, TorrentSpec, display_path, fetch, folder, read, refused_trackers, resolve,
};
use super::announce::Announcer;
use super::announce::error::FetchError;
use super::error::EngineError;
use super::session_store::SessionStore;
use crate::api::AddTorrent;
use crate::disk::torrent_file::read_torrent;
use crate::limits;
use crate::swarm::geometry::Geometry;
use crate::swarm::job::Totals;
use crate::swarm::torrent::{Input, MagnetExtras, ProvidedMetadata, Quota, TorrentConfig};
use crate::swarm::view::{Priority, TorrentMeta};
use crate::wire::magnet::Magnet;
use crate::wire::message::InfoHash;
use crate::wire::metainfo::{self, Metainfo};

/// Resolves what the user named. A magnet link whose metadata is saved is resolved from the saved `.torrent` file.
///
/// # Errors
/// Fails if the source cannot be read or is invalid.
pub(crate) fn resolve_source(
    add: &AddTorrent,
    announcer: &Announcer,
    keep: &SessionStore,
    defaults: &TorrentDefaults,
) -> Result<TorrentSpec, EngineError> {
    match read(&add.what, |url| fetch(url, announcer))? {
        TorrentSource::Torrent(bytes) => {
            let mut plan = resolve(add, &bytes, defaults)?;
            plan.bytes = Some(bytes.into());
            Ok(plan)
        }
        TorrentSource::Magnet(magnet) => {
            let kept = keep.torrent_path(&magnet.info_hash.to_string());
            match kept.exists().then(|| from_saved(add, &magnet, &kept, defaults)) {
                Some(Ok(plan)) => Ok(plan),
                // Unusable saved metadata is fetched again.
                _ => from_magnet(add, magnet, defaults),
            }
        }
    }
}

/// Builds the torrent from the saved `.torrent` file and adds the trackers and web seeds of the link.
fn from_saved(
    add: &AddTorrent,
    magnet: &Magnet,
    kept: &Path,
    defaults: &TorrentDefaults,
) -> Result<TorrentSpec, EngineError> {
    let bytes = read_torrent(kept)?;
    let mut plan = resolve_with_link(add, magnet, &bytes, defaults)?;
    if plan.config.info_hash != magnet.info_hash {
        return Err(EngineError::OtherTorrent(kept.to_path_buf()));
    }
    let known: Vec<String> = plan.config.trackers.concat();
    let new = magnet.trackers.iter().filter(|url| !plan.config.private && !known.contains(url));
    plan.config.trackers.extend(new.map(|url| vec![url.clone()]));
    let known = plan.config.web_seeds.clone();
    let new = magnet.web_seeds.iter().filter(|url| !plan.config.private && !known.contains(url));
    plan.config.web_seeds.extend(new.cloned());
    plan.bytes = Some(bytes.into());
    Ok(plan)
}

/// Builds a torrent without metadata from a magnet link.
///
/// # Errors
/// Fails if the download folder cannot be used.
pub(crate) fn from_magnet(
    add: &AddTorrent,
    magnet: Box<Magnet>,
    defaults: &TorrentDefaults,
) -> Result<TorrentSpec, EngineError> {
    let dir = folder(add, defaults)?;
    let short = magnet.info_hash.to_string();
    let config = TorrentConfig {
        name_on_disk: None,
        name: magnet.name.clone().unwrap_or_else(|| short[..short.len().min(16)].to_owned()),
        info_hash: magnet.info_hash,
        peer_id: defaults.peer_id,
        info: None,
        kept_info: 0,
        geometry: Geometry::new(0, 1),
        files: Vec::new(),
        priorities: Vec::new(),
        sequential: add.sequential,
        seed_only: add.seed_only,
        private: false,
        lan: defaults.lan,
        lan_unlimited: defaults.lan_unlimited,
        // One tier per tracker, in the order of the link.
        trackers: magnet.trackers.iter().map(|url| vec![url.clone()]).collect(),
        web_seeds: magnet.web_seeds.clone(),
        is_folder: false,
        peers: add.peers.clone(),
        link: from_link(&magnet),
        pex: defaults.pex,
        utp: defaults.utp,
        dht: defaults.dht,
        port: defaults.port.unwrap_or(0),
        folder: display_path(&dir),
        max_peers: defaults.max_peers,
        quota: Quota { budget: limits::BUDGET, ..Quota::default() },
        super_seed: false,
        meta: TorrentMeta {
            web_seeds: magnet.web_seeds.clone(),
            magnet: magnet.to_string(),
            refused_trackers: refused_trackers(&magnet.refused),
            ..TorrentMeta::default()
        },
        added: 0,
        finished: None,
        totals: Totals::default(),
        seed: fastrand::u64(..),
    };
    let remarks = magnet.refused.iter().map(ToString::to_string).collect();
    let magnet = Some(magnet);
    Ok(TorrentSpec {
        config,
        layout: None,
        dir,
        remarks,
        folder: false,
        bytes: None,
        magnet,
        resume_bitfield: None,
        on_disk: false,
    })
}

/// Builds, validates and saves the `.torrent` file of a magnet link from its metadata.
///
/// # Errors
/// Fails if the metadata is invalid.
pub(crate) fn from_metadata(
    add: &AddTorrent,
    before: &TorrentSpec,
    given: &ProvidedMetadata,
    keep: &SessionStore,
    defaults: &TorrentDefaults,
) -> Result<TorrentSpec, EngineError> {
    let magnet = before.magnet.clone().unwrap_or_else(|| Box::new(Magnet::from_info_hash(before.config.info_hash)));
    // Private torrents (BEP 27) get peers from their trackers only, and a link is untrusted: its web seeds are dropped.
    let own_seeds = |url: &&String| !Metainfo::is_private(&given.info) || !magnet.web_seeds.contains(*url);
    let web_seeds: Vec<String> = given.web_seeds.iter().filter(own_seeds).cloned().collect();
    let bytes = metainfo::encode_torrent(&given.info, &given.trackers, &web_seeds);
    let mut plan = resolve_with_link(add, &magnet, &bytes, defaults)?;
    plan.config.seed = before.config.seed;
    plan.config.peers.clone_from(&before.config.peers);
    plan.remarks.extend(keep.save_torrent(plan.config.info_hash, &bytes).err().map(|why| why.to_string()));
    plan.bytes = Some(bytes.into());
    Ok(plan)
}

/// Returns what a magnet link names besides trackers and web seeds.
fn from_link(magnet: &Magnet) -> MagnetExtras {
    let Magnet { peers, named_peers, sources, .. } = magnet.clone();
    MagnetExtras { peers, named_peers, sources }
}

/// Validates a `.torrent` file downloaded from a magnet link's source and returns the input for its torrent.
pub(crate) fn fetched(source: usize, info_hash: InfoHash, result: Result<Vec<u8>, FetchError>) -> Input {
    let judged = result.map_err(|why| why.to_string()).and_then(|bytes| {
        let it = Metainfo::parse(&bytes).map_err(|why| why.to_string())?;
        match it.info_hash == info_hash {
            true => {
                Ok(ProvidedMetadata { info: it.info, trackers: it.trackers, web_seeds: it.web_seeds, by_user: false })
            }
            false => Err("it is another torrent's".to_owned()),
        }
    });
    match judged {
        Ok(given) => Input::MetadataProvided(Box::new(given)),
        Err(why) => Input::TorrentFetchFailed { source, why },
    }
}

/// Parses the `.torrent` file of a magnet link and applies the file selection of the link (BEP 53) or of the user.
///
/// # Errors
/// Fails if the file is invalid.
pub(crate) fn resolve_with_link(
    add: &AddTorrent,
    magnet: &Magnet,
    bytes: &[u8],
    defaults: &TorrentDefaults,
) -> Result<TorrentSpec, EngineError> {
    let mut plan = resolve(add, bytes, defaults)?;
    plan.config.link = from_link(magnet);
    if add.select.is_empty() && !magnet.select.is_empty() {
        let wanted = |n: usize| u32::try_from(n).is_ok_and(|n| magnet.select.iter().any(|run| run.contains(&n)));
        let files = plan.config.files.iter().enumerate().filter(|(_, file)| !file.pad);
        let (some, others): (Vec<_>, Vec<_>) = files.map(|(n, _)| n).partition(|n| wanted(*n));
        if some.is_empty() {
            plan.remarks.push("the magnet link selects files that do not exist: all are wanted".to_owned());
        } else {
            let skipped = others.into_iter().map(|n| (n, Priority::Skip));
            plan.config.priorities = skipped.chain(add.priorities.iter().copied()).collect();
        }
    }
    Ok(plan)
}
