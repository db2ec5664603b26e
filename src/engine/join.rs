//! Joining a torrent by a magnet link: what it is before its metadata are here, and what they make of it.

use std::path::Path;

use bytes::Bytes;

use super::add::{Defaults, Named, Plan, folder, plan, read, shown};
use super::announce::Announcer;
use super::keep::Keep;
use crate::api::AddTorrent;
use crate::disk::open::read_torrent;
use crate::limits;
use crate::swarm::geometry::Geometry;
use crate::swarm::torrent::{Quota, TorrentConfig};
use crate::swarm::view::{Meta, Priority};
use crate::wire::magnet::Magnet;
use crate::wire::metainfo;

/// Judges what was named. A magnet whose metadata were fetched once is made from those.
///
/// # Errors
/// One sentence: what is wrong with it.
pub fn named(add: &AddTorrent, announcer: &Announcer, keep: &Keep, defaults: &Defaults) -> Result<Plan, String> {
    match read(&add.what, announcer)? {
        Named::Torrent(bytes) => {
            let mut plan = plan(add, &bytes, defaults)?;
            plan.bytes = Some(bytes.into());
            Ok(plan)
        }
        Named::Magnet(magnet) => {
            let kept = keep.torrent_path(&magnet.info_hash.to_string());
            match kept.exists().then(|| again(add, &magnet, &kept, defaults)) {
                Some(Ok(plan)) => Ok(plan),
                // What is kept and cannot be used is fetched again.
                _ => joined(add, magnet, defaults),
            }
        }
    }
}

/// The torrent of a magnet whose `.torrent` is kept, with what the link says besides.
fn again(add: &AddTorrent, magnet: &Magnet, kept: &Path, defaults: &Defaults) -> Result<Plan, String> {
    let bytes = read_torrent(kept).map_err(|why| why.to_string())?;
    let mut plan = whole(add, magnet, &bytes, defaults)?;
    if plan.config.info_hash != magnet.info_hash {
        return Err(format!("{} is another torrent's", kept.display()));
    }
    let known: Vec<String> = plan.config.trackers.concat();
    let new = magnet.trackers.iter().filter(|url| !known.contains(url));
    plan.config.trackers.extend(new.map(|url| vec![url.clone()]));
    plan.bytes = Some(bytes.into());
    Ok(plan)
}

/// A torrent of which nothing is known but what the link says.
///
/// # Errors
/// One sentence: why its folder cannot be used.
pub fn joined(add: &AddTorrent, magnet: Box<Magnet>, defaults: &Defaults) -> Result<Plan, String> {
    let dir = folder(add, defaults)?;
    let short = magnet.info_hash.to_string();
    let config = TorrentConfig {
        name: magnet.name.clone().unwrap_or_else(|| short[..short.len().min(16)].to_owned()),
        info_hash: magnet.info_hash,
        peer_id: defaults.peer_id,
        info: None,
        geometry: Geometry::new(0, 1),
        files: Vec::new(),
        priorities: Vec::new(),
        sequential: add.sequential,
        private: false,
        lan: defaults.lan,
        lan_unlimited: defaults.lan_unlimited,
        // In the order of the link, each in a tier of its own.
        trackers: magnet.trackers.iter().map(|url| vec![url.clone()]).collect(),
        web_seeds: magnet.web_seeds.clone(),
        is_folder: false,
        peers: add.peers.iter().chain(&magnet.peers).copied().collect(),
        pex: defaults.pex,
        utp: defaults.utp,
        dht: defaults.dht,
        port: defaults.port.unwrap_or(0),
        folder: shown(&dir),
        max_peers: defaults.max_peers,
        quota: Quota { budget: limits::BUDGET, ..Quota::default() },
        super_seed: false,
        meta: Meta { web_seeds: magnet.web_seeds.clone(), magnet: magnet.to_string(), ..Meta::default() },
        added: 0,
        finished: None,
        totals: (0, 0),
        seed: fastrand::u64(..),
    };
    let remarks = magnet.refused.clone();
    let magnet = Some(magnet);
    Ok(Plan { config, layout: None, dir, remarks, folder: false, bytes: None, magnet, recalled: None })
}

/// What the metadata of a magnet make of it: its `.torrent`, kept and judged as every other one.
///
/// # Errors
/// One sentence: what is wrong with them.
pub fn described(
    add: &AddTorrent,
    before: &Plan,
    info: &Bytes,
    keep: &Keep,
    defaults: &Defaults,
) -> Result<Plan, String> {
    let magnet = before.magnet.clone().unwrap_or_else(|| Box::new(Magnet::bare(before.config.info_hash)));
    let bytes = metainfo::torrent(info, &before.config.trackers, &magnet.web_seeds);
    let mut plan = whole(add, &magnet, &bytes, defaults)?;
    plan.config.seed = before.config.seed;
    plan.config.peers.clone_from(&before.config.peers);
    plan.remarks.extend(keep.torrent(plan.config.info_hash, &bytes).err());
    plan.bytes = Some(bytes.into());
    Ok(plan)
}

/// A `.torrent` of a magnet, with the files that the link selects (BEP 53), unless the user selects some.
///
/// # Errors
/// One sentence: what is wrong with it.
pub fn whole(add: &AddTorrent, magnet: &Magnet, bytes: &[u8], defaults: &Defaults) -> Result<Plan, String> {
    let mut plan = plan(add, bytes, defaults)?;
    plan.config.peers.extend(&magnet.peers);
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
