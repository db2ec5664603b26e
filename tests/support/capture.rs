//! What went over a bridge of the test: packets by tcpdump, the datagrams and streams in them.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use super::network::Net;
use super::process::{Process, until};

/// A capture under way.
pub struct Capture {
    process: Process,
    file: PathBuf,
}

/// Seconds since 1970 that a packet passed at.
pub type Time = f64;

/// A datagram.
pub struct Datagram {
    pub at: Time,
    pub from: SocketAddr,
    pub data: Vec<u8>,
}

/// One direction of a connection.
pub struct Stream {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub data: Vec<u8>,
    /// When the bytes from each place on passed.
    times: Vec<(usize, Time)>,
}

impl Stream {
    /// When the byte at this place passed.
    pub fn at(&self, place: usize) -> Time {
        let after = self.times.partition_point(|(start, _)| *start <= place);
        self.times[after.saturating_sub(1)].1
    }
}

impl Capture {
    /// Begins to listen to all that passes a bridge.
    pub fn start(net: &Net, home: &Path) -> Capture {
        let file = home.join("capture");
        let name = file.display().to_string();
        let args = ["-i", "bridge", "-w", &name, "-s", "0", "-B", "32768", "-U", "-Z", "root"].map(str::to_owned);
        let process = Process::start(net.hub().command("tcpdump", &args), home);
        let log = process.log.clone();
        let said = || fs::read_to_string(&log).unwrap_or_default();
        until("tcpdump to listen", said, || said().contains("listening on"));
        Capture { process, file }
    }

    /// What passed until now.
    pub fn look(&mut self) -> Traffic {
        self.process.must_live();
        Traffic::of(&fs::read(&self.file).expect("it is written"))
    }
}

/// What passed.
#[derive(Default)]
pub struct Traffic {
    pub datagrams: Vec<Datagram>,
    pub streams: Vec<Stream>,
}

/// The two ends of a stream, and the segments in it: place, time, bytes.
type Segments = BTreeMap<(SocketAddr, SocketAddr), (Option<u32>, Vec<(u32, Time, Vec<u8>)>)>;

impl Traffic {
    fn of(file: &[u8]) -> Traffic {
        let (mut it, mut segments) = (Traffic::default(), Segments::new());
        let mut rest = file.get(24..).unwrap_or_default();
        let number = |at: &[u8]| u32::from_ne_bytes([at[0], at[1], at[2], at[3]]);
        while rest.len() >= 16 {
            let (seconds, micros, length) = (number(rest), number(&rest[4..]), number(&rest[8..]) as usize);
            let Some(frame) = rest.get(16..16 + length) else { break };
            it.frame(f64::from(seconds) + f64::from(micros) / 1e6, frame, &mut segments);
            rest = &rest[16 + length..];
        }
        it.streams = segments.into_iter().map(|((from, to), (first, parts))| join(from, to, first, parts)).collect();
        it
    }

    fn frame(&mut self, at: Time, frame: &[u8], segments: &mut Segments) {
        let Some((protocol, [from, to], inner)) = addressed(frame) else { return };
        let port = |at: usize| u16::from_be_bytes([inner[at], inner[at + 1]]);
        match protocol {
            17 if inner.len() >= 8 => {
                let data = inner[8..usize::from(port(4)).clamp(8, inner.len())].to_vec();
                self.datagrams.push(Datagram { at, from: SocketAddr::new(from, port(0)), data });
            }
            6 if inner.len() >= 20 => {
                let place = u32::from_be_bytes([inner[4], inner[5], inner[6], inner[7]]);
                let ends = (SocketAddr::new(from, port(0)), SocketAddr::new(to, port(2)));
                let (first, parts) = segments.entry(ends).or_default();
                if inner[13] & 2 != 0 {
                    *first = Some(place.wrapping_add(1));
                }
                let data = inner.get(usize::from(inner[12] >> 4) * 4..).unwrap_or_default();
                if !data.is_empty() {
                    parts.push((place, at, data.to_vec()));
                }
            }
            _ => {}
        }
    }
}

/// The protocol inside an Ethernet frame, its two addresses and its bytes.
fn addressed(frame: &[u8]) -> Option<(u8, [IpAddr; 2], &[u8])> {
    let packet = frame.get(14..)?;
    match frame[12..14] {
        [8, 0] if packet.len() >= 20 => {
            let length = usize::from(u16::from_be_bytes([packet[2], packet[3]])).min(packet.len());
            let four = |at: usize| IpAddr::from([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]]);
            Some((packet[9], [four(12), four(16)], packet.get(usize::from(packet[0] & 15) * 4..length)?))
        }
        [0x86, 0xdd] if packet.len() >= 40 => {
            let six = |at: usize| <[u8; 16]>::try_from(&packet[at..at + 16]).map(IpAddr::from).ok();
            Some((packet[6], [six(8)?, six(24)?], &packet[40..]))
        }
        _ => None,
    }
}

/// The bytes of one direction, up to the first that are missing.
fn join(from: SocketAddr, to: SocketAddr, first: Option<u32>, mut parts: Vec<(u32, Time, Vec<u8>)>) -> Stream {
    let first = first.or_else(|| parts.first().map(|(place, ..)| *place)).unwrap_or(0);
    parts.iter_mut().for_each(|(place, ..)| *place = place.wrapping_sub(first));
    parts.sort_by_key(|(place, ..)| *place);
    let (mut data, mut times) = (Vec::new(), Vec::new());
    for (place, at, bytes) in parts {
        let place = place as usize;
        if place > data.len() {
            break;
        }
        if let Some(fresh) = bytes.get(data.len() - place..).filter(|fresh| !fresh.is_empty()) {
            times.push((data.len(), at));
            data.extend(fresh);
        }
    }
    Stream { from, to, data, times }
}
