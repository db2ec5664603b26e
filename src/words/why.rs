//! Why a torrent is not faster: one sentence, and the numbers behind it.

use crate::format::{self, counted};
use crate::swarm::job::{DiskFault, FaultKind};
use crate::swarm::reason::{
    Diagnosis, DownloadReason, ExampleTracker, Facts, HeldData, LimitReached, MetadataReason, MetadataSource, NoPeers,
    QueuePosition, Reason, SeedingReason, Spare, UploadReason,
};
use crate::swarm::status::{DirectionLimits, Failures, MetadataProgress, PieceProgress, Reachability, WebSeedState};
use crate::words::status::{dht_outcome, source_failure, tracker_status, web_seed_problem};

/// A label and its value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Labeled {
    pub label: String,
    pub value: String,
}

impl Labeled {
    fn new(label: &str, value: String) -> Self {
        Labeled { label: label.to_owned(), value }
    }
}

/// Returns one sentence about why a torrent is not faster.
#[must_use]
pub fn sentence(why: &Diagnosis) -> String {
    match &why.reason {
        Reason::Unknown => String::new(),
        Reason::Paused => "paused".into(),
        Reason::PausedUnselected => "paused, files not chosen yet".into(),
        Reason::SelectFiles => "metadata received: choose files to start".into(),
        Reason::Queued(None) => "queued: the limit of active downloads is reached".into(),
        Reason::Queued(Some(QueuePosition { ahead, max_active })) => {
            let ahead = if *ahead == 0 { "next in line".to_owned() } else { format!("{ahead} ahead of it") };
            format!("queued: at most {}, {ahead}", counted(*max_active, "active download"))
        }
        Reason::ReadingTorrent => "reading the .torrent file".into(),
        Reason::Starting => "about to start".into(),
        Reason::OpeningFiles { folder } => format!("reading the files in {folder}"),
        Reason::Moving(None) => "moving files to another folder".into(),
        Reason::Moving(Some(progress)) => {
            format!("moving files to {}: {}%", progress.to, format::percent(progress.done, progress.total))
        }
        Reason::Checking(PieceProgress { done, total }) => {
            let percent = format::percent((*done).into(), (*total).into());
            format!("checking data: {percent}%, {done} of {} hashed", counted(*total, "piece"))
        }
        Reason::Metadata(reason) => metadata(reason),
        Reason::Fault(fault) => disk_fault(fault),
        Reason::Seeding(reason) => seeding(reason),
        Reason::Downloading(reason) => downloading(reason),
    }
}

/// Returns the numbers behind a sentence, most important first; empty if they are not reported.
#[must_use]
pub fn numbers(why: &Diagnosis) -> Vec<Labeled> {
    match (&why.reason, &why.facts) {
        (Reason::Queued(Some(QueuePosition { ahead, max_active })), _) => vec![
            Labeled::new("ahead in the queue", ahead.to_string()),
            Labeled::new("active downloads (max)", max_active.to_string()),
        ],
        (Reason::Moving(Some(progress)), _) => {
            let moved = format!("{} of {}", format::size(progress.done), format::size(progress.total));
            vec![Labeled::new("moved", moved)]
        }
        (_, Some(facts)) => measured(facts),
        (_, None) => Vec::new(),
    }
}

/// Returns the text of a disk error, with a note if the operation is retried automatically.
#[must_use]
pub fn disk_fault(fault: &DiskFault) -> String {
    match fault.kind {
        FaultKind::Full | FaultKind::Temporary | FaultKind::Other | FaultKind::Longer | FaultKind::NameRefused => {
            format!("{}; it is tried again by itself, at least once a minute", fault.text)
        }
        FaultKind::Changed => format!("{}; its data are checked by themselves, within a minute", fault.text),
        FaultKind::Final | FaultKind::Occupied | FaultKind::Taken => fault.text.clone(),
    }
}

/// Returns the verb ending after a count: 1 peer `chokes`, 2 peers `choke`.
const fn s(n: u32) -> &'static str {
    if n == 1 { "s" } else { "" }
}

fn limit_reached(limit: LimitReached) -> String {
    match limit {
        LimitReached::Own(bytes) => format!("limited by the torrent's rate limit: {}", format::rate(bytes)),
        LimitReached::Share(bytes) => format!("limited by its share of the global limit: {}", format::rate(bytes)),
    }
}

