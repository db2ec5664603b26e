//! The help dialog: all active key bindings, searchable, in columns if there is room; below, the abbreviations used
//! in the tables.

use ratatui::layout::Rect;

use crate::ui::keys::context::KeyContext;
use crate::ui::keys::key::Key;
use crate::ui::keys::keymap::Keymap;
use crate::ui::text::format::cells;
use crate::ui::widgets::panel::{Panel, room};
use crate::ui::widgets::text_input::TextInput;

/// The help dialog.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Help {
    /// Search text: only lines that contain it are shown.
    find: TextInput,
    /// Whether the search input has the focus.
    typing: bool,
    /// First visible line.
    top: usize,
}

/// Abbreviations used in the tables, and their meaning.
const WORDS: &[(&str, &[(&str, &str)])] = &[
    (
        "Peer flags",
        &[
            ("D d", "interested: peer unchoked us; peer chokes us"),
            ("U u", "peer interested: unchoked; choked by us"),
            ("K", "peer unchoked us; we are not interested"),
            ("?", "we unchoked the peer; it is not interested"),
            ("O", "optimistic unchoke"),
            ("S", "snubbed: peer sends no requested blocks"),
            ("I", "incoming connection"),
            ("E e", "encrypted: all traffic; handshake only"),
            ("P", "connected over uTP"),
            ("L X H", "source: local discovery, peer exchange, DHT"),
            ("grey", "no recent traffic"),
        ],
    ),
    (
        "Columns",
        &[
            ("Peers", "connected / known"),
            ("Reqs", "pending requests: to the peer / from the peer"),
            ("Src", "source: trk tracker, PEX peer exchange, in incoming"),
            ("avail", "availability: distributed copies, ours included"),
            ("rarest", "copies of the rarest missing piece"),
        ],
    ),
];

/// A line of the help; a heading has no keys.
struct Line<'a> {
    keys: &'a str,
    text: &'a str,
}

