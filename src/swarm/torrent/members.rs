//! Who is in the swarm with us: coming, going, what they say of themselves.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::{Effect, Gone, Hello, PeerKey, Phase, Quota, SHARE, Torrent};
use crate::limits;
use crate::swarm::bitfield::Bitfield;
use crate::swarm::history::Happened;
use crate::swarm::peer::Peer;
use crate::swarm::picker::Giver;
use crate::swarm::view::{Departed, Detail, Source};
use crate::wire::message::{Message, PieceIndex};

/// Pieces that a peer may allow us while it chokes us (BEP 6). Some allow far more than is usual: ten are usual.
pub(super) const ALLOWED_FAST: usize = 64;

impl Torrent {
    // --- coming ------------------------------------------------------------------------------------

    /// A connection is ready: keep it, or say why not.
    pub(super) fn arrived(&mut self, now: Instant, key: PeerKey, hello: Hello, out: &mut Vec<Effect>) {
        let mut source = Source::Incoming;
        if hello.outgoing {
            self.candidates.dialled(true);
            let begun = self.dialing.remove(&hello.addr);
            // What brought its address when the dial began, unless a better source has since. Either may be forgotten.
            source = self.candidates.source(hello.addr).into_iter().chain(begun).min().unwrap_or(Source::Resume);
        } else if self.candidates.is_local(hello.addr.ip()) {
            source = Source::Lan;
        }
        if let Err(why) = self.admit(now, &hello, source, out) {
            if hello.outgoing {
                match why {
                    Gone::Ourselves => self.candidates.is_ourselves(hello.addr),
                    Gone::Duplicate => self.candidates.duplicate(now, hello.addr, hello.peer_id),
                    _ => self.candidates.release(now, hello.addr, Err(&why)),
                }
            }
            out.push(Effect::Drop { peer: key, why });
            return;
        }
        if self.peers.is_empty() {
            self.candidates.answered(now);
        }
        self.candidates.reached_somebody(now);
        self.candidates.hold(hello.addr);
        if hello.outgoing {
            self.candidates.speaks(hello.addr, hello.encrypted.is_some());
            self.candidates.reached(hello.addr, hello.utp);
        }
        let pieces = self.config.geometry.pieces();
        self.peers.insert(key, Peer::new(now, hello, source, pieces));
        self.round_at.get_or_insert(now + crate::swarm::choker::ROUND);
        self.write_log(now, format!("{} came ({})", hello.addr, source.word()));
        self.introduce(now, key, hello, out);
        if hello.outgoing {
            self.swarm_changed(now);
        }
    }

    fn admit(&mut self, now: Instant, hello: &Hello, source: Source, out: &mut Vec<Effect>) -> Result<(), Gone> {
        if !self.is_live() {
            return Err(Gone::Stopped);
        }
        if self.is_outsider(hello, source) {
            return Err(Gone::Private);
        }
        if hello.peer_id == self.config.peer_id {
            return Err(Gone::Ourselves);
        }
        if let Some(why) = self.candidates.banned(hello.addr.ip()) {
            return Err(Gone::Banned(why.to_string()));
        }
        let twin = self.peers.iter().find(|(_, p)| p.web.is_none() && p.hello.peer_id == hello.peer_id);
        if let Some((twin, direction)) = twin.map(|(key, p)| (*key, p.hello.outgoing)) {
            // Both sides keep the connection that the one with the higher peer id made; else the first stays.
            let ours = self.config.peer_id > hello.peer_id;
            if direction == hello.outgoing || hello.outgoing != ours {
                return Err(Gone::Duplicate);
            }
            self.expel(now, twin, Gone::Duplicate, out);
        }
        if self.peers.len() >= self.config.max_peers {
            let worst = self.least_useful(now, hello.addr).ok_or(Gone::Full)?;
            self.expel(now, worst, Gone::Replaced, out);
        }
        Ok(())
    }

