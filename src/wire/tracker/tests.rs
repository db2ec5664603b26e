use super::*;

fn ask(url: &str) -> Announce {
    Announce {
        url: url.into(),
        event: AnnounceEvent::Started,
        uploaded: 1,
        downloaded: 2,
        left: 3,
        num_want: 50,
        tracker_id: None,
    }
}

const ASKER: AnnounceIdentity = AnnounceIdentity {
    info_hash: InfoHash([0xf0; 20]),
    peer_id: PeerId(*b"-TU0100-abcdefghijkl"),
    port: 6881,
    key: 0xbeef,
};

#[test]
fn queries_keep_what_the_url_has() {
    let ours = "info_hash=%F0%F0%F0%F0%F0%F0%F0%F0%F0%F0%F0%F0%F0%F0%F0%F0%F0%F0%F0%F0\
        &peer_id=-TU0100-abcdefghijkl&port=6881&uploaded=1&downloaded=2&left=3&compact=1&no_peer_id=1&numwant=50\
        &key=0000beef&event=started";
    for (url, before) in [
        ("http://t/announce", "http://t/announce?"),
        ("http://t/announce?key=1", "http://t/announce?key=1&"),
        ("http://t/announce?", "http://t/announce?"),
        ("http://t/a?x=1&#part", "http://t/a?x=1&"),
    ] {
        assert_eq!(announce_url(&ask(url), &ASKER), Ok(format!("{before}{ours}")));
    }
    let with_id = Announce { tracker_id: Some(b"a b".to_vec()), event: AnnounceEvent::None, ..ask("http://t/") };
    assert!(announce_url(&with_id, &ASKER).is_ok_and(|url| url.ends_with("&key=0000beef&trackerid=a%20b")));
}

#[test]
fn urls_that_are_no_line_of_a_request_are_refused() {
    for url in ["http://t/a\r\nX: 1", "http://t/a b", "http://t/\x1b[2J", "http://\u{430}/"] {
        assert_eq!(announce_url(&ask(url), &ASKER), Err(UrlError::Character), "{url:?}");
    }
    assert_eq!(announce_url(&ask("http://t/x?info_hash=1"), &ASKER), Err(UrlError::InfoHash));
    let long = format!("http://t/{}", "a".repeat(65536));
    assert_eq!(announce_url(&ask(&long), &ASKER), Err(UrlError::Long(long.len())));
}

#[test]
fn scrape_urls_follow_the_convention() {
    let hash = "info_hash=%F0%F0%F0%F0%F0%F0%F0%F0%F0%F0%F0%F0%F0%F0%F0%F0%F0%F0%F0%F0";
    for (url, scrape) in [
        ("http://t/announce", Some("http://t/scrape?")),
        ("http://t/x/announce", Some("http://t/x/scrape?")),
        ("http://t/announce.php", Some("http://t/scrape.php?")),
        ("http://t/announce?x2/4", Some("http://t/scrape?x2/4&")),
        ("http://t/a", None),
        ("http://t/announce?x=2/4/announce", Some("http://t/scrape?x=2/4/announce&")),
        ("http://t/x%064announce", None),
    ] {
        let expected = scrape.map(|url| format!("{url}{hash}")).ok_or(UrlError::NoScrape);
        assert_eq!(scrape_url(url, &ASKER.info_hash), expected, "{url}");
    }
}

