//! Diagnosis: derives one sentence about why a torrent is not faster, from measured numbers only.

use std::path::Path;

use crate::format;
use crate::swarm::metadata::MetadataProgress;
use crate::swarm::peer_list::Failures;
use crate::swarm::quota::Reachability;
use crate::swarm::view::{PieceProgress, Reason, SourceRow, State};
use crate::wire::sanitize::counted;

/// The rate limits of one direction in bytes per second; `None` is unlimited.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct DirectionLimits {
    /// The torrent's own limit.
    pub own: Option<u64>,
    /// Its share of the global limit.
    pub share: Option<u64>,
}

/// The numbers from which a reason is derived.
#[derive(Clone, Debug, Default)]
pub(crate) struct DiagnosisInput {
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
    pub down_limits: DirectionLimits,
    pub up_limits: DirectionLimits,
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
    /// The torrent is only seeded: nothing is downloaded.
    pub seed_only: bool,
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
pub(crate) fn reason(f: &DiagnosisInput, with_numbers: bool) -> Reason {
    Reason { sentence: sentence(f), numbers: if with_numbers { numbers(f) } else { Vec::new() } }
}

/// Returns the reason of a queued torrent.
///
/// `before` torrents are ahead in the queue; at most `most` downloads run at once.
#[must_use]
pub(crate) fn queued(before: usize, most: u32) -> Reason {
    let active = format!("at most {most} active download{}", if most == 1 { "" } else { "s" });
    let ahead = if before == 0 { "next in line".to_owned() } else { format!("{before} ahead of it") };
    let line = |label: &str, value: String| (label.to_owned(), value);
    Reason {
        sentence: format!("queued: {active}, {ahead}"),
        numbers: vec![line("ahead in the queue", before.to_string()), line("active downloads (max)", most.to_string())],
    }
}

/// Returns the reason of a torrent whose data is being moved, with the bytes moved and the total.
#[must_use]
pub(crate) fn moving(to: &Path, (done, all): (u64, u64)) -> Reason {
    let to = crate::wire::sanitize::sanitize(&to.display().to_string(), crate::limits::TRACKER_TEXT);
    let percent = format::percent(done, all);
    let moved = format!("{} of {}", format::size(done), format::size(all));
    Reason { sentence: format!("moving files to {to}: {percent}%"), numbers: vec![("moved".to_owned(), moved)] }
}

/// Returns the verb ending after a count: 1 peer `chokes`, 2 peers `choke`.
const fn s(n: u32) -> &'static str {
    if n == 1 { "s" } else { "" }
}

/// Describes the effective rate limit if the rate is at least 80 % of it.
fn limiter(rate_now: u64, limits: DirectionLimits) -> Option<String> {
    let (limit, own) = match limits {
        DirectionLimits { own: Some(own), share } if share.is_none_or(|share| own <= share) => (own, true),
        DirectionLimits { share, .. } => (share?, false),
    };
    let reached = rate_now.saturating_mul(10) >= limit.saturating_mul(8);
    reached.then(|| match own {
        true => format!("limited by the torrent's rate limit: {}", format::rate(limit)),
        false => format!("limited by its share of the global limit: {}", format::rate(limit)),
    })
}

fn sentence(f: &DiagnosisInput) -> String {
    match f.state {
        State::Paused => "paused".into(),
        State::Queued => "queued: the limit of active downloads is reached".into(),
        State::Moving => "moving files to another folder".into(),
        State::Checking => {
            let percent = u64::from(f.checked) * 100 / u64::from(f.pieces.max(1));
            format!("checking data: {percent}%, {} of {} hashed", f.checked, counted(f.pieces, "piece"))
        }
        State::Metadata => metadata(f),
        State::Error => f.fault.clone().unwrap_or_else(|| "stopped by an error".into()),
        State::Seeding => seeding(f),
        State::Downloading => downloading(f),
    }
}

