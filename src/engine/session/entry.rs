//! A torrent as the session holds it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::super::add::Plan;
use super::super::inbox::Inbox;
use super::super::kept::Kept;
use crate::api::AddTorrent;
use crate::disk::moving::Progress;
use crate::swarm::event::Input;
use crate::swarm::job::{DiskFault, FaultKind, pause};
use crate::swarm::reason;
use crate::swarm::torrent::{Torrent, Wish};
use crate::swarm::view::{Cell, Reason, State, TorrentView};
use crate::wire::message::InfoHash;

/// What becomes of a torrent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Goal {
    Run,
    Pause,
    Remove { data: bool },
}

/// What a torrent is, to the session.
pub(super) enum Life {
    /// Nobody has read its `.torrent` yet, or it could not be read.
    Unread,
    /// An errand reads its `.torrent`.
    Reading,
    /// A value that nobody runs.
    Paused(Box<Torrent>),
    /// An errand looks at its files.
    Opening(Box<Torrent>),
    /// A thread runs it.
    Running(Inbox),
    /// Its thread says its last words.
    Stopping,
    /// A thread moves its files.
    Moving(Box<Torrent>, Arc<Progress>),
    /// An errand deletes its files.
    Deleting,
}

/// What keeps a torrent from running.
pub(super) struct Halt {
    /// The fault.
    pub(super) fault: DiskFault,
    /// How often it was tried again in vain.
    pub(super) tries: u32,
    /// When it is tried next; `None` when it never is, or is being tried.
    pub(super) at: Option<Instant>,
    /// It is being tried.
    pub(super) trying: bool,
}

impl Halt {
    /// A fault that has come up now, after what it was before.
    pub(super) fn new(fault: DiskFault, before: Option<&Halt>, now: Instant) -> Self {
        let tries = before.map_or(0, |before| before.tries.saturating_add(1));
        let at = (!fault.kind.is_final()).then(|| now + pause(tries));
        Halt { fault, tries, at, trying: false }
    }

    /// The words for people, with what happens by itself: at the start there is nothing to be checked yet.
    fn told(&self) -> String {
        match self.fault.kind {
            FaultKind::Changed => DiskFault { kind: FaultKind::Passing, ..self.fault.clone() }.told(),
            _ => self.fault.told(),
        }
    }
}

/// A torrent of the session.
pub(super) struct Entry {
    pub(super) hash: InfoHash,
    /// What the next session is to find.
    pub(super) kept: Kept,
    /// What it is made from, once its `.torrent` has been read.
    pub(super) plan: Option<Box<Plan>>,
    pub(super) goal: Goal,
    pub(super) life: Life,
    pub(super) view: TorrentView,
    /// What it was added as, until it is known whether that worked.
    pub(super) adding: Option<String>,
    /// Its turn in the queue has come.
    pub(super) turn: bool,
    /// The fault that keeps it from running until it is tried again or the user says otherwise.
    pub(super) error: Option<Halt>,
    /// The folder that its files are to go to.
    pub(super) moving: Option<PathBuf>,
    /// Its machine has learnt what is there.
    pub(super) seen: bool,
    /// Since when it runs and gets nothing.
    pub(super) idle: Option<Instant>,
    /// An errand looks at the files of a magnet that runs.
    pub(super) unpacking: bool,
    /// The user was asked which files he wants, or what becomes of those in its way.
    pub(super) asked: bool,
    /// It was named once more before it was read.
    pub(super) named_again: Vec<AddTorrent>,
    /// It may overwrite files that are in its way.
    pub(super) overwrite: bool,
    /// It seeds what is there, and fetches nothing.
    pub(super) seed_only: bool,
}

impl Entry {
    pub(super) fn new(hash: InfoHash, kept: Kept) -> Self {
        let goal = if kept.paused { Goal::Pause } else { Goal::Run };
        Entry {
            hash,
            kept,
            plan: None,
            goal,
            life: Life::Unread,
            view: TorrentView::default(),
            adding: None,
            turn: false,
            error: None,
            moving: None,
            seen: false,
            idle: None,
            unpacking: false,
            asked: false,
            named_again: Vec::new(),
            overwrite: false,
            seed_only: false,
        }
    }

    /// Whether no fault keeps it from being begun.
    pub(super) fn may_try(&self) -> bool {
        self.error.as_ref().is_none_or(|halt| halt.trying)
    }

    /// Whether it does nothing, and nothing is done with it, that the session must wait for at its end.
    pub(super) const fn is_at_rest(&self) -> bool {
        !self.unpacking && matches!(self.life, Life::Unread | Life::Reading | Life::Paused(_))
    }

