//! Resolving what the user adds - a path, URL, magnet link or info-hash - into a [`TorrentSpec`], and the task pool.
//!
//! Resolving may block on disk or network, so it runs on the [`TaskPool`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::announce::Announcer;
use super::announce::error::FetchError;
use super::error::EngineError;
use super::saved_torrent::SavedTorrent;
use super::threads::{ThreadGroup, catch_panic};
use crate::api::{AddTorrent, TorrentPreview};
use crate::disk::error::free_space;
use crate::disk::file_look::{check_folder, check_writable};
use crate::disk::layout::{FileEntry, Layout};
use crate::disk::torrent_file::read_torrent;
use crate::limits;
use crate::swarm::geometry::Geometry;
use crate::swarm::job::Totals;
use crate::swarm::torrent::{FileSpan, MagnetExtras, Quota, TorrentConfig};
use crate::swarm::view::{FileRow, Priority, RefusedTracker, TorrentMeta};
use crate::wire::link::Link;
use crate::wire::magnet::Magnet;
use crate::wire::message::PeerId;
use crate::wire::metainfo::sources::{Refused, UrlKind};
use crate::wire::metainfo::{File, Metainfo};
use crate::wire::sanitize::sanitize;
use crate::wire::tracker::public_url;

/// Number of task threads: as many tasks may block on a disk or server before other tasks have to wait.
const THREADS: usize = 8;
/// Maximum width of a displayed folder name, in columns.
const FOLDER: usize = 200;
/// Number of files that are looked for on disk to tell whether a torrent may be complete.
const LOOKED_AT: usize = 8;
/// The byte order mark of UTF-8, which some editors put before everything that they write.
const BOM: &[u8] = b"\xef\xbb\xbf";
/// Maximum width of displayed untrusted text, in columns.
const TEXT: usize = 1000;

/// The settings that new torrents are created with.
#[derive(Clone, Debug)]
pub(crate) struct TorrentDefaults {
    /// The default download folder.
    pub dir: PathBuf,
    pub peer_id: PeerId,
    /// The TCP port that we listen on.
    pub port: Option<u16>,
    /// Use PEX (BEP 11).
    pub pex: bool,
    /// Use uTP (BEP 29).
    pub utp: bool,
    /// The port of our DHT node, if enabled.
    pub dht: Option<u16>,
    /// Maximum number of peers of a torrent.
    pub max_peers: usize,
    /// Discover peers on the local network (LSD, BEP 14).
    pub lan: bool,
    /// Exempt peers on the local network from rate limits.
    pub lan_unlimited: bool,
}

/// Everything that a torrent is created from; kept so that the torrent can be recreated.
#[derive(Clone, Debug)]
pub(crate) struct TorrentSpec {
    /// The configuration of the state machine.
    pub config: TorrentConfig,
    /// The layout of the files on disk; `None` for a magnet link without metadata.
    pub layout: Option<Arc<Layout>>,
    pub dir: PathBuf,
    /// Notices for the user.
    pub remarks: Vec<String>,
    /// Whether the torrent is a folder of files rather than a single file.
    pub folder: bool,
    /// The `.torrent` file as received, unless it is saved in the state folder.
    pub bytes: Option<Bytes>,
    /// The magnet link that the torrent was added by; `None` once the metadata is known.
    pub magnet: Option<Box<Magnet>>,
    /// The bitfield (BEP 3) from the resume data, for a torrent that is shown without being opened.
    pub resume_bitfield: Option<Bytes>,
    /// Some of the files exist, so their data may be complete.
    pub on_disk: bool,
}

