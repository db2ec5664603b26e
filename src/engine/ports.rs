//! Has the router forward our port: by PCP, else NAT-PMP, else UPnP. A thread of its own asks, renews in time, and takes
//! the mapping away at the end. Nothing here is opened unless it is started.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};

use super::announce::router::RouterHttp;
use super::threads::Crew;
use crate::limits;
use crate::wire::metainfo::urls::is_local;
use crate::wire::nat::{self, Granted, NatError, Transport, Wish};
use crate::wire::upnp::{self, Service};

/// How long a mapping is asked for, in seconds. What dies without a word frees its port in that time.
const LIFETIME: u32 = 3600;
/// The shortest time between two renewals, whatever lifetime a router grants.
const RENEW_LEAST: Duration = Duration::from_secs(30);
/// The time until all is tried again after nothing answered: at first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(1800));
/// Waits for an answer of NAT-PMP or PCP, each twice the one before (RFC 6886, 3.1, cut short: the router is near).
const TRIES: [Duration; 3] = [Duration::from_millis(250), Duration::from_millis(500), Duration::from_millis(1000)];
/// Time for devices to answer a search.
const SEARCH: Duration = Duration::from_millis(2500);
/// Time for one request to the router, and for the last one.
const REQUEST: Duration = Duration::from_secs(4);
const LAST_REQUEST: Duration = Duration::from_secs(1);
/// The longest wait that does not look whether we are to stop.
const STEP: Duration = Duration::from_millis(250);
/// Devices that are asked what they are.
const DEVICES: usize = 8;
/// Ports tried after ours, where it is taken outside.
const OTHERS: u16 = 8;

/// What becomes of the port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PortNews {
    /// The router forwards it.
    Mapped {
        /// By which protocol.
        by: &'static str,
        /// The port outside.
        external: u16,
        /// The address outside, if it was told.
        address: Option<IpAddr>,
    },
    /// It does not; why, in words, safe to print.
    Closed(String),
    /// There is no router in between: our address is a public one, or there is no way out at all.
    Direct,
    /// Somebody from outside has called us.
    Called,
}

/// The thread that keeps the mapping. Dropping this takes the mapping away.
pub struct Ports {
    _stop: Sender<()>,
    http: RouterHttp,
}

impl Drop for Ports {
    fn drop(&mut self) {
        self.http.end();
    }
}

impl Ports {
    /// Starts it for this TCP and UDP port. `bind` is the only address that we have.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        crew: &Crew,
        bind: Option<IpAddr>,
        port: u16,
        tell: impl Fn(PortNews) + Send + 'static,
    ) -> io::Result<Ports> {
        let (stop, stopped) = bounded(0);
        let http = RouterHttp::new(bind, REQUEST);
        let nonce = std::array::from_fn(|_| fastrand::u8(..));
        let work = Work { bind, port, nonce, http: http.clone(), stopped };
        crew.spawn("ports".to_owned(), move || work.run(&tell), |_| ())?;
        Ok(Ports { _stop: stop, http })
    }
}

/// Whether it makes sense to ask a router at all.
#[must_use]
pub fn is_sensible(bind: Option<IpAddr>) -> bool {
    bind.is_none_or(|ip| ip.is_ipv4() && !ip.is_loopback())
}

/// A mapping that we have.
struct Mapping {
    way: Way,
    router: Ipv4Addr,
    local: Ipv4Addr,
    external: u16,
    address: Option<IpAddr>,
    lifetime: u32,
}

#[derive(Clone)]
enum Way {
    Pcp,
    Pmp,
    Upnp(Service),
}

impl Way {
    const fn name(&self) -> &'static str {
        match self {
            Way::Pcp => "PCP",
            Way::Pmp => "NAT-PMP",
            Way::Upnp(_) => "UPnP",
        }
    }
}

struct Work {
    bind: Option<IpAddr>,
    port: u16,
    nonce: [u8; 12],
    http: RouterHttp,
    stopped: Receiver<()>,
}

