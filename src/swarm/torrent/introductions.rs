//! Introductions (BEP 55): of others by us, of us by others, and whom to ask for one.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;

use super::{Effect, PeerKey, Torrent};
use crate::limits;
use crate::swarm::address::is_local;
use crate::swarm::candidates::canonical;
use crate::swarm::event::{Manner, Reach};
use crate::swarm::rate::Allowance;
use crate::swarm::view::Source;
use crate::wire::extension::holepunch::{Failure, Holepunch, Word};
use crate::wire::message::Message;
use crate::wire::tracker::can_be_peer;

/// What the torrent knows of its introductions.
#[derive(Debug, Default)]
pub(super) struct Introductions {
    /// Addresses that we asked to be introduced to, and when.
    asked: BTreeMap<SocketAddr, Instant>,
    /// Calls that others may cause: whoever introduces us could name anybody.
    calls: Option<Allowance>,
}

impl Torrent {
    /// Whether peers are introduced: by uTP only, and not where they are not exchanged (BEP 27).
    pub(super) const fn introduces(&self) -> bool {
        self.config.utp && self.exchanges()
    }

    /// How an address that the candidates name is to be called. Where nobody can call us, uTP comes first: who is reached
    /// by it can introduce others to us.
    pub(super) fn manner(&self, addr: SocketAddr, known: Manner) -> Manner {
        let hidden = self.config.utp && self.config.quota.reach == Reach::Closed && !is_local(addr.ip());
        Manner { utp: known.utp || hidden, ..known }
    }

    /// An address came to nothing. Whoever told us of it is asked to introduce us, once.
    pub(super) fn ask_for_introduction(&mut self, now: Instant, addr: SocketAddr, out: &mut Vec<Effect>) {
        if !self.introduces() {
            return;
        }
        let asked = &mut self.introductions.asked;
        asked.retain(|_, at| now.saturating_duration_since(*at) < limits::INTRODUCTION_AGAIN);
        if asked.len() >= limits::INTRODUCTIONS_ASKED || asked.contains_key(&addr) {
            return;
        }
        let mut knows = self.peers.iter().filter(|(_, peer)| peer.exchange.has_named(addr));
        if let Some((key, id)) = knows.find_map(|(key, peer)| Some((*key, peer.takes.holepunch?))) {
            asked.insert(addr, now);
            out.push(introduction(key, id, Word::Rendezvous, addr));
        }
    }

    /// A message of introductions came.
    pub(super) fn introduction(&mut self, now: Instant, key: PeerKey, payload: &[u8], out: &mut Vec<Effect>) {
        // What makes no sense costs nothing.
        let Ok(Holepunch { word, of }) = Holepunch::decode(payload) else { return };
        match word {
            Word::Rendezvous => self.introduce_to(now, key, of, out),
            Word::Connect => self.introduced(now, key, of, out),
            Word::Failed(why) => self.write_log(now, format!("nobody introduces us to {of}: {why}")),
        }
    }

    /// A peer wishes to be introduced to another one.
    fn introduce_to(&mut self, now: Instant, key: PeerKey, of: SocketAddr, out: &mut Vec<Effect>) {
        let Some(asker) = self.peers.get_mut(&key) else { return };
        let Some(id) = asker.takes.holepunch else { return };
        let may = asker
            .introductions
            .get_or_insert_with(|| Allowance::new(now, limits::INTRODUCTIONS_BURST, limits::INTRODUCTIONS_RATE));
        if !may.take(now) {
            return;
        }
        let asker = asker.known_as();
        let other = self.peers.iter().find(|(_, p)| p.web.is_none() && (p.hello.addr == of || p.listens == Some(of)));
        let refuse = |why| introduction(key, id, Word::Failed(why), of);
        match other.map(|(other, p)| (*other, p.takes.holepunch)) {
            _ if !can_be_peer(&of) => out.push(refuse(Failure::NoSuchPeer)),
            Some((other, _)) if other == key => out.push(refuse(Failure::Itself)),
            None => out.push(refuse(Failure::NotConnected)),
            Some((_, None)) => out.push(refuse(Failure::NoSupport)),
            Some((other, Some(its))) => {
                out.push(introduction(other, its, Word::Connect, asker));
                out.push(introduction(key, id, Word::Connect, of));
            }
        }
    }

    /// Somebody is to be called now, since it is told to call us.
    fn introduced(&mut self, now: Instant, key: PeerKey, of: SocketAddr, out: &mut Vec<Effect>) {
        let Some(by) = self.peers.get(&key).map(|p| p.hello.addr) else { return };
        let of = canonical(of);
        let near = is_local(by.ip());
        let here = self.peers.values().any(|p| p.hello.addr == of || p.listens == Some(of));
        let sensible = can_be_peer(&of) && (near || !is_local(of.ip())) && !self.is_us(of);
        let barred = self.candidates.banned(of.ip()).is_some() || self.dialing.contains_key(&of);
        if here || barred || !sensible || !self.is_live() || self.peers.len() >= self.config.max_peers {
            return;
        }
        let calls = self
            .introductions
            .calls
            .get_or_insert_with(|| Allowance::new(now, limits::INTRODUCTIONS_BURST, limits::INTRODUCTIONS_RATE));
        if !calls.take(now) {
            return;
        }
        self.candidates.learn(now, of, Source::Pex);
        self.candidates.hold(of);
        self.dialing.insert(of, Source::Pex);
        self.write_log(now, format!("{by} introduces us to {of}"));
        out.push(Effect::Dial { addr: of, manner: Manner { encrypted: None, utp: true } });
    }
}

fn introduction(peer: PeerKey, id: u8, word: Word, of: SocketAddr) -> Effect {
    let payload = Bytes::from(Holepunch { word, of }.encode());
    Effect::Send { peer, message: Message::Extended { id, payload } }
}
