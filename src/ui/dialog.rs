//! What stands in front of the panes: questions, boxes, the help, the numbers behind the why line. Each is written on a
//! sheet at the foot of the screen; the list above it stays in sight. This file says which there are and draws the small
//! ones; the large ones have files of their own.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::api::{Snapshot, TorrentId, TorrentView};
use crate::ui::add::AddBox;
use crate::ui::ask::Ask;
use crate::ui::browse::Browse;
use crate::ui::chooser::{Chooser, listed};
use crate::ui::create::CreateBox;
use crate::ui::help::Help;
use crate::ui::keys::Key;
use crate::ui::layout::LEAST;
use crate::ui::model::{Model, find};
use crate::ui::overwrite::Overwrite;
use crate::ui::palette::Palette;
use crate::ui::pen::Pen;
use crate::ui::removal::Removal;
use crate::ui::settings::SettingsBox;
use crate::ui::sheet::{Hit, Sheet, measure, room};
use crate::ui::text::{cells, clean_within, wrap};

/// A layer in front of the panes; it gets the keys first.
#[derive(Clone, PartialEq, Debug)]
pub enum Dialog {
    /// Asks for torrents to add.
    Add(Box<AddBox>),
    /// Asks for a file or folder to make a torrent of.
    Create(Box<CreateBox>),
    /// Walks folders for the dialog below it.
    Browse(Box<Browse>),
    /// Asks whether to remove, and what.
    Remove(Removal),
    /// Asks whether files that are in the way may be overwritten.
    Overwrite(Box<Overwrite>),
    /// Asks for one line.
    Ask(Box<Ask>),
    /// Asks which files of a magnet are wanted, now that they are known.
    Choose {
        /// Whose.
        id: TorrentId,
        /// Its files.
        chooser: Box<Chooser>,
    },
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
    Why(Reading),
    /// Something that must be read.
    Message {
        /// Its title.
        title: String,
        /// Sentences.
        lines: Vec<String>,
        /// How far it is read.
        reading: Reading,
    },
}

impl Dialog {
    /// Something that must be read.
    #[must_use]
    pub fn message(title: &str, lines: Vec<String>) -> Self {
        Dialog::Message { title: title.to_owned(), lines, reading: Reading::default() }
    }
}

/// How far a text is read that may be longer than the screen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reading {
    top: usize,
}

impl Reading {
    /// Moves as a key says in a text of `count` lines on a screen of `screen` lines; false if the key moves nothing.
    pub fn key(&mut self, key: Key, count: usize, screen: u16) -> bool {
        let height = usize::from(room(screen, count));
        self.top = match listed(key) {
            Key::Up => self.top.saturating_sub(1),
            Key::Down => self.top + 1,
            Key::PageUp => self.top.saturating_sub(height),
            Key::PageDown => self.top + height,
            Key::Home => 0,
            Key::End => count,
            _ => return false,
        }
        .min(count.saturating_sub(height));
        true
    }
}

/// How many lines the dialog on top has to read, if that is what it is for.
#[must_use]
pub fn lines_to_read(dialog: &Dialog, model: &Model, snapshot: &Snapshot) -> usize {
    let snapshot = model.panes.hidden.shown(snapshot);
    let width = measure(model.size.0);
    match dialog {
        Dialog::Why(_) => model.chosen(snapshot).map_or(0, |view| why_lines(view, width).len()),
        Dialog::Message { lines, .. } => wrapped(lines, width).len(),
        _ => 0,
    }
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
    // On a screen of one line no dialog is drawn.
    if screen.width < LEAST.0 || screen.height < LEAST.1 {
        return None;
    }
    let mut buf = Buffer::empty(screen);
    let mut pen = Pen { buf: &mut buf, theme: &model.theme };
    let mut sheet = Sheet::new(&mut pen, screen);
    write(&mut sheet, model, model.panes.hidden.shown(snapshot));
    sheet.at(x, y)
}

