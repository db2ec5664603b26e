//! File selection before a torrent starts: a file tree with priorities.

use std::ops::Range;

use crate::api::{Priority, TorrentPreview};
use crate::ui::keys::key::Key;
use crate::ui::text::format::{counted, size_long, wrap};
use crate::ui::text::pattern::matches;
use crate::ui::widgets::list::ListState;
use crate::ui::widgets::panel::{HitTarget, Panel, room, text_width};
use crate::ui::widgets::text_input::TextInput;

/// A row of the tree.
#[derive(Clone, PartialEq, Debug)]
struct Row {
    depth: u16,
    name: String,
    /// Whether this is a directory rather than a file.
    folder: bool,
    /// The files at or below this row, as indices into `files`.
    files: Range<usize>,
}

/// A file with its priority.
#[derive(Clone, PartialEq, Debug)]
struct Picked {
    index: usize,
    path: String,
    size: u64,
    priority: Priority,
}

/// Result of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileSelectOutcome {
    /// The selection stays open.
    Stay,
    /// Back to the add dialog.
    Back,
    /// Confirmed.
    Take,
}

/// The file selection.
#[derive(Clone, PartialEq, Debug)]
pub struct FileSelect {
    contents: TorrentPreview,
    files: Vec<Picked>,
    lines: Vec<Row>,
    rows: ListState,
    pattern: Option<TextInput>,
    remark: Option<String>,
    /// Whether the torrent is already added and waits for the selection.
    waits: bool,
    /// Whether the torrent has been seen in the list.
    listed: bool,
}

impl FileSelect {
    /// Creates a selection with all files selected.
    #[must_use]
    pub fn new(mut contents: TorrentPreview) -> Self {
        let rows = std::mem::take(&mut contents.files).into_iter();
        let pick = |row: crate::api::FileRow| Picked {
            index: row.index,
            path: row.path,
            size: row.size,
            priority: row.priority,
        };
        let mut files: Vec<Picked> = rows.map(pick).collect();
        files.sort_by(|a, b| a.path.split('/').cmp(b.path.split('/')));
        let lines = tree(&files);
        FileSelect {
            contents,
            files,
            lines,
            rows: ListState::default(),
            pattern: None,
            remark: None,
            waits: false,
            listed: false,
        }
    }

    /// Creates a selection for an added torrent that waits for it.
    #[must_use]
    pub fn waiting(contents: TorrentPreview) -> Self {
        FileSelect { waits: true, ..FileSelect::new(contents) }
    }

    /// Returns whether the dialog is still needed. The dialog may open before the torrent is in the list; once the
    /// torrent has been listed and removed, the dialog closes.
    pub fn settle(&mut self, is_there: bool) -> bool {
        self.listed |= is_there;
        is_there || !self.listed
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
        let all = room(size.1, self.lines.len() + head);
        usize::from(all).saturating_sub(head).max(1)
    }

    /// Handles a key.
    pub fn key(&mut self, key: Key, size: (u16, u16)) -> FileSelectOutcome {
        if let Some(pattern) = &mut self.pattern {
            match key {
                Key::Esc => self.pattern = None,
                Key::Enter => {
                    let text = pattern.text().to_owned();
                    self.pattern = None;
                    self.only(&text);
                }
                key => {
                    pattern.key(key);
                }
            }
            return FileSelectOutcome::Stay;
        }
        self.remark = None;
        let height = self.height(size);
        match key {
            Key::Esc | Key::Char('q') => return FileSelectOutcome::Back,
            Key::Enter if self.files.iter().all(|file| file.priority == Priority::Skip) => {
                self.remark = Some("no file selected: select at least one".to_owned());
            }
            Key::Enter => return FileSelectOutcome::Take,
            Key::Char(' ') => self.toggle(),
            Key::Char('a') => {
                let none = self.files.iter().all(|file| file.priority != Priority::Skip);
                let priority = if none { Priority::Skip } else { Priority::Normal };
                self.files.iter_mut().for_each(|file| file.priority = priority);
            }
            Key::Char('+') => self.set(Priority::High),
            Key::Char('-') => self.set(Priority::Low),
            Key::Char('=') => self.set(Priority::Normal),
            Key::Char('/' | '*') => self.pattern = Some(TextInput::default()),
            key => {
                self.rows.key(vi_to_arrows(key), self.lines.len(), height);
            }
        }
        FileSelectOutcome::Stay
    }

    /// Moves the selection by the mouse wheel.
    pub fn wheel(&mut self, by: i32, size: (u16, u16)) {
        let height = self.height(size);
        self.rows.by(by, self.lines.len(), height);
    }

