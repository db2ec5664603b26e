//! The session: all torrents of an engine, what the user wants of each, and the snapshot that people see.
//!
//! Its thread waits for nothing but messages: whatever may wait for a disk or a network is an errand, done on threads of
//! its own, and comes back as an [`Errand`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, select};

use super::add::{Defaults, Errands, Plan};
use super::greet::Routes;
use super::inbox::{Inbox, Mail, Seats};
use super::keep::Keep;
use super::kept::Kept;
use super::ports::{PortNews, Ports};
use super::runner::{News, World};
use super::threads::caught;
use crate::api::{AddTorrent, Command, Contents, Event, NewTorrent, Planned, Setting, Snapshot, TorrentId};
use crate::config::Settings;
use crate::disk::create::hashing::Progress;
use crate::disk::moving::Moved;
use crate::disk::pool::DiskPool;
use crate::disk::storage::{Resumed, Storage};
use crate::limits;
use crate::swarm::event::Input;
use crate::swarm::job::DiskFault;
use crate::swarm::view::{Source, State};
use crate::wire::message::InfoHash;

use creating::Written;
use entry::{Entry, Goal, Life};
use port::Port;
use shown::Room;

mod creating;
mod entry;
mod joining;
mod lives;
mod magnets;
mod moves;
mod overwrite;
mod port;
mod queue;
mod requests;
mod shown;
mod wishes;

/// The time between two snapshots.
const SNAPSHOT: Duration = Duration::from_millis(250);
/// The shortest time between two snapshots that events wait for: hundreds of torrents may be ready at once.
const TELL: Duration = Duration::from_millis(20);
/// The first snapshot waits this long for the list of the last session: better none than one without torrents.
const FIRST: Duration = Duration::from_millis(80);
/// The time between two writings of the list when only totals have changed.
const TOTALS: Duration = Duration::from_secs(180);
/// What is left of the time to stop for what comes after the torrents.
const RESERVE: Duration = Duration::from_millis(700);
/// News and results heard before other things get their turn: nobody waits long for the first snapshot.
const AT_ONCE: usize = 128;

/// What reaches the session's thread from outside.
pub enum Order {
    /// A wish of the user.
    Command(Command),
    /// Everything is to stop by then.
    Quit(Instant),
}

/// Moves whose old files are still there.
type Uncleared = Vec<(TorrentId, Box<Moved>)>;

/// A torrent whose files have been looked at; a magnet has none yet.
pub struct Opened {
    mail: Mail,
    inbox: Inbox,
    storage: Option<Storage>,
    resumed: Resumed,
}

/// What errands come back with.
pub enum Errand {
    /// The list of the last session, and what a person should hear of it.
    Loaded(Vec<Kept>, Vec<String>),
    /// The list was written, or not; with it go the moves whose new folders stand in it.
    Listed(Result<(), String>, Uncleared),
    /// A torrent was read that is to be added under this name.
    Planned(TorrentId, AddTorrent, Result<Box<Plan>, String>),
    /// A torrent of the list was read.
    Read(TorrentId, Result<Box<Plan>, String>),
    /// A torrent was read that somebody wants to know of.
    Inspected(String, Result<Box<Contents>, String>),
    /// It was found out what a torrent of the user's data would be.
    Surveyed(NewTorrent, Result<Box<Planned>, String>),
    /// A torrent of the user's data was made, or not.
    Created(NewTorrent, Arc<Progress>, Result<Box<Written>, String>),
    /// Something was found out about our port.
    Port(PortNews),
    /// Its files were looked at.
    Opened(TorrentId, Result<Box<Opened>, DiskFault>),
    /// The metadata of a magnet were judged.
    Described(TorrentId, Result<Box<Plan>, DiskFault>),
    /// Its files were looked at while it runs.
    Unpacked(TorrentId, Result<Box<(Storage, Resumed)>, DiskFault>),
    /// Its files are closed again: its turn had gone.
    Shut(TorrentId),
    /// Its files are deleted, or not.
    Deleted(TorrentId, Result<Option<String>, String>),
    /// Its `.torrent` is kept no more.
    Forgotten(InfoHash),
    /// A move has come further.
    Moving(TorrentId),
    /// Its files are in the new folder, or where they were.
    Moved(TorrentId, Result<Box<Moved>, String>),
    /// The room in a folder.
    Room(PathBuf, Option<u64>),
    /// The config file was written, or not.
    Configured(Vec<Setting>, Result<Box<Settings>, String>),
    /// Something was done, and a person should hear of it.
    Said(Option<TorrentId>, String),
    /// Something to be told as it is.
    Told(Event),
    /// Something was done.
    Done,
}

