//! Key actions on torrents: on all marked ones, or on the selected one.

use crate::api::{Command, Priority, QueueMove, Snapshot, State, TorrentCommand, TorrentId, TorrentView};
use crate::ui::keys::bindings::Action;
use crate::ui::state::app::{AppState, Sort, find};
use crate::ui::text::format::rate_long;

/// Performs an action on the target torrents; returns `false` if the action is not about torrents.
pub fn act(model: &mut AppState, act: Action, snapshot: &Snapshot, commands: &mut Vec<Command>) -> bool {
    if !matches!(
        act,
        Action::Pause
            | Action::Verify
            | Action::Announce
            | Action::Sequential
            | Action::SuperSeed
            | Action::RaiseBandwidthPriority
            | Action::LowerBandwidthPriority
            | Action::QueueUp
            | Action::QueueDown
            | Action::LowerDownloadLimit
            | Action::RaiseDownloadLimit
            | Action::LowerUploadLimit
            | Action::RaiseUploadLimit
    ) {
        return false;
    }
    let ids = model.targets(snapshot);
    let views: Vec<(TorrentId, &TorrentView)> =
        ids.iter().filter_map(|id| find(snapshot, *id).map(|view| (*id, view))).collect();
    if views.is_empty() {
        return true;
    }
    let name = model.target_label(snapshot, &ids);
    let said = match act {
        Action::Pause => pause(&views, &name, commands),
        Action::Verify => {
            commands.extend(ids.iter().map(|id| Command::Torrent(*id, TorrentCommand::Verify)));
            format!("verifying {name}")
        }
        Action::Announce => {
            commands.extend(ids.iter().map(|id| Command::Torrent(*id, TorrentCommand::Announce(None))));
            format!("announcing to the trackers of {name}")
        }
        Action::Sequential => {
            let on = !views.iter().all(|(_, view)| view.sequential);
            commands.extend(ids.iter().map(|id| Command::Torrent(*id, TorrentCommand::Sequential(on))));
            format!("{name}: {}", if on { "sequential download" } else { "rarest pieces first" })
        }
        Action::SuperSeed => super_seed(&views, &name, commands),
        Action::RaiseBandwidthPriority | Action::LowerBandwidthPriority => {
            rank(&views, &name, act == Action::RaiseBandwidthPriority, commands)
        }
        Action::QueueUp | Action::QueueDown => queue(model, &ids, &name, act == Action::QueueUp, snapshot, commands),
        act => limit(&views, &name, act, commands),
    };
    if !said.is_empty() {
        model.notify(&said);
    }
    true
}

const fn stopped(state: State) -> bool {
    matches!(state, State::Paused | State::Error)
}

/// Pauses the torrents; resumes them if none is running.
fn pause(views: &[(TorrentId, &TorrentView)], name: &str, commands: &mut Vec<Command>) -> String {
    let running = views.iter().any(|(_, view)| !stopped(view.state));
    for (id, view) in views {
        match (running, stopped(view.state)) {
            (true, false) => commands.push(Command::Pause(*id)),
            (false, _) => commands.push(Command::Resume(*id)),
            (true, true) => {}
        }
    }
    if views.len() == 1 {
        return String::new();
    }
    format!("{} {name}", if running { "pausing" } else { "resuming" })
}

/// Pauses all torrents; resumes them if none is running.
pub fn pause_all(model: &mut AppState, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    let views: Vec<_> = snapshot.torrents.iter().map(|(id, view)| (*id, view)).collect();
    let running = views.iter().any(|(_, view)| !stopped(view.state));
    pause(&views, "all", commands);
    if !views.is_empty() {
        model.notify(if running { "pausing all" } else { "resuming all" });
    }
}

fn super_seed(views: &[(TorrentId, &TorrentView)], name: &str, commands: &mut Vec<Command>) -> String {
    let on = !views.iter().all(|(_, view)| view.super_seed);
    let whole: Vec<_> = views.iter().filter(|(_, view)| !on || view.state == State::Seeding).collect();
    if whole.is_empty() {
        return format!("{name}: super-seeding needs a complete torrent");
    }
    commands.extend(whole.iter().map(|(id, _)| Command::Torrent(*id, TorrentCommand::SuperSeed(on))));
    format!("{name}: {}", if on { "super-seeding on" } else { "super-seeding off" })
}

/// Returns the next higher or lower bandwidth priority, within `Low` and `High`.
const fn next_rank(rank: Priority, up: bool) -> Priority {
    match (rank, up) {
        (Priority::Skip | Priority::Low, false) | (Priority::Skip, true) => Priority::Low,
        (Priority::Low, true) | (Priority::High, false) => Priority::Normal,
        (Priority::Normal, false) => Priority::Low,
        (Priority::Normal | Priority::High, true) => Priority::High,
    }
}

/// Returns the label of a bandwidth priority.
#[must_use]
pub const fn rank_word(rank: Priority) -> &'static str {
    match rank {
        Priority::Skip => "none",
        Priority::Low => "low",
        Priority::Normal => "normal",
        Priority::High => "high",
    }
}