impl Work {
    fn run(self, tell: &dyn Fn(PortNews)) {
        let mut held: Option<Mapping> = None;
        let mut retry = RETRY.0;
        loop {
            let wait = match self.map(held.as_ref()) {
                Ok(Some(mapping)) => {
                    let Mapping { external, address, lifetime, .. } = mapping;
                    tell(PortNews::Mapped { by: mapping.way.name(), external, address });
                    held = Some(mapping);
                    retry = RETRY.0;
                    // One that lasts for ever is renewed all the same: the router may be started anew.
                    Duration::from_secs(u64::from(if lifetime == 0 { LIFETIME } else { lifetime })) / 2
                }
                Ok(None) => {
                    tell(PortNews::Direct);
                    RETRY.1
                }
                Err(why) => {
                    held = None;
                    tell(PortNews::Closed(why));
                    let wait = retry;
                    retry = (retry * 2).min(RETRY.1);
                    wait
                }
            };
            if !matches!(self.stopped.recv_timeout(wait.max(RENEW_LEAST)), Err(RecvTimeoutError::Timeout)) {
                break;
            }
        }
        if let Some(mapping) = held {
            self.unmap(&mapping);
        }
    }

    fn is_stopped(&self) -> bool {
        matches!(self.stopped.try_recv(), Err(TryRecvError::Disconnected))
    }

    fn wish(&self, transport: Transport, external: u16, lifetime: u32) -> Wish {
        Wish { transport, internal: self.port, external, lifetime }
    }

    /// Asks for a mapping, in the way that worked before if there is one; `None` where none is needed.
    fn map(&self, held: Option<&Mapping>) -> Result<Option<Mapping>, String> {
        let Some((router, local)) = self.surroundings() else { return Ok(None) };
        if !is_local(local.into()) && !is_shared(local) {
            return Ok(None);
        }
        let external = held.map_or(self.port, |held| held.external);
        let granted = |way, granted: Granted| {
            let Granted { external, address, lifetime } = granted;
            Mapping { way, router, local, external, address, lifetime }
        };
        let mut whys = Vec::new();
        for way in [Way::Pcp, Way::Pmp] {
            match self.ask(&way, router, local, external, LIFETIME) {
                Ok(it) => return Ok(Some(granted(way, it))),
                Err(Silence::Word(why)) => whys.push(format!("{}: {why}", way.name())),
                Err(Silence::Nothing) => {}
            }
            if self.is_stopped() {
                return Err("stopped".into());
            }
        }
        let known = held.and_then(|held| if let Way::Upnp(it) = &held.way { Some(it.clone()) } else { None });
        for service in known.into_iter().chain(self.search(local)) {
            match self.call(&service, local, external) {
                Ok(it) => return Ok(Some(granted(Way::Upnp(service), it))),
                Err(why) => whys.push(format!("UPnP: {why}")),
            }
        }
        // The last word is that of the way that most routers know.
        Err(whys.pop().unwrap_or_else(|| "no router answers PCP, NAT-PMP or UPnP".to_owned()))
    }

    /// The router, and our address in its network.
    fn surroundings(&self) -> Option<(Ipv4Addr, Ipv4Addr)> {
        let own = match self.bind {
            Some(IpAddr::V4(ip)) if !ip.is_loopback() => Some(ip),
            Some(_) => return None,
            None => None,
        };
        let table = std::fs::read_to_string("/proc/thread-self/net/route").unwrap_or_default();
        let local = |to: Ipv4Addr| {
            let socket = UdpSocket::bind((own.unwrap_or(Ipv4Addr::UNSPECIFIED), 0)).ok()?;
            // Asks the table of routes; nothing is sent.
            socket.connect((to, nat::PORT)).ok()?;
            match socket.local_addr().ok()?.ip() {
                IpAddr::V4(ip) if !ip.is_unspecified() => Some(ip),
                _ => None,
            }
        };
        match nat::default_router(&table) {
            Some(router) => Some((router, local(router)?)),
            // Where there is no such table: most routers have the first address of their network.
            None if cfg!(not(target_os = "linux")) => {
                let ip = own.or_else(|| local(Ipv4Addr::new(192, 0, 2, 1)))?;
                let [a, b, c, _] = ip.octets();
                Some((Ipv4Addr::new(a, b, c, 1), ip))
            }
            None => None,
        }
    }