impl Help {
    fn lines<'a>(&self, keymap: &'a Keymap) -> Vec<Line<'a>> {
        let find = self.find.text().to_lowercase();
        let mut lines = Vec::new();
        for place in KeyContext::ALL {
            let fits = |line: &&crate::ui::keys::keymap::ActiveBinding| {
                line.binding.place == place
                    && !line.shown.is_empty()
                    && (find.is_empty()
                        || line.binding.help.to_lowercase().contains(&find)
                        || line.shown.to_lowercase().contains(&find))
            };
            let mut found = keymap.lines().iter().filter(fits).peekable();
            if found.peek().is_none() {
                continue;
            }
            if !lines.is_empty() {
                lines.push(Line { keys: "", text: "" });
            }
            lines.push(Line { keys: "", text: place.title() });
            lines.extend(found.map(|line| Line { keys: &line.shown, text: line.binding.help }));
        }
        for (title, words) in WORDS {
            let named = title.to_lowercase().contains(&find);
            let found = words.iter().filter(|(word, text)| {
                named || text.to_lowercase().contains(&find) || word.to_lowercase().contains(&find)
            });
            let found: Vec<_> = found.map(|(keys, text)| Line { keys, text }).collect();
            if found.is_empty() {
                continue;
            }
            if !lines.is_empty() {
                lines.push(Line { keys: "", text: "" });
            }
            lines.push(Line { keys: "", text: title });
            lines.extend(found);
        }
        lines
    }

    fn shape(&self, keymap: &Keymap, size: (u16, u16)) -> (usize, usize, usize) {
        let count = self.lines(keymap).len();
        let columns = match size.0 {
            0..110 => 1,
            110..180 => 2,
            _ => 3,
        };
        let height = usize::from(room(size.1, count.div_ceil(columns) + 1)).saturating_sub(1).max(1);
        (count, columns, height)
    }

    fn most(&self, keymap: &Keymap, size: (u16, u16)) -> usize {
        let (count, columns, height) = self.shape(keymap, size);
        count.saturating_sub(height * columns)
    }

    /// Handles a key; returns `false` to close the help.
    pub fn key(&mut self, key: Key, keymap: &Keymap, size: (u16, u16)) -> bool {
        let page = self.shape(keymap, size).2.max(2) - 1;
        match key {
            Key::Esc if self.typing || !self.find.is_empty() => {
                (self.typing, self.top, self.find) = (false, 0, TextInput::default());
            }
            Key::Esc | Key::F(1) => return false,
            Key::Enter if self.typing => self.typing = false,
            Key::Up => self.top = self.top.saturating_sub(1),
            Key::Down => self.top += 1,
            Key::PageUp => self.top = self.top.saturating_sub(page),
            Key::PageDown => self.top += page,
            key if self.typing => {
                self.find.key(key);
                self.top = 0;
            }
            Key::Enter | Key::Char('q' | '?') => return false,
            Key::Char('/') => self.typing = true,
            Key::Char('k') => self.top = self.top.saturating_sub(1),
            Key::Char('j') => self.top += 1,
            Key::Ctrl('b' | 'u') => self.top = self.top.saturating_sub(page),
            Key::Ctrl('f' | 'd') | Key::Char(' ') => self.top += page,
            Key::Home | Key::Char('g') => self.top = 0,
            Key::End | Key::Char('G') => self.top = usize::MAX / 2,
            _ => {}
        }
        self.top = self.top.min(self.most(keymap, size));
        true
    }

    /// Scrolls by the mouse wheel.
    pub fn wheel(&mut self, by: i32, keymap: &Keymap, size: (u16, u16)) {
        self.top = self.top.saturating_add_signed(by as isize * 3).min(self.most(keymap, size));
    }

    /// Pastes text into the search input.
    pub fn paste(&mut self, text: &str) {
        self.typing = true;
        self.find.insert(text);
        self.top = 0;
    }

    /// Draws the help.
    pub fn draw(&self, sheet: &mut Panel<'_, '_>, keymap: &Keymap) {
        let theme = *sheet.pen.theme;
        let lines = self.lines(keymap);
        let (count, columns, height) = self.shape(keymap, (sheet.screen.width, sheet.screen.height));
        let keys = match self.typing {
            true => "Enter keep   Esc clear",
            false if count <= height * columns => "/ find   Esc close",
            false => "/ find   PgDn more   Esc close",
        };
        let all = sheet.open("keys", count.div_ceil(columns) + 1, keys);
        let search = Rect { height: 1, ..all };
        if self.typing || !self.find.is_empty() {
            sheet.field(search, "/", &self.find, "", self.typing);
        } else {
            let text = "Change keys in [keys] of the config. Flags and columns are explained below.";
            sheet.line(search, search.y, text, theme.dim);
        }
        let room = Rect { y: all.y + 1, height: all.height.saturating_sub(1), ..all };
        if lines.is_empty() {
            sheet.line(room, room.y, "no match", theme.dim);
        }
        let top = self.top.min(count.saturating_sub(height * columns));
        let width = room.width / columns as u16;
        let widest = lines.iter().map(|line| cells(line.keys)).max().unwrap_or(0).clamp(7, 14);
        for (at, line) in lines.iter().skip(top).take(height * columns).enumerate() {
            let x = room.x + (at / height) as u16 * width;
            let y = room.y + (at % height) as u16;
            if line.keys.is_empty() {
                sheet.pen.put(x, y, width.saturating_sub(1), line.text, theme.strong);
            } else {
                sheet.pen.put(x + 1, y, widest, line.keys, theme.accent);
                sheet.pen.put(x + widest + 3, y, width.saturating_sub(widest + 4), line.text, theme.text);
            }
        }
        let shown = if columns == 1 { count } else { 0 };
        sheet.pen.scrollbar(Rect { width: room.width + 1, ..room }, top, shown);
    }
}
