//! What a magnet link names beside trackers and web seeds: peers, and places where the `.torrent` may lie (`xs`, `as`).
//! Those are asked beside the peers; whoever gives the metadata first is believed, since the info-hash vouches for them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Effect, Given, Phase, Torrent};
use crate::limits;
use crate::swarm::view::Source;
use crate::wire::host::HostPort;
use crate::wire::metainfo::Metainfo;
use crate::wire::tracker::{can_be_peer, public_url};

/// The first wait before a place that failed is asked again; it doubles each time.
const RETRY: Duration = Duration::from_secs(30);
/// The longest.
const RETRY_MOST: Duration = Duration::from_secs(3600);

/// What a magnet link names beside trackers and web seeds. Nothing of it is used once the torrent is known to be private.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FromLink {
    /// Peers (`x.pe`).
    pub peers: Vec<SocketAddr>,
    /// Peers whose hosts are to be looked up.
    pub named_peers: Vec<HostPort>,
    /// URLs of its `.torrent`. They may hold secrets: not for a screen.
    pub sources: Vec<String>,
}

/// When the places of the `.torrent` are asked.
#[derive(Debug, Default)]
pub(super) struct LinkSources {
    /// By place: failures in a row, and the next time, none while it is being asked.
    all: Vec<(u32, Option<Instant>)>,
}

impl Torrent {
    /// The torrent runs: the peers of its link may be called.
    pub(super) fn begin_link(&mut self, now: Instant, out: &mut Vec<Effect>) {
        let FromLink { peers, named_peers, .. } = self.config.link.clone();
        self.found(now, Source::Link, &peers);
        self.look_up(now, Source::Link, &named_peers, out);
    }

    /// Has the hosts of peers looked up, a few of them.
    pub(super) fn look_up(&mut self, now: Instant, source: Source, names: &[HostPort], out: &mut Vec<Effect>) {
        if names.is_empty() || !self.heeds(source) {
            return;
        }
        let (taken, left) = names.split_at(names.len().min(limits::PEER_NAMES));
        if !left.is_empty() {
            self.write_log(now, format!("{} more peers are named by host: not looked up", left.len()));
        }
        out.push(Effect::LookUp { source, names: taken.to_vec() });
    }

    /// Hosts were looked up: their addresses are judged as those that were named as such.
    pub(super) fn looked_up(&mut self, now: Instant, source: Source, addrs: &[SocketAddr], missing: usize) {
        let addrs: Vec<SocketAddr> = addrs.iter().copied().filter(can_be_peer).collect();
        if missing > 0 {
            self.write_log(now, format!("{missing} peers are named by hosts that are not known"));
        }
        self.found(now, source, &addrs);
    }

    /// All places of the `.torrent` are asked from now on.
    pub(super) fn ask_sources(&mut self, now: Instant) {
        self.link_sources.all = self.config.link.sources.iter().map(|_| (0, Some(now))).collect();
    }

    /// When one of them is to be asked.
    pub(super) fn sources_at(&self) -> Option<Instant> {
        self.search.as_ref()?;
        self.link_sources.all.iter().filter_map(|(_, next)| *next).min()
    }

    /// Asks those whose time has come.
    pub(super) fn poll_sources(&mut self, now: Instant, out: &mut Vec<Effect>) {
        if self.search.is_none() {
            return;
        }
        for (source, (_, next)) in self.link_sources.all.iter_mut().enumerate() {
            if next.is_some_and(|at| at <= now) {
                *next = None;
                let url = self.config.link.sources.get(source).cloned();
                out.extend(url.map(|url| Effect::FetchTorrent { source, url }));
            }
        }
    }

    /// A place gave no `.torrent` of this torrent.
    pub(super) fn not_given(&mut self, now: Instant, source: usize, why: &str) {
        let Some((fails, next)) = self.link_sources.all.get_mut(source) else { return };
        let wait = RETRY_MOST.min(RETRY * 2_u32.pow((*fails).min(10)));
        (*fails, *next) = (*fails + 1, Some(now + wait));
        let url = self.config.link.sources.get(source).map(|url| public_url(url)).unwrap_or_default();
        self.write_log(now, format!("{url} gave no metadata: {why}"));
    }

    /// The metadata have come otherwise than from peers; their hash is right. What comes with them is not vouched for:
    /// of a public torrent it is one more source of peers and data, of a private one only the user's own word counts.
    pub(super) fn given(&mut self, now: Instant, given: Given, out: &mut Vec<Effect>) {
        if self.phase != Phase::Metadata || self.search.take().is_none() {
            return;
        }
        let Given { info, trackers, web_seeds, by_user } = given;
        self.note(
            now,
            format!("its metadata are here: from {}", if by_user { "your .torrent" } else { "its link" }),
            out,
        );
        self.config.info = Some(info.clone());
        let private = Metainfo::is_private(&info);
        if private && by_user && !trackers.is_empty() {
            // Its own trackers are those of the user's `.torrent`: those of a link may be anybody's.
            self.trackers.keep_only(now, &trackers);
        }
        if !private || by_user {
            for url in trackers.iter().flatten() {
                // One that is there already is no news.
                let _ = self.trackers.add(now, url);
            }
            let new: Vec<String> = web_seeds.into_iter().filter(|url| !self.config.web_seeds.contains(url)).collect();
            let room = limits::WEB_SEEDS.saturating_sub(self.config.web_seeds.len());
            self.config.web_seeds.extend(new.into_iter().take(room));
        }
        self.pass_on(now, info, out);
    }

    /// The URLs of its web seeds. They may hold secrets: not for a screen.
    #[must_use]
    pub fn web_seeds(&self) -> &[String] {
        &self.config.web_seeds
    }

    /// The user wants these web seeds too, from now on; how many of them are new.
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
