//! Why a torrent is no faster: one sentence from the machine's own numbers, never a guess, never nothing.

use humansize::{BINARY, format_size};

use crate::swarm::view::{Reason, State};

/// The numbers that a reason is made of.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// What the torrent is doing.
    pub state: State,
    /// The fault that stopped it.
    pub fault: Option<String>,
    /// Pieces hashed, while checking.
    pub checked: u32,
    /// All pieces.
    pub pieces: u32,
    /// Wanted pieces that are not here.
    pub lacking: u32,
    /// Of them, pieces that no connected peer has.
    pub missing: u32,
    /// Connected peers.
    pub peers: u32,
    /// Of them, complete ones.
    pub seeds: u32,
    /// Peers that have something we want.
    pub interesting: u32,
    /// Of them, those that choke us.
    pub choking: u32,
    /// Peers that let us wait.
    pub snubbed: u32,
    /// Peers that send payload.
    pub giving: u32,
    /// Peers that want something of ours.
    pub interested: u32,
    /// Peers that take payload.
    pub taking: u32,
    /// Addresses known.
    pub known: u32,
    /// Addresses that failed when they were tried.
    pub dead: u32,
    /// Addresses being dialled.
    pub dialing: u32,
    /// Hosts banned.
    pub banned: u32,
    /// Each tracker's address, last word, and whether that was an error.
    pub trackers: Vec<(String, String, bool)>,
    /// Payload bytes a second, in.
    pub down: u64,
    /// Payload bytes a second, out.
    pub up: u64,
    /// The limit in force, in.
    pub down_limit: Option<u64>,
    /// The limit in force, out.
    pub up_limit: Option<u64>,
    /// Requests wait for the disk to take what is here.
    pub waiting_for_disk: bool,
    /// Bytes here and not yet written.
    pub unwritten: u64,
}

/// The reason that these facts add up to.
#[must_use]
pub fn reason(f: &Facts) -> Reason {
    Reason { sentence: sentence(f), numbers: numbers(f) }
}

fn rate(bytes: u64) -> String {
    format!("{}/s", format_size(bytes, BINARY))
}

/// Whether a rate is as good as its limit.
fn at_limit(rate: u64, limit: Option<u64>) -> Option<u64> {
    limit.filter(|limit| rate * 10 >= limit * 8)
}

fn sentence(f: &Facts) -> String {
    match f.state {
        State::Paused => "paused by you: p goes on".into(),
        State::Queued => "waiting for its turn".into(),
        State::Moving => "its data are being moved to another folder".into(),
        State::Checking => format!("checking its data: {} of {} pieces hashed", f.checked, f.pieces),
        State::Metadata => format!("waiting for the metadata from {} peers", f.peers),
        State::Error => f.fault.clone().unwrap_or_else(|| "stopped by a fault".into()),
        State::Seeding => seeding(f),
        State::Downloading => downloading(f),
    }
}

fn seeding(f: &Facts) -> String {
    if f.peers == 0 {
        return format!("everything is here; nobody is connected{}", trackers_say(f));
    }
    if let Some(limit) = at_limit(f.up, f.up_limit) {
        return format!("everything is here; sending at our limit of {}", rate(limit));
    }
    if f.interested == 0 {
        return format!("everything is here; none of {} peers wants anything now", f.peers);
    }
    format!("everything is here; {} of {} interested peers are taking", f.taking, f.interested)
}

fn downloading(f: &Facts) -> String {
    if f.known == 0 && f.peers == 0 {
        return match f.trackers.is_empty() {
            true => "no peers: no tracker is named and no address was given".into(),
            false => format!("no peers known{}", trackers_say(f)),
        };
    }
    if f.peers == 0 {
        let tried = match (f.dialing, f.dead) {
            (0, dead) => format!("none of {} known addresses answers ({dead} failed)", f.known),
            (n, 0) => format!("calling {n} of {} known addresses", f.known),
            (n, dead) => format!("calling {n} of {} known addresses, {dead} failed", f.known),
        };
        return format!("{tried}{}", trackers_say(f));
    }
    if f.interesting == 0 {
        return format!("none of {} peers has any of the {} missing pieces", f.peers, f.lacking);
    }
    if f.missing > 0 && f.missing == f.lacking {
        return format!("nobody connected has the {} missing pieces", f.missing);
    }
    if f.choking == f.interesting {
        return format!("all {} peers that have what we want choke us", f.choking);
    }
    if let Some(limit) = at_limit(f.down, f.down_limit) {
        return format!("limited by our own limit of {}", rate(limit));
    }
    if f.waiting_for_disk {
        return format!("waiting for the disk: {} received and not yet written", format_size(f.unwritten, BINARY));
    }
    let free = f.interesting - f.choking;
    if f.snubbed >= free {
        return format!("all {free} peers that serve us let us wait for blocks");
    }
    let mut text = format!("{} of {} peers are sending", f.giving, f.peers);
    if f.choking > 0 {
        text += &format!(", {} choke us", f.choking);
    }
    if f.snubbed > 0 {
        text += &format!(", {} let us wait", f.snubbed);
    }
    if f.missing > 0 {
        text += &format!("; {} pieces are with nobody connected", f.missing);
    }
    if f.choking == 0 && f.snubbed == 0 && f.missing == 0 {
        text += "; nothing of ours holds them back";
    }
    text
}