    /// The peer that a newcomer may replace: one that neither gives nor takes; among equals that of the lowest priority
    /// (BEP 40), and one that we only wait for only if the newcomer's is higher.
    fn least_useful(&self, now: Instant, newcomer: SocketAddr) -> Option<PeerKey> {
        let priority = |addr| self.candidates.priority(addr);
        let gives_metadata = |key| self.search.as_ref().is_some_and(|search| search.hopes_for(key));
        let idle = self.peers.iter().filter(|(key, p)| {
            let age = now.saturating_duration_since(p.since);
            let moves = p.down.rate(now) + p.up.rate(now) > 0;
            !moves
                && p.web.is_none()
                && !gives_metadata(**key)
                && age.as_secs() >= 5
                && (p.snubbed || !p.interesting || p.chokes_us || age.as_secs() >= 60)
        });
        let rank = |p: &Peer| (!p.snubbed, p.interesting, p.interested, priority(p.hello.addr));
        let (key, worst) = idle.min_by_key(|(_, p)| rank(p))?;
        let waited_for = worst.interesting && !worst.snubbed;
        (!waited_for || priority(newcomer) > priority(worst.hello.addr)).then_some(*key)
    }

    /// Says what we have and can.
    fn introduce(&mut self, now: Instant, key: PeerKey, hello: Hello, out: &mut Vec<Effect>) {
        let masked = self.super_seeds();
        let have = self.picker.have();
        let mut say = |message| out.push(Effect::Send { peer: key, message });
        match (hello.reserved.fast(), have.is_full(), masked || have.is_empty()) {
            (true, _, true) => say(Message::HaveNone),
            (true, true, _) => say(Message::HaveAll),
            (false, _, true) => {}
            _ => say(Message::Bitfield(have.to_wire())),
        }
        if hello.reserved.extended() {
            self.introduce_extensions(key, self.complete && !masked, out);
        }
        if let Some(port) = self.config.dht.filter(|_| hello.reserved.dht() && self.uses_dht()) {
            out.push(Effect::Send { peer: key, message: Message::Port(port) });
        }
        if masked {
            self.put_mask(key);
            self.offer(now, key, out);
        }
    }

    // --- going -------------------------------------------------------------------------------------

    /// A connection ended by itself.
    pub(super) fn departed(&mut self, now: Instant, key: PeerKey, why: &Gone, out: &mut Vec<Effect>) {
        if !self.peers.contains_key(&key) {
            return;
        }
        self.release(key, false, out);
        let Some(peer) = self.peers.remove(&key) else { return };
        if let Some(search) = &mut self.search {
            search.gone(key);
        }
        for piece in peer.has.iter() {
            self.picker.remove_copy(piece);
        }
        self.hungry.remove(&key);
        self.swarm_changed(now);
        let addr = peer.hello.addr;
        self.write_log(now, format!("{} ({}) left: {why}", peer.name(), peer.client));
        let useful = peer.down.total() + peer.up.total() > 0;
        match (why, &peer.web) {
            (_, Some(web)) => self.web_seed_left(now, web.seed, why),
            (Gone::Ourselves, _) => self.candidates.is_ourselves(addr),
            (Gone::Useless, _) => self.candidates.useless(now, addr),
            (Gone::Duplicate, _) => self.candidates.duplicate(now, addr, peer.hello.peer_id),
            _ if peer.hello.outgoing => self.candidates.release(now, addr, if useful { Ok(()) } else { Err(why) }),
            _ => self.candidates.forget(addr),
        }
        if peer.web.is_none() && *why != Gone::Duplicate {
            self.candidates.twin_left(now, peer.hello.peer_id);
        }
        self.remember(now, &peer, why);
    }

    /// Keeps what can be told of a peer that left. When it was us who stopped, there is nothing to tell.
    fn remember(&mut self, now: Instant, peer: &Peer, why: &Gone) {
        if *why == Gone::Stopped {
            return;
        }
        if self.left_us.len() == Detail::DEPARTED {
            self.left_us.pop_front();
        }
        let departed = Departed {
            addr: peer.hello.addr,
            host: peer.web.as_ref().map(|web| web.host.clone()),
            client: peer.client.clone(),
            source: peer.source,
            ago: Duration::ZERO,
            stayed: now.saturating_duration_since(peer.since),
            downloaded: peer.down.total(),
            uploaded: peer.up.total(),
            why: why.to_string(),
        };
        self.left_us.push_back((now, departed));
    }

    /// Ends a connection.
    pub(super) fn expel(&mut self, now: Instant, key: PeerKey, why: Gone, out: &mut Vec<Effect>) {
        if self.peers.contains_key(&key) {
            self.departed(now, key, &why, out);
            out.push(Effect::Drop { peer: key, why });
        }
    }

