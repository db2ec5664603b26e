//! The thread of a running torrent: passes queued messages to the state machine and executes the resulting effects.
//! While running, the thread blocks only on its message queues.

use std::collections::BTreeMap;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::announce::job::AnnounceJob;
use super::announce::web_seed::WebSeedHandle;
use super::connector::DialRequest;
use super::context::EngineContext;
use super::inbox::{
    ConnectedPeer, ConnectionPermit, HandshakeRemainder, MetadataLoaded, TorrentHandle, TorrentInbox, TorrentMessage,
};
use super::reader::{Pieces, Reader};
use super::torrent_event::TorrentEvent;
use super::writer::{ReadBlock, SendQueue, SendQueueReceiver, Writer, outbox};
use crate::api::TorrentId;
use crate::clock::unix_seconds;
use crate::disk::error::other;
use crate::disk::storage::{Resumed, Storage};
use crate::limits;
use crate::swarm::event::{DisconnectReason, Effect, Input, PeerKey, TorrentCommand, WebSeedFetch};
use crate::swarm::job::DiskJob;
use crate::swarm::torrent::Torrent;
use crate::swarm::view::Source;
use crate::wire::tracker::{AnnounceIdentity, public_url};

mod link;
mod trace;

/// Maximum number of messages handled before their effects are executed. Batching wakes a peer's writer and the disk
/// threads once for all of them.
const AT_ONCE: usize = 32;
/// Minimum interval between two views.
const VIEW: Duration = Duration::from_millis(250);
/// Interval between two views while nothing happens and the transfer rates decay.
const FALLING: Duration = Duration::from_secs(1);
/// Minimum wait, so that a deadline in the past does not make the thread spin.
const BREATH: Duration = Duration::from_millis(1);

/// A torrent about to run.
pub(crate) struct Runner {
    pub id: TorrentId,
    /// The state machine.
    pub torrent: Box<Torrent>,
    /// The files; `None` for a magnet link without metadata.
    pub storage: Option<Storage>,
    /// The resume data.
    pub resumed: Resumed,
    /// The receiving side of the message queues.
    pub mail: TorrentInbox,
    /// The sending side of the message queues.
    pub inbox: TorrentHandle,
    /// The identity in tracker announces.
    pub asker: AnnounceIdentity,
    /// Whether views carry details.
    pub detail: bool,
}

/// Returns `true` if the input can change the torrent's trackers.
pub(super) const fn changes_trackers(input: &Input) -> bool {
    matches!(
        input,
        Input::Command(TorrentCommand::AddTracker(_) | TorrentCommand::RemoveTracker(_)) | Input::MetadataProvided(_)
    )
}

impl Runner {
    /// Starts the torrent thread.
    ///
    /// # Errors
    /// Fails if the system cannot create a thread; the torrent is dropped then.
    pub(crate) fn start(self, world: &Arc<EngineContext>) -> io::Result<()> {
        let (id, news) = (self.id, world.news.clone());
        let inner = Arc::clone(world);
        let fault = move |words| drop(news.send(TorrentEvent::Ended(id, Err(words))));
        world.crew.spawn(format!("t{}", id.0), move || TorrentThread::new(self, inner).run(), fault)
    }
}

/// A connection as held by the torrent thread. Dropping it ends the connection and both of its threads.
struct PeerConnection {
    outbox: SendQueue,
    socket: Arc<TcpStream>,
    /// What the reader and writer threads are started with.
    start: Option<(SendQueueReceiver, HandshakeRemainder, tracing::Span)>,
    _seat: ConnectionPermit,
}

