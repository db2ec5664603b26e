//! A connection of the Micro Transport Protocol (uTP, BEP 29) as a sans-IO state machine.
//!
//! Packets, bytes and the time go in, packets and bytes come out. Congestion control is LEDBAT ([`congestion`]), which
//! yields to other traffic. Where the BEP is ambiguous it follows libutp: the first data packet of the accepting side
//! has the `seq_nr` of its reply to the SYN.
//!
//! The crate `librqbit-utp` is made of tokio tasks; `async-utp` calls itself experimental. This one runs in a simulator, and
//! in the engine on one thread without a runtime.

pub(crate) mod congestion;
mod recv_buffer;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::limits;
use crate::wire::utp::{Header, Kind, Packet};
use congestion::Ledbat;
pub use congestion::PAYLOAD;
use recv_buffer::{RecvBuffer, follows};

/// Number of later packets acknowledged that marks a packet as lost (duplicate ACK threshold).
const SHOWS_LOSS: usize = 3;
/// Number of timeouts in a row tolerated before the connection fails; the second is for the SYN.
const GIVES_UP: u32 = 6;
const GIVES_UP_CALLING: u32 = 1;
/// Interval of zero-window probes.
const ASKS_FOR_ROOM: Duration = Duration::from_secs(4);
/// Idle time after which a keep-alive is sent, so that NAT mappings do not expire.
const KEEP_ALIVE: Duration = Duration::from_secs(29);
/// Maximum time until the next `flush` if nothing is due.
const LOOK: Duration = Duration::from_secs(3600);
/// Maximum time to wait for the acknowledgement of the FIN after [`Connection::finish`].
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The state of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// SYN sent, no reply yet.
    SynSent,
    /// SYN received and acknowledged; the address of the peer is not verified yet.
    SynReceived,
    /// Connected: both sides have received a packet of the other.
    Connected,
    /// Closed.
    Closed(CloseReason),
}

/// Why a connection was closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CloseReason {
    /// The FIN was acknowledged, or its time ran out.
    Finished,
    /// The peer sent RESET, or [`Connection::reset`] was called.
    Reset,
    /// Timeout: the peer stopped acknowledging.
    Silent,
}

/// A sent packet that is not cumulatively acknowledged.
#[derive(Debug)]
struct SentPacket {
    kind: Kind,
    payload: Vec<u8>,
    at: Instant,
    times: u32,
    /// Selectively acknowledged (SACK).
    came: bool,
    /// To be sent, for the first time or again.
    due: bool,
}

/// A uTP connection.
#[derive(Debug)]
pub struct Connection {
    phase: Phase,
    /// Zero of the timestamps.
    epoch: Instant,
    /// Connection ids of received and of sent packets.
    receives: u16,
    sends: u16,
    /// `seq_nr` of the next new packet.
    next: u16,
    /// Sent packets from the first unacknowledged one on.
    flight: VecDeque<SentPacket>,
    /// Payload bytes in flight.
    under_way: usize,
    /// Advertised receive window of the peer, in bytes.
    room: usize,
    pace: Ledbat,
    /// Loss recovery until this `seq_nr`: further losses of the same window do not shrink the window again.
    recovers: Option<u16>,
    /// Consecutive duplicate ACKs.
    repeated: usize,
    /// When the retransmission timer or the zero-window probe fires.
    patience: Option<Instant>,
    recv_buffer: RecvBuffer,
    /// When [`Connection::finish`] was called.
    finished: Option<Instant>,
    fin_sent: bool,
    owes_ack: bool,
    /// Receive window advertised last.
    advertised_window: usize,
    /// `timestamp_difference_microseconds` to send: the one-way delay of the last packet of the peer.
    delay: u32,
    spoke: Instant,
}

impl Connection {
    /// Opens an outgoing connection. `number` (the connection id) and `seq` must be random.
    #[must_use]
    pub fn connect(now: Instant, epoch: Instant, number: u16, seq: u16) -> Connection {
        let mut link = Connection::new(now, epoch, Phase::SynSent, number, number.wrapping_add(1), seq, 0);
        link.append(now, Kind::Syn, Vec::new());
        link
    }

