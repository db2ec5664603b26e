//! TCP connector and transport for `ureq`. A local address to bind to can be set, and a connection can be shut down
//! while it is being established.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, ShutdownHandle, Transport,
};
use ureq::{Error, Timeout};

/// Registers the handle that shuts a connection down.
type Register = dyn Fn(Weak<dyn ShutdownHandle>) -> Result<(), Error> + Send + Sync;

/// The connect timeout per address while other addresses remain to be tried.
const TURN: Duration = Duration::from_secs(3);
/// The maximum number of unresponsive addresses remembered.
const SILENT: usize = 64;

/// Connects over TCP, from the local address `ip` if it is set.
#[derive(Debug, Default)]
pub(super) struct BoundConnector {
    pub(super) ip: Option<IpAddr>,
    /// Addresses that could not be connected to, which are tried last.
    silent: Mutex<Vec<SocketAddr>>,
}

impl<In: Transport> Connector<In> for BoundConnector {
    type Out = Either<In, BoundTransport>;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        if chained.is_some() {
            // The proxy connector has already connected, also through a `BoundConnector`.
            return Ok(chained.map(Either::A));
        }
        let fits = |addr: &&SocketAddr| self.ip.is_none_or(|ip| ip.is_ipv4() == addr.is_ipv4());
        let mut addrs: Vec<SocketAddr> = details.addrs.iter().filter(fits).copied().collect();
        {
            let silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
            addrs.sort_by_key(|addr| silent.contains(addr));
        }
        let all = wait(details.timeout)?;
        let words =
            self.ip.map_or_else(|| "it has no address".to_owned(), |ip| format!("it cannot be reached from {ip}"));
        let mut last = io::Error::new(ErrorKind::Unsupported, words);
        for (n, addr) in addrs.iter().enumerate() {
            // Splits the remaining time, so that an unresponsive address leaves time for the others.
            let turn = all.map_or(TURN, |all| TURN.min(all / addrs.len() as u32));
            let time = if n + 1 < addrs.len() { Some(turn) } else { all.map(|all| all - turn * n as u32) };
            match self.dial(*addr, time, &*details.register_shutdown) {
                Ok(stream) => {
                    stream.set_nodelay(details.config.no_delay())?;
                    let (input, output) = (details.config.input_buffer_size(), details.config.output_buffer_size());
                    return Ok(Some(Either::B(BoundTransport { stream, buffers: LazyBuffers::new(input, output) })));
                }
                Err(Error::Io(error)) => last = error,
                Err(other) => return Err(other),
            }
            let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
            if addrs.len() > 1 && silent.len() < SILENT && !silent.contains(addr) {
                silent.push(*addr);
            }
        }
        Err(if last.kind() == ErrorKind::TimedOut { Error::Timeout(Timeout::Connect) } else { Error::Io(last) })
    }
}

impl BoundConnector {
    pub(super) fn new(ip: Option<IpAddr>) -> Self {
        BoundConnector { ip, ..BoundConnector::default() }
    }

    fn dial(&self, addr: SocketAddr, time: Option<Duration>, register: &Register) -> Result<Arc<TcpStream>, Error> {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
        if let Some(ip) = self.ip {
            socket.bind(&SocketAddr::new(ip, 0).into())?;
        }
        let stream = Arc::new(TcpStream::from(socket));
        // Registered before connecting: where the system supports it, the shutdown also aborts a connect in progress.
        let ends: Weak<TcpStream> = Arc::downgrade(&stream);
        register(ends as Weak<dyn ShutdownHandle>)?;
        let socket = SockRef::from(&*stream);
        match time {
            Some(time) => socket.connect_timeout(&addr.into(), time)?,
            None => socket.connect(&addr.into())?,
        }
        Ok(stream)
    }
}

/// Returns the remaining time, `None` if unbounded.
///
/// # Errors
/// If the time is up.
fn wait(timeout: NextTimeout) -> Result<Option<Duration>, Error> {
    match timeout.after.is_zero() {
        true => Err(Error::Timeout(timeout.reason)),
        false => Ok(timeout.not_zero().map(|time| *time)),
    }
}

/// A TCP connection made by [`BoundConnector`].
#[derive(Debug)]
pub(super) struct BoundTransport {
    stream: Arc<TcpStream>,
    buffers: LazyBuffers,
}

/// Maps both error kinds of a socket timeout to `Error::Timeout`.
fn late(error: io::Error, timeout: NextTimeout) -> Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Error::Timeout(timeout.reason),
        _ => Error::Io(error),
    }
}

impl Transport for BoundTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let timeout = timeout.for_write();
        self.stream.set_write_timeout(wait(timeout)?)?;
        let output = &self.buffers.output()[..amount];
        (&*self.stream).write_all(output).map_err(|error| late(error, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let timeout = timeout.for_read();
        self.stream.set_read_timeout(wait(timeout)?)?;
        let input = self.buffers.input_append_buf();
        let read = loop {
            match (&*self.stream).read(input) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => break other.map_err(|error| late(error, timeout))?,
            }
        };
        self.buffers.input_appended(read);
        Ok(read > 0)
    }

    fn is_open(&mut self) -> bool {
        // An idle HTTP connection must have nothing to read: any byte, and end of file, means that it cannot be reused.
        let quiet = |stream: &TcpStream| matches!(stream.peek(&mut [0]), Err(e) if e.kind() == ErrorKind::WouldBlock);
        let open = self.stream.set_nonblocking(true).is_ok() && quiet(&self.stream);
        open && self.stream.set_nonblocking(false).is_ok()
    }
}
