//! Opens dialogs about torrents.

use crate::api::{FaultKind, Snapshot, TorrentId};
use crate::ui::app::model::App;
use crate::ui::dialogs::choice::ChoiceDialog;
use crate::ui::dialogs::confirm::ConfirmDialog;
use crate::ui::dialogs::message::MessageDialog;
use crate::ui::dialogs::prompt::{PromptDialog, PromptKind};
use crate::ui::keys::context::Tab;
use crate::ui::state::app::{AppState, find};

/// Asks for one line of text about the marked torrents, or about the selected one.
pub(crate) fn ask(app: &mut App, kind: PromptKind, snapshot: &Snapshot) {
    let ids = match kind {
        PromptKind::Move | PromptKind::Export | PromptKind::Tracker => app.state.targets(snapshot),
        PromptKind::Peers | PromptKind::Glob => app.state.selected.into_iter().collect(),
    };
    let text = if kind == PromptKind::Export { snapshot.folder.as_str() } else { "" };
    if !ids.is_empty() {
        app.dialogs.push(PromptDialog::new(kind, ids, text));
    }
}

/// Asks whether to remove the selected tracker.
pub(crate) fn confirm_remove_tracker(app: &mut App, snapshot: &Snapshot) {
    let Some(id) = app.state.selected else { return };
    let at = app.state.cursor[Tab::Trackers as usize];
    // The URL is shown as privacy mode allows.
    let shown = app.state.panes.hidden.shown(snapshot);
    match app.state.detail(shown).and_then(|detail| detail.trackers.get(at)) {
        Some(row) => app.dialogs.push(ConfirmDialog::RemoveTracker { id, index: row.index, url: row.url.clone() }),
        None => app.state.notify("no tracker to remove"),
    }
}

/// Asks again whether the selected torrent may overwrite existing files.
pub(crate) fn confirm_overwrite(app: &mut App, snapshot: &Snapshot) {
    let Some((id, view)) = app.state.selected.and_then(|id| Some((id, find(snapshot, id)?))) else { return };
    let occupied = matches!(view.fault, Some(FaultKind::Occupied | FaultKind::Longer));
    match view.error.as_ref().filter(|_| occupied) {
        Some(text) => app.dialogs.push(overwrite(&app.state, (id, &view.name), text)),
        None => app.state.notify("no conflicting files to overwrite"),
    }
}

/// Opens a dialog about existing files in the way of a torrent: a question, or an error if they cannot be overwritten.
/// Inserted at the bottom of the stack, behind a dialog in which the user is typing.
pub(crate) fn occupied(app: &mut App, (id, name): (TorrentId, &str), text: &str, ask: bool) {
    let hidden = &app.state.panes.hidden;
    if ask {
        app.dialogs.push_below(overwrite(&app.state, (id, name), text));
    } else {
        let title = format!("{} cannot continue", hidden.name(id, name));
        app.dialogs.push_below(MessageDialog::new(&title, vec![hidden.sentence(text).into_owned()]));
    }
}

/// Shows an add error, below a dialog in which the user is typing.
pub(crate) fn add_failed(app: &mut App, what: &str, why: &str) {
    let line = if why.contains(what) { why.to_owned() } else { format!("{what}: {why}") };
    let line: String = line.chars().take(600).collect();
    match app.dialogs.find_mut::<MessageDialog>() {
        Some(message) => message.append(line),
        None => app.dialogs.push_below(MessageDialog::new("not added", vec![line])),
    }
}

fn overwrite(state: &AppState, (id, name): (TorrentId, &str), text: &str) -> ChoiceDialog {
    let hidden = &state.panes.hidden;
    ChoiceDialog::overwrite(id, hidden.name(id, name), hidden.sentence(text).into_owned())
}
