//! Opens dialogs about torrents.

use crate::api::{FaultKind, Snapshot, TorrentId};
use crate::ui::app::model::App;
use crate::ui::dialogs::choice::ChoiceDialog;
use crate::ui::dialogs::confirm::ConfirmDialog;
use crate::ui::dialogs::dialog::{DialogContext, Request};
use crate::ui::dialogs::message::MessageDialog;
use crate::ui::dialogs::prompt::{PromptDialog, PromptKind};
use crate::ui::dialogs::share::ShareView;
use crate::ui::dialogs::sort::SortDialog;
use crate::ui::keys::action::{Action, ViewAction};
use crate::ui::keys::context::Tab;
use crate::ui::state::app::AppState;
use crate::ui::state::settings::rate_text;

/// Asks for one line of text about the marked torrents, or about the selected one.
pub(crate) fn ask(app: &mut App, kind: PromptKind, snapshot: &Snapshot) {
    let ids = match kind {
        PromptKind::Move | PromptKind::Export | PromptKind::Tracker | PromptKind::Limits => app.state.targets(snapshot),
        PromptKind::Peers | PromptKind::Glob => app.state.selected.into_iter().collect(),
    };
    let limit = |limit: Option<u64>| limit.map_or_else(|| "none".to_owned(), rate_text);
    let text = match (kind, ids.first().and_then(|id| snapshot.torrent(*id))) {
        (PromptKind::Export, _) => snapshot.folder.clone(),
        (PromptKind::Limits, Some(view)) => format!("{} {}", limit(view.limits.down), limit(view.limits.up)),
        _ => String::new(),
    };
    if !ids.is_empty() {
        let named = app.state.target_label(snapshot, &ids);
        app.dialogs.push(PromptDialog::new(kind, ids, named, &text));
    }
}

/// Shows the magnet link of the selected torrent and its QR code.
pub(crate) fn show_link(app: &mut App, snapshot: &Snapshot) {
    let shown = app.state.panes.hidden.shown(snapshot);
    let magnet = app.state.detail(shown).map(|detail| detail.meta.magnet.clone()).filter(|link| !link.is_empty());
    match magnet {
        Some(magnet) => app.dialogs.push(ShareView::of_link(magnet)),
        None => app.state.notify("magnet link not available yet"),
    }
}

/// Opens the sort menu of the focused list, sorted by the next column.
pub(crate) fn open_sort_menu(app: &mut App, snapshot: &Snapshot) {
    app.dialogs.push(SortDialog::new(&app.state));
    let cx = DialogContext { state: &app.state, snapshot };
    let next = Action::View(ViewAction::Sort);
    for request in app.dialogs.with_top(|dialog| dialog.action(next, &cx)) {
        if let Request::Sort(by) = request {
            app.state.sort_by(by, snapshot);
        }
    }
}

/// Shows the selected line of the log in full.
pub(crate) fn show_log_line(app: &mut App, snapshot: &Snapshot) {
    let state = &app.state;
    let shown = state.panes.hidden.shown(snapshot);
    let back = state.cursor[Tab::Log as usize];
    let line = match state.detail(shown) {
        _ if state.panes.log_all => shown.log.iter().rev().nth(back).map(|line| &line.text),
        Some(detail) => detail.log.iter().rev().nth(back).map(|line| &line.text),
        None => None,
    };
    if let Some(line) = line.cloned() {
        app.dialogs.push(MessageDialog::new("log", vec![line]));
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
    let Some((id, view)) = app.state.selected.and_then(|id| Some((id, snapshot.torrent(id)?))) else { return };
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
