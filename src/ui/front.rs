//! What keys open in front of the panes, and what is told to the world: clipboard, title, notification.

use crate::api::{Command, Snapshot, State, TorrentId};
use crate::ui::add::AddBox;
use crate::ui::answer::Turn;
use crate::ui::ask::{Ask, Question};
use crate::ui::dialog::{Dialog, Reading};
use crate::ui::help::Help;
use crate::ui::keys::{Act, Place, Tab};
use crate::ui::model::{Model, Pane};
use crate::ui::options::quoted;
use crate::ui::outward::{COPIED, Outward};
use crate::ui::overwrite;
use crate::ui::palette::{Found, Palette};
use crate::ui::removal::Removal;
use crate::ui::settings::{self, SettingsBox};
use crate::ui::targets::{named, targets};
use crate::ui::text::{percent, rate_long};
use crate::ui::update::{notice, perform};

/// Does what a key asks of the front; false if it asks nothing of it.
pub fn act(model: &mut Model, act: Act, snapshot: &Snapshot, commands: &mut Vec<Command>) -> bool {
    let dialog = match act {
        Act::Help => Dialog::Help(Help::default()),
        Act::Palette => Dialog::Palette(Box::new(Palette::new(&model.keymap))),
        Act::Settings => Dialog::Settings(Box::default()),
        Act::Add => Dialog::Add(Box::new(AddBox::new())),
        Act::Create => Dialog::Create(Box::default()),
        Act::Why if model.selected.is_some() => Dialog::Why(Reading::default()),
        Act::Theme => {
            next_theme(model, commands);
            return true;
        }
        _ => return on_targets(model, act, snapshot, commands),
    };
    model.dialogs.push(dialog);
    true
}

/// The next theme, kept in the config: it is there at the next start, too.
fn next_theme(model: &mut Model, commands: &mut Vec<Command>) {
    let name = model.theme.name.next();
    // What fits the terminal is not named: on another terminal another one may.
    let word = (name != model.options.fitting).then(|| quoted(name.key()));
    settings::set(model, "theme", word, commands);
    model.theme = model.options.fitted(name, model.theme.ascii);
    notice(model, &format!("theme: {}", name.word()));
}

/// What is asked about torrents: about those that are marked, or the chosen one.
fn on_targets(model: &mut Model, act: Act, snapshot: &Snapshot, commands: &mut Vec<Command>) -> bool {
    let ids = targets(model, snapshot);
    let one = || model.selected.into_iter().collect::<Vec<_>>();
    let dialog = match act {
        Act::Remove | Act::Move | Act::Export | Act::PeerAdd | Act::FileGlob | Act::TrackerAdd if ids.is_empty() => {
            return true;
        }
        Act::Remove => Dialog::Remove(Removal::new(ids)),
        Act::Move => ask(Question::Move, ids, ""),
        Act::Export => ask(Question::Export, ids, &snapshot.folder),
        Act::PeerAdd => ask(Question::Peers, one(), ""),
        Act::FileGlob => ask(Question::Glob, one(), ""),
        Act::TrackerAdd => ask(Question::Tracker, ids, ""),
        Act::Overwrite => {
            overwrite::ask(model, snapshot);
            return true;
        }
        Act::TrackerRemove => return untrack(model, snapshot),
        Act::CopyMagnet => return copy(model, ids, snapshot, commands),
        Act::OpenFolder => {
            if let Some(id) = model.selected {
                commands.push(Command::Open(id));
                let name = named(model, snapshot, &[id]);
                notice(model, &format!("opening the folder of {name}"));
            }
            return true;
        }
        _ => return false,
    };
    model.dialogs.push(dialog);
    true
}

fn ask(question: Question, ids: Vec<crate::api::TorrentId>, text: &str) -> Dialog {
    Dialog::Ask(Box::new(Ask::new(question, ids, text)))
}

