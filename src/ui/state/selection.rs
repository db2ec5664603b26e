//! Target torrents of a key action: the marked ones, or else the selected one.

use crate::api::{Snapshot, TorrentId};
use crate::ui::app::update::notice;
use crate::ui::state::app::{AppState, Focus, find};

/// Returns the target torrents in display order. Marked torrents that the filter hides are excluded: an action must
/// not change what is not visible.
#[must_use]
pub fn targets(model: &AppState, snapshot: &Snapshot) -> Vec<TorrentId> {
    let marked = marked(model, snapshot);
    if marked.is_empty() {
        model.selected.filter(|id| find(snapshot, *id).is_some()).into_iter().collect()
    } else {
        marked
    }
}

/// Returns the marked visible torrents in display order.
#[must_use]
pub fn marked(model: &AppState, snapshot: &Snapshot) -> Vec<TorrentId> {
    if model.panes.marks.is_empty() {
        return Vec::new();
    }
    let shown = model.rows.iter().filter_map(|at| snapshot.torrents.get(*at)).map(|(id, _)| *id);
    shown.filter(|id| model.panes.marks.contains(id)).collect()
}

/// Names the targets in a sentence: one by its name, several by their count.
#[must_use]
pub fn named(model: &AppState, snapshot: &Snapshot, targets: &[TorrentId]) -> String {
    match targets {
        [id] => find(snapshot, *id).map_or_else(String::new, |view| model.panes.hidden.name(*id, &view.name)),
        several => format!("{} torrents", several.len()),
    }
}

/// Marks or unmarks the selected torrent; in the list, moves on to the next one.
pub fn mark(model: &mut AppState, snapshot: &Snapshot) {
    let Some(id) = model.selected else { return };
    if !model.panes.marks.remove(&id) {
        model.panes.marks.insert(id);
    }
    if model.pane == Focus::List
        && let Some(row) = model.row(snapshot)
        && let Some((next, _)) = model.rows.get(row + 1).and_then(|at| snapshot.torrents.get(*at))
    {
        model.selected = Some(*next);
    }
    tell(model, snapshot);
}

/// Marks all visible torrents, or unmarks them if all are marked.
pub fn mark_all(model: &mut AppState, snapshot: &Snapshot) {
    let shown: Vec<TorrentId> =
        model.rows.iter().filter_map(|at| snapshot.torrents.get(*at)).map(|(id, _)| *id).collect();
    if shown.iter().all(|id| model.panes.marks.contains(id)) {
        model.panes.marks.clear();
    } else {
        model.panes.marks.extend(shown);
    }
    tell(model, snapshot);
}

fn tell(model: &mut AppState, snapshot: &Snapshot) {
    match marked(model, snapshot).len() {
        0 => notice(model, "no torrents marked"),
        1 => notice(model, "1 torrent marked: actions apply to it"),
        n => notice(model, &format!("{n} torrents marked: actions apply to all of them")),
    }
}