fn metadata(f: &DiagnosisInput) -> String {
    let Some(search) = f.search else { return "metadata received, checking for existing files".into() };
    let wrong = match search.wrong {
        0 => String::new(),
        1 => "; 1 earlier copy was invalid".into(),
        n => format!("; {n} earlier copies were invalid"),
    };
    let holders = counted(search.holders, "peer");
    match (search.holders, search.resting, search.pieces) {
        _ if f.peers == 0 && f.dialing > 0 => format!("fetching metadata: {}{wrong}", no_peers_text(f)),
        _ if f.peers == 0 => format!("fetching metadata, {}{wrong}", no_peers_text(f)),
        (0, ..) => format!("fetching metadata: {} it{wrong}", none_has(f.peers)),
        (all, resting, _) if all == resting => {
            format!("fetching metadata from {holders}: refused or no answer, will retry{wrong}")
        }
        (.., PieceProgress { done: here, total: all }) => {
            format!("fetching metadata from {holders}: {here} of {} received{wrong}", counted(all, "piece"))
        }
    }
}

fn seeding(f: &DiagnosisInput) -> String {
    let here = match (f.have == f.pieces, f.skipped) {
        (true, _) => "complete".to_owned(),
        (false, _) if f.seed_only => {
            let all = counted(f.pieces, "piece");
            format!("seeding {} of {all}: nothing is downloaded; `ttui download` fetches the rest", f.have)
        }
        (false, skipped) if skipped == f.files => return "all files are skipped: select files to download".into(),
        (false, skipped) => format!("selected files complete, {skipped} of {} skipped", counted(f.files, "file")),
    };
    if f.peers == 0 {
        return format!("{here}; no peers connected{}{}", port_says(f), trackers_say(f));
    }
    if let Some(limit) = limiter(f.up, f.up_limits) {
        return format!("{here}; {limit}");
    }
    if f.interested == 0 {
        return format!("{here}; none of {} is interested", counted(f.peers, "peer"));
    }
    if f.super_seed {
        return format!("super-seeding: {} offered one piece at a time", are(f.peers, "peer"));
    }
    format!("{here}; uploading to {} of {}", f.taking, counted(f.interested, "interested peer"))
}

/// Formats a count with its verb: `1 peer is`, `2 peers are`.
fn are(n: u32, what: &str) -> String {
    format!("{} {}", counted(n, what), if n == 1 { "is" } else { "are" })
}

/// Describes why no peer is connected: failed addresses, sources, trackers, bans.
fn no_peers_text(f: &DiagnosisInput) -> String {
    let banned = match f.banned {
        0 => String::new(),
        1 => "; 1 address banned".to_owned(),
        n => format!("; {n} addresses banned"),
    };
    nobody_left(f) + &banned
}

/// Like [`no_peers_text`], without banned addresses.
fn nobody_left(f: &DiagnosisInput) -> String {
    match f.dht {
        // The actionable part comes first, since the line may be truncated.
        Some(words) if f.known == 0 && f.trackers.is_empty() && web_seeds_say(f).is_none() => match f.local {
            false => format!("no peers: {words}, no trackers"),
            true => format!("no peers: {words}, no trackers, none found on the local network"),
        },
        Some(words) => format!("{}; {words}", no_peers_without_dht_text(f)),
        None => no_peers_without_dht_text(f),
    }
}

/// Like [`nobody_left`], without the DHT.
fn no_peers_without_dht_text(f: &DiagnosisInput) -> String {
    if f.known == 0 {
        return match (web_seeds_say(f), f.trackers.is_empty(), f.local) {
            (Some(web), true, _) => format!("no peers known, no trackers; {web}"),
            (Some(web), false, _) => format!("no peers known; {web}{}", trackers_say(f)),
            (None, true, false) => "no peers: no trackers and no peer address given".into(),
            (None, true, true) => "no peers: no trackers, none found on the local network".into(),
            (None, false, _) => format!("no peers known{}{}", port_says(f), trackers_say(f)),
        };
    }
    let failed = failures(f);
    let tried = match (f.dialing, failed.is_empty()) {
        (0, true) if f.known == 1 => "no peers: 1 known address, in back-off".to_owned(),
        (0, true) => format!("no peers: {} known addresses, all in back-off", f.known),
        (0, false) => format!("no peers: {failed}"),
        (n, true) => format!("connecting to {n} of {}", counted(f.known, "known peer")),
        (n, false) => format!("connecting to {}; {failed}", counted(n, "peer")),
    };
    let web = web_seeds_say(f).map_or_else(String::new, |web| format!("; {web}"));
    format!("{tried}{web}{}{}", port_says(f), trackers_say(f))
}