    /// Selects the clicked row; on the selected row, toggles the download.
    pub fn click(&mut self, row: usize) {
        if self.rows.at == row {
            self.toggle();
        }
        self.rows.at = row.min(self.lines.len().saturating_sub(1));
    }

    /// Pastes text into the pattern input, if active.
    pub fn paste(&mut self, text: &str) {
        if let Some(pattern) = &mut self.pattern {
            pattern.insert(text);
        }
    }

    fn chosen(&mut self) -> &mut [Picked] {
        let range = self.lines.get(self.rows.at).map_or(0..0, |row| row.files.clone());
        self.files.get_mut(range).unwrap_or_default()
    }

    fn toggle(&mut self) {
        let none = self.chosen().iter().all(|file| file.priority == Priority::Skip);
        self.set(if none { Priority::Normal } else { Priority::Skip });
    }

    fn set(&mut self, priority: Priority) {
        self.chosen().iter_mut().for_each(|file| file.priority = priority);
    }

    /// Selects only the files that match the pattern.
    fn only(&mut self, pattern: &str) {
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
        self.remark = Some(format!("selected the {count} matching {pattern}"));
    }

    /// Returns the priorities that differ from normal, by file index.
    #[must_use]
    pub fn priorities(&self) -> Vec<(usize, Priority)> {
        let told = self.files.iter().filter(|file| file.priority != Priority::Normal);
        let mut told: Vec<_> = told.map(|file| (file.index, file.priority)).collect();
        told.sort_unstable_by_key(|(index, _)| *index);
        told
    }

    /// Draws the file selection.
    pub fn draw(&self, sheet: &mut Panel<'_, '_>) {
        let theme = *sheet.pen.theme;
        let head = self.head(text_width(sheet.screen.width));
        let keys = match (&self.pattern, self.waits) {
            (Some(_), _) => "Enter select only these   Esc back",
            (None, false) => "Enter add   Space toggle   a all or none   / match   Esc back",
            (None, true) => "Enter start   Space toggle   a all or none   / match   Esc pause",
        };
        let what = if self.waits { "files of" } else { "add" };
        let wanted = || self.files.iter().filter(|file| file.priority != Priority::Skip);
        let bytes: u64 = wanted().map(|file| file.size).sum();
        let room = sheet.open(&format!("{what} {}", self.contents.name), self.lines.len() + head.len() + 1, keys);
        if let Some(pattern) = &self.pattern {
            let line = ratatui::layout::Rect { height: 1, ..room };
            sheet.field(line, "only", pattern, "part of a name, or a pattern like *.mkv", true);
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
            let end = sheet.pen.put(room.x, room.y, room.width, &sum, theme.strong) + 3;
            let into = format!("into {}{free}", self.contents.folder);
            sheet.pen.put(end, room.y, room.right().saturating_sub(end), &into, theme.dim);
        }
        let mut y = room.y + 1;
        for line in &head {
            sheet.line(room, y, line, theme.warn);
            y += 1;
        }
        let height = usize::from(room.bottom().saturating_sub(y));
        let first = self.rows.first(self.lines.len(), height);
        for (at, row) in self.lines.iter().enumerate().skip(first).take(height) {
            self.row(sheet, room, y, at, row);
            y += 1;
        }
        let list =
            ratatui::layout::Rect { y: room.bottom().saturating_sub(height as u16), height: height as u16, ..room };
        sheet.pen.scrollbar(ratatui::layout::Rect { width: room.width + 1, ..list }, first, self.lines.len());
    }

    fn row(&self, sheet: &mut Panel<'_, '_>, room: ratatui::layout::Rect, y: u16, at: usize, row: &Row) {
        let theme = *sheet.pen.theme;
        let files = self.files.get(row.files.clone()).unwrap_or_default();
        let wanted = files.iter().filter(|file| file.priority != Priority::Skip).count();
        let mark = match wanted {
            0 => "[ ]",
            n if n == files.len() => "[x]",
            _ => "[-]",
        };
        let chosen = at == self.rows.at;
        if chosen {
            sheet.choose(room, y);
        }
        sheet.hit(ratatui::layout::Rect { y, height: 1, ..room }, HitTarget::Row(at));
        let style = if wanted == 0 { theme.dim } else { theme.text };
        sheet.pen.put(room.x + 2, y, 3, mark, if wanted > 0 { theme.accent } else { theme.dim });
        let bytes: u64 = files.iter().map(|file| file.size).sum();
        let word = match files {
            [file] if !row.folder => match file.priority {
                Priority::High => "high",
                Priority::Low => "low",
                _ => "",
            },
            _ => "",
        };
        let right = sheet.pen.put_right(room.right().saturating_sub(1), y, 10, &size_long(bytes), theme.dim);
        let right = sheet.pen.put_right(right.saturating_sub(2), y, 5, word, theme.warn);
        let x = room.x + 6 + row.depth.saturating_mul(2).min(room.width / 3);
        let name = if row.folder { format!("{}/", row.name) } else { row.name.clone() };
        let style = if chosen { style.patch(crate::ui::widgets::panel::bold()) } else { style };
        sheet.pen.put(x, y, right.saturating_sub(x + 1), &name, style);
    }
}

