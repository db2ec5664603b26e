//! From what a user names to a torrent that can run. All of it may wait for disks and networks, so it happens on
//! threads of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::announce::Announcer;
use super::kept::Kept;
use super::threads::{Crew, caught};
use crate::api::{AddTorrent, Contents};
use crate::disk::fault::free_space;
use crate::disk::layout::{LaidFile, Layout};
use crate::disk::open::read_torrent;
use crate::limits;
use crate::swarm::geometry::Geometry;
use crate::swarm::job::Totals;
use crate::swarm::torrent::{FromLink, Quota, Span, TorrentConfig};
use crate::swarm::view::{FileRow, Meta, Priority};
use crate::wire::link::Link;
use crate::wire::magnet::Magnet;
use crate::wire::message::PeerId;
use crate::wire::metainfo::{File, Metainfo};
use crate::wire::text::clean;
use crate::wire::tracker::public_url;

/// Threads for errands: so many disks or servers may let us wait before errands of others have to.
const THREADS: usize = 8;
/// The longest folder name shown, in columns.
const FOLDER: usize = 200;
/// The longest text of a stranger that is shown, in columns.
const TEXT: usize = 1000;

/// What torrents are made with.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// The download folder.
    pub dir: PathBuf,
    /// How we call ourselves.
    pub peer_id: PeerId,
    /// The port that peers reach us on.
    pub port: Option<u16>,
    /// Peers tell each other of peers.
    pub pex: bool,
    /// uTP is spoken.
    pub utp: bool,
    /// The port of our DHT node, where there is one.
    pub dht: Option<u16>,
    /// The most peers of a torrent.
    pub max_peers: usize,
    /// Whether peers are looked for on the local network.
    pub lan: bool,
    /// Whether limits of rate do not hold for those.
    pub lan_unlimited: bool,
}

/// A torrent that can be made, and made again.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The machine's part.
    pub config: TorrentConfig,
    /// The disk's part; none for a magnet whose metadata are still to be fetched.
    pub layout: Option<Arc<Layout>>,
    /// The download folder.
    pub dir: PathBuf,
    /// What a person should hear of it.
    pub remarks: Vec<String>,
    /// Whether it is a folder of files rather than one file.
    pub folder: bool,
    /// Its `.torrent` as it was received, where no state folder keeps that.
    pub bytes: Option<Bytes>,
    /// The link that it was added by, until its metadata are here.
    pub magnet: Option<Box<Magnet>>,
    /// The pieces that were there when it last ran, as a bitfield of BEP 3, for one that may not run for long.
    pub recalled: Option<Bytes>,
}

impl Plan {
    /// Works in what the user wants of it, and what is known of it from before.
    pub fn wished(&mut self, kept: &Kept) {
        let config = &mut self.config;
        config.sequential = kept.sequential;
        config.super_seed = kept.super_seed;
        config.quota.rank = kept.rank;
        config.priorities = kept.files.iter().map(|(file, priority)| (*file, *priority)).collect();
        config.added = kept.added;
        config.finished = kept.finished;
        config.totals = Totals {
            downloaded: kept.downloaded,
            uploaded: kept.uploaded,
            was_whole: kept.finished.is_some() && kept.have == kept.pieces,
        };
        if let Some(trackers) = &kept.trackers {
            config.trackers.clone_from(trackers);
        }
        let new: Vec<String> = kept.web_seeds.iter().filter(|url| !config.web_seeds.contains(url)).cloned().collect();
        config.web_seeds.extend(new);
    }

    /// The files that are not wanted, by their index.
    #[must_use]
    pub fn unwanted(&self) -> Vec<u32> {
        // The last word on a file counts.
        let wanted: BTreeMap<usize, Priority> = self.config.priorities.iter().copied().collect();
        let skipped = wanted.into_iter().filter(|(_, priority)| *priority == Priority::Skip);
        skipped.filter_map(|(file, _)| u32::try_from(file).ok()).collect()
    }

    /// Changes the download folder.
    pub fn move_to(&mut self, dir: PathBuf) {
        self.config.folder = shown(&dir);
        self.dir = dir;
    }

    /// What a person may want to know before it is added. Asks the disk how much room there is.
    #[must_use]
    pub fn contents(&self) -> Contents {
        let config = &self.config;
        // The last word on a file counts.
        let wanted: BTreeMap<usize, Priority> = config.priorities.iter().copied().collect();
        let row = |(index, span): (usize, &Span)| FileRow {
            index,
            path: clean(&span.path, TEXT),
            size: span.length,
            done: 0,
            priority: wanted.get(&index).copied().unwrap_or_default(),
            eta: None,
        };
        Contents {
            name: clean(&config.name, TEXT),
            info_hash: Some(config.info_hash),
            size: config.size(),
            files: config.files.iter().enumerate().filter(|(_, span)| !span.pad).map(row).collect(),
            folder: config.folder.clone(),
            free: free_space(&self.dir),
            present: false,
            remarks: self.remarks.clone(),
        }
    }
}

