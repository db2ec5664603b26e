//! What stands in front of the panes: questions, boxes, the help, the numbers behind the why line. Each is written on a
//! sheet at the foot of the screen; the list above it stays in sight. This file says which there are and draws the small
//! ones; the large ones have files of their own.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::api::{Snapshot, TorrentId};
use crate::ui::add::AddBox;
use crate::ui::ask::Ask;
use crate::ui::browse::Browse;
use crate::ui::help::Help;
use crate::ui::model::{Model, find};
use crate::ui::palette::Palette;
use crate::ui::pen::Pen;
use crate::ui::removal::Removal;
use crate::ui::settings::SettingsBox;
use crate::ui::sheet::{Hit, Sheet, measure};
use crate::ui::text::{cells, clean_within, wrap};

/// A layer in front of the panes; it gets the keys first.
#[derive(Clone, PartialEq, Debug)]
pub enum Dialog {
    /// Asks for torrents to add.
    Add(Box<AddBox>),
    /// Walks folders for the dialog below it.
    Browse(Box<Browse>),
    /// Asks whether to remove, and what.
    Remove(Removal),
    /// Asks for one line.
    Ask(Box<Ask>),
    /// Asks whether a tracker is to go.
    Untrack {
        /// Whose.
        id: TorrentId,
        /// Its index.
        index: usize,
        /// Its address.
        url: String,
    },
    /// Asks whether to quit although something is unfinished.
    Quit {
        /// How many torrents are.
        unfinished: usize,
    },
    /// The keys.
    Help(Help),
    /// All that can be done.
    Palette(Box<Palette>),
    /// What the config says.
    Settings(Box<SettingsBox>),
    /// Why the chosen torrent is no faster.
    Why,
    /// Something that must be read: a title and sentences.
    Message(String, Vec<String>),
}

/// Draws the dialog on top, if there is one. Returns where the cursor is to be.
pub fn draw(pen: &mut Pen<'_>, screen: Rect, model: &Model, snapshot: &Snapshot) -> Option<(u16, u16)> {
    let mut sheet = Sheet::new(pen, screen);
    write(&mut sheet, model, snapshot);
    sheet.cursor
}

/// What a click on this cell means to the dialog on top: it is drawn as it is on the screen, and asked.
#[must_use]
pub fn hit(model: &Model, snapshot: &Snapshot, x: u16, y: u16) -> Option<Hit> {
    let screen = Rect::new(0, 0, model.size.0, model.size.1);
    let mut buf = Buffer::empty(screen);
    let mut pen = Pen { buf: &mut buf, theme: &model.theme };
    let mut sheet = Sheet::new(&mut pen, screen);
    write(&mut sheet, model, snapshot);
    sheet.at(x, y)
}

fn write(sheet: &mut Sheet<'_, '_>, model: &Model, snapshot: &Snapshot) {
    match model.dialogs.last() {
        None => {}
        Some(Dialog::Add(add)) => add.draw(sheet, snapshot),
        Some(Dialog::Browse(browse)) => browse.draw(sheet),
        Some(Dialog::Remove(removal)) => removal.draw(sheet, snapshot),
        Some(Dialog::Ask(ask)) => ask.draw(sheet, snapshot),
        Some(Dialog::Untrack { id, index, url }) => {
            // As the list shows it, where names may be hidden.
            let trackers = find(snapshot, *id).and_then(|view| view.detail.as_deref()).map(|detail| &detail.trackers);
            let shown = trackers.and_then(|all| all.iter().find(|row| row.index == *index)).map(|row| row.url.as_str());
            let url = shown.unwrap_or(url);
            let text = format!("{url} will not be asked any more. It can be added again with its address.");
            message(sheet, "remove the tracker?", &[text], "Enter remove   Esc keep");
        }
        Some(Dialog::Quit { unfinished }) => {
            let text = match unfinished {
                1 => "One torrent is unfinished. It goes on where it stopped when you come back.".to_owned(),
                n => format!("{n} torrents are unfinished. They go on where they stopped when you come back."),
            };
            message(sheet, "quit?", &[text], "Enter quit   Esc stay");
        }
        Some(Dialog::Help(help)) => help.draw(sheet, &model.keymap),
        Some(Dialog::Palette(palette)) => palette.draw(sheet),
        Some(Dialog::Settings(settings)) => settings.draw(sheet, model, snapshot),
        Some(Dialog::Why) => why(sheet, model, snapshot),
        Some(Dialog::Message(title, lines)) => message(sheet, title, lines, "Enter close"),
    }
}

fn message(sheet: &mut Sheet<'_, '_>, title: &str, lines: &[String], keys: &str) {
    let width = measure(sheet.screen.width);
    let wrapped: Vec<String> = lines.iter().flat_map(|line| wrap(&line.replace('\n', " "), width)).collect();
    let room = sheet.open(title, wrapped.len(), keys);
    let style = sheet.pen.theme.text;
    for (at, line) in wrapped.iter().take(usize::from(room.height)).enumerate() {
        sheet.line(room, room.y + at as u16, line, style);
    }
}

fn why(sheet: &mut Sheet<'_, '_>, model: &Model, snapshot: &Snapshot) {
    let theme = *sheet.pen.theme;
    let Some(view) = model.chosen(snapshot) else { return };
    let sentence = view.error.as_ref().unwrap_or(&view.why.sentence);
    let wrapped = wrap(sentence, measure(sheet.screen.width));
    let numbers = &view.why.numbers;
    let gap = usize::from(!numbers.is_empty());
    let height = wrapped.len() + numbers.len() + gap;
    let room = sheet.open(&format!("why is {} no faster", view.name), height, "Esc close");
    let mut y = room.y;
    let style = if view.error.is_some() { theme.bad } else { theme.strong };
    for line in &wrapped {
        sheet.line(room, y, line, style);
        y += 1;
    }
    y += gap as u16;
    let widest = numbers.iter().map(|(label, _)| cells(&clean_within(label, false, 40))).max().unwrap_or(0).min(40);
    for (label, value) in numbers {
        if y >= room.bottom() {
            return;
        }
        sheet.pen.put(room.x, y, widest, label, theme.dim);
        sheet.pen.put(room.x + widest + 3, y, room.width.saturating_sub(widest + 3), value, theme.text);
        y += 1;
    }
}
