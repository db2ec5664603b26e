//! Actions on torrents: on all marked ones, or on the selected one.

use crate::api::{Command, Priority, QueueMove, Snapshot, State, TorrentCommand, TorrentId, TorrentView};
use crate::ui::app::model::App;
use crate::ui::app::{dialog_actions, outbox};
use crate::ui::dialogs::choice::ChoiceDialog;
use crate::ui::dialogs::prompt::PromptKind;
use crate::ui::dialogs::why::WhyDialog;
use crate::ui::keys::action::TorrentAction;
use crate::ui::state::app::AppState;
use crate::ui::state::columns::TorrentColumn;
use crate::ui::text::format::rate_long;
use crate::ui::text::labels;

/// Performs an action on torrents.
pub(crate) fn perform(app: &mut App, action: TorrentAction, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    let state = &mut app.state;
    let ids = state.targets(snapshot);
    let views: Vec<(TorrentId, &TorrentView)> =
        ids.iter().filter_map(|id| snapshot.torrent(*id).map(|view| (*id, view))).collect();
    let name = state.target_label(snapshot, &ids);
    let each = |command: TorrentCommand| ids.iter().map(move |id| Command::Torrent(*id, command.clone()));
    let text = match action {
        TorrentAction::Mark => return state.toggle_mark(snapshot),
        TorrentAction::MarkAll => return state.toggle_all_marks(snapshot),
        TorrentAction::PauseAll => pause_all(snapshot, commands),
        _ if views.is_empty() => return,
        TorrentAction::Pause => pause(&views, &name, commands),
        TorrentAction::Verify => {
            commands.extend(each(TorrentCommand::Verify));
            state.verifying.extend(&ids);
            format!("verifying {name}")
        }
        TorrentAction::Announce => {
            commands.extend(each(TorrentCommand::Announce(None)));
            format!("announcing to the trackers of {name}")
        }
        TorrentAction::Sequential => {
            let on = !views.iter().all(|(_, view)| view.sequential);
            commands.extend(each(TorrentCommand::Sequential(on)));
            format!("{name}: {}", if on { "sequential download" } else { "rarest pieces first" })
        }
        TorrentAction::SuperSeed => super_seed(&views, &name, commands),
        TorrentAction::RaiseBandwidthPriority => change_priority(&views, &name, true, commands),
        TorrentAction::LowerBandwidthPriority => change_priority(&views, &name, false, commands),
        TorrentAction::QueueUp => queue(state, &ids, &name, true, snapshot, commands),
        TorrentAction::QueueDown => queue(state, &ids, &name, false, snapshot, commands),
        TorrentAction::LowerDownloadLimit => limit_download(&views, &name, true, commands),
        TorrentAction::RaiseDownloadLimit => limit_download(&views, &name, false, commands),
        TorrentAction::LowerUploadLimit => limit_upload(&views, &name, true, commands),
        TorrentAction::RaiseUploadLimit => limit_upload(&views, &name, false, commands),
        TorrentAction::CopyMagnet => return outbox::copy_magnets(state, ids, snapshot, commands),
        TorrentAction::OpenFolder => return open_folder(state, snapshot, commands),
        TorrentAction::Remove => return app.dialogs.push(ChoiceDialog::remove(ids, name)),
        TorrentAction::Move => return dialog_actions::ask(app, PromptKind::Move, snapshot),
        TorrentAction::Export => return dialog_actions::ask(app, PromptKind::Export, snapshot),
        TorrentAction::Overwrite => return dialog_actions::confirm_overwrite(app, snapshot),
        TorrentAction::Why => return app.dialogs.push(WhyDialog::default()),
        TorrentAction::Limits => return dialog_actions::ask(app, PromptKind::Limits, snapshot),
        TorrentAction::ShowLink => return dialog_actions::show_link(app, snapshot),
    };
    state.notify(&text);
}

fn open_folder(state: &mut AppState, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    if let Some(id) = state.selected {
        commands.push(Command::Open(id));
        let name = state.target_label(snapshot, &[id]);
        state.notify(&format!("opening the folder of {name}"));
    }
}