/// A folder as a person may see it.
#[must_use]
pub fn shown(dir: &Path) -> String {
    clean(&dir.display().to_string(), FOLDER)
}

/// The download folder that is meant, whole.
///
/// # Errors
/// One sentence: why it cannot be used.
pub fn folder(add: &AddTorrent, defaults: &Defaults) -> Result<PathBuf, String> {
    let dir = add.dir.clone().unwrap_or_else(|| defaults.dir.clone());
    std::path::absolute(&dir).map_err(|e| format!("the folder {} cannot be used: {e}", dir.display()))
}

/// Judges what was named and read.
///
/// # Errors
/// One sentence: what is wrong with it.
pub fn plan(add: &AddTorrent, bytes: &[u8], defaults: &Defaults) -> Result<Plan, String> {
    let metainfo = Metainfo::parse(bytes);
    let metainfo = metainfo.map_err(|why| format!("{} cannot be used: {why}", add.what))?;
    let dir = folder(add, defaults)?;
    let meta = meta(&metainfo);
    let geometry = Geometry::new(metainfo.total, metainfo.piece_length);
    let lay = |file: &File| LaidFile { path: file.path(), length: file.length, offset: file.offset, pad: file.pad };
    let files = metainfo.files.iter().map(lay).collect();
    let aliases = metainfo.aliases();
    let layout = Layout::new(metainfo.info_hash, geometry, files, metainfo.hashes);
    let layout = layout.map_err(|why| format!("{} cannot be used: {why}", add.what))?.with_aliases(aliases);
    let span = |file: &File| Span {
        path: file.name.clone(),
        offset: file.offset,
        length: file.length,
        pad: file.pad,
        web: file.web.clone(),
    };
    let mut wanted = priorities(&metainfo.files, &add.select)?;
    wanted.extend(&add.priorities);
    if add.seed_only {
        wanted = (0..metainfo.files.len()).map(|file| (file, Priority::Skip)).collect();
    }
    let config = TorrentConfig {
        name: metainfo.name,
        info_hash: metainfo.info_hash,
        peer_id: defaults.peer_id,
        info: Some(metainfo.info),
        geometry,
        priorities: wanted,
        files: metainfo.files.iter().map(span).collect(),
        sequential: add.sequential,
        private: metainfo.private,
        trackers: metainfo.trackers,
        web_seeds: metainfo.web_seeds,
        is_folder: metainfo.folder,
        peers: add.peers.clone(),
        link: FromLink::default(),
        pex: defaults.pex,
        utp: defaults.utp,
        dht: defaults.dht,
        port: defaults.port.unwrap_or(0),
        folder: shown(&dir),
        max_peers: defaults.max_peers,
        lan: defaults.lan,
        lan_unlimited: defaults.lan_unlimited,
        quota: Quota { budget: limits::BUDGET, ..Quota::default() },
        super_seed: false,
        meta,
        added: 0,
        finished: None,
        totals: Totals::default(),
        seed: fastrand::u64(..),
    };
    let folder = metainfo.folder;
    let layout = Some(Arc::new(layout));
    let mut remarks = metainfo.remarks;
    let refused = config.meta.refused_trackers.iter();
    remarks.extend(refused.map(|(url, why)| format!("the tracker {url} is not asked: {why}")));
    Ok(Plan { config, layout, dir, remarks, folder, bytes: None, magnet: None, recalled: None })
}

/// What a `.torrent` says beside its data, safe to print.
fn meta(metainfo: &Metainfo) -> Meta {
    let text = |text: &Option<String>| text.as_deref().map(|text| clean(text, TEXT));
    Meta {
        comment: text(&metainfo.comment),
        created_by: text(&metainfo.created_by),
        created: metainfo.created,
        source: text(&metainfo.source),
        web_seeds: metainfo.web_seeds.iter().map(|url| clean(url, TEXT)).collect(),
        magnet: Magnet::from(metainfo).to_string(),
        refused_trackers: refused_trackers(&metainfo.refused_trackers),
    }
}

/// The trackers among what a `.torrent` or a magnet link names and is not asked, without what may be a secret, and why.
pub(super) fn refused_trackers(sentences: &[String]) -> Vec<(String, String)> {
    let parts = |text: &String| {
        let (url, why) = text.strip_prefix("tracker ")?.split_once(" is not asked: ")?;
        Some((public_url(url), why.to_owned()))
    };
    sentences.iter().filter_map(parts).collect()
}

/// What was named.
#[derive(Debug)]
pub enum Named {
    /// The bytes of a `.torrent`.
    Torrent(Vec<u8>),
    /// A magnet link or an info-hash.
    Magnet(Box<Magnet>),
}

