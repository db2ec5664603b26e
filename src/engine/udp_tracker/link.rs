//! A UDP socket connected to one tracker address, and its connection id (BEP 15). All torrents share the connection
//! id.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::{Mutex, oneshot};
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::Instant;

use super::error::UdpTrackerError;
use crate::wire::tracker::AnnounceResponse;
use crate::wire::tracker::udp::{CONNECTION_ID_LIFETIME, PACKET, Reply, Request, UdpAnnounce};

/// The pause after an unknown socket error, so that a persistent one does not spin.
pub(super) const BREATH: Duration = Duration::from_millis(50);

/// A request that awaits its response: whether that is a `connect` response, and the channel for it.
struct Waiter {
    connect: bool,
    to: oneshot::Sender<Result<Reply, UdpTrackerError>>,
}

/// The pending requests, by transaction id.
type Waiters = Rc<RefCell<HashMap<u32, Waiter>>>;

/// Why a request to a tracker failed.
pub(super) struct RequestError {
    pub(super) why: UdpTrackerError,
    /// The connection id was from an earlier announce, so it may have expired.
    pub(super) old_connection: bool,
}

/// A UDP socket connected to one tracker address.
pub(super) struct TrackerSocket {
    socket: Rc<UdpSocket>,
    waiters: Waiters,
    connection: Mutex<Option<(u64, Instant)>>,
    pub(super) used: Cell<Instant>,
    reader: AbortHandle,
}

impl TrackerSocket {
    pub(super) fn open(addr: SocketAddr, bind: Option<IpAddr>) -> io::Result<Self> {
        let any: IpAddr = if addr.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = std::net::UdpSocket::bind((bind.unwrap_or(any), 0))?;
        socket.set_nonblocking(true)?;
        socket.connect(addr)?;
        let socket = Rc::new(UdpSocket::from_std(socket)?);
        let waiters = Waiters::default();
        let reader = spawn_local(read(Rc::clone(&socket), Rc::clone(&waiters), addr.is_ipv6())).abort_handle();
        Ok(TrackerSocket { socket, waiters, connection: Mutex::new(None), used: Cell::new(Instant::now()), reader })
    }

    pub(super) fn close(&self) {
        self.reader.abort();
    }

    /// Returns a valid connection id, and whether it was cached.
    async fn connection(&self) -> Result<(u64, bool), UdpTrackerError> {
        // Locked during the request, so that concurrent announces share one connection id.
        let mut slot = self.connection.lock().await;
        if let Some((id, _)) = slot.filter(|(_, since)| since.elapsed() < CONNECTION_ID_LIFETIME) {
            return Ok((id, true));
        }
        *slot = None;
        let transaction = self.transaction();
        match self.exchange(transaction, true, &Request::Connect { transaction }).await? {
            Reply::Connect { connection, .. } => {
                *slot = Some((connection, Instant::now()));
                Ok((connection, false))
            }
            Reply::Error { message, .. } => Err(UdpTrackerError::Says(message)),
            _ => Err(UdpTrackerError::NotATracker),
        }
    }

    pub(super) async fn announce(&self, announce: &UdpAnnounce) -> Result<AnnounceResponse, RequestError> {
        let refuse = |why| RequestError { why, old_connection: false };
        let (connection, old_connection) = self.connection().await.map_err(refuse)?;
        let transaction = self.transaction();
        let request = Request::Announce { connection, transaction, announce: announce.clone() };
        match self.exchange(transaction, false, &request).await.map_err(refuse)? {
            Reply::Announce { reply, .. } => Ok(reply),
            Reply::Error { message, .. } => {
                let mut slot = self.connection.lock().await;
                // Unless another announce has already requested a new connection id.
                if slot.is_some_and(|(id, _)| id == connection) {
                    *slot = None;
                }
                Err(RequestError { why: UdpTrackerError::Says(message), old_connection })
            }
            _ => Err(refuse(UdpTrackerError::NotATracker)),
        }
    }

    /// Returns an unused transaction id.
    fn transaction(&self) -> u32 {
        loop {
            let number = fastrand::u32(..);
            if !self.waiters.borrow().contains_key(&number) {
                return number;
            }
        }
    }

    /// Sends a request and waits for its response.
    async fn exchange(&self, transaction: u32, connect: bool, request: &Request) -> Result<Reply, UdpTrackerError> {
        /// Removes the pending request when the wait is canceled.
        struct Place<'a>(&'a Waiters, u32);
        impl Drop for Place<'_> {
            fn drop(&mut self) {
                self.0.borrow_mut().remove(&self.1);
            }
        }
        let (to, answer) = oneshot::channel();
        self.waiters.borrow_mut().insert(transaction, Waiter { connect, to });
        let _place = Place(&self.waiters, transaction);
        self.socket.send(&request.encode()).await?;
        answer.await.unwrap_or(Err(UdpTrackerError::Stopped))
    }
}

/// Reads packets and passes responses to the pending requests; other packets are ignored.
async fn read(socket: Rc<UdpSocket>, waiters: Waiters, v6: bool) {
    let mut packet = vec![0; PACKET];
    loop {
        let length = match socket.recv(&mut packet).await {
            Ok(length) => length,
            Err(e) if matches!(e.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset) => {
                // ICMP port unreachable: fail all pending requests at once.
                for (_, waiting) in waiters.borrow_mut().drain() {
                    let _ = waiting.to.send(Err(UdpTrackerError::ConnectionRefused));
                }
                continue;
            }
            Err(_) => {
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        let Some(reply) = Reply::decode(&packet[..length], v6) else { continue };
        let mut waiters = waiters.borrow_mut();
        let fits = waiters.get(&reply.transaction()).is_some_and(|waiting| match &reply {
            Reply::Connect { .. } => waiting.connect,
            Reply::Announce { .. } => !waiting.connect,
            Reply::Error { .. } => true,
            Reply::Scrape { .. } => false,
        });
        if fits && let Some(waiting) = waiters.remove(&reply.transaction()) {
            let _ = waiting.to.send(Ok(reply));
        }
    }
}
