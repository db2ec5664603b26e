//! The session: all torrents of an engine, their desired states, the queue and the snapshots for the user interface.
//!
//! The session thread never blocks on disk or network. Blocking work runs on the [`TaskPool`] and its result comes back
//! as a [`TaskResult`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, select};

use super::add::{TaskPool, TorrentDefaults};
use super::connector_config::TorrentRegistry;
use super::context::EngineContext;
use super::error::EngineError;
use super::inbox::ConnectionLimit;
use super::port_mapper::{PortEvent, PortMapper};
use super::session_store::SessionStore;
use super::threads::catch_panic;
use super::torrent_event::TorrentEvent;
use crate::api::{
    AddTorrent, Command, Event, Listening, LogEntry, PortStatus, RateLimits, Setting, Snapshot, TorrentId,
};
use crate::disk::create::hashing::Progress;
use crate::disk::move_storage::recovery::recover_moves;
use crate::disk::pool::DiskPool;
use crate::limits;
use crate::swarm::event::Input;
use crate::swarm::view::{Source, State, TorrentView};
use crate::wire::message::InfoHash;

pub(crate) use messages::{Opened, SessionMessage, TaskResult, WrittenTorrent};

use entry::{DesiredState, Lifecycle, TorrentEntry};
use free_space::FreeSpace;
use messages::Uncleared;
use queue_state::QueueState;
use unfinished::Unfinished;

mod commands;
mod create;
mod entry;
mod free_space;
mod lifecycle;
mod magnets;
mod merge;
mod messages;
mod move_storage;
mod overwrite;
mod port;
mod queue;
mod queue_state;
mod requests;
mod shutdown;
mod snapshot;
pub(crate) mod unfinished;

/// Interval between two snapshots.
const SNAPSHOT: Duration = Duration::from_millis(250);
/// Minimum interval between two snapshots while events wait for one: hundreds of torrents may become ready at once.
const MIN_SNAPSHOT_INTERVAL: Duration = Duration::from_millis(20);
/// How long the first snapshot waits for the saved torrent list, so that it does not show an empty session.
const FIRST: Duration = Duration::from_millis(80);
/// Interval between two writes of the torrent list when only transfer totals have changed.
const TOTALS: Duration = Duration::from_secs(180);
/// Part of the shutdown time reserved for closing the disk pool after the torrents.
const RESERVE: Duration = Duration::from_millis(700);
/// Maximum number of queued events and results handled before snapshots and commands get their turn.
const AT_ONCE: usize = 128;

/// Everything a [`Session`] is built from.
pub(crate) struct SessionParts {
    /// What all torrents share.
    pub world: Arc<EngineContext>,
    /// Maps info-hashes to running torrents, for incoming connections.
    pub routes: TorrentRegistry,
    /// The global connection limit.
    pub seats: ConnectionLimit,
    pub disk: Arc<DiskPool>,
    /// The settings that new torrents start with.
    pub defaults: TorrentDefaults,
    /// The folder of the resume data.
    pub state_dir: PathBuf,
    /// Runs blocking tasks.
    pub tasks: TaskPool,
    pub results: (Sender<TaskResult>, Receiver<TaskResult>),
    /// Commands of the user and the request to quit.
    pub orders: Receiver<SessionMessage>,
    /// Events of the running torrents.
    pub news: Receiver<TorrentEvent>,
    /// Snapshots and events to the user interface.
    pub events: Sender<Event>,
    /// Saves the torrent list for the next session; `None` for a session that is not saved.
    pub keep: Option<SessionStore>,
    /// Whether and where the listener listens.
    pub listening: Listening,
    /// The port mapper (PCP, NAT-PMP, UPnP), if enabled.
    pub ports: Option<PortMapper>,
    /// Global rate limits.
    pub limits: RateLimits,
    /// Maximum number of active downloads; `None` is unlimited.
    pub max_active: Option<u32>,
    /// The config file that settings are written to.
    pub config_file: Option<PathBuf>,
}

/// The state of the saved torrent list on disk relative to the session.
struct SessionListState {
    /// The saved list has been read; only from then on may it be overwritten.
    loaded: bool,
    /// Ids of the torrents from the saved list, which precede all added torrents in the queue.
    restored: Vec<Range<u32>>,
    /// There are changes to be written.
    due: bool,
    /// A write is in progress.
    writing: bool,
    /// When the last write started.
    at: Instant,
    /// Transfer totals have changed since the last write.
    totals_changed: bool,
    /// Completed moves whose new folders are not in the written list yet.
    uncleared: Uncleared,
}