    /// What its `.torrent` says and what the user wants of it, made into a machine.
    pub(super) fn machine(&self, plan: &Plan) -> Box<Torrent> {
        let mut torrent = Box::new(Torrent::new(plan.config.clone()));
        if self.kept.down_limit.is_some() || self.kept.up_limit.is_some() {
            let limits = Wish::Limits { down: self.kept.down_limit, up: self.kept.up_limit };
            // Nothing follows for one that does not run.
            torrent.handle(Instant::now(), Input::Wish(limits), &mut Vec::new());
        }
        torrent
    }

    /// Takes on what its `.torrent` says.
    pub(super) fn adopt(&mut self, mut plan: Box<Plan>) {
        plan.wished(&self.kept);
        self.seen = false;
        let mut torrent = self.machine(&plan);
        if let Some(have) = plan.recalled.take() {
            torrent.recall(&have);
        }
        self.life = Life::Paused(torrent);
        self.plan = Some(plan);
    }

    /// Whether its files are known, and still to be chosen.
    pub(super) fn is_choosing(&self) -> bool {
        self.kept.choose && self.plan.as_ref().is_some_and(|plan| plan.layout.is_some())
    }

    /// A machine of a magnet that does not know what the plan knows by now is made anew.
    pub(super) fn renew(&mut self) {
        let Some(plan) = self.plan.as_ref().filter(|plan| plan.layout.is_some()) else { return };
        if matches!(&self.life, Life::Paused(torrent) if !torrent.is_described()) {
            self.life = Life::Paused(self.machine(plan));
        }
    }

    /// Adds to a view what its machine does not know.
    pub(super) fn dress(&self, view: &mut TorrentView) {
        view.rank = self.kept.rank;
        view.added = self.kept.added;
        view.finished = self.kept.finished;
        if self.is_choosing() && self.error.is_none() && view.state != State::Moving {
            let sentence = match self.goal {
                Goal::Pause => "paused by you; its files are still to be chosen: p goes on and asks",
                _ => "its metadata are here: choose its files, then it begins",
            };
            view.why = Reason { sentence: sentence.to_owned(), numbers: Vec::new() };
            // Its machine looks for them no more, and has not been told of the files yet.
            if let Some(plan) = self.plan.as_ref().filter(|_| view.state == State::Metadata) {
                let length = plan.config.info.as_ref().map_or(0, |info| info.len());
                let pieces = u32::try_from(length).unwrap_or(u32::MAX).div_ceil(crate::limits::BLOCK);
                view.metadata = (pieces, pieces);
                view.size = plan.config.size();
            }
        }
        if !self.seen && self.kept.pieces > 0 && view.state != State::Checking {
            (view.wanted, view.done, view.have) = (self.kept.wanted, self.kept.done, self.kept.have);
            // Which pieces are there is not known without a record before its files are looked at, unless it is all of them.
            if let Some(detail) = view.detail.as_mut().filter(|_| self.kept.have == self.kept.pieces) {
                detail
                    .cells
                    .iter_mut()
                    .for_each(|cell| *cell = Cell { pieces: cell.pieces, have: cell.pieces, ..Cell::default() });
                detail.files.iter_mut().for_each(|file| file.done = file.size);
                detail.missing = 0;
            }
        }
    }

    /// The view of one that does not run. Those that wait for their turn are told of their place with each snapshot.
    pub(super) fn rest(&mut self, detail: bool) {
        let mut view = match &self.life {
            Life::Paused(torrent) | Life::Opening(torrent) | Life::Moving(torrent, _) => {
                torrent.view(Instant::now(), detail)
            }
            _ => {
                let mut view = TorrentView::default();
                self.kept.show(&mut view);
                view
            }
        };
        let say = |view: &mut TorrentView, sentence: String| {
            view.why = Reason { sentence, numbers: Vec::new() };
        };
        (view.error, view.fault) = (None, None);
        if let Life::Moving(_, progress) = &self.life {
            let (done, all) = progress.bytes();
            let share = done as f64 / all.max(1) as f64;
            view.state = State::Moving;
            view.checked = (share * f64::from(view.pieces)) as u32;
            view.why = reason::moving(self.moving.as_deref().unwrap_or(Path::new("")), (done, all));
        } else if let Some(halt) = &self.error {
            // Also while it is tried again: that comes to nothing more often than not.
            view.state = State::Error;
            (view.error, view.fault) = (Some(halt.fault.text.clone()), Some(halt.fault.kind));
            say(&mut view, halt.told());
        } else if let Life::Opening(_) = &self.life {
            view.state = State::Checking;
            view.checked = view.have;
            let dir = self.kept.dir.display();
            say(&mut view, format!("looking at its files in {dir}"));
        } else if self.goal == Goal::Pause {
            view.state = State::Paused;
        } else {
            view.state = State::Queued;
            match &self.life {
                Life::Unread | Life::Reading => say(&mut view, "its .torrent file is being read".to_owned()),
                _ => say(&mut view, "about to start".to_owned()),
            }
        }
        self.dress(&mut view);
        self.view = view;
    }
}