impl TorrentSpec {
    /// Applies the saved settings and totals of a torrent.
    pub(crate) fn apply_saved(&mut self, kept: &SavedTorrent) {
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

    /// Returns the indices of the files that are not wanted.
    #[must_use]
    pub(crate) fn unwanted(&self) -> Vec<u32> {
        // The last priority of a file counts.
        let wanted: BTreeMap<usize, Priority> = self.config.priorities.iter().copied().collect();
        let skipped = wanted.into_iter().filter(|(_, priority)| *priority == Priority::Skip);
        skipped.filter_map(|(file, _)| u32::try_from(file).ok()).collect()
    }

    /// Drops the `info` dictionary from memory if the `.torrent` file is kept: it is read when a peer asks for it.
    pub(crate) fn release_info(&mut self) {
        if self.layout.as_ref().is_some_and(|layout| layout.is_kept())
            && let Some(info) = self.config.info.take()
        {
            self.config.kept_info = info.len();
        }
    }

    /// Sets the download folder.
    pub(crate) fn move_to(&mut self, dir: PathBuf) {
        self.config.folder = display_path(&dir);
        self.dir = dir;
    }

    /// Checks that the torrent's files can be created in its folder, unless it is only seeded or some are there.
    ///
    /// # Errors
    /// Fails if nothing can be created there.
    pub(crate) fn check_folder(&self) -> Result<(), EngineError> {
        let is_there = |layout: &Layout| layout.files().iter().any(|file| self.dir.join(&file.path).exists());
        if self.config.seed_only || self.layout.as_ref().is_some_and(|layout| is_there(layout)) {
            return Ok(());
        }
        check_folder(&self.dir).and_then(|()| check_writable(&self.dir)).map_err(EngineError::Unwritable)
    }

    /// Returns the preview of the torrent. Queries the free disk space, so it may block.
    #[must_use]
    pub(crate) fn contents(&self) -> TorrentPreview {
        let config = &self.config;
        // The last priority of a file counts.
        let wanted: BTreeMap<usize, Priority> = config.priorities.iter().copied().collect();
        let row = |(index, span): (usize, &FileSpan)| FileRow {
            index,
            path: sanitize(&span.path, TEXT),
            size: span.length,
            done: 0,
            priority: wanted.get(&index).copied().unwrap_or_default(),
            eta: None,
        };
        TorrentPreview {
            name: sanitize(&config.name, TEXT),
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

/// Returns a path as sanitized text for display.
#[must_use]
pub(crate) fn display_path(dir: &Path) -> String {
    sanitize(&dir.display().to_string(), FOLDER)
}

/// Returns the absolute download folder for `add`.
///
/// # Errors
/// Fails if the path cannot be made absolute.
pub(crate) fn folder(add: &AddTorrent, defaults: &TorrentDefaults) -> Result<PathBuf, EngineError> {
    let dir = add.dir.clone().unwrap_or_else(|| defaults.dir.clone());
    std::path::absolute(&dir).map_err(|source| EngineError::Folder { path: dir, source })
}

/// Parses and validates the bytes of a `.torrent` file.
///
/// # Errors
/// Fails if the file is invalid or no file matches the selection.
pub(crate) fn resolve(add: &AddTorrent, bytes: &[u8], defaults: &TorrentDefaults) -> Result<TorrentSpec, EngineError> {
    let metainfo = Metainfo::parse(bytes);
    let metainfo = metainfo.map_err(|why| unusable(&add.what, why))?;
    let dir = folder(add, defaults)?;
    let (meta, name_on_disk) = (meta(&metainfo), name_on_disk(&metainfo));
    let geometry = Geometry::new(metainfo.total, metainfo.piece_length);
    let lay = |file: &File| FileEntry { path: file.path(), length: file.length, offset: file.offset, pad: file.pad };
    let files = metainfo.files.iter().map(lay).collect();
    let aliases = metainfo.aliases();
    let layout = Layout::new(metainfo.info_hash, geometry, files, metainfo.hashes);
    let layout = layout.map_err(|why| unusable(&add.what, why))?.with_aliases(aliases);
    let span = |file: &File| FileSpan {
        path: file.name.clone(),
        offset: file.offset,
        length: file.length,
        pad: file.pad,
        web: file.web.clone(),
    };
    let mut wanted = priorities(&metainfo.files, &add.select)?;
    wanted.extend(&add.priorities);
    let config = TorrentConfig {
        name_on_disk,
        name: metainfo.name,
        info_hash: metainfo.info_hash,
        peer_id: defaults.peer_id,
        info: Some(metainfo.info),
        kept_info: 0,
        geometry,
        priorities: wanted,
        files: metainfo.files.iter().map(span).collect(),
        sequential: add.sequential,
        seed_only: add.seed_only,
        private: metainfo.private,
        trackers: metainfo.trackers,
        web_seeds: metainfo.web_seeds,
        is_folder: metainfo.folder,
        peers: add.peers.clone(),
        link: MagnetExtras::default(),
        pex: defaults.pex,
        utp: defaults.utp,
        dht: defaults.dht,
        port: defaults.port.unwrap_or(0),
        folder: display_path(&dir),
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
    let on_disk = is_on_disk(&layout, &dir);
    let layout = Some(Arc::new(layout));
    let mut remarks = metainfo.warnings;
    let refused = config.meta.refused_trackers.iter();
    remarks.extend(refused.map(|it| format!("the tracker {} is not asked: {}", it.url, it.why)));
    Ok(TorrentSpec { config, layout, dir, remarks, folder, bytes: None, magnet: None, resume_bitfield: None, on_disk })
}

/// Returns whether one of the first files of a torrent exists.
fn is_on_disk(layout: &Layout, dir: &Path) -> bool {
    let files = layout.files().iter().filter(|file| !file.pad && file.length > 0);
    files.take(LOOKED_AT).any(|file| dir.join(&file.path).exists())
}

/// Returns the name of the file or folder on disk, if it is not the displayed name.
fn name_on_disk(metainfo: &Metainfo) -> Option<String> {
    let path = metainfo.files.iter().find(|file| !file.pad)?.bytes();
    let name = if metainfo.folder { path.split(|byte| *byte == b'/').next()? } else { path };
    let name = String::from_utf8_lossy(name);
    (name != metainfo.name).then(|| name.into_owned())
}

/// Returns the descriptive fields of a `.torrent` file, sanitized for display.
fn meta(metainfo: &Metainfo) -> TorrentMeta {
    let text = |text: &Option<String>| text.as_deref().map(|text| sanitize(text, TEXT));
    TorrentMeta {
        comment: text(&metainfo.comment),
        created_by: text(&metainfo.created_by),
        created: metainfo.created,
        source: text(&metainfo.source),
        web_seeds: metainfo.web_seeds.iter().map(|url| sanitize(url, TEXT)).collect(),
        magnet: Magnet::from(metainfo).to_string(),
        refused_trackers: refused_trackers(&metainfo.refused_trackers),
    }
}

/// Returns the refused trackers, without secrets in their URLs.
pub(super) fn refused_trackers(all: &[Refused]) -> Vec<RefusedTracker> {
    let tracker = |refused: &Refused| match refused {
        Refused::Url { kind: UrlKind::Tracker, url, why } => Some(RefusedTracker { url: public_url(url), why: *why }),
        _ => None,
    };
    all.iter().filter_map(tracker).collect()
}

/// What a path, URL or link turned out to be.
#[derive(Debug)]
pub(crate) enum TorrentSource {
    /// The bytes of a `.torrent` file.
    Torrent(Vec<u8>),
    /// A magnet link, or one made from an info-hash.
    Magnet(Box<Magnet>),
}

/// Reads what the user named; `fetch` downloads a URL. A file or download may contain a magnet link instead.
///
/// # Errors
/// Fails if the source cannot be read, downloaded or parsed.
pub(crate) fn read(
    what: &str,
    fetch: impl FnOnce(&str) -> Result<Vec<u8>, EngineError>,
) -> Result<TorrentSource, EngineError> {
    let path = Path::new(what);
    let begins = |prefix: &str| what.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    let bytes = match Link::find(what) {
        Some(Link::Url(url)) => fetch(&url)?,
        Some(Link::Magnet(_)) if begins("magnet:") || !path.exists() => {
            return Ok(TorrentSource::Magnet(Box::new(Magnet::parse(what)?)));
        }
        _ if is_almost_hash(what) && !path.exists() => return Err(EngineError::HashLength(what.to_owned())),
        _ => read_torrent(path)?,
    };
    let bytes = match bytes.strip_prefix(BOM) {
        Some(rest) if rest.first() == Some(&b'd') => rest.to_vec(),
        _ => bytes,
    };
    match Magnet::from_file(&bytes) {
        Some(Ok(magnet)) => Ok(TorrentSource::Magnet(Box::new(magnet))),
        Some(Err(why)) => Err(unusable(what, why)),
        None => Ok(TorrentSource::Torrent(bytes)),
    }
}

/// Returns whether a text looks like an info-hash with a few digits too many or too few.
fn is_almost_hash(text: &str) -> bool {
    (30..=50).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// Downloads a `.torrent` file from a URL and blocks until it is done.
///
/// # Errors
/// Fails with [`EngineError::Fetch`].
pub(crate) fn fetch(url: &str, announcer: &Announcer) -> Result<Vec<u8>, EngineError> {
    let (tell, told) = bounded(1);
    let done = Box::new(move |result| drop(tell.send(result)));
    announcer.fetch(url, limits::TORRENT_FILE, done);
    // The download has its own deadline; this longer one guards against a dead thread.
    let patience = limits::TRACKER + Duration::from_secs(5);
    let result = told.recv_timeout(patience).map_err(|_| FetchError::NoAnswer);
    result.flatten().map_err(|source| EngineError::Fetch { url: url.to_owned(), source })
}

/// The error for what was read, but is no usable torrent.
fn unusable(what: &str, why: impl std::error::Error + Send + Sync + 'static) -> EngineError {
    EngineError::Unusable { what: what.to_owned(), why: Box::new(why) }
}

/// Returns [`Priority::Skip`] for all files that match none of the globs.
///
/// A glob matches the path with or without the torrent's own folder, or the file name alone. A glob behind `!` skips the
/// files that it matches; with such globs only, all others are wanted.
fn priorities(files: &[File], select: &[String]) -> Result<Vec<(usize, Priority)>, EngineError> {
    if select.is_empty() {
        return Ok(Vec::new());
    }
    let unwanted: Vec<&str> = select.iter().filter_map(|glob| glob.strip_prefix('!')).collect();
    let wanted: Vec<&str> = select.iter().map(String::as_str).filter(|glob| !glob.starts_with('!')).collect();
    let matches = |file: &File| {
        let name = file.name.rsplit('/').next().unwrap_or(&file.name);
        let inner = file.name.split_once('/').map_or(name, |(_, inner)| inner);
        let named = [file.name.as_str(), inner, name];
        let any = |glob: &&str| named.iter().any(|name| glob_match::glob_match(glob, name));
        (wanted.is_empty() || wanted.iter().any(any)) && !unwanted.iter().any(any)
    };
    let skipped: Vec<_> =
        files.iter().enumerate().filter(|(_, file)| !file.pad && !matches(file)).map(|(n, _)| n).collect();
    if skipped.len() == files.iter().filter(|file| !file.pad).count() {
        return Err(EngineError::NoMatch(select.to_vec()));
    }
    Ok(skipped.into_iter().map(|n| (n, Priority::Skip)).collect())
}

/// A task; it is called with an error if no thread is available to run it.
pub(crate) type Task = Box<dyn FnOnce(Result<(), EngineError>) + Send>;

/// A small pool of threads for blocking tasks. The threads end when the pool is dropped.
pub(crate) struct TaskPool {
    crew: ThreadGroup,
    todo: Sender<Task>,
    queue: Receiver<Task>,
    threads: usize,
}

impl TaskPool {
    /// Creates an empty pool; threads are started on demand.
    #[must_use]
    pub(crate) fn new(crew: ThreadGroup) -> Self {
        let (todo, queue) = unbounded();
        TaskPool { crew, todo, queue, threads: 0 }
    }

    /// Queues a task; tasks start in the order of the calls.
    ///
    /// If no thread exists and none can be created, the task is called with an error on the calling thread.
    pub(crate) fn run(&mut self, errand: Task) {
        if self.threads < THREADS {
            let queue = self.queue.clone();
            let work = move || {
                for errand in &queue {
                    // A panic in a task must not end the pool thread.
                    if let Err(words) = catch_panic(|| errand(Ok(()))) {
                        tracing::error!("internal error: {words}");
                    }
                }
            };
            match self.crew.spawn(format!("add{}", self.threads), work, |_| ()) {
                Ok(()) => self.threads += 1,
                Err(error) if self.threads == 0 => return errand(Err(EngineError::NoThread(error))),
                Err(_) => (),
            }
        }
        // Cannot fail: `self` holds a receiver.
        let _ = self.todo.send(errand);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::wire::metainfo::urls::UrlError;

    #[test]
    fn globs_select_and_globs_behind_an_exclamation_mark_skip() {
        let file = |name: &str| {
            let mut file = File::default();
            name.clone_into(&mut file.name);
            file
        };
        let files = ["f/a", "f/b.mkv", "f/extra/sample.mkv", "f/extra/a"].map(file);
        for (select, skipped) in [
            (&["*.mkv"][..], Ok(vec![0, 3])),
            (&["!a"], Ok(vec![0, 3])),
            (&["!extra/*"], Ok(vec![2, 3])),
            (&["!f/a"], Ok(vec![0])),
            (&["*.mkv", "!sample*"], Ok(vec![0, 2, 3])),
            (&["!a", "!*.mkv"], Err("no file matches !a, !*.mkv: see the names with `ttui show`".to_owned())),
            (&["c"], Err("no file matches c: see the names with `ttui show`".to_owned())),
        ] {
            let select: Vec<String> = select.iter().map(|glob| (*glob).to_owned()).collect();
            let told = priorities(&files, &select).map(|all| all.into_iter().map(|(n, _)| n).collect::<Vec<_>>());
            assert_eq!(told.map_err(|why| why.to_string()), skipped, "{select:?}");
        }
    }

    #[test]
    fn refused_trackers_are_redacted() {
        let refused = |kind, url: &str, why| Refused::Url { kind, url: url.to_owned(), why };
        let told = refused_trackers(&[
            refused(UrlKind::Tracker, "http://10.0.0.1/reboot?key=secret", UrlError::Local),
            refused(UrlKind::Tracker, "wss://user:secret@t.example/", UrlError::Scheme),
            refused(UrlKind::WebSeed, "ftp://x/", UrlError::NotHttp),
        ]);
        let tracker = |url: &str, why| RefusedTracker { url: url.to_owned(), why };
        assert_eq!(
            told,
            [tracker("http://10.0.0.1/reboot?***", UrlError::Local), tracker("wss://t.example/", UrlError::Scheme)]
        );
    }

    #[test]
    fn an_errand_that_panics_takes_no_thread_from_the_others() {
        let crew = ThreadGroup::default();
        let mut errands = TaskPool::new(crew.clone());
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
