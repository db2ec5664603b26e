//! One connection of the uTorrent transport protocol (BEP 29) as a machine: packets, bytes and the time go in, packets
//! and bytes come out. It gives way to whoever else uses the line ([`pace`]).
//!
//! Where the BEP leaves room, it does as those do that are out there: the first packet of the side that was called has
//! the number that its answer named.

mod inflow;
pub mod pace;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::limits;
use crate::wire::utp::{Header, Kind, Packet};
use inflow::{Inflow, follows};
pub use pace::PAYLOAD;
use pace::Pace;

/// Acknowledgements of packets beyond one that show that it was lost.
const SHOWS_LOSS: usize = 3;
/// Waits in vain before the other side counts as gone, and the same while it was never heard of.
const GIVES_UP: u32 = 6;
const GIVES_UP_CALLING: u32 = 1;
/// The other side has no room: one packet asks whether that has changed.
const ASKS_FOR_ROOM: Duration = Duration::from_secs(4);
/// The time without a word after which one is sent, so that routers do not forget the way.
const KEEP_ALIVE: Duration = Duration::from_secs(29);
/// The longest time without a look, where nothing is due.
const LOOK: Duration = Duration::from_secs(3600);
/// The time for the last words of a connection that we ended.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How far a connection is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// We called, and wait for an answer.
    Calling,
    /// We were called and have answered. Whether the caller has its address is not known.
    Called,
    /// Both have heard of each other.
    Open,
    /// It is over, and nothing more comes or goes.
    Over(End),
}

/// How a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Both sides have said all.
    Finished,
    /// The other side broke it off, or would not have it.
    Reset,
    /// The other side has fallen silent.
    Silent,
}

/// A packet that was not acknowledged yet.
#[derive(Debug)]
struct Sent {
    kind: Kind,
    payload: Vec<u8>,
    at: Instant,
    times: u32,
    /// It came, beyond one that did not.
    came: bool,
    /// It has to be sent again (or for the first time).
    due: bool,
}

/// A connection.
#[derive(Debug)]
pub struct Link {
    phase: Phase,
    /// Our clock's zero.
    epoch: Instant,
    /// The connection's number in packets that come, and in those that go.
    receives: u16,
    sends: u16,
    /// The number of the next new packet.
    next: u16,
    /// Those from the first unacknowledged one on.
    flight: VecDeque<Sent>,
    /// Bytes of payload under way.
    under_way: usize,
    /// Room that the other side has.
    room: usize,
    pace: Pace,
    /// While a loss is made good, others of the same flight do not count: it ends with this packet.
    recovers: Option<u16>,
    /// Acknowledgements in a row that said nothing new.
    repeated: usize,
    /// When waiting for an acknowledgement, or for room, ends.
    patience: Option<Instant>,
    inflow: Inflow,
    /// We have no more to send; when that was said.
    finished: Option<Instant>,
    fin_sent: bool,
    owes_ack: bool,
    /// The room that we told of last.
    told: usize,
    /// How long their last packet took, by two clocks.
    delay: u32,
    spoke: Instant,
}

impl Link {
    /// Calls. `number` and `seq` are by chance.
    #[must_use]
    pub fn call(now: Instant, epoch: Instant, number: u16, seq: u16) -> Link {
        let mut link = Link::new(now, epoch, Phase::Calling, number, number.wrapping_add(1), seq, 0);
        link.append(now, Kind::Syn, Vec::new());
        link
    }

    /// Answers somebody who calls with `syn`. `seq` is by chance.
    #[must_use]
    pub fn answer(now: Instant, epoch: Instant, syn: &Header, seq: u16) -> Link {
        let receives = syn.connection.wrapping_add(1);
        let mut link = Link::new(now, epoch, Phase::Called, receives, syn.connection, seq, syn.seq);
        link.room = syn.window as usize;
        link.delay = link.clock(now).wrapping_sub(syn.sent);
        link.owes_ack = true;
        link
    }

    fn new(now: Instant, epoch: Instant, phase: Phase, receives: u16, sends: u16, next: u16, got: u16) -> Link {
        Link {
            phase,
            epoch,
            receives,
            sends,
            next,
            flight: VecDeque::new(),
            under_way: 0,
            room: PAYLOAD,
            pace: Pace::default(),
            recovers: None,
            repeated: 0,
            patience: None,
            inflow: Inflow::after(got),
            finished: None,
            fin_sent: false,
            owes_ack: false,
            told: limits::UTP_WINDOW,
            delay: 0,
            spoke: now,
        }
    }