    // --- PCP and NAT-PMP ---------------------------------------------------------------------------

    /// Asks for both transports; what became of TCP counts.
    fn ask(
        &self,
        way: &Way,
        router: Ipv4Addr,
        local: Ipv4Addr,
        external: u16,
        lifetime: u32,
    ) -> Result<Granted, Silence> {
        let socket = UdpSocket::bind((local, 0)).and_then(|socket| {
            socket.connect((router, nat::PORT))?;
            Ok(socket)
        });
        let socket = socket.map_err(|e| Silence::Word(e.to_string()))?;
        let one = |transport, external| {
            let wish = self.wish(transport, external, lifetime);
            match way {
                Way::Pcp => {
                    let request = nat::pcp_request(&wish, local.into(), self.nonce);
                    self.exchange(&socket, &request, |answer| nat::pcp_answer(answer, &wish, self.nonce))
                }
                _ => {
                    let request = nat::pmp_request(&wish);
                    self.exchange(&socket, &request, |answer| nat::pmp_answer(answer, &wish))
                }
            }
        };
        let mut granted = one(Transport::Tcp, external)?;
        let _ = one(Transport::Udp, granted.external);
        if granted.address.is_none() && lifetime > 0 {
            let address = self.exchange(&socket, &nat::PMP_ADDRESS, nat::pmp_address).ok();
            granted.address = address.map(IpAddr::V4);
        }
        Ok(granted)
    }

