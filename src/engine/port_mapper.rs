//! Port mapping on the router: PCP (RFC 6887), then NAT-PMP (RFC 6886), then UPnP IGD. A thread requests the mapping,
//! renews it and deletes it on shutdown. Nothing is sent unless the thread is started.
//!
//! Crates that were looked at: `crab_nat` (PCP, NAT-PMP) and `portmapper` (all three) are made of tokio tasks. `igd-next`
//! (UPnP) brings a second HTTP client, or tokio and hyper, and parses XML from the network into a tree. With them the
//! codecs, some 500 lines, would go. What would be lost: one thread that needs no runtime, requests that are canceled at
//! shutdown, the local address that everything is sent from, and the refusal of routers outside the local network.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};

use super::announce::error::RouterError;
use super::announce::router::RouterHttp;
use super::threads::ThreadGroup;
use crate::api::{MappingFailure, MappingProtocol};
use crate::limits;
use crate::wire::address::{is_internal, is_local};
use crate::wire::port_mapping::{self, MappingError, MappingRequest, MappingResponse, Transport};
use crate::wire::upnp::{self, Service};

/// The requested lifetime of a mapping, in seconds. After a crash, the mapping expires within this time.
const LIFETIME: u32 = 3600;
/// The minimum time between two renewals, whatever lifetime the router grants.
const RENEW_LEAST: Duration = Duration::from_secs(30);
/// The initial and the maximum retry interval after all protocols have failed.
const RETRY: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(1800));
/// Timeouts for a NAT-PMP or PCP response, doubled each time (RFC 6886, 3.1). Fewer than in the RFC, because the
/// router is close.
const TRIES: [Duration; 3] = [Duration::from_millis(250), Duration::from_millis(500), Duration::from_millis(1000)];
/// How long SSDP responses are awaited.
const SEARCH: Duration = Duration::from_millis(2500);
/// The timeout of one HTTP request to the router, and of the requests on shutdown.
const REQUEST: Duration = Duration::from_secs(4);
const LAST_REQUEST: Duration = Duration::from_secs(1);
/// The longest wait between two checks whether to stop.
const STEP: Duration = Duration::from_millis(250);
/// The maximum number of UPnP devices whose description is fetched.
const DEVICES: usize = 8;
/// How many following external ports are tried if ours is taken on the router.
const OTHERS: u16 = 8;

/// A change of the port's reachability.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum PortEvent {
    /// The router forwards the port.
    Mapped {
        by: MappingProtocol,
        /// The external port.
        external: u16,
        /// The external address, if known.
        address: Option<IpAddr>,
    },
    /// No mapping could be made.
    Closed(MappingFailure),
    /// No mapping is needed: our address is public, or there is no default route.
    Direct,
    /// An incoming connection from a public address was accepted.
    Reachable,
}

/// Handle of the mapping thread. Dropping it deletes the mapping.
pub(crate) struct PortMapper {
    _stop: Sender<()>,
    http: RouterHttp,
}

impl Drop for PortMapper {
    fn drop(&mut self) {
        self.http.end();
    }
}

impl PortMapper {
    /// Starts the thread for this TCP and UDP port. `bind` is the local address to use, instead of any.
    ///
    /// # Errors
    /// If the thread cannot be spawned.
    pub(crate) fn start(
        crew: &ThreadGroup,
        bind: Option<IpAddr>,
        port: u16,
        tell: impl Fn(PortEvent) + Send + 'static,
    ) -> io::Result<PortMapper> {
        let (stop, stopped) = bounded(0);
        let http = RouterHttp::new(bind, REQUEST);
        let nonce = std::array::from_fn(|_| fastrand::u8(..));
        let work = Work { bind, port, nonce, http: http.clone(), stopped };
        crew.spawn("ports".to_owned(), move || work.run(&tell), |_| ())?;
        Ok(PortMapper { _stop: stop, http })
    }
}

/// Returns whether mapping a port makes sense for this bind address: not for loopback or IPv6.
#[must_use]
pub(crate) fn is_sensible(bind: Option<IpAddr>) -> bool {
    bind.is_none_or(|ip| ip.is_ipv4() && !ip.is_loopback())
}