    /// Leaves a host alone from now on.
    pub(super) fn ban(&mut self, now: Instant, ip: IpAddr, why: &str, out: &mut Vec<Effect>) {
        if self.candidates.banned(ip).is_some() {
            return;
        }
        self.note(now, format!("banned {ip}: {why}"), out);
        self.candidates.ban(ip, why.into());
        let theirs: Vec<PeerKey> =
            self.peers.iter().filter(|(_, p)| p.giver() == Giver::Host(ip.to_canonical())).map(|(k, _)| *k).collect();
        for key in theirs {
            self.expel(now, key, Gone::Banned(why.into()), out);
        }
    }

    // --- dialling ----------------------------------------------------------------------------------

    /// Whether another connection would be welcome.
    pub(super) fn may_dial(&self) -> bool {
        let places = self.config.max_peers.saturating_sub(self.peers.len());
        self.is_live() && self.dialing.len() < limits::DIALS_TORRENT.min(places * self.candidates.dials_a_place())
    }

    /// Takes on its share of what all torrents have together.
    pub(super) fn take_quota(&mut self, now: Instant, quota: Quota) {
        self.down_limit[SHARE].set(quota.down);
        self.up_limit[SHARE].set(quota.up);
        self.config.quota = quota;
        if let Some(most) = quota.max_peers.filter(|most| *most != self.config.max_peers) {
            self.config.max_peers = most;
            self.candidates.places_again(now);
        }
        self.freed = true;
    }

    /// Dials as many addresses as may be dialled.
    pub(super) fn dial(&mut self, now: Instant, out: &mut Vec<Effect>) {
        while self.may_dial() {
            let Some((addr, manner)) = self.candidates.next(now) else { break };
            let manner = self.manner(addr, manner);
            self.dialing.insert(addr, self.candidates.source(addr).unwrap_or(Source::Resume));
            out.push(Effect::Dial { addr, manner });
        }
    }

    /// A dial came to nothing.
    pub(super) fn dial_failed(&mut self, now: Instant, addr: SocketAddr, why: &Gone, out: &mut Vec<Effect>) {
        self.candidates.dialled(false);
        self.dialing.remove(&addr);
        match why {
            Gone::Ourselves => self.candidates.is_ourselves(addr),
            _ => {
                self.candidates.release(now, addr, Err(why));
                self.ask_for_introduction(now, addr, out);
            }
        }
    }

    // --- what they say -------------------------------------------------------------------------------

    /// All messages of one read.
    pub(super) fn wire(&mut self, now: Instant, key: PeerKey, batch: Vec<Message>, out: &mut Vec<Effect>) {
        for message in batch {
            if !self.peers.contains_key(&key) {
                return;
            }
            self.message(now, key, message, out);
        }
        self.serve(now, key, out);
    }

    fn message(&mut self, now: Instant, key: PeerKey, message: Message, out: &mut Vec<Effect>) {
        match message {
            Message::Piece { piece, begin, data } => return self.block(now, key, piece, begin, data, out),
            Message::Request(block) if self.is_described() => return self.requested(now, key, block, out),
            _ => {}
        }
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let fast = peer.hello.reserved.fast();
        if !peer.chat(now) {
            self.expel(now, key, Gone::Misbehaved("it floods us with messages".into()), out);
            return;
        }
        if !self.is_described() && self.keeps_early(now, key, &message, out) {
            return;
        }
        let Some(peer) = self.peers.get_mut(&key) else { return };
        match message {
            Message::Choke => self.choked_by(now, key, out),
            Message::Unchoke => self.unchoked_by(now, key),
            Message::Interested => {
                if peer.set_interested(now, true) {
                    self.welcome(now, key, out);
                }
            }
            Message::NotInterested => _ = peer.set_interested(now, false),
            Message::Have(piece) => self.has_piece(now, key, piece, out),
            Message::Bitfield(bits) => {
                let has = Bitfield::from_wire(&bits, self.config.geometry.pieces());
                self.has_all_of(now, key, has, out);
            }
            Message::HaveAll if fast => {
                self.has_all_of(now, key, Some(Bitfield::full(self.config.geometry.pieces())), out);
            }
            Message::HaveNone if fast => {
                self.has_all_of(now, key, Some(Bitfield::new(self.config.geometry.pieces())), out);
            }
            Message::Reject(block) if fast => self.rejected(now, key, block),
            Message::AllowedFast(piece) if fast => {
                if piece.0 < self.config.geometry.pieces() && peer.allowed.len() < ALLOWED_FAST {
                    peer.allowed.insert(piece);
                    self.hungry.insert(key);
                }
            }
            Message::Suggest(_) if fast => {}
            Message::HaveAll
            | Message::HaveNone
            | Message::Reject(_)
            | Message::AllowedFast(_)
            | Message::Suggest(_) => {
                let why = Gone::Misbehaved("it uses the fast extension without having offered it".into());
                self.expel(now, key, why, out);
            }
            Message::Cancel(block) => self.cancelled(key, block, out),
            Message::Extended { id, payload } => self.extended(now, key, id, &payload, out),
            Message::Port(port) => self.tells_node(key, port, out),
            Message::KeepAlive => {}
            Message::Piece { .. } | Message::Request(_) => {}
        }
    }

