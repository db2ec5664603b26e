//! HTTP connections from one address of this machine only.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::{Arc, Weak};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, ShutdownHandle, Transport,
};
use ureq::{Error, Timeout};

/// Connects from this address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound(pub(super) IpAddr);

impl<In: Transport> Connector<In> for Bound {
    type Out = Either<In, Line>;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        if chained.is_some() {
            // Through a proxy, which was connected to from here as well.
            return Ok(chained.map(Either::A));
        }
        let addrs = || details.addrs.iter().filter(|addr| addr.is_ipv4() == self.0.is_ipv4());
        // An address that does not answer leaves time for the others.
        let time = wait(details.timeout)?.map(|time| time / (addrs().count() as u32).max(1));
        let mut last = io::Error::new(ErrorKind::Unsupported, format!("it cannot be reached from {}", self.0));
        for addr in addrs() {
            match self.dial(*addr, time) {
                Ok(stream) => {
                    stream.set_nodelay(details.config.no_delay())?;
                    let stream = Arc::new(stream);
                    let ends: Weak<TcpStream> = Arc::downgrade(&stream);
                    (details.register_shutdown)(ends as Weak<dyn ShutdownHandle>)?;
                    let (input, output) = (details.config.input_buffer_size(), details.config.output_buffer_size());
                    return Ok(Some(Either::B(Line { stream, buffers: LazyBuffers::new(input, output) })));
                }
                Err(error) => last = error,
            }
        }
        Err(if last.kind() == ErrorKind::TimedOut { Error::Timeout(Timeout::Connect) } else { Error::Io(last) })
    }
}

impl Bound {
    fn dial(self, addr: SocketAddr, time: Option<Duration>) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
        socket.bind(&SocketAddr::new(self.0, 0).into())?;
        match time {
            Some(time) => socket.connect_timeout(&addr.into(), time)?,
            None => socket.connect(&addr.into())?,
        }
        Ok(socket.into())
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