impl Drop for PeerConnection {
    fn drop(&mut self) {
        // Unblocks the reader, and the writer if the send buffer is full.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

struct TorrentThread {
    it: Runner,
    world: Arc<EngineContext>,
    read: ReadBlock,
    /// The files that `read` reads from; empty until the metadata is known.
    files: Arc<OnceLock<Storage>>,
    pieces: Pieces,
    connections: BTreeMap<PeerKey, PeerConnection>,
    /// Connections to web seeds.
    web: BTreeMap<PeerKey, WebSeedHandle>,
    out: Vec<Effect>,
    /// Connections with queued data to flush, and connections whose threads must be started.
    touched: Vec<PeerKey>,
    unstarted: Vec<PeerKey>,
    /// There was an input since the last view.
    changed: bool,
    /// The last view had a non-zero transfer rate.
    moving: bool,
    viewed: Option<Instant>,
}

impl TorrentThread {
    fn new(it: Runner, world: Arc<EngineContext>) -> Self {
        let files = Arc::new(OnceLock::new());
        let from = Arc::clone(&files);
        let read: ReadBlock = Arc::new(move |block, into| match from.get() {
            Some(storage) => Storage::read(storage, block, into),
            None => Err(other("its metadata are not here yet".to_owned())),
        });
        let mut work = TorrentThread {
            it,
            world,
            read,
            files,
            pieces: Pieces::default(),
            connections: BTreeMap::new(),
            web: BTreeMap::new(),
            out: Vec::new(),
            touched: Vec::new(),
            unstarted: Vec::new(),
            changed: true,
            moving: false,
            viewed: None,
        };
        work.open();
        work
    }

    /// Makes the files and the number of pieces available to the reader and writer threads.
    fn open(&mut self) {
        if let Some(storage) = &self.it.storage {
            let _ = self.files.set(storage.clone());
            if self.it.torrent.has_metadata() {
                let _ = self.pieces.set(self.it.torrent.pieces());
            }
        }
    }

    fn run(mut self) {
        let _span = trace::torrent_span(self.it.id, self.it.asker.info_hash).entered();
        let Resumed { have, check, totals, note } = std::mem::take(&mut self.it.resumed);
        self.it.torrent.recall_totals(totals);
        self.forward_note(note);
        self.handle(Input::Start { have, check });
        self.execute();
        while !self.it.torrent.stopped() {
            let now = Instant::now();
            self.show(now);
            let deadline = self.it.torrent.deadline(now).min(self.show_at(now)).max(now + BREATH);
            match self.it.mail.recv_deadline(deadline) {
                Ok(Some(post)) => self.on_torrent_message(post),
                Ok(None) => self.handle(Input::Tick),
                Err(_) => break,
            }
            for _ in 1..AT_ONCE {
                match self.it.mail.try_recv() {
                    Ok(Some(post)) => self.on_torrent_message(post),
                    _ => break,
                }
            }
            self.execute();
        }
        self.stop_public_discovery();
        self.connections.clear();
        self.web.clear();
        drop((self.read, self.files));
        if let Some(storage) = self.it.storage {
            storage.close();
        }
        let _ = self.world.news.send(TorrentEvent::Ended(self.it.id, Ok(self.it.torrent)));
    }

    fn send_event(&self, news: TorrentEvent) {
        let _ = self.world.news.send(news);
    }

    /// Forwards the notice about the resume data to the session.
    fn forward_note(&self, note: Option<String>) {
        if let Some(note) = note {
            self.send_event(TorrentEvent::Notice(self.it.id, note));
        }
    }

    /// Turns a magnet link into a torrent with files.
    fn described(&mut self, described: MetadataLoaded) {
        let MetadataLoaded { config, storage, resumed: Resumed { have, check, totals, note } } = described;
        self.it.torrent.recall_totals(totals);
        self.forward_note(note);
        self.it.storage = Some(storage);
        self.handle(Input::MetadataLoaded { config: Box::new(config), have, check });
        self.open();
    }

    fn handle(&mut self, input: Input) {
        self.changed = true;
        trace::log_input(&input);
        self.it.torrent.handle(Instant::now(), input, &mut self.out);
    }

    fn on_torrent_message(&mut self, post: TorrentMessage) {
        match post {
            TorrentMessage::Detail(on) => (self.it.detail, self.changed) = (on, true),
            TorrentMessage::Connected(arrival) => self.on_connected(arrival),
            TorrentMessage::MetadataLoaded(described) => self.described(*described),
            TorrentMessage::Input(input) => match &input {
                // Late input of a connection that is already closed.
                Input::Messages { peer, .. } | Input::BytesSent { peer, .. } | Input::ReadFailed { peer, .. }
                    if !self.connections.contains_key(peer) && !self.web.contains_key(peer) => {}
                Input::WebFetchDone { peer, .. } if !self.web.contains_key(peer) => {}
                Input::PeerDisconnected { peer, .. } => {
                    if self.connections.remove(peer).is_some() || self.web.remove(peer).is_some() {
                        self.handle(input);
                    }
                }
                _ if changes_trackers(&input) => {
                    self.handle(input);
                    self.send_event(TorrentEvent::Trackers(self.it.id, self.it.torrent.trackers()));
                }
                _ => self.handle(input),
            },
        }
    }

    fn on_connected(&mut self, arrival: ConnectedPeer) {
        let ConnectedPeer { peer, hello, socket, cover, seat } = arrival;
        let (outbox, queue) = outbox();
        let line = PeerConnection {
            outbox,
            socket: Arc::new(socket),
            start: Some((queue, cover, trace::peer_span(&hello))),
            _seat: seat,
        };
        self.connections.insert(peer, line);
        self.unstarted.push(peer);
        self.handle(Input::PeerConnected { peer, hello });
    }

    /// Executes all queued effects, including those that result from executing them.
    fn execute(&mut self) {
        loop {
            self.perform_once();
            let overfull = self.flush();
            for peer in overfull {
                self.close_peer(peer, DisconnectReason::ProtocolViolation("peer does not read what we send".into()));
            }
            for peer in std::mem::take(&mut self.unstarted) {
                if let Err(error) = self.start_line(peer) {
                    tracing::warn!("no thread for a peer: {error}");
                    self.close_peer(peer, DisconnectReason::TooManyConnections);
                }
            }
            if self.out.is_empty() {
                return;
            }
        }
    }

    fn perform_once(&mut self) {
        let mut jobs: Vec<DiskJob> = Vec::new();
        let mut calls: Vec<DialRequest> = Vec::new();
        let mut failed: Vec<(PeerKey, DisconnectReason)> = Vec::new();
        let mut out = std::mem::take(&mut self.out);
        for effect in out.drain(..) {
            match effect {
                Effect::Send { peer, message } => self.line(peer, |outbox| outbox.message(&message)),
                Effect::SendBlock { peer, block } => self.line(peer, |outbox| outbox.block(block)),
                Effect::Disconnect { peer, why } => {
                    tracing::debug!(peer = peer.0, "disconnecting: {why}");
                    self.connections.remove(&peer);
                    self.web.remove(&peer);
                }
                Effect::WebFetch { peer, fetch } => failed.extend(self.fetch(peer, fetch).map(|why| (peer, why))),
                Effect::CancelWebFetch { peer } => {
                    if let Some(line) = self.web.get(&peer) {
                        line.give_up();
                    }
                }
                Effect::Dial { addr, manner } => calls.push(DialRequest::new(addr, manner)),
                Effect::Disk(job) => jobs.push(job),
                Effect::Announce { tracker, ask } => {
                    tracing::debug!(tracker, url = public_url(&ask.url), "announcing");
                    let inbox = self.it.inbox.clone();
                    let late = inbox.clone();
                    let done = Box::new(move |result| inbox.send(Input::AnnounceDone { tracker, result }));
                    let more = Box::new(move |addrs| late.send(Input::PeersFound { source: Source::Tracker, addrs }));
                    let outside = self.world.outside.load(Ordering::Relaxed);
                    let port = if outside == 0 { self.it.asker.port } else { outside };
                    let asker = AnnounceIdentity { port, ..self.it.asker };
                    self.world.announcer.announce(AnnounceJob { ask, identity: asker, done, more });
                }
                Effect::FetchTorrent { source, url } => self.fetch_torrent(source, &url),
                Effect::ResolveHosts { source, names } => self.look_up(source, names),
                Effect::StopPublicDiscovery => self.keep_private(),
                Effect::AnnounceLsd => {
                    if let Some(lan) = &self.world.lan {
                        lan.announce(self.it.asker.info_hash, self.it.asker.port);
                    }
                }
                Effect::DhtGetPeers { announce } => {
                    if let Some(dht) = self.world.dht() {
                        dht.seek(self.it.asker.info_hash, announce, &self.it.inbox);
                    }
                }
                Effect::DhtPing(addr) => {
                    if let Some(dht) = self.world.dht() {
                        dht.meet(addr);
                    }
                }
                Effect::MetadataComplete(info) => self.tell_metadata(info),
                Effect::Occupied(fault) => self.send_event(TorrentEvent::Occupied(self.it.id, fault)),
                Effect::Notice(text) => self.send_event(TorrentEvent::Notice(self.it.id, text)),
                Effect::Complete => {
                    self.it.torrent.set_finished(unix_seconds());
                    // The view is sent first, so that the snapshot shows the completion when the event arrives.
                    self.view(Instant::now());
                    self.send_event(TorrentEvent::Complete(self.it.id));
                }
                Effect::CheckDone => {
                    self.view(Instant::now());
                    self.send_event(TorrentEvent::Ready(self.it.id));
                }
            }
        }
        // Reuses the allocation.
        self.out = out;
        if let Some(storage) = self.it.storage.as_ref().filter(|_| !jobs.is_empty()) {
            storage.submit(jobs);
        }
        if !calls.is_empty() {
            self.world.greeter.dial(self.it.asker.info_hash, &self.it.inbox, calls);
        }
        for (peer, why) in failed {
            self.web.remove(&peer);
            self.handle(Input::PeerDisconnected { peer, why });
        }
    }

    /// Stops DHT lookups, LSD announces and the offer of our DHT node to peers.
    fn stop_public_discovery(&self) {
        self.it.inbox.offer_dht(false);
        let torrent = self.it.asker.info_hash;
        self.world.dht().iter().for_each(|dht| dht.forget(torrent));
        self.world.lan.iter().for_each(|lan| lan.forget(torrent));
    }

    /// Sends a request to a web seed and starts its thread on first use. Returns why that failed.
    fn fetch(&mut self, peer: PeerKey, fetch: WebSeedFetch) -> Option<DisconnectReason> {
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
            Ok(false) => Some(DisconnectReason::TooManyConnections),
            Err(why) => Some(why),
        }
    }

    fn web_line(&self, peer: PeerKey) -> Result<WebSeedHandle, DisconnectReason> {
        let seat = self.world.seats.take().ok_or(DisconnectReason::TooManyConnections)?;
        let name = format!("t{}.web{}", self.it.id.0, peer.0 & 0xffff);
        let ways = (self.it.inbox.clone(), self.world.pool.clone(), seat);
        self.world.announcer.start_web_seed(name, peer, ways).map_err(|error| {
            tracing::warn!("no thread for a web seed: {error}");
            DisconnectReason::TooManyConnections
        })
    }

    fn line(&mut self, peer: PeerKey, put: impl FnOnce(&mut SendQueue)) {
        if let Some(line) = self.connections.get_mut(&peer) {
            if line.outbox.is_empty() {
                self.touched.push(peer);
            }
            put(&mut line.outbox);
        }
    }

    /// Passes collected items to the writers. Returns the peers whose send queue exceeds its limit.
    fn flush(&mut self) -> Vec<PeerKey> {
        let mut overfull = Vec::new();
        for peer in self.touched.drain(..) {
            if let Some(line) = self.connections.get_mut(&peer) {
                line.outbox.flush();
                if line.outbox.waiting() > limits::SEND_QUEUE {
                    overfull.push(peer);
                }
            }
        }
        overfull
    }

    fn close_peer(&mut self, peer: PeerKey, why: DisconnectReason) {
        if self.connections.remove(&peer).is_some() {
            self.handle(Input::PeerDisconnected { peer, why });
        }
    }

    /// Starts the reader and writer threads of a connection unless the torrent has closed it.
    fn start_line(&mut self, peer: PeerKey) -> io::Result<()> {
        let Some(line) = self.connections.get_mut(&peer) else { return Ok(()) };
        let Some((queue, cover, span)) = line.start.take() else { return Ok(()) };
        let _span = span.entered();
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
            move |words| {
                inbox.send(Input::PeerDisconnected {
                    peer,
                    why: DisconnectReason::Network(format!("a fault of ours: {words}")),
                });
            }
        };
        self.world.crew.spawn(name('w'), move || writer.run(), fault())?;
        self.world.crew.spawn(name('r'), move || reader.run(), fault())
    }

    /// Returns when the next view is due.
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
        self.send_event(TorrentEvent::View(self.it.id, Box::new(view)));
    }
}
