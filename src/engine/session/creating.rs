//! Making a torrent of the user's own data: what it would be is told first, then a thread hashes it, and it is added and
//! seeded from where the data are.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::super::add::shown;
use super::{Desk, Errand};
use crate::api::{AddTorrent, Created, Event, NewTorrent, Planned};
use crate::disk::create::hashing::Progress;
use crate::disk::create::walk::{Choice, Survey, survey};
use crate::disk::create::{CreateError, Terms, kept, make, output, piece_length, size};
use crate::wire::magnet::Magnet;
use crate::wire::metainfo::urls;
use crate::wire::text::clean;

/// The time between two looks at how far it is.
const LOOK: Duration = Duration::from_millis(250);
/// The longest name shown, in columns.
const TEXT: usize = 1000;

/// A `.torrent` that was made and written.
pub struct Written {
    /// Where it is.
    path: PathBuf,
    /// The folder around the data.
    dir: PathBuf,
    magnet: String,
}

impl Desk {
    /// Says what a torrent would be.
    pub(super) fn survey(&mut self, new: NewTorrent) {
        let progress = self.begin_making();
        let asked = new.clone();
        let work = move || {
            let planned = look(&new, &progress).and_then(|(found, terms)| planned(&found, &terms));
            Errand::Surveyed(new, planned.map(Box::new).map_err(|why| why.to_string()))
        };
        self.errand(work, move |why| Errand::Surveyed(asked, Err(why)));
    }

    /// Makes a torrent, on threads of its own: that may take hours.
    pub(super) fn create(&mut self, new: NewTorrent) {
        let progress = self.begin_making();
        let results = self.it.results.0.clone();
        let (faults, asked) = (results.clone(), new.clone());
        let state_dir = self.it.state_dir.clone();
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
                        let _ = told.send(Errand::Told(Event::Creating { what: what.clone(), done, total, rate }));
                    }
                });
                let written = write(&new, &mine, &state_dir);
                drop(end);
                written
            });
            let written = written.map(Box::new).map_err(|why| why.to_string());
            let _ = results.send(Errand::Created(new, mine, written));
        };
        let what = asked.clone();
        let fault = move |words| {
            let why = format!("it ended by a fault of ttui: {words}");
            let _ = faults.send(Errand::Created(what, lost, Err(why)));
        };
        if let Err(error) = self.it.world.crew.spawn("create".to_owned(), work, fault) {
            self.created(asked, &progress, Err(format!("no thread for it: {error}")));
        }
    }

    /// Only one is made at a time: one that is asked for later takes its place.
    fn begin_making(&mut self) -> Arc<Progress> {
        self.stop_making();
        let progress = Arc::new(Progress::default());
        self.making = Some(Arc::clone(&progress));
        progress
    }

    /// Ends what is being made, if there is something; nothing stays behind.
    pub(super) fn stop_making(&mut self) {
        if let Some(progress) = self.making.take() {
            progress.stop();
        }
    }

    pub(super) fn created(&mut self, new: NewTorrent, of: &Arc<Progress>, written: Result<Box<Written>, String>) {
        let wanted = self.making.take_if(|making| Arc::ptr_eq(making, of)).is_some() && self.quit.is_none();
        match written {
            Ok(written) if !wanted => {
                // It was stopped in its last moment.
                let work = move || {
                    let _ = std::fs::remove_file(&written.path);
                    Errand::Done
                };
                self.errand(work, |_| Errand::Done);
            }
            Ok(written) => {
                let Written { path, dir, magnet } = *written;
                let lan = self.it.defaults.lan && !new.private;
                let text = format!("{} was written", path.display());
                self.note(None, text);
                let made = Created { path: shown(&path), magnet, lan };
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

/// Finds the files, and judges what is said beside them.
fn look(new: &NewTorrent, progress: &Progress) -> Result<(Survey, Terms), CreateError> {
    let mut trackers = Vec::new();
    for url in &new.trackers {
        let judged = urls::tracker(url.as_bytes());
        trackers.push(vec![judged.map_err(|why| CreateError::System(format!("{url} is no tracker: {why}")))?]);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok();
    let date = now.and_then(|since| i64::try_from(since.as_secs()).ok());
    let found = survey(Path::new(&new.what), &Choice::default(), &|| progress.is_stopped())?;
    Ok((found, Terms { trackers, private: new.private, date, ..Terms::default() }))
}

fn planned(found: &Survey, terms: &Terms) -> Result<Planned, CreateError> {
    let piece = piece_length(found.total);
    Ok(Planned {
        name: clean(&found.name.to_string_lossy(), TEXT),
        files: found.files.len() as u64,
        size: found.total,
        piece_length: piece,
        pieces: found.total.div_ceil(u64::from(piece)),
        torrent: size(found, piece, terms)?,
        left_out: found.left_out.words(),
    })
}

fn write(new: &NewTorrent, progress: &Progress, state_dir: &Path) -> Result<Written, CreateError> {
    let (found, terms) = look(new, progress)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let made = make(&found, piece_length(found.total), &terms, threads, progress)?;
    if progress.is_stopped() {
        return Err(CreateError::Stopped);
    }
    let dir = found.around();
    let path = output::write_free(&dir, &found.name.to_string_lossy(), &made.bytes)?;
    kept::vouch(state_dir, &found, &made.meta);
    Ok(Written { path, dir, magnet: Magnet::from(&made.meta).to_string() })
}
