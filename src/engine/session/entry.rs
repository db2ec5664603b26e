//! A torrent in the session: its desired state, its lifecycle, its error and its view.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::super::add::TorrentSpec;
use super::super::inbox::TorrentHandle;
use super::super::saved_torrent::SavedTorrent;
use crate::api::AddTorrent;
use crate::disk::move_storage::Progress;
use crate::limits;
use crate::swarm::bitfield::Bitfield;
use crate::swarm::event::Input;
use crate::swarm::job::{DiskFault, FaultKind, pause};
use crate::swarm::quota::Quota;
use crate::swarm::reason::{MoveProgress, Reason};
use crate::swarm::torrent::{Torrent, TorrentCommand};
use crate::swarm::view::{PieceMapCell, PieceProgress, State, TorrentView};
use crate::wire::message::InfoHash;
use crate::wire::sanitize::sanitize;

/// The state that the user wants for a torrent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum DesiredState {
    Run,
    Pause,
    Remove { data: bool },
}

/// Lifecycle of a torrent in the session.
///
/// `NotLoaded -> Loading -> Paused -> Opening -> Running -> Stopping -> Paused`; `Moving` and `Deleting` start from
/// `Paused`.
pub(super) enum Lifecycle {
    /// The `.torrent` file has not been read, or reading it failed.
    NotLoaded,
    /// A task reads the `.torrent` file.
    Loading,
    /// Loaded, not running.
    Paused(Box<Torrent>),
    /// A task opens and checks the files.
    Opening(Box<Torrent>),
    /// The scheduler runs the state machine.
    Running(TorrentHandle),
    /// The torrent is sending `stopped` announces and saving resume data.
    Stopping,
    /// A thread moves the files.
    Moving(Box<Torrent>, Arc<Progress>),
    /// A task deletes the files.
    Deleting,
}

/// An error that keeps a torrent from running, with its retry state.
pub(super) struct TorrentError {
    pub(super) fault: DiskFault,
    /// Number of failed retries.
    pub(super) tries: u32,
    /// Time of the next retry; `None` if the error is final or a retry is in progress.
    pub(super) at: Option<Instant>,
    /// A retry is in progress.
    pub(super) trying: bool,
}

impl TorrentError {
    /// Schedules the retry of a new fault; `before` is the previous error, whose retries count towards the back-off.
    pub(super) fn new(fault: DiskFault, before: Option<&TorrentError>, now: Instant) -> Self {
        let tries = before.map_or(0, |before| before.tries.saturating_add(1));
        let at = (!fault.kind.is_final()).then(|| now + pause(tries));
        TorrentError { fault, tries, at, trying: false }
    }

    /// Returns the reason for the user: at the start there is nothing to be checked yet.
    fn reason(&self) -> Reason {
        let kind = match self.fault.kind {
            FaultKind::Changed => FaultKind::Temporary,
            kind => kind,
        };
        Reason::Fault(DiskFault { kind, text: self.fault.text.clone() })
    }
}

pub(super) struct TorrentEntry {
    pub(super) hash: InfoHash,
    /// What is saved for the next session.
    pub(super) saved: SavedTorrent,
    /// The resolved torrent; `None` until its `.torrent` file has been read.
    pub(super) spec: Option<Box<TorrentSpec>>,
    pub(super) desired: DesiredState,
    pub(super) lifecycle: Lifecycle,
    pub(super) view: TorrentView,
    /// The source it was added from, until `Event::Added` or `Event::AddFailed` is sent.
    pub(super) adding: Option<String>,
    /// The queue lets the torrent run.
    pub(super) scheduled: bool,
    /// The error that keeps the torrent from running until a retry succeeds or the user resumes it.
    pub(super) error: Option<TorrentError>,
    /// The destination of a requested or running move.
    pub(super) moving: Option<PathBuf>,
    /// The state machine has loaded the pieces on disk, so its totals replace the saved ones.
    pub(super) seen: bool,
    /// The quota that the running torrent was given last.
    pub(super) quota: Option<Quota>,
    /// When the view was taken.
    pub(super) viewed: Instant,
    /// Since when the running torrent downloads at a rate of zero.
    pub(super) idle: Option<Instant>,
    /// A task opens the files of a running magnet link.
    pub(super) opening_files: bool,
    /// The user was already asked to select files or to allow overwriting.
    pub(super) asked: bool,
    /// Adds of the same torrent that arrived before its `.torrent` file was read.
    pub(super) named_again: Vec<AddTorrent>,
    /// Existing files in the way may be overwritten.
    pub(super) overwrite: bool,
    /// The file system has refused the name of a file: names that Windows does not take are mended.
    pub(super) mend_names: bool,
}

