//! The thread of a running torrent: what waits in its inboxes goes to the machine, and all that the machine asks for is
//! performed before the next wait. It never waits for anybody else.

use std::collections::BTreeMap;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::Sender;

use super::announce::web::WebLine;
use super::announce::{AnnounceJob, Announcer};
use super::buffers::Pool;
use super::datagrams::Datagrams;
use super::dht::Dht;
use super::greet::{Call, Greeter};
use super::inbox::{Arrival, Cover, Described, Inbox, Mail, Post, Seat, Seats};
use super::reader::{Pieces, Reader};
use super::threads::Crew;
use super::udp::lan::Lan;
use super::writer::{Outbox, Queue, ReadBlock, Writer, outbox};
use crate::api::TorrentId;
use crate::disk::fault::other;
use crate::disk::storage::{Resumed, Storage};
use crate::limits;
use crate::swarm::event::{Effect, Fetch, Given, Gone, Input, PeerKey, Wish};
use crate::swarm::job::{DiskFault, DiskJob};
use crate::swarm::torrent::Torrent;
use crate::swarm::view::{Source, TorrentView};
use crate::wire::tracker::Asker;

mod link;

/// Inputs handled before their effects are performed: what waits is done in one go, so that a peer's writer and the disk
/// are woken once for all of it.
const AT_ONCE: usize = 32;
/// The time between two views of a torrent in which something happens.
const VIEW: Duration = Duration::from_millis(250);
/// The same while only its rates fall.
const FALLING: Duration = Duration::from_secs(1);
/// The shortest wait, lest a deadline in the past make the thread spin.
const BREATH: Duration = Duration::from_millis(1);

/// What all torrents share.
pub struct World {
    /// All threads but those of the disk.
    pub crew: Crew,
    /// Dials.
    pub greeter: Greeter,
    /// Read buffers.
    pub pool: Pool,
    /// Asks trackers and web seeds.
    pub announcer: Announcer,
    /// Announces to the local network, where that is wished.
    pub lan: Option<Lan>,
    /// The UDP port, where the DHT or uTP is wished for.
    pub datagrams: Option<Datagrams>,
    /// The connections of all torrents together.
    pub seats: Seats,
    /// The port to tell trackers, where the router gives us another one outside than ours; 0 where not.
    pub outside: AtomicU16,
    /// What the session hears.
    pub news: Sender<News>,
}

impl World {
    /// Finds peers without a tracker, where that is wished.
    #[must_use]
    pub fn dht(&self) -> Option<&dyn Dht> {
        self.datagrams.as_ref()?.dht.as_ref().map(|node| node as &dyn Dht)
    }
}

/// What a torrent's thread tells the session.
pub enum News {
    /// What a person may see of it now.
    View(TorrentId, Box<TorrentView>),
    /// A sentence for a person.
    Notice(TorrentId, String),
    /// These are the metadata of a magnet, not judged yet, and the trackers and web seeds that it has.
    Metadata(TorrentId, Box<Given>),
    /// The user has changed its trackers: these are all, by tier.
    Trackers(TorrentId, Vec<Vec<String>>),
    /// Files are in its way, and it stops.
    Occupied(TorrentId, DiskFault),
    /// The check is over.
    Ready(TorrentId),
    /// Everything that is wanted is there.
    Complete(TorrentId),
    /// The thread has ended; the torrent as it left it, or what its thread died of.
    Ended(TorrentId, Result<Box<Torrent>, String>),
}

/// A torrent about to run.
pub struct Runner {
    /// Its name.
    pub id: TorrentId,
    /// The machine.
    pub torrent: Box<Torrent>,
    /// Its files; none while its metadata are still to be fetched.
    pub storage: Option<Storage>,
    /// What its record vouches for.
    pub resumed: Resumed,
    /// Its inboxes.
    pub mail: Mail,
    /// The way into them.
    pub inbox: Inbox,
    /// How it calls itself at trackers.
    pub asker: Asker,
    /// Whether its views carry the detail.
    pub detail: bool,
}

/// Whether a torrent may ask other trackers after this.
pub(super) const fn changes_trackers(input: &Input) -> bool {
    matches!(input, Input::Wish(Wish::AddTracker(_) | Wish::RemoveTracker(_)) | Input::Given(_))
}

/// Seconds since 1970, by the system's clock.
fn unix_now() -> Option<u64> {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok().map(|time| time.as_secs())
}

impl Runner {
    /// Starts its thread.
    ///
    /// # Errors
    /// When the system gives no thread; the torrent is lost then.
    pub fn start(self, world: &Arc<World>) -> io::Result<()> {
        let (id, news) = (self.id, world.news.clone());
        let inner = Arc::clone(world);
        let fault = move |words| drop(news.send(News::Ended(id, Err(words))));
        world.crew.spawn(format!("t{}", id.0), move || Work::new(self, inner).run(), fault)
    }
}