/// Describes a closed listening port; empty otherwise.
const fn port_says(f: &DiagnosisInput) -> &'static str {
    match f.reach {
        Reachability::Closed => "; port closed and not mapped: no incoming connections",
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
        None => format!("web seed {host} is idle"),
    })
}

fn addresses(n: u32) -> String {
    if n == 1 { "1 address".into() } else { format!("{n} addresses") }
}

/// Describes failed addresses: `31 of 40 addresses did not answer, 5 refused`.
fn failures(f: &DiagnosisInput) -> String {
    let Failures { silent, refused, hung_up } = f.failures;
    let kinds = [(silent, "did not answer"), (refused, "refused"), (hung_up, "hung up")];
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
        let (lack, them) = (counted(f.lacking, "piece"), if f.lacking == 1 { "it" } else { "them" });
        let web = web_seeds_say(f).map_or_else(String::new, |web| format!("; {web}"));
        let seeds = counted(f.seeds, "seed");
        return format!("{lack} unavailable: {} {them} ({seeds}){web}", none_has(f.peers));
    }
    if let Some(limit) = limiter(f.down, f.down_limits) {
        return limit;
    }
    if f.waiting_for_disk || (f.disk_busy >= BUSY && f.unwritten > 0) {
        return format!("disk {}% busy: {} waiting to be written", f.disk_busy, format::size(f.unwritten));
    }
    let free = f.interesting - f.choking.min(f.interesting);
    if free == 0 {
        let peers = match f.choking {
            1 => "the only peer that has missing pieces".to_owned(),
            n => format!("all {n} peers that have missing pieces"),
        };
        return format!("choked by {peers}; {}", no_bottleneck_text(f));
    }
    if f.snubbed >= free {
        let (unchoked, not) = (counted(free, "unchoked peer"), if free == 1 { "does not" } else { "do not" });
        return format!("{unchoked} {not} send (snubbed); {} choke{} us", f.choking, s(f.choking));
    }
    if f.all_asked && f.outstanding > 0 {
        let last = counted(f.active, "piece");
        return format!("last {last}: {} requested from {}", blocks(f.outstanding), counted(f.asked, "peer"));
    }
    if f.choking * 2 > f.interesting {
        let peers = counted(f.interesting, "peer");
        return format!("choked by {} of {peers}; {}", f.choking, no_bottleneck_text(f));
    }
    if f.giving == 0 {
        return format!("{} unchoked us, no blocks yet; {}", counted(free, "peer"), no_bottleneck_text(f));
    }
    let mut text = match (f.giving == f.peers, f.giving) {
        (true, 1) => "the only peer is sending".to_owned(),
        (true, 2) => "both peers sending".to_owned(),
        (true, n) => format!("all {n} peers sending"),
        (false, n) => format!("{n} of {} sending", counted(f.peers, "peer")),
    };
    if f.choking > 0 {
        text += &format!(", {} choking us", f.choking);
    }
    if f.snubbed > 0 {
        text += &format!(", {} snubbed", f.snubbed);
    }
    if f.missing > 0 {
        text += &format!("; {} unavailable", counted(f.missing, "piece"));
    }
    if f.choking + f.snubbed + f.missing == 0 {
        text += " at full speed";
    }
    format!("{text}; {}", no_bottleneck_text(f))
}

/// Says that no connected peer has something: `none of 8 connected peers has`.
fn none_has(peers: u32) -> String {
    if peers == 1 {
        "the only connected peer does not have".into()
    } else {
        format!("none of {peers} connected peers has")
    }
}

fn blocks(bytes: u64) -> String {
    let n = u32::try_from(bytes.div_ceil(u64::from(crate::limits::BLOCK))).unwrap_or(u32::MAX);
    counted(n, "block")
}