/// The session, to be run on its thread.
pub struct Session {
    /// What all torrents share.
    pub world: Arc<World>,
    /// Callers find their torrents here.
    pub routes: Routes,
    /// The places for connections.
    pub seats: Seats,
    /// The disk.
    pub disk: Arc<DiskPool>,
    /// What torrents are made with.
    pub defaults: Defaults,
    /// Where resume records are kept.
    pub state_dir: PathBuf,
    /// Errands' threads.
    pub errands: Errands,
    /// Errands' results.
    pub results: (Sender<Errand>, Receiver<Errand>),
    /// Wishes.
    pub orders: Receiver<Order>,
    /// What torrents' threads tell.
    pub news: Receiver<News>,
    /// To the user.
    pub events: Sender<Event>,
    /// Where the list of torrents is kept for the next session, if it is.
    pub keep: Option<Keep>,
    /// What is said of the port.
    pub port_state: String,
    /// Has the router forward it, if that is wished for.
    pub ports: Option<Ports>,
    /// Limits of all torrents together, bytes a second.
    pub limits: (Option<u64>, Option<u64>),
    /// Downloads that may run at once; `None` is no limit.
    pub max_active: Option<u32>,
    /// Where settings are written to.
    pub config_file: Option<PathBuf>,
}

/// How the list of torrents on disk stands to the one here.
struct Listing {
    /// The one of the last session has been read: from then on it may be written over.
    loaded: bool,
    /// The names of the torrents in it: they were there before whatever was added since the start.
    restored: Range<u32>,
    /// Something in it is not written.
    due: bool,
    /// It is being written.
    writing: bool,
    /// When it was written last.
    at: Instant,
    /// Totals have changed since.
    moved_on: bool,
    /// Moves whose new folders it does not name yet.
    uncleared: Uncleared,
}

/// What the session's thread keeps between two looks.
pub struct Desk {
    it: Session,
    table: BTreeMap<TorrentId, Entry>,
    /// The queue: all torrents, in the order in which their turn comes.
    order: Vec<TorrentId>,
    /// The name that was given last.
    next: u32,
    list: Listing,
    /// Torrents whose `.torrent` is being deleted; one that is added again meanwhile waits for that.
    forgetting: BTreeSet<InfoHash>,
    again: Vec<AddTorrent>,
    focus: Option<TorrentId>,
    began: Instant,
    changed: bool,
    sent: Option<Instant>,
    shared: Instant,
    /// What all have together is to be divided anew, whatever the clock says.
    reshare: bool,
    /// Events that are told after the snapshot that shows them.
    untold: Vec<Event>,
    /// The weights of the torrents that share the budget of unwritten bytes.
    sharers: u64,
    /// How busy the disk was, in percent, when the torrents were told of it.
    disk_busy: u8,
    room: Room,
    /// Settings to be written when those that are being written are.
    settings: (Vec<Setting>, bool),
    /// The torrent that is being made or looked at.
    making: Option<Arc<Progress>>,
    log: VecDeque<(Duration, Option<TorrentId>, String)>,
    quit: Option<Instant>,
    port: Port,
}

impl Desk {
    /// A session without torrents.
    #[must_use]
    pub fn new(it: Session) -> Self {
        let now = Instant::now();
        let list = Listing {
            loaded: it.keep.is_none(),
            restored: 0..0,
            due: false,
            writing: false,
            at: now,
            moved_on: false,
            uncleared: Vec::new(),
        };
        Desk {
            it,
            table: BTreeMap::new(),
            order: Vec::new(),
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
            untold: Vec::new(),
            sharers: 0,
            disk_busy: 0,
            room: Room::default(),
            settings: (Vec::new(), false),
            making: None,
            log: VecDeque::new(),
            quit: None,
            port: Port::default(),
        }
    }