/// A connection as the torrent's thread holds it. Dropping it ends the connection and both its threads.
struct Line {
    outbox: Outbox,
    socket: Arc<TcpStream>,
    /// What reader and writer are started with, until they are.
    start: Option<(Queue, Cover)>,
    _seat: Seat,
}

impl Drop for Line {
    fn drop(&mut self) {
        // Wakes the reader and a writer that waits for room.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

struct Work {
    it: Runner,
    world: Arc<World>,
    read: ReadBlock,
    /// What `read` reads from, and what readers go by, once there is something.
    files: Arc<OnceLock<Storage>>,
    pieces: Pieces,
    lines: BTreeMap<PeerKey, Line>,
    /// The web seeds that are asked.
    web: BTreeMap<PeerKey, WebLine>,
    out: Vec<Effect>,
    /// Lines with something to flush, and lines whose threads are still to be started.
    touched: Vec<PeerKey>,
    newborn: Vec<PeerKey>,
    /// Something happened since the last view.
    changed: bool,
    /// The last view's rates were not zero.
    moving: bool,
    viewed: Option<Instant>,
}

impl Work {
    fn new(it: Runner, world: Arc<World>) -> Self {
        let files = Arc::new(OnceLock::new());
        let from = Arc::clone(&files);
        let read: ReadBlock = Arc::new(move |block, into| match from.get() {
            Some(storage) => Storage::read(storage, block, into),
            None => Err(other("its metadata are not here yet".to_owned())),
        });
        let mut work = Work {
            it,
            world,
            read,
            files,
            pieces: Pieces::default(),
            lines: BTreeMap::new(),
            web: BTreeMap::new(),
            out: Vec::new(),
            touched: Vec::new(),
            newborn: Vec::new(),
            changed: true,
            moving: false,
            viewed: None,
        };
        work.open();
        work
    }

    /// Readers and writers learn of its files, if it has any.
    fn open(&mut self) {
        if let Some(storage) = &self.it.storage {
            let _ = self.files.set(storage.clone());
            if self.it.torrent.is_described() {
                let _ = self.pieces.set(self.it.torrent.pieces());
            }
        }
    }

    fn run(mut self) {
        let Resumed { have, check, totals, note } = std::mem::take(&mut self.it.resumed);
        self.it.torrent.recall_totals(totals);
        self.hear(note);
        self.handle(Input::Start { have, check });
        self.perform();
        while !self.it.torrent.stopped() {
            let now = Instant::now();
            self.show(now);
            let deadline = self.it.torrent.deadline(now).min(self.show_at(now)).max(now + BREATH);
            match self.it.mail.wait(deadline) {
                Ok(Some(post)) => self.take(post),
                Ok(None) => self.handle(Input::Tick),
                Err(_) => break,
            }
            for _ in 1..AT_ONCE {
                match self.it.mail.waiting() {
                    Ok(Some(post)) => self.take(post),
                    _ => break,
                }
            }
            self.perform();
        }
        self.keep_quiet();
        self.lines.clear();
        self.web.clear();
        drop((self.read, self.files));
        if let Some(storage) = self.it.storage {
            storage.close();
        }
        let _ = self.world.news.send(News::Ended(self.it.id, Ok(self.it.torrent)));
    }

    fn tell(&self, news: News) {
        let _ = self.world.news.send(news);
    }

    /// Hands on what was found when its files were looked at.
    fn hear(&self, note: Option<String>) {
        if let Some(note) = note {
            self.tell(News::Notice(self.it.id, note));
        }
    }

    /// It has files from now on.
    fn described(&mut self, described: Described) {
        let Described { config, storage, resumed: Resumed { have, check, totals, note } } = described;
        self.it.torrent.recall_totals(totals);
        self.hear(note);
        self.it.storage = Some(storage);
        self.handle(Input::Described { config: Box::new(config), have, check });
        self.open();
    }

    fn handle(&mut self, input: Input) {
        self.changed = true;
        self.it.torrent.handle(Instant::now(), input, &mut self.out);
    }

    fn take(&mut self, post: Post) {
        match post {
            Post::Detail(on) => (self.it.detail, self.changed) = (on, true),
            Post::Arrived(arrival) => self.arrived(arrival),
            Post::Described(described) => self.described(*described),
            Post::Input(input) => match &input {
                // A late word about a connection that is no more.
                Input::Wire { peer, .. } | Input::Sent { peer, .. } | Input::Unread { peer, .. }
                    if !self.lines.contains_key(peer) && !self.web.contains_key(peer) => {}
                Input::Fetched { peer, .. } if !self.web.contains_key(peer) => {}
                Input::Gone { peer, .. } => {
                    if self.lines.remove(peer).is_some() || self.web.remove(peer).is_some() {
                        self.handle(input);
                    }
                }
                _ if changes_trackers(&input) => {
                    self.handle(input);
                    self.tell(News::Trackers(self.it.id, self.it.torrent.trackers()));
                }
                _ => self.handle(input),
            },
        }
    }

    fn arrived(&mut self, arrival: Arrival) {
        let Arrival { peer, hello, socket, cover, seat } = arrival;
        let (outbox, queue) = outbox();
        let line = Line { outbox, socket: Arc::new(socket), start: Some((queue, cover)), _seat: seat };
        self.lines.insert(peer, line);
        self.newborn.push(peer);
        self.handle(Input::Arrived { peer, hello });
    }

    /// Performs all effects, and those of what comes of performing them.
    fn perform(&mut self) {
        loop {
            self.perform_once();
            let overfull = self.flush();
            for peer in overfull {
                self.lose(peer, Gone::Misbehaved("it does not take what we send".into()));
            }
            for peer in std::mem::take(&mut self.newborn) {
                if let Err(error) = self.start_line(peer) {
                    log::warn!("no thread for a peer: {error}");
                    self.lose(peer, Gone::Full);
                }
            }
            if self.out.is_empty() {
                return;
            }
        }
    }

    fn perform_once(&mut self) {
        let mut jobs: Vec<DiskJob> = Vec::new();
        let mut calls: Vec<Call> = Vec::new();
        let mut failed: Vec<(PeerKey, Gone)> = Vec::new();
        let mut out = std::mem::take(&mut self.out);
        for effect in out.drain(..) {
            match effect {
                Effect::Send { peer, message } => self.line(peer, |outbox| outbox.message(&message)),
                Effect::Upload { peer, block } => self.line(peer, |outbox| outbox.block(block)),
                Effect::Drop { peer, why } => {
                    log::debug!("torrent {}: peer {} dropped: {why}", self.it.id.0, peer.0);
                    self.lines.remove(&peer);
                    self.web.remove(&peer);
                }
                Effect::Fetch { peer, fetch } => failed.extend(self.fetch(peer, fetch).map(|why| (peer, why))),
                Effect::Unfetch { peer } => {
                    if let Some(line) = self.web.get(&peer) {
                        line.give_up();
                    }
                }
                Effect::Dial { addr, manner } => calls.push(Call::new(addr, manner)),
                Effect::Disk(job) => jobs.push(job),
                Effect::Announce { tracker, ask } => {
                    let inbox = self.it.inbox.clone();
                    let late = inbox.clone();
                    let done = Box::new(move |result| inbox.tell(Input::Announced { tracker, result }));
                    let more = Box::new(move |addrs| late.tell(Input::Found { source: Source::Tracker, addrs }));
                    let outside = self.world.outside.load(Ordering::Relaxed);
                    let port = if outside == 0 { self.it.asker.port } else { outside };
                    let asker = Asker { port, ..self.it.asker };
                    self.world.announcer.announce(AnnounceJob { ask, asker, done, more });
                }
                Effect::FetchTorrent { source, url } => self.fetch_torrent(source, &url),
                Effect::LookUp { source, names } => self.look_up(source, names),
                Effect::KeepPrivate => self.keep_private(),
                Effect::AnnounceLan => {
                    if let Some(lan) = &self.world.lan {
                        lan.announce(self.it.asker.info_hash, self.it.asker.port);
                    }
                }
                Effect::Seek { announce } => {
                    if let Some(dht) = self.world.dht() {
                        dht.seek(self.it.asker.info_hash, announce, &self.it.inbox);
                    }
                }
                Effect::Meet(addr) => {
                    if let Some(dht) = self.world.dht() {
                        dht.meet(addr);
                    }
                }
                Effect::Metadata(info) => self.tell_metadata(info),
                Effect::Occupied(fault) => self.tell(News::Occupied(self.it.id, fault)),
                Effect::Notice(text) => self.tell(News::Notice(self.it.id, text)),
                Effect::Complete => {
                    self.it.torrent.set_finished(unix_now());
                    // So that whoever hears of it sees it as well.
                    self.view(Instant::now());
                    self.tell(News::Complete(self.it.id));
                }
                Effect::Ready => {
                    self.view(Instant::now());
                    self.tell(News::Ready(self.it.id));
                }
            }
        }
        // The list keeps its room for the next time.
        self.out = out;
        if let Some(storage) = self.it.storage.as_ref().filter(|_| !jobs.is_empty()) {
            storage.submit(jobs);
        }
        if !calls.is_empty() {
            self.world.greeter.dial(self.it.asker.info_hash, &self.it.inbox, calls);
        }
        for (peer, why) in failed {
            self.web.remove(&peer);
            self.handle(Input::Gone { peer, why });
        }
    }

    /// Neither the DHT nor the local network is told of the torrent any more, nor its peers of our node.
    fn keep_quiet(&self) {
        self.it.inbox.offer_dht(false);
        let torrent = self.it.asker.info_hash;
        self.world.dht().iter().for_each(|dht| dht.forget(torrent));
        self.world.lan.iter().for_each(|lan| lan.forget(torrent));
    }

    /// Asks a web seed, whose thread begins with its first fetch; says why that cannot be.
    fn fetch(&mut self, peer: PeerKey, fetch: Fetch) -> Option<Gone> {
        let taken = match self.web.get_mut(&peer) {
            Some(line) => Ok(line.fetch(fetch)),
            None => self.web_line(peer).map(|mut line| {
                let taken = line.fetch(fetch);
                self.web.insert(peer, line);
                taken
            }),
        };
        match taken {
            Ok(true) => None,
            Ok(false) => Some(Gone::Full),
            Err(why) => Some(why),
        }
    }

    fn web_line(&self, peer: PeerKey) -> Result<WebLine, Gone> {
        let seat = self.world.seats.take().ok_or(Gone::Full)?;
        let name = format!("t{}.web{}", self.it.id.0, peer.0 & 0xffff);
        let ways = (self.it.inbox.clone(), self.world.pool.clone(), seat);
        self.world.announcer.web_line(name, peer, ways).map_err(|error| {
            log::warn!("no thread for a web seed: {error}");
            Gone::Full
        })
    }

    fn line(&mut self, peer: PeerKey, put: impl FnOnce(&mut Outbox)) {
        if let Some(line) = self.lines.get_mut(&peer) {
            if line.outbox.is_empty() {
                self.touched.push(peer);
            }
            put(&mut line.outbox);
        }
    }

    /// Hands to the writers what was put together for them; returns the peers that take too little.
    fn flush(&mut self) -> Vec<PeerKey> {
        let mut overfull = Vec::new();
        for peer in self.touched.drain(..) {
            if let Some(line) = self.lines.get_mut(&peer) {
                line.outbox.flush();
                if line.outbox.waiting() > limits::SEND_QUEUE {
                    overfull.push(peer);
                }
            }
        }
        overfull
    }

    fn lose(&mut self, peer: PeerKey, why: Gone) {
        if self.lines.remove(&peer).is_some() {
            self.handle(Input::Gone { peer, why });
        }
    }

    /// Starts both threads of a connection that the torrent has kept.
    fn start_line(&mut self, peer: PeerKey) -> io::Result<()> {
        let Some(line) = self.lines.get_mut(&peer) else { return Ok(()) };
        let Some((queue, cover)) = line.start.take() else { return Ok(()) };
        let (receive, send) = cover.ciphers.map(|it| (it.receive, it.send)).unzip();
        let (inbox, pool) = (self.it.inbox.clone(), self.world.pool.clone());
        let reader = Reader {
            peer,
            socket: Arc::clone(&line.socket),
            early: cover.early,
            cipher: receive,
            pieces: Arc::clone(&self.pieces),
            inbox: inbox.clone(),
            pool: pool.clone(),
        };
        let socket = Arc::clone(&line.socket);
        let read = Arc::clone(&self.read);
        let writer = Writer { peer, socket, queue, inbox, read, pool, cipher: send };
        let name = |what| format!("t{}.p{}.{what}", self.it.id.0, peer.0);
        let fault = || {
            let inbox = self.it.inbox.clone();
            move |words| inbox.tell(Input::Gone { peer, why: Gone::Network(format!("a fault of ours: {words}")) })
        };
        self.world.crew.spawn(name('w'), move || writer.run(), fault())?;
        self.world.crew.spawn(name('r'), move || reader.run(), fault())
    }

    /// When the next view is due, if nothing else happens.
    fn show_at(&self, now: Instant) -> Instant {
        let Some(viewed) = self.viewed else { return now };
        match (self.changed, self.moving) {
            (true, _) => viewed + VIEW,
            (false, true) => viewed + FALLING,
            (false, false) => now + Duration::from_secs(3600),
        }
    }

    fn show(&mut self, now: Instant) {
        if self.show_at(now) <= now {
            self.view(now);
        }
    }

    fn view(&mut self, now: Instant) {
        let view = self.it.torrent.view(now, self.it.detail);
        self.moving = view.down > 0 || view.up > 0;
        self.changed = false;
        self.viewed = Some(now);
        self.tell(News::View(self.it.id, Box::new(view)));
    }
}
