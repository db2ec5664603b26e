//! The file picker: browses directories, with a filter. The listings come from [`crate::ui::terminal::dir_reader`].

use ratatui::layout::Rect;

use crate::ui::dialogs::dialog::{CLOSE, CONFIRM, Dialog, DialogContext, Outcome, Request, edit_field};
use crate::ui::effect::Effect;
use crate::ui::keys::action::{Action, DialogAction};
use crate::ui::keys::context::KeyContext;
use crate::ui::text::format::size_long;
use crate::ui::widgets::list::ListState;
use crate::ui::widgets::panel::{HitTarget, Panel, bold, room};
use crate::ui::widgets::path_input::{DirListing, Entry, PathKind, join, shorten};
use crate::ui::widgets::text_input::TextInput;

/// The action that goes to the parent directory.
const PARENT: Action = Action::Dialog(DialogAction::ParentFolder);

/// The file picker.
#[derive(Debug, Default)]
pub(crate) struct FilePicker {
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

impl FilePicker {
    /// Opens the directory of `typed`, or the one last visited, or the current one; its listing has to be requested.
    pub(crate) fn open(typed: &str, wanted: PathKind, visited: Option<&str>, home: Option<&str>) -> (Self, Effect) {
        let cut = typed.rfind(|c| c == '/' || cfg!(windows) && c == '\\');
        let typed = match (wanted, cut) {
            (PathKind::Folder, _) => typed,
            (PathKind::Torrent | PathKind::Data, Some(at)) => &typed[..=at],
            (PathKind::Torrent | PathKind::Data, None) => "",
        };
        let folder = [Some(typed), visited].into_iter().flatten().find(|folder| !folder.is_empty());
        let folder = folder.unwrap_or(".").to_owned();
        let picker = FilePicker { wanted, folder: folder.clone(), home: home.map(str::to_owned), ..Self::default() };
        (picker, wanted.ask(folder))
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

    fn clear_filter(&mut self) {
        self.filter = TextInput::default();
        self.begin();
    }

    /// Selects the first row, skipping the parent directory if there are other rows.
    fn begin(&mut self) {
        self.rows = ListState::default();
        let shown = self.shown();
        let at = usize::from(shown.len() > 1 && shown.first() == Some(&Row::Above));
        self.rows.at = at;
    }

    fn enter(&mut self) -> Outcome {
        let path = self.path();
        match self.shown().get(self.rows.at) {
            Some(Row::This) => self.pick(&path),
            Some(Row::Above) => self.go_up(),
            Some(Row::Entry(entry)) if entry.folder => {
                let name = entry.name.clone();
                self.go(join(&path, &name))
            }
            Some(Row::Entry(entry)) => self.pick(&join(&path, &entry.name)),
            None => Outcome::Stay,
        }
    }

    fn pick(&self, path: &str) -> Outcome {
        let path = shorten(path, self.home.as_deref());
        Outcome::Finish(vec![Request::Picked { path, folder: self.folder.clone() }])
    }

    /// Opens the selected directory.
    fn go_in(&mut self) -> Outcome {
        match self.shown().get(self.rows.at) {
            Some(Row::Entry(Entry { folder: true, name, .. })) => {
                let folder = join(&self.path(), name);
                self.go(folder)
            }
            _ => Outcome::Stay,
        }
    }

    fn path(&self) -> String {
        self.listing.as_ref().map_or_else(|| self.folder.clone(), |listing| listing.path.clone())
    }

    fn row(&self, panel: &mut Panel<'_, '_>, room: Rect, y: u16, at: usize, row: &Row<'_>) {
        let theme = *panel.pen.theme;
        let chosen = at == self.rows.at;
        if chosen {
            panel.choose(room, y);
        }
        panel.hit(Rect { y, height: 1, ..room }, HitTarget::Row(at));
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
            right = panel.pen.put_right(right, y, 10, &size_long(entry.size), theme.dim).saturating_sub(2);
        }
        let style = if chosen { style.patch(bold()) } else { style };
        panel.pen.put(room.x + 2, y, right.saturating_sub(room.x + 2), &name, style);
    }

