//! Effects of magnet links: fetching a `.torrent` named by the link, resolving peer host names, passing metadata to the
//! session, ending public discovery of a private torrent.

use bytes::Bytes;

use super::super::magnet::fetched;
use super::{TorrentEvent, TorrentMachine};
use crate::swarm::event::{Input, ProvidedMetadata};
use crate::swarm::view::Source;
use crate::wire::host::HostPort;

impl TorrentMachine {
    pub(super) fn fetch_torrent(&self, source: usize, url: &str) {
        let (inbox, info_hash) = (self.it.inbox.clone(), self.it.asker.info_hash);
        let done = Box::new(move |result| inbox.send(fetched(source, info_hash, result)));
        self.world.announcer.fetch_torrent(url, done);
    }

    pub(super) fn look_up(&self, source: Source, names: Vec<HostPort>) {
        let inbox = self.it.inbox.clone();
        let done = move |addrs, missing| inbox.send(Input::HostsResolved { source, addrs, missing });
        self.world.announcer.look_up(names, Box::new(done));
    }

    /// Sends the metadata to the session, with the torrent's current trackers and web seeds.
    pub(super) fn tell_metadata(&self, info: Bytes) {
        let (trackers, web_seeds) = (self.it.torrent.trackers(), self.it.torrent.web_seeds().to_vec());
        let given = ProvidedMetadata { info, trackers, web_seeds, by_user: false };
        self.send_event(TorrentEvent::Metadata(self.it.id, Box::new(given)));
    }

    /// Stops public discovery and cancels queued dials, because the torrent is private (BEP 27).
    pub(super) fn keep_private(&self) {
        self.stop_public_discovery();
        self.world.greeter.cancel_dials(self.it.asker.info_hash);
    }
}