/// Settings on their way to the config file.
#[derive(Default)]
struct PendingSettings {
    /// Arrived during a write, and written next.
    waiting: Vec<Setting>,
    /// A write is in progress.
    writing: bool,
}

/// The running session, owned by the session thread.
pub(crate) struct Session {
    parts: SessionParts,
    table: BTreeMap<TorrentId, TorrentEntry>,
    by_hash: BTreeMap<InfoHash, TorrentId>,
    /// The queue: the ids of all torrents in queue order.
    order: Vec<TorrentId>,
    queue: QueueState,
    /// The torrent id assigned last.
    next: u32,
    list: SessionListState,
    /// Info-hashes whose saved `.torrent` file is being deleted; a new add of one of them waits for the deletion.
    forgetting: BTreeSet<InfoHash>,
    again: Vec<AddTorrent>,
    focus: Option<TorrentId>,
    began: Instant,
    changed: bool,
    sent: Option<Instant>,
    shared: Instant,
    /// The global limits must be redistributed before the next regular interval.
    reshare: bool,
    /// Events to be sent after the snapshot that shows their effect.
    pending_events: Vec<Event>,
    /// The sum of the weights of the torrents that share the budget of unwritten bytes, as last distributed.
    sharers: u64,
    /// Disk load in percent as last sent to the torrents.
    disk_busy: u8,
    room: FreeSpace,
    /// Settings to be written next, and whether a write is in progress.
    settings: PendingSettings,
    /// The torrent being created or previewed.
    making: Option<Arc<Progress>>,
    log: VecDeque<LogEntry>,
    quit: Option<Instant>,
    /// While quitting: all torrents before this one have ended.
    ended_before: TorrentId,
    /// Set with `quit`: tasks that would only begin something are skipped.
    quitting: Arc<AtomicBool>,
    port: PortStatus,
}

impl Session {
    /// Builds a session without torrents.
    #[must_use]
    pub(crate) fn new(it: SessionParts) -> Self {
        let now = Instant::now();
        let list = SessionListState {
            loaded: it.keep.is_none(),
            restored: Vec::new(),
            due: false,
            writing: false,
            at: now,
            totals_changed: false,
            uncleared: Vec::new(),
        };
        let listening = it.listening.clone();
        Session {
            parts: it,
            table: BTreeMap::new(),
            by_hash: BTreeMap::new(),
            order: Vec::new(),
            queue: QueueState::new(now),
            next: 0,
            list,
            forgetting: BTreeSet::new(),
            again: Vec::new(),
            focus: None,
            began: now,
            changed: true,
            sent: None,
            shared: now,
            reshare: true,
            pending_events: Vec::new(),
            sharers: 0,
            disk_busy: 0,
            room: FreeSpace::default(),
            settings: PendingSettings::default(),
            making: None,
            log: VecDeque::new(),
            quit: None,
            ended_before: TorrentId(0),
            quitting: Arc::default(),
            port: PortStatus { listening, ..PortStatus::default() },
        }
    }

    /// Runs until a quit request is complete or its time is up. Returns what did not stop.
    #[must_use]
    pub(crate) fn run(mut self) -> Unfinished {
        if let Some(keep) = self.parts.keep.clone() {
            let (state_dir, owners) = (self.parts.state_dir.clone(), self.owners());
            let results = self.parts.results.0.clone();
            let load = move || {
                let _ = results.send(TaskResult::FirstLoaded(keep.load_first()));
                let (list, mut notes) = keep.load();
                let dir_of = |hash| list.iter().find(|saved| saved.hash() == Some(hash)).map(|saved| saved.dir.clone());
                notes.extend(recover_moves(&state_dir, &dir_of, &owners));
                TaskResult::Loaded(list, notes)
            };
            self.spawn_task(load, |why| {
                TaskResult::Notice(None, format!("the list of torrents could not be read: {why}"))
            });
        }
        loop {
            let wait = self.deadline().saturating_duration_since(Instant::now());
            select! {
                recv(self.parts.orders) -> order => match order {
                    Ok(order) => self.on_session_message(order),
                    Err(_) => self.quit(Instant::now() + limits::SHUTDOWN),
                },
                recv(self.parts.news) -> news => if let Ok(news) = news { self.on_torrent_event(news) },
                recv(self.parts.results.1) -> result => if let Ok(result) = result { self.on_task_result(result) },
                default(wait) => (),
            }
            // Queued commands, events and results are drained first, so that one snapshot shows them all, and a quit request
            // does not wait behind thousands of commands. Bounded, so that commands get their turn.
            for _ in 0..AT_ONCE {
                let Ok(order) = self.parts.orders.try_recv() else { break };
                self.on_session_message(order);
            }
            for _ in 0..AT_ONCE {
                match (self.parts.news.try_recv(), self.parts.results.1.try_recv()) {
                    (Err(_), Err(_)) => break,
                    (news, result) => {
                        news.into_iter().for_each(|news| self.on_torrent_event(news));
                        result.into_iter().for_each(|result| self.on_task_result(result));
                    }
                }
            }
            let now = Instant::now();
            self.schedule(now);
            self.distribute_limits(now);
            self.write_list(now);
            self.snapshot(now);
            if let Some(until) = self.quit
                && (self.at_rest() || now + RESERVE >= until)
            {
                return self.end(until);
            }
        }
    }

