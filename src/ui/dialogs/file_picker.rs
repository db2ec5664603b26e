//! The file picker: browses directories, with a filter. The listings come from [`crate::ui::terminal::dir_reader`].

use ratatui::layout::Rect;

use crate::ui::effect::Effect;
use crate::ui::keys::key::Key;
use crate::ui::state::app::AppState;
use crate::ui::text::format::size_long;
use crate::ui::widgets::list::ListState;
use crate::ui::widgets::panel::{HitTarget, Panel, room};
use crate::ui::widgets::path_input::{DirListing, Entry, PathKind, join, shorten};
use crate::ui::widgets::text_input::TextInput;

/// The file picker.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct FilePicker {
    wanted: PathKind,
    /// The directory that is shown or was requested.
    folder: String,
    /// Its listing; `None` while awaited.
    listing: Option<DirListing>,
    filter: TextInput,
    rows: ListState,
    home: Option<String>,
    /// The name to select when the listing arrives: after going up, the directory just left.
    from: Option<String>,
}

/// Result of a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PickerOutcome {
    /// The picker stays open.
    Stay,
    /// Canceled.
    Leave,
    /// This path was picked.
    Pick(String),
}

impl FilePicker {
    /// Opens the directory of `typed`, or the one last visited, and requests its listing.
    #[must_use]
    pub fn open(typed: &str, wanted: PathKind, model: &mut AppState) -> Self {
        let cut = typed.rfind(|c| c == '/' || cfg!(windows) && c == '\\');
        let typed = match (wanted, cut) {
            (PathKind::Folder, _) => typed,
            (PathKind::Torrent | PathKind::Data, Some(at)) => &typed[..=at],
            (PathKind::Torrent | PathKind::Data, None) => "",
        };
        let start = [Some(typed.to_owned()), model.options.visited.clone(), model.home.clone()];
        let folder = start.into_iter().flatten().find(|folder| !folder.is_empty());
        let folder = folder.unwrap_or_else(|| ".".to_owned());
        model.outbox.push(wanted.ask(folder.clone()));
        FilePicker { wanted, folder, home: model.home.clone(), ..FilePicker::default() }
    }

    /// Applies a listing, if it is the requested one.
    pub fn listing(&mut self, listing: &DirListing) {
        if listing.folder != self.folder {
            return;
        }
        self.listing = Some(listing.clone());
        self.begin();
        let from = self.from.take();
        if let Some(at) =
            self.shown().iter().position(|row| matches!(row, Row::Entry(e) if Some(&e.name) == from.as_ref()))
        {
            self.rows.at = at;
        }
    }

