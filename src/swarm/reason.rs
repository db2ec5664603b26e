//! Diagnosis: derives one sentence about why a torrent is not faster, from measured numbers only.

use std::path::Path;

use humansize::{DECIMAL, format_size};

use crate::swarm::event::Reachability;
use crate::swarm::metadata::MetadataProgress;
use crate::swarm::peer_list::Failures;
use crate::swarm::view::{Reason, SourceRow, State};

/// The numbers from which a reason is derived.
#[derive(Clone, Debug, Default)]
pub struct DiagnosisInput {
    pub state: State,
    /// The disk error that halted the torrent.
    pub fault: Option<String>,
    /// Pieces hashed so far during a check.
    pub checked: u32,
    /// Number of pieces of the torrent.
    pub pieces: u32,
    /// Verified pieces.
    pub have: u32,
    /// Wanted pieces that are not verified.
    pub lacking: u32,
    /// Of these, pieces that no connected peer has.
    pub missing: u32,
    /// Of the `lacking` pieces, those partly received or requested.
    pub active: u32,
    /// Every wanted block is received or requested.
    pub all_asked: bool,
    /// Bytes requested and not yet received.
    pub outstanding: u64,
    /// Number of files, without padding.
    pub files: u32,
    /// Of these, files with priority `Skip`.
    pub skipped: u32,
    /// Connected peers.
    pub peers: u32,
    /// Connected seeds.
    pub seeds: u32,
    /// Peers that we are interested in.
    pub interesting: u32,
    /// Of these, peers that choke us.
    pub choking: u32,
    /// Peers that we are interested in, that do not choke us, and that took too long to send a block.
    pub snubbed: u32,
    /// Peers with requests in flight.
    pub asked: u32,
    /// Peers that send payload to us.
    pub giving: u32,
    /// Peers that are interested in us.
    pub interested: u32,
    /// Peers that receive payload from us.
    pub taking: u32,
    /// Known peer addresses.
    pub known: u32,
    /// Known addresses whose last dial failed, by cause.
    pub failures: Failures,
    /// Dials in progress.
    pub dialing: u32,
    /// Banned hosts.
    pub banned: u32,
    /// Peer sources and their results.
    pub sources: Vec<SourceRow>,
    /// Trackers: URL, status, and whether the last announce failed.
    pub trackers: Vec<(String, String, bool)>,
    /// Payload download rate in bytes per second.
    pub down: u64,
    /// Payload upload rate in bytes per second.
    pub up: u64,
    /// Download limits in bytes per second: the torrent's own, and its share of the global limit.
    pub down_limits: (Option<u64>, Option<u64>),
    /// Upload limits in bytes per second: the torrent's own, and its share of the global limit.
    pub up_limits: (Option<u64>, Option<u64>),
    /// Requests are held back because received data is not yet written.
    pub waiting_for_disk: bool,
    /// Bytes received and not yet written.
    pub unwritten: u64,
    /// Load of the busiest disk thread in percent.
    pub disk_busy: u8,
    /// Web seeds: host, and the last error.
    pub web_seeds: Vec<(String, Option<String>)>,
    pub reach: Reachability,
    /// Super-seeding (BEP 16) is in effect.
    pub super_seed: bool,
    /// Progress of the metadata download; `None` if the metadata is known.
    pub search: Option<MetadataProgress>,
    /// Local service discovery (LSD) is in use.
    pub local: bool,
    /// State of the DHT; `None` if the DHT is not used.
    pub dht: Option<&'static str>,
}

/// Load in percent from which the disk counts as busy.
const BUSY: u8 = 90;

/// Returns the reason for a torrent's state, with the numbers behind it if `with_numbers` is set.
#[must_use]
pub fn reason(f: &DiagnosisInput, with_numbers: bool) -> Reason {
    Reason { sentence: sentence(f), numbers: if with_numbers { numbers(f) } else { Vec::new() } }
}

