//! What routers say: no answer of NAT-PMP, PCP or UPnP panics a reader or leads elsewhere than to the router.

use std::net::Ipv4Addr;

use ttui::wire::port_mapping::{self, MappingRequest, Transport};
use ttui::wire::sanitize::{CharHazard, hazard};
use ttui::wire::upnp;
use url::Url;

const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);

/// One input.
pub fn run(bytes: &[u8]) {
    let wish = MappingRequest { transport: Transport::Tcp, internal: 6881, external: 6881, lifetime: 3600 };
    let _ = (port_mapping::decode_pmp_response(bytes, &wish), port_mapping::pmp_address(bytes));
    // The start of an answer that is asked for, so that more of it is read.
    let mut pcp = port_mapping::pcp_request(&wish, ROUTER.into(), [7; 12]).to_vec();
    (pcp[1], pcp[3]) = (129, 0);
    let n = bytes.len().min(pcp.len());
    let from = pcp.len() - n;
    pcp[from..].copy_from_slice(&bytes[..n]);
    let _ = (
        port_mapping::decode_pcp_response(bytes, &wish, [7; 12]),
        port_mapping::decode_pcp_response(&pcp, &wish, [7; 12]),
    );
    let host = |url: &Url| assert!(url.scheme() == "http" && url.host_str() == Some("192.168.1.1"), "{url}");
    upnp::location(bytes, ROUTER).iter().for_each(host);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let said = format!("HTTP/1.1 200 OK\r\nLOCATION: {text}\r\n\r\n");
    upnp::location(said.as_bytes(), ROUTER).iter().for_each(host);
    let at = Url::parse("http://192.168.1.1:5000/d.xml").unwrap();
    upnp::service(text, &at).iter().for_each(|service| host(&service.control));
    if let Some(upnp::SoapFault { message: words, .. }) = upnp::error(text) {
        assert!(words.chars().all(|c| hazard(c) == CharHazard::None), "{words:?}");
    }
    let _ = (upnp::address(text), port_mapping::default_router(text));
}
