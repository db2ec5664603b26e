//! HTTP connections, from one address of this machine only where that is wished. They can be ended while they are being made.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, ShutdownHandle, Transport,
};
use ureq::{Error, Timeout};

/// Takes what ends a connection.
type Register = dyn Fn(Weak<dyn ShutdownHandle>) -> Result<(), Error> + Send + Sync;

/// The longest time for an address while there is another one to try.
const TURN: Duration = Duration::from_secs(3);
/// Addresses remembered for not having answered.
const SILENT: usize = 64;

/// Connects, from this address if there is one.
#[derive(Debug, Default)]
pub(super) struct Bound {
    pub(super) ip: Option<IpAddr>,
    /// Addresses that did not answer: tried after the others.
    silent: Mutex<Vec<SocketAddr>>,
}

impl<In: Transport> Connector<In> for Bound {
    type Out = Either<In, Line>;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        if chained.is_some() {
            // Through a proxy, which was connected to from here as well.
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
            // An address that does not answer leaves time for the others.
            let turn = all.map_or(TURN, |all| TURN.min(all / addrs.len() as u32));
            let time = if n + 1 < addrs.len() { Some(turn) } else { all.map(|all| all - turn * n as u32) };
            match self.dial(*addr, time, &*details.register_shutdown) {
                Ok(stream) => {
                    stream.set_nodelay(details.config.no_delay())?;
                    let (input, output) = (details.config.input_buffer_size(), details.config.output_buffer_size());
                    return Ok(Some(Either::B(Line { stream, buffers: LazyBuffers::new(input, output) })));
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

impl Bound {
    pub(super) fn new(ip: Option<IpAddr>) -> Self {
        Bound { ip, ..Bound::default() }
    }

    fn dial(&self, addr: SocketAddr, time: Option<Duration>, register: &Register) -> Result<Arc<TcpStream>, Error> {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
        if let Some(ip) = self.ip {
            socket.bind(&SocketAddr::new(ip, 0).into())?;
        }
        let stream = Arc::new(TcpStream::from(socket));
        // Before it is connected: where the system allows it, an attempt can be ended too.
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

/// The time that is left, if it is bounded.
fn wait(timeout: NextTimeout) -> Result<Option<Duration>, Error> {
    match timeout.after.is_zero() {
        true => Err(Error::Timeout(timeout.reason)),
        false => Ok(timeout.not_zero().map(|time| *time)),
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct Line {
    stream: Arc<TcpStream>,
    buffers: LazyBuffers,
}

/// A socket says in two ways that its time is up.
fn late(error: io::Error, timeout: NextTimeout) -> Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Error::Timeout(timeout.reason),
        _ => Error::Io(error),
    }
}

impl Transport for Line {
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
        // One that is idle has nothing to say: whatever can be read from it, its end too, means that it is over.
        let quiet = |stream: &TcpStream| matches!(stream.peek(&mut [0]), Err(e) if e.kind() == ErrorKind::WouldBlock);
        let open = self.stream.set_nonblocking(true).is_ok() && quiet(&self.stream);
        open && self.stream.set_nonblocking(false).is_ok()
    }
}
