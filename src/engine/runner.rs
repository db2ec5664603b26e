//! A running torrent, as the scheduler runs it: passes queued messages to the state machine and executes the resulting
//! effects. Never blocks: whatever may take time is handed to another thread, which answers with a message.

use std::collections::BTreeMap;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::announce::web_seed::WebSeedHandle;
use super::context::EngineContext;
use super::inbox::{
    ConnectedPeer, ConnectionPermit, HandshakeRemainder, MetadataLoaded, TorrentHandle, TorrentInbox, TorrentMessage,
};
use super::reader::Pieces;
use super::scheduler::{Machine, Turn};
use super::torrent_event::TorrentEvent;
use super::writer::{ReadBlock, SendQueue, SendQueueReceiver, outbox};
use crate::api::TorrentId;
use crate::disk::error::other;
use crate::disk::storage::{Resumed, Storage};
use crate::limits;
use crate::swarm::event::{Effect, Input, PeerKey, TorrentCommand};
use crate::swarm::torrent::Torrent;
use crate::wire::tracker::AnnounceIdentity;

mod link;
mod perform;
mod trace;

/// Maximum number of messages handled before their effects are executed. Batching wakes a peer's writer and the disk
/// threads once for all of them.
const AT_ONCE: usize = 32;
/// Minimum interval between two views.
const VIEW: Duration = Duration::from_millis(250);
/// Interval between two views while nothing happens and the transfer rates decay.
const FALLING: Duration = Duration::from_secs(1);
/// Minimum wait, so that a deadline in the past does not make a worker spin.
const BREATH: Duration = Duration::from_millis(1);

/// Returns the function that reads blocks from these files, once they are known.
fn read_from(files: &Arc<OnceLock<Storage>>) -> ReadBlock {
    let from = Arc::clone(files);
    Arc::new(move |block, into| match from.get() {
        Some(storage) => Storage::read(storage, block, into),
        None => Err(other("its metadata are not here yet".to_owned())),
    })
}

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
    /// Puts the torrent into the scheduler, which gives it its first turn soon.
    pub(crate) fn start(self, world: &Arc<EngineContext>) {
        let (id, news) = (self.id, world.news.clone());
        let fault = move |words| drop(news.send(TorrentEvent::Ended(id, Err(words))));
        let task = self.inbox.task().clone();
        world.scheduler.run(&task, TorrentMachine::new(self, Arc::clone(world)), fault);
    }
}

/// A connection as held by the torrent. Dropping it ends the connection and both of its threads.
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

/// Where a running torrent is between its first and its last turn.
enum Stage {
    New,
    Running,
    /// The state machine has stopped. The disk threads are closing the files, which is waited for until the time.
    Closing {
        storage: Storage,
        closed: Arc<AtomicBool>,
        until: Instant,
    },
    Ended,
}

/// A running torrent: the state machine, its connections and files.
struct TorrentMachine {
    it: Runner,
    world: Arc<EngineContext>,
    span: tracing::Span,
    stage: Stage,
    /// When the state machine wants a tick or the next view is due.
    due: Instant,
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

impl Machine for TorrentMachine {
    fn turn(&mut self) -> Turn {
        let _span = self.span.clone().entered();
        let more = match &self.stage {
            Stage::New => self.begin(),
            Stage::Running => self.handle_mail(),
            Stage::Closing { .. } | Stage::Ended => return self.await_close(),
        };
        self.execute();
        if self.it.torrent.stopped() {
            self.close();
            return self.await_close();
        }
        let now = Instant::now();
        self.show(now);
        self.due = self.it.torrent.deadline(now).min(self.show_at(now)).max(now + BREATH);
        if more { Turn::Again } else { Turn::Until(self.due) }
    }

    fn end(self: Box<Self>) {
        let TorrentMachine { it: Runner { id, torrent, mail, .. }, world, .. } = *self;
        // Frees readers that wait for a place in the queue.
        drop(mail);
        let _ = world.news.send(TorrentEvent::Ended(id, Ok(torrent)));
    }
}

impl TorrentMachine {
    fn new(it: Runner, world: Arc<EngineContext>) -> Self {
        let files = Arc::new(OnceLock::new());
        let read = read_from(&files);
        let mut work = TorrentMachine {
            span: trace::torrent_span(it.id, it.asker.info_hash),
            it,
            world,
            stage: Stage::New,
            due: Instant::now(),
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

    /// Starts the state machine. Returns whether messages may be waiting.
    fn begin(&mut self) -> bool {
        self.stage = Stage::Running;
        let Resumed { have, check, totals, note } = std::mem::take(&mut self.it.resumed);
        self.it.torrent.recall_totals(totals);
        self.forward_note(note);
        self.handle(Input::Start { have, check });
        true
    }

    /// Handles queued messages up to a bound. Returns whether more may be waiting.
    fn handle_mail(&mut self) -> bool {
        for n in 0..AT_ONCE {
            match self.it.mail.try_recv() {
                Ok(Some(post)) => self.on_torrent_message(post),
                _ => {
                    if n == 0 && Instant::now() >= self.due {
                        self.handle(Input::Tick);
                    }
                    return false;
                }
            }
        }
        true
    }

    /// Ends connections and has the disk threads close the files.
    fn close(&mut self) {
        self.stop_public_discovery();
        self.connections.clear();
        self.web.clear();
        self.stage = Stage::Ended;
        // The handles of peers to the files end with their threads.
        self.files = Arc::default();
        self.read = read_from(&self.files);
        if let Some(storage) = self.it.storage.take() {
            let (closed, task) = (Arc::new(AtomicBool::new(false)), self.it.inbox.task().clone());
            let done = Arc::clone(&closed);
            storage.begin_close(move || {
                done.store(true, Ordering::Release);
                task.wake();
            });
            self.stage = Stage::Closing { storage, closed, until: Instant::now() + limits::LAST_ANNOUNCE };
        }
    }

    /// Ends the torrent once its files are closed, at the latest when the time for that is over.
    fn await_close(&mut self) -> Turn {
        let stage = std::mem::replace(&mut self.stage, Stage::Ended);
        let Stage::Closing { storage, closed, until } = stage else { return Turn::Ended };
        let done = closed.load(Ordering::Acquire);
        if !done && Instant::now() < until {
            self.stage = Stage::Closing { storage, closed, until };
            return Turn::Until(until);
        }
        storage.end_close(!done);
        Turn::Ended
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
