//! What is done for magnets beside asking peers: fetching the `.torrent` that a link names, looking up hosts of peers,
//! keeping quiet once one turns out to be private.

use bytes::Bytes;

use super::super::join::fetched;
use super::{News, Work};
use crate::swarm::event::{Given, Input};
use crate::swarm::view::Source;
use crate::wire::host::HostPort;

impl Work {
    pub(super) fn fetch_torrent(&self, source: usize, url: &str) {
        let (inbox, info_hash) = (self.it.inbox.clone(), self.it.asker.info_hash);
        let done = Box::new(move |result| inbox.tell(fetched(source, info_hash, result)));
        self.world.announcer.fetch_torrent(url, done);
    }

    pub(super) fn look_up(&self, source: Source, names: Vec<HostPort>) {
        let inbox = self.it.inbox.clone();
        let done = move |addrs, missing| inbox.tell(Input::LookedUp { source, addrs, missing });
        self.world.announcer.look_up(names, Box::new(done));
    }

    /// Hands the metadata to the session, with the trackers and web seeds that the torrent has by now.
    pub(super) fn tell_metadata(&self, info: Bytes) {
        let (trackers, web_seeds) = (self.it.torrent.trackers(), self.it.torrent.web_seeds().to_vec());
        let given = Given { info, trackers, web_seeds, by_user: false };
        self.tell(News::Metadata(self.it.id, Box::new(given)));
    }

    /// Neither the DHT nor the local network hears of the torrent any more, and no dial begins that waits.
    pub(super) fn keep_private(&self) {
        self.keep_quiet();
        self.world.greeter.forget(self.it.asker.info_hash);
    }
}