    fn deadline(&self) -> Instant {
        let now = Instant::now();
        let far = now + Duration::from_secs(3600);
        let snapshot = self.snapshot_at(now).unwrap_or(far);
        let shares = self.shares_at().unwrap_or(far);
        let totals = if self.list.totals_changed { self.list.at + TOTALS } else { far };
        let quit = self.quit.map_or(far, |until| until - RESERVE);
        snapshot.min(shares).min(totals).min(self.turns_at().unwrap_or(far)).min(quit)
    }

    fn on_session_message(&mut self, order: SessionMessage) {
        match order {
            SessionMessage::Quit(until) => self.quit(until),
            SessionMessage::Command(_) if self.quit.is_some() => (),
            SessionMessage::Command(command) => self.command(command),
        }
    }

    fn command(&mut self, command: Command) {
        self.changed = true;
        match command {
            Command::Add(add) => self.add(add),
            Command::Pause(id) => self.set_desired(id, DesiredState::Pause),
            Command::Resume(id) => self.set_desired(id, DesiredState::Run),
            Command::SelectFiles { id, priorities } => self.chosen(id, &priorities),
            Command::Remove { id, data } => self.set_desired(id, DesiredState::Remove { data }),
            Command::Torrent(id, wish) => self.on_torrent_command(id, wish),
            Command::AddPeers(id, addrs) => self.input(id, Input::PeersFound { source: Source::Manual, addrs }),
            Command::Limits { down, up } => {
                self.parts.limits = RateLimits { down, up };
                self.reshare = true;
            }
            Command::Focus(id) => self.focus(id),
            Command::Inspect(add) => self.inspect(add),
            Command::Queue(id, step) => self.step(id, step),
            Command::SetBandwidthPriority(id, rank) => self.rank(id, rank),
            Command::Move { id, to } => self.move_to(id, to),
            Command::Export { id, to } => self.export(id, to),
            Command::Open(id) => self.open_folder(id),
            Command::Magnets(ids) => self.tell_magnets(&ids),
            Command::Overwrite(id) => self.overwrite(id),
            Command::PreviewCreate(new) => self.survey(new),
            Command::Create(new) => self.create(new),
            Command::StopCreating => self.stop_making(),
            Command::UpdateConfig(settings) => self.configure(settings),
        }
    }

    /// Runs `work` on the task pool. `fault` builds the result if `work` panics or no thread can be started.
    fn spawn_task(
        &mut self,
        work: impl FnOnce() -> TaskResult + Send + 'static,
        fault: impl FnOnce(EngineError) -> TaskResult + Send + 'static,
    ) {
        let results = self.parts.results.0.clone();
        self.parts.tasks.run(Box::new(move |may| {
            let done = may.and_then(|()| catch_panic(work).map_err(EngineError::Fault));
            let _ = results.send(done.unwrap_or_else(fault));
        }));
    }

