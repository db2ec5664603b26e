//! Connected peers: connect and disconnect, dials, bans, dispatch of peer messages.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::{DisconnectReason, Effect, PeerInfo, PeerKey, Phase, Quota, SHARE, Torrent};
use crate::limits;
use crate::swarm::bitfield::Bitfield;
use crate::swarm::peer::Peer;
use crate::swarm::picker::BlockSource;
use crate::swarm::timeline::PeerEvent;
use crate::swarm::view::{Detail, DisconnectedPeer, Source};
use crate::wire::message::{Message, PieceIndex};

/// Maximum number of `allowed fast` pieces (BEP 6) accepted from one peer.
///
/// Ten are usual; some clients send many more.
pub(super) const ALLOWED_FAST: usize = 64;

impl Torrent {
    // --- connect -----------------------------------------------------------------------------------

    /// Handles a completed handshake: adds the peer or emits [`Effect::Disconnect`] with the reason.
    pub(super) fn on_peer_connected(&mut self, now: Instant, key: PeerKey, hello: PeerInfo, out: &mut Vec<Effect>) {
        let mut source = Source::Incoming;
        if hello.outgoing {
            self.peer_list.dialled(true);
            let begun = self.dialing.remove(&hello.addr);
            // The source at the start of the dial, or a better one learned since. Either may have been forgotten.
            source = self.peer_list.source(hello.addr).into_iter().chain(begun).min().unwrap_or(Source::Resume);
        } else if self.peer_list.is_local(hello.addr.ip()) {
            source = Source::Lan;
        }
        if let Err(why) = self.add_peer(now, &hello, source, out) {
            if hello.outgoing {
                match why {
                    DisconnectReason::SelfConnection => self.peer_list.add_own_address(hello.addr),
                    DisconnectReason::Duplicate => self.peer_list.duplicate(now, hello.addr, hello.peer_id),
                    _ => self.peer_list.mark_disconnected(now, hello.addr, Err(&why)),
                }
            }
            out.push(Effect::Disconnect { peer: key, why });
            return;
        }
        if self.peers.is_empty() {
            self.peer_list.answered(now);
        }
        self.peer_list.reached_somebody(now);
        self.peer_list.mark_connected(hello.addr);
        if hello.outgoing {
            self.peer_list.set_encryption_hint(hello.addr, hello.encrypted.is_some());
            self.peer_list.set_transport_hint(hello.addr, hello.utp);
        }
        let pieces = self.config.geometry.pieces();
        self.peers.insert(key, Peer::new(now, hello, source, pieces));
        self.round_at.get_or_insert(now + crate::swarm::choker::ROUND);
        self.write_log(now, format!("connected to {} ({})", hello.addr, source.word()));
        self.send_bitfield_and_extensions(now, key, hello, out);
        if hello.outgoing {
            self.swarm_changed(now);
        }
    }

    fn add_peer(
        &mut self,
        now: Instant,
        hello: &PeerInfo,
        source: Source,
        out: &mut Vec<Effect>,
    ) -> Result<(), DisconnectReason> {
        if !self.is_live() {
            return Err(DisconnectReason::Stopped);
        }
        if self.refuses_peer(hello, source) {
            return Err(DisconnectReason::Private);
        }
        if hello.peer_id == self.config.peer_id {
            return Err(DisconnectReason::SelfConnection);
        }
        if let Some(why) = self.peer_list.banned(hello.addr.ip()) {
            return Err(DisconnectReason::Banned(why.to_string()));
        }
        let twin = self.peers.iter().find(|(_, p)| p.web.is_none() && p.hello.peer_id == hello.peer_id);
        if let Some((twin, direction)) = twin.map(|(key, p)| (*key, p.hello.outgoing)) {
            // On simultaneous dials both sides keep the connection dialed by the higher peer id; otherwise the older
            // one.
            let ours = self.config.peer_id > hello.peer_id;
            if direction == hello.outgoing || hello.outgoing != ours {
                return Err(DisconnectReason::Duplicate);
            }
            self.disconnect(now, twin, DisconnectReason::Duplicate, out);
        }
        if self.peers.len() >= self.config.max_peers {
            let worst = self.eviction_candidate(now, hello.addr).ok_or(DisconnectReason::TooManyConnections)?;
            self.disconnect(now, worst, DisconnectReason::Replaced, out);
        }
        Ok(())
    }

