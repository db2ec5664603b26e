//! What leaves for the terminal: the clipboard, notifications, the window title.

use crate::api::{Command, Snapshot, State, TorrentId};
use crate::ui::effect::{Effect, MAX_CLIPBOARD_BYTES};
use crate::ui::state::app::AppState;
use crate::ui::text::format::{percent, rate_long};

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
