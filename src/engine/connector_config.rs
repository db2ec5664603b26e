//! What connection setup is configured with, and the registry of torrents that accept incoming connections.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use super::inbox::{ConnectionLimit, TorrentHandle};
use crate::config::Encryption;
use crate::wire::message::{InfoHash, PeerId};
use crate::wire::mse::req2_hash;

/// The torrents that accept incoming connections, by info-hash. Clones share the map.
#[derive(Clone, Default)]
pub struct TorrentRegistry(Arc<RwLock<BTreeMap<InfoHash, Route>>>);

/// The torrent's handle and `HASH('req2', info_hash)`, by which MSE names the torrent.
type Route = (TorrentHandle, [u8; 20]);

impl TorrentRegistry {
    /// Registers a torrent for incoming connections, replacing its previous handle.
    pub fn open(&self, torrent: InfoHash, inbox: TorrentHandle) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(torrent, (inbox, req2_hash(&torrent)));
    }

    /// Removes a torrent: its incoming connections are refused.
    pub fn close(&self, torrent: InfoHash) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&torrent);
    }

    pub(super) fn find(&self, torrent: InfoHash) -> Option<TorrentHandle> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&torrent).map(|(inbox, _)| inbox.clone())
    }

    /// Returns the torrent that an MSE handshake names by its obfuscated hash.
    pub(super) fn resolve_obfuscated(&self, asked: &[u8; 20]) -> Option<InfoHash> {
        let routes = self.0.read().unwrap_or_else(PoisonError::into_inner);
        routes.iter().find(|(_, (_, name))| name == asked).map(|(torrent, _)| *torrent)
    }
}

/// Configuration of the [`Connector`](super::connector::Connector).
pub(crate) struct ConnectorConfig {
    /// Our own peer id.
    pub peer_id: PeerId,
    /// The local address to dial from, if only one may be used.
    pub bind: Option<IpAddr>,
    pub routes: TorrentRegistry,
    /// Whether MSE encryption is off, preferred or required.
    pub encryption: Encryption,
    /// The limit of established connections.
    pub seats: ConnectionLimit,
    /// Called with messages for the user.
    pub notice: Box<dyn Fn(String) + Send>,
    /// Called once, when a public address first completes an incoming TCP handshake: the port is reachable.
    pub on_reachable: Box<dyn Fn() + Send>,
}
