//! The session: all torrents of an engine, what the user wants of each, and the snapshot that people see.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, select};

use super::add::{Defaults, Errands, Plan};
use super::greet::Routes;
use super::inbox::{Inbox, Mail, Post};
use super::keep::{Keep, Kept};
use super::runner::{News, World};
use super::share::shares;
use crate::api::{AddTorrent, Command, Event, Snapshot, TorrentId};
use crate::disk::pool::DiskPool;
use crate::disk::storage::{Resumed, Storage};
use crate::limits;
use crate::swarm::event::{Input, Quota};
use crate::swarm::job::DiskFault;
use crate::swarm::view::{Source, State};

use lives::{Entry, Goal, Life};

mod lives;

/// The time between two snapshots.
const SNAPSHOT: Duration = Duration::from_millis(250);
/// The shortest time between two snapshots that events wait for: hundreds of torrents may be ready at once.
const TELL: Duration = Duration::from_millis(20);
/// The time between two looks at how the global limits are used.
const SHARES: Duration = Duration::from_secs(1);
/// A change of the disk's load, in percent, that torrents are told of.
const BUSIER: u8 = 10;
/// The shortest time between two divisions of what all have together: while hundreds start, each of them changes it.
const RESHARE: Duration = Duration::from_millis(100);
/// The time between two looks at the free space.
const SPACE: Duration = Duration::from_secs(5);
/// Events that wait unheard before snapshots are held back.
const UNHEARD: usize = 8;
/// What is left of the time to stop for what comes after the torrents.
const RESERVE: Duration = Duration::from_millis(700);

/// What reaches the session's thread from outside.
pub enum Order {
    /// A wish of the user.
    Command(Command),
    /// Everything is to stop by then.
    Quit(Instant),
}

/// What errands come back with.
pub enum Errand {
    /// A torrent was read.
    Planned(AddTorrent, Result<Box<Plan>, String>),
    /// Its files were looked at.
    Opened(TorrentId, Mail, Inbox, Result<(Storage, Resumed), DiskFault>),
    /// Its files are deleted, or not.
    Deleted(TorrentId, Result<(), DiskFault>),
}

/// The session, to be run on its thread.
pub struct Session {
    /// What all torrents share.
    pub world: Arc<World>,
    /// Callers find their torrents here.
    pub routes: Routes,
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
    /// Limits of all torrents together, bytes a second.
    pub limits: (Option<u64>, Option<u64>),
}

/// What the session's thread keeps between two looks.
pub struct Desk {
    it: Session,
    table: BTreeMap<TorrentId, Entry>,
    next: u32,
    /// Torrents of the last session that are not up again: still being read, or unreadable at present. They stay in the
    /// list all the same.
    restoring: BTreeMap<String, Kept>,
    focus: Option<TorrentId>,
    began: Instant,
    changed: bool,
    sent: Option<Instant>,
    shared: Instant,
    /// What all have together is to be divided anew, whatever the clock says.
    reshare: bool,
    /// Events that are told after the snapshot that shows them.
    untold: Vec<Event>,
    /// Torrents that share the budget of unwritten bytes.
    sharers: usize,
    /// How busy the disk was, in percent, when the torrents were told of it.
    disk_busy: u8,
    space: (Option<Instant>, Option<u64>),
    quit: Option<Instant>,
}

impl Desk {
    /// A session without torrents.
    #[must_use]
    pub fn new(it: Session) -> Self {
        let now = Instant::now();
        Desk {
            it,
            table: BTreeMap::new(),
            next: 1,
            restoring: BTreeMap::new(),
            focus: None,
            began: now,
            changed: true,
            sent: None,
            shared: now,
            reshare: true,
            untold: Vec::new(),
            sharers: 0,
            disk_busy: 0,
            space: (None, None),
            quit: None,
        }
    }