fn trackers_say(f: &Facts) -> String {
    match f.trackers.iter().find(|(.., failed)| *failed).or(f.trackers.first()) {
        Some((url, status, _)) => format!("; {url}: {status}"),
        None => String::new(),
    }
}

fn numbers(f: &Facts) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut line = |label: &str, value: String| out.push((label.to_string(), value));
    line("peers connected", format!("{}, of them {} complete", f.peers, f.seeds));
    line("addresses known", format!("{}, {} being called, {} failed, {} banned", f.known, f.dialing, f.dead, f.banned));
    line(
        "have what we want",
        format!("{}, of them {} choke us and {} let us wait", f.interesting, f.choking, f.snubbed),
    );
    line("sending to us", f.giving.to_string());
    line("want something of us", format!("{}, of them {} take", f.interested, f.taking));
    line("pieces missing", format!("{}, of them {} with nobody connected", f.lacking, f.missing));
    let limit = |limit: Option<u64>| limit.map_or_else(|| "no limit".to_string(), rate);
    line("down", format!("{}, {}", rate(f.down), limit(f.down_limit)));
    line("up", format!("{}, {}", rate(f.up), limit(f.up_limit)));
    let disk = if f.waiting_for_disk { ", requests wait for it" } else { "" };
    line("unwritten", format!("{}{disk}", format_size(f.unwritten, BINARY)));
    for (url, status, _) in &f.trackers {
        line(url, status.clone());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts { pieces: 10, lacking: 4, peers: 8, known: 20, interesting: 8, giving: 3, ..Facts::default() }
    }

    #[test]
    fn each_cause_has_its_sentence() {
        let say = |change: fn(&mut Facts)| {
            let mut f = facts();
            change(&mut f);
            reason(&f).sentence
        };
        assert_eq!(say(|_| ()), "3 of 8 peers are sending; nothing of ours holds them back");
        assert_eq!(say(|f| f.choking = 8), "all 8 peers that have what we want choke us");
        assert_eq!(say(|f| f.choking = 5), "3 of 8 peers are sending, 5 choke us");
        assert_eq!(say(|f| f.missing = 4), "nobody connected has the 4 missing pieces");
        assert_eq!(say(|f| f.interesting = 0), "none of 8 peers has any of the 4 missing pieces");
        assert_eq!(say(|f| (f.peers, f.dead) = (0, 20)), "none of 20 known addresses answers (20 failed)");
        assert_eq!(say(|f| (f.peers, f.dialing) = (0, 9)), "calling 9 of 20 known addresses");
        assert_eq!(say(|f| (f.down, f.down_limit) = (99_000, Some(102_400))), "limited by our own limit of 100 KiB/s");
        assert_eq!(say(|f| f.snubbed = 8), "all 8 peers that serve us let us wait for blocks");
        assert!(
            say(|f| (f.waiting_for_disk, f.unwritten) = (true, 1 << 20)).starts_with("waiting for the disk: 1 MiB")
        );
        assert!(say(|f| (f.peers, f.known) = (0, 0)).contains("no tracker is named"));
        assert!(say(|f| f.state = State::Paused).starts_with("paused"));
        assert_eq!(
            say(|f| {
                (f.peers, f.known) = (0, 0);
                f.trackers = vec![("http://t/announce".into(), "connection refused".into(), true)];
            }),
            "no peers known; http://t/announce: connection refused"
        );
        assert!(say(|f| f.state = State::Seeding).contains("none of 8 peers wants"));
    }
}
