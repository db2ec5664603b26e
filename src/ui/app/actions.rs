//! Key actions of the panes: each pane handles its own, the others apply to the marked torrents or the selected one.

use crate::api::{Command, FileRow, PeerKey, Priority, Snapshot, TorrentCommand};
use crate::ui::app::{navigation, torrent_actions};
use crate::ui::keys::bindings::{Action, Tab};
use crate::ui::panes::{files, trackers};
use crate::ui::state::app::AppState;

/// Performs an action of the panes; returns `false` if the action is not one of theirs.
pub fn act(model: &mut AppState, act: Action, snapshot: &Snapshot, commands: &mut Vec<Command>) -> bool {
    match act {
        Action::Up => navigation::step(model, -1, snapshot),
        Action::Down => navigation::step(model, 1, snapshot),
        Action::PageUp | Action::HalfUp | Action::PageDown | Action::HalfDown => navigation::page(model, act, snapshot),
        Action::First => navigation::step(model, i64::MIN / 2, snapshot),
        Action::Last => navigation::step(model, i64::MAX / 2, snapshot),
        Action::NextMatch => navigation::next_match(model, true, snapshot),
        Action::PreviousMatch => navigation::next_match(model, false, snapshot),
        Action::Sort | Action::Reverse => navigation::cycle_sort(model, act, snapshot),
        Action::PieceLeft => navigation::step_piece(model, -1, snapshot),
        Action::PieceRight => navigation::step_piece(model, 1, snapshot),
        Action::Mark => model.toggle_mark(snapshot),
        Action::MarkAll => model.toggle_all_marks(snapshot),
        Action::StateFilter => {
            model.panes.only = model.panes.only.next();
            model.refresh_rows(snapshot, true);
        }
        Action::PauseAll => torrent_actions::pause_all(model, snapshot, commands),
        Action::PeerOpen => model.toggle_peer_detail(snapshot),
        Action::Ban | Action::Kick => of_peer(model, act, commands),
        Action::LogScope => {
            model.panes.log_all = !model.panes.log_all;
            model.cursor[Tab::Log as usize] = 0;
        }
        Action::GraphSpan => {
            model.panes.span = model.panes.span.next();
            model.notify(&format!("rates of the last {}", model.panes.span.word()));
        }
        Action::GraphScope => {
            model.panes.graph_all = !model.panes.graph_all;
            let whose = if model.panes.graph_all { "all torrents" } else { "the selected torrent" };
            model.notify(&format!("rates of {whose}"));
        }
        Action::HideNames => {
            let mut hidden = std::mem::take(&mut model.panes.hidden);
            hidden.toggle(snapshot);
            model.panes.hidden = hidden;
            let said = if model.panes.hidden.on() { "names are hidden" } else { "names are shown" };
            model.notify(said);
        }
        act => {
            return torrent_actions::act(model, act, snapshot, commands)
                || on_file(model, act, snapshot, commands)
                || on_tracker(model, act, snapshot, commands);
        }
    }
    true
}

/// Performs an action on the selected peer.
fn of_peer(model: &mut AppState, act: Action, commands: &mut Vec<Command>) {
    let (Some(id), Some(key)) = (model.selected, model.peer) else {
        model.notify("select a peer with the arrow keys first");
        return;
    };
    let (wish, said) = match act {
        Action::Ban => (TorrentCommand::Ban(PeerKey(key)), "banning the selected peer"),
        _ => (TorrentCommand::Kick(PeerKey(key)), "disconnecting the selected peer"),
    };
    commands.push(Command::Torrent(id, wish));
    model.notify(said);
}

/// Performs an action on the selected file or directory; returns `false` if the action is not about files.
fn on_file(model: &mut AppState, act: Action, snapshot: &Snapshot, commands: &mut Vec<Command>) -> bool {
    let row = model.cursor[Tab::Files as usize];
    if act == Action::ToggleFolder {
        model.cursor[Tab::Files as usize] = model.panes.tree.fold(row);
        return true;
    }
    if !matches!(
        act,
        Action::ToggleFile | Action::RaiseFilePriority | Action::LowerFilePriority | Action::ResetFilePriority
    ) {
        return false;
    }
    let (Some(id), Some(detail)) = (model.selected, model.detail(snapshot)) else { return true };
    let files: Vec<&FileRow> =
        model.panes.tree.files_in(row).into_iter().filter_map(|at| detail.files.get(at)).collect();
    let all_wanted = files.iter().all(|file| file.priority != Priority::Skip);
    let next = |now: Priority| match (act, now) {
        (Action::ToggleFile, _) if all_wanted => Priority::Skip,
        (Action::ToggleFile, Priority::Skip) | (Action::ResetFilePriority, _) => Priority::Normal,
        (Action::RaiseFilePriority, Priority::Skip) => Priority::Low,
        (Action::RaiseFilePriority, Priority::Low) => Priority::Normal,
        (Action::RaiseFilePriority, _) => Priority::High,
        (Action::LowerFilePriority, Priority::High) => Priority::Normal,
        (Action::LowerFilePriority, Priority::Normal) => Priority::Low,
        (Action::LowerFilePriority, _) => Priority::Skip,
        (_, now) => now,
    };
    let changed: Vec<(usize, Priority)> = files
        .iter()
        .filter(|file| next(file.priority) != file.priority)
        .map(|file| (file.index, next(file.priority)))
        .collect();
    let text = match changed.as_slice() {
        [] if files.is_empty() => return true,
        [] => "no change".to_owned(),
        [(_, priority)] if files.len() == 1 => format!("priority: {}", files::word(Some(*priority))),
        several => format!("{} files changed", several.len()),
    };
    if !changed.is_empty() {
        commands.push(Command::Torrent(id, TorrentCommand::Priority(changed)));
    }
    model.notify(&text);
    true
}

/// Announces to the selected tracker; returns `false` for other actions.
fn on_tracker(model: &mut AppState, act: Action, snapshot: &Snapshot, commands: &mut Vec<Command>) -> bool {
    if act != Action::TrackerAnnounce {
        return false;
    }
    // The URL is shown as privacy mode allows.
    let shown = model.panes.hidden.shown(snapshot);
    let (Some(id), Some(detail)) = (model.selected, model.detail(shown)) else { return true };
    let (tracker, text) = match detail.trackers.get(model.cursor[Tab::Trackers as usize]) {
        Some(row) => (Some(row.index), format!("announcing to {}", row.url)),
        None if trackers::len(detail) > 0 => (None, "announcing to all trackers".to_owned()),
        None => return true,
    };
    commands.push(Command::Torrent(id, TorrentCommand::Announce(tracker)));
    model.notify(&text);
    true
}

/// Closes or clears one thing in the panes; returns `false` if there is nothing to close.
pub fn close(model: &mut AppState) -> bool {
    let shown = model.shows_peer_detail();
    if shown {
        model.panes.open = None;
    }
    shown
}
