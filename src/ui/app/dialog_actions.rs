//! Opens dialogs, and causes effects of the UI: clipboard, window title, notifications.

use crate::api::{Command, FaultKind, Snapshot, State, TorrentId};
use crate::ui::app::model::App;
use crate::ui::dialogs::confirm::ConfirmDialog;
use crate::ui::dialogs::message::MessageDialog;
use crate::ui::dialogs::overwrite::OverwriteDialog;
use crate::ui::dialogs::prompt::{PromptDialog, PromptKind};
use crate::ui::effect::{Effect, MAX_CLIPBOARD_BYTES};
use crate::ui::keys::context::Tab;
use crate::ui::state::app::{AppState, find};
use crate::ui::text::format::{percent, rate_long};

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
    let occupied = view.fault == Some(FaultKind::Occupied);
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

fn overwrite(state: &AppState, (id, name): (TorrentId, &str), text: &str) -> OverwriteDialog {
    let hidden = &state.panes.hidden;
    OverwriteDialog::new(id, hidden.name(id, name), hidden.sentence(text).into_owned())
}

/// Copies the magnet links of these torrents. The engine is asked for links that the snapshot does not hold.
pub(crate) fn copy_magnets(
    state: &mut AppState,
    ids: Vec<TorrentId>,
    snapshot: &Snapshot,
    commands: &mut Vec<Command>,
) {
    let here = state.detail(snapshot).map(|detail| detail.meta.magnet.clone()).filter(|link| !link.is_empty());
    match here.filter(|_| state.selected.is_some_and(|id| ids == [id])) {
        Some(link) => copied(state, 1, vec![link]),
        None => commands.push(Command::Magnets(ids)),
    }
}

/// Copies the magnet links of `asked` torrents to the clipboard, one per line, as many as fit.
pub(crate) fn copied(state: &mut AppState, asked: usize, links: Vec<String>) {
    let (mut room, known) = (MAX_CLIPBOARD_BYTES, links.len());
    let copied = links.into_iter().take_while(|link| {
        let fits = room.checked_sub(link.len() + 1);
        room = fits.unwrap_or(0);
        fits.is_some()
    });
    let copied: Vec<String> = copied.collect();
    let said = match (copied.len(), asked) {
        (0, 1) => "magnet link not available yet".to_owned(),
        (0, _) => "magnet links not available yet".to_owned(),
        (1, 1) => "magnet link copied (if the terminal supports OSC 52)".to_owned(),
        (n, _) if n == asked => format!("{n} magnet links copied (if the terminal supports OSC 52)"),
        (n, _) if n < known => format!("{n} of {asked} magnet links copied: clipboard limit reached"),
        (n, _) => format!("{n} of {asked} magnet links copied: the others are not available yet"),
    };
    if !copied.is_empty() {
        state.outbox.push(Effect::Copy(copied));
    }
    state.notify(&said);
}

/// Sends a completion notification. Several pending notifications are merged into one.
pub(crate) fn complete(state: &mut AppState, sentence: &str) {
    let channels = state.options.notify_channels();
    if !channels.bell && channels.words.is_none() {
        return;
    }
    let before = state.outbox.iter_mut().find_map(|outward| match outward {
        Effect::Notify { body, .. } => Some(body),
        _ => None,
    });
    match before {
        Some(body) => "several torrents are complete".clone_into(body),
        None => state.outbox.push(Effect::Notify { title: "ttui".into(), body: sentence.to_owned() }),
    }
}

/// Updates the window title, if it changed; called once a second.
pub(crate) fn update_title(state: &mut AppState, snapshot: &Snapshot) {
    if !state.options.title {
        return;
    }
    let title = title(state, snapshot);
    if state.options.window_title != title {
        state.outbox.push(Effect::Title(title.clone()));
        state.options.window_title = title;
    }
}

/// Formats the window title: progress and rates of all downloads together.
fn title(state: &AppState, snapshot: &Snapshot) -> String {
    let glyphs = state.theme.glyphs;
    let running = || snapshot.torrents.iter().map(|(_, view)| view).filter(|view| view.state == State::Downloading);
    let (done, wanted) = running().fold((0_u64, 0_u64), |(done, wanted), view| {
        (done.saturating_add(view.done), wanted.saturating_add(view.wanted))
    });
    if wanted > 0 {
        return format!("{} {} {} - ttui", percent(done, wanted), glyphs.down, rate_long(snapshot.down));
    }
    if snapshot.up > 0 {
        return format!("{} {} - ttui", glyphs.up, rate_long(snapshot.up));
    }
    "ttui".to_owned()
}