    fn choked_by(&mut self, now: Instant, key: PeerKey, out: &mut Vec<Effect>) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if peer.set_chokes_us(now, true) {
            // With the fast extension each request is answered or rejected all the same; without it they are void.
            // Either way they are free for others at once: a block that still comes is not held against the peer.
            self.release(key, false, out);
        }
    }

    fn unchoked_by(&mut self, now: Instant, key: PeerKey) {
        if let Some(peer) = self.peers.get_mut(&key)
            && peer.set_chokes_us(now, false)
        {
            peer.served = now;
            self.hungry.insert(key);
        }
    }

    fn has_piece(&mut self, now: Instant, key: PeerKey, piece: PieceIndex, out: &mut Vec<Effect>) {
        if piece.0 >= self.config.geometry.pieces() {
            let text = format!("it says it has piece {piece} of {}", self.config.geometry.pieces());
            self.expel(now, key, Gone::Misbehaved(text), out);
            return;
        }
        let Some(peer) = self.peers.get_mut(&key) else { return };
        peer.told = true;
        if !peer.has.insert(piece) {
            return;
        }
        if let Some(mask) = &mut peer.mask {
            mask.moved = Some(now);
        }
        self.picker.add_copy(piece);
        if self.picker.wants(piece) {
            peer.wanted += 1;
            if peer.inflight.is_empty() {
                self.hungry.insert(key);
            }
            self.show_interest(now, key, out);
        }
        if let Some(peer) = self.peers.get_mut(&key).filter(|p| p.is_seed()) {
            peer.history.add(now, Happened::Whole);
        }
        self.spread(now, piece, out);
        self.look_if_useless(now, key, out);
    }

    pub(super) fn has_all_of(&mut self, now: Instant, key: PeerKey, has: Option<Bitfield>, out: &mut Vec<Effect>) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let Some(has) = has else {
            let why = Gone::Misbehaved("its bitfield is of the wrong size or has spare bits".into());
            self.expel(now, key, why, out);
            return;
        };
        if std::mem::replace(&mut peer.told, true) {
            // aria2 sends a bitfield where others send many `have`s, so a late one can only add to what it has.
            let news: Vec<PieceIndex> = has.iter().filter(|piece| !peer.has.has(*piece)).collect();
            for piece in news {
                self.has_piece(now, key, piece, out);
            }
            return;
        }
        for piece in has.iter() {
            self.picker.add_copy(piece);
        }
        peer.wanted = has.iter().filter(|p| self.picker.wants(*p)).count() as u32;
        peer.has = has;
        self.hungry.insert(key);
        self.show_interest(now, key, out);
        // What is on offer may be what it has.
        self.offer(now, key, out);
        self.look_if_useless(now, key, out);
    }

    /// Two that want nothing have nothing to say to each other.
    pub(super) fn look_if_useless(&mut self, now: Instant, key: PeerKey, out: &mut Vec<Effect>) {
        if self.complete && self.peers.get(&key).is_some_and(Peer::wants_nothing) && self.is_described() {
            self.expel(now, key, Gone::Useless, out);
        }
    }

    /// Tells a peer whether we want anything of it, when that has changed.
    pub(super) fn show_interest(&mut self, now: Instant, key: PeerKey, out: &mut Vec<Effect>) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let wants = peer.wanted > 0;
        if self.phase == Phase::Active && peer.set_interesting(now, wants) && peer.web.is_none() {
            let message = if wants { Message::Interested } else { Message::NotInterested };
            out.push(Effect::Send { peer: key, message });
        }
    }

    /// Counts anew what each peer has that we want: after a change of what we have or want.
    pub(super) fn recount(&mut self) {
        for peer in self.peers.values_mut() {
            peer.wanted = peer.has.iter().filter(|p| self.picker.wants(*p)).count() as u32;
        }
        self.freed = true;
    }
}