impl TorrentEntry {
    pub(super) fn new(hash: InfoHash, kept: SavedTorrent) -> Self {
        let goal = if kept.paused { DesiredState::Pause } else { DesiredState::Run };
        TorrentEntry {
            hash,
            saved: kept,
            spec: None,
            desired: goal,
            lifecycle: Lifecycle::NotLoaded,
            view: TorrentView::default(),
            adding: None,
            scheduled: false,
            error: None,
            moving: None,
            seen: false,
            quota: None,
            viewed: Instant::now(),
            idle: None,
            opening_files: false,
            asked: false,
            named_again: Vec::new(),
            overwrite: false,
            mend_names: false,
        }
    }

    /// Returns `true` if no error blocks the torrent or a retry is in progress.
    pub(super) fn may_try(&self) -> bool {
        self.error.as_ref().is_none_or(|halt| halt.trying)
    }

    /// Returns `true` if the session may end without waiting for this torrent.
    pub(super) const fn is_at_rest(&self) -> bool {
        !self.opening_files
            && matches!(self.lifecycle, Lifecycle::NotLoaded | Lifecycle::Loading | Lifecycle::Paused(_))
    }

    /// Builds the state machine from the spec and the saved speed limits.
    pub(super) fn build_torrent(&self, plan: &TorrentSpec) -> Box<Torrent> {
        let mut torrent = Box::new(Torrent::new(plan.config.clone()));
        if self.saved.down_limit.is_some() || self.saved.up_limit.is_some() {
            let limits = TorrentCommand::Limits { down: self.saved.down_limit, up: self.saved.up_limit };
            // Effects are dropped: the torrent does not run yet.
            torrent.handle(Instant::now(), Input::Command(limits), &mut Vec::new());
        }
        torrent
    }

    /// Stores the resolved spec, builds the state machine and loads the resume data.
    pub(super) fn set_spec(&mut self, mut plan: Box<TorrentSpec>) {
        plan.apply_saved(&self.saved);
        self.seen = false;
        let mut torrent = self.build_torrent(&plan);
        let pieces = torrent.pieces();
        // Of a torrent that was whole all pieces are taken to be there until it is opened: less is kept in memory of it.
        let whole = || {
            let was_whole = pieces > 0 && (self.saved.have, self.saved.pieces) == (pieces, pieces);
            was_whole.then(|| Bitfield::full(pieces).to_wire())
        };
        if let Some(have) = plan.resume_bitfield.take().or_else(whole) {
            torrent.load_resume(&have);
        }
        self.lifecycle = Lifecycle::Paused(torrent);
        self.spec = Some(plan);
    }

    /// Returns `true` if the files are known and the user has not selected among them yet.
    pub(super) fn is_choosing(&self) -> bool {
        self.saved.choose && self.spec.as_ref().is_some_and(|plan| plan.layout.is_some())
    }

    /// Rebuilds the state machine of a paused magnet link once its metadata is in the spec.
    pub(super) fn rebuild(&mut self) {
        let Some(plan) = self.spec.as_ref().filter(|plan| plan.layout.is_some()) else { return };
        if matches!(&self.lifecycle, Lifecycle::Paused(torrent) if !torrent.has_metadata()) {
            self.lifecycle = Lifecycle::Paused(self.build_torrent(plan));
        }
    }

