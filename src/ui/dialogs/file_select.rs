//! File selection before a torrent starts: a file tree with priorities.

use ratatui::layout::Rect;

use crate::api::{Command, FileRow, Priority, Snapshot, TorrentId, TorrentPreview};
use crate::ui::dialogs::dialog::{CLOSE, CONFIRM, Dialog, DialogContext, Outcome, TEXT};
use crate::ui::keys::action::{Action, AppAction, DialogAction, FileAction, ViewAction};
use crate::ui::keys::context::KeyContext;
use crate::ui::text::format::{counted, size_long, wrap};
use crate::ui::text::pattern::matches;
use crate::ui::widgets::file_tree::{Row, Tree};
use crate::ui::widgets::list::ListState;
use crate::ui::widgets::panel::{HitTarget, Panel, bold, room, text_width};
use crate::ui::widgets::text_input::TextInput;

/// The action that selects or deselects all files.
const SELECT_ALL: Action = Action::Dialog(DialogAction::SelectAll);
/// The action that asks for a pattern.
const MATCH: Action = Action::View(ViewAction::Filter);
/// The action that selects or deselects a file or directory.
const TOGGLE: Action = Action::File(FileAction::Toggle);

/// Result of an action.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FileSelectOutcome {
    /// The selection stays open.
    Stay,
    /// The action means nothing to the selection.
    Ignored,
    /// Canceled.
    Back,
    /// Confirmed.
    Confirm,
}

/// The file selection.
#[derive(Debug)]
pub(crate) struct FileSelect {
    contents: TorrentPreview,
    files: Vec<FileRow>,
    tree: Tree,
    rows: ListState,
    pattern: Option<TextInput>,
    remark: Option<String>,
    /// Whether the torrent is already added and waits for the selection.
    waits: bool,
}

impl FileSelect {
    /// Creates a selection with all files selected.
    pub(crate) fn new(mut contents: TorrentPreview) -> Self {
        let files = std::mem::take(&mut contents.files);
        let tree = Tree::unfolded(&files);
        FileSelect { contents, files, tree, rows: ListState::default(), pattern: None, remark: None, waits: false }
    }

    /// Returns the lines above the tree: totals and warnings.
    fn head(&self, width: u16) -> Vec<String> {
        let mut lines = Vec::new();
        let wanted: u64 = self.files.iter().filter(|f| f.priority != Priority::Skip).map(|f| f.size).sum();
        if let Some(free) = self.contents.free
            && free < wanted
        {
            let short = size_long(wanted - free);
            lines.push(format!("{short} short on this disk: deselect files or choose another folder"));
        }
        lines.extend(self.contents.remarks.iter().take(2).cloned());
        lines.extend(self.remark.clone());
        lines.iter().flat_map(|line| wrap(line, width)).take(4).collect()
    }

    fn height(&self, size: (u16, u16)) -> usize {
        let head = self.head(text_width(size.0)).len() + 1;
        let all = room(size.1, self.tree.len() + head);
        usize::from(all).saturating_sub(head).max(1)
    }