fn untrack(model: &mut Model, snapshot: &Snapshot) -> bool {
    let Some(id) = model.selected else { return true };
    let at = model.cursor[Tab::Trackers as usize];
    // Its address is shown: where names are hidden, as it may be seen.
    let shown = model.panes.hidden.shown(snapshot);
    match model.detail(shown).and_then(|detail| detail.trackers.get(at)) {
        Some(row) => {
            let dialog = Dialog::Untrack { id, index: row.index, url: row.url.clone() };
            model.dialogs.push(dialog);
        }
        None => notice(model, "there is no tracker to remove"),
    }
    true
}

/// Copies the magnet links of these torrents. That of the chosen one is here; the engine is asked for others.
fn copy(model: &mut Model, ids: Vec<TorrentId>, snapshot: &Snapshot, commands: &mut Vec<Command>) -> bool {
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

/// Puts magnet links of `asked` torrents into the clipboard, one a line: as many as it takes.
pub fn copied(model: &mut Model, asked: usize, links: Vec<String>) {
    let (mut room, known) = (COPIED, links.len());
    let fitting = links.into_iter().take_while(|link| {
        let fits = room.checked_sub(link.len() + 1);
        room = fits.unwrap_or(0);
        fits.is_some()
    });
    let fitting: Vec<String> = fitting.collect();
    let said = match (fitting.len(), asked) {
        (0, 1) => "its magnet link is not known yet".to_owned(),
        (0, _) => "their magnet links are not known yet".to_owned(),
        (1, 1) => "the magnet link is in the clipboard, if the terminal allows it".to_owned(),
        (n, _) if n == asked => format!("{n} magnet links are in the clipboard, if the terminal allows it"),
        (n, _) if n < known => format!("{n} of {asked} magnet links are in the clipboard: it takes no more"),
        (n, _) => format!("{n} of {asked} magnet links are in the clipboard: the others are not known yet"),
    };
    if !fitting.is_empty() {
        model.outbox.push(Outward::Copy(fitting));
    }
    notice(model, &said);
}

/// Something was chosen in the palette. What is about a line of a tab opens the tab first: nothing is done to a line
/// that nobody looks at.
pub fn chosen(turn: &mut Turn<'_>, found: Found) {
    let (act, place) = match found {
        Found::Act(act, place) => (act, place),
        Found::Setting(line) => {
            let settings = SettingsBox::at(line, turn.model.size);
            turn.model.dialogs.push(Dialog::Settings(Box::new(settings)));
            return;
        }
    };
    let tab = Tab::ALL.into_iter().find(|tab| Place::of(*tab) == Some(place));
    let model = &mut *turn.model;
    if let Some(tab) = tab
        && (model.tab != tab || model.pane != Pane::Detail)
    {
        (model.tab, model.pane) = (tab, Pane::Detail);
        let key = model.keymap.shown(act).to_owned();
        notice(model, &format!("choose a line with the arrow keys, then press {key}"));
        return;
    }
    perform(model, act, turn.snapshot, turn.commands);
}

/// A torrent is complete: said to whoever looks elsewhere. Several at once are one message.
pub fn complete(model: &mut Model, sentence: &str) {
    let ways = model.options.ways();
    if !ways.bell && ways.words.is_none() {
        return;
    }
    let before = model.outbox.iter_mut().find_map(|outward| match outward {
        Outward::Notify { body, .. } => Some(body),
        _ => None,
    });
    match before {
        Some(body) => "several torrents are complete".clone_into(body),
        None => model.outbox.push(Outward::Notify { title: "ttui".into(), body: sentence.to_owned() }),
    }
}

/// A second went by: the title of the window follows, if it changed.
pub fn tick(model: &mut Model, snapshot: &Snapshot) {
    if !model.options.title {
        return;
    }
    let title = title(model, snapshot);
    if model.options.titled != title {
        model.outbox.push(Outward::Title(title.clone()));
        model.options.titled = title;
    }
}

/// How far all downloads together are, and how fast.
fn title(model: &Model, snapshot: &Snapshot) -> String {
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