/// Reads what was named, `fetch`ing what lies at a URL. A file or an answer may be a magnet link in place of a torrent.
///
/// # Errors
/// One sentence: why that cannot be done.
pub fn read(what: &str, fetch: impl FnOnce(&str) -> Result<Vec<u8>, String>) -> Result<Named, String> {
    let path = Path::new(what);
    let begins = |prefix: &str| what.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    let bytes = match Link::find(what) {
        Some(Link::Url(url)) => fetch(&url)?,
        Some(Link::Magnet(_)) if begins("magnet:") || !path.exists() => {
            return Magnet::parse(what).map(|magnet| Named::Magnet(Box::new(magnet))).map_err(|why| why.to_string());
        }
        _ => read_torrent(path).map_err(|why| why.to_string())?,
    };
    match Magnet::in_file(&bytes) {
        Some(Ok(magnet)) => Ok(Named::Magnet(Box::new(magnet))),
        Some(Err(why)) => Err(format!("{what} cannot be used: {why}")),
        None => Ok(Named::Torrent(bytes)),
    }
}

/// Fetches what lies at a URL that the user named.
///
/// # Errors
/// One sentence: why that cannot be done.
pub fn fetch(url: &str, announcer: &Announcer) -> Result<Vec<u8>, String> {
    let (tell, told) = bounded(1);
    let done = Box::new(move |result| drop(tell.send(result)));
    announcer.fetch(url, limits::TORRENT_FILE, done);
    // The fetch has its own deadline; this one is for a thread that died with it.
    let patience = limits::TRACKER + Duration::from_secs(5);
    let result = told.recv_timeout(patience).map_err(|_| "no answer came".to_owned());
    result.and_then(|result| result).map_err(|why| format!("{url} cannot be fetched: {why}"))
}

/// Which files are not wanted: those that match none of the globs, by their path with or without the torrent's own
/// folder, or by their name alone.
fn priorities(files: &[File], select: &[String]) -> Result<Vec<(usize, Priority)>, String> {
    if select.is_empty() {
        return Ok(Vec::new());
    }
    let matches = |file: &File| {
        let name = file.name.rsplit('/').next().unwrap_or(&file.name);
        let inner = file.name.split_once('/').map_or(name, |(_, inner)| inner);
        let named = [file.name.as_str(), inner, name];
        select.iter().any(|glob| named.iter().any(|name| glob_match::glob_match(glob, name)))
    };
    let skipped: Vec<_> =
        files.iter().enumerate().filter(|(_, file)| !file.pad && !matches(file)).map(|(n, _)| n).collect();
    if skipped.len() == files.iter().filter(|file| !file.pad).count() {
        return Err(format!("no file matches {}: see the names with `ttui show`", select.join(", ")));
    }
    Ok(skipped.into_iter().map(|n| (n, Priority::Skip)).collect())
}

/// Something to be done; it is told when it cannot be, and why.
pub type Errand = Box<dyn FnOnce(Result<(), String>) + Send>;

/// A few threads for what may wait. They end when this is dropped.
pub struct Errands {
    crew: Crew,
    todo: Sender<Errand>,
    queue: Receiver<Errand>,
    threads: usize,
}

impl Errands {
    /// Threads come when there is work for them.
    #[must_use]
    pub fn new(crew: Crew) -> Self {
        let (todo, queue) = unbounded();
        Errands { crew, todo, queue, threads: 0 }
    }

    /// Has this done on one of the threads, in the order of the calls as far as beginnings go. Where there is no thread
    /// and the system gives none, it is told so at once.
    pub fn run(&mut self, errand: Errand) {
        if self.threads < THREADS {
            let queue = self.queue.clone();
            let work = move || {
                for errand in &queue {
                    // An errand that panics takes no thread from the others.
                    if let Err(words) = caught(|| errand(Ok(()))) {
                        log::error!("an errand panicked: {words}");
                    }
                }
            };
            match self.crew.spawn(format!("add{}", self.threads), work, |_| ()) {
                Ok(()) => self.threads += 1,
                Err(error) if self.threads == 0 => return errand(Err(format!("no thread for it: {error}"))),
                Err(_) => (),
            }
        }
        // The queue lives as long as this does.
        let _ = self.todo.send(errand);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn trackers_that_are_not_asked_are_told_without_secrets() {
        let sentences = [
            "tracker http://10.0.0.1/reboot?key=secret is not asked: only so",
            "tracker wss://user:secret@t.example/ is not asked: only http",
            "web seed ftp://x/ is not asked: only http and https are spoken",
        ];
        let told = refused_trackers(&sentences.map(str::to_owned));
        let pair = |url: &str, why: &str| (url.to_owned(), why.to_owned());
        assert_eq!(told, [pair("http://10.0.0.1/reboot?***", "only so"), pair("wss://t.example/", "only http")]);
    }

    #[test]
    fn an_errand_that_panics_takes_no_thread_from_the_others() {
        let crew = Crew::default();
        let mut errands = Errands::new(crew.clone());
        let (tell, told) = unbounded();
        for n in 0..10 * THREADS {
            let tell = tell.clone();
            errands.run(Box::new(move |may| {
                assert!(may.is_ok() && n % 2 == 1, "an errand of the test's own that fails");
                tell.send(n).unwrap();
            }));
        }
        drop(tell);
        assert_eq!(told.iter().count(), 5 * THREADS);
        drop(errands);
        assert!(crew.wait(Instant::now() + Duration::from_secs(60)).is_empty());
    }
}
