//! Privacy mode for screenshots. Replaces torrent, file, peer and tracker names by stable placeholders.
//!
//! Works on a copy of the snapshot, so a pane cannot draw an unmasked name.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use crate::api::{Detail, Listening, MappingFailure, PortMapping, PortStatus, Snapshot, TorrentId, TorrentMeta};

/// State of privacy mode: whether it is on, and the masked snapshot.
#[derive(Clone, Debug, Default)]
pub struct PrivacyMask {
    on: bool,
    shown: Option<Arc<Snapshot>>,
    /// Number assigned to each address.
    numbers: BTreeMap<SocketAddr, u32>,
    /// Torrent names and their placeholders, the longest name first.
    names: Vec<(String, String)>,
}

/// Maximum number of addresses with a number of their own; later ones share one.
const ADDRESSES: usize = 10_000;

impl PrivacyMask {
    /// Returns whether privacy mode is on.
    #[must_use]
    pub const fn on(&self) -> bool {
        self.on
    }

    /// Turns privacy mode on or off.
    pub fn toggle(&mut self, snapshot: &Snapshot) {
        self.on = !self.on;
        self.numbers.clear();
        self.names.clear();
        self.shown = None;
        self.refresh(snapshot);
    }

    /// Masks a new snapshot.
    pub fn refresh(&mut self, snapshot: &Snapshot) {
        if self.on {
            self.shown = Some(Arc::new(self.masked(snapshot)));
        }
    }

    /// Returns the snapshot to draw: the masked copy in privacy mode, otherwise `snapshot`.
    #[must_use]
    pub fn shown<'a>(&'a self, snapshot: &'a Snapshot) -> &'a Snapshot {
        self.shown.as_deref().filter(|_| self.on).unwrap_or(snapshot)
    }

    /// Returns the name of a torrent, masked in privacy mode.
    #[must_use]
    pub fn name(&self, id: TorrentId, name: &str) -> String {
        if self.on { format!("torrent {}", id.0) } else { name.to_owned() }
    }

    /// Returns a sentence, redacted in privacy mode.
    #[must_use]
    pub fn sentence<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.on { Cow::Owned(redact(text, &self.names)) } else { Cow::Borrowed(text) }
    }

    fn masked(&mut self, snapshot: &Snapshot) -> Snapshot {
        let mut out = snapshot.clone();
        self.names = out.torrents.iter().map(|(id, view)| (view.name.clone(), format!("torrent {}", id.0))).collect();
        self.names.retain(|(name, _)| name.len() >= 3);
        self.names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        out.folder = "a folder".into();
        out.config_file = "a file".into();
        for entry in &mut out.log {
            entry.text = redact(&entry.text, &self.names);
        }
        mask_port(&mut out.port, &self.names);
        for (id, view) in &mut out.torrents {
            view.error = view.error.take().map(|error| redact(&error, &self.names));
            for text in view.why.texts() {
                *text = redact(text, &self.names);
            }
            (view.info_hash, view.name_on_disk) = (None, None);
            if let Some(detail) = &mut view.detail {
                self.mask_detail(detail);
            }
            view.name = format!("torrent {}", id.0);
        }
        out
    }

    fn mask_detail(&mut self, detail: &mut Detail) {
        for peer in &mut detail.peers {
            peer.addr = self.address(peer.addr);
            hide_host(&mut peer.host);
        }
        for peer in &mut detail.disconnected {
            peer.addr = self.address(peer.addr);
            hide_host(&mut peer.host);
            peer.why.texts().for_each(|text| *text = redact(text, &self.names));
        }
        if let Some(piece) = &mut detail.piece {
            piece.fastest_holders.iter_mut().for_each(|addr| *addr = self.address(*addr));
            piece.asked.iter_mut().for_each(|asked| asked.peer = self.address(asked.peer));
            piece.asked_web.iter_mut().for_each(|asked| asked.peer = HOST.into());
            let files = &detail.files;
            piece.files.iter_mut().for_each(|path| {
                let at = files.iter().position(|file| file.path == *path);
                *path = at.map_or_else(|| "a file".into(), |at| format!("file {}", at + 1));
            });
        }
        for (at, file) in detail.files.iter_mut().enumerate() {
            file.path = format!("file {}", at + 1);
        }
        for tracker in &mut detail.trackers {
            tracker.url = format!("tracker {}", tracker.index + 1);
            if let Some(text) = tracker.status.text() {
                *text = redact(text, &self.names);
            }
        }
        for source in &mut detail.sources {
            source.texts().for_each(|text| *text = redact(text, &self.names));
        }
        for line in &mut detail.log {
            line.text = redact(&line.text, &self.names);
        }
        detail.meta = TorrentMeta { created: detail.meta.created, ..TorrentMeta::default() };
        detail.folder = "a folder".into();
    }

    /// Returns a placeholder address that encodes the number, in 0.0.0.0/8, which no peer uses.
    fn address(&mut self, addr: SocketAddr) -> SocketAddr {
        let next = self.numbers.len() as u32 + 1;
        let number = match self.numbers.get(&addr) {
            Some(number) => *number,
            None if self.numbers.len() < ADDRESSES => *self.numbers.entry(addr).or_insert(next),
            None => next,
        };
        SocketAddr::new(IpAddr::V4(Ipv4Addr::from(number & 0x00ff_ffff)), 0)
    }
}

