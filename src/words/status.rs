//! What peer sources, trackers, web seeds and the DHT are doing.

use crate::format::counted;
use crate::swarm::status::{DhtOutcome, PexReceived, SourceFailure, SourceStatus, TrackerStatus, WebSeedProblem};

/// Returns the text of a tracker's status.
#[must_use]
pub fn tracker_status(status: &TrackerStatus) -> String {
    match status {
        TrackerStatus::NotContacted => "not contacted".into(),
        TrackerStatus::NotNeeded => "not needed yet".into(),
        TrackerStatus::Working => "working".into(),
        TrackerStatus::Unsupported => "not supported: use http, https or udp".into(),
        TrackerStatus::Refused(why) => format!("not used: {why}"),
        TrackerStatus::Announcing { last_error: Some(why) } => format!("announcing; last: {why}"),
        TrackerStatus::Announcing { last_error: None } => "announcing".into(),
        TrackerStatus::Stopping => "announcing stopped".into(),
        TrackerStatus::Failed(why) => why.clone(),
        TrackerStatus::Warning(text) => format!("warning: {text}"),
    }
}

/// Returns the text of a peer source's status; empty for a source that is not queried.
#[must_use]
pub fn source_status(status: &SourceStatus) -> String {
    match status {
        SourceStatus::NotQueried => String::new(),
        SourceStatus::LsdInactive => "inactive".into(),
        SourceStatus::LsdNothingHeard => "no announcements yet".into(),
        SourceStatus::LsdFound(0) => "no peers found".into(),
        SourceStatus::LsdFound(1) => "1 address known".into(),
        SourceStatus::LsdFound(n) => format!("{n} addresses known"),
        SourceStatus::PexNoPeers => "no PEX peers".into(),
        SourceStatus::Pex { peers, received } => {
            let peers = counted(*peers as u64, "PEX peer");
            match received {
                None => format!("{peers}, no addresses received yet"),
                Some(PexReceived { senders, last }) => {
                    format!("{peers}, {senders} sent addresses, {last} in the last message")
                }
            }
        }
        SourceStatus::DhtStopped => "not asked while it does not run".into(),
        SourceStatus::DhtLookup => "being asked".into(),
        SourceStatus::DhtNoNodes => "no nodes".into(),
        SourceStatus::DhtDone(sum) => format!("{sum}; announced to {}", sum.announced),
        SourceStatus::WebSeedsIdle => "idle".into(),
        SourceStatus::WebSeedsInUse { used, all } => format!("{used} of {all} in use"),
        SourceStatus::WebSeedProblem(problem) => web_seed_problem(problem),
    }
}

/// Returns why an address of a source failed.
#[must_use]
pub fn source_failure(why: &SourceFailure) -> String {
    match why {
        SourceFailure::Peer(why) => why.to_string(),
        SourceFailure::WebSeed(problem) => web_seed_problem(problem),
    }
}

/// Returns why a web seed is not used.
#[must_use]
pub fn web_seed_problem(problem: &WebSeedProblem) -> String {
    match problem {
        WebSeedProblem::Failed(why) => why.clone(),
        WebSeedProblem::Banned(why) => format!("banned: {why}"),
    }
}

/// Returns the state of the DHT for a torrent without peers.
#[must_use]
pub const fn dht_outcome(outcome: DhtOutcome) -> &'static str {
    match outcome {
        DhtOutcome::Searching => "DHT lookup in progress",
        DhtOutcome::NoNodes => "DHT has no nodes",
        DhtOutcome::NoNewPeers => "DHT found no new peers",
    }
}
