//! A socket connected to one address of a UDP tracker, and the connection id that all torrents use there (BEP 15).

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

use crate::limits;
use crate::wire::text;
use crate::wire::tracker::AnnounceReply;
use crate::wire::tracker::udp::{CONNECTION, PACKET, Reply, Request, UdpAnnounce};

/// A rest after an unknown fault of a socket, so that a lasting one does not spin.
pub(super) const BREATH: Duration = Duration::from_millis(50);

/// Who waits for a packet: which kind it must be, and where it goes.
struct Waiter {
    connect: bool,
    to: oneshot::Sender<Result<Reply, String>>,
}

/// Those who wait, by transaction.
type Waiters = Rc<RefCell<HashMap<u32, Waiter>>>;

/// Why a tracker did not answer as wished.
pub(super) struct Refusal {
    pub(super) why: String,
    /// It was asked with a connection id from an earlier announce.
    pub(super) old_connection: bool,
}

/// A socket connected to one tracker address.
pub(super) struct Link {
    socket: Rc<UdpSocket>,
    waiters: Waiters,
    connection: Mutex<Option<(u64, Instant)>>,
    pub(super) used: Cell<Instant>,
    reader: AbortHandle,
}

impl Link {
    pub(super) fn open(addr: SocketAddr, bind: Option<IpAddr>) -> io::Result<Self> {
        let any: IpAddr = if addr.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = std::net::UdpSocket::bind((bind.unwrap_or(any), 0))?;
        socket.set_nonblocking(true)?;
        socket.connect(addr)?;
        let socket = Rc::new(UdpSocket::from_std(socket)?);
        let waiters = Waiters::default();
        let reader = spawn_local(read(Rc::clone(&socket), Rc::clone(&waiters), addr.is_ipv6())).abort_handle();
        Ok(Link { socket, waiters, connection: Mutex::new(None), used: Cell::new(Instant::now()), reader })
    }

    pub(super) fn close(&self) {
        self.reader.abort();
    }

    /// A connection id that is still good, and whether it was there before.
    async fn connection(&self) -> Result<(u64, bool), String> {
        // Held while a new one is fetched: the others wait for the same answer.
        let mut slot = self.connection.lock().await;
        if let Some((id, _)) = slot.filter(|(_, since)| since.elapsed() < CONNECTION) {
            return Ok((id, true));
        }
        *slot = None;
        let transaction = self.transaction();
        match self.exchange(transaction, true, &Request::Connect { transaction }).await? {
            Reply::Connect { connection, .. } => {
                *slot = Some((connection, Instant::now()));
                Ok((connection, false))
            }
            Reply::Error { message, .. } => Err(format!("it says: {message}")),
            _ => Err("it does not answer as a tracker does".into()),
        }
    }

    pub(super) async fn announce(&self, announce: &UdpAnnounce) -> Result<AnnounceReply, Refusal> {
        let refuse = |why: String| Refusal { why, old_connection: false };
        let (connection, old_connection) = self.connection().await.map_err(refuse)?;
        let transaction = self.transaction();
        let request = Request::Announce { connection, transaction, announce: announce.clone() };
        match self.exchange(transaction, false, &request).await.map_err(refuse)? {
            Reply::Announce { reply, .. } => Ok(reply),
            Reply::Error { message, .. } => {
                let mut slot = self.connection.lock().await;
                // Unless somebody else has fetched a new one already.
                if slot.is_some_and(|(id, _)| id == connection) {
                    *slot = None;
                }
                Err(Refusal { why: format!("it says: {message}"), old_connection })
            }
            _ => Err(refuse("it does not answer as a tracker does".into())),
        }
    }

    /// A number that nobody waits for yet.
    fn transaction(&self) -> u32 {
        loop {
            let number = fastrand::u32(..);
            if !self.waiters.borrow().contains_key(&number) {
                return number;
            }
        }
    }

    /// Sends a packet and waits for the one that answers it.
    async fn exchange(&self, transaction: u32, connect: bool, request: &Request) -> Result<Reply, String> {
        /// Takes the place back when the wait is given up.
        struct Place<'a>(&'a Waiters, u32);
        impl Drop for Place<'_> {
            fn drop(&mut self) {
                self.0.borrow_mut().remove(&self.1);
            }
        }
        let (to, answer) = oneshot::channel();
        self.waiters.borrow_mut().insert(transaction, Waiter { connect, to });
        let _place = Place(&self.waiters, transaction);
        self.socket.send(&request.encode()).await.map_err(|e| fault(&e))?;
        answer.await.unwrap_or_else(|_| Err("stopped".into()))
    }
}

/// Hands packets to those who wait for them; whatever nobody waits for is passed over.
async fn read(socket: Rc<UdpSocket>, waiters: Waiters, v6: bool) {
    let mut packet = vec![0; PACKET];
    loop {
        let length = match socket.recv(&mut packet).await {
            Ok(length) => length,
            Err(e) if matches!(e.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset) => {
                // The tracker's host says that nobody listens there (ICMP): no need to wait any longer.
                for (_, waiting) in waiters.borrow_mut().drain() {
                    let _ = waiting.to.send(Err("connection refused".into()));
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

/// A socket's fault in words.
pub(super) fn fault(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".into(),
        _ => text::clean(&error.to_string(), limits::TRACKER_TEXT),
    }
}
