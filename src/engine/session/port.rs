//! What is known of our port: whether peers can call us, and how that is said.

use std::sync::atomic::Ordering;

use super::super::ports::PortNews;
use super::Desk;
use crate::swarm::event::Reach;

impl Desk {
    /// Something was found out about the port.
    pub(super) fn port_news(&mut self, news: PortNews) {
        if let Some(text) = self.port.hear(news) {
            self.notice(None, text);
        }
        // So that the torrents learn of it.
        self.reshare = true;
        self.it.world.outside.store(self.port.outside().unwrap_or(0), Ordering::Relaxed);
    }
}

/// What the router and the callers have told.
#[derive(Default)]
pub(super) struct Port {
    /// By which protocol, and under which number outside.
    mapped: Option<(&'static str, u16)>,
    /// Why not.
    closed: Option<String>,
    called: bool,
    /// The number outside.
    outside: Option<u16>,
}

impl Port {
    /// Takes in what was found out; a sentence where a person should hear of it.
    pub(super) fn hear(&mut self, news: PortNews) -> Option<String> {
        match news {
            PortNews::Mapped { by, external, address } => {
                let new = self.mapped.replace((by, external)) != Some((by, external));
                self.closed = None;
                self.outside = Some(external);
                let place = address.map_or_else(String::new, |ip| format!(" at {ip}"));
                new.then(|| format!("the router forwards port {external}{place} to us ({by})"))
            }
            PortNews::Closed(why) => {
                let new = self.mapped.take().is_some() || self.closed.is_none();
                self.outside = None;
                let text = new.then(|| format!("the port is not mapped: {why}"));
                self.closed = Some(why);
                text
            }
            PortNews::Direct => {
                (self.mapped, self.closed, self.outside) = (None, None, None);
                None
            }
            PortNews::Called => {
                self.called = true;
                None
            }
        }
    }

    /// Whether peers outside can call us.
    pub(super) const fn reach(&self) -> Reach {
        match (self.called, &self.mapped, &self.closed) {
            (true, ..) => Reach::Open,
            (false, Some(_), _) => Reach::Mapped,
            (false, None, Some(_)) => Reach::Closed,
            (false, None, None) => Reach::Unknown,
        }
    }

    /// The port to tell others, if a router forwards one.
    pub(super) const fn outside(&self) -> Option<u16> {
        self.outside
    }

    /// What is said of the port; `listening` is what became of the socket, as `listening on port 6881`.
    pub(super) fn words(&self, listening: &str) -> String {
        let Some(rest) = listening.strip_prefix("listening on port ") else { return listening.to_owned() };
        let by = self.mapped.map_or_else(String::new, |(by, external)| match rest.split(':').next() {
            Some(own) if own == external.to_string() => format!(" ({by})"),
            _ => format!(" ({by}, outside {external})"),
        });
        match (self.reach(), &self.closed) {
            (Reach::Open, _) => format!("open on port {rest}{by}"),
            (Reach::Mapped, _) => format!("mapped on port {rest}{by}"),
            (Reach::Closed, Some(why)) => format!("closed on port {rest}: {why}"),
            _ => listening.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_open_mapped_or_closed_and_why() {
        let mut it = Port::default();
        let plain = "listening on port 6881";
        assert_eq!((it.reach(), it.words(plain).as_str()), (Reach::Unknown, plain));
        let why = "no router answers PCP, NAT-PMP or UPnP";
        assert_eq!(it.hear(PortNews::Closed(why.into())).unwrap(), format!("the port is not mapped: {why}"));
        assert_eq!(it.hear(PortNews::Closed(why.into())), None, "said once");
        assert_eq!(it.words(plain), format!("closed on port 6881: {why}"));
        let mapped = |external| PortNews::Mapped { by: "UPnP", external, address: None };
        assert!(it.hear(mapped(6881)).is_some() && it.hear(mapped(6881)).is_none());
        assert_eq!((it.reach(), it.words(plain).as_str()), (Reach::Mapped, "mapped on port 6881 (UPnP)"));
        it.hear(mapped(7000));
        let taken = "listening on port 6882: 6881 is taken";
        assert_eq!(it.words(taken), "mapped on port 6882: 6881 is taken (UPnP, outside 7000)");
        assert_eq!(it.outside(), Some(7000));
        it.hear(PortNews::Called);
        assert_eq!((it.reach(), it.words(plain).as_str()), (Reach::Open, "open on port 6881 (UPnP, outside 7000)"));
        it.hear(PortNews::Direct);
        assert_eq!(it.words(plain), "open on port 6881");
        assert_eq!(it.words("peers cannot reach us: x"), "peers cannot reach us: x");
    }
}