    fn go_up(&mut self) -> Outcome {
        let path = self.path();
        let Some(above) = self.listing.as_ref().and_then(|listing| listing.above.clone()) else {
            return Outcome::Stay;
        };
        let outcome = self.go(above);
        self.from = path.rsplit(|c| c == '/' || cfg!(windows) && c == '\\').next().map(str::to_owned);
        outcome
    }

    fn go(&mut self, folder: String) -> Outcome {
        self.folder.clone_from(&folder);
        self.listing = None;
        self.from = None;
        self.clear_filter();
        Outcome::of_effect(Some(self.wanted.ask(folder)))
    }
}

impl Dialog for FilePicker {
    fn contexts(&self) -> &'static [KeyContext] {
        if self.filter.is_empty() {
            &[KeyContext::Picker, KeyContext::Search, KeyContext::Text, KeyContext::Dialogs, KeyContext::Everywhere]
        } else {
            &[KeyContext::Search, KeyContext::Text, KeyContext::Dialogs, KeyContext::Everywhere]
        }
    }

    fn action(&mut self, action: Action, cx: &DialogContext<'_>) -> Outcome {
        match action {
            CLOSE if self.filter.is_empty() => return Outcome::Close,
            CLOSE => self.clear_filter(),
            CONFIRM => return self.enter(),
            Action::Dialog(DialogAction::OpenEntry) => return self.go_in(),
            PARENT => return self.go_up(),
            Action::Nav(action) => {
                let (count, height) = (self.shown().len(), self.height(cx.state.size));
                self.rows.navigate(action, count, height);
            }
            _ => return Outcome::Ignored,
        }
        Outcome::Stay
    }

    fn type_char(&mut self, c: char) -> Outcome {
        if let Some(home) = self.home.clone().filter(|_| c == '~' && self.filter.is_empty()) {
            return self.go(home);
        }
        edit_field(self, |filter| filter.type_char(c))
    }

    fn text_field(&mut self) -> Option<&mut TextInput> {
        Some(&mut self.filter)
    }

    fn edited(&mut self) {
        self.begin();
    }

    fn click_row(&mut self, row: usize, _cx: &DialogContext<'_>) -> Outcome {
        let again = std::mem::replace(&mut self.rows.at, row) == row;
        if again { self.enter() } else { Outcome::Stay }
    }

    fn scroll(&mut self, rows: isize, cx: &DialogContext<'_>) {
        let (count, height) = (self.shown().len(), self.height(cx.state.size));
        self.rows.move_by(rows, count, height);
    }

    fn on_listing(&mut self, listing: &DirListing) -> Outcome {
        if listing.folder != self.folder {
            return Outcome::Stay;
        }
        self.listing = Some(listing.clone());
        self.begin();
        let from = self.from.take();
        let is_from = |row: &Row<'_>| matches!(row, Row::Entry(entry) if Some(&entry.name) == from.as_ref());
        if let Some(at) = self.shown().iter().position(is_from) {
            self.rows.at = at;
        }
        Outcome::Stay
    }

    /// Draws the picker over the whole screen below the header.
    fn draw(&self, panel: &mut Panel<'_, '_>, _cx: &DialogContext<'_>) {
        let theme = *panel.pen.theme;
        let shown = self.shown();
        let word = match self.wanted {
            PathKind::Folder => "choose a folder",
            PathKind::Torrent => "choose a .torrent file",
            PathKind::Data => "choose a file or a folder",
        };
        let buttons = [(CONFIRM, "select"), (PARENT, "parent"), (CLOSE, "back")];
        let room = panel.open(word, usize::from(panel.screen.height), &buttons);
        let path = shorten(&self.path(), self.home.as_deref());
        panel.line(room, room.y, &path, theme.strong);
        let y = room.y + 1;
        if y >= room.bottom() {
            return;
        }
        panel.field(Rect { y, height: 1, ..room }, ">", &self.filter, "type part of the name", true);
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
            panel.line(Rect { x: room.x + 2, ..room }, y + shown.len() as u16, text, style);
        }
        let height = usize::from(room.bottom().saturating_sub(y));
        let first = self.rows.first(shown.len(), height);
        for (line, row) in shown.iter().skip(first).take(height).enumerate() {
            self.row(panel, room, y + line as u16, first + line, row);
        }
        let list = Rect { y, height: height as u16, width: room.width + 1, ..room };
        panel.pen.scrollbar(list, first, shown.len());
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
