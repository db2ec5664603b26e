//! The state of the listening port: whether peers can connect to it, and its description for the user.

use super::super::port_mapper::PortEvent;
use crate::swarm::quota::Reachability;

/// Port mapping and reachability, as reported by the router and by incoming connections.
#[derive(Default)]
pub(super) struct PortStatus {
    /// Mapping protocol and external port.
    mapped: Option<(&'static str, u16)>,
    /// Why the port is not mapped.
    closed: Option<String>,
    called: bool,
    /// External port of the mapping.
    outside: Option<u16>,
}

impl PortStatus {
    /// Applies an event. Returns a notice for the user if the state has changed.
    pub(super) fn on_event(&mut self, news: PortEvent) -> Option<String> {
        match news {
            PortEvent::Mapped { by, external, address } => {
                let new = self.mapped.replace((by, external)) != Some((by, external));
                self.closed = None;
                self.outside = Some(external);
                let place = address.map_or_else(String::new, |ip| format!(" at {ip}"));
                new.then(|| format!("the router forwards port {external}{place} to us ({by})"))
            }
            PortEvent::Closed(why) => {
                let new = self.mapped.take().is_some() || self.closed.is_none();
                self.outside = None;
                let text = new.then(|| format!("port mapping failed: {why}"));
                self.closed = Some(why);
                text
            }
            PortEvent::Direct => {
                (self.mapped, self.closed, self.outside) = (None, None, None);
                None
            }
            PortEvent::Reachable => {
                self.called = true;
                None
            }
        }
    }

    /// Returns whether peers outside the local network can connect.
    pub(super) const fn reach(&self) -> Reachability {
        match (self.called, &self.mapped, &self.closed) {
            (true, ..) => Reachability::Open,
            (false, Some(_), _) => Reachability::Mapped,
            (false, None, Some(_)) => Reachability::Closed,
            (false, None, None) => Reachability::Unknown,
        }
    }

    /// Returns the external port to announce, if a router maps one.
    pub(super) const fn outside(&self) -> Option<u16> {
        self.outside
    }

    /// Returns the port status for display; `listening` is the listener's status, such as `listening on port 6881`.
    pub(super) fn describe(&self, listening: &str) -> String {
        let Some(rest) = listening.strip_prefix("listening on port ") else { return listening.to_owned() };
        let by = self.mapped.map_or_else(String::new, |(by, external)| match rest.split(':').next() {
            Some(own) if own == external.to_string() => format!(" ({by})"),
            _ => format!(" ({by}, outside {external})"),
        });
        match (self.reach(), &self.closed) {
            (Reachability::Open, _) => format!("open on port {rest}{by}"),
            (Reachability::Mapped, _) => format!("mapped on port {rest}{by}"),
            (Reachability::Closed, Some(why)) => format!("closed on port {rest}: {why}"),
            _ => listening.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_open_mapped_or_closed_and_why() {
        let mut it = PortStatus::default();
        let plain = "listening on port 6881";
        assert_eq!((it.reach(), it.describe(plain).as_str()), (Reachability::Unknown, plain));
        let why = "no PCP, NAT-PMP or UPnP gateway found";
        assert_eq!(it.on_event(PortEvent::Closed(why.into())).unwrap(), format!("port mapping failed: {why}"));
        assert_eq!(it.on_event(PortEvent::Closed(why.into())), None, "said once");
        assert_eq!(it.describe(plain), format!("closed on port 6881: {why}"));
        let mapped = |external| PortEvent::Mapped { by: "UPnP", external, address: None };
        assert!(it.on_event(mapped(6881)).is_some() && it.on_event(mapped(6881)).is_none());
        assert_eq!((it.reach(), it.describe(plain).as_str()), (Reachability::Mapped, "mapped on port 6881 (UPnP)"));
        it.on_event(mapped(7000));
        let taken = "listening on port 6882: 6881 is taken";
        assert_eq!(it.describe(taken), "mapped on port 6882: 6881 is taken (UPnP, outside 7000)");
        assert_eq!(it.outside(), Some(7000));
        it.on_event(PortEvent::Reachable);
        assert_eq!(
            (it.reach(), it.describe(plain).as_str()),
            (Reachability::Open, "open on port 6881 (UPnP, outside 7000)")
        );
        it.on_event(PortEvent::Direct);
        assert_eq!(it.describe(plain), "open on port 6881");
        assert_eq!(it.describe("peers cannot reach us: x"), "peers cannot reach us: x");
    }
}