/// An active mapping.
struct Mapping {
    way: Gateway,
    router: Ipv4Addr,
    local: Ipv4Addr,
    external: u16,
    address: Option<IpAddr>,
    lifetime: u32,
}

#[derive(Clone)]
enum Gateway {
    Pcp,
    NatPmp,
    Upnp(Service),
}

impl Gateway {
    const fn protocol(&self) -> MappingProtocol {
        match self {
            Gateway::Pcp => MappingProtocol::Pcp,
            Gateway::NatPmp => MappingProtocol::NatPmp,
            Gateway::Upnp(_) => MappingProtocol::Upnp,
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
    fn run(self, tell: &dyn Fn(PortEvent)) {
        let mut held: Option<Mapping> = None;
        let mut retry = RETRY.0;
        loop {
            let wait = match self.map(held.as_ref()) {
                Ok(Some(mapping)) => {
                    let Mapping { external, address, lifetime, .. } = mapping;
                    tell(PortEvent::Mapped { by: mapping.way.protocol(), external, address });
                    held = Some(mapping);
                    retry = RETRY.0;
                    // A permanent mapping is renewed too, because the router may lose it in a restart.
                    Duration::from_secs(u64::from(if lifetime == 0 { LIFETIME } else { lifetime })) / 2
                }
                Ok(None) => {
                    tell(PortEvent::Direct);
                    RETRY.1
                }
                Err(why) => {
                    held = None;
                    tell(PortEvent::Closed(why));
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

    fn wish(&self, transport: Transport, external: u16, lifetime: u32) -> MappingRequest {
        MappingRequest { transport, internal: self.port, external, lifetime }
    }

    /// Requests a mapping, preferring the external port and the UPnP service of the last one. `None` if none is
    /// needed.
    fn map(&self, held: Option<&Mapping>) -> Result<Option<Mapping>, MappingFailure> {
        let Some((router, local)) = self.gateway_and_local_ip() else { return Ok(None) };
        if !is_internal(local.into()) {
            return Ok(None);
        }
        let external = held.map_or(self.port, |held| held.external);
        let granted = |way, granted: MappingResponse| {
            let MappingResponse { external, address, lifetime } = granted;
            Mapping { way, router, local, external, address, lifetime }
        };
        let mut failure = MappingFailure::NoGateway;
        let mut refused = |protocol, message| failure = MappingFailure::Refused { protocol, message };
        for way in [Gateway::Pcp, Gateway::NatPmp] {
            match self.ask(&way, router, local, external, LIFETIME) {
                Ok(it) => return Ok(Some(granted(way, it))),
                Err(NoReply::Failed(why)) => refused(way.protocol(), why),
                Err(NoReply::Nothing) => {}
            }
            if self.is_stopped() {
                return Err(MappingFailure::Stopped);
            }
        }
        let known = held.and_then(|held| if let Gateway::Upnp(it) = &held.way { Some(it.clone()) } else { None });
        for service in known.into_iter().chain(self.search(local)) {
            match self.call(&service, local, external) {
                Ok(it) => return Ok(Some(granted(Gateway::Upnp(service), it))),
                Err(why) => refused(MappingProtocol::Upnp, why.to_string()),
            }
        }
        // Reports the UPnP error if there is one, because most routers support UPnP.
        Err(failure)
    }

    /// Returns the default gateway and our address on its network.
    fn gateway_and_local_ip(&self) -> Option<(Ipv4Addr, Ipv4Addr)> {
        let own = match self.bind {
            Some(IpAddr::V4(ip)) if !ip.is_loopback() => Some(ip),
            Some(_) => return None,
            None => None,
        };
        let table = std::fs::read_to_string("/proc/thread-self/net/route").unwrap_or_default();
        let local = |to: Ipv4Addr| {
            let socket = UdpSocket::bind((own.unwrap_or(Ipv4Addr::UNSPECIFIED), 0)).ok()?;
            // Connecting a UDP socket consults the routing table and sends no packet.
            socket.connect((to, port_mapping::PORT)).ok()?;
            match socket.local_addr().ok()?.ip() {
                IpAddr::V4(ip) if !ip.is_unspecified() => Some(ip),
                _ => None,
            }
        };
        match port_mapping::default_router(&table) {
            Some(router) => Some((router, local(router)?)),
            // Without that table (not Linux), assume that the router has the first address of the network.
            None if cfg!(not(target_os = "linux")) => {
                let ip = own.or_else(|| local(Ipv4Addr::new(192, 0, 2, 1)))?;
                let [a, b, c, _] = ip.octets();
                Some((Ipv4Addr::new(a, b, c, 1), ip))
            }
            None => None,
        }
    }

    // --- PCP and NAT-PMP ---------------------------------------------------------------------------

    /// Requests mappings for TCP and UDP; the result is that of TCP.
    fn ask(
        &self,
        way: &Gateway,
        router: Ipv4Addr,
        local: Ipv4Addr,
        external: u16,
        lifetime: u32,
    ) -> Result<MappingResponse, NoReply> {
        let socket = UdpSocket::bind((local, 0)).and_then(|socket| {
            socket.connect((router, port_mapping::PORT))?;
            Ok(socket)
        });
        let socket = socket.map_err(|e| NoReply::Failed(e.to_string()))?;
        let one = |transport, external| {
            let wish = self.wish(transport, external, lifetime);
            match way {
                Gateway::Pcp => {
                    let request = port_mapping::pcp_request(&wish, local.into(), self.nonce);
                    self.exchange(&socket, &request, |answer| {
                        port_mapping::decode_pcp_response(answer, &wish, self.nonce)
                    })
                }
                _ => {
                    let request = port_mapping::pmp_request(&wish);
                    self.exchange(&socket, &request, |answer| port_mapping::decode_pmp_response(answer, &wish))
                }
            }
        };
        let mut granted = one(Transport::Tcp, external)?;
        let _ = one(Transport::Udp, granted.external);
        if granted.address.is_none() && lifetime > 0 {
            let address = self.exchange(&socket, &port_mapping::PMP_ADDRESS, port_mapping::pmp_address).ok();
            granted.address = address.map(IpAddr::V4);
        }
        Ok(granted)
    }

    /// Sends a request, with retransmissions, until a response arrives.
    fn exchange<T>(
        &self,
        socket: &UdpSocket,
        request: &[u8],
        read: impl Fn(&[u8]) -> Result<T, MappingError>,
    ) -> Result<T, NoReply> {
        let mut answer = [0; port_mapping::ANSWER];
        for time in TRIES {
            socket.send(request).map_err(|_| NoReply::Nothing)?;
            let until = Instant::now() + time;
            while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
                let wait = socket.set_read_timeout(Some(left.min(STEP)));
                match wait.and_then(|()| socket.recv(&mut answer)) {
                    Ok(n) => match read(&answer[..n]) {
                        Err(MappingError::Unrelated) => {}
                        // The router supports only the other protocol's version.
                        Err(MappingError::Version) => return Err(NoReply::Nothing),
                        other => return other.map_err(|why| NoReply::Failed(why.to_string())),
                    },
                    Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => return Err(NoReply::Nothing),
                    Err(_) if self.is_stopped() => return Err(NoReply::Nothing),
                    Err(_) => {}
                }
            }
        }
        Err(NoReply::Nothing)
    }

    // --- UPnP --------------------------------------------------------------------------------------

    /// Returns the UPnP services of the routers that respond to an SSDP search.
    fn search(&self, local: Ipv4Addr) -> Vec<Service> {
        let found = self.search_from(local).unwrap_or_default();
        let ask = |url: &url::Url| upnp::service(&self.http.get(url).ok()?, url);
        found.iter().filter_map(ask).collect()
    }

    fn search_from(&self, local: Ipv4Addr) -> io::Result<Vec<url::Url>> {
        let socket = UdpSocket::bind((local, 0))?;
        // Send the multicast search through the interface of our address.
        socket2::SockRef::from(&socket).set_multicast_if_v4(&local)?;
        let mut found: Vec<url::Url> = Vec::new();
        let mut answer = [0; 2048];
        let until = Instant::now() + SEARCH;
        for search in upnp::ssdp_requests() {
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
            // Only responses from local addresses are trusted.
            let url = upnp::location(&answer[..n], *from.ip()).filter(|_| is_local((*from.ip()).into()));
            if let Some(url) = url.filter(|url| !found.contains(url) && found.len() < DEVICES) {
                found.push(url);
            }
        }
        Ok(found)
    }

    /// Requests a mapping from a UPnP service, on a following external port if the requested one is taken.
    fn call(&self, service: &Service, local: Ipv4Addr, wished: u16) -> Result<MappingResponse, RouterError> {
        const PERMANENT_ONLY: u16 = 725;
        const CONFLICT: u16 = 718;
        let map = |protocol: &str, external, lifetime| {
            self.http
                .call(&service.control, &service.add_port_mapping(protocol, external, (local, self.port), lifetime))
        };
        let mut last = RouterError::Client(String::new());
        for external in (0..=OTHERS).filter_map(|n| wished.checked_add(n)) {
            let mut lifetime = LIFETIME;
            let mut answer = map("TCP", external, lifetime);
            if answer.as_ref().is_err_and(|why| why.code() == Some(PERMANENT_ONLY)) {
                lifetime = 0;
                answer = map("TCP", external, lifetime);
            }
            match answer {
                Ok(_) => {
                    let _ = map("UDP", external, lifetime);
                    let address = self.http.call(&service.control, &service.address()).ok();
                    let address = address.and_then(|answer| upnp::address(&answer)).map(IpAddr::V4);
                    return Ok(MappingResponse { external, address, lifetime });
                }
                Err(why) => {
                    let conflict = why.code() == Some(CONFLICT);
                    last = why;
                    if !conflict || self.is_stopped() {
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
            Gateway::Upnp(service) => {
                let http = RouterHttp::new(self.bind, LAST_REQUEST);
                for protocol in ["TCP", "UDP"] {
                    if let Err(why) =
                        http.call(&service.control, &service.delete_port_mapping(protocol, mapping.external))
                    {
                        tracing::info!("the mapping of {protocol} port {} may stay: {why}", mapping.external);
                    }
                }
            }
            way => self.delete_mappings(way, mapping),
        }
    }

    /// Sends one delete request per transport without awaiting a response. If a request is lost, the mapping expires.
    fn delete_mappings(&self, way: &Gateway, mapping: &Mapping) {
        let Ok(socket) = UdpSocket::bind((mapping.local, 0)) else { return };
        for transport in [Transport::Tcp, Transport::Udp] {
            let wish = self.wish(transport, 0, 0);
            let to = (mapping.router, port_mapping::PORT);
            let sent = match way {
                Gateway::Pcp => socket.send_to(&port_mapping::pcp_request(&wish, mapping.local.into(), self.nonce), to),
                _ => socket.send_to(&port_mapping::pmp_request(&wish), to),
            };
            if let Err(why) = sent {
                tracing::info!("the mapping of port {} may stay: {why}", mapping.external);
            }
        }
    }
}

/// Why a NAT-PMP or PCP request failed.
enum NoReply {
    /// No response, or an unsupported protocol version.
    Nothing,
    /// The router or the system reported this error.
    Failed(String),
}

// The delete requests must fit into the time for shutdown.
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
        let crew = ThreadGroup::default();
        let (tell, told) = bounded(9);
        // No router is reachable from a loopback address.
        let bind = Some(IpAddr::from([127, 0, 0, 1]));
        let ports = PortMapper::start(&crew, bind, 9, move |news| drop(tell.send(news))).unwrap();
        drop(ports);
        assert_eq!(crew.wait(Instant::now() + Duration::from_secs(60)), Vec::<String>::new());
        assert!(told.try_iter().all(|news| news == PortEvent::Direct));
    }
}
