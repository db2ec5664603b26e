//! The state of the listening port, from what the router and incoming connections report.

use super::super::port_mapper::PortEvent;
use crate::api::{PortMapping, PortStatus};

/// Applies an event. Returns a notice for the user if the mapping has changed.
pub(super) fn on_event(status: &mut PortStatus, event: PortEvent) -> Option<String> {
    match event {
        PortEvent::Mapped { by: protocol, external, address } => {
            let mapping = PortMapping::Mapped { protocol, external };
            let new = std::mem::replace(&mut status.mapping, mapping.clone()) != mapping;
            let place = address.map_or_else(String::new, |ip| format!(" at {ip}"));
            new.then(|| format!("the router forwards port {external}{place} to us ({protocol})"))
        }
        PortEvent::Closed(why) => {
            let new = !matches!(status.mapping, PortMapping::Failed(_));
            let text = new.then(|| format!("port mapping failed: {why}"));
            status.mapping = PortMapping::Failed(why);
            text
        }
        PortEvent::Direct => {
            status.mapping = PortMapping::None;
            None
        }
        PortEvent::Reachable => {
            status.reached = true;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{MappingFailure, MappingProtocol, Reachability};

    #[test]
    fn a_change_of_the_mapping_is_said_once() {
        let mut it = PortStatus::default();
        let closed = || PortEvent::Closed(MappingFailure::NoGateway);
        let mapped = |external| PortEvent::Mapped { by: MappingProtocol::Upnp, external, address: None };
        let why = "port mapping failed: no PCP, NAT-PMP or UPnP gateway found";
        assert_eq!(on_event(&mut it, closed()).as_deref(), Some(why));
        assert_eq!(on_event(&mut it, closed()), None);
        assert_eq!((it.reach(), it.external()), (Reachability::Closed, None));
        let told = on_event(&mut it, mapped(6881));
        assert_eq!(told.as_deref(), Some("the router forwards port 6881 to us (UPnP)"));
        assert_eq!(on_event(&mut it, mapped(6881)), None);
        assert!(on_event(&mut it, mapped(7000)).is_some());
        assert_eq!((it.reach(), it.external()), (Reachability::Mapped, Some(7000)));
        assert_eq!(on_event(&mut it, PortEvent::Reachable), None);
        assert_eq!(it.reach(), Reachability::Open);
        assert_eq!(on_event(&mut it, PortEvent::Direct), None);
        assert_eq!((it.reach(), it.external()), (Reachability::Open, None));
    }
}