/// Maps vi keys to arrow keys, in a list without text input.
#[must_use]
pub const fn vi_to_arrows(key: Key) -> Key {
    match key {
        Key::Char('k') => Key::Up,
        Key::Char('j') => Key::Down,
        Key::Char('g') => Key::Home,
        Key::Char('G') => Key::End,
        Key::Ctrl('u') => Key::PageUp,
        Key::Ctrl('d') => Key::PageDown,
        key => key,
    }
}

/// Builds the rows of the tree from files sorted by path components. A directory that contains only one directory
/// keeps its own row, as on disk.
fn tree(files: &[Picked]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    // Open directories, as indices into `rows`.
    let mut open: Vec<usize> = Vec::new();
    for (at, file) in files.iter().enumerate() {
        let mut parts: Vec<&str> = file.path.split('/').collect();
        let name = parts.pop().unwrap_or_default();
        let same = open.iter().zip(&parts).take_while(|(row, part)| rows[**row].name == **part).count();
        open.truncate(same);
        for part in &parts[same..] {
            let depth = u16::try_from(open.len()).unwrap_or(u16::MAX / 4);
            open.push(rows.len());
            rows.push(Row { depth, name: (*part).to_owned(), folder: true, files: at..at });
        }
        for folder in &open {
            rows[*folder].files.end = at + 1;
        }
        let depth = u16::try_from(open.len()).unwrap_or(u16::MAX / 4);
        rows.push(Row { depth, name: name.to_owned(), folder: false, files: at..at + 1 });
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::FileRow;

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

    fn pressed(keys: &[Key]) -> Vec<(usize, Priority)> {
        let mut chooser = chooser();
        for key in keys {
            assert_eq!(chooser.key(*key, (80, 24)), FileSelectOutcome::Stay);
        }
        chooser.priorities()
    }

    #[test]
    fn the_tree_stands_for_its_files() {
        let chooser = chooser();
        let lines: Vec<_> = chooser.lines.iter().map(|r| (r.depth, r.name.as_str(), r.files.clone())).collect();
        let expected = [
            (0, "t", 0..4),
            (1, "a.txt", 0..1),
            (1, "b", 1..4),
            (2, "c", 1..2),
            (3, "three.srt", 1..2),
            (2, "one.mkv", 2..3),
            (2, "two.mkv", 3..4),
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn keys_want_files_and_folders() {
        use Key::{Char, Down, End, Enter};
        let skip = |all: &[usize]| all.iter().map(|at| (*at, Priority::Skip)).collect::<Vec<_>>();
        assert_eq!(pressed(&[]), []);
        assert_eq!(pressed(&[Down, Char(' ')]), skip(&[1]));
        assert_eq!(pressed(&[Down, Down, Char(' ')]), skip(&[0, 2, 3]));
        assert_eq!(pressed(&[Down, Down, Char(' '), Char(' ')]), []);
        assert_eq!(pressed(&[Char('a')]), skip(&[0, 1, 2, 3]));
        assert_eq!(pressed(&[End, Char('+')]), [(0, Priority::High)]);
        let typed: Vec<Key> = "/*.mkv".chars().map(Char).chain([Enter]).collect();
        assert_eq!(pressed(&typed), skip(&[1, 3]));
        let typed: Vec<Key> = "/nothing".chars().map(Char).chain([Enter]).collect();
        assert_eq!(pressed(&typed), []);
        assert_eq!(pressed(&[Char('a'), Enter]), skip(&[0, 1, 2, 3]), "at least one must be wanted");
        assert_eq!(chooser().key(Enter, (80, 24)), FileSelectOutcome::Take);
        assert_eq!(chooser().key(Key::Esc, (80, 24)), FileSelectOutcome::Back);
    }
}
