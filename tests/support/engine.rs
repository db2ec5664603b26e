//! An engine with folders of its own, and what a test may ask of it.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use sha1::{Digest, Sha1};
use ttui::api::{AddTorrent, Command, Event, Snapshot, TorrentId, TorrentView};
use ttui::engine::handle::{Engine, EngineConfig};
use ttui::wire::message::InfoHash;

/// Far beyond what any step here takes.
pub const PATIENCE: Duration = Duration::from_secs(120);
pub const PIECE: usize = 64 * 1024;

/// Bytes that differ everywhere and compress badly.
pub fn content(seed: u64, length: usize) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut out = vec![0; length];
    rng.fill(&mut out);
    out
}

/// Writes a torrent of one file called `name` and returns its path and info-hash.
pub fn torrent(folder: &Path, name: &str, data: &[u8]) -> (PathBuf, InfoHash) {
    let start = format!("d6:lengthi{}e4:name{}:{name}", data.len(), name.len());
    encode(folder, name, &start, data)
}

/// Writes a torrent of a folder called `name` with these files, whose bytes follow one another in `data`.
pub fn torrent_of(folder: &Path, name: &str, files: &[(&str, usize)], data: &[u8]) -> (PathBuf, InfoHash) {
    let file = |(path, length): &(&str, usize)| format!("d6:lengthi{length}e4:pathl{}:{path}ee", path.len());
    let files: String = files.iter().map(file).collect();
    let start = format!("d5:filesl{files}e4:name{}:{name}", name.len());
    encode(folder, name, &start, data)
}

fn encode(folder: &Path, name: &str, start: &str, data: &[u8]) -> (PathBuf, InfoHash) {
    let hashes: Vec<u8> = data.chunks(PIECE).flat_map(|piece| Sha1::digest(piece).to_vec()).collect();
    let mut info = format!("{start}12:piece lengthi{PIECE}e6:pieces{}:", hashes.len()).into_bytes();
    info.extend(hashes);
    info.push(b'e');
    let path = folder.join(format!("{name}.torrent"));
    std::fs::write(&path, [b"d4:info", &info[..], b"e"].concat()).unwrap();
    (path, InfoHash(Sha1::digest(&info).into()))
}

/// An engine with folders of its own.
pub struct Peer {
    pub engine: Engine,
    pub events: Receiver<Event>,
    pub last: RefCell<Option<Arc<Snapshot>>>,
    pub folder: tempfile::TempDir,
}

impl Peer {
    pub fn start() -> Peer {
        Peer::start_in(tempfile::tempdir().unwrap(), false)
    }

    /// With the folder of an earlier one; `keep` takes up the torrents that it had.
    pub fn start_in(folder: tempfile::TempDir, keep: bool) -> Peer {
        Peer::start_with(folder, |config| config.keep = keep)
    }

    /// In this folder, with a configuration that `change` has its way with.
    pub fn start_with(folder: tempfile::TempDir, change: impl FnOnce(&mut EngineConfig)) -> Peer {
        let mut config = EngineConfig {
            config_file: Some(folder.path().join("config.toml")),
            ..EngineConfig::loopback(folder.path().to_owned())
        };
        change(&mut config);
        let engine = Engine::start(&config).unwrap();
        let events = engine.events();
        Peer { engine, events, last: RefCell::new(None), folder }
    }

    pub fn addr(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.engine.port().unwrap()))
    }

    pub fn add(&self, torrent: &Path, peers: Vec<SocketAddr>) -> TorrentId {
        self.add_as(torrent, AddTorrent { peers, ..AddTorrent::default() })
    }

    pub fn add_as(&self, torrent: &Path, add: AddTorrent) -> TorrentId {
        let what = torrent.display().to_string();
        self.engine.send(Command::Add(AddTorrent { what, ..add }));
        self.wait("it is added", |event| match event {
            Event::Added { id, .. } => Some(*id),
            Event::AddFailed { why, .. } => panic!("refused: {why}"),
            _ => None,
        })
    }

    pub fn wait<T>(&self, what: &str, mut found: impl FnMut(&Event) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.events.recv_deadline(deadline) {
                Ok(event) => {
                    if let Event::Snapshot(all) = &event {
                        self.last.replace(Some(Arc::clone(all)));
                    }
                    if let Some(it) = found(&event) {
                        return it;
                    }
                }
                Err(error) => panic!("waiting until {what}: {error}; last: {:?}", self.last.borrow()),
            }
        }
    }

    /// Waits for a sentence with these words.
    pub fn hears(&self, words: &str) -> String {
        self.wait(words, |event| match event {
            Event::Notice { text, .. } if text.contains(words) => Some(text.clone()),
            _ => None,
        })
    }

    /// Waits until the last snapshot or a later one shows this of a torrent; `None` is one that is not in the list.
    pub fn until(&self, what: &str, id: TorrentId, holds: impl Fn(Option<&TorrentView>) -> bool) {
        self.sees(what, |all| holds(all.torrents.iter().find(|(n, _)| *n == id).map(|(_, view)| view)));
    }

    /// Waits until the last snapshot or a later one shows this.
    pub fn sees(&self, what: &str, holds: impl Fn(&Snapshot) -> bool) {
        if !self.last.borrow().as_deref().is_some_and(&holds) {
            self.wait(what, |event| matches!(event, Event::Snapshot(all) if holds(all)).then_some(()));
        }
    }

    pub fn complete(&self, id: TorrentId) {
        self.wait("it is complete", |event| matches!(event, Event::Complete(n) if *n == id).then_some(()));
    }

    pub fn stop(self) {
        self.leave();
    }

    /// Stops it; its folder stays.
    pub fn leave(self) -> tempfile::TempDir {
        assert_eq!(self.engine.shutdown(PATIENCE), Ok(()));
        self.folder
    }
}
