//! Key actions that open dialogs, and UI effects: clipboard, window title, notifications.

use crate::api::{Command, Snapshot, State, TorrentId};
use crate::ui::app::dialog_stack::DialogContext;
use crate::ui::app::update::perform;
use crate::ui::dialogs::add::AddDialog;
use crate::ui::dialogs::dialog::{Dialog, ScrollState};
use crate::ui::dialogs::help::Help;
use crate::ui::dialogs::overwrite;
use crate::ui::dialogs::palette::{Palette, PaletteEntry};
use crate::ui::dialogs::prompt::{PromptDialog, PromptKind};
use crate::ui::dialogs::remove::RemoveDialog;
use crate::ui::dialogs::settings::{self, SettingsDialog};
use crate::ui::effect::{COPIED, Effect};
use crate::ui::keys::bindings::{Action, KeyContext, Tab};
use crate::ui::state::app::{AppState, Focus};
use crate::ui::state::settings::quoted;
use crate::ui::text::format::{percent, rate_long};

/// Performs an action that opens a dialog or causes an effect; returns `false` if the action is not one of these.
pub fn act(model: &mut AppState, act: Action, snapshot: &Snapshot, commands: &mut Vec<Command>) -> bool {
    let dialog = match act {
        Action::Help => Dialog::Help(Help::default()),
        Action::Palette => Dialog::Palette(Box::new(Palette::new(&model.keymap))),
        Action::Settings => Dialog::Settings(Box::default()),
        Action::Add => Dialog::Add(Box::new(AddDialog::new())),
        Action::Create => Dialog::Create(Box::default()),
        Action::Why if model.selected.is_some() => Dialog::Why(ScrollState::default()),
        Action::Theme => {
            next_theme(model, commands);
            return true;
        }
        _ => return on_targets(model, act, snapshot, commands),
    };
    model.dialogs.push(dialog);
    true
}

/// Switches to the next theme and saves the choice in the config file.
fn next_theme(model: &mut AppState, commands: &mut Vec<Command>) {
    let name = model.theme.name.next();
    // The theme detected for this terminal is not saved: another terminal may need a different one.
    let word = (name != model.options.fitting).then(|| quoted(name.key()));
    settings::set(model, "theme", word, commands);
    model.theme = model.options.fitted(name, model.theme.ascii);
    model.notify(&format!("theme: {}", name.word()));
}

/// Opens a dialog about the marked torrents, or the selected one.
fn on_targets(model: &mut AppState, act: Action, snapshot: &Snapshot, commands: &mut Vec<Command>) -> bool {
    let ids = model.targets(snapshot);
    let one = || model.selected.into_iter().collect::<Vec<_>>();
    let dialog = match act {
        Action::Remove | Action::Move | Action::Export | Action::PeerAdd | Action::FileGlob | Action::TrackerAdd
            if ids.is_empty() =>
        {
            return true;
        }
        Action::Remove => Dialog::Remove(RemoveDialog::new(ids)),
        Action::Move => ask(PromptKind::Move, ids, ""),
        Action::Export => ask(PromptKind::Export, ids, &snapshot.folder),
        Action::PeerAdd => ask(PromptKind::Peers, one(), ""),
        Action::FileGlob => ask(PromptKind::Glob, one(), ""),
        Action::TrackerAdd => ask(PromptKind::Tracker, ids, ""),
        Action::Overwrite => {
            overwrite::ask(model, snapshot);
            return true;
        }
        Action::TrackerRemove => return confirm_remove_tracker(model, snapshot),
        Action::CopyMagnet => return copy(model, ids, snapshot, commands),
        Action::OpenFolder => {
            if let Some(id) = model.selected {
                commands.push(Command::Open(id));
                let name = model.target_label(snapshot, &[id]);
                model.notify(&format!("opening the folder of {name}"));
            }
            return true;
        }
        _ => return false,
    };
    model.dialogs.push(dialog);
    true
}

fn ask(question: PromptKind, ids: Vec<crate::api::TorrentId>, text: &str) -> Dialog {
    Dialog::Ask(Box::new(PromptDialog::new(question, ids, text)))
}

