//! Properties of the tracker codecs: what is encoded comes back, and no bytes surprise a decoder.

#![allow(clippy::unwrap_used)]

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use ttui::limits;
use ttui::wire::message::{InfoHash, PeerId};
use ttui::wire::tracker::server::{
    AnnounceQuery, ServerAnnounceResponse, encode_announce_response, encode_failure, encode_scrape, parse_scrape,
};
use ttui::wire::tracker::udp::{Reply, Request, UdpAnnounce};
use ttui::wire::tracker::{
    Announce, AnnounceEvent, AnnounceIdentity, AnnounceResponse, ResponseError, Retry, ScrapeCounts, announce_url,
    can_be_peer, decode_announce_response, decode_scrape, public_url, scrape_url,
};

fn hash() -> impl Strategy<Value = InfoHash> {
    any::<[u8; 20]>().prop_map(InfoHash)
}

fn event() -> impl Strategy<Value = AnnounceEvent> {
    use AnnounceEvent::{Completed, None, Started, Stopped};
    prop_oneof![Just(None), Just(Started), Just(Completed), Just(Stopped)]
}

fn v4() -> impl Strategy<Value = SocketAddr> {
    (any::<u32>(), any::<u16>()).prop_map(|(ip, port)| (Ipv4Addr::from(ip), port).into())
}

fn v6() -> impl Strategy<Value = SocketAddr> {
    // Not mapped from version 4: those come back as version 4, on purpose.
    (any::<u128>(), any::<u16>()).prop_map(|(ip, port)| (Ipv6Addr::from(ip | 1 << 127), port).into())
}

fn counts() -> impl Strategy<Value = ScrapeCounts> {
    let n = || 0..=i32::MAX as u32;
    (n(), n(), n()).prop_map(|(seeds, downloaded, leechers)| ScrapeCounts { seeds, downloaded, leechers })
}

fn asker() -> impl Strategy<Value = AnnounceIdentity> {
    (hash(), any::<[u8; 20]>(), 1..=u16::MAX, any::<u32>()).prop_map(|(info_hash, id, port, key)| AnnounceIdentity {
        info_hash,
        peer_id: PeerId(id),
        port,
        key,
    })
}

fn announce(url: &'static str) -> impl Strategy<Value = Announce> {
    let id = proptest::option::of(vec(any::<u8>(), 0..40));
    (event(), any::<u64>(), any::<u64>(), any::<u64>(), 0..1000u32, id).prop_map(
        move |(event, uploaded, downloaded, left, num_want, tracker_id)| Announce {
            url: url.into(),
            event,
            uploaded,
            downloaded,
            left,
            num_want,
            tracker_id,
        },
    )
}

fn udp_request() -> impl Strategy<Value = Request> {
    let announce = (announce("udp://t"), asker(), "[!-~]{0,600}")
        .prop_map(|(ask, asker, path)| UdpAnnounce::new(&ask, &asker, &path));
    prop_oneof![
        any::<u32>().prop_map(|transaction| Request::Connect { transaction }),
        (any::<u64>(), any::<u32>(), announce).prop_map(|(connection, transaction, announce)| Request::Announce {
            connection,
            transaction,
            announce
        }),
        (any::<u64>(), any::<u32>(), vec(hash(), 1..=74)).prop_map(|(connection, transaction, info_hashes)| {
            Request::Scrape { connection, transaction, info_hashes }
        }),
    ]
}

