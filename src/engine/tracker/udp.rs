//! UDP server of the embedded tracker (BEP 15). A connection id is a keyed hash of the address and the time, so it
//! proves the source address without any state per client.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::shared::Shared;
use super::store::{AnnounceCall, WANTED_MAX};
use crate::wire::tracker::AnnounceResponse;
use crate::wire::tracker::udp::{PACKET, Reply, Request, UdpAnnounce};

/// A connection id is valid in this time window and the two after it: two to three minutes.
const WINDOW: Duration = Duration::from_secs(60);
/// How often a thread without packets checks whether the tracker stops.
const LOOK: Duration = Duration::from_secs(1);
/// The pause after an unknown socket error, so that a persistent one does not spin.
const BREATH: Duration = Duration::from_millis(10);
/// The maximum number of IPv6 peers that fit into an unfragmented packet.
const WANTED_V6: usize = 64;

/// Creates and checks the connection ids of one tracker.
struct ConnectionIds {
    key: RandomState,
    began: Instant,
}

impl ConnectionIds {
    fn window(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.began).as_secs() / WINDOW.as_secs()
    }

    fn make(&self, host: IpAddr, window: u64) -> u64 {
        self.key.hash_one((host, window))
    }

    fn good(&self, id: u64, host: IpAddr, now: Instant) -> bool {
        let window = self.window(now);
        (window.saturating_sub(2)..=window).any(|window| self.make(host, window) == id)
    }
}

/// Answers packets until the tracker stops.
pub(super) fn serve(shared: &Shared, socket: &UdpSocket) {
    let ids = ConnectionIds { key: RandomState::new(), began: Instant::now() };
    let _ = socket.set_read_timeout(Some(LOOK));
    let mut packet = [0; PACKET];
    while !shared.stopping() {
        match socket.recv_from(&mut packet) {
            Ok((length, from)) => {
                if let Some(reply) = answer(shared, &ids, &packet[..length], from, Instant::now()) {
                    let _ = socket.send_to(&reply.encode(from.is_ipv6()), from);
                }
            }
            // A timeout, or an ICMP error caused by an earlier response: the socket is still usable.
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(e) if matches!(e.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted) => {}
            Err(e) => {
                tracing::debug!("the tracker cannot read a packet: {e}");
                std::thread::sleep(BREATH);
            }
        }
    }
}

fn answer(shared: &Shared, ids: &ConnectionIds, packet: &[u8], from: SocketAddr, now: Instant) -> Option<Reply> {
    let host = from.ip().to_canonical();
    let Some(request) = Request::decode(packet) else {
        Shared::count(&shared.refused);
        return None;
    };
    let refuse = |transaction, message: &str| {
        Shared::count(&shared.refused);
        Some(Reply::Error { transaction, message: message.into() })
    };
    match request {
        Request::Connect { transaction } => {
            Some(Reply::Connect { transaction, connection: ids.make(host, ids.window(now)) })
        }
        Request::Announce { connection, transaction, .. } | Request::Scrape { connection, transaction, .. }
            if !ids.good(connection, host, now) =>
        {
            refuse(transaction, "Connection ID missmatch.")
        }
        Request::Announce { transaction, announce, .. } if announce.port == 0 => {
            refuse(transaction, "port is not between 1 and 65535")
        }
        Request::Announce { transaction, announce, .. } => {
            let call = call(&announce, SocketAddr::new(host, announce.port), from.is_ipv6());
            match shared.announce(&call) {
                Ok(answer) => {
                    let reply = AnnounceResponse {
                        interval: Some(Duration::from_secs(answer.interval_s.into())),
                        seeds: Some(answer.seeds),
                        leechers: Some(answer.leechers),
                        peers: answer.peers.into_iter().map(|(addr, _)| addr).collect(),
                        ..AnnounceResponse::default()
                    };
                    Some(Reply::Announce { transaction, reply })
                }
                Err(reason) => refuse(transaction, &reason.to_string()),
            }
        }
        Request::Scrape { transaction, info_hashes, .. } => {
            Shared::count(&shared.scrapes);
            let store = shared.store();
            let counts = |hash| store.scrape(hash).unwrap_or_default();
            Some(Reply::Scrape { transaction, counts: info_hashes.iter().map(counts).collect() })
        }
    }
}

fn call(announce: &UdpAnnounce, addr: SocketAddr, v6: bool) -> AnnounceCall {
    let most = if v6 { WANTED_V6 } else { WANTED_MAX } as u32;
    AnnounceCall {
        info_hash: announce.info_hash,
        peer_id: announce.peer_id,
        addr,
        left: announce.left,
        event: announce.event,
        num_want: announce.num_want.map(|n| n.min(most)),
        same_family: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_ids_belong_to_an_address_and_a_time() {
        let began = Instant::now();
        let ids = ConnectionIds { key: RandomState::new(), began };
        let [mine, other]: [IpAddr; 2] = ["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()];
        let at = |s| began + Duration::from_secs(s);
        let id = ids.make(mine, ids.window(at(59)));
        for good in [59, 60, 119, 179] {
            assert!(ids.good(id, mine, at(good)), "{good} s");
        }
        assert!(!ids.good(id, mine, at(180)));
        assert!(!ids.good(id, other, at(59)));
        assert!(!ids.good(id ^ 1, mine, at(59)));
    }
}
