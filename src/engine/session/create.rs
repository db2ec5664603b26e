//! Creating a `.torrent` from the user's data: a preview first, then a thread hashes the data, writes the file and the
//! session adds and seeds the torrent.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::super::add::display_path;
use super::{Session, TaskResult, WrittenTorrent};
use crate::api::{AddTorrent, CreatePreview, CreateRequest, Created, Event};
use crate::clock::unix_seconds;
use crate::disk::create::hashing::Progress;
use crate::disk::create::scan::{FileScan, ScanOptions, scan_files};
use crate::disk::create::{CreateError, CreateOptions, cache, make, piece_length, size, torrent_writer};
use crate::wire::magnet::Magnet;
use crate::wire::metainfo::urls;
use crate::wire::sanitize::sanitize;

/// Interval between two progress events.
const LOOK: Duration = Duration::from_millis(250);
/// Maximum width of a displayed name, in columns.
const TEXT: usize = 1000;

impl Session {
    /// Starts a preview of the torrent that `new` would create.
    pub(super) fn survey(&mut self, new: CreateRequest) {
        let progress = self.begin_making();
        let asked = new.clone();
        let work = move || {
            let planned = look(&new, &progress).and_then(|(found, terms)| planned(&found, &terms));
            TaskResult::Surveyed(new, planned.map(Box::new).map_err(|why| why.to_string()))
        };
        self.spawn_task(work, move |why| TaskResult::Surveyed(asked, Err(why.to_string())));
    }

    /// Creates a torrent on a thread of its own, since hashing may take hours.
    pub(super) fn create(&mut self, new: CreateRequest) {
        let progress = self.begin_making();
        let results = self.parts.results.0.clone();
        let (faults, asked) = (results.clone(), new.clone());
        let state_dir = self.parts.state_dir.clone();
        let (mine, lost) = (Arc::clone(&progress), Arc::clone(&progress));
        let began = Instant::now();
        let work = move || {
            let (end, ended) = channel::<()>();
            let written = std::thread::scope(|scope| {
                let (told, what, progress) = (results.clone(), new.what.clone(), &mine);
                scope.spawn(move || {
                    while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                        let (done, total) = progress.bytes();
                        let rate = (done as f64 / began.elapsed().as_secs_f64().max(0.001)) as u64;
                        let _ = told.send(TaskResult::Event(Event::CreateProgress {
                            what: what.clone(),
                            done,
                            total,
                            rate,
                        }));
                    }
                });
                let written = write(&new, &mine, &state_dir);
                drop(end);
                written
            });
            let written = written.map(Box::new).map_err(|why| why.to_string());
            let _ = results.send(TaskResult::Created(new, mine, written));
        };
        let what = asked.clone();
        let fault = move |words| {
            let why = format!("internal error: {words}");
            let _ = faults.send(TaskResult::Created(what, lost, Err(why)));
        };
        if let Err(error) = self.parts.world.crew.spawn("create".to_owned(), work, fault) {
            self.created(asked, &progress, Err(format!("no thread for it: {error}")));
        }
    }

    /// Cancels the current creation or preview, if any, and registers a new one.
    fn begin_making(&mut self) -> Arc<Progress> {
        self.stop_making();
        let progress = Arc::new(Progress::default());
        self.making = Some(Arc::clone(&progress));
        progress
    }

    /// Cancels the current creation or preview; no file is left behind.
    pub(super) fn stop_making(&mut self) {
        if let Some(progress) = self.making.take() {
            progress.stop();
        }
    }

    pub(super) fn created(
        &mut self,
        new: CreateRequest,
        of: &Arc<Progress>,
        written: Result<Box<WrittenTorrent>, String>,
    ) {
        let wanted = self.making.take_if(|making| Arc::ptr_eq(making, of)).is_some() && self.quit.is_none();
        match written {
            Ok(written) if !wanted => {
                // Canceled after the file was already written.
                let work = move || {
                    let _ = std::fs::remove_file(&written.path);
                    TaskResult::Done
                };
                self.spawn_task(work, |_| TaskResult::Done);
            }
            Ok(written) => {
                let WrittenTorrent { path, dir, magnet } = *written;
                let lan = self.parts.defaults.lan && !new.private;
                let text = format!("{} was written", path.display());
                self.write_log(None, text);
                let made = Created { path: display_path(&path), magnet, lan };
                self.event(Event::Created { what: new.what, made: Ok(Box::new(made)) });
                let what = path.to_string_lossy().into_owned();
                self.add(AddTorrent { what, dir: Some(dir), ..AddTorrent::default() });
            }
            Err(why) => {
                if wanted {
                    self.event(Event::Created { what: new.what, made: Err(why) });
                }
            }
        }
    }
}

/// Walks the data and validates the tracker URLs.
fn look(new: &CreateRequest, progress: &Progress) -> Result<(FileScan, CreateOptions), CreateError> {
    let mut trackers = Vec::new();
    for url in &new.trackers {
        let judged = urls::tracker(url.as_bytes());
        trackers.push(vec![judged.map_err(|why| CreateError::System(format!("{url} is no tracker: {why}")))?]);
    }
    let date = unix_seconds().and_then(|now| i64::try_from(now).ok());
    let found = scan_files(Path::new(&new.what), &ScanOptions::default(), &|| progress.is_stopped())?;
    Ok((found, CreateOptions { trackers, private: new.private, date, ..CreateOptions::default() }))
}

fn planned(found: &FileScan, terms: &CreateOptions) -> Result<CreatePreview, CreateError> {
    let piece = piece_length(found.total);
    Ok(CreatePreview {
        name: sanitize(&found.name.to_string_lossy(), TEXT),
        files: found.files.len() as u64,
        size: found.total,
        piece_length: piece,
        pieces: found.total.div_ceil(u64::from(piece)),
        torrent: size(found, piece, terms)?,
        left_out: found.left_out.words(),
    })
}

fn write(new: &CreateRequest, progress: &Progress, state_dir: &Path) -> Result<WrittenTorrent, CreateError> {
    let (found, terms) = look(new, progress)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let made = make(&found, piece_length(found.total), &terms, threads, progress)?;
    if progress.is_stopped() {
        return Err(CreateError::Stopped);
    }
    let dir = found.download_dir();
    let path = torrent_writer::write_free(&dir, &found.name.to_string_lossy(), &made.bytes)?;
    cache::write_resume(state_dir, &found, &made.meta);
    Ok(WrittenTorrent { path, dir, magnet: Magnet::from(&made.meta).to_string() })
}
