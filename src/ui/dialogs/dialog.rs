//! The dialogs in front of the panes: prompts, forms, help, bottleneck details. Each is drawn on a panel at the
//! bottom of the screen, so that the list above stays visible. This module defines the [`Dialog`] enum and draws the
//! small dialogs; each large one has its own module.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::api::{Snapshot, TorrentId, TorrentView};
use crate::ui::app::model::App;
use crate::ui::dialogs::add::AddDialog;
use crate::ui::dialogs::create::CreateDialog;
use crate::ui::dialogs::file_picker::FilePicker;
use crate::ui::dialogs::file_select::{FileSelect, vi_to_arrows};
use crate::ui::dialogs::help::Help;
use crate::ui::dialogs::overwrite::Overwrite;
use crate::ui::dialogs::palette::Palette;
use crate::ui::dialogs::prompt::PromptDialog;
use crate::ui::dialogs::remove::RemoveDialog;
use crate::ui::dialogs::settings::SettingsDialog;
use crate::ui::keys::key::Key;
use crate::ui::state::app::{AppState, find};
use crate::ui::state::layout::MIN_SIZE;
use crate::ui::text::format::{cells, clean_within, wrap};
use crate::ui::widgets::painter::Painter;
use crate::ui::widgets::panel::{HitTarget, Panel, room, text_width};

/// A dialog; the top one receives the keys.
#[derive(Clone, PartialEq, Debug)]
pub enum Dialog {
    /// Adds torrents.
    Add(Box<AddDialog>),
    /// Creates a torrent from a file or directory.
    Create(Box<CreateDialog>),
    /// File picker for the dialog below.
    Browse(Box<FilePicker>),
    /// Asks whether to remove torrents, and whether to delete their data.
    Remove(RemoveDialog),
    /// Asks whether to overwrite existing files.
    Overwrite(Box<Overwrite>),
    /// Asks for one line of text.
    Ask(Box<PromptDialog>),
    /// Selects files of a magnet link whose metadata have arrived.
    Choose { id: TorrentId, chooser: Box<FileSelect> },
    /// Asks whether to remove a tracker.
    Untrack { id: TorrentId, index: usize, url: String },
    /// Asks whether to quit with unfinished downloads.
    Quit {
        /// Number of unfinished torrents.
        unfinished: usize,
    },
    /// The key bindings.
    Help(Help),
    /// The command palette.
    Palette(Box<Palette>),
    /// The config values.
    Settings(Box<SettingsDialog>),
    /// What limits the selected torrent.
    Why(ScrollState),
    /// A message that the user has to close.
    Message {
        title: String,
        lines: Vec<String>,
        /// Scroll position.
        reading: ScrollState,
    },
}

impl Dialog {
    /// Creates a message dialog.
    #[must_use]
    pub fn message(title: &str, lines: Vec<String>) -> Self {
        Dialog::Message { title: title.to_owned(), lines, reading: ScrollState::default() }
    }
}

/// Scroll position of a text that may be longer than the screen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ScrollState {
    top: usize,
}