    /// Accepts an incoming connection from its SYN. `seq` must be random.
    #[must_use]
    pub fn accept(now: Instant, epoch: Instant, syn: &Header, seq: u16) -> Connection {
        let receives = syn.connection.wrapping_add(1);
        let mut link = Connection::new(now, epoch, Phase::SynReceived, receives, syn.connection, seq, syn.seq);
        link.room = syn.window as usize;
        link.delay = link.clock(now).wrapping_sub(syn.sent);
        link.owes_ack = true;
        link
    }

    fn new(now: Instant, epoch: Instant, phase: Phase, receives: u16, sends: u16, next: u16, got: u16) -> Connection {
        Connection {
            phase,
            epoch,
            receives,
            sends,
            next,
            flight: VecDeque::new(),
            under_way: 0,
            room: PAYLOAD,
            pace: Ledbat::default(),
            recovers: None,
            repeated: 0,
            patience: None,
            recv_buffer: RecvBuffer::after(got),
            finished: None,
            fin_sent: false,
            owes_ack: false,
            advertised_window: limits::UTP_WINDOW,
            delay: 0,
            spoke: now,
        }
    }

    /// Returns the state of the connection.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Closes the connection at once, without a FIN.
    pub fn reset(&mut self) {
        self.phase = Phase::Closed(CloseReason::Reset);
    }

    // --- receive --------------------------------------------------------------------------------

    /// Returns the next received bytes in order; empty if there are none at present.
    #[must_use]
    pub fn ready(&self) -> &[u8] {
        self.recv_buffer.ready()
    }

    /// Consumes this many bytes of [`Connection::ready`].
    pub fn take(&mut self, bytes: usize) {
        self.recv_buffer.take(bytes);
        // Window update: a peer that saw a small window waits for a larger one.
        self.owes_ack |=
            self.advertised_window < limits::UTP_WINDOW / 2 && self.recv_buffer.space() >= limits::UTP_WINDOW / 2;
    }