/// Formats an address; a placeholder as `peer 12`.
pub(crate) fn address(addr: SocketAddr) -> String {
    match addr.ip() {
        IpAddr::V4(ip) if ip.octets()[0] == 0 && addr.port() == 0 => format!("peer {}", u32::from(ip)),
        _ => addr.to_string(),
    }
}

/// Returns the label of a peer: its address, or its host name for a web seed.
pub(crate) fn peer_label(addr: SocketAddr, host: Option<&str>) -> String {
    host.map_or_else(|| address(addr), str::to_owned)
}

/// Placeholder of a web seed's host.
const HOST: &str = "a web seed";

fn hide_host(host: &mut Option<String>) {
    if let Some(host) = host {
        *host = HOST.to_owned();
    }
}

fn mask_port(port: &mut PortStatus, names: &[(String, String)]) {
    if let PortMapping::Failed(MappingFailure::Refused { message, .. }) = &mut port.mapping {
        *message = redact(message, names);
    }
    if let Listening::Failed { error, .. } = &mut port.listening {
        *error = redact(error, names);
    }
}

/// Replaces names and anything that looks like an address in a sentence.
fn redact(text: &str, names: &[(String, String)]) -> String {
    let mut text = text.to_owned();
    for (name, placeholder) in names {
        if text.contains(name.as_str()) {
            text = text.replace(name.as_str(), placeholder);
        }
    }
    let words = text.split(' ').map(|word| {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '[' | '/' | '~' | '\\'));
        let stands_for = placeholder(bare.trim_end_matches(']'), bare);
        stands_for.map_or_else(|| word.to_owned(), |placeholder| word.replace(bare, placeholder))
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Returns the placeholder of a word that looks like an address, URL, path, name or hash; `None` otherwise.
fn placeholder(inner: &str, bare: &str) -> Option<&'static str> {
    let ip = inner.trim_start_matches('[');
    if bare.parse::<SocketAddr>().is_ok() || (ip.contains(['.', ':']) && ip.parse::<IpAddr>().is_ok()) {
        return Some("a peer");
    }
    if bare.contains("://") {
        return Some("a tracker");
    }
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let rate = bare.ends_with("/s");
    if (bare.contains('/') || bare.contains('\\')) && !rate && !bare.split('/').all(digits) {
        return Some("a path");
    }
    let last = bare.rsplit_once('.').map(|(_, last)| last.split(':').next().unwrap_or(last));
    let letters = |part: &str| part.len() >= 2 && part.starts_with(|c: char| c.is_ascii_alphabetic());
    if last.is_some_and(letters) {
        return Some("a name");
    }
    let hash = bare.len() == 40 && bare.bytes().all(|b| b.is_ascii_hexdigit());
    hash.then_some("a hash")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::TorrentView;

    #[test]
    fn sentences_keep_their_sense_and_lose_their_names() {
        let names = [("debian-13.iso".to_owned(), "torrent 3".to_owned())];
        let table = [
            ("first block from 192.0.2.17:51413", "first block from a peer"),
            (
                "piece 812 failed: [2001:db8::1]:6881, 203.0.113.9 is banned",
                "piece 812 failed: a peer, a peer is banned",
            ),
            ("debian-13.iso is complete", "torrent 3 is complete"),
            ("tracker bttracker.debian.org:6969 gave 50 peers", "tracker a name gave 50 peers"),
            ("udp://tracker.example.org:1337 did not answer", "a tracker did not answer"),
            ("free some space in ~/Downloads, it goes on", "free some space in a path, it goes on"),
            (
                "31 of 38 peers; 12/40; 2.5 MB/s, 10.9M/s, 93% in 10 s",
                "31 of 38 peers; 12/40; 2.5 MB/s, 10.9M/s, 93% in 10 s",
            ),
            ("half of it is here.", "half of it is here."),
        ];
        for (text, shown) in table {
            assert_eq!(redact(text, &names), shown);
        }
    }

    #[test]
    fn a_hidden_address_keeps_its_number() {
        let mut hidden = PrivacyMask::default();
        let addr: SocketAddr = "192.0.2.7:6881".parse().unwrap();
        let other: SocketAddr = "[2001:db8::1]:6881".parse().unwrap();
        assert_eq!(address(hidden.address(addr)), "peer 1");
        assert_eq!(address(hidden.address(other)), "peer 2");
        assert_eq!(address(hidden.address(addr)), "peer 1");
        assert_eq!(address(addr), "192.0.2.7:6881");
        let mut host = Some("w.example:8080".to_owned());
        assert_eq!(peer_label(addr, host.as_deref()), "w.example:8080");
        hide_host(&mut host);
        assert_eq!(peer_label(addr, host.as_deref()), "a web seed");
    }

    #[test]
    fn what_is_shown_goes_back_to_the_truth() {
        let view = TorrentView { name: "secret".into(), ..TorrentView::default() };
        let snapshot = Snapshot { torrents: vec![(TorrentId(7), view)], ..Snapshot::default() };
        let mut hidden = PrivacyMask::default();
        hidden.toggle(&snapshot);
        assert_eq!(hidden.shown(&snapshot).torrents[0].1.name, "torrent 7");
        assert_eq!(hidden.sentence("secret is complete"), "torrent 7 is complete");
        hidden.toggle(&snapshot);
        assert_eq!(hidden.shown(&snapshot).torrents[0].1.name, "secret");
    }
}