/// Returns the reason of a queued torrent.
///
/// `before` torrents are ahead in the queue; at most `most` downloads run at once.
#[must_use]
pub fn queued(before: usize, most: u32) -> Reason {
    let run =
        if most == 1 { "one download runs at a time".to_owned() } else { format!("{most} downloads run at once") };
    let ahead = match before {
        0 => "it is next".to_owned(),
        1 => "one waits before it".to_owned(),
        n => format!("{n} wait before it"),
    };
    let line = |label: &str, value: String| (label.to_owned(), value);
    Reason {
        sentence: format!("waiting for its turn: {run}, {ahead}"),
        numbers: vec![line("waiting before it", before.to_string()), line("downloads at once", most.to_string())],
    }
}

/// Returns the reason of a torrent whose data is being moved, with the bytes moved and the total.
#[must_use]
pub fn moving(to: &Path, (done, all): (u64, u64)) -> Reason {
    let to = crate::wire::sanitize::sanitize(&to.display().to_string(), crate::limits::TRACKER_TEXT);
    let percent = u128::from(done) * 100 / u128::from(all.max(1));
    let moved = format!("{} of {}", format_size(done, DECIMAL), format_size(all, DECIMAL));
    Reason {
        sentence: format!("its data are being moved: {percent}%, to {to}"),
        numbers: vec![("moved".to_owned(), moved)],
    }
}

fn rate(bytes: u64) -> String {
    format!("{}/s", format_size(bytes, DECIMAL))
}

/// Formats a count: `1 peer`, `2 peers`.
fn count(n: u32, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Returns the verb ending after a count: 1 peer `chokes`, 2 peers `choke`.
const fn s(n: u32) -> &'static str {
    if n == 1 { "s" } else { "" }
}

/// Describes the effective rate limit if the rate is at least 80 % of it.
///
/// `limits` are the torrent's own limit and its share of the global one.
fn limiter(rate_now: u64, limits: (Option<u64>, Option<u64>)) -> Option<String> {
    let (limit, own) = match limits {
        (Some(own), share) if share.is_none_or(|share| own <= share) => (own, true),
        (_, share) => (share?, false),
    };
    let reached = rate_now.saturating_mul(10) >= limit.saturating_mul(8);
    reached.then(|| match own {
        true => format!("limited to its own limit: {}", rate(limit)),
        false => format!("limited to its share of the limit: {}", rate(limit)),
    })
}

fn sentence(f: &DiagnosisInput) -> String {
    match f.state {
        State::Paused => "paused by you: p goes on".into(),
        State::Queued => "waiting for its turn: as many downloads run as may".into(),
        State::Moving => "its data are being moved to another folder".into(),
        State::Checking => {
            let percent = u64::from(f.checked) * 100 / u64::from(f.pieces.max(1));
            format!("checking its data: {percent}%, {} of {} hashed", f.checked, count(f.pieces, "piece"))
        }
        State::Metadata => metadata(f),
        State::Error => f.fault.clone().unwrap_or_else(|| "stopped by a fault".into()),
        State::Seeding => seeding(f),
        State::Downloading => downloading(f),
    }
}

fn metadata(f: &DiagnosisInput) -> String {
    let Some(search) = f.search else { return "its metadata are here, and its files are being looked at".into() };
    let wrong = match search.wrong {
        0 => String::new(),
        1 => "; what came before was not this torrent's".into(),
        n => format!("; what came {n} times before was not this torrent's"),
    };
    let holders = count(search.holders, "peer");
    match (search.holders, search.resting, search.pieces) {
        _ if f.peers == 0 => format!("metadata wanted, {}{wrong}", no_peers_text(f)),
        (0, ..) => format!("no peer has the metadata: none of {} that are here offers them{wrong}", f.peers),
        (all, resting, _) if all == resting => {
            format!("metadata wanted from {holders}: refused or not answered, asked again soon{wrong}")
        }
        (.., (here, all)) => format!("metadata wanted from {holders}: {here} of {} here{wrong}", count(all, "piece")),
    }
}

