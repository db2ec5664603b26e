//! Which torrents a key is for: those that are marked, or else the chosen one.

use crate::api::{Snapshot, TorrentId};
use crate::ui::model::{Model, Pane, find};
use crate::ui::update::notice;

/// The torrents that a key is for, in the order in which they are shown. A mark on a torrent that the filter hides does
/// not count: nothing is done to what is not seen.
#[must_use]
pub fn targets(model: &Model, snapshot: &Snapshot) -> Vec<TorrentId> {
    let marked = marked(model, snapshot);
    if marked.is_empty() {
        model.selected.filter(|id| find(snapshot, *id).is_some()).into_iter().collect()
    } else {
        marked
    }
}

/// The torrents that are marked and shown, in the order in which they are shown.
#[must_use]
pub fn marked(model: &Model, snapshot: &Snapshot) -> Vec<TorrentId> {
    if model.panes.marks.is_empty() {
        return Vec::new();
    }
    let shown = model.rows.iter().filter_map(|at| snapshot.torrents.get(*at)).map(|(id, _)| *id);
    shown.filter(|id| model.panes.marks.contains(id)).collect()
}

/// The targets as a sentence names them: one by its name, several by their number.
#[must_use]
pub fn named(model: &Model, snapshot: &Snapshot, targets: &[TorrentId]) -> String {
    match targets {
        [id] => find(snapshot, *id).map_or_else(String::new, |view| model.panes.hidden.name(*id, &view.name)),
        several => format!("{} torrents", several.len()),
    }
}

/// Marks the chosen torrent, or takes its mark away; in the list, goes on to the next one.
pub fn mark(model: &mut Model, snapshot: &Snapshot) {
    let Some(id) = model.selected else { return };
    if !model.panes.marks.remove(&id) {
        model.panes.marks.insert(id);
    }
    if model.pane == Pane::List
        && let Some(row) = model.row(snapshot)
        && let Some((next, _)) = model.rows.get(row + 1).and_then(|at| snapshot.torrents.get(*at))
    {
        model.selected = Some(*next);
    }
    tell(model, snapshot);
}

/// Marks all that are shown, or none where all of them are marked.
pub fn mark_all(model: &mut Model, snapshot: &Snapshot) {
    let shown: Vec<TorrentId> =
        model.rows.iter().filter_map(|at| snapshot.torrents.get(*at)).map(|(id, _)| *id).collect();
    if shown.iter().all(|id| model.panes.marks.contains(id)) {
        model.panes.marks.clear();
    } else {
        model.panes.marks.extend(shown);
    }
    tell(model, snapshot);
}

fn tell(model: &mut Model, snapshot: &Snapshot) {
    match marked(model, snapshot).len() {
        0 => notice(model, "nothing is marked"),
        1 => notice(model, "one torrent is marked: what follows is done to it"),
        n => notice(model, &format!("{n} torrents are marked: what follows is done to all of them")),
    }
}
