//! Properties of what is spoken with routers and web servers: no bytes surprise a decoder, and nothing that a stranger
//! names leads elsewhere.

#![allow(clippy::unwrap_used)]

use std::net::Ipv4Addr;

use proptest::collection::vec;
use proptest::prelude::*;
use ttui::wire::port_mapping::{self, MappingRequest, Transport};
use ttui::wire::{upnp, web_seed};
use url::Url;

const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);

fn wish() -> impl Strategy<Value = MappingRequest> {
    let transport = prop_oneof![Just(Transport::Tcp), Just(Transport::Udp)];
    (transport, any::<u16>(), any::<u16>(), any::<u32>()).prop_map(|(transport, internal, external, lifetime)| {
        MappingRequest { transport, internal, external, lifetime }
    })
}

/// Text that looks like what devices say, in any order and cut anywhere.
fn device_text() -> impl Strategy<Value = String> {
    let kind = "urn:schemas-upnp-org:service:WANIPConnection:1";
    let part = prop_oneof![
        Just("<service>".to_owned()),
        Just("</service>".to_owned()),
        Just(format!("<serviceType>{kind}</serviceType>")),
        Just("<controlURL>".to_owned()),
        Just("</controlURL>".to_owned()),
        Just("<errorCode>718</errorCode>".to_owned()),
        Just("<URLBase>http://10.0.0.9/</URLBase>".to_owned()),
        prop_oneof![
            Just("/ctl"),
            Just("http://10.0.0.9/x"),
            Just("//evil.example/x"),
            Just("http://192.168.1.1@evil.example/x"),
            Just("file:///etc/passwd"),
            Just("\\\\evil.example\\x"),
        ]
        .prop_map(str::to_owned),
        ".{0,8}",
    ];
    (vec(part, 0..30), any::<prop::sample::Index>()).prop_map(|(parts, cut)| {
        let text = parts.concat();
        let chars = text.chars().count();
        text.chars().take(cut.index(chars + 1)).collect()
    })
}

proptest! {
    #[test]
    fn no_answer_of_a_router_surprises(wish in wish(), nonce in any::<[u8; 12]>(), bytes in vec(any::<u8>(), 0..80)) {
        let _ = port_mapping::decode_pcp_response(&bytes, &wish, nonce);
        let _ = port_mapping::pmp_address(&bytes);
        if let Ok(granted) = port_mapping::decode_pmp_response(&bytes, &wish) {
            prop_assert_eq!(granted.external.to_be_bytes(), [bytes[10], bytes[11]]);
        }
    }

    #[test]
    fn a_granted_wish_is_read_back(wish in wish(), nonce in any::<[u8; 12]>(), external in any::<u16>()) {
        let mut answer = port_mapping::pcp_request(&wish, ROUTER.into(), nonce);
        answer[1] = 129;
        answer[42..44].copy_from_slice(&external.to_be_bytes());
        // What stands where the answer has its code is ours to fill in a request.
        answer[3] = 0;
        let granted = port_mapping::decode_pcp_response(&answer, &wish, nonce).unwrap();
        prop_assert_eq!((granted.external, granted.lifetime), (external, wish.lifetime));
    }

    #[test]
    fn no_description_leads_away_from_the_router(text in device_text()) {
        let at = Url::parse("http://192.168.1.1:5000/d.xml").unwrap();
        if let Some(service) = upnp::service(&text, &at) {
            prop_assert_eq!(service.control.host_str(), Some("192.168.1.1"));
            prop_assert_eq!(service.control.scheme(), "http");
        }
        let _ = (upnp::error(&text), upnp::address(&text));
        if let Some(url) = upnp::location(format!("HTTP/1.1 200 OK\r\nLOCATION: {text}\r\n\r\n").as_bytes(), ROUTER) {
            prop_assert_eq!(url.host_str(), Some("192.168.1.1"));
        }
    }

    #[test]
    fn no_name_of_a_file_leads_out_of_its_folder(parts in vec(vec(any::<u8>(), 0..12), 1..5), dots in any::<bool>()) {
        let mut parts = parts;
        if dots {
            parts.push(b"..".to_vec());
        }
        let path = web_seed::percent_encode_path(parts.iter().map(Vec::as_slice));
        prop_assert!(!dots || path.is_none());
        if let Some(path) = path {
            let url = Url::parse(&web_seed::file_url("http://h.example/base/", true, &path)).unwrap();
            prop_assert!(url.path().starts_with("/base/") && url.query().is_none() && url.fragment().is_none(), "{url}");
            prop_assert_eq!(url.path().matches('/').count(), 1 + parts.len());
        }
    }

    #[test]
    fn ranges_that_are_read_make_sense(text in "(bytes )?[0-9]{0,21}-[0-9]{0,21}/[0-9*]{0,21}") {
        if let Some(web_seed::ContentRange { first, last, total }) = web_seed::content_range(&text) {
            prop_assert!(first <= last && total.is_none_or(|total| last < total));
        }
    }
}
