//! Properties of local discovery's text: what is encoded comes back, and no datagram surprises the reader.

use std::net::IpAddr;

use proptest::collection::vec;
use proptest::prelude::*;
use ttui::wire::lsd::{COOKIE, DATAGRAM, GROUP_V4, GROUP_V6, HASHES, LsdAnnounce};
use ttui::wire::message::InfoHash;

fn group() -> impl Strategy<Value = IpAddr> {
    prop_oneof![Just(IpAddr::V4(GROUP_V4)), Just(IpAddr::V6(GROUP_V6))]
}

fn search() -> impl Strategy<Value = LsdAnnounce> {
    // Differing hashes: the last byte counts.
    let hashes = vec(any::<[u8; 19]>(), 1..=HASHES).prop_map(|all| {
        let hash = |(n, start): (usize, [u8; 19])| {
            let mut hash = [n as u8; 20];
            hash[..19].copy_from_slice(&start);
            InfoHash(hash)
        };
        all.into_iter().enumerate().map(hash).collect()
    });
    (1..=u16::MAX, hashes, "[0-9a-zA-Z]{0,64}").prop_map(|(port, info_hashes, cookie)| LsdAnnounce {
        port,
        info_hashes,
        cookie,
    })
}

/// Bytes that look like an announce here and there.
fn wild() -> impl Strategy<Value = Vec<u8>> {
    let words = prop_oneof![
        Just(b"BT-SEARCH * HTTP/1.1\r\n".to_vec()),
        Just(b"Port: 6881\r\n".to_vec()),
        Just(b"Port: 0\r\n".to_vec()),
        Just([b"Infohash: ".as_slice(), &[b'a'; 40], b"\r\n"].concat()),
        Just(b"cookie: x\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        vec(any::<u8>(), 0..40),
    ];
    vec(words, 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn what_is_said_is_heard(search in search(), group in group()) {
        let datagram = search.encode(group);
        prop_assert!(datagram.len() <= DATAGRAM, "{} bytes", datagram.len());
        prop_assert_eq!(LsdAnnounce::decode(&datagram), Ok(search));
    }

    #[test]
    fn too_much_is_cut_to_one_datagram(
        hashes in vec(any::<[u8; 20]>(), 0..200), cookie in ".{0,200}", port in any::<u16>(), group in group(),
    ) {
        let search = LsdAnnounce { port, info_hashes: hashes.into_iter().map(InfoHash).collect(), cookie };
        let datagram = search.encode(group);
        prop_assert!(datagram.len() <= DATAGRAM && datagram.is_ascii());
        if let Ok(read) = LsdAnnounce::decode(&datagram) {
            prop_assert!(read.port == port && search.info_hashes.starts_with(&read.info_hashes[..1]));
        } else {
            prop_assert!(port == 0 || search.info_hashes.is_empty());
        }
    }

    #[test]
    fn a_cut_datagram_never_says_what_was_not_said(search in search(), group in group(), at in any::<prop::sample::Index>()) {
        let datagram = search.encode(group);
        if let Ok(read) = LsdAnnounce::decode(&datagram[..at.index(datagram.len())]) {
            // A port may lose its last digits only when nothing follows it, and then there are no torrents.
            prop_assert_eq!(read.port, search.port);
            prop_assert!(search.info_hashes.starts_with(&read.info_hashes));
            prop_assert!(search.cookie.starts_with(&read.cookie));
        }
    }

    #[test]
    fn nothing_surprises_the_reader(datagram in wild()) {
        if let Ok(read) = LsdAnnounce::decode(&datagram) {
            prop_assert!(read.port != 0 && !read.info_hashes.is_empty() && read.cookie.len() <= COOKIE);
            let mut hashes = read.info_hashes.clone();
            hashes.sort_unstable();
            hashes.dedup();
            prop_assert_eq!(hashes.len(), read.info_hashes.len());
        }
    }
}