fn seeding(f: &DiagnosisInput) -> String {
    let here = match (f.have == f.pieces, f.skipped) {
        (true, _) => "everything is here".to_owned(),
        (false, skipped) if skipped == f.files => return "no file is wanted: choose some among its files".into(),
        (false, skipped) => format!("all that is wanted is here, {skipped} of {} not wanted", count(f.files, "file")),
    };
    if f.peers == 0 {
        return format!("{here}; nobody is connected{}{}", port_says(f), trackers_say(f));
    }
    if let Some(limit) = limiter(f.up, f.up_limits) {
        return format!("{here}; {limit}");
    }
    if f.interested == 0 {
        return format!("{here}; none of {} wants anything now", count(f.peers, "peer"));
    }
    if f.super_seed {
        return format!("super-seeding: {} offered one piece at a time", are(f.peers, "peer"));
    }
    format!("{here}; {} of {} taking", f.taking, are(f.interested, "interested peer"))
}

/// Formats a count with its verb: `1 peer is`, `2 peers are`.
fn are(n: u32, what: &str) -> String {
    format!("{} {}", count(n, what), if n == 1 { "is" } else { "are" })
}

/// Describes why no peer is connected: failed addresses, sources, trackers, bans.
fn no_peers_text(f: &DiagnosisInput) -> String {
    let banned = match f.banned {
        0 => String::new(),
        1 => "; 1 address is banned".to_owned(),
        n => format!("; {n} addresses are banned"),
    };
    nobody_left(f) + &banned
}

/// Like [`no_peers_text`], without banned addresses.
fn nobody_left(f: &DiagnosisInput) -> String {
    match f.dht {
        // The actionable part comes first, since the line may be truncated.
        Some(words) if f.known == 0 && f.trackers.is_empty() && web_seeds_say(f).is_none() => match f.local {
            false => format!("no peers: {words}, and no tracker is named"),
            true => format!(
                "no peers: {words}, no tracker is named, and nobody on the local network has said that it is here"
            ),
        },
        Some(words) => format!("{}; {words}", no_peers_without_dht_text(f)),
        None => no_peers_without_dht_text(f),
    }
}

/// Like [`nobody_left`], without the DHT.
fn no_peers_without_dht_text(f: &DiagnosisInput) -> String {
    if f.known == 0 {
        return match (web_seeds_say(f), f.trackers.is_empty(), f.local) {
            (Some(web), true, _) => format!("no peers, and no tracker is named; {web}"),
            (Some(web), false, _) => format!("no peers are known; {web}{}", trackers_say(f)),
            (None, true, false) => "no peers: no tracker is named and no address was given".into(),
            (None, true, true) => {
                "no peers: no tracker is named, and nobody on the local network has said that it is here".into()
            }
            (None, false, _) => format!("no peers are known{}{}", port_says(f), trackers_say(f)),
        };
    }
    let failed = failures(f);
    let tried = match (f.dialing, failed.is_empty()) {
        (0, true) => format!("no peers: none of {} is to be called now", addresses(f.known)),
        (0, false) => format!("no peers: {failed}"),
        (n, true) => format!("calling {n} of {}", addresses(f.known)),
        (n, false) => format!("calling {}; {failed}", addresses(n)),
    };
    let web = web_seeds_say(f).map_or_else(String::new, |web| format!("; {web}"));
    format!("{tried}{web}{}{}", port_says(f), trackers_say(f))
}

/// Describes a closed listening port; empty otherwise.
const fn port_says(f: &DiagnosisInput) -> &'static str {
    match f.reach {
        Reachability::Closed => "; the port is closed and no router maps it: peers cannot call us",
        Reachability::Unknown | Reachability::Mapped | Reachability::Open => "",
    }
}

/// Describes one web seed, preferably one with an error; `None` if there is none.
fn web_seeds_say(f: &DiagnosisInput) -> Option<String> {
    if f.state == State::Metadata {
        // Web seeds are not used without metadata.
        return None;
    }
    let (host, trouble) = f.web_seeds.iter().find(|(_, trouble)| trouble.is_some()).or(f.web_seeds.first())?;
    Some(match trouble {
        Some(trouble) => format!("web seed {host}: {trouble}"),
        None => format!("web seed {host} is not asked now"),
    })
}

fn addresses(n: u32) -> String {
    if n == 1 { "1 address".into() } else { format!("{n} addresses") }
}

