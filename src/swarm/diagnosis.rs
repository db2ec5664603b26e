//! Diagnosis: derives the reason why a torrent is not faster, from measured numbers only.

use crate::swarm::reason::{
    Diagnosis, DownloadReason, ExampleTracker, Facts, HeldData, LimitReached, MetadataReason, MetadataSource, NoPeers,
    Reason, SeedingReason, Spare, UploadReason,
};
use crate::swarm::status::{DirectionLimits, MetadataProgress, PieceProgress, Reachability, State, WebSeedState};

/// Load in percent from which the disk counts as busy.
const BUSY: u8 = 90;

/// Returns the reason for a torrent's state, with the facts behind it if `with_facts` is set.
#[must_use]
pub(crate) fn diagnose(facts: Facts, with_facts: bool) -> Diagnosis {
    Diagnosis { reason: reason(&facts), facts: with_facts.then(|| Box::new(facts)) }
}

fn reason(f: &Facts) -> Reason {
    match f.state {
        State::Paused => Reason::Paused,
        State::Queued => Reason::Queued(None),
        State::Moving => Reason::Moving(None),
        State::Checking => Reason::Checking(PieceProgress { done: f.checked, total: f.pieces }),
        State::Metadata => Reason::Metadata(metadata(f)),
        State::Error => f.fault.clone().map_or(Reason::Unknown, Reason::Fault),
        State::Seeding => Reason::Seeding(seeding(f)),
        State::Downloading => Reason::Downloading(downloading(f)),
    }
}

/// Returns the effective rate limit if the rate is at least 80 % of it.
fn limiter(rate_now: u64, limits: DirectionLimits) -> Option<LimitReached> {
    let (limit, reached): (u64, fn(u64) -> LimitReached) = match limits {
        DirectionLimits { own: Some(own), share } if share.is_none_or(|share| own <= share) => (own, LimitReached::Own),
        DirectionLimits { share, .. } => (share?, LimitReached::Share),
    };
    (rate_now.saturating_mul(10) >= limit.saturating_mul(8)).then(|| reached(limit))
}

fn metadata(f: &Facts) -> MetadataReason {
    let Some(MetadataProgress { holders, resting, pieces, wrong, .. }) = f.search else {
        return MetadataReason::Received;
    };
    let from = match holders {
        _ if f.peers == 0 => MetadataSource::Nobody(no_peers(f)),
        0 => MetadataSource::NoHolder { peers: f.peers },
        all if all == resting => MetadataSource::NoAnswer { holders },
        _ => MetadataSource::Holders { holders, pieces },
    };
    MetadataReason::Fetching { from, invalid: wrong }
}

fn no_peers(f: &Facts) -> NoPeers {
    NoPeers {
        known: f.known,
        dialing: f.dialing,
        failures: f.failures,
        banned: f.banned,
        port_closed: f.reach == Reachability::Closed,
        local: f.local,
        dht: f.dht,
        tracker: example_tracker(f),
        // Web seeds are not used without metadata.
        web_seed: if f.state == State::Metadata { None } else { example_web_seed(f) },
    }
}

fn example_tracker(f: &Facts) -> Option<ExampleTracker> {
    let tracker = f.trackers.iter().find(|tracker| tracker.failed).or(f.trackers.first())?;
    Some(ExampleTracker { tracker: tracker.clone(), only: f.trackers.len() == 1 })
}

fn example_web_seed(f: &Facts) -> Option<WebSeedState> {
    f.web_seeds.iter().find(|seed| seed.problem.is_some()).or(f.web_seeds.first()).cloned()
}

fn seeding(f: &Facts) -> SeedingReason {
    let held = match f.skipped {
        _ if f.have == f.pieces => HeldData::Complete,
        _ if f.seed_only => HeldData::SeedOnly { have: f.have, pieces: f.pieces },
        skipped if skipped == f.files => HeldData::Nothing,
        skipped => HeldData::Selected { skipped, files: f.files },
    };
    let upload = match limiter(f.up, f.up_limits) {
        _ if f.peers == 0 => {
            UploadReason::NoPeers { port_closed: f.reach == Reachability::Closed, tracker: example_tracker(f) }
        }
        Some(limit) => UploadReason::Limited(limit),
        None if f.interested == 0 => UploadReason::NoInterest { peers: f.peers },
        None if f.super_seed => UploadReason::SuperSeeding { peers: f.peers },
        None => UploadReason::Uploading { receiving: f.taking, interested: f.interested },
    };
    SeedingReason { held, upload }
}

fn downloading(f: &Facts) -> DownloadReason {
    if f.peers == 0 {
        return DownloadReason::NoPeers(no_peers(f));
    }
    if f.interesting == 0 || f.missing == f.lacking {
        let web_seed = example_web_seed(f);
        return DownloadReason::Unavailable { pieces: f.lacking, peers: f.peers, seeds: f.seeds, web_seed };
    }
    if let Some(limit) = limiter(f.down, f.down_limits) {
        return DownloadReason::Limited(limit);
    }
    if f.waiting_for_disk || (f.disk_busy >= BUSY && f.unwritten > 0) {
        return DownloadReason::Disk { busy: f.disk_busy, unwritten: f.unwritten };
    }
    let spare = Spare { disk_busy: f.disk_busy, limited: f.down_limits != DirectionLimits::default() };
    let unchoked = f.interesting - f.choking.min(f.interesting);
    if unchoked == 0 {
        return DownloadReason::AllChoking { choking: f.choking, spare };
    }
    if f.snubbed >= unchoked {
        return DownloadReason::Snubbed { unchoked, choking: f.choking };
    }
    if f.all_asked && f.outstanding > 0 {
        return DownloadReason::LastPieces { pieces: f.active, outstanding: f.outstanding, peers: f.asked };
    }
    if f.choking * 2 > f.interesting {
        return DownloadReason::MostChoking { choking: f.choking, interesting: f.interesting, spare };
    }
    if f.giving == 0 {
        return DownloadReason::NoBlocksYet { unchoked, spare };
    }
    DownloadReason::Sending {
        sending: f.giving,
        peers: f.peers,
        choking: f.choking,
        snubbed: f.snubbed,
        unavailable: f.missing,
        spare,
    }
}