    /// Returns whether the FIN was received and all bytes before it were consumed.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.recv_buffer.ended()
    }

    // --- send -----------------------------------------------------------------------------------

    /// Returns how many bytes [`Connection::send`] accepts now.
    #[must_use]
    pub fn allows(&self) -> usize {
        let full = self.flight.len() >= limits::UTP_PACKETS;
        if self.phase != Phase::Connected || self.finished.is_some() || full || self.flight.iter().any(|sent| sent.due)
        {
            return 0;
        }
        let most = self.pace.window().min(self.room).saturating_sub(self.under_way);
        let packets = (most / PAYLOAD).min(limits::UTP_PACKETS - self.flight.len());
        // With nothing in flight, send a short packet if the receive window is smaller than a full one.
        if packets == 0 && self.flight.is_empty() { self.room.min(PAYLOAD) } else { packets * PAYLOAD }
    }

    /// Queues bytes to send, at most [`Connection::allows`].
    pub fn send(&mut self, now: Instant, bytes: &[u8]) {
        bytes.chunks(PAYLOAD).for_each(|chunk| self.append(now, Kind::Data, chunk.to_vec()));
    }

    /// Closes the sending direction: a FIN follows the queued bytes.
    pub fn finish(&mut self, now: Instant) {
        self.finished.get_or_insert(now);
    }

    /// Returns the `seq_nr` of the first packet in flight.
    fn first(&self) -> u16 {
        self.next.wrapping_sub(self.flight.len() as u16)
    }

    fn append(&mut self, now: Instant, kind: Kind, payload: Vec<u8>) {
        self.flight.push_back(SentPacket { kind, payload, at: now, times: 0, came: false, due: true });
        self.next = self.next.wrapping_add(1);
    }

    // --- packets --------------------------------------------------------------------------------

    /// Handles a received packet with the connection id of this connection.
    pub fn received(&mut self, now: Instant, packet: &Packet<'_>) {
        let Header { kind, seq, ack, .. } = packet.header;
        if matches!(self.phase, Phase::Closed(_)) {
            return;
        }
        if kind == Kind::Syn {
            // A repeated SYN: the reply was lost.
            self.owes_ack |= self.phase == Phase::SynReceived;
            return;
        }
        // Number of packets newly acknowledged. An implausible ACK is dropped: an off-path attacker must guess it.
        let news = ack.wrapping_sub(self.first().wrapping_sub(1));
        let old = usize::from(news) > self.flight.len();
        if old && usize::from(news.wrapping_neg()) > limits::UTP_PACKETS {
            return;
        }
        if kind == Kind::Reset {
            self.phase = Phase::Closed(CloseReason::Reset);
            return;
        }
        match self.phase {
            Phase::SynSent if old || news == 0 || kind != Kind::State => return,
            Phase::SynSent => {
                self.phase = Phase::Connected;
                // The acknowledgement tells the accepting side that its reply arrived, so that it may send.
                self.owes_ack = true;
                self.recv_buffer = RecvBuffer::after(seq.wrapping_sub(1));
            }
            Phase::SynReceived if old => return,
            Phase::SynReceived => self.phase = Phase::Connected,
            Phase::Connected | Phase::Closed(_) => (),
        }
        self.delay = self.clock(now).wrapping_sub(packet.header.sent);
        // The ACK and the window of a reordered packet are outdated.
        if !old {
            self.room = packet.header.window as usize;
            self.acknowledged(now, usize::from(news), packet);
        }
        if matches!(kind, Kind::Data | Kind::Fin) {
            self.owes_ack = true;
            self.recv_buffer.came(kind == Kind::Fin, seq, packet.payload);
        }
    }

    /// Handles the cumulative ACK of the first `news` packets in flight and the SACK of later ones.
    fn acknowledged(&mut self, now: Instant, news: usize, packet: &Packet<'_>) {
        let before = self.under_way;
        let mut bytes = 0;
        for _ in 0..news {
            // Selectively acknowledged packets were handled before.
            let Some(sent) = self.flight.pop_front().filter(|sent| !sent.came) else { continue };
            bytes += self.arrived(now, &sent);
        }
        let bits = packet.sack.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1));
        // Bit 0 of the SACK stands for the second packet in flight: the first one is missing.
        let beyond: Vec<usize> = bits.enumerate().filter(|(_, came)| *came).map(|(n, _)| n + 1).collect();
        for n in beyond {
            let Some(sent) = self.flight.get_mut(n).filter(|sent| !sent.came && sent.times > 0) else { continue };
            sent.came = true;
            let sent = SentPacket { payload: std::mem::take(&mut sent.payload), ..*sent };
            bytes += self.arrived(now, &sent);
        }
        let said_nothing = news == 0 && packet.header.kind == Kind::State && !self.flight.is_empty();
        self.repeated = if said_nothing { self.repeated + 1 } else { 0 };
        if news > 0 || bytes > 0 {
            self.pace.acked(now, bytes, before, packet.header.delay);
            self.patience = None;
        }
        let first = self.first();
        self.recovers = self.recovers.filter(|until| follows(*until, first));
        self.look_for_losses(now);
    }

    /// Updates round-trip time and bytes in flight for an acknowledged packet; returns its payload size.
    fn arrived(&mut self, now: Instant, sent: &SentPacket) -> usize {
        if sent.times == 1 {
            self.pace.timed(now.saturating_duration_since(sent.at));
        }
        if !sent.due {
            self.under_way = self.under_way.saturating_sub(sent.payload.len());
        }
        sent.payload.len()
    }

    /// Marks packets as lost if enough later packets are acknowledged.
    fn look_for_losses(&mut self, now: Instant) {
        let mut later = self.flight.iter().filter(|sent| sent.came).count();
        // A peer without SACK support still sends duplicate ACKs.
        let repeated = self.repeated >= SHOWS_LOSS;
        let trip = self.pace.trip();
        let mut lost = false;
        for (n, sent) in self.flight.iter_mut().enumerate() {
            if sent.came {
                later -= 1;
                continue;
            }
            if later < SHOWS_LOSS && !(repeated && n == 0) {
                break;
            }
            // A retransmitted packet gets a round-trip time to be acknowledged.
            if sent.due || sent.times > 1 && now.saturating_duration_since(sent.at) < trip {
                continue;
            }
            sent.due = true;
            self.under_way = self.under_way.saturating_sub(sent.payload.len());
            lost = true;
        }
        if lost {
            self.repeated = 0;
            if self.recovers.is_none() {
                self.recovers = Some(self.next);
                self.pace.lost();
            }
        }
    }

    // --- timers ---------------------------------------------------------------------------------

    /// Returns when [`Connection::flush`] must be called even if nothing happens.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        let end = self.finished.map(|at| at + LAST_WORDS);
        let quiet = if self.phase == Phase::Connected { KEEP_ALIVE } else { LOOK };
        [self.patience, end].into_iter().flatten().fold(self.spoke + quiet, Instant::min)
    }

    /// Runs the timers and pushes the packets to send.
    pub fn flush(&mut self, now: Instant, out: &mut Vec<Vec<u8>>) {
        if matches!(self.phase, Phase::Closed(_)) {
            return;
        }
        self.wait(now);
        if self.finished.is_some() && !self.fin_sent && self.phase == Phase::Connected {
            self.fin_sent = true;
            self.append(now, Kind::Fin, Vec::new());
        }
        let over = match self.finished {
            // All our data and the FIN are acknowledged. Data of the peer is not read any more.
            Some(_) if self.fin_sent && self.flight.is_empty() => true,
            Some(since) => now >= since + LAST_WORDS,
            None => false,
        };
        let said = self.resend(now, out);
        let sack = self.recv_buffer.sack();
        let gap = !sack.is_empty();
        let quiet = now >= self.spoke + KEEP_ALIVE && self.phase == Phase::Connected;
        if (self.owes_ack && (!said || gap)) || quiet {
            out.push(self.header(now, Kind::State, self.next).encode(&sack, &[]));
        }
        self.owes_ack = false;
        if over {
            self.phase = Phase::Closed(CloseReason::Finished);
        }
    }

    /// Runs the retransmission timer and the zero-window probe.
    fn wait(&mut self, now: Instant) {
        let without_room = self.flight.is_empty() && self.room == 0 && self.phase == Phase::Connected;
        if self.flight.is_empty() && !without_room {
            self.patience = None;
            return;
        }
        let wait = if without_room { ASKS_FOR_ROOM } else { self.pace.rto() };
        if now < *self.patience.get_or_insert(now + wait) {
            return;
        }
        if without_room {
            self.room = PAYLOAD;
            self.patience = None;
            return;
        }
        self.pace.timed_out();
        let most = if self.phase == Phase::SynSent { GIVES_UP_CALLING } else { GIVES_UP };
        if self.pace.timeouts > most {
            self.phase = Phase::Closed(CloseReason::Silent);
            return;
        }
        self.patience = Some(now + self.pace.rto());
        self.flight.iter_mut().filter(|sent| !sent.came).for_each(|sent| sent.due = true);
        self.under_way = 0;
        self.recovers = Some(self.next);
    }

    /// Sends the packets that are due, as far as the window allows; returns whether any was sent.
    fn resend(&mut self, now: Instant, out: &mut Vec<Vec<u8>>) -> bool {
        if matches!(self.phase, Phase::Closed(_)) {
            return false;
        }
        let first = self.first();
        let mut said = false;
        for n in 0..self.flight.len() {
            let (seq, fresh) = (first.wrapping_add(n as u16), self.flight[n].times == 0);
            let length = self.flight[n].payload.len();
            if !self.flight[n].due {
                continue;
            }
            // New packets were checked against the window when they were queued.
            if !fresh && self.under_way > 0 && self.under_way + length > self.pace.window() {
                break;
            }
            let header = self.header(now, self.flight[n].kind, seq);
            let sent = &mut self.flight[n];
            (sent.at, sent.times, sent.due) = (now, sent.times + 1, false);
            out.push(header.encode(&[], &sent.payload));
            self.under_way += length;
            said = true;
        }
        if said {
            self.patience.get_or_insert(now + self.pace.rto());
        }
        said
    }

    fn header(&mut self, now: Instant, kind: Kind, seq: u16) -> Header {
        self.spoke = now;
        self.advertised_window = self.recv_buffer.space();
        let connection = if kind == Kind::Syn { self.receives } else { self.sends };
        let (sent, delay, window) = (self.clock(now), self.delay, self.advertised_window as u32);
        Header { kind, connection, sent, delay, window, seq, ack: self.recv_buffer.got() }
    }

    fn clock(&self, now: Instant) -> u32 {
        now.saturating_duration_since(self.epoch).as_micros() as u32
    }
}

#[cfg(test)]
mod tests;