fn confirm_remove_tracker(model: &mut AppState, snapshot: &Snapshot) -> bool {
    let Some(id) = model.selected else { return true };
    let at = model.cursor[Tab::Trackers as usize];
    // The URL is shown as privacy mode allows.
    let shown = model.panes.hidden.shown(snapshot);
    match model.detail(shown).and_then(|detail| detail.trackers.get(at)) {
        Some(row) => {
            let dialog = Dialog::Untrack { id, index: row.index, url: row.url.clone() };
            model.dialogs.push(dialog);
        }
        None => model.notify("no tracker to remove"),
    }
    true
}

/// Copies the magnet links of these torrents. The engine is asked for links that the snapshot does not hold.
fn copy(model: &mut AppState, ids: Vec<TorrentId>, snapshot: &Snapshot, commands: &mut Vec<Command>) -> bool {
    if ids.is_empty() {
        return true;
    }
    let here = model.detail(snapshot).map(|detail| detail.meta.magnet.clone()).filter(|link| !link.is_empty());
    match here.filter(|_| model.selected.is_some_and(|id| ids == [id])) {
        Some(link) => copied(model, 1, vec![link]),
        None => commands.push(Command::Magnets(ids)),
    }
    true
}

/// Copies the magnet links of `asked` torrents to the clipboard, one per line, as many as fit.
pub fn copied(model: &mut AppState, asked: usize, links: Vec<String>) {
    let (mut room, known) = (COPIED, links.len());
    let fitting = links.into_iter().take_while(|link| {
        let fits = room.checked_sub(link.len() + 1);
        room = fits.unwrap_or(0);
        fits.is_some()
    });
    let fitting: Vec<String> = fitting.collect();
    let said = match (fitting.len(), asked) {
        (0, 1) => "magnet link not available yet".to_owned(),
        (0, _) => "magnet links not available yet".to_owned(),
        (1, 1) => "magnet link copied (if the terminal supports OSC 52)".to_owned(),
        (n, _) if n == asked => format!("{n} magnet links copied (if the terminal supports OSC 52)"),
        (n, _) if n < known => format!("{n} of {asked} magnet links copied: clipboard limit reached"),
        (n, _) => format!("{n} of {asked} magnet links copied: the others are not available yet"),
    };
    if !fitting.is_empty() {
        model.outbox.push(Effect::Copy(fitting));
    }
    model.notify(&said);
}

/// Performs a palette entry. An action on a row of a tab only opens the tab first: nothing is done to a row that is
/// not visible.
pub fn chosen(turn: &mut DialogContext<'_>, found: PaletteEntry) {
    let (act, place) = match found {
        PaletteEntry::Act(act, place) => (act, place),
        PaletteEntry::Setting(line) => {
            let settings = SettingsDialog::at(line, turn.model.size);
            turn.model.dialogs.push(Dialog::Settings(Box::new(settings)));
            return;
        }
    };
    let tab = Tab::ALL.into_iter().find(|tab| KeyContext::of(*tab) == Some(place));
    let model = &mut *turn.model;
    if let Some(tab) = tab
        && (model.tab != tab || model.pane != Focus::Detail)
    {
        (model.tab, model.pane) = (tab, Focus::Detail);
        let key = model.keymap.shown(act).to_owned();
        model.notify(&format!("select a row with the arrow keys, then press {key}"));
        return;
    }
    perform(model, act, turn.snapshot, turn.commands);
}

/// Sends a completion notification. Several pending notifications are merged into one.
pub fn complete(model: &mut AppState, sentence: &str) {
    let ways = model.options.ways();
    if !ways.bell && ways.words.is_none() {
        return;
    }
    let before = model.outbox.iter_mut().find_map(|outward| match outward {
        Effect::Notify { body, .. } => Some(body),
        _ => None,
    });
    match before {
        Some(body) => "several torrents are complete".clone_into(body),
        None => model.outbox.push(Effect::Notify { title: "ttui".into(), body: sentence.to_owned() }),
    }
}

/// Updates the window title, if it changed; called once a second.
pub fn tick(model: &mut AppState, snapshot: &Snapshot) {
    if !model.options.title {
        return;
    }
    let title = title(model, snapshot);
    if model.options.titled != title {
        model.outbox.push(Effect::Title(title.clone()));
        model.options.titled = title;
    }
}

/// Formats the window title: progress and rates of all downloads together.
fn title(model: &AppState, snapshot: &Snapshot) -> String {
    let glyphs = model.theme.glyphs;
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