/// Describes failed addresses: `31 of 40 addresses do not answer, 5 refuse`.
fn failures(f: &DiagnosisInput) -> String {
    let Failures { silent, refused, hung_up } = f.failures;
    let not = |n| if n == 1 { "does not answer" } else { "do not answer" };
    let kinds =
        [(silent, not(silent).to_owned()), (refused, format!("refuse{}", s(refused))), (hung_up, "hung up".into())];
    let mut told = kinds.into_iter().filter(|(n, _)| *n > 0);
    let Some((n, words)) = told.next() else { return String::new() };
    let first = format!("{n} of {} {words}", addresses(f.known));
    told.fold(first, |all, (n, words)| format!("{all}, {n} {words}"))
}

fn downloading(f: &DiagnosisInput) -> String {
    if f.peers == 0 {
        return no_peers_text(f);
    }
    if f.interesting == 0 || f.missing == f.lacking {
        let (lack, all) = (count(f.lacking, "missing piece"), count(f.peers, "peer"));
        let web = web_seeds_say(f).map_or_else(String::new, |web| format!("; {web}"));
        return format!("nobody has the {lack}: not one of {all}, {} complete{web}", f.seeds);
    }
    if let Some(limit) = limiter(f.down, f.down_limits) {
        return limit;
    }
    if f.waiting_for_disk || (f.disk_busy >= BUSY && f.unwritten > 0) {
        return format!("disk busy {}%: {} are not yet written", f.disk_busy, format_size(f.unwritten, DECIMAL));
    }
    let free = f.interesting - f.choking.min(f.interesting);
    if free == 0 {
        return format!("all {} that have what we want choke us; {}", count(f.choking, "peer"), no_bottleneck_text(f));
    }
    if f.snubbed >= free {
        let serving = count(free, "peer");
        return format!("{serving} serve{} us and let{} us wait for blocks; {} choke us", s(free), s(free), f.choking);
    }
    if f.all_asked && f.outstanding > 0 {
        let last = count(f.active, "piece");
        return format!(
            "the last {last} are under way: {} are asked of {}",
            blocks(f.outstanding),
            count(f.asked, "peer")
        );
    }
    if f.choking * 2 > f.interesting {
        return format!("{} of {} choke us; {}", f.choking, count(f.interesting, "peer"), no_bottleneck_text(f));
    }
    if f.giving == 0 {
        return format!(
            "{} serve{} us, and no block has come yet; {}",
            count(free, "peer"),
            s(free),
            no_bottleneck_text(f)
        );
    }
    let givers = if f.giving == f.peers && f.peers > 1 {
        format!("all {} peers", f.peers)
    } else {
        format!("{} of {}", f.giving, count(f.peers, "peer"))
    };
    let mut text = format!("{givers} send{}", s(f.giving));
    if f.choking > 0 {
        text += &format!(", {} choke{} us", f.choking, s(f.choking));
    }
    if f.snubbed > 0 {
        text += &format!(", {} let{} us wait", f.snubbed, s(f.snubbed));
    }
    if f.missing > 0 {
        text += &format!("; nobody has {}", count(f.missing, "piece"));
    }
    if f.choking + f.snubbed + f.missing == 0 {
        text += if f.giving == 1 { " what it can" } else { " what they can" };
    }
    format!("{text}; {}", no_bottleneck_text(f))
}

fn blocks(bytes: u64) -> String {
    let n = u32::try_from(bytes.div_ceil(u64::from(crate::limits::BLOCK))).unwrap_or(u32::MAX);
    count(n, "block")
}

/// Describes what is not the bottleneck on our side: `disk 2% busy, no limiter`.
fn no_bottleneck_text(f: &DiagnosisInput) -> String {
    let limit = match f.down_limits {
        (None, None) => "no limiter",
        _ => "limit not reached",
    };
    format!("disk {}% busy, {limit}", f.disk_busy)
}

/// Describes one tracker, preferably a failing one. The status precedes the URL, which may be long.
fn trackers_say(f: &DiagnosisInput) -> String {
    match (f.trackers.iter().find(|(.., failed)| *failed).or(f.trackers.first()), f.trackers.len()) {
        (Some((_, status, _)), 1) => format!("; tracker: {status}"),
        (Some((url, status, _)), _) => format!("; tracker: {status} ({url})"),
        (None, _) => String::new(),
    }
}