fn write(sheet: &mut Sheet<'_, '_>, model: &Model, snapshot: &Snapshot) {
    match model.dialogs.last() {
        None => {}
        Some(Dialog::Add(add)) => add.draw(sheet, snapshot),
        Some(Dialog::Create(create)) => create.draw(sheet),
        Some(Dialog::Choose { chooser, .. }) => chooser.draw(sheet),
        Some(Dialog::Browse(browse)) => browse.draw(sheet),
        Some(Dialog::Remove(removal)) => removal.draw(sheet, snapshot),
        Some(Dialog::Overwrite(overwrite)) => overwrite.draw(sheet),
        Some(Dialog::Ask(ask)) => ask.draw(sheet, snapshot),
        Some(Dialog::Untrack { id, index, url }) => {
            // As the list shows it, where names may be hidden.
            let trackers = find(snapshot, *id).and_then(|view| view.detail.as_deref()).map(|detail| &detail.trackers);
            let shown = trackers.and_then(|all| all.iter().find(|row| row.index == *index)).map(|row| row.url.as_str());
            let url = shown.unwrap_or(url);
            let text = format!("{url} will not be asked any more. It can be added again with its address.");
            message(sheet, "remove the tracker?", &[text], "Enter remove   Esc keep", Reading::default());
        }
        Some(Dialog::Quit { unfinished }) => {
            let text = match unfinished {
                1 => "One torrent is unfinished. It goes on where it stopped when you come back.".to_owned(),
                n => format!("{n} torrents are unfinished. They go on where they stopped when you come back."),
            };
            message(sheet, "quit?", &[text], "Enter quit   Esc stay", Reading::default());
        }
        Some(Dialog::Help(help)) => help.draw(sheet, &model.keymap),
        Some(Dialog::Palette(palette)) => palette.draw(sheet),
        Some(Dialog::Settings(settings)) => settings.draw(sheet, model, snapshot),
        Some(Dialog::Why(reading)) => why(sheet, model, snapshot, *reading),
        Some(Dialog::Message { title, lines, reading }) => message(sheet, title, lines, "Enter close", *reading),
    }
}

fn wrapped(lines: &[String], width: u16) -> Vec<String> {
    lines.iter().flat_map(|line| wrap(&line.replace('\n', " "), width)).collect()
}

fn message(sheet: &mut Sheet<'_, '_>, title: &str, lines: &[String], keys: &str, reading: Reading) {
    let lines = wrapped(lines, measure(sheet.screen.width));
    let room = sheet.open(title, lines.len(), keys);
    let style = sheet.pen.theme.text;
    for (line, y) in lines.iter().skip(reading.top).zip(room.y..room.bottom()) {
        sheet.line(room, y, line, style);
    }
    sheet.pen.thumb(Rect { width: room.width + 1, ..room }, reading.top, lines.len());
}

/// A line of the why sheet: of the sentence, or a label with its value.
enum WhyLine<'a> {
    Sentence(String),
    Gap,
    Number(&'a str, &'a str),
}

fn why_lines(view: &TorrentView, width: u16) -> Vec<WhyLine<'_>> {
    let sentence = &view.why.sentence;
    let mut lines: Vec<WhyLine<'_>> = wrap(sentence, width).into_iter().map(WhyLine::Sentence).collect();
    if !view.why.numbers.is_empty() {
        lines.push(WhyLine::Gap);
    }
    lines.extend(view.why.numbers.iter().map(|(label, value)| WhyLine::Number(label, value)));
    lines
}

fn why(sheet: &mut Sheet<'_, '_>, model: &Model, snapshot: &Snapshot, reading: Reading) {
    let theme = *sheet.pen.theme;
    let Some(view) = model.chosen(snapshot) else { return };
    let lines = why_lines(view, measure(sheet.screen.width));
    let room = sheet.open(&format!("why is {} no faster", view.name), lines.len(), "Esc close");
    let labels = view.why.numbers.iter().map(|(label, _)| cells(&clean_within(label, false, 40)));
    let widest = labels.max().unwrap_or(0).min(40);
    for (line, y) in lines.iter().skip(reading.top).zip(room.y..room.bottom()) {
        match line {
            WhyLine::Sentence(text) => {
                sheet.line(room, y, text, if view.error.is_some() { theme.bad } else { theme.strong });
            }
            WhyLine::Gap => {}
            WhyLine::Number(label, value) => {
                sheet.pen.put(room.x, y, widest, label, theme.dim);
                sheet.pen.put(room.x + widest + 3, y, room.width.saturating_sub(widest + 3), value, theme.text);
            }
        }
    }
    sheet.pen.thumb(Rect { width: room.width + 1, ..room }, reading.top, lines.len());
}