fn rank(views: &[(TorrentId, &TorrentView)], name: &str, up: bool, commands: &mut Vec<Command>) -> String {
    let mut last = None;
    for (id, view) in views {
        let rank = next_rank(view.rank, up);
        last = Some(rank);
        if rank != view.rank {
            commands.push(Command::SetBandwidthPriority(*id, rank));
        }
    }
    match (last, views.len()) {
        (Some(rank), 1) => format!("{name}: {} bandwidth priority", rank_word(rank)),
        _ => format!("{name}: {} bandwidth priority", if up { "higher" } else { "lower" }),
    }
}

fn queue(
    model: &AppState,
    ids: &[TorrentId],
    name: &str,
    up: bool,
    snapshot: &Snapshot,
    commands: &mut Vec<Command>,
) -> String {
    let mut places: Vec<usize> =
        snapshot.torrents.iter().enumerate().filter(|(_, (id, _))| ids.contains(id)).map(|(at, _)| at).collect();
    // Torrents already at the end stay there, so that the moved ones keep their relative order.
    let last = snapshot.torrents.len() - 1;
    if !up {
        places.reverse();
    }
    let mut edge = if up { 0 } else { last };
    let mut moved = 0;
    for at in &places {
        if *at == edge {
            edge = if up { edge + 1 } else { edge.saturating_sub(1) };
            continue;
        }
        commands.push(Command::Queue(snapshot.torrents[*at].0, if up { QueueMove::Up } else { QueueMove::Down }));
        moved += 1;
    }
    let place = places.first().map_or(0, |at| if up { at.saturating_sub(1) } else { (at + 1).min(last) }) + 1;
    match (moved, ids.len(), model.sort) {
        (0, ..) => format!("{name}: already {} of the queue", if up { "first" } else { "last" }),
        (_, 1, Sort::Added) => format!("{name}: position {place} of {} in the queue", last + 1),
        (_, 1, _) => format!("{name}: position {place} of {} in the queue; list sorted by another column", last + 1),
        _ => format!("{name}: moved {} in the queue", if up { "up" } else { "down" }),
    }
}

/// Rate limits that the keys step through, in bytes per second, ascending; above the last is "no limit".
pub const LIMITS: [u64; 14] = [
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
];

/// The limit that the first step down from "no limit" sets.
const FIRST: u64 = 10_000_000;

/// Returns the next lower or higher limit; `None` is "no limit".
#[must_use]
pub fn next_limit(limit: Option<u64>, less: bool) -> Option<u64> {
    match (limit, less) {
        (None, true) => Some(FIRST),
        (None, false) => None,
        (Some(now), true) => LIMITS.iter().rev().copied().find(|step| *step < now).or(Some(LIMITS[0])),
        (Some(now), false) => LIMITS.iter().copied().find(|step| *step > now),
    }
}

fn limit(views: &[(TorrentId, &TorrentView)], name: &str, act: Action, commands: &mut Vec<Command>) -> String {
    let less = matches!(act, Action::LowerDownloadLimit | Action::LowerUploadLimit);
    let incoming = matches!(act, Action::LowerDownloadLimit | Action::RaiseDownloadLimit);
    let Some((_, head)) = views.first() else { return String::new() };
    // All torrents get the limit computed for the first one.
    let limit = next_limit(if incoming { head.limits.0 } else { head.limits.1 }, less);
    for (id, view) in views {
        let (down, up) = if incoming { (limit, view.limits.1) } else { (view.limits.0, limit) };
        commands.push(Command::Torrent(*id, TorrentCommand::Limits { down, up }));
    }
    let way = if incoming { "download" } else { "upload" };
    match limit {
        Some(rate) => format!("{name}: {way} limit {}", rate_long(rate)),
        None => format!("{name}: no {way} limit"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_go_down_and_up_by_the_same_steps() {
        let mut limit = None;
        let mut seen = Vec::new();
        for _ in 0..12 {
            limit = next_limit(limit, true);
            seen.extend(limit);
        }
        assert_eq!(seen[..6], [10_000_000, 5_000_000, 2_000_000, 1_000_000, 500_000, 250_000]);
        assert_eq!(limit, Some(LIMITS[0]), "never nothing at all: that is what pausing is for");
        assert_eq!(next_limit(Some(100_000_000), false), None);
        assert_eq!(next_limit(Some(1_234_567), false), Some(2_000_000));
        assert_eq!(next_limit(Some(1_234_567), true), Some(1_000_000));
        assert_eq!(next_limit(None, false), None);
    }

    #[test]
    fn ranks_have_ends() {
        assert_eq!(next_rank(Priority::High, true), Priority::High);
        assert_eq!(next_rank(Priority::Low, false), Priority::Low);
        assert_eq!(next_rank(next_rank(Priority::Normal, true), false), Priority::Normal);
    }
}
