//! The holepunch extension (BEP 55): sends and relays rendezvous messages, handles connect messages.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;

use super::state::holepunch::limiter;
use super::{Effect, PeerKey, Torrent};
use crate::swarm::event::DialHint;
use crate::swarm::peer_list::canonical;
use crate::swarm::quota::Reachability;
use crate::swarm::view::Source;
use crate::wire::address::is_local;
use crate::wire::extension::holepunch::{Holepunch, HolepunchErrorCode, HolepunchKind};
use crate::wire::message::Message;
use crate::wire::tracker::can_be_peer;

impl Torrent {
    /// Returns whether the holepunch extension is offered.
    ///
    /// Requires uTP and PEX; a private torrent has no PEX.
    pub(super) const fn supports_holepunch(&self) -> bool {
        self.config.utp && self.uses_pex()
    }

    /// Returns how to dial a known peer. uTP comes first if our port is closed, since a peer connected over uTP can
    /// relay a hole punch to us.
    pub(super) fn manner(&self, addr: SocketAddr, known: DialHint) -> DialHint {
        let hidden = self.config.utp && self.config.quota.reach == Reachability::Closed && !is_local(addr.ip());
        DialHint { utp: known.utp || hidden, ..known }
    }

    /// Sends a rendezvous to a peer that named `addr` by PEX, after a dial to `addr` failed. Once per address and
    /// interval.
    pub(super) fn send_rendezvous(&mut self, now: Instant, addr: SocketAddr, out: &mut Vec<Effect>) {
        if !self.supports_holepunch() {
            return;
        }
        if !self.holepunch.may_ask(now, addr) {
            return;
        }
        let mut knows = self.peers.iter().filter(|(_, peer)| peer.pex.has_named(addr));
        if let Some((key, id)) = knows.find_map(|(key, peer)| Some((*key, peer.extension_ids.holepunch?))) {
            self.holepunch.on_asked(now, addr);
            out.push(introduction(key, id, HolepunchKind::Rendezvous, addr));
        }
    }

    /// Handles a holepunch message.
    pub(super) fn introduction(&mut self, now: Instant, key: PeerKey, payload: &[u8], out: &mut Vec<Effect>) {
        // A malformed message is ignored.
        let Ok(Holepunch { kind: word, addr: of }) = Holepunch::decode(payload) else { return };
        match word {
            HolepunchKind::Rendezvous => self.introduce_to(now, key, of, out),
            HolepunchKind::Connect => self.introduced(now, key, of, out),
            HolepunchKind::Failed(why) => self.write_log(now, format!("holepunch to {of} failed: {why}")),
        }
    }

    /// Handles a rendezvous: sends connect messages to both peers, or an error to the initiating peer.
    fn introduce_to(&mut self, now: Instant, key: PeerKey, of: SocketAddr, out: &mut Vec<Effect>) {
        let Some(asker) = self.peers.get_mut(&key) else { return };
        let Some(id) = asker.extension_ids.holepunch else { return };
        if !asker.introductions.get_or_insert_with(|| limiter(now)).take(now) {
            return;
        }
        let asker = asker.holepunch_addr();
        let other = self.peers.iter().find(|(_, p)| p.web.is_none() && (p.hello.addr == of || p.listens == Some(of)));
        let refuse = |why| introduction(key, id, HolepunchKind::Failed(why), of);
        match other.map(|(other, p)| (*other, p.extension_ids.holepunch)) {
            _ if !can_be_peer(&of) => out.push(refuse(HolepunchErrorCode::NoSuchPeer)),
            Some((other, _)) if other == key => out.push(refuse(HolepunchErrorCode::NoSelf)),
            None => out.push(refuse(HolepunchErrorCode::NotConnected)),
            Some((_, None)) => out.push(refuse(HolepunchErrorCode::NoSupport)),
            Some((other, Some(its))) => {
                out.push(introduction(other, its, HolepunchKind::Connect, asker));
                out.push(introduction(key, id, HolepunchKind::Connect, of));
            }
        }
    }

    /// Handles a connect message: dials the target over uTP now, as the target dials us at the same time.
    fn introduced(&mut self, now: Instant, key: PeerKey, of: SocketAddr, out: &mut Vec<Effect>) {
        let Some(by) = self.peers.get(&key).map(|p| p.hello.addr) else { return };
        let of = canonical(of);
        let near = is_local(by.ip());
        let here = self.peers.values().any(|p| p.hello.addr == of || p.listens == Some(of));
        let sensible = can_be_peer(&of) && (near || !is_local(of.ip())) && !self.is_us(of);
        let barred = self.peer_list.banned(of.ip()).is_some() || self.dialing.contains_key(&of);
        if here || barred || !sensible || !self.is_live() || self.peers.len() >= self.config.max_peers {
            return;
        }
        if !self.holepunch.may_dial(now) {
            return;
        }
        self.peer_list.add(now, of, Source::Pex);
        self.peer_list.mark_connected(of);
        self.dialing.insert(of, Source::Pex);
        self.write_log(now, format!("holepunch to {of} through {by}"));
        out.push(Effect::Dial { addr: of, manner: DialHint { encrypted: None, utp: true } });
    }
}

fn introduction(peer: PeerKey, id: u8, word: HolepunchKind, of: SocketAddr) -> Effect {
    let payload = Bytes::from(Holepunch { kind: word, addr: of }.encode());
    Effect::Send { peer, message: Message::Extended { id, payload } }
}
