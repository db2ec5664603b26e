//! Executes the effects of a torrent's state machine.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::super::announce::job::AnnounceJob;
use super::super::announce::web_seed::WebSeedHandle;
use super::super::connector::DialRequest;
use super::super::reader::Reader;
use super::super::torrent_event::TorrentEvent;
use super::super::writer::{SendQueue, Writer};
use super::TorrentMachine;
use crate::clock::unix_seconds;
use crate::limits;
use crate::swarm::event::{DisconnectReason, Effect, Input, PeerKey, WebSeedFetch};
use crate::swarm::job::DiskJob;
use crate::swarm::view::Source;
use crate::wire::tracker::{AnnounceIdentity, public_url};

impl TorrentMachine {
    /// Executes all queued effects, including those that result from executing them.
    pub(super) fn execute(&mut self) {
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
    pub(super) fn stop_public_discovery(&self) {
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
}
