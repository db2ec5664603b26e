//! Joining a torrent by a magnet link: what it is before its metadata are here, and what they make of it.

use std::path::Path;

use super::add::{Defaults, Named, Plan, fetch, folder, plan, read, refused_trackers, shown};
use super::announce::Announcer;
use super::keep::Keep;
use crate::api::AddTorrent;
use crate::disk::open::read_torrent;
use crate::limits;
use crate::swarm::geometry::Geometry;
use crate::swarm::job::Totals;
use crate::swarm::torrent::{FromLink, Given, Input, Quota, TorrentConfig};
use crate::swarm::view::{Meta, Priority};
use crate::wire::magnet::Magnet;
use crate::wire::message::InfoHash;
use crate::wire::metainfo::{self, Metainfo};

/// Judges what was named. A magnet whose metadata were fetched once is made from those.
///
/// # Errors
/// One sentence: what is wrong with it.
pub fn named(add: &AddTorrent, announcer: &Announcer, keep: &Keep, defaults: &Defaults) -> Result<Plan, String> {
    match read(&add.what, |url| fetch(url, announcer))? {
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
    let new = magnet.trackers.iter().filter(|url| !plan.config.private && !known.contains(url));
    plan.config.trackers.extend(new.map(|url| vec![url.clone()]));
    let known = plan.config.web_seeds.clone();
    let new = magnet.web_seeds.iter().filter(|url| !plan.config.private && !known.contains(url));
    plan.config.web_seeds.extend(new.cloned());
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
        peers: add.peers.clone(),
        link: from_link(&magnet),
        pex: defaults.pex,
        utp: defaults.utp,
        dht: defaults.dht,
        port: defaults.port.unwrap_or(0),
        folder: shown(&dir),
        max_peers: defaults.max_peers,
        quota: Quota { budget: limits::BUDGET, ..Quota::default() },
        super_seed: false,
        meta: Meta {
            web_seeds: magnet.web_seeds.clone(),
            magnet: magnet.to_string(),
            refused_trackers: refused_trackers(&magnet.refused),
            ..Meta::default()
        },
        added: 0,
        finished: None,
        totals: Totals::default(),
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
    given: &Given,
    keep: &Keep,
    defaults: &Defaults,
) -> Result<Plan, String> {
    let magnet = before.magnet.clone().unwrap_or_else(|| Box::new(Magnet::bare(before.config.info_hash)));
    // Nobody but its trackers may bring peers to a private torrent, and a link is anybody's word on where its data are.
    let own_seeds = |url: &&String| !Metainfo::is_private(&given.info) || !magnet.web_seeds.contains(*url);
    let web_seeds: Vec<String> = given.web_seeds.iter().filter(own_seeds).cloned().collect();
    let bytes = metainfo::torrent(&given.info, &given.trackers, &web_seeds);
    let mut plan = whole(add, &magnet, &bytes, defaults)?;
    plan.config.seed = before.config.seed;
    plan.config.peers.clone_from(&before.config.peers);
    plan.remarks.extend(keep.torrent(plan.config.info_hash, &bytes).err());
    plan.bytes = Some(bytes.into());
    Ok(plan)
}

/// What a magnet link names beside trackers and web seeds.
fn from_link(magnet: &Magnet) -> FromLink {
    let Magnet { peers, named_peers, sources, .. } = magnet.clone();
    FromLink { peers, named_peers, sources }
}

/// What came of fetching the `.torrent` that a magnet link names, for the torrent that asked for it.
pub fn fetched(source: usize, info_hash: InfoHash, result: Result<Vec<u8>, String>) -> Input {
    let judged = result.and_then(|bytes| {
        let it = Metainfo::parse(&bytes).map_err(|why| why.to_string())?;
        match it.info_hash == info_hash {
            true => Ok(Given { info: it.info, trackers: it.trackers, web_seeds: it.web_seeds, by_user: false }),
            false => Err("it is another torrent's".to_owned()),
        }
    });
    match judged {
        Ok(given) => Input::Given(Box::new(given)),
        Err(why) => Input::NotGiven { source, why },
    }
}

/// A `.torrent` of a magnet, with the files that the link selects (BEP 53), unless the user selects some.
///
/// # Errors
/// One sentence: what is wrong with it.
pub fn whole(add: &AddTorrent, magnet: &Magnet, bytes: &[u8], defaults: &Defaults) -> Result<Plan, String> {
    let mut plan = plan(add, bytes, defaults)?;
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