fn metadata(reason: &MetadataReason) -> String {
    let MetadataReason::Fetching { from, invalid } = reason else {
        return "metadata received, checking for existing files".into();
    };
    let wrong = match invalid {
        0 => String::new(),
        1 => "; 1 earlier copy was invalid".into(),
        n => format!("; {n} earlier copies were invalid"),
    };
    match from {
        MetadataSource::Nobody(nobody) if nobody.dialing > 0 => {
            format!("fetching metadata: {}{wrong}", no_peers(nobody))
        }
        MetadataSource::Nobody(nobody) => format!("fetching metadata, {}{wrong}", no_peers(nobody)),
        MetadataSource::NoHolder { peers } => format!("fetching metadata: {} it{wrong}", none_has(*peers)),
        MetadataSource::NoAnswer { holders } => {
            format!("fetching metadata from {}: refused or no answer, will retry{wrong}", counted(*holders, "peer"))
        }
        MetadataSource::Holders { holders, pieces } => {
            let (holders, all) = (counted(*holders, "peer"), counted(pieces.total, "piece"));
            format!("fetching metadata from {holders}: {} of {all} received{wrong}", pieces.done)
        }
    }
}

fn seeding(reason: &SeedingReason) -> String {
    let held = match reason.held {
        HeldData::Complete => "complete".to_owned(),
        HeldData::SeedOnly { have, pieces } => {
            let all = counted(pieces, "piece");
            format!("seeding {have} of {all}: nothing is downloaded; `ttui download` fetches the rest")
        }
        HeldData::Nothing => return "all files are skipped: select files to download".into(),
        HeldData::Selected { skipped, files } => {
            format!("selected files complete, {skipped} of {} skipped", counted(files, "file"))
        }
    };
    match &reason.upload {
        UploadReason::NoPeers { port_closed, tracker } => {
            format!("{held}; no peers connected{}{}", closed_port(*port_closed), example_tracker(tracker.as_ref()))
        }
        UploadReason::Limited(limit) => format!("{held}; {}", limit_reached(*limit)),
        UploadReason::NoInterest { peers } => format!("{held}; none of {} is interested", counted(*peers, "peer")),
        UploadReason::SuperSeeding { peers } => {
            let are = if *peers == 1 { "is" } else { "are" };
            format!("super-seeding: {} {are} offered one piece at a time", counted(*peers, "peer"))
        }
        UploadReason::Uploading { receiving, interested } => {
            format!("{held}; uploading to {receiving} of {}", counted(*interested, "interested peer"))
        }
    }
}

/// Describes why no peer is connected: failed addresses, sources, trackers, bans.
fn no_peers(f: &NoPeers) -> String {
    let banned = match f.banned {
        0 => String::new(),
        1 => "; 1 address banned".to_owned(),
        n => format!("; {n} addresses banned"),
    };
    nobody_left(f) + &banned
}

/// Like [`no_peers`], without banned addresses.
fn nobody_left(f: &NoPeers) -> String {
    match f.dht.map(dht_outcome) {
        // The actionable part comes first, since the line may be truncated.
        Some(words) if f.known == 0 && f.tracker.is_none() && f.web_seed.is_none() => match f.local {
            false => format!("no peers: {words}, no trackers"),
            true => format!("no peers: {words}, no trackers, none found on the local network"),
        },
        Some(words) => format!("{}; {words}", no_peers_without_dht(f)),
        None => no_peers_without_dht(f),
    }
}