    /// Works until told to quit and all torrents have stopped, or their time is up. Returns what did not stop.
    #[must_use]
    pub fn run(mut self) -> Vec<String> {
        if let Some((adds, notes)) = self.it.keep.as_ref().map(Keep::load) {
            notes.into_iter().for_each(|note| self.notice(None, note));
            // All are noted first: whatever is written down meanwhile has all of them in it.
            self.restoring = adds.iter().map(|(add, kept)| (add.what.clone(), kept.clone())).collect();
            adds.into_iter().for_each(|(add, _)| self.add(add));
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
            while let Ok(news) = self.it.news.try_recv() {
                self.hear(news);
            }
            let now = Instant::now();
            self.share(now);
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
        let snapshot = self.next_snapshot().map_or(far, |wait| self.sent.map_or(now, |at| at + wait));
        let shares = match (self.reshare, self.it.limits) {
            (true, _) => self.shared + RESHARE,
            (false, (None, None)) => far,
            (false, _) => self.shared + SHARES,
        };
        let quit = self.quit.map_or(far, |until| until - RESERVE);
        snapshot.min(shares).min(quit)
    }

    fn at_rest(&self) -> bool {
        self.table.values().all(|entry| matches!(entry.life, Life::Paused(_)))
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
            Command::Remove { id, data } => self.wished(id, Goal::Remove { data }),
            Command::Wish(id, wish) => self.input(id, Input::Wish(wish)),
            Command::AddPeers(id, addrs) => self.input(id, Input::Found { source: Source::Manual, addrs }),
            Command::Limits { down, up } => {
                self.it.limits = (down, up);
                self.reshare = true;
            }
            Command::Focus(id) => self.focus(id),
            Command::Inspect(_)
            | Command::Queue(..)
            | Command::Rank(..)
            | Command::Move { .. }
            | Command::Export { .. }
            | Command::Open(_)
            | Command::Configure(_) => (),
        }
    }

    /// Aims at what the user wants, and writes it down. What the engine aims at by itself, at its end for one, is not
    /// what the next session is to find.
    fn wished(&mut self, id: TorrentId, goal: Goal) {
        self.aim(id, goal);
        self.keep();
    }

    fn event(&self, event: Event) {
        let _ = self.it.events.send(event);
    }

    fn notice(&self, id: Option<TorrentId>, text: String) {
        self.event(Event::Notice { id, text });
    }