    /// Adds to a view what the state machine does not know: queue data, saved totals, file selection.
    pub(super) fn fill_view(&self, view: &mut TorrentView) {
        view.info_hash = Some(self.hash);
        view.rank = self.saved.rank;
        view.added = self.saved.added;
        view.finished = self.saved.finished;
        if self.is_choosing() && self.error.is_none() && view.state != State::Moving {
            view.why = match self.desired {
                DesiredState::Pause => Reason::PausedUnselected.into(),
                _ => Reason::SelectFiles.into(),
            };
            // The state machine has stopped fetching metadata but has not received the file list yet.
            if let Some(plan) = self.spec.as_ref().filter(|_| view.state == State::Metadata) {
                let length = plan.config.info.as_ref().map_or(0, |info| info.len());
                let pieces = u32::try_from(length).unwrap_or(u32::MAX).div_ceil(limits::BLOCK);
                view.metadata = PieceProgress { done: pieces, total: pieces };
                view.size = plan.config.size();
            }
        }
        if !self.seen && self.saved.pieces > 0 && view.state != State::Checking {
            (view.wanted, view.done, view.have) = (self.saved.wanted, self.saved.done, self.saved.have);
            // Without resume data the pieces on disk are unknown before the check, unless the torrent was complete.
            if let Some(detail) = view.detail.as_mut().filter(|_| self.saved.have == self.saved.pieces) {
                detail.cells.iter_mut().for_each(|cell| {
                    *cell = PieceMapCell { pieces: cell.pieces, have: cell.pieces, ..PieceMapCell::default() }
                });
                detail.files.iter_mut().for_each(|file| file.done = file.size);
                detail.missing = 0;
            }
        }
    }

    /// Builds the view of a torrent that does not run. The queue position is filled in with each snapshot.
    pub(super) fn rest(&mut self, detail: bool) {
        let mut view = match &self.lifecycle {
            Lifecycle::Paused(torrent) | Lifecycle::Opening(torrent) | Lifecycle::Moving(torrent, _) => {
                torrent.view(Instant::now(), detail)
            }
            _ => {
                let mut view = TorrentView::default();
                self.saved.show(&mut view);
                view
            }
        };
        (view.error, view.fault) = (None, None);
        if let Lifecycle::Moving(_, progress) = &self.lifecycle {
            let (done, all) = progress.bytes();
            let share = done as f64 / all.max(1) as f64;
            view.state = State::Moving;
            view.checked = (share * f64::from(view.pieces)) as u32;
            let to = self.moving.as_deref().unwrap_or(Path::new("")).display().to_string();
            let to = sanitize(&to, limits::TRACKER_TEXT);
            view.why = Reason::Moving(Some(MoveProgress { to, done, total: all })).into();
        } else if let Some(halt) = &self.error {
            // The error stays visible during a retry, because most retries fail.
            view.state = State::Error;
            (view.error, view.fault) = (Some(halt.fault.text.clone()), Some(halt.fault.kind));
            view.why = halt.reason().into();
        } else if let Lifecycle::Opening(_) = &self.lifecycle {
            view.state = State::Checking;
            view.checked = view.have;
            view.why = Reason::OpeningFiles { folder: self.saved.dir.display().to_string() }.into();
        } else if self.desired == DesiredState::Pause {
            view.state = State::Paused;
        } else {
            view.state = State::Queued;
            view.why = match &self.lifecycle {
                Lifecycle::NotLoaded | Lifecycle::Loading => Reason::ReadingTorrent.into(),
                _ => Reason::Starting.into(),
            };
        }
        self.fill_view(&mut view);
        (self.view, self.viewed) = (view, Instant::now());
    }
}