    /// How far it is.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Breaks it off.
    pub fn reset(&mut self) {
        self.phase = Phase::Over(End::Reset);
    }

    // --- bytes that come ------------------------------------------------------------------------

    /// The next bytes in order; empty when there are none at the moment.
    #[must_use]
    pub fn ready(&self) -> &[u8] {
        self.inflow.ready()
    }

    /// So many of [`Link::ready`] were taken.
    pub fn take(&mut self, bytes: usize) {
        self.inflow.take(bytes);
        // Who was told of no room waits to hear of some.
        self.owes_ack |= self.told < limits::UTP_WINDOW / 2 && self.inflow.space() >= limits::UTP_WINDOW / 2;
    }

    /// Whether all that the other side will ever send has been taken.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.inflow.ended()
    }

    // --- bytes that go --------------------------------------------------------------------------

    /// Bytes that [`Link::send`] takes now.
    #[must_use]
    pub fn allows(&self) -> usize {
        let full = self.flight.len() >= limits::UTP_PACKETS;
        if self.phase != Phase::Open || self.finished.is_some() || full || self.flight.iter().any(|sent| sent.due) {
            return 0;
        }
        let most = self.pace.window().min(self.room).saturating_sub(self.under_way);
        let packets = (most / PAYLOAD).min(limits::UTP_PACKETS - self.flight.len());
        // With nothing under way the other side may have room for less than a packet.
        if packets == 0 && self.flight.is_empty() { self.room.min(PAYLOAD) } else { packets * PAYLOAD }
    }

    /// Takes bytes to send: at most [`Link::allows`].
    pub fn send(&mut self, now: Instant, bytes: &[u8]) {
        bytes.chunks(PAYLOAD).for_each(|chunk| self.append(now, Kind::Data, chunk.to_vec()));
    }

    /// There will be no more to send.
    pub fn finish(&mut self, now: Instant) {
        self.finished.get_or_insert(now);
    }

    /// The number of the first packet of the flight.
    fn first(&self) -> u16 {
        self.next.wrapping_sub(self.flight.len() as u16)
    }

    fn append(&mut self, now: Instant, kind: Kind, payload: Vec<u8>) {
        self.flight.push_back(Sent { kind, payload, at: now, times: 0, came: false, due: true });
        self.next = self.next.wrapping_add(1);
    }

    // --- packets --------------------------------------------------------------------------------

    /// A packet with this connection's number came.
    pub fn received(&mut self, now: Instant, packet: &Packet<'_>) {
        let Header { kind, seq, ack, .. } = packet.header;
        if matches!(self.phase, Phase::Over(_)) {
            return;
        }
        if kind == Kind::Syn {
            // Our answer was lost.
            self.owes_ack |= self.phase == Phase::Called;
            return;
        }
        // How many of the flight it acknowledges. Nobody who does not hear us knows which numbers make sense.
        let news = ack.wrapping_sub(self.first().wrapping_sub(1));
        let old = usize::from(news) > self.flight.len();
        if old && usize::from(news.wrapping_neg()) > limits::UTP_PACKETS {
            return;
        }
        if kind == Kind::Reset {
            self.phase = Phase::Over(End::Reset);
            return;
        }
        match self.phase {
            Phase::Calling if old || news == 0 || kind != Kind::State => return,
            Phase::Calling => {
                self.phase = Phase::Open;
                // So that the other side knows that its answer came, and may speak.
                self.owes_ack = true;
                self.inflow = Inflow::after(seq.wrapping_sub(1));
            }
            Phase::Called if old => return,
            Phase::Called => self.phase = Phase::Open,
            Phase::Open | Phase::Over(_) => (),
        }
        self.delay = self.clock(now).wrapping_sub(packet.header.sent);
        // An old packet says old things of what came and of the room.
        if !old {
            self.room = packet.header.window as usize;
            self.acknowledged(now, usize::from(news), packet);
        }
        if matches!(kind, Kind::Data | Kind::Fin) {
            self.owes_ack = true;
            self.inflow.came(kind == Kind::Fin, seq, packet.payload);
        }
    }

    /// What the other side says has come: the first `news` packets of the flight, and some beyond.
    fn acknowledged(&mut self, now: Instant, news: usize, packet: &Packet<'_>) {
        let before = self.under_way;
        let mut bytes = 0;
        for _ in 0..news {
            // Of those that came beyond a gap all is known.
            let Some(sent) = self.flight.pop_front().filter(|sent| !sent.came) else { continue };
            bytes += self.arrived(now, &sent);
        }
        let bits = packet.sack.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1));
        // The first one of the flight is the one that is missing.
        let beyond: Vec<usize> = bits.enumerate().filter(|(_, came)| *came).map(|(n, _)| n + 1).collect();
        for n in beyond {
            let Some(sent) = self.flight.get_mut(n).filter(|sent| !sent.came && sent.times > 0) else { continue };
            sent.came = true;
            let sent = Sent { payload: std::mem::take(&mut sent.payload), ..*sent };
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

    /// A packet has come; returns its bytes.
    fn arrived(&mut self, now: Instant, sent: &Sent) -> usize {
        if sent.times == 1 {
            self.pace.timed(now.saturating_duration_since(sent.at));
        }
        if !sent.due {
            self.under_way = self.under_way.saturating_sub(sent.payload.len());
        }
        sent.payload.len()
    }

    /// Finds packets that must have been lost, since later ones have come.
    fn look_for_losses(&mut self, now: Instant) {
        let mut later = self.flight.iter().filter(|sent| sent.came).count();
        // Who does not say which ones have come says at least that some have.
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
            // One that was sent again has the time of a round trip to come.
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

    // --- time -----------------------------------------------------------------------------------

    /// When [`Link::flush`] is to be called even if nothing happens.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        let end = self.finished.map(|at| at + LAST_WORDS);
        let quiet = if self.phase == Phase::Open { KEEP_ALIVE } else { LOOK };
        [self.patience, end].into_iter().flatten().fold(self.spoke + quiet, Instant::min)
    }

    /// Does what is due at this time, and gives out packets.
    pub fn flush(&mut self, now: Instant, out: &mut Vec<Vec<u8>>) {
        if matches!(self.phase, Phase::Over(_)) {
            return;
        }
        self.wait(now);
        if self.finished.is_some() && !self.fin_sent && self.phase == Phase::Open {
            self.fin_sent = true;
            self.append(now, Kind::Fin, Vec::new());
        }
        let over = match self.finished {
            // All that we had to say has come. What the other side still says is of no interest to anybody.
            Some(_) if self.fin_sent && self.flight.is_empty() => true,
            Some(since) => now >= since + LAST_WORDS,
            None => false,
        };
        let said = self.resend(now, out);
        let sack = self.inflow.sack();
        let gap = !sack.is_empty();
        let quiet = now >= self.spoke + KEEP_ALIVE && self.phase == Phase::Open;
        if (self.owes_ack && (!said || gap)) || quiet {
            out.push(self.header(now, Kind::State, self.next).encode(&sack, &[]));
        }
        self.owes_ack = false;
        if over {
            self.phase = Phase::Over(End::Finished);
        }
    }

    /// Waits for acknowledgements, and for room.
    fn wait(&mut self, now: Instant) {
        let without_room = self.flight.is_empty() && self.room == 0 && self.phase == Phase::Open;
        if self.flight.is_empty() && !without_room {
            self.patience = None;
            return;
        }
        let wait = if without_room { ASKS_FOR_ROOM } else { self.pace.wait() };
        if now < *self.patience.get_or_insert(now + wait) {
            return;
        }
        if without_room {
            self.room = PAYLOAD;
            self.patience = None;
            return;
        }
        self.pace.timed_out();
        let most = if self.phase == Phase::Calling { GIVES_UP_CALLING } else { GIVES_UP };
        if self.pace.timeouts > most {
            self.phase = Phase::Over(End::Silent);
            return;
        }
        self.patience = Some(now + self.pace.wait());
        self.flight.iter_mut().filter(|sent| !sent.came).for_each(|sent| sent.due = true);
        self.under_way = 0;
        self.recovers = Some(self.next);
    }

    /// Sends what is due, as far as the window allows. Returns whether anything was.
    fn resend(&mut self, now: Instant, out: &mut Vec<Vec<u8>>) -> bool {
        if matches!(self.phase, Phase::Over(_)) {
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
            // New ones were allowed when they were taken.
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
            self.patience.get_or_insert(now + self.pace.wait());
        }
        said
    }

    fn header(&mut self, now: Instant, kind: Kind, seq: u16) -> Header {
        self.spoke = now;
        self.told = self.inflow.space();
        let connection = if kind == Kind::Syn { self.receives } else { self.sends };
        let (sent, delay, window) = (self.clock(now), self.delay, self.told as u32);
        Header { kind, connection, sent, delay, window, seq, ack: self.inflow.got() }
    }

    fn clock(&self, now: Instant) -> u32 {
        now.saturating_duration_since(self.epoch).as_micros() as u32
    }
}

#[cfg(test)]
mod tests;