fn numbers(f: &DiagnosisInput) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut line = |label: &str, value: String| out.push((label.to_string(), value));
    if let Some(fault) = &f.fault {
        line("fault", fault.clone());
    }
    // The panel is narrow: leave out counts of zero.
    let part = |n: u32, what: &str| if n == 0 { String::new() } else { format!(", {n} {what}") };
    line("peers connected", format!("{}{}", f.peers, part(f.seeds, "complete")));
    if let Some(search) = &f.search {
        let MetadataProgress { holders, asked, resting, .. } = search;
        line("have the metadata", format!("{holders}, of them {asked} are asked, {resting} refused or did not answer"));
        line("pieces of the metadata", format!("{} of {}", search.pieces.0, search.pieces.1));
        line("metadata that were wrong", search.wrong.to_string());
    }
    if f.lacking > 0 {
        let (choke, wait) = (f.choking, f.snubbed);
        let chokes = part(choke, if choke == 1 { "chokes us" } else { "choke us" });
        let waits = part(wait, if wait == 1 { "lets us wait" } else { "let us wait" });
        line("have what we want", format!("{}{chokes}{waits}", f.interesting));
        line("sending to us", format!("{}; {} asked for more", f.giving, f.asked));
        line("pieces missing", format!("{}{}", f.lacking, part(f.missing, "that nobody here has")));
        line("under way", format!("{} in {}", blocks(f.outstanding), count(f.active, "piece")));
    }
    line("want something of us", format!("{}{}", f.interested, part(f.taking, "taking")));
    let limits = |(own, share): (Option<u64>, Option<u64>)| match (own, share) {
        (None, None) => "no limit".to_owned(),
        (Some(own), None) => format!("own limit {}", rate(own)),
        (None, Some(share)) => format!("share of the limit of all {}", rate(share)),
        (Some(own), Some(share)) => format!("own limit {}, share of the limit of all {}", rate(own), rate(share)),
    };
    line("down", format!("{}, {}", rate(f.down), limits(f.down_limits)));
    line("up", format!("{}, {}", rate(f.up), limits(f.up_limits)));
    let waiting = if f.waiting_for_disk { ", requests wait for it" } else { "" };
    let unwritten = match f.unwritten {
        0 => String::new(),
        bytes => format!(", {} not yet written", format_size(bytes, DECIMAL)),
    };
    line("disk", format!("{}% busy{unwritten}{waiting}", f.disk_busy));
    if f.skipped > 0 {
        line("files not wanted", format!("{} of {}", f.skipped, f.files));
    }
    let (called, failed) = (part(f.dialing, "being called"), part(f.failures.all(), "failed"));
    line("addresses known", format!("{}{called}{failed}{}", f.known, part(f.banned, "banned")));
    let reach = match f.reach {
        Reachability::Unknown => "no call from outside yet",
        Reachability::Mapped => "mapped by the router",
        Reachability::Open => "open: peers from outside call us",
        Reachability::Closed => "closed: no router maps it",
    };
    line("port", reach.to_owned());
    if let Some(words) = f.dht {
        line("DHT", words.to_owned());
    }
    let Failures { silent, refused, hung_up } = f.failures;
    if f.failures.all() > 0 {
        line("of the failed ones", format!("{silent} do not answer, {refused} refuse, {hung_up} hung up"));
    }
    for row in &f.sources {
        let last =
            row.last_failure.as_ref().map_or_else(String::new, |words| format!("; the last that failed: {words}"));
        let told = format!("{} known, {} connected, {} failed{last}", row.known, row.connected, row.failed);
        line(&format!("from {}", row.source.word()), told);
    }
    for (host, trouble) in &f.web_seeds {
        line(&format!("web seed {host}"), trouble.clone().unwrap_or_else(|| "nothing wrong".into()));
    }
    for (url, status, _) in &f.trackers {
        line(url, status.clone());
    }
    out
}

#[cfg(test)]
mod tests;