    /// Returns the peer to replace by a newcomer: an idle one, among equals that of the lowest BEP 40 priority.
    ///
    /// A peer that we are interested in is replaced only if the newcomer has a higher priority.
    fn eviction_candidate(&self, now: Instant, newcomer: SocketAddr) -> Option<PeerKey> {
        let priority = |addr| self.peer_list.priority(addr);
        let gives_metadata = |key| self.search.as_ref().is_some_and(|search| search.hopes_for(key));
        let idle = self.peers.iter().filter(|(key, p)| {
            let age = now.saturating_duration_since(p.since);
            let moves = p.down.rate(now) + p.up.rate(now) > 0;
            !moves
                && p.web.is_none()
                && !gives_metadata(**key)
                && age.as_secs() >= 5
                && (p.snubbed || !p.am_interested || p.peer_choking || age.as_secs() >= 60)
        });
        let rank = |p: &Peer| (!p.snubbed, p.am_interested, p.peer_interested, priority(p.hello.addr));
        let (key, worst) = idle.min_by_key(|(_, p)| rank(p))?;
        let waited_for = worst.am_interested && !worst.snubbed;
        (!waited_for || priority(newcomer) > priority(worst.hello.addr)).then_some(*key)
    }

    /// Sends the bitfield (or `have all`, `have none`), the extension handshake and the DHT port.
    fn send_bitfield_and_extensions(&mut self, now: Instant, key: PeerKey, hello: PeerInfo, out: &mut Vec<Effect>) {
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
            self.begin_super_seed_to(key);
            self.offer(now, key, out);
        }
    }

    // --- disconnect --------------------------------------------------------------------------------

    /// Removes a peer whose connection ended and updates the peer list by the reason.
    pub(super) fn on_peer_disconnected(
        &mut self,
        now: Instant,
        key: PeerKey,
        why: &DisconnectReason,
        out: &mut Vec<Effect>,
    ) {
        if !self.peers.contains_key(&key) {
            return;
        }
        self.release_requests(key, false, out);
        let Some(peer) = self.peers.remove(&key) else { return };
        if let Some(search) = &mut self.search {
            search.on_disconnected(key);
        }
        for piece in peer.has.iter() {
            self.picker.remove_copy(piece);
        }
        self.refill_queue.remove(&key);
        self.swarm_changed(now);
        let addr = peer.hello.addr;
        self.write_log(now, format!("{} ({}) disconnected: {why}", peer.name(), peer.client));
        let useful = peer.down.total() + peer.up.total() > 0;
        match (why, &peer.web) {
            (_, Some(web)) => self.web_seed_left(now, web.seed, why),
            (DisconnectReason::SelfConnection, _) => self.peer_list.add_own_address(addr),
            (DisconnectReason::Useless, _) => self.peer_list.useless(now, addr),
            (DisconnectReason::Duplicate, _) => self.peer_list.duplicate(now, addr, peer.hello.peer_id),
            _ if peer.hello.outgoing => {
                self.peer_list.mark_disconnected(now, addr, if useful { Ok(()) } else { Err(why) });
            }
            _ => self.peer_list.forget(addr),
        }
        if peer.web.is_none() && *why != DisconnectReason::Duplicate {
            self.peer_list.on_duplicate_disconnected(now, peer.hello.peer_id);
        }
        self.record_disconnected(now, &peer, why);
    }

    /// Adds a peer to the list of disconnected peers, unless the torrent itself was stopped.
    fn record_disconnected(&mut self, now: Instant, peer: &Peer, why: &DisconnectReason) {
        if *why == DisconnectReason::Stopped {
            return;
        }
        if self.disconnected.len() == Detail::DEPARTED {
            self.disconnected.pop_front();
        }
        let departed = DisconnectedPeer {
            addr: peer.hello.addr,
            host: peer.web.as_ref().map(|web| web.host.clone()),
            client: peer.client.clone(),
            source: peer.source,
            ago: Duration::ZERO,
            connected_for: now.saturating_duration_since(peer.since),
            downloaded: peer.down.total(),
            uploaded: peer.up.total(),
            why: why.clone(),
        };
        self.disconnected.push_back((now, departed));
    }

    /// Disconnects a peer.
    pub(super) fn disconnect(&mut self, now: Instant, key: PeerKey, why: DisconnectReason, out: &mut Vec<Effect>) {
        if self.peers.contains_key(&key) {
            self.on_peer_disconnected(now, key, &why, out);
            out.push(Effect::Disconnect { peer: key, why });
        }
    }

    /// Bans an IP address and disconnects its peers.
    pub(super) fn ban(&mut self, now: Instant, ip: IpAddr, why: &str, out: &mut Vec<Effect>) {
        if self.peer_list.banned(ip).is_some() {
            return;
        }
        self.notify(now, format!("banned {ip}: {why}"), out);
        self.peer_list.ban(ip, why.into());
        let theirs: Vec<PeerKey> = self
            .peers
            .iter()
            .filter(|(_, p)| p.block_source() == BlockSource::Host(ip.to_canonical()))
            .map(|(k, _)| *k)
            .collect();
        for key in theirs {
            self.disconnect(now, key, DisconnectReason::Banned(why.into()), out);
        }
    }

    // --- dials -------------------------------------------------------------------------------------

    /// Returns whether another dial may start.
    pub(super) fn may_dial(&self) -> bool {
        let places = self.config.max_peers.saturating_sub(self.peers.len());
        self.is_live() && self.dialing.len() < limits::DIALS_TORRENT.min(places * self.peer_list.dials_per_free_slot())
    }

    /// Applies the torrent's new share of the session-wide limits.
    pub(super) fn set_quota(&mut self, now: Instant, quota: Quota) {
        self.down_limit[SHARE].set(quota.down);
        self.up_limit[SHARE].set(quota.up);
        self.config.quota = quota;
        if let Some(most) = quota.max_peers.filter(|most| *most != self.config.max_peers) {
            self.config.max_peers = most;
            self.peer_list.places_again(now);
        }
        self.freed = true;
    }

    /// Dials peers from the peer list while [`Self::may_dial`] allows.
    pub(super) fn dial(&mut self, now: Instant, out: &mut Vec<Effect>) {
        while self.may_dial() {
            let Some((addr, manner)) = self.peer_list.next(now) else { break };
            let manner = self.manner(addr, manner);
            self.dialing.insert(addr, self.peer_list.source(addr).unwrap_or(Source::Resume));
            out.push(Effect::Dial { addr, manner });
        }
    }

    /// Handles a failed dial: applies the back-off and tries a rendezvous (BEP 55).
    pub(super) fn on_dial_failed(
        &mut self,
        now: Instant,
        addr: SocketAddr,
        why: &DisconnectReason,
        out: &mut Vec<Effect>,
    ) {
        self.peer_list.dialled(false);
        self.dialing.remove(&addr);
        match why {
            DisconnectReason::SelfConnection => self.peer_list.add_own_address(addr),
            _ => {
                self.peer_list.mark_disconnected(now, addr, Err(why));
                self.send_rendezvous(now, addr, out);
            }
        }
    }

    // --- messages ----------------------------------------------------------------------------------

    /// Handles all messages of one read.
    pub(super) fn on_messages(&mut self, now: Instant, key: PeerKey, batch: Vec<Message>, out: &mut Vec<Effect>) {
        for message in batch {
            if !self.peers.contains_key(&key) {
                return;
            }
            self.on_message(now, key, message, out);
        }
        self.fill_send_queue(now, key, out);
    }

    fn on_message(&mut self, now: Instant, key: PeerKey, message: Message, out: &mut Vec<Effect>) {
        match message {
            Message::Piece { piece, begin, data } => return self.on_block(now, key, piece, begin, data, out),
            Message::Request(block) if self.has_metadata() => return self.on_request(now, key, block, out),
            _ => {}
        }
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let fast = peer.hello.reserved.fast();
        if !peer.count_control_message(now) {
            self.disconnect(now, key, DisconnectReason::ProtocolViolation("peer sends too many messages".into()), out);
            return;
        }
        if !self.has_metadata() && self.buffer_early_message(now, key, &message, out) {
            return;
        }
        let Some(peer) = self.peers.get_mut(&key) else { return };
        match message {
            Message::Choke => self.on_choke(now, key, out),
            Message::Unchoke => self.on_unchoke(now, key),
            Message::Interested => {
                if peer.set_peer_interested(now, true) {
                    self.unchoke_if_slot_free(now, key, out);
                }
            }
            Message::NotInterested => _ = peer.set_peer_interested(now, false),
            Message::Have(piece) => self.on_have(now, key, piece, out),
            Message::Bitfield(bits) => {
                let has = Bitfield::from_wire(&bits, self.config.geometry.pieces());
                self.on_bitfield(now, key, has, out);
            }
            Message::HaveAll if fast => {
                self.on_bitfield(now, key, Some(Bitfield::full(self.config.geometry.pieces())), out);
            }
            Message::HaveNone if fast => {
                self.on_bitfield(now, key, Some(Bitfield::new(self.config.geometry.pieces())), out);
            }
            Message::Reject(block) if fast => self.on_reject(now, key, block),
            Message::AllowedFast(piece) if fast => {
                if piece.0 < self.config.geometry.pieces() && peer.allowed.len() < ALLOWED_FAST {
                    peer.allowed.insert(piece);
                    self.refill_queue.insert(key);
                }
            }
            Message::Suggest(_) if fast => {}
            Message::HaveAll
            | Message::HaveNone
            | Message::Reject(_)
            | Message::AllowedFast(_)
            | Message::Suggest(_) => {
                let why =
                    DisconnectReason::ProtocolViolation("peer uses the fast extension without offering it".into());
                self.disconnect(now, key, why, out);
            }
            Message::Cancel(block) => self.on_cancel(key, block, out),
            Message::Extended { id, payload } => self.extended(now, key, id, &payload, out),
            Message::Port(port) => self.on_port_message(key, port, out),
            Message::KeepAlive => {}
            Message::Piece { .. } | Message::Request(_) => {}
        }
    }

    fn on_choke(&mut self, now: Instant, key: PeerKey, out: &mut Vec<Effect>) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if peer.set_peer_choking(now, true) {
            // With BEP 6 each request will still be answered or rejected; without it the requests are void. Release
            // the blocks in both cases: one that still arrives is not held against the peer.
            self.release_requests(key, false, out);
        }
    }

    fn on_unchoke(&mut self, now: Instant, key: PeerKey) {
        if let Some(peer) = self.peers.get_mut(&key)
            && peer.set_peer_choking(now, false)
        {
            peer.served = now;
            self.refill_queue.insert(key);
        }
    }

    fn on_have(&mut self, now: Instant, key: PeerKey, piece: PieceIndex, out: &mut Vec<Effect>) {
        if piece.0 >= self.config.geometry.pieces() {
            let text = format!("peer announced piece {piece} of {}", self.config.geometry.pieces());
            self.disconnect(now, key, DisconnectReason::ProtocolViolation(text), out);
            return;
        }
        let Some(peer) = self.peers.get_mut(&key) else { return };
        peer.told = true;
        if !peer.has.insert(piece) {
            return;
        }
        if let Some(mask) = &mut peer.super_seed {
            mask.moved = Some(now);
        }
        self.picker.add_copy(piece);
        if self.picker.wants(piece) {
            peer.wanted += 1;
            if peer.inflight.is_empty() {
                self.refill_queue.insert(key);
            }
            self.update_interest(now, key, out);
        }
        if let Some(peer) = self.peers.get_mut(&key).filter(|p| p.is_seed()) {
            peer.history.add(now, PeerEvent::BecameSeed);
        }
        self.on_piece_spread(now, piece, out);
        self.disconnect_if_useless(now, key, out);
    }

    pub(super) fn on_bitfield(&mut self, now: Instant, key: PeerKey, has: Option<Bitfield>, out: &mut Vec<Effect>) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let Some(has) = has else {
            let why = DisconnectReason::ProtocolViolation("bitfield of the wrong size or with spare bits set".into());
            self.disconnect(now, key, why, out);
            return;
        };
        if std::mem::replace(&mut peer.told, true) {
            // aria2 sends a bitfield in place of many `have`s: a later bitfield only adds pieces.
            let news: Vec<PieceIndex> = has.iter().filter(|piece| !peer.has.has(*piece)).collect();
            for piece in news {
                self.on_have(now, key, piece, out);
            }
            return;
        }
        for piece in has.iter() {
            self.picker.add_copy(piece);
        }
        peer.wanted = has.iter().filter(|p| self.picker.wants(*p)).count() as u32;
        peer.has = has;
        self.refill_queue.insert(key);
        self.update_interest(now, key, out);
        // The offered piece may be one that the peer already has.
        self.offer(now, key, out);
        self.disconnect_if_useless(now, key, out);
    }

    /// Two that want nothing have nothing to say to each other.
    pub(super) fn disconnect_if_useless(&mut self, now: Instant, key: PeerKey, out: &mut Vec<Effect>) {
        if self.complete && self.peers.get(&key).is_some_and(Peer::wants_nothing) && self.has_metadata() {
            self.disconnect(now, key, DisconnectReason::Useless, out);
        }
    }

    /// Sends `interested` or `not interested` if our interest in the peer changed.
    pub(super) fn update_interest(&mut self, now: Instant, key: PeerKey, out: &mut Vec<Effect>) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let wants = peer.wanted > 0;
        if self.phase == Phase::Active && peer.set_am_interested(now, wants) && peer.web.is_none() {
            let message = if wants { Message::Interested } else { Message::NotInterested };
            out.push(Effect::Send { peer: key, message });
        }
    }

    /// Recomputes each peer's count of wanted pieces, after a change of pieces or priorities.
    pub(super) fn recompute_wanted(&mut self) {
        for peer in self.peers.values_mut() {
            peer.wanted = peer.has.iter().filter(|p| self.picker.wants(*p)).count() as u32;
        }
        self.freed = true;
    }
}