    fn on_task_result(&mut self, result: TaskResult) {
        self.changed = true;
        match result {
            TaskResult::FirstLoaded(list) => self.first_loaded(list),
            TaskResult::Loaded(list, notes) => self.loaded(list, notes),
            TaskResult::ListWritten(written, moves) => {
                self.list.writing = false;
                match written {
                    Ok(()) => self.clear(moves),
                    Err(why) => {
                        // The old files of these moves are kept until the list can be written.
                        self.list.uncleared.extend(moves);
                        self.notice(None, why.to_string());
                    }
                }
            }
            TaskResult::Resolved(..) | TaskResult::TorrentLoaded(..) if self.quit.is_some() => (),
            TaskResult::Resolved(id, add, plan) => self.planned(id, add, plan),
            TaskResult::TorrentLoaded(id, plan) => self.on_loaded(id, plan),
            TaskResult::Inspected(what, contents) => self.inspected(what, contents),
            TaskResult::Surveyed(of, planned) => self.event(Event::CreatePreview { of, planned }),
            TaskResult::Created(new, of, written) => self.created(new, &of, written),
            TaskResult::Opened(id, opened) => self.opened(id, opened),
            TaskResult::MetadataResolved(id, plan) => self.on_metadata_resolved(id, plan),
            TaskResult::MetadataOpened(id, files) => self.unpacked(id, files),
            TaskResult::Port(news) => self.port_news(news),
            TaskResult::Closed(id) => {
                self.packed(id);
                self.update_lifecycle(id, |life| match life {
                    Lifecycle::Opening(torrent) => Lifecycle::Paused(torrent),
                    other => other,
                });
                self.advance(id);
            }
            TaskResult::Deleted(id, deleted) => {
                if let Some(text) = deleted.unwrap_or_else(Some) {
                    self.notice(Some(id), text);
                }
                self.forget(id);
            }
            TaskResult::Forgotten(hash) => {
                self.forgetting.remove(&hash);
                std::mem::take(&mut self.again).into_iter().for_each(|add| self.add(add));
            }
            TaskResult::Moving(id) => self.advance(id),
            TaskResult::Moved(id, moved) => self.moved(id, moved),
            TaskResult::Room(dir, bytes) => self.know_room(&dir, bytes),
            TaskResult::Configured(settings, now) => self.configured(&settings, now),
            TaskResult::Notice(id, text) => self.notice(id, text),
            TaskResult::Event(event) => self.event(event),
            TaskResult::Done => (),
        }
    }

    fn event(&self, event: Event) {
        let _ = self.parts.events.send(event);
    }

    /// Sends a notice to the user and writes it to the log.
    fn notice(&mut self, id: Option<TorrentId>, text: String) {
        self.write_log(id, text.clone());
        self.event(Event::Notice { id, text });
    }

    /// Writes a line to the log.
    fn write_log(&mut self, id: Option<TorrentId>, text: String) {
        if self.log.len() == Snapshot::LOG {
            self.log.pop_front();
        }
        self.log.push_back(LogEntry { at: self.began.elapsed(), torrent: id, text });
        self.changed = true;
    }

    fn on_torrent_event(&mut self, news: TorrentEvent) {
        self.changed = true;
        match news {
            TorrentEvent::View(id, mut view) => {
                if self.focus != Some(id) {
                    view.detail = None;
                }
                let Some(entry) = self.table.get_mut(&id) else { return };
                if matches!(entry.lifecycle, Lifecycle::Running(_) | Lifecycle::Stopping) {
                    entry.seen |= matches!(view.state, State::Downloading | State::Seeding | State::Error);
                    self.list.totals_changed |= entry.saved.update_from_view(&view);
                    entry.fill_view(&mut view);
                    let queued = |view: &TorrentView| (view.state, view.down == 0);
                    self.queue.stale |= queued(&view) != queued(&entry.view);
                    (entry.view, entry.viewed) = (*view, Instant::now());
                }
            }
            TorrentEvent::Occupied(id, fault) => self.occupied(id, fault),
            TorrentEvent::Notice(id, text) => self.notice(Some(id), text),
            TorrentEvent::Metadata(id, given) => self.on_metadata(id, given),
            TorrentEvent::Trackers(id, trackers) => self.tracked(id, trackers),
            TorrentEvent::Ready(id) => self.pending_events.push(Event::Checked(id)),
            TorrentEvent::Complete(id) => {
                self.complete(id);
                self.pending_events.push(Event::Complete(id));
            }
            TorrentEvent::Ended(id, end) => self.ended(id, end),
        }
    }

    /// Applies a port event and distributes the new reachability to the torrents.
    fn port_news(&mut self, news: PortEvent) {
        if let Some(text) = port::on_event(&mut self.port, news) {
            self.notice(None, text);
        }
        // The torrents receive the reachability with their next `Quota`.
        self.reshare = true;
        self.parts.world.outside.store(self.port.external().unwrap_or(0), Ordering::Relaxed);
    }
}