impl ScrollState {
    /// Scrolls a text of `count` lines on a screen of `screen` lines; returns `false` for keys that do not scroll.
    pub fn key(&mut self, key: Key, count: usize, screen: u16) -> bool {
        let height = usize::from(room(screen, count));
        self.top = match vi_to_arrows(key) {
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

/// Returns the number of lines of a text dialog; 0 for other dialogs.
#[must_use]
pub fn lines_to_read(dialog: &Dialog, model: &AppState, snapshot: &Snapshot) -> usize {
    let snapshot = model.panes.hidden.shown(snapshot);
    let width = text_width(model.size.0);
    match dialog {
        Dialog::Why(_) => model.chosen(snapshot).map_or(0, |view| why_lines(model, view, width).len()),
        Dialog::Message { lines, .. } => wrapped(lines, width).len(),
        _ => 0,
    }
}

/// Draws the top dialog, if any. Returns where to place the text cursor.
pub fn draw(pen: &mut Painter<'_>, screen: Rect, app: &App, snapshot: &Snapshot) -> Option<(u16, u16)> {
    let mut sheet = Panel::new(pen, screen);
    write(&mut sheet, app, snapshot);
    sheet.cursor
}

/// Returns the hit target of a cell in the top dialog, by drawing the dialog into a scratch buffer.
#[must_use]
pub fn hit_test(app: &App, snapshot: &Snapshot, x: u16, y: u16) -> Option<HitTarget> {
    let model = &app.state;
    let screen = Rect::new(0, 0, model.size.0, model.size.1);
    // A terminal below the minimum size shows no dialogs.
    if screen.width < MIN_SIZE.0 || screen.height < MIN_SIZE.1 {
        return None;
    }
    let mut buf = Buffer::empty(screen);
    let mut pen = Painter { buf: &mut buf, theme: &model.theme };
    let mut sheet = Panel::new(&mut pen, screen);
    write(&mut sheet, app, model.panes.hidden.shown(snapshot));
    sheet.at(x, y)
}

fn write(sheet: &mut Panel<'_, '_>, app: &App, snapshot: &Snapshot) {
    let model = &app.state;
    match app.dialogs.last() {
        None => {}
        Some(Dialog::Add(add)) => add.draw(sheet, snapshot),
        Some(Dialog::Create(create)) => create.draw(sheet),
        Some(Dialog::Choose { chooser, .. }) => chooser.draw(sheet),
        Some(Dialog::Browse(browse)) => browse.draw(sheet),
        Some(Dialog::Remove(removal)) => removal.draw(sheet, snapshot),
        Some(Dialog::Overwrite(overwrite)) => overwrite.draw(sheet),
        Some(Dialog::Ask(ask)) => ask.draw(sheet, snapshot),
        Some(Dialog::Untrack { id, index, url }) => {
            // The URL as shown in the list, which may be masked in privacy mode.
            let trackers = find(snapshot, *id).and_then(|view| view.detail.as_deref()).map(|detail| &detail.trackers);
            let shown = trackers.and_then(|all| all.iter().find(|row| row.index == *index)).map(|row| row.url.as_str());
            let url = shown.unwrap_or(url);
            let text = format!("Remove tracker {url}? You can add it again later.");
            message(sheet, "remove tracker", &[text], "Enter remove   Esc keep", ScrollState::default());
        }
        Some(Dialog::Quit { unfinished }) => {
            let text = match unfinished {
                1 => "1 torrent is unfinished. It will resume the next time you start ttui.".to_owned(),
                n => format!("{n} torrents are unfinished. They will resume the next time you start ttui."),
            };
            message(sheet, "quit?", &[text], "Enter quit   Esc stay", ScrollState::default());
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

fn message(sheet: &mut Panel<'_, '_>, title: &str, lines: &[String], keys: &str, reading: ScrollState) {
    let lines = wrapped(lines, text_width(sheet.screen.width));
    let room = sheet.open(title, lines.len(), keys);
    let style = sheet.pen.theme.text;
    for (line, y) in lines.iter().skip(reading.top).zip(room.y..room.bottom()) {
        sheet.line(room, y, line, style);
    }
    sheet.pen.scrollbar(Rect { width: room.width + 1, ..room }, reading.top, lines.len());
}

/// A line of the bottleneck details: part of the sentence, or a label with its value.
enum WhyLine<'a> {
    Sentence(String),
    Gap,
    Number(&'a str, &'a str),
}

fn why_lines<'a>(model: &AppState, view: &'a TorrentView, width: u16) -> Vec<WhyLine<'a>> {
    let sentence = model.why_text(view);
    let mut lines: Vec<WhyLine<'_>> = wrap(&sentence, width).into_iter().map(WhyLine::Sentence).collect();
    if !view.why.numbers.is_empty() {
        lines.push(WhyLine::Gap);
    }
    lines.extend(view.why.numbers.iter().map(|(label, value)| WhyLine::Number(label, value)));
    lines
}

fn why(sheet: &mut Panel<'_, '_>, model: &AppState, snapshot: &Snapshot, reading: ScrollState) {
    let theme = *sheet.pen.theme;
    let Some(view) = model.chosen(snapshot) else { return };
    let lines = why_lines(model, view, text_width(sheet.screen.width));
    let room = sheet.open(&format!("what limits {}", view.name), lines.len(), "Esc close");
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
    sheet.pen.scrollbar(Rect { width: room.width + 1, ..room }, reading.top, lines.len());
}
