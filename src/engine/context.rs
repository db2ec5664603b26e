//! What all torrents of an engine share.

use std::sync::atomic::AtomicU16;

use crossbeam_channel::Sender;

use super::announce::Announcer;
use super::buffers::BufferPool;
use super::connector::Connector;
use super::dht::Dht;
use super::inbox::ConnectionLimit;
use super::scheduler::Scheduler;
use super::threads::ThreadGroup;
use super::torrent_event::TorrentEvent;
use super::udp_endpoint::UdpEndpoint;
use super::udp_tracker::lsd::LsdHandle;

/// What all torrents of an engine share.
pub(crate) struct EngineContext {
    /// All threads except the disk threads.
    pub crew: ThreadGroup,
    /// Runs the torrents.
    pub scheduler: Scheduler,
    /// Dials and accepts peers.
    pub greeter: Connector,
    pub pool: BufferPool,
    /// Sends requests to trackers and web seeds.
    pub announcer: Announcer,
    /// Announces to the local network (LSD), if enabled.
    pub lan: Option<LsdHandle>,
    /// The UDP endpoint, if the DHT or uTP is enabled.
    pub datagrams: Option<UdpEndpoint>,
    /// The global connection limit.
    pub seats: ConnectionLimit,
    /// The external port that a router maps to ours, for tracker announces; 0 if there is none.
    pub outside: AtomicU16,
    /// Events to the session.
    pub news: Sender<TorrentEvent>,
}

impl EngineContext {
    /// Returns the DHT node, if enabled.
    #[must_use]
    pub(crate) fn dht(&self) -> Option<&dyn Dht> {
        self.datagrams.as_ref()?.dht.as_ref().map(|node| node as &dyn Dht)
    }
}
