//! Peers (`x.pe`) and `.torrent` URLs (`xs`, `as`) of a magnet link.
//!
//! The URLs are fetched in parallel to the metadata download from peers. The first result wins; the info-hash
//! authenticates it either way.

use std::net::SocketAddr;
use std::time::Instant;

use super::{Effect, MagnetExtras, Phase, ProvidedMetadata, Torrent};
use crate::limits;
use crate::swarm::view::Source;
use crate::wire::host::HostPort;
use crate::wire::metainfo::Metainfo;
use crate::wire::tracker::{can_be_peer, public_url};

impl Torrent {
    /// Adds the peers of the magnet link when the torrent starts.
    pub(super) fn begin_link(&mut self, now: Instant, out: &mut Vec<Effect>) {
        let MagnetExtras { peers, named_peers, .. } = self.config.link.clone();
        self.on_peers_found(now, Source::Link, &peers);
        self.resolve_hosts(now, Source::Link, &named_peers, out);
    }

    /// Requests name resolution for peers given by host name, at most [`limits::PEER_NAMES`] of them.
    pub(super) fn resolve_hosts(&mut self, now: Instant, source: Source, names: &[HostPort], out: &mut Vec<Effect>) {
        if names.is_empty() || !self.accepts_source(source) {
            return;
        }
        let (taken, left) = names.split_at(names.len().min(limits::PEER_NAMES));
        if !left.is_empty() {
            self.write_log(now, format!("{} more peers given by host name: not resolved", left.len()));
        }
        out.push(Effect::ResolveHosts { source, names: taken.to_vec() });
    }

    /// Handles resolved peer addresses, validated like addresses that were given as such.
    pub(super) fn on_hosts_resolved(&mut self, now: Instant, source: Source, addrs: &[SocketAddr], missing: usize) {
        let addrs: Vec<SocketAddr> = addrs.iter().copied().filter(can_be_peer).collect();
        if missing > 0 {
            self.write_log(now, format!("{missing} peers given by host name could not be resolved"));
        }
        self.on_peers_found(now, source, &addrs);
    }

    /// Schedules an immediate fetch of every `.torrent` URL.
    pub(super) fn ask_sources(&mut self, now: Instant) {
        self.link_sources.start(now, self.config.link.sources.len());
    }

    /// Returns when the next `.torrent` fetch is due; `None` once the metadata is known.
    pub(super) fn sources_at(&self) -> Option<Instant> {
        self.search.as_ref()?;
        self.link_sources.deadline()
    }

    /// Starts the `.torrent` fetches that are due.
    pub(super) fn poll_sources(&mut self, now: Instant, out: &mut Vec<Effect>) {
        if self.search.is_none() {
            return;
        }
        for source in self.link_sources.take_due(now) {
            let url = self.config.link.sources.get(source).cloned();
            out.extend(url.map(|url| Effect::FetchTorrent { source, url }));
        }
    }

    /// Handles a failed `.torrent` fetch and schedules the retry.
    ///
    /// The user is told of the first failure of each URL.
    pub(super) fn on_torrent_fetch_failed(&mut self, now: Instant, source: usize, why: &str, out: &mut Vec<Effect>) {
        let Some(failures) = self.link_sources.on_failed(now, source) else { return };
        let url = self.config.link.sources.get(source).map(|url| public_url(url)).unwrap_or_default();
        let text = format!("{url} gave no metadata: {why}");
        match failures {
            1 => self.notify(now, text, out),
            _ => self.write_log(now, text),
        }
    }

    /// Handles metadata from a `.torrent` file rather than from peers; the caller has checked its hash.
    ///
    /// The info-hash does not authenticate the trackers and web seeds in the file. They are added for a public torrent;
    /// for a private one only if the user provided the file.
    pub(super) fn on_metadata_provided(&mut self, now: Instant, given: ProvidedMetadata, out: &mut Vec<Effect>) {
        if self.phase != Phase::Metadata || self.search.take().is_none() {
            return;
        }
        let ProvidedMetadata { info, trackers, web_seeds, by_user } = given;
        self.notify(
            now,
            format!("metadata received: from {}", if by_user { "your .torrent" } else { "its link" }),
            out,
        );
        self.config.info = Some(info.clone());
        let private = Metainfo::is_private(&info);
        if private && by_user && !trackers.is_empty() {
            // Drops the trackers of the magnet link, which anyone may have written, in favor of the user's `.torrent`.
            self.trackers.keep_only(now, &trackers);
        }
        if !private || by_user {
            for url in trackers.iter().flatten() {
                // Fails for a tracker that is already listed, which is fine.
                let _ = self.trackers.add(now, url);
            }
            let new: Vec<String> = web_seeds.into_iter().filter(|url| !self.config.web_seeds.contains(url)).collect();
            let room = limits::WEB_SEEDS.saturating_sub(self.config.web_seeds.len());
            self.config.web_seeds.extend(new.into_iter().take(room));
        }
        self.emit_metadata(now, info, out);
    }

    /// Returns the web seed URLs. They may hold passwords: not for display.
    #[must_use]
    pub fn web_seeds(&self) -> &[String] {
        &self.config.web_seeds
    }

    /// Adds web seeds at the user's request and returns how many are new.
    pub(super) fn add_web_seeds(&mut self, urls: &[String]) -> usize {
        let before = self.config.web_seeds.len();
        for url in urls {
            if self.config.web_seeds.len() < limits::WEB_SEEDS && !self.config.web_seeds.contains(url) {
                self.config.web_seeds.push(url.clone());
                self.web_seeds.add(url);
            }
        }
        self.config.web_seeds.len() - before
    }
}