proptest! {
    #[test]
    fn a_query_says_to_the_tracker_what_the_client_meant(ask in announce("http://t/announce?a=1"), asker in asker()) {
        let url = announce_url(&ask, &asker).unwrap();
        prop_assert!(url.is_ascii() && !url.contains(char::is_whitespace));
        let query = AnnounceQuery::parse(url.split_once('?').unwrap().1).unwrap();
        prop_assert_eq!((query.info_hash, query.peer_id), (asker.info_hash, asker.peer_id));
        prop_assert_eq!((query.port, query.left, query.event), (asker.port, ask.left, ask.event));
        prop_assert_eq!((query.num_want, query.compact), (Some(ask.num_want), true));
    }

    #[test]
    fn an_answer_over_http_survives_in_both_forms(
        peers4 in vec(v4(), 0..60),
        peers6 in vec(v6(), 0..60),
        numbers in any::<[u16; 4]>(),
        compact in any::<bool>(),
        no_peer_id in any::<bool>(),
    ) {
        let [interval_s, min_interval_s, seeds, leechers] = numbers.map(u32::from);
        let all: Vec<SocketAddr> = peers4.into_iter().chain(peers6).collect();
        let peers = all.iter().map(|addr| (*addr, PeerId(*b"-XX0100-abcdefghijkl"))).collect();
        let answer = ServerAnnounceResponse { interval_s, min_interval_s, seeds, leechers, peers };
        let query = AnnounceQuery {
            info_hash: InfoHash([1; 20]),
            peer_id: PeerId([2; 20]),
            port: 1,
            left: 0,
            event: AnnounceEvent::None,
            num_want: None,
            compact,
            no_peer_id,
        };
        let reply = decode_announce_response(&encode_announce_response(&answer, &query)).unwrap();
        let expected = AnnounceResponse {
            external: None,
            interval: Some(Duration::from_secs(interval_s.into())),
            min_interval: Some(Duration::from_secs(min_interval_s.into())),
            seeds: Some(seeds),
            leechers: Some(leechers),
            completed: None,
            peers: all.into_iter().filter(can_be_peer).collect(),
            named_peers: Vec::new(),
            warning: None,
            tracker_id: None,
        };
        prop_assert_eq!(reply, expected);
    }

    #[test]
    fn a_refusal_survives(reason in "[ -~]{1,100}") {
        let refused = ResponseError::Refused { reason: reason.clone(), retry: Retry::Unspecified };
        prop_assert_eq!(decode_announce_response(&encode_failure(&reason)), Err(refused));
    }

    #[test]
    fn a_scrape_over_http_survives(files in proptest::collection::btree_map(hash(), counts(), 0..20), other in hash()) {
        let files: Vec<_> = files.into_iter().collect();
        let body = encode_scrape(&files);
        for (hash, counts) in &files {
            prop_assert_eq!(decode_scrape(&body, hash), Ok(Some(*counts)));
            let url = scrape_url("http://t/announce", hash).unwrap();
            prop_assert_eq!(parse_scrape(url.split_once('?').unwrap().1), vec![*hash]);
        }
        if !files.iter().any(|(hash, _)| *hash == other) {
            prop_assert_eq!(decode_scrape(&body, &other), Ok(None));
        }
    }

    #[test]
    fn udp_requests_survive_and_their_beginnings_are_refused(request in udp_request()) {
        let packet = request.encode();
        let least = match &request {
            Request::Connect { .. } => 16,
            Request::Announce { .. } => 98,
            Request::Scrape { .. } => 36,
        };
        prop_assert_eq!(Request::decode(&packet), Some(request));
        for cut in 0..least {
            prop_assert_eq!(Request::decode(&packet[..cut]), None);
        }
    }

    #[test]
    fn udp_replies_survive(
        transaction in any::<u32>(),
        connection in any::<u64>(),
        counts in vec(counts(), 0..=74),
        peers4 in vec(v4(), 0..250),
        peers6 in vec(v6(), 0..250),
        message in "[ -~]{0,200}",
        interval in 0..=i32::MAX as u32,
    ) {
        for (v6, peers) in [(false, peers4), (true, peers6)] {
            let interval = Some(Duration::from_secs(interval.into()));
            let (seeds, leechers) = (Some(5), Some(7));
            let mut reply = AnnounceResponse { interval, seeds, leechers, peers, ..AnnounceResponse::default() };
            let packet = Reply::Announce { transaction, reply: reply.clone() }.encode(v6);
            reply.peers.retain(can_be_peer);
            reply.peers.truncate(limits::PEERS_PER_REPLY);
            prop_assert_eq!(Reply::decode(&packet, v6), Some(Reply::Announce { transaction, reply }));
            for reply in [
                Reply::Connect { transaction, connection },
                Reply::Scrape { transaction, counts: counts.clone() },
                Reply::Error { transaction, message: message.clone() },
            ] {
                let packet = reply.encode(v6);
                prop_assert_eq!(reply.transaction(), transaction);
                prop_assert_eq!(Reply::decode(&packet, v6), Some(reply));
            }
        }
    }

    #[test]
    fn no_bytes_surprise_a_decoder(bytes in vec(any::<u8>(), 0..400), text in any::<String>()) {
        let _ = decode_announce_response(&bytes);
        let _ = decode_scrape(&bytes, &InfoHash([0; 20]));
        let _ = Request::decode(&bytes);
        let _ = Reply::decode(&bytes, false);
        let _ = Reply::decode(&bytes, true);
        let _ = AnnounceQuery::parse(&text);
        let _ = parse_scrape(&text);
        prop_assert!(public_url(&text).chars().all(|c| c.is_ascii_graphic()));
    }

    #[test]
    fn bytes_that_look_like_a_reply_do_not_surprise_either(
        key in prop_oneof![Just("peers"), Just("peers6"), Just("interval"), Just("failure reason"), Just("complete")],
        value in prop_oneof![
            any::<i64>().prop_map(|n| format!("i{n}e").into_bytes()),
            vec(any::<u8>(), 0..100).prop_map(|b| [format!("{}:", b.len()).into_bytes(), b].concat()),
            Just(b"ld2:ip3:::14:porti-1eee".to_vec()),
            Just(b"d1:ai1ee".to_vec()),
        ],
        cut in 0..200usize,
    ) {
        let mut body = format!("d{}:{key}", key.len()).into_bytes();
        body.extend_from_slice(&value);
        body.push(b'e');
        if let Ok(reply) = decode_announce_response(&body) {
            prop_assert!(reply.peers.iter().all(can_be_peer));
        }
        let _ = decode_announce_response(&body[..cut.min(body.len())]);
    }
}
