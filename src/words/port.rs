//! The status of the listening port.

use crate::api::{Listening, PortMapping, PortStatus};
use crate::swarm::status::Reachability;

/// Returns whether the port listens: `listening on port 6881`. Empty before the start.
#[must_use]
pub fn listening(listening: &Listening) -> String {
    match listening {
        Listening::Starting => String::new(),
        Listening::On { port, instead_of: None } => format!("listening on port {port}"),
        Listening::On { port, instead_of: Some(taken) } => format!("listening on port {port}: {taken} is taken"),
        Listening::Failed { port, error } => format!("peers cannot reach us: listening on port {port} failed: {error}"),
    }
}

/// Returns the status of the port, the longest form first: `port 6881 mapped (UPnP)`, `port 6881 mapped`, `port mapped`.
#[must_use]
pub fn forms(status: &PortStatus) -> Vec<String> {
    let (port, instead_of) = match &status.listening {
        Listening::Starting => return vec!["starting".to_owned()],
        Listening::Failed { .. } => return vec![format!("no port: {}", listening(&status.listening))],
        Listening::On { port, instead_of } => (*port, *instead_of),
    };
    let taken = instead_of.map_or_else(String::new, |taken| format!(": {taken} is taken"));
    let by = match status.mapping {
        PortMapping::Mapped { protocol, external } if external == port => format!(" ({protocol})"),
        PortMapping::Mapped { protocol, external } => format!(" ({protocol}, outside {external})"),
        PortMapping::None | PortMapping::Failed(_) => String::new(),
    };
    let (word, rest) = match (status.reach(), &status.mapping) {
        (Reachability::Open, _) => ("open", format!("{taken}{by}")),
        (Reachability::Mapped, _) => ("mapped", format!("{taken}{by}")),
        (Reachability::Closed, PortMapping::Failed(why)) => ("closed", format!("{taken}: {why}")),
        (Reachability::Closed | Reachability::Unknown, _) => ("listening", taken),
    };
    let short = if word == "listening" { format!("port {port}") } else { format!("port {word}") };
    vec![format!("port {port} {word}{rest}"), format!("port {port} {word}"), short]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{MappingFailure, MappingProtocol};

    #[test]
    fn the_port_is_open_mapped_or_closed_and_why() {
        let on = |port, instead_of| Listening::On { port, instead_of };
        let mapped = |external| PortMapping::Mapped { protocol: MappingProtocol::Upnp, external };
        let failed = |why| PortMapping::Failed(why);
        let refused = MappingFailure::Refused { protocol: MappingProtocol::Pcp, message: "no".into() };
        for (listening, mapping, reached, whole, short) in [
            (Listening::Starting, PortMapping::None, false, "starting", "starting"),
            (on(6881, None), PortMapping::None, false, "port 6881 listening", "port 6881"),
            (on(6882, Some(6881)), PortMapping::None, false, "port 6882 listening: 6881 is taken", "port 6882"),
            (on(6881, None), mapped(6881), false, "port 6881 mapped (UPnP)", "port mapped"),
            (
                on(6882, Some(6881)),
                mapped(7000),
                false,
                "port 6882 mapped: 6881 is taken (UPnP, outside 7000)",
                "port mapped",
            ),
            (on(6881, None), mapped(7000), true, "port 6881 open (UPnP, outside 7000)", "port open"),
            (on(6881, None), PortMapping::None, true, "port 6881 open", "port open"),
            (
                on(6881, None),
                failed(MappingFailure::NoGateway),
                false,
                "port 6881 closed: no PCP, NAT-PMP or UPnP gateway found",
                "port closed",
            ),
            (on(6881, None), failed(refused), false, "port 6881 closed: PCP: no", "port closed"),
            (on(6881, None), failed(MappingFailure::NoGateway), true, "port 6881 open", "port open"),
        ] {
            let forms = forms(&PortStatus { listening, mapping, reached });
            assert_eq!((forms[0].as_str(), forms[forms.len() - 1].as_str()), (whole, short));
        }
        let failed = Listening::Failed { port: 6881, error: "address in use".into() };
        let forms = forms(&PortStatus { listening: failed, ..PortStatus::default() });
        assert_eq!(forms, ["no port: peers cannot reach us: listening on port 6881 failed: address in use"]);
    }
}