const fn is_stopped(state: State) -> bool {
    matches!(state, State::Paused | State::Error)
}

/// Pauses the torrents; resumes them if none is running.
fn pause(views: &[(TorrentId, &TorrentView)], name: &str, commands: &mut Vec<Command>) -> String {
    let running = views.iter().any(|(_, view)| !is_stopped(view.state));
    for (id, view) in views {
        match (running, is_stopped(view.state)) {
            (true, false) => commands.push(Command::Pause(*id)),
            (false, _) => commands.push(Command::Resume(*id)),
            (true, true) => {}
        }
    }
    format!("{} {name}", if running { "pausing" } else { "resuming" })
}

/// Pauses all torrents; resumes them if none is running.
fn pause_all(snapshot: &Snapshot, commands: &mut Vec<Command>) -> String {
    let views: Vec<_> = snapshot.torrents.iter().map(|(id, view)| (*id, view)).collect();
    let running = views.iter().any(|(_, view)| !is_stopped(view.state));
    pause(&views, "all", commands);
    match (views.len(), running) {
        (0, _) => "there are no torrents".to_owned(),
        (n, true) => format!("pausing all {n} torrents"),
        (n, false) => format!("resuming all {n} torrents"),
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

fn change_priority(views: &[(TorrentId, &TorrentView)], name: &str, up: bool, commands: &mut Vec<Command>) -> String {
    let mut last = None;
    for (id, view) in views {
        let rank = next_rank(view.rank, up);
        last = Some(rank);
        if rank != view.rank {
            commands.push(Command::SetBandwidthPriority(*id, rank));
        }
    }
    match (last, views.len()) {
        (Some(rank), 1) => format!("{name}: {} bandwidth priority", labels::bandwidth_priority(rank)),
        _ => format!("{name}: {} bandwidth priority", if up { "higher" } else { "lower" }),
    }
}

fn queue(
    state: &AppState,
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
    match (moved, ids.len(), state.sort) {
        (0, ..) => format!("{name}: already {} of the queue", if up { "first" } else { "last" }),
        (_, 1, TorrentColumn::Queue) => format!("{name}: position {place} of {} in the queue", last + 1),
        (_, 1, _) => format!("{name}: position {place} of {} in the queue; list sorted by another column", last + 1),
        _ => format!("{name}: moved {} in the queue", if up { "up" } else { "down" }),
    }
}

/// Rate limits that the keys step through, in bytes per second, ascending; above the last is "no limit".
pub(crate) const LIMITS: [u64; 14] = [
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
pub(crate) fn next_limit(limit: Option<u64>, less: bool) -> Option<u64> {
    match (limit, less) {
        (None, true) => Some(FIRST),
        (None, false) => None,
        (Some(now), true) => LIMITS.iter().rev().copied().find(|step| *step < now).or(Some(LIMITS[0])),
        (Some(now), false) => LIMITS.iter().copied().find(|step| *step > now),
    }
}

fn limit_download(views: &[(TorrentId, &TorrentView)], name: &str, less: bool, commands: &mut Vec<Command>) -> String {
    // All torrents get the limit computed for the first one.
    let limit = next_limit(views.first().and_then(|(_, head)| head.limits.down), less);
    let limits = |view: &TorrentView| TorrentCommand::Limits { down: limit, up: view.limits.up };
    commands.extend(views.iter().map(|(id, view)| Command::Torrent(*id, limits(view))));
    limit_text(name, "download", limit)
}

fn limit_upload(views: &[(TorrentId, &TorrentView)], name: &str, less: bool, commands: &mut Vec<Command>) -> String {
    let limit = next_limit(views.first().and_then(|(_, head)| head.limits.up), less);
    let limits = |view: &TorrentView| TorrentCommand::Limits { down: view.limits.down, up: limit };
    commands.extend(views.iter().map(|(id, view)| Command::Torrent(*id, limits(view))));
    limit_text(name, "upload", limit)
}

fn limit_text(name: &str, direction: &str, limit: Option<u64>) -> String {
    match limit {
        Some(rate) => format!("{name}: {direction} limit {}", rate_long(rate)),
        None => format!("{name}: no {direction} limit"),
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