    /// Sends a request until it is answered.
    fn exchange<T>(
        &self,
        socket: &UdpSocket,
        request: &[u8],
        read: impl Fn(&[u8]) -> Result<T, NatError>,
    ) -> Result<T, Silence> {
        let mut answer = [0; nat::ANSWER];
        for time in TRIES {
            socket.send(request).map_err(|_| Silence::Nothing)?;
            let until = Instant::now() + time;
            while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
                let wait = socket.set_read_timeout(Some(left.min(STEP)));
                match wait.and_then(|()| socket.recv(&mut answer)) {
                    Ok(n) => match read(&answer[..n]) {
                        Err(NatError::Unrelated) => {}
                        // The other protocol may do.
                        Err(NatError::Version) => return Err(Silence::Nothing),
                        other => return other.map_err(|why| Silence::Word(why.to_string())),
                    },
                    Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => return Err(Silence::Nothing),
                    Err(_) if self.is_stopped() => return Err(Silence::Nothing),
                    Err(_) => {}
                }
            }
        }
        Err(Silence::Nothing)
    }

    // --- UPnP --------------------------------------------------------------------------------------

    /// The services of routers that answer a search.
    fn search(&self, local: Ipv4Addr) -> Vec<Service> {
        let found = self.search_from(local).unwrap_or_default();
        let ask = |url: &url::Url| upnp::service(&self.http.get(url).ok()?, url);
        found.iter().filter_map(ask).collect()
    }

    fn search_from(&self, local: Ipv4Addr) -> io::Result<Vec<url::Url>> {
        let socket = UdpSocket::bind((local, 0))?;
        // The group is of the local network: through the interface that our address is of.
        socket2::SockRef::from(&socket).set_multicast_if_v4(&local)?;
        let mut found: Vec<url::Url> = Vec::new();
        let mut answer = [0; 2048];
        let until = Instant::now() + SEARCH;
        for search in upnp::searches() {
            socket.send_to(search.as_bytes(), upnp::GROUP)?;
        }
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            socket.set_read_timeout(Some(left.min(STEP)))?;
            let Ok((n, from)) = socket.recv_from(&mut answer) else {
                if self.is_stopped() || !found.is_empty() {
                    break;
                }
                continue;
            };
            let SocketAddr::V4(from) = from else { continue };
            // Only who is near may say where to go.
            let url = upnp::location(&answer[..n], *from.ip()).filter(|_| is_local((*from.ip()).into()));
            if let Some(url) = url.filter(|url| !found.contains(url) && found.len() < DEVICES) {
                found.push(url);
            }
        }
        Ok(found)
    }

    /// Asks a service for our port, or for another one outside where that is taken.
    fn call(&self, service: &Service, local: Ipv4Addr, wished: u16) -> Result<Granted, String> {
        const PERMANENT_ONLY: u16 = 725;
        const CONFLICT: u16 = 718;
        let map = |protocol: &str, external, lifetime| {
            self.http.call(&service.control, &service.map(protocol, external, (local, self.port), lifetime))
        };
        let mut last = String::new();
        for external in (0..=OTHERS).filter_map(|n| wished.checked_add(n)) {
            let mut lifetime = LIFETIME;
            let mut answer = map("TCP", external, lifetime);
            if matches!(answer, Err((PERMANENT_ONLY, _))) {
                lifetime = 0;
                answer = map("TCP", external, lifetime);
            }
            match answer {
                Ok(_) => {
                    let _ = map("UDP", external, lifetime);
                    let address = self.http.call(&service.control, &service.address()).ok();
                    let address = address.and_then(|answer| upnp::address(&answer)).map(IpAddr::V4);
                    return Ok(Granted { external, address, lifetime });
                }
                Err((code, words)) => {
                    last = words;
                    if code != CONFLICT || self.is_stopped() {
                        break;
                    }
                }
            }
        }
        Err(last)
    }

    // --- the end -----------------------------------------------------------------------------------

    fn unmap(&self, mapping: &Mapping) {
        match &mapping.way {
            Way::Upnp(service) => {
                let http = RouterHttp::new(self.bind, LAST_REQUEST);
                for protocol in ["TCP", "UDP"] {
                    if let Err((_, why)) = http.call(&service.control, &service.unmap(protocol, mapping.external)) {
                        log::info!("the mapping of {protocol} port {} may stay: {why}", mapping.external);
                    }
                }
            }
            way => self.take_back(way, mapping),
        }
    }

    /// One datagram for each transport, without waiting: who is gone can do no more, and the lifetime does the rest.
    fn take_back(&self, way: &Way, mapping: &Mapping) {
        let Ok(socket) = UdpSocket::bind((mapping.local, 0)) else { return };
        for transport in [Transport::Tcp, Transport::Udp] {
            let wish = self.wish(transport, 0, 0);
            let to = (mapping.router, nat::PORT);
            let sent = match way {
                Way::Pcp => socket.send_to(&nat::pcp_request(&wish, mapping.local.into(), self.nonce), to),
                _ => socket.send_to(&nat::pmp_request(&wish), to),
            };
            if let Err(why) = sent {
                log::info!("the mapping of port {} may stay: {why}", mapping.external);
            }
        }
    }
}

/// Why nothing came of a request.
enum Silence {
    /// Nobody answered, or in another protocol.
    Nothing,
    /// Somebody did.
    Word(String),
}

/// 100.64.0.0/10 lies behind the router of a provider (RFC 6598).
fn is_shared(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    a == 100 && b & 0xc0 == 64
}

/// Time enough for a thread of ours to end after its request was given up.
const _: () = assert!(2 * LAST_REQUEST.as_secs() < limits::SHUTDOWN.as_secs());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_router_is_asked_only_where_there_can_be_one() {
        assert!(is_sensible(None));
        assert!(is_sensible(Some("192.168.1.2".parse().unwrap())));
        for never in ["127.0.0.1", "127.4.5.6", "::1", "2001:db8::1"] {
            assert!(!is_sensible(Some(never.parse().unwrap())), "{never}");
        }
    }

    #[test]
    fn nobody_waits_for_routers_that_do_not_answer() {
        let crew = Crew::default();
        let (tell, told) = bounded(9);
        // No router is reached from there.
        let bind = Some(IpAddr::from([127, 0, 0, 1]));
        let ports = Ports::start(&crew, bind, 9, move |news| drop(tell.send(news))).unwrap();
        drop(ports);
        assert_eq!(crew.wait(Instant::now() + Duration::from_secs(60)), Vec::<String>::new());
        assert!(told.try_iter().all(|news| news == PortNews::Direct));
    }
}
