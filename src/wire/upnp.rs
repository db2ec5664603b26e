//! UPnP port mapping (Internet Gateway Device): SSDP search, device description, and SOAP requests.
//!
//! XML from the network is searched for a few elements and never parsed into a tree, so that deep nesting cannot
//! exhaust the stack.

use std::fmt::Write;
use std::net::Ipv4Addr;

use url::Url;

use crate::wire::sanitize::sanitize;

/// SSDP multicast group and port.
pub const GROUP: (Ipv4Addr, u16) = (Ipv4Addr::new(239, 255, 255, 250), 1900);
/// Maximum size of a received XML document in bytes.
pub const DOCUMENT: u64 = 256 * 1024;
/// Service types that map ports, in order of preference.
const SERVICES: [&str; 3] = [
    "urn:schemas-upnp-org:service:WANIPConnection:2",
    "urn:schemas-upnp-org:service:WANIPConnection:1",
    "urn:schemas-upnp-org:service:WANPPPConnection:1",
];
/// Device types to search for.
const DEVICES: [&str; 2] =
    ["urn:schemas-upnp-org:device:InternetGatewayDevice:1", "urn:schemas-upnp-org:device:InternetGatewayDevice:2"];

/// A port mapping service of a router.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Service {
    /// Service type, as required in SOAP requests.
    pub kind: &'static str,
    /// Control URL, to which SOAP requests are sent.
    pub control: Url,
}

/// A SOAP request to a service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SoapRequest {
    /// Value of the `SOAPAction` header.
    pub action: String,
    /// XML body.
    pub body: String,
}

/// Returns the `M-SEARCH` datagrams of an SSDP search.
#[must_use]
pub fn ssdp_requests() -> Vec<String> {
    let (ip, port) = GROUP;
    let search = |device: &&str| {
        format!("M-SEARCH * HTTP/1.1\r\nHOST: {ip}:{port}\r\nMAN: \"ssdp:discover\"\r\nMX: 2\r\nST: {device}\r\n\r\n")
    };
    DEVICES.iter().map(search).collect()
}

/// Returns the URL of the device description from an SSDP response.
///
/// `None` unless the URL points to `from`, the address that sent the response, so that a forged response cannot
/// direct the request to another host.
#[must_use]
pub fn location(answer: &[u8], from: Ipv4Addr) -> Option<Url> {
    let text = std::str::from_utf8(answer).ok()?;
    let mut lines = text.lines();
    lines.next().filter(|first| first.starts_with("HTTP/1.") && first.contains(" 200"))?;
    let value = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("location").then(|| value.trim().to_owned())
    };
    let url = Url::parse(&lines.find_map(value)?).ok()?;
    is_of(&url, from).then_some(url)
}

fn is_of(url: &Url, ip: Ipv4Addr) -> bool {
    url.scheme() == "http" && url.host_str().and_then(|host| host.parse::<Ipv4Addr>().ok()) == Some(ip)
}

/// Returns the preferred port mapping service in a device description that was fetched from `at`.
#[must_use]
pub fn service(description: &str, at: &Url) -> Option<Service> {
    let ip = at.host_str()?.parse().ok()?;
    let base = element(description, "URLBase").and_then(|base| Url::parse(&base).ok());
    let base = base.filter(|base| is_of(base, ip)).unwrap_or_else(|| at.clone());
    let all = elements(description, "service");
    let found = |kind: &'static str| {
        let fits = |text: &&str| element(text, "serviceType").as_deref() == Some(kind);
        let control = base.join(&element(all.clone().find(fits)?, "controlURL")?).ok()?;
        is_of(&control, ip).then_some(Service { kind, control })
    };
    SERVICES.into_iter().find_map(found)
}

impl Service {
    fn call(&self, action: &str, arguments: &[(&str, &str)]) -> SoapRequest {
        let mut body = format!(
            "<?xml version=\"1.0\"?>\r\n<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body><u:{action} xmlns:u=\"{}\">",
            self.kind
        );
        for (name, value) in arguments {
            let _ = write!(body, "<{name}>{value}</{name}>");
        }
        let _ = write!(body, "</u:{action}></s:Body></s:Envelope>\r\n");
        SoapRequest { action: format!("\"{}#{action}\"", self.kind), body }
    }

    /// Returns the request to map a port.
    ///
    /// `protocol` is `TCP` or `UDP`. `lifetime` is in seconds, 0 for a mapping that does not expire.
    #[must_use]
    pub fn add_port_mapping(
        &self,
        protocol: &str,
        external: u16,
        internal: (Ipv4Addr, u16),
        lifetime: u32,
    ) -> SoapRequest {
        let (ip, port) = internal;
        self.call(
            "AddPortMapping",
            &[
                ("NewRemoteHost", ""),
                ("NewExternalPort", &external.to_string()),
                ("NewProtocol", protocol),
                ("NewInternalPort", &port.to_string()),
                ("NewInternalClient", &ip.to_string()),
                ("NewEnabled", "1"),
                ("NewPortMappingDescription", "ttui"),
                ("NewLeaseDuration", &lifetime.to_string()),
            ],
        )
    }