/// Like [`nobody_left`], without the DHT.
fn no_peers_without_dht(f: &NoPeers) -> String {
    let web = f.web_seed.as_ref().map(web_seed);
    let tracker = example_tracker(f.tracker.as_ref());
    if f.known == 0 {
        return match (web, f.tracker.is_none(), f.local) {
            (Some(web), true, _) => format!("no peers known, no trackers; {web}"),
            (Some(web), false, _) => format!("no peers known; {web}{tracker}"),
            (None, true, false) => "no peers: no trackers and no peer address given".into(),
            (None, true, true) => "no peers: no trackers, none found on the local network".into(),
            (None, false, _) => format!("no peers known{}{tracker}", closed_port(f.port_closed)),
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
    let web = web.map_or_else(String::new, |web| format!("; {web}"));
    format!("{tried}{web}{}{tracker}", closed_port(f.port_closed))
}

/// Describes a closed listening port; empty otherwise.
const fn closed_port(closed: bool) -> &'static str {
    if closed { "; port closed and not mapped: no incoming connections" } else { "" }
}

fn web_seed(seed: &WebSeedState) -> String {
    match &seed.problem {
        Some(problem) => format!("web seed {}: {}", seed.host, web_seed_problem(problem)),
        None => format!("web seed {} is idle", seed.host),
    }
}

fn addresses(n: u32) -> String {
    if n == 1 { "1 address".into() } else { format!("{n} addresses") }
}

/// Describes failed addresses: `31 of 40 addresses did not answer, 5 refused`.
fn failures(f: &NoPeers) -> String {
    let Failures { silent, refused, hung_up } = f.failures;
    let kinds = [(silent, "did not answer"), (refused, "refused"), (hung_up, "hung up")];
    let mut told = kinds.into_iter().filter(|(n, _)| *n > 0);
    let Some((n, words)) = told.next() else { return String::new() };
    let first = format!("{n} of {} {words}", addresses(f.known));
    told.fold(first, |all, (n, words)| format!("{all}, {n} {words}"))
}

fn downloading(reason: &DownloadReason) -> String {
    match reason {
        DownloadReason::NoPeers(nobody) => no_peers(nobody),
        DownloadReason::Unavailable { pieces, peers, seeds, web_seed: seed } => {
            let (lack, them) = (counted(*pieces, "piece"), if *pieces == 1 { "it" } else { "them" });
            let web = seed.as_ref().map_or_else(String::new, |seed| format!("; {}", web_seed(seed)));
            let seeds = counted(*seeds, "seed");
            format!("{lack} unavailable: {} {them} ({seeds}){web}", none_has(*peers))
        }
        DownloadReason::Limited(limit) => limit_reached(*limit),
        DownloadReason::Disk { busy, unwritten } => {
            format!("disk {busy}% busy: {} waiting to be written", format::size(*unwritten))
        }
        DownloadReason::AllChoking { choking, spare } => {
            let peers = match choking {
                1 => "the only peer that has missing pieces".to_owned(),
                n => format!("all {n} peers that have missing pieces"),
            };
            format!("choked by {peers}; {}", no_bottleneck(*spare))
        }
        DownloadReason::Snubbed { unchoked, choking } => {
            let not = if *unchoked == 1 { "does not" } else { "do not" };
            let unchoked = counted(*unchoked, "unchoked peer");
            format!("{unchoked} {not} send (snubbed); {choking} choke{} us", s(*choking))
        }
        DownloadReason::LastPieces { pieces, outstanding, peers } => {
            let last = counted(*pieces, "piece");
            format!("last {last}: {} requested from {}", blocks(*outstanding), counted(*peers, "peer"))
        }
        DownloadReason::MostChoking { choking, interesting, spare } => {
            format!("choked by {choking} of {}; {}", counted(*interesting, "peer"), no_bottleneck(*spare))
        }
        DownloadReason::NoBlocksYet { unchoked, spare } => {
            format!("{} unchoked us, no blocks yet; {}", counted(*unchoked, "peer"), no_bottleneck(*spare))
        }
        DownloadReason::Sending { sending, peers, choking, snubbed, unavailable, spare } => {
            let mut text = match (sending == peers, *sending) {
                (true, 1) => "the only peer is sending".to_owned(),
                (true, 2) => "both peers sending".to_owned(),
                (true, n) => format!("all {n} peers sending"),
                (false, n) => format!("{n} of {} sending", counted(*peers, "peer")),
            };
            if *choking > 0 {
                text += &format!(", {choking} choking us");
            }
            if *snubbed > 0 {
                text += &format!(", {snubbed} snubbed");
            }
            if *unavailable > 0 {
                text += &format!("; {} unavailable", counted(*unavailable, "piece"));
            }
            if choking + snubbed + unavailable == 0 {
                text += " at full speed";
            }
            format!("{text}; {}", no_bottleneck(*spare))
        }
    }
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
    counted(bytes.div_ceil(u64::from(crate::limits::BLOCK)), "block")
}

/// Describes what is not the bottleneck on our side: `disk 2% busy, no rate limit`.
fn no_bottleneck(spare: Spare) -> String {
    let limit = if spare.limited { "rate limit not reached" } else { "no rate limit" };
    match spare.disk_busy {
        0 => format!("disk idle, {limit}"),
        percent => format!("disk {percent}% busy, {limit}"),
    }
}

/// Describes one tracker. The status precedes the URL, which may be long.
fn example_tracker(example: Option<&ExampleTracker>) -> String {
    let Some(ExampleTracker { tracker, only }) = example else { return String::new() };
    let status = tracker_status(&tracker.status);
    if *only { format!("; tracker: {status}") } else { format!("; tracker: {status} ({})", tracker.url) }
}

fn measured(f: &Facts) -> Vec<Labeled> {
    let mut out = Vec::new();
    let mut line = |label: &str, value: String| out.push(Labeled::new(label, value));
    if let Some(fault) = &f.fault {
        line("error", disk_fault(fault));
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
    if let Some(outcome) = f.dht {
        line("DHT", dht_outcome(outcome).to_owned());
    }
    let Failures { silent, refused, hung_up } = f.failures;
    if f.failures.all() > 0 {
        line("failed addresses", format!("{silent} did not answer, {refused} refused, {hung_up} hung up"));
    }
    for row in &f.sources {
        let last = row.last_failure.as_ref().map(|why| format!("; last failure: {}", source_failure(why)));
        let last = last.unwrap_or_default();
        let counts = format!("{} known, {} connected, {} failed{last}", row.known, row.connected, row.failed);
        line(&format!("from {}", row.source.word()), counts);
    }
    for seed in &f.web_seeds {
        let problem = seed.problem.as_ref().map(web_seed_problem);
        line(&format!("web seed {}", seed.host), problem.unwrap_or_else(|| "OK".into()));
    }
    for tracker in &f.trackers {
        line(&tracker.url, tracker_status(&tracker.status));
    }
    out
}

#[cfg(test)]
mod tests;
