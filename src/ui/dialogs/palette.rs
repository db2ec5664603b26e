//! The command palette: all actions and settings, with fuzzy search.

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use ratatui::layout::Rect;

use crate::ui::dialogs::dialog::{CLOSE, CONFIRM, Dialog, DialogContext, Outcome, Request};
use crate::ui::dialogs::settings_table;
use crate::ui::keys::action::{Action, AppAction, DialogAction};
use crate::ui::keys::context::KeyContext;
use crate::ui::keys::keymap::Keymap;
use crate::ui::state::columns::{PEER_COLUMNS, SortBy, TORRENT_COLUMNS};
use crate::ui::text::format::cells;
use crate::ui::widgets::list::ListState;
use crate::ui::widgets::panel::{HitTarget, Panel, room};
use crate::ui::widgets::text_input::TextInput;

/// What a palette entry does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum PaletteEntry {
    /// An action.
    Act(Action),
    /// A row of the settings dialog.
    Setting(usize),
    Sort(SortBy),
}

/// A palette entry.
#[derive(Debug)]
struct Item {
    what: PaletteEntry,
    keys: String,
    text: String,
    name: String,
    /// Where it works; empty for everywhere.
    place: &'static str,
}

impl Item {
    fn sort(by: SortBy, list: &str, column: &str) -> Self {
        let text = format!("sort {list} by {}", column.replace('-', " "));
        Item { what: PaletteEntry::Sort(by), keys: String::new(), text, name: String::new(), place: "" }
    }
}

/// The command palette.
#[derive(Debug)]
pub(crate) struct Palette {
    edit: TextInput,
    items: Vec<Item>,
    /// Search results, the best first: index of the item, and matched characters of its text.
    found: Vec<(usize, Vec<u32>)>,
    rows: ListState,
}

impl Palette {
    /// Creates a palette with all key bindings and settings.
    pub(crate) fn new(keymap: &Keymap) -> Self {
        let mut items: Vec<Item> = Vec::new();
        for line in keymap.lines() {
            let binding = line.binding;
            // Skips the actions that open the palette or close a dialog.
            let twice = |item: &Item| matches!(item.what, PaletteEntry::Act(act) if act == binding.act);
            let skipped = matches!(binding.act, Action::App(AppAction::Palette | AppAction::Close));
            if skipped || binding.place.is_dialog() || items.iter().any(twice) {
                continue;
            }
            items.push(Item {
                what: PaletteEntry::Act(binding.act),
                keys: line.shown.clone(),
                text: binding.help.to_owned(),
                name: binding.name.to_owned(),
                place: if binding.place == KeyContext::Everywhere { "" } else { binding.place.title() },
            });
        }
        items.extend(settings_table::titles().map(|(line, title, key)| Item {
            what: PaletteEntry::Setting(line),
            keys: keymap.shown(Action::App(AppAction::Settings)).to_owned(),
            text: format!("settings: {title}"),
            name: key.to_owned(),
            place: "Settings",
        }));
        let sorts = TORRENT_COLUMNS.iter().filter(|column| column.sorts);
        items.extend(sorts.map(|column| Item::sort(SortBy::Torrents(column.key), "torrents", column.name)));
        let sorts = PEER_COLUMNS.iter().filter(|column| column.sorts);
        items.extend(sorts.map(|column| Item::sort(SortBy::Peers(column.key), "peers", column.name)));
        let mut palette = Palette { edit: TextInput::default(), items, found: Vec::new(), rows: ListState::default() };
        palette.search();
        palette
    }

    /// Searches item texts and names; an item that matches in both scores highest.
    fn search(&mut self) {
        let text = self.edit.text().trim();
        let pattern = Pattern::parse(text, CaseMatching::Ignore, Normalization::Smart);
        let mut matcher = Matcher::new(Config::DEFAULT);
        let mut buffer = Vec::new();
        let mut found: Vec<(u32, usize, Vec<u32>)> = Vec::new();
        for (at, item) in self.items.iter().enumerate() {
            let mut letters = Vec::new();
            let words = Utf32Str::new(&item.text, &mut buffer);
            let by_words = pattern.indices(words, &mut matcher, &mut letters);
            let name = Utf32Str::new(&item.name, &mut buffer);
            let by_name = pattern.score(name, &mut matcher);
            if by_words.is_none() {
                letters.clear();
            }
            if by_words.or(by_name).is_some() {
                found.push((by_words.unwrap_or(0).saturating_add(by_name.unwrap_or(0)), at, letters));
            }
        }
        found.sort_by_key(|(score, at, _)| (std::cmp::Reverse(*score), *at));
        // Drops scattered matches if there are clearly better ones.
        let best = found.first().map_or(0, |(score, ..)| *score);
        found.retain(|(score, ..)| score.saturating_mul(3) >= best.saturating_mul(2));
        self.found = found.into_iter().map(|(_, at, letters)| (at, letters)).collect();
        self.rows = ListState::default();
    }

    fn wanted(&self) -> usize {
        // The height does not depend on the number of results, so that rows do not jump.
        self.items.len().min(14) + 1
    }

    fn height(&self, size: (u16, u16)) -> usize {
        usize::from(room(size.1, self.wanted())).saturating_sub(1).max(1)
    }