    /// Returns the rows that match the filter.
    fn shown(&self) -> Vec<Row<'_>> {
        let Some(listing) = &self.listing else { return Vec::new() };
        let filter = self.filter.text().to_lowercase();
        let mut rows = Vec::new();
        if filter.is_empty() {
            if self.wanted != PathKind::Torrent && listing.fault.is_none() {
                rows.push(Row::This);
            }
            if listing.above.is_some() {
                rows.push(Row::Above);
            }
        }
        let fits = |entry: &&Entry| {
            (entry.folder || self.wanted != PathKind::Folder)
                && (filter.starts_with('.') || !entry.name.starts_with('.'))
                && (filter.is_empty() || entry.name.to_lowercase().contains(&filter))
        };
        rows.extend(listing.entries.iter().filter(fits).map(Row::Entry));
        rows
    }

    fn height(&self, size: (u16, u16)) -> usize {
        usize::from(room(size.1, usize::from(size.1))).saturating_sub(2).max(1)
    }

    /// Handles a key.
    pub fn key(&mut self, key: Key, size: (u16, u16), outbox: &mut Vec<Effect>) -> PickerOutcome {
        let (count, height) = (self.shown().len(), self.height(size));
        match key {
            Key::Esc if !self.filter.is_empty() => self.refilter(TextInput::default()),
            Key::Esc => return PickerOutcome::Leave,
            Key::Enter => return self.enter(outbox),
            Key::Right if self.filter.is_empty() => {
                if let Some(Row::Entry(Entry { folder: true, name, .. })) = self.shown().get(self.rows.at) {
                    let name = name.clone();
                    self.go_in(&name, outbox);
                }
            }
            Key::Left | Key::Backspace if self.filter.is_empty() => self.go_up(outbox),
            Key::Char('~') if self.filter.is_empty() => {
                if let Some(home) = self.home.clone() {
                    self.go(home, outbox);
                }
            }
            key if self.rows.key(key, count, height) => {}
            key => {
                let mut filter = self.filter.clone();
                if filter.key(key) && filter != self.filter {
                    self.refilter(filter);
                }
            }
        }
        PickerOutcome::Stay
    }

    /// Changes the filter and selects the first entry.
    fn refilter(&mut self, filter: TextInput) {
        self.filter = filter;
        self.begin();
    }

    /// Selects the first row, skipping the parent directory if there are other rows.
    fn begin(&mut self) {
        self.rows = ListState::default();
        let shown = self.shown();
        let at = usize::from(shown.len() > 1 && shown.first() == Some(&Row::Above));
        self.rows.at = at;
    }

    fn enter(&mut self, outbox: &mut Vec<Effect>) -> PickerOutcome {
        let path = self.path();
        match self.shown().get(self.rows.at) {
            Some(Row::This) => return PickerOutcome::Pick(shorten(&path, self.home.as_deref())),
            Some(Row::Above) => self.go_up(outbox),
            Some(Row::Entry(entry)) if entry.folder => {
                let name = entry.name.clone();
                self.go_in(&name, outbox);
            }
            Some(Row::Entry(entry)) => {
                return PickerOutcome::Pick(shorten(&join(&path, &entry.name), self.home.as_deref()));
            }
            None => {}
        }
        PickerOutcome::Stay
    }

    fn path(&self) -> String {
        self.listing.as_ref().map_or_else(|| self.folder.clone(), |listing| listing.path.clone())
    }

    fn go_in(&mut self, name: &str, outbox: &mut Vec<Effect>) {
        self.go(join(&self.path(), name), outbox);
    }

    fn go_up(&mut self, outbox: &mut Vec<Effect>) {
        let path = self.path();
        let Some(above) = self.listing.as_ref().and_then(|listing| listing.above.clone()) else { return };
        let name = path.rsplit(|c| c == '/' || cfg!(windows) && c == '\\').next().map(str::to_owned);
        self.go(above, outbox);
        self.from = name;
    }

    fn go(&mut self, folder: String, outbox: &mut Vec<Effect>) {
        self.folder.clone_from(&folder);
        self.listing = None;
        self.from = None;
        self.refilter(TextInput::default());
        outbox.push(self.wanted.ask(folder));
    }

    /// Returns the current directory, where the next picker starts.
    #[must_use]
    pub fn folder(&self) -> &str {
        &self.folder
    }

    /// Pastes text into the filter.
    pub fn paste(&mut self, text: &str) {
        let mut filter = self.filter.clone();
        filter.insert(text);
        self.refilter(filter);
    }

    /// Moves the selection by the mouse wheel.
    pub fn wheel(&mut self, by: i32, size: (u16, u16)) {
        let (count, height) = (self.shown().len(), self.height(size));
        self.rows.by(by, count, height);
    }

    /// Selects the clicked row. Returns whether the row was already selected, which acts like Enter.
    pub fn click(&mut self, row: usize) -> bool {
        std::mem::replace(&mut self.rows.at, row) == row
    }

    /// Draws the picker over the whole screen below the header.
    pub fn draw(&self, sheet: &mut Panel<'_, '_>) {
        let theme = *sheet.pen.theme;
        let shown = self.shown();
        let word = match self.wanted {
            PathKind::Folder => "choose a folder",
            PathKind::Torrent => "choose a .torrent file",
            PathKind::Data => "choose a file or a folder",
        };
        let keys = "Enter select   left parent   Esc back";
        let room = sheet.open(word, usize::from(sheet.screen.height), keys);
        let path = shorten(&self.path(), self.home.as_deref());
        sheet.line(room, room.y, &path, theme.strong);
        let y = room.y + 1;
        if y >= room.bottom() {
            return;
        }
        sheet.field(Rect { y, height: 1, ..room }, ">", &self.filter, "type part of the name", true);
        let y = y + 1;
        let fault = self.listing.as_ref().and_then(|listing| listing.fault.as_deref());
        let empty = match (&self.listing, fault) {
            (_, Some(fault)) => Some((fault, theme.bad)),
            (None, None) => Some(("reading the folder", theme.dim)),
            _ if !self.filter.is_empty() && shown.is_empty() => Some(("no match", theme.dim)),
            _ if shown.len() <= 1 && self.wanted == PathKind::Torrent => {
                Some(("no folders or .torrent files here", theme.dim))
            }
            _ => None,
        };
        if let Some((text, style)) = empty {
            sheet.line(Rect { x: room.x + 2, ..room }, y + shown.len() as u16, text, style);
        }
        let height = usize::from(room.bottom().saturating_sub(y));
        let first = self.rows.first(shown.len(), height);
        for (line, row) in shown.iter().skip(first).take(height).enumerate() {
            self.row(sheet, room, y + line as u16, first + line, row);
        }
        let list = Rect { y, height: height as u16, width: room.width + 1, ..room };
        sheet.pen.scrollbar(list, first, shown.len());
    }

    fn row(&self, sheet: &mut Panel<'_, '_>, room: Rect, y: u16, at: usize, row: &Row<'_>) {
        let theme = *sheet.pen.theme;
        let chosen = at == self.rows.at;
        if chosen {
            sheet.choose(room, y);
        }
        sheet.hit(Rect { y, height: 1, ..room }, HitTarget::Row(at));
        let (name, style) = match row {
            Row::This => ("this folder".to_owned(), theme.good),
            Row::Above => ("..".to_owned(), theme.dim),
            Row::Entry(entry) if entry.folder => (format!("{}/", entry.name), theme.accent),
            Row::Entry(entry) => (entry.name.clone(), theme.text),
        };
        let mut right = room.right().saturating_sub(1);
        if let Row::Entry(entry) = row
            && !entry.folder
        {
            right = sheet.pen.put_right(right, y, 10, &size_long(entry.size), theme.dim).saturating_sub(2);
        }
        let style = if chosen { style.patch(crate::ui::widgets::panel::bold()) } else { style };
        sheet.pen.put(room.x + 2, y, right.saturating_sub(room.x + 2), &name, style);
    }
}

/// A row of the picker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Row<'a> {
    /// The current directory, if a directory is to be picked.
    This,
    /// The parent directory.
    Above,
    /// An entry of the directory.
    Entry(&'a Entry),
}
