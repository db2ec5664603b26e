//! Host name resolution (DNS) with a timeout and cancellation, which `getaddrinfo` does not offer. Each name is
//! resolved on its own thread; concurrent requests for the same name share it, and a thread that hangs is left
//! behind.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The maximum number of concurrent lookups. A lookup that hangs occupies its slot for about 30 s on most systems.
const AT_ONCE: usize = 256;
/// The stack size of a lookup thread. The system's resolver plug-ins may need more than our own threads.
const STACK: usize = 1024 * 1024;
/// The polling interval for cancellation.
const LOOK: Duration = Duration::from_millis(50);

/// The result of a lookup.
type Found = Result<Vec<IpAddr>, io::ErrorKind>;

/// Why a name was not resolved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ResolveError {
    /// The name does not exist or has no address.
    NotFound,
    /// The deadline passed.
    Timeout,
    /// The wait was canceled.
    Ended,
}

/// The resolver with its lookups in progress. Clones share the state.
#[derive(Clone, Debug, Default)]
pub(super) struct HostResolver(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    under_way: Mutex<HashMap<String, Arc<Mutex<Option<Found>>>>>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Mutex<Option<Found>>>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HostResolver {
    /// Resolves a name, blocking until `deadline` or until `ended` returns true. An IP address is returned as is.
    ///
    /// # Errors
    /// If the name does not exist, the deadline passes or the wait is canceled.
    pub(super) fn look_up(
        &self,
        name: &str,
        port: u16,
        deadline: Instant,
        ended: &dyn Fn() -> bool,
    ) -> Result<Vec<SocketAddr>, ResolveError> {
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        if let Ok(ip) = bare.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        let mut answer: Option<Arc<Mutex<Option<Found>>>> = None;
        let mut under_way = self.0.lock();
        loop {
            let found = answer.as_ref().and_then(|it| it.lock().unwrap_or_else(PoisonError::into_inner).clone());
            match found {
                Some(Ok(ips)) if !ips.is_empty() => {
                    return Ok(ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect());
                }
                Some(_) => return Err(ResolveError::NotFound),
                None => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if ended() {
                return Err(ResolveError::Ended);
            }
            if left.is_zero() {
                return Err(ResolveError::Timeout);
            }
            if answer.is_none() {
                answer = under_way.get(bare).cloned();
            }
            if answer.is_none() && under_way.len() < AT_ONCE {
                let slot = Arc::<Mutex<Option<Found>>>::default();
                if self.begin(bare.to_owned(), Arc::clone(&slot)).is_ok() {
                    under_way.insert(bare.to_owned(), Arc::clone(&slot));
                    answer = Some(slot);
                }
            }
            let wait = self.0.changed.wait_timeout(under_way, left.min(LOOK));
            under_way = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn begin(&self, name: String, slot: Arc<Mutex<Option<Found>>>) -> io::Result<()> {
        let shared = Arc::clone(&self.0);
        let work = move || {
            let found = (name.as_str(), 0).to_socket_addrs();
            let found = found.map(|all| all.map(|addr| addr.ip()).collect()).map_err(|e| e.kind());
            let mut under_way = shared.lock();
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
            under_way.remove(&name);
            drop(under_way);
            shared.changed.notify_all();
        };
        thread::Builder::new().name("name".to_owned()).stack_size(STACK).spawn(work).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_need_no_look_up_and_names_are_found() {
        let names = HostResolver::default();
        let soon = Instant::now() + Duration::from_secs(60);
        for (host, port) in [("127.0.0.1", 80), ("[::1]", 6969), ("203.0.113.9", 1)] {
            let found = names.look_up(host, port, soon, &|| false).unwrap();
            assert_eq!(found, [SocketAddr::new(host.trim_matches(['[', ']']).parse().unwrap(), port)]);
        }
        let found = names.look_up("localhost", 7, soon, &|| false).unwrap();
        assert!(!found.is_empty() && found.iter().all(|addr| addr.ip().is_loopback() && addr.port() == 7));
        assert!(names.0.lock().is_empty(), "what is found is not under way");
    }

    #[test]
    fn a_wait_ends_when_it_is_told_or_its_time_is_up() {
        let names = HostResolver::default();
        let slot = Arc::<Mutex<Option<Found>>>::default();
        names.0.lock().insert("hangs".to_owned(), Arc::clone(&slot));
        let far = Instant::now() + Duration::from_secs(3600);
        assert_eq!(names.look_up("hangs", 1, far, &|| true), Err(ResolveError::Ended));
        assert_eq!(names.look_up("hangs", 1, Instant::now(), &|| false), Err(ResolveError::Timeout));
        *slot.lock().unwrap() = Some(Err(io::ErrorKind::NotFound));
        assert_eq!(names.look_up("hangs", 1, far, &|| false), Err(ResolveError::NotFound));
    }
}