    /// Hands an input to a torrent, whether it runs or not.
    fn input(&mut self, id: TorrentId, input: Input) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        match &mut entry.life {
            Life::Running(inbox) => inbox.tell(input),
            Life::Paused(torrent) | Life::Opening(torrent) => {
                // What it would do about it can only be done by one that runs.
                torrent.handle(Instant::now(), input, &mut Vec::new());
                self.settle(id);
            }
            Life::Stopping | Life::Deleting => (),
        }
    }

    fn focus(&mut self, focus: Option<TorrentId>) {
        let old = std::mem::replace(&mut self.focus, focus);
        if old == focus {
            return;
        }
        for (id, on) in [(old, false), (focus, true)] {
            let Some((id, entry)) = id.and_then(|id| Some((id, self.table.get_mut(&id)?))) else { continue };
            match &entry.life {
                Life::Running(inbox) => drop(inbox.post(Post::Detail(on))),
                _ => self.settle(id),
            }
            if !on && let Some(entry) = self.table.get_mut(&id) {
                entry.view.detail = None;
            }
        }
    }

    fn hear(&mut self, news: News) {
        self.changed = true;
        match news {
            News::View(id, mut view) => {
                if self.focus != Some(id) {
                    view.detail = None;
                }
                if let Some(entry) = self.table.get_mut(&id)
                    && !matches!(entry.life, Life::Paused(_))
                {
                    entry.view = *view;
                }
            }
            News::Notice(id, text) => self.notice(Some(id), text),
            News::Ready(id) => self.untold.push(Event::Ready(id)),
            News::Complete(id) => self.untold.push(Event::Complete(id)),
            News::Ended(id, end) => self.ended(id, end),
        }
    }

    /// Splits what all torrents have together among those that run: the limits, and the bytes asked for and unwritten.
    fn share(&mut self, now: Instant) {
        let fetching =
            |entry: &&Entry| matches!(entry.life, Life::Running(_)) && entry.view.state == State::Downloading;
        let sharers = self.table.values().filter(fetching).count();
        self.reshare |= sharers != self.sharers;
        let late = now >= self.shared + SHARES;
        let disk_busy = (self.it.disk.busy() * 100.0).round() as u8;
        let busier = late && disk_busy.abs_diff(self.disk_busy) >= BUSIER;
        let due = late && self.it.limits != (None, None);
        if !(due || busier || self.reshare && now >= self.shared + RESHARE) {
            return;
        }
        (self.shared, self.sharers, self.disk_busy, self.reshare) = (now, sharers, disk_busy, false);
        let budget = budget(sharers);
        let running = || {
            self.table.values().filter_map(|entry| match &entry.life {
                Life::Running(inbox) => Some((inbox, &entry.view)),
                _ => None,
            })
        };
        let down = shares(self.it.limits.0, &running().map(|(_, view)| view.down).collect::<Vec<_>>());
        let up = shares(self.it.limits.1, &running().map(|(_, view)| view.up).collect::<Vec<_>>());
        for (((inbox, view), down), up) in running().zip(down).zip(up) {
            inbox.tell(Input::Quota(Quota { down, up, budget, rank: view.rank, disk_busy }));
        }
    }

    /// The share of one more torrent if all had the same.
    fn even_share(&self, id: TorrentId) -> Input {
        let running = self.table.values().filter(|entry| matches!(entry.life, Life::Running(_))).count() as u64 + 1;
        let even = |limit: Option<u64>| limit.map(|limit| (limit / running).max(1));
        let (down, up) = self.it.limits;
        Input::Quota(Quota {
            down: even(down),
            up: even(up),
            budget: budget(self.sharers + 1),
            rank: self.table.get(&id).map_or_else(Default::default, |entry| entry.view.rank),
            disk_busy: self.disk_busy,
        })
    }

    /// How long after the last snapshot there is to be one, if there is anything to be seen.
    fn next_snapshot(&self) -> Option<Duration> {
        let waiting = !self.untold.is_empty();
        (waiting || self.changed).then_some(if waiting { TELL } else { SNAPSHOT })
    }

    fn snapshot(&mut self, now: Instant) {
        let due = self.next_snapshot().is_some_and(|wait| self.sent.is_none_or(|at| now >= at + wait));
        if due && (!self.untold.is_empty() || self.it.events.len() < UNHEARD) {
            self.show();
        } else if due {
            // Nobody listens at the moment; the next one will do.
            self.sent = Some(now);
        }
    }

    fn show(&mut self) {
        let now = Instant::now();
        if self.space.0.is_none_or(|at| now >= at + SPACE) {
            self.space = (Some(now), free(&self.it.defaults.dir));
        }
        let torrents: Vec<_> = self.table.iter().map(|(&id, entry)| (id, entry.view.clone())).collect();
        let snapshot = Snapshot {
            uptime: now.duration_since(self.began),
            focus: self.focus,
            down: torrents.iter().map(|(_, view)| view.down).sum(),
            up: torrents.iter().map(|(_, view)| view.up).sum(),
            limits: self.it.limits,
            port: self.it.defaults.port,
            port_state: self.it.port_state.clone(),
            free: self.space.1,
            disk_busy: self.it.disk.busy(),
            connections: (0, 0),
            max_active: None,
            folder: String::new(),
            config_file: String::new(),
            log: Vec::new(),
            torrents,
        };
        self.event(Event::Snapshot(Arc::new(snapshot)));
        std::mem::take(&mut self.untold).into_iter().for_each(|event| self.event(event));
        (self.changed, self.sent) = (false, Some(now));
    }

    fn quit(&mut self, until: Instant) {
        if self.quit.is_some() {
            return;
        }
        self.quit = Some(until);
        self.it.world.greeter.stop();
        let all: Vec<_> = self.table.keys().copied().collect();
        for id in all {
            self.aim(id, Goal::Pause);
        }
    }

    /// Ends what is left, and names it.
    fn end(mut self, until: Instant) -> Vec<String> {
        self.changed = true;
        self.show();
        let running = self.table.values().filter(|entry| !matches!(entry.life, Life::Paused(_)));
        let mut left: Vec<_> = running.map(|entry| format!("torrent {}", entry.plan.config.name)).collect();
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

/// Bytes that each of so many downloads may have asked for and not yet written.
fn budget(sharers: usize) -> u64 {
    (limits::BUDGET / sharers.max(1) as u64).max(limits::BUDGET_LEAST)
}

/// Free bytes where a folder is or will be.
#[cfg(unix)]
fn free(dir: &std::path::Path) -> Option<u64> {
    let there = dir.ancestors().find(|folder| folder.exists())?;
    let stat = rustix::fs::statvfs(there).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Free bytes where a folder is or will be: not told on this system.
#[cfg(not(unix))]
const fn free(_: &std::path::Path) -> Option<u64> {
    None
}
