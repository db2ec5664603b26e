//! Packets of uTP, read and given to a connection: nothing panics, and no more is held than the window.

use std::time::{Duration, Instant};

use ttui::swarm::utp::{Connection, Phase};
use ttui::wire::utp::{Header, Kind, Packet, is_utp_packet};

/// One input.
pub fn run(bytes: &[u8]) {
    let mut now = Instant::now();
    let syn = Header { kind: Kind::Syn, connection: 1, sent: 0, delay: 0, window: 1 << 20, seq: 0, ack: 0 };
    let mut link = Connection::accept(now, now, &syn, 1);
    let (mut rest, mut out, mut came) = (bytes, Vec::new(), 0);
    while let Some((&length, more)) = rest.split_first() {
        let (datagram, more) = more.split_at(usize::from(length).min(more.len()));
        if let Ok(packet) = Packet::decode(datagram) {
            assert!(is_utp_packet(datagram));
            link.received(now, &packet);
        }
        if link.phase() == Phase::Connected {
            let most = link.allows();
            link.send(now, &vec![0; most.min(5000)]);
        }
        came += link.ready().len();
        link.take(link.ready().len());
        now += Duration::from_millis(u64::from(length) * 10);
        link.flush(now, &mut out);
        out.clear();
        rest = more;
    }
    assert!(came <= bytes.len());
}