/// Describes what is not the bottleneck on our side: `disk 2% busy, no rate limit`.
fn no_bottleneck_text(f: &DiagnosisInput) -> String {
    let limit = match f.down_limits {
        DirectionLimits { own: None, share: None } => "no rate limit",
        _ => "rate limit not reached",
    };
    match f.disk_busy {
        0 => format!("disk idle, {limit}"),
        percent => format!("disk {percent}% busy, {limit}"),
    }
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
        line("error", fault.clone());
    }
    // The panel is narrow: leave out counts of zero.
    let part = |n: u32, what: &str| if n == 0 { String::new() } else { format!(", {n} {what}") };
    line("peers connected", format!("{}{}", f.peers, part(f.seeds, if f.seeds == 1 { "seed" } else { "seeds" })));
    if let Some(search) = &f.search {
        let MetadataProgress { holders, asked, resting, .. } = search;
        line("have the metadata", format!("{holders}, {asked} requested, {resting} refused or did not answer"));
        line("metadata pieces", format!("{} of {}", search.pieces.done, search.pieces.total));
        line("invalid metadata", search.wrong.to_string());
    }
    if f.lacking > 0 {
        let (choking, snubbed) = (part(f.choking, "choking us"), part(f.snubbed, "snubbed"));
        line("have pieces we need", format!("{}{choking}{snubbed}", f.interesting));
        line("sending to us", format!("{}, {} with requests", f.giving, f.asked));
        line("pieces missing", format!("{}{}", f.lacking, part(f.missing, "unavailable")));
        line("requested", format!("{} in {}", blocks(f.outstanding), counted(f.active, "piece")));
    }
    line("interested in us", format!("{}{}", f.interested, part(f.taking, "receiving")));
    let limits = |DirectionLimits { own, share }: DirectionLimits| match (own, share) {
        (None, None) => "no limit".to_owned(),
        (Some(own), None) => format!("limit {}", format::rate(own)),
        (None, Some(share)) => format!("share of the global limit {}", format::rate(share)),
        (Some(own), Some(share)) => {
            format!("limit {}, share of the global limit {}", format::rate(own), format::rate(share))
        }
    };
    line("down", format!("{}, {}", format::rate(f.down), limits(f.down_limits)));
    line("up", format!("{}, {}", format::rate(f.up), limits(f.up_limits)));
    let waiting = if f.waiting_for_disk { ", requests on hold" } else { "" };
    let unwritten = match f.unwritten {
        0 => String::new(),
        bytes => format!(", {} not yet written", format::size(bytes)),
    };
    line("disk", format!("{}% busy{unwritten}{waiting}", f.disk_busy));
    if f.skipped > 0 {
        line("files skipped", format!("{} of {}", f.skipped, f.files));
    }
    let (dialing, failed) = (part(f.dialing, "connecting"), part(f.failures.all(), "failed"));
    line("addresses known", format!("{}{dialing}{failed}{}", f.known, part(f.banned, "banned")));
    let reach = match f.reach {
        Reachability::Unknown => "no incoming connection yet",
        Reachability::Mapped => "mapped by the router",
        Reachability::Open => "open: peers can connect to us",
        Reachability::Closed => "closed: not mapped",
    };
    line("port", reach.to_owned());
    if let Some(words) = f.dht {
        line("DHT", words.to_owned());
    }
    let Failures { silent, refused, hung_up } = f.failures;
    if f.failures.all() > 0 {
        line("failed addresses", format!("{silent} did not answer, {refused} refused, {hung_up} hung up"));
    }
    for row in &f.sources {
        let last = row.last_failure.as_ref().map_or_else(String::new, |words| format!("; last failure: {words}"));
        let counts = format!("{} known, {} connected, {} failed{last}", row.known, row.connected, row.failed);
        line(&format!("from {}", row.source.word()), counts);
    }
    for (host, trouble) in &f.web_seeds {
        line(&format!("web seed {host}"), trouble.clone().unwrap_or_else(|| "OK".into()));
    }
    for (url, status, _) in &f.trackers {
        line(url, status.clone());
    }
    out
}

#[cfg(test)]
mod tests;