#[test]
fn every_shape_of_a_reply_is_read() {
    let one: SocketAddr = "127.0.0.1:258".parse().unwrap();
    let six: SocketAddr = "[::1]:258".parse().unwrap();
    let seconds = |s| Some(Duration::from_secs(s));
    let none = AnnounceResponse::default();
    let named = |text: &str| HostPort::parse(text).unwrap();
    let peers = |peers: &[SocketAddr]| AnnounceResponse { peers: peers.to_vec(), ..AnnounceResponse::default() };
    let cases: Vec<(&[u8], AnnounceResponse)> = vec![
        (b"de", none.clone()),
        (b"\n d5:peers0:e\r\n", none.clone()),
        (b"d8:intervali1800e5:peers0:e", AnnounceResponse { interval: seconds(1800), ..none.clone() }),
        (b"d8:interval4:18005:peerslee", AnnounceResponse { interval: seconds(1800), ..none.clone() }),
        (b"d8:intervali-5ee", none.clone()),
        (b"d5:peers6:\x7f\0\0\x01\x01\x02e", peers(&[one])),
        (b"d5:peers8:\x7f\0\0\x01\x01\x02\x7f\0e", peers(&[one])),
        (b"d6:peers618:\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x01\x02e", peers(&[six])),
        (b"d6:peers618:\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\x01\x01\x02e", peers(&[one])),
        (b"d5:peersld2:ip9:127.0.0.14:porti258eed2:ip3:::14:port3:258eee", peers(&[one, six])),
        (b"d5:peersld2:ip1:\xff4:porti258eed2:ip9:127.0.0.14:porti99999eed4:porti1eei5eee", none.clone()),
        (
            b"d5:peersld2:ip9:localhost4:porti258eed2:ip10:LocalHost.4:porti258eed2:ip3:a b4:porti1eed2:ip1:a4:port1:7eee",
            AnnounceResponse { named_peers: ["localhost:258", "a:7"].map(named).to_vec(), ..none.clone() },
        ),
        (b"d5:peersld2:ip5:[::1]4:porti258eed2:ip10:21307064334:porti1eeee", peers(&[six])),
        (b"d5:peers12:\x7f\0\0\x01\0\0\xff\xff\xff\xff\x01\x01e", none.clone()),
        (b"d8:completei5e10:incompletei-1ee", AnnounceResponse { seeds: Some(5), ..none.clone() }),
        (b"d11:external ip4:\x01\x02\x03\x04e", AnnounceResponse { external: Some([1, 2, 3, 4].into()), ..none.clone() }),
        (b"d11:external ip3:abce", none.clone()),
        (b"d10:downloadedi9ee", AnnounceResponse { completed: Some(9), ..none.clone() }),
        (
            b"d12:min intervali7e10:tracker id2:xye",
            AnnounceResponse { min_interval: seconds(7), tracker_id: Some(b"xy".to_vec()), ..none.clone() },
        ),
        (b"d15:warning message6:so\x1b[2Je", AnnounceResponse { warning: Some("so\u{fffd}[2J".into()), ..none.clone() }),
        (b"d8:intervalle5:peersi5e8:completedee", none.clone()),
    ];
    for (body, expected) in cases {
        let got = decode_announce_response(body);
        assert_eq!(got, Ok(expected), "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn refusals_are_clean_and_short() {
    let mut body = b"d14:failure reason".to_vec();
    body.extend_from_slice(b"1000000:\x1b]0;x\x07");
    body.resize(body.len() + 1_000_000 - 6, b'a');
    body.push(b'e');
    let Err(ResponseError::Refused { reason: text, .. }) = decode_announce_response(&body) else {
        panic!("not a refusal")
    };
    assert!(text.chars().count() <= limits::TRACKER_TEXT && !text.contains(|c: char| c.is_control()));
    assert!(matches!(decode_announce_response(b"d14:failure reason0:e"), Err(ResponseError::Refused { .. })));
    for body in [&b"<html>"[..], b"", b"i5e", b"le", b"\x1f\x8b\x08", b"d5:peers9999999999:e"] {
        assert_eq!(decode_announce_response(body), Err(ResponseError::NotATracker));
    }
}

#[test]
fn a_flood_of_addresses_is_cut() {
    let mut body = b"d5:peers600000:".to_vec();
    (0..100_000u32).for_each(|n| body.extend_from_slice(&[10, (n >> 16) as u8, (n >> 8) as u8, n as u8, 26, 225]));
    body.push(b'e');
    assert_eq!(decode_announce_response(&body).map(|reply| reply.peers.len()), Ok(limits::PEERS_PER_REPLY));
}

#[test]
fn secrets_do_not_show() {
    for (url, shown) in [
        ("udp://t:80/announce", "udp://t:80/announce"),
        ("http://me:pw@t/announce", "http://t/announce"),
        ("http://t/abcdefghij0123456789/announce?passkey=77", "http://t/***/announce?***"),
        ("http://[::1]:6969/announce.php", "http://[::1]:6969/announce.php"),
        ("no url \x1b", "no?url??"),
    ] {
        assert_eq!(public_url(url), shown);
    }
}

#[test]
fn a_refusal_tells_when_to_ask_again_and_its_warning() {
    let minutes = |n: u64| Retry::After(Duration::from_secs(60 * n));
    for (more, retry) in [
        ("", Retry::Unspecified),
        ("8:retry in5:never", Retry::Never),
        ("8:retry in7: Never ", Retry::Never),
        ("8:retry ini2e", minutes(2)),
        ("8:retry in2:15", minutes(15)),
        ("8:retry ini0e", Retry::Unspecified),
        ("8:retry ini-3e", Retry::Unspecified),
        ("8:retry in4:soon", Retry::Unspecified),
        ("8:intervali600e", minutes(10)),
        ("12:min intervali1200e", minutes(20)),
        ("8:intervali600e12:min intervali1200e", minutes(20)),
        ("8:intervali600e8:retry ini1e", minutes(1)),
        ("8:intervali600e8:retry in5:never", Retry::Never),
    ] {
        let body = format!("d14:failure reason4:busy{more}e");
        let refused = ResponseError::Refused { reason: "busy".into(), retry };
        assert_eq!(decode_announce_response(body.as_bytes()), Err(refused), "{more}");
    }
    let body = b"d14:failure reason4:busy15:warning message4:soone";
    let error = AnnounceError::from(decode_announce_response(body).unwrap_err());
    assert_eq!(error, AnnounceError::new("it says: busy (warning: soon)"));
}