    /// Returns the contexts of its keys.
    pub(crate) const fn contexts(&self) -> &'static [KeyContext] {
        match self.pattern {
            Some(_) => TEXT,
            None => &[KeyContext::FileSelect, KeyContext::Dialogs, KeyContext::Files, KeyContext::Everywhere],
        }
    }

    /// Handles an action.
    pub(crate) fn action(&mut self, action: Action, size: (u16, u16)) -> FileSelectOutcome {
        if let Some(pattern) = &mut self.pattern {
            match action {
                CLOSE => self.pattern = None,
                CONFIRM => {
                    let text = pattern.text().to_owned();
                    self.pattern = None;
                    self.select_matching(&text);
                }
                _ => return FileSelectOutcome::Ignored,
            }
            return FileSelectOutcome::Stay;
        }
        self.remark = None;
        match action {
            CLOSE | Action::App(AppAction::Quit) => return FileSelectOutcome::Back,
            CONFIRM if self.files.iter().all(|file| file.priority == Priority::Skip) => {
                self.remark = Some("no file selected: select at least one".to_owned());
            }
            CONFIRM => return FileSelectOutcome::Confirm,
            SELECT_ALL => {
                let all = self.files.iter().all(|file| file.priority != Priority::Skip);
                let priority = if all { Priority::Skip } else { Priority::Normal };
                self.files.iter_mut().for_each(|file| file.priority = priority);
                self.tree.add_up(&self.files);
            }
            MATCH | Action::File(FileAction::Glob) => self.pattern = Some(TextInput::default()),
            TOGGLE => self.toggle(),
            Action::File(FileAction::RaisePriority) => self.set(Priority::High),
            Action::File(FileAction::LowerPriority) => self.set(Priority::Low),
            Action::File(FileAction::ResetPriority) => self.set(Priority::Normal),
            Action::Nav(action) => {
                let height = self.height(size);
                self.rows.navigate(action, self.tree.len(), height);
            }
            _ => return FileSelectOutcome::Ignored,
        }
        FileSelectOutcome::Stay
    }

    /// Returns the pattern that is being typed.
    pub(crate) const fn text_field(&mut self) -> Option<&mut TextInput> {
        self.pattern.as_mut()
    }

    /// Moves the selection by the mouse wheel.
    pub(crate) fn scroll(&mut self, rows: isize, size: (u16, u16)) {
        let height = self.height(size);
        self.rows.move_by(rows, self.tree.len(), height);
    }

    /// Selects the clicked row; on the selected row, toggles the download.
    pub(crate) fn click(&mut self, row: usize) {
        if self.rows.at == row {
            self.toggle();
        }
        self.rows.at = row.min(self.tree.len().saturating_sub(1));
    }

    fn toggle(&mut self) {
        let none = self.tree.row(self.rows.at).is_some_and(|row| row.sum.wanted == 0);
        self.set(if none { Priority::Normal } else { Priority::Skip });
    }

    /// Sets the priority of the selected file, or of all files in the selected directory.
    fn set(&mut self, priority: Priority) {
        for at in self.tree.files_in(self.rows.at) {
            if let Some(file) = self.files.get_mut(at) {
                file.priority = priority;
            }
        }
        self.tree.add_up(&self.files);
    }

    /// Selects only the files that match the pattern.
    fn select_matching(&mut self, pattern: &str) {
        let pattern = pattern.trim();
        if pattern.is_empty() {
            return;
        }
        let found: Vec<bool> = self.files.iter().map(|file| matches(pattern, &file.path)).collect();
        let count = found.iter().filter(|found| **found).count();
        if count == 0 {
            self.remark = Some(format!("no file matches {pattern}: no change"));
            return;
        }
        for (file, found) in self.files.iter_mut().zip(found) {
            file.priority = if found { Priority::Normal } else { Priority::Skip };
        }
        self.tree.add_up(&self.files);
        self.remark = Some(format!("selected the {count} matching {pattern}"));
    }

    /// Returns the priorities that differ from normal, by file index.
    pub(crate) fn priorities(&self) -> Vec<(usize, Priority)> {
        let told = self.files.iter().filter(|file| file.priority != Priority::Normal);
        let mut told: Vec<_> = told.map(|file| (file.index, file.priority)).collect();
        told.sort_unstable_by_key(|(index, _)| *index);
        told
    }

    /// Draws the file selection.
    pub(crate) fn draw(&self, panel: &mut Panel<'_, '_>) {
        let theme = *panel.pen.theme;
        let head = self.head(text_width(panel.screen.width));
        let (confirm, close) = if self.waits { ("start", "pause") } else { ("add", "back") };
        let buttons = match &self.pattern {
            Some(_) => vec![(CONFIRM, "select only these"), (CLOSE, "back")],
            None => vec![
                (CONFIRM, confirm),
                (TOGGLE, "toggle"),
                (SELECT_ALL, "all or none"),
                (MATCH, "match"),
                (CLOSE, close),
            ],
        };
        let what = if self.waits { "files of" } else { "add" };
        let wanted = || self.files.iter().filter(|file| file.priority != Priority::Skip);
        let bytes: u64 = wanted().map(|file| file.size).sum();
        let room = panel.open(&format!("{what} {}", self.contents.name), self.tree.len() + head.len() + 1, &buttons);
        if let Some(pattern) = &self.pattern {
            let line = Rect { height: 1, ..room };
            panel.field(line, "only", pattern, "part of a name, or a pattern like *.mkv", true);
        } else {
            let all = self.contents.size;
            let free = self.contents.free.map_or_else(String::new, |free| format!(", {} free", size_long(free)));
            let count = (wanted().count(), self.files.len());
            let sum = format!(
                "{} of {}   {} of {}",
                count.0,
                counted(count.1 as u64, "file"),
                size_long(bytes),
                size_long(all)
            );
            let end = panel.pen.put(room.x, room.y, room.width, &sum, theme.strong) + 3;
            let into = format!("into {}{free}", self.contents.folder);
            panel.pen.put(end, room.y, room.right().saturating_sub(end), &into, theme.dim);
        }
        let mut y = room.y + 1;
        for line in &head {
            panel.line(room, y, line, theme.warn);
            y += 1;
        }
        let height = usize::from(room.bottom().saturating_sub(y));
        let first = self.rows.first(self.tree.len(), height);
        for at in (first..self.tree.len()).take(height) {
            if let Some(row) = self.tree.row(at) {
                self.row(panel, Rect { y, height: 1, ..room }, at, &row);
            }
            y += 1;
        }
        let list = Rect { y: room.bottom().saturating_sub(height as u16), height: height as u16, ..room };
        panel.pen.scrollbar(Rect { width: room.width + 1, ..list }, first, self.tree.len());
    }

    fn row(&self, panel: &mut Panel<'_, '_>, room: Rect, at: usize, row: &Row<'_>) {
        let theme = *panel.pen.theme;
        let (sum, y) = (&row.sum, room.y);
        let mark = match sum.wanted {
            0 => "[ ]",
            n if n == sum.files => "[x]",
            _ => "[-]",
        };
        let chosen = at == self.rows.at;
        if chosen {
            panel.choose(room, y);
        }
        panel.hit(room, HitTarget::Row(at));
        let style = if sum.wanted == 0 { theme.dim } else { theme.text };
        panel.pen.put(room.x + 2, y, 3, mark, if sum.wanted > 0 { theme.accent } else { theme.dim });
        let word = match (row.file, sum.priority) {
            (Some(_), Some(Priority::High)) => "high",
            (Some(_), Some(Priority::Low)) => "low",
            _ => "",
        };
        let right = panel.pen.put_right(room.right().saturating_sub(1), y, 10, &size_long(sum.size), theme.dim);
        let right = panel.pen.put_right(right.saturating_sub(2), y, 5, word, theme.warn);
        let x = room.x + 6 + row.depth.saturating_mul(2).min(room.width / 3);
        let name = if row.file.is_none() { format!("{}/", row.name) } else { row.name.to_owned() };
        let style = if chosen { style.patch(bold()) } else { style };
        panel.pen.put(x, y, right.saturating_sub(x + 1), &name, style);
    }
}