    /// Returns the request to delete a mapping.
    #[must_use]
    pub fn delete_port_mapping(&self, protocol: &str, external: u16) -> SoapRequest {
        let port = external.to_string();
        self.call("DeletePortMapping", &[("NewRemoteHost", ""), ("NewExternalPort", &port), ("NewProtocol", protocol)])
    }

    /// Returns the request for the external address.
    #[must_use]
    pub fn address(&self) -> SoapRequest {
        self.call("GetExternalIPAddress", &[])
    }
}

/// Parses the external address in the response to [`Service::address`].
#[must_use]
pub fn address(answer: &str) -> Option<Ipv4Addr> {
    element(answer, "NewExternalIPAddress")?.parse().ok()
}

/// A SOAP fault: UPnP error code and description.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SoapFault {
    pub code: u16,
    /// Sanitized.
    pub message: String,
}

/// Parses a SOAP fault.
#[must_use]
pub fn error(answer: &str) -> Option<SoapFault> {
    let code = element(answer, "errorCode")?.parse().ok()?;
    Some(SoapFault { code, message: sanitize(&element(answer, "errorDescription").unwrap_or_default(), 60) })
}

/// Iterates over the contents of all elements with this name; ignores attributes, comments and nesting.
fn elements<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> + Clone {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = text;
    std::iter::from_fn(move || {
        let from = rest.find(&open)? + open.len();
        let inner = &rest[from..];
        let to = inner.find(&close)?;
        rest = &inner[to + close.len()..];
        Some(&inner[..to])
    })
}

/// Returns the unescaped content of the first element with this name.
fn element(text: &str, name: &str) -> Option<String> {
    let raw = elements(text, name).next()?.trim();
    let plain = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    Some(plain.iter().fold(raw.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);

    #[test]
    fn a_device_is_believed_about_itself_only() {
        let answer = |url: &str| format!("HTTP/1.1 200 OK\r\nST: x\r\nLocation: {url}\r\nUSN: y\r\n\r\n").into_bytes();
        let url = "http://192.168.1.1:5000/rootDesc.xml";
        assert_eq!(location(&answer(url), ROUTER).unwrap().as_str(), url);
        for other in ["http://192.168.1.9/x", "https://192.168.1.1/x", "http://example.org/x", "file:///etc/x", ""] {
            assert_eq!(location(&answer(other), ROUTER), None, "{other}");
        }
        assert_eq!(location(b"NOTIFY * HTTP/1.1\r\nLocation: http://192.168.1.1/x\r\n\r\n", ROUTER), None);
        assert_eq!(location(b"\xff", ROUTER), None);
    }

    fn description(kind: &str, control: &str) -> String {
        format!(
            "<root><device><serviceList><service><serviceType>urn:x:Layer3Forwarding:1</serviceType>\
             <controlURL>/wrong</controlURL></service></serviceList><deviceList><device><serviceList><service>\
             <serviceType> {kind} </serviceType><SCPDURL>/s.xml</SCPDURL><controlURL>{control}</controlURL></service>\
             </serviceList></device></deviceList></device></root>"
        )
    }

    #[test]
    fn the_service_is_found_and_called() {
        let at = Url::parse("http://192.168.1.1:5000/d/rootDesc.xml").unwrap();
        let it = service(&description(SERVICES[1], "/ctl/IP?a=1&amp;b=2"), &at).unwrap();
        assert_eq!((it.kind, it.control.as_str()), (SERVICES[1], "http://192.168.1.1:5000/ctl/IP?a=1&b=2"));
        let call = it.add_port_mapping("TCP", 6881, (Ipv4Addr::new(192, 168, 1, 7), 6882), 3600);
        assert_eq!(call.action, "\"urn:schemas-upnp-org:service:WANIPConnection:1#AddPortMapping\"");
        for part in [
            "<NewExternalPort>6881</NewExternalPort>",
            "<NewInternalPort>6882</NewInternalPort>",
            "<NewInternalClient>192.168.1.7</NewInternalClient>",
            "<NewLeaseDuration>3600</NewLeaseDuration>",
        ] {
            assert!(call.body.contains(part), "{part}");
        }
        assert!(service(&description(SERVICES[1], "http://10.0.0.9/x"), &at).is_none(), "elsewhere");
        assert!(service(&description("urn:other", "/x"), &at).is_none());
        assert!(service(&"<service>".repeat(100_000), &at).is_none());
    }

    #[test]
    fn answers_are_read() {
        let fault = "<s:Fault><detail><UPnPError><errorCode>718</errorCode><errorDescription>Conflict\x1b[2J\
            </errorDescription></UPnPError></detail></s:Fault>";
        let SoapFault { code, message: words } = error(fault).unwrap();
        assert!(code == 718 && words.starts_with("Conflict") && !words.contains('\x1b'));
        assert_eq!(error("<u:AddPortMappingResponse/>"), None);
        let answer = "<NewExternalIPAddress>203.0.113.7</NewExternalIPAddress>";
        assert_eq!(address(answer), Some(Ipv4Addr::new(203, 0, 113, 7)));
    }
}