    /// Works until told to quit and all torrents have stopped, or their time is up. Returns what did not stop.
    #[must_use]
    pub fn run(mut self) -> Vec<String> {
        if let Some(keep) = self.it.keep.clone() {
            let (state_dir, owners) = (self.it.state_dir.clone(), self.owners());
            let load = move || {
                let (list, mut notes) = keep.load();
                notes.extend(moves::cut_short(&state_dir, &list, &owners));
                Errand::Loaded(list, notes)
            };
            self.errand(load, |why| Errand::Said(None, format!("the list of torrents could not be read: {why}")));
        }
        loop {
            let wait = self.deadline().saturating_duration_since(Instant::now());
            select! {
                recv(self.it.orders) -> order => match order {
                    Ok(order) => self.order(order),
                    Err(_) => self.quit(Instant::now() + limits::SHUTDOWN),
                },
                recv(self.it.news) -> news => if let Ok(news) = news { self.hear(news) },
                recv(self.it.results.1) -> result => if let Ok(result) = result { self.result(result) },
                default(wait) => (),
            }
            // One snapshot for all that waits; stopping comes before everything that is still to be heard.
            for _ in 0..AT_ONCE {
                match (self.it.news.try_recv(), self.it.results.1.try_recv()) {
                    (Err(_), Err(_)) => break,
                    (news, result) => {
                        news.into_iter().for_each(|news| self.hear(news));
                        result.into_iter().for_each(|result| self.result(result));
                    }
                }
            }
            let now = Instant::now();
            self.take_turns(now);
            self.share(now);
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
        let totals = if self.list.moved_on { self.list.at + TOTALS } else { far };
        let quit = self.quit.map_or(far, |until| until - RESERVE);
        snapshot.min(shares).min(totals).min(self.turns_at().unwrap_or(far)).min(quit)
    }

    fn at_rest(&self) -> bool {
        self.table.values().all(Entry::is_at_rest) && !self.list.due && !self.list.writing
    }

    fn order(&mut self, order: Order) {
        match order {
            Order::Quit(until) => self.quit(until),
            Order::Command(_) if self.quit.is_some() => (),
            Order::Command(command) => self.command(command),
        }
    }

    fn command(&mut self, command: Command) {
        self.changed = true;
        match command {
            Command::Add(add) => self.add(add),
            Command::Pause(id) => self.wished(id, Goal::Pause),
            Command::Resume(id) => self.wished(id, Goal::Run),
            Command::Choose { id, priorities } => self.chosen(id, &priorities),
            Command::Remove { id, data } => self.wished(id, Goal::Remove { data }),
            Command::Wish(id, wish) => self.wish(id, wish),
            Command::AddPeers(id, addrs) => self.input(id, Input::Found { source: Source::Manual, addrs }),
            Command::Limits { down, up } => {
                self.it.limits = (down, up);
                self.reshare = true;
            }
            Command::Focus(id) => self.focus(id),
            Command::Inspect(add) => self.inspect(add),
            Command::Queue(id, step) => self.step(id, step),
            Command::Rank(id, rank) => self.rank(id, rank),
            Command::Move { id, to } => self.move_to(id, to),
            Command::Export { id, to } => self.export(id, to),
            Command::Open(id) => self.open_folder(id),
            Command::Magnets(ids) => self.tell_magnets(&ids),
            Command::Overwrite(id) => self.overwrite(id),
            Command::Survey(new) => self.survey(new),
            Command::Create(new) => self.create(new),
            Command::StopCreating => self.stop_making(),
            Command::Configure(settings) => self.configure(settings),
        }
    }

    /// Has something done on a thread for errands; `fault` is what comes of it when it panics or there is no thread.
    fn errand(
        &mut self,
        work: impl FnOnce() -> Errand + Send + 'static,
        fault: impl FnOnce(String) -> Errand + Send + 'static,
    ) {
        let results = self.it.results.0.clone();
        self.it.errands.run(Box::new(move |may| {
            let done = may.and_then(|()| caught(work).map_err(|words| format!("a fault of ttui: {words}")));
            let _ = results.send(done.unwrap_or_else(fault));
        }));
    }

    fn result(&mut self, result: Errand) {
        self.changed = true;
        match result {
            Errand::Loaded(list, notes) => self.loaded(list, notes),
            Errand::Listed(written, moves) => {
                self.list.writing = false;
                match written {
                    Ok(()) => self.clear(moves),
                    Err(why) => {
                        // Their old files stay until it can be written.
                        self.list.uncleared.extend(moves);
                        self.notice(None, why);
                    }
                }
            }
            Errand::Planned(..) | Errand::Read(..) if self.quit.is_some() => (),
            Errand::Planned(id, add, plan) => self.planned(id, add, plan),
            Errand::Read(id, plan) => self.read(id, plan),
            Errand::Inspected(what, contents) => self.inspected(what, contents),
            Errand::Surveyed(of, planned) => self.event(Event::Surveyed { of, planned }),
            Errand::Created(new, of, written) => self.created(new, &of, written),
            Errand::Opened(id, opened) => self.opened(id, opened),
            Errand::Described(id, plan) => self.described(id, plan),
            Errand::Unpacked(id, files) => self.unpacked(id, files),
            Errand::Port(news) => self.port_news(news),
            Errand::Shut(id) => {
                self.packed(id);
                self.alter(id, |life| match life {
                    Life::Opening(torrent) => Life::Paused(torrent),
                    other => other,
                });
                self.settle(id);
            }
            Errand::Deleted(id, deleted) => {
                if let Some(text) = deleted.unwrap_or_else(Some) {
                    self.notice(Some(id), text);
                }
                self.forget(id);
            }
            Errand::Forgotten(hash) => {
                self.forgetting.remove(&hash);
                std::mem::take(&mut self.again).into_iter().for_each(|add| self.add(add));
            }
            Errand::Moving(id) => self.settle(id),
            Errand::Moved(id, moved) => self.moved(id, moved),
            Errand::Room(dir, bytes) => self.know_room(&dir, bytes),
            Errand::Configured(settings, now) => self.configured(&settings, now),
            Errand::Said(id, text) => self.notice(id, text),
            Errand::Told(event) => self.event(event),
            Errand::Done => (),
        }
    }

    fn event(&self, event: Event) {
        let _ = self.it.events.send(event);
    }

    /// Tells a person something, and keeps it in the log.
    fn notice(&mut self, id: Option<TorrentId>, text: String) {
        self.note(id, text.clone());
        self.event(Event::Notice { id, text });
    }

    /// Keeps something in the log.
    fn note(&mut self, id: Option<TorrentId>, text: String) {
        if self.log.len() == Snapshot::LOG {
            self.log.pop_front();
        }
        self.log.push_back((self.began.elapsed(), id, text));
        self.changed = true;
    }

    fn hear(&mut self, news: News) {
        self.changed = true;
        match news {
            News::View(id, mut view) => {
                if self.focus != Some(id) {
                    view.detail = None;
                }
                let Some(entry) = self.table.get_mut(&id) else { return };
                if matches!(entry.life, Life::Running(_) | Life::Stopping) {
                    entry.seen |= matches!(view.state, State::Downloading | State::Seeding | State::Error);
                    entry.kept.note(&view);
                    entry.dress(&mut view);
                    entry.view = *view;
                    self.list.moved_on = true;
                }
            }
            News::Occupied(id, fault) => self.occupied(id, fault),
            News::Notice(id, text) => self.notice(Some(id), text),
            News::Metadata(id, given) => self.metadata(id, given),
            News::Trackers(id, trackers) => self.tracked(id, trackers),
            News::Ready(id) => self.untold.push(Event::Ready(id)),
            News::Complete(id) => {
                self.complete(id);
                self.untold.push(Event::Complete(id));
            }
            News::Ended(id, end) => self.ended(id, end),
        }
    }

    fn quit(&mut self, until: Instant) {
        if self.quit.is_some() {
            return;
        }
        self.quit = Some(until);
        // While the torrents say their last words the mapping is taken away.
        self.it.ports = None;
        self.it.world.greeter.stop();
        if let Some(datagrams) = &self.it.world.datagrams {
            datagrams.stop();
        }
        self.stop_making();
        self.keep();
        self.order.clone().into_iter().for_each(|id| self.settle(id));
    }

    /// Ends what is left, and names it.
    fn end(mut self, until: Instant) -> Vec<String> {
        self.changed = true;
        self.show();
        let running = self.table.values().filter(|entry| !entry.is_at_rest());
        let mut left: Vec<_> = running.map(|entry| format!("torrent {}", entry.kept.name)).collect();
        let Session { world, disk, errands, results, events, .. } = self.it;
        // The last ones to hold these end the announces and the errands.
        drop((world, errands, results));
        match Arc::into_inner(disk) {
            Some(disk) => left.extend(disk.shutdown(until.saturating_duration_since(Instant::now()))),
            None => left.push("disk".to_owned()),
        }
        let _ = events.send(Event::Stopped);
        left
    }
}