    /// Asks to run the selected entry, if any.
    fn run(&self) -> Outcome {
        let item = self.found.get(self.rows.at).and_then(|(at, _)| self.items.get(*at));
        let request = item.map(|item| match item.what {
            PaletteEntry::Act(action) => Request::Run(action),
            PaletteEntry::Setting(row) => Request::OpenSetting(row),
            PaletteEntry::Sort(by) => Request::Sort(by),
        });
        Outcome::Finish(request.into_iter().collect())
    }
}

impl Dialog for Palette {
    fn contexts(&self) -> &'static [KeyContext] {
        &[KeyContext::Search, KeyContext::Forms, KeyContext::Text, KeyContext::Dialogs, KeyContext::Everywhere]
    }

    fn action(&mut self, action: Action, cx: &DialogContext<'_>) -> Outcome {
        let (count, height) = (self.found.len(), self.height(cx.state.size));
        match action {
            CLOSE => return Outcome::Close,
            CONFIRM => return self.run(),
            Action::Dialog(DialogAction::Complete) => self.rows.move_by(1, count, height),
            Action::Dialog(DialogAction::CompleteBack) => self.rows.move_by(-1, count, height),
            Action::Nav(action) => self.rows.navigate(action, count, height),
            _ => return Outcome::Ignored,
        }
        Outcome::Stay
    }

    fn text_field(&mut self) -> Option<&mut TextInput> {
        Some(&mut self.edit)
    }

    fn edited(&mut self) {
        self.search();
    }

    fn click_row(&mut self, row: usize, _cx: &DialogContext<'_>) -> Outcome {
        let again = std::mem::replace(&mut self.rows.at, row) == row;
        if again { self.run() } else { Outcome::Stay }
    }

    fn scroll(&mut self, rows: isize, cx: &DialogContext<'_>) {
        let height = self.height(cx.state.size);
        self.rows.move_by(rows, self.found.len(), height);
    }

    fn draw(&self, panel: &mut Panel<'_, '_>, _cx: &DialogContext<'_>) {
        let theme = *panel.pen.theme;
        let room = panel.open("commands", self.wanted(), &[(CONFIRM, "run"), (CLOSE, "close")]);
        panel.field(Rect { height: 1, ..room }, ":", &self.edit, "type part of a command", true);
        let list = Rect { y: room.y + 1, height: room.height.saturating_sub(1), ..room };
        if self.found.is_empty() {
            panel.line(Rect { x: list.x + 2, ..list }, list.y, "no matching command", theme.dim);
        }
        let height = usize::from(list.height);
        let first = self.rows.first(self.found.len(), height);
        let name = if room.width >= 76 { 24 } else { 0 };
        for (line, (at, letters)) in self.found.iter().enumerate().skip(first).take(height) {
            let Some(item) = self.items.get(*at) else { continue };
            let y = list.y + (line - first) as u16;
            if line == self.rows.at {
                panel.choose(room, y);
            }
            panel.hit(Rect { y, height: 1, ..room }, HitTarget::Row(line));
            let key = item.keys.split(' ').next().unwrap_or("");
            panel.pen.put(room.x + 2, y, 5, key, theme.accent);
            let width = room.width.saturating_sub(9 + name);
            let end = panel.pen.put(room.x + 8, y, width, &item.text, theme.text);
            for letter in letters {
                let x = room.x + 8 + u16::try_from(*letter).unwrap_or(u16::MAX / 2);
                if x < end {
                    panel.pen.restyle(Rect::new(x, y, 1, 1), theme.strong);
                }
            }
            let mut right = room.right().saturating_sub(1);
            if name > 0 && end + cells(&item.name) + 2 < right {
                right = panel.pen.put_right(right, y, name, &item.name, theme.dim);
            }
            if end + cells(item.place) + 4 < right.min(room.right().saturating_sub(name)) {
                let column = room.right().saturating_sub(name + 2);
                panel.pen.put_right(column, y, cells(item.place), item.place, theme.faint);
            }
        }
        panel.pen.scrollbar(Rect { width: list.width + 1, ..list }, first, self.found.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::keys::action::{FileAction, TorrentAction, ViewAction};

    fn found(typed: &str) -> Vec<PaletteEntry> {
        let mut palette = Palette::new(&Keymap::default());
        palette.paste(&[typed]);
        palette.found.iter().map(|(at, _)| palette.items[*at].what).collect()
    }

    #[test]
    fn parts_and_letters_find_what_is_meant() {
        for (typed, act) in [
            ("pause", Action::Torrent(TorrentAction::Pause)),
            ("magnet", Action::Torrent(TorrentAction::CopyMagnet)),
            ("super", Action::Torrent(TorrentAction::SuperSeed)),
            ("qup", Action::Torrent(TorrentAction::QueueUp)),
            ("theme", Action::View(ViewAction::Theme)),
            ("SETTINGS", Action::App(AppAction::Settings)),
            ("file-glob", Action::File(FileAction::Glob)),
            ("move data", Action::Torrent(TorrentAction::Move)),
        ] {
            let first = found(typed).first().copied();
            assert!(matches!(first, Some(PaletteEntry::Act(found)) if found == act), "{typed}: {:?}", found(typed));
        }
        for typed in ["settings download", "max-active", "setting port", "DHT"] {
            assert!(matches!(found(typed)[..], [PaletteEntry::Setting(_), ..]), "{typed}: {:?}", found(typed));
        }
        assert!(found("xyzzy").is_empty());
        assert!(found("").len() > 50, "everything, in the order of the table");
        assert!(matches!(found("")[0], PaletteEntry::Act(Action::App(AppAction::Add))));
    }
}