/// Selects files of an added torrent, which waits for the selection.
#[derive(Debug)]
pub(crate) struct SelectFilesDialog {
    id: TorrentId,
    select: FileSelect,
    /// Whether the torrent has been seen in the list.
    listed: bool,
}

impl SelectFilesDialog {
    /// Creates the dialog with all files selected.
    pub(crate) fn new(id: TorrentId, contents: TorrentPreview) -> Self {
        let select = FileSelect { waits: true, ..FileSelect::new(contents) };
        SelectFilesDialog { id, select, listed: false }
    }
}

impl Dialog for SelectFilesDialog {
    fn contexts(&self) -> &'static [KeyContext] {
        self.select.contexts()
    }

    fn action(&mut self, action: Action, cx: &DialogContext<'_>) -> Outcome {
        let command = match self.select.action(action, cx.state.size) {
            FileSelectOutcome::Stay => return Outcome::Stay,
            FileSelectOutcome::Ignored => return Outcome::Ignored,
            FileSelectOutcome::Back => Command::Pause(self.id),
            FileSelectOutcome::Confirm => Command::SelectFiles { id: self.id, priorities: self.select.priorities() },
        };
        Outcome::send([command])
    }

    fn text_field(&mut self) -> Option<&mut TextInput> {
        self.select.text_field()
    }

    fn click_row(&mut self, row: usize, _cx: &DialogContext<'_>) -> Outcome {
        self.select.click(row);
        Outcome::Stay
    }

    fn scroll(&mut self, rows: isize, cx: &DialogContext<'_>) {
        self.select.scroll(rows, cx.state.size);
    }

    /// The dialog may open before the torrent is in the list; once listed, the dialog closes with the torrent.
    fn retain(&mut self, snapshot: &Snapshot) -> bool {
        let is_there = snapshot.torrent(self.id).is_some();
        self.listed |= is_there;
        is_there || !self.listed
    }

    fn draw(&self, panel: &mut Panel<'_, '_>, _cx: &DialogContext<'_>) {
        self.select.draw(panel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::FileRow;
    use crate::ui::keys::key::Key;
    use crate::ui::keys::keymap::Keymap;

    fn chooser() -> FileSelect {
        let paths = ["t/b/two.mkv", "t/a.txt", "t/b/one.mkv", "t/b/c/three.srt"];
        let file = |(index, path): (usize, &&str)| FileRow {
            index,
            path: (*path).to_owned(),
            size: 100,
            done: 0,
            priority: Priority::Normal,
            eta: None,
        };
        let files = paths.iter().enumerate().map(file).collect();
        FileSelect::new(TorrentPreview { name: "t".into(), size: 400, files, ..TorrentPreview::default() })
    }

    /// Returns the priorities after these keys; a text is typed.
    fn pressed(keys: &str) -> Vec<(usize, Priority)> {
        let mut chooser = chooser();
        for c in keys.chars() {
            let key = match c {
                '↓' => Key::Down,
                '⇲' => Key::End,
                '\n' => Key::Enter,
                c => Key::Char(c),
            };
            match Keymap::default().lookup(chooser.contexts(), key) {
                Some(action) => assert_eq!(chooser.action(action, (80, 24)), FileSelectOutcome::Stay),
                None => chooser.text_field().unwrap().type_char(c),
            }
        }
        chooser.priorities()
    }

    #[test]
    fn keys_want_files_and_folders() {
        let skip = |all: &[usize]| all.iter().map(|at| (*at, Priority::Skip)).collect::<Vec<_>>();
        assert_eq!(pressed(""), []);
        assert_eq!(pressed("↓ "), skip(&[0, 2, 3]));
        assert_eq!(pressed("↓↓ "), skip(&[3]));
        assert_eq!(pressed("↓↓  "), []);
        assert_eq!(pressed("a"), skip(&[0, 1, 2, 3]));
        assert_eq!(pressed("⇲+"), [(1, Priority::High)]);
        assert_eq!(pressed("/*.mkv\n"), skip(&[1, 3]));
        assert_eq!(pressed("/nothing\n"), []);
        assert_eq!(pressed("a\n"), skip(&[0, 1, 2, 3]), "at least one must be wanted");
        assert_eq!(chooser().action(CONFIRM, (80, 24)), FileSelectOutcome::Confirm);
        assert_eq!(chooser().action(CLOSE, (80, 24)), FileSelectOutcome::Back);
    }
}
