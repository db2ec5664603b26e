//! The help dialog: at first the keys of the focused pane, then all active key bindings, in columns if there is room, and
//! the abbreviations used in the tables. A search looks through all of it.

use ratatui::layout::Rect;

use crate::ui::dialogs::dialog::{CLOSE, CONFIRM, Dialog, DialogContext, Outcome, TEXT};
use crate::ui::keys::action::{Action, AppAction, NavAction, ViewAction};
use crate::ui::keys::context::KeyContext;
use crate::ui::keys::keymap::{ActiveBinding, Keymap};
use crate::ui::text::format::cells;
use crate::ui::widgets::panel::{Panel, room};
use crate::ui::widgets::text_input::TextInput;

/// The action that starts a search.
const FIND: Action = Action::View(ViewAction::Filter);

/// The action that shows all keys.
const ALL: Action = Action::App(AppAction::Help);

/// The help dialog.
#[derive(Debug, Default)]
pub(crate) struct Help {
    /// The context to which the help is limited.
    only: Option<KeyContext>,
    /// Search text: only lines that contain it are shown.
    find: TextInput,
    /// Whether the search input has the focus.
    typing: bool,
    /// First visible line.
    top: usize,
}

/// Abbreviations used in the tables, and their meaning.
const ABBREVIATIONS: &[(&str, &[(&str, &str)])] = &[
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
            ("Down Up", "we want pieces; peer wants pieces: yes or choked"),
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
    /// Creates the help of the focused pane.
    pub(crate) fn of(contexts: &[KeyContext]) -> Self {
        Help { only: contexts.first().copied(), ..Help::default() }
    }

    fn lines<'a>(&self, keymap: &'a Keymap) -> Vec<Line<'a>> {
        let find = self.find.text().to_lowercase();
        let mut lines = Vec::new();
        let only = self.only.filter(|_| find.is_empty());
        for place in KeyContext::ALL.into_iter().filter(|place| only.is_none_or(|only| only == *place)) {
            let fits = |line: &&ActiveBinding| {
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
        let explained = only.is_none_or(|only| only == KeyContext::Peers);
        for (title, words) in ABBREVIATIONS.iter().filter(|_| explained) {
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

    fn last_top(&self, keymap: &Keymap, size: (u16, u16)) -> usize {
        let (count, columns, height) = self.shape(keymap, size);
        count.saturating_sub(height * columns)
    }

    fn scroll_by(&mut self, rows: isize, cx: &DialogContext<'_>) {
        let last = self.last_top(&cx.state.keymap, cx.state.size);
        self.top = self.top.min(last).saturating_add_signed(rows).min(last);
    }

    fn clear(&mut self) {
        *self = Help { only: self.only, ..Help::default() };
    }
}

impl Dialog for Help {
    fn contexts(&self) -> &'static [KeyContext] {
        if self.typing { TEXT } else { &[KeyContext::Help, KeyContext::Dialogs, KeyContext::Everywhere] }
    }

    fn action(&mut self, action: Action, cx: &DialogContext<'_>) -> Outcome {
        match action {
            CLOSE if self.typing || !self.find.is_empty() => self.clear(),
            CONFIRM if self.typing => self.typing = false,
            ALL if self.only.is_some() => *self = Help::default(),
            CLOSE | CONFIRM | ALL | Action::App(AppAction::Quit) => return Outcome::Close,
            FIND => self.typing = true,
            Action::Nav(action) => {
                let page = self.shape(&cx.state.keymap, cx.state.size).2.max(2) - 1;
                self.scroll_by(action.rows(page), cx);
            }
            _ => return Outcome::Ignored,
        }
        Outcome::Stay
    }

    fn text_field(&mut self) -> Option<&mut TextInput> {
        self.typing.then_some(&mut self.find)
    }

    fn edited(&mut self) {
        self.top = 0;
    }

    fn scroll(&mut self, rows: isize, cx: &DialogContext<'_>) {
        self.scroll_by(rows * 3, cx);
    }

    fn draw(&self, panel: &mut Panel<'_, '_>, cx: &DialogContext<'_>) {
        let keymap = &cx.state.keymap;
        let theme = *panel.pen.theme;
        let lines = self.lines(keymap);
        let (count, columns, height) = self.shape(keymap, (panel.screen.width, panel.screen.height));
        let more = Action::Nav(NavAction::PageDown);
        let buttons: &[(Action, &str)] = match self.typing {
            true => &[(CONFIRM, "keep"), (CLOSE, "clear")],
            false if self.only.is_some() => &[(ALL, "all keys"), (FIND, "find"), (CLOSE, "close")],
            false if count <= height * columns => &[(FIND, "find"), (CLOSE, "close")],
            false => &[(FIND, "find"), (more, "more"), (CLOSE, "close")],
        };
        let title = self.only.map_or("keys", KeyContext::title);
        let all = panel.open(title, count.div_ceil(columns) + 1, buttons);
        let search = Rect { height: 1, ..all };
        if self.typing || !self.find.is_empty() {
            panel.field(search, "/", &self.find, "", self.typing);
        } else {
            let text = match self.only {
                Some(_) => "What can be done here. The same key again shows all keys.",
                None => "Change keys in [keys] of the config. Flags and columns are explained below.",
            };
            panel.line(search, search.y, text, theme.dim);
        }
        let room = Rect { y: all.y + 1, height: all.height.saturating_sub(1), ..all };
        if lines.is_empty() {
            panel.line(room, room.y, "no match", theme.dim);
        }
        let top = self.top.min(count.saturating_sub(height * columns));
        let width = room.width / columns as u16;
        let widest = lines.iter().map(|line| cells(line.keys)).max().unwrap_or(0).clamp(7, 14);
        for (at, line) in lines.iter().skip(top).take(height * columns).enumerate() {
            let x = room.x + (at / height) as u16 * width;
            let y = room.y + (at % height) as u16;
            if line.keys.is_empty() {
                panel.pen.put(x, y, width.saturating_sub(1), line.text, theme.strong);
            } else {
                panel.pen.put(x + 1, y, widest, line.keys, theme.accent);
                panel.pen.put(x + widest + 3, y, width.saturating_sub(widest + 4), line.text, theme.text);
            }
        }
        let shown = if columns == 1 { count } else { 0 };
        panel.pen.scrollbar(Rect { width: room.width + 1, ..room }, top, shown);
    }
}
