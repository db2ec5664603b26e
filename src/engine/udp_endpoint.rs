//! The UDP endpoint shared by the DHT and uTP. One thread demultiplexes incoming packets and drives both protocols.
//! No socket is opened if both are disabled.

use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use mio::{Events, Interest, Poll, Token, Waker};

use super::dht::{DhtDriver, DhtHandle, NodeConfig};
use super::threads::ThreadGroup;
use super::udp_socket::{Sockets, UdpHandle, UdpRequest};
use super::utp::{Utp, UtpDriver, UtpEventHandler};
use crate::limits;

/// The maximum number of packets read from one socket before timers and requests are handled.
const AT_ONCE: usize = 256;
const WAKE: Token = Token(2);
/// The first token of uTP streams.
const FIRST: usize = 16;
/// The longest poll timeout.
const LOOK: Duration = Duration::from_secs(60);

/// Configuration of the [`UdpEndpoint`].
pub(crate) struct UdpConfig {
    /// The local address to bind to, instead of all.
    pub bind: Option<IpAddr>,
    /// The UDP port; if it is taken, the system chooses another one.
    pub port: u16,
    /// Runs a DHT node.
    pub dht: Option<NodeConfig>,
    /// Enables uTP; receives its connections.
    pub utp: Option<UtpEventHandler>,
}

/// Handle of the endpoint's thread, which ends when this is dropped.
pub(crate) struct UdpEndpoint {
    orders: UdpHandle,
    over: AtomicBool,
    /// Our DHT node, if enabled.
    pub dht: Option<DhtHandle>,
    /// uTP, if enabled.
    pub utp: Option<Utp>,
}

impl UdpEndpoint {
    /// Opens the sockets and starts the thread.
    ///
    /// # Errors
    /// If no socket can be opened, no thread spawned, or the system provides no secure randomness.
    pub(crate) fn start(crew: &ThreadGroup, wishes: UdpConfig) -> io::Result<UdpEndpoint> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let mut sockets = Sockets::open(wishes.bind, wishes.port)?;
        for (at, socket) in sockets.sockets.iter_mut().enumerate() {
            if let Some(socket) = socket {
                poll.registry().register(socket, Token(at), Interest::READABLE)?;
            }
        }
        let (orders, todo) = UdpHandle::new(Arc::clone(&waker));
        let (node, dht) = match wishes.dht {
            Some(config) => {
                let (tenant, node) = DhtDriver::new(crew, config, &sockets, orders.clone())?;
                (Some(tenant), Some(node))
            }
            None => (None, None),
        };
        let utp = wishes.utp.is_some().then(|| Utp::new(orders.clone()));
        let peers = wishes.utp.map(|on_event| UtpDriver::new(on_event, FIRST));
        let work = EndpointThread { poll, waker, sockets, todo, dht: node, utp: peers };
        crew.spawn("datagrams".to_owned(), move || work.run(), |_| ())?;
        Ok(UdpEndpoint { orders, over: AtomicBool::new(false), dht, utp })
    }

    /// Ends the thread; open uTP connections are closed with `ST_FIN`.
    pub(crate) fn stop(&self) {
        if !self.over.swap(true, Ordering::Relaxed) {
            self.orders.give(UdpRequest::Stop);
        }
    }
}

impl Drop for UdpEndpoint {
    fn drop(&mut self) {
        self.stop();
    }
}

struct EndpointThread {
    poll: Poll,
    waker: Arc<Waker>,
    sockets: Sockets,
    todo: Receiver<UdpRequest>,
    dht: Option<DhtDriver>,
    utp: Option<UtpDriver>,
}

impl EndpointThread {
    fn run(mut self) {
        let mut events = Events::with_capacity(256);
        let mut buffer = vec![0; limits::UTP_PACKET + 1];
        loop {
            let now = Instant::now();
            if self.handle_requests(now).is_err() {
                return self.end(now);
            }
            for at in [0, 1] {
                self.read(at, now, &mut buffer);
            }
            let mut next = now + LOOK;
            if let Some(dht) = &mut self.dht {
                dht.work(now, &self.sockets);
                next = next.min(dht.deadline());
            }
            if let Some(utp) = &mut self.utp {
                utp.work(now, &self.sockets, self.poll.registry());
                next = next.min(utp.deadline(now));
            }
            let wait = next.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            if let Err(error) = self.poll.poll(&mut events, Some(wait))
                && error.kind() != ErrorKind::Interrupted
            {
                tracing::error!("the UDP port cannot wait for its sockets: {error}");
                return self.end(now);
            }
            if let Some(utp) = &mut self.utp {
                events.iter().filter(|event| event.token().0 >= FIRST).for_each(|event| {
                    utp.on_socket_event(event.token().0, event.is_readable(), event.is_writable());
                });
            }
        }
    }

    /// Handles queued requests; an error means to stop.
    fn handle_requests(&mut self, now: Instant) -> Result<(), ()> {
        for order in self.todo.try_iter() {
            match (order, &mut self.dht, &mut self.utp) {
                (UdpRequest::Stop, ..) => return Err(()),
                (UdpRequest::Dht(order), Some(dht), _) => dht.on_request(now, order),
                (UdpRequest::Utp(order), _, Some(utp)) => utp.start_dial(now, order),
                (UdpRequest::Dht(_) | UdpRequest::Utp(_), ..) => (),
            }
        }
        Ok(())
    }

    /// Reads packets from one socket and passes each to uTP or the DHT.
    fn read(&mut self, at: usize, now: Instant, buffer: &mut [u8]) {
        let Some(socket) = &self.sockets.sockets[at] else { return };
        for _ in 0..AT_ONCE {
            match socket.recv_from(buffer) {
                Ok((n, from)) if self.sockets.may(from) => match (&buffer[..n], &mut self.utp, &mut self.dht) {
                    (packet, Some(utp), _) if crate::wire::utp::is_utp_packet(packet) => {
                        utp.received(now, from, packet);
                    }
                    (packet, _, Some(dht)) if n <= limits::DHT_PACKET => dht.received(now, from, packet),
                    _ => (),
                },
                Ok(_) => (),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                // An ICMP error caused by an earlier packet; the socket is still usable.
                Err(e) => tracing::trace!("a packet came back: {e}"),
            }
        }
        // More packets may be pending, and the edge-triggered poll does not report them again.
        let _ = self.waker.wake();
    }

    fn end(mut self, now: Instant) {
        if let Some(dht) = &self.dht {
            dht.save();
        }
        if let Some(utp) = &mut self.utp {
            utp.end(now, &self.sockets);
        }
    }
}
