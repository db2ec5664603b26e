//! What stands in front of the panes: questions, the help, the numbers behind the why line. Each is a sheet between two
//! rules at the foot of the screen; the list above it stays in sight.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::api::Snapshot;
use crate::ui::edit::Edit;
use crate::ui::keys::{KEYS, Place};
use crate::ui::model::{Dialog, Model, find};
use crate::ui::pen::Pen;
use crate::ui::text::{cells, size_long, wrap};

/// Lines of the help in one column.
#[must_use]
pub fn help_lines() -> usize {
    help_text().len()
}

/// The help: headings have no key.
fn help_text() -> Vec<(&'static str, &'static str)> {
    let mut lines = Vec::new();
    for place in Place::ALL {
        if !lines.is_empty() {
            lines.push(("", ""));
        }
        lines.push(("", place.title()));
        lines.extend(KEYS.iter().filter(|b| b.place == place).map(|b| (b.shown, b.help)));
    }
    lines
}

/// Draws the dialog on top, if there is one. Returns where the cursor is to be.
pub fn draw(pen: &mut Pen<'_>, screen: Rect, model: &Model, snapshot: &Snapshot) -> Option<(u16, u16)> {
    match model.dialogs.last()? {
        Dialog::Add { edit, before } => Some(add(pen, screen, edit, before)),
        Dialog::Remove { id, data } => {
            let view = find(snapshot, *id)?;
            let (name, done) = (view.name.as_str(), view.done);
            remove(pen, screen, name, done, view.detail.as_deref().map(|d| d.folder.as_str()), *data);
            None
        }
        Dialog::Quit { unfinished } => {
            let text = match unfinished {
                1 => "One torrent is unfinished. It goes on where it stopped when you come back.".to_owned(),
                n => format!("{n} torrents are unfinished. They go on where they stopped when you come back."),
            };
            message(pen, screen, "quit?", &[text], "Enter quit   Esc stay");
            None
        }
        Dialog::Help { top } => {
            help(pen, screen, *top);
            None
        }
        Dialog::Why => {
            why(pen, screen, model, snapshot);
            None
        }
        Dialog::Message(title, lines) => {
            message(pen, screen, title, lines, "Enter close");
            None
        }
    }
}

/// Opens a sheet with room for `height` lines between its rules, and a line of keys. Returns the room.
fn sheet(pen: &mut Pen<'_>, screen: Rect, title: &str, height: u16, keys: &str) -> Rect {
    let theme = *pen.theme;
    let height = height.min(screen.height.saturating_sub(3)).max(1);
    let whole = Rect { y: screen.bottom() - height - 2, height: height + 2, ..screen };
    pen.clear(whole, theme.sheet);
    pen.rule(Rect { height: 1, ..whole }, title, theme.accent);
    key_line(pen, Rect { y: whole.bottom() - 1, height: 1, ..whole }, keys);
    Rect { x: whole.x + 1, y: whole.y + 1, width: whole.width - 2, height }
}

/// Writes `Enter add   Esc cancel` with the keys standing out.
fn key_line(pen: &mut Pen<'_>, area: Rect, keys: &str) {
    let theme = *pen.theme;
    let mut x = area.x + 1;
    for part in keys.split("   ") {
        let (key, word) = part.split_once(' ').unwrap_or((part, ""));
        x = pen.put(x, area.y, area.right().saturating_sub(x), key, theme.accent);
        x = pen.put(x + 1, area.y, area.right().saturating_sub(x + 1), word, theme.dim) + 3;
    }
}

fn add(pen: &mut Pen<'_>, screen: Rect, edit: &Edit, before: &[String]) -> (u16, u16) {
    let theme = *pen.theme;
    let most = usize::from(screen.height.saturating_sub(6)).clamp(1, 8);
    let shown = before.len().min(most);
    let title =
        if before.is_empty() { "add a torrent".to_owned() } else { format!("add {} torrents", before.len() + 1) };
    let room = sheet(pen, screen, &title, shown as u16 + 2, "Enter add   Esc cancel");
    let mut y = room.y;
    for line in &before[before.len() - shown..] {
        pen.put(room.x + 2, y, room.width - 2, line, theme.dim);
        y += 1;
    }
    let (text, at) = edit.window(room.width - 3);
    pen.put(room.x, y, 1, ">", theme.accent);
    pen.put(room.x + 2, y, room.width - 2, &text, theme.strong);
    if y + 1 < room.bottom() {
        let hint = "the path of a .torrent file; ~/ is your home folder";
        pen.put(room.x + 2, y + 1, room.width - 2, hint, theme.dim);
    }
    (room.x + 2 + at, y)
}

fn remove(pen: &mut Pen<'_>, screen: Rect, name: &str, done: u64, folder: Option<&str>, data: bool) {
    let theme = *pen.theme;
    let room = sheet(pen, screen, &format!("remove {name}"), 2, "Enter remove   Tab choose   Esc cancel");
    let place = folder.map_or_else(String::new, |folder| format!(" in {folder}"));
    let choices = [
        (false, "keep its data", "only take it out of the list".to_owned(), theme.text),
        (true, "delete its data", format!("{}{place}", size_long(done)), theme.bad),
    ];
    for (at, (means, word, text, style)) in choices.into_iter().enumerate() {
        let y = room.y + at as u16;
        if y >= room.bottom() {
            return;
        }
        let chosen = means == data;
        if chosen {
            pen.restyle(Rect { y, height: 1, x: screen.x, width: screen.width }, theme.chosen);
            pen.put(room.x, y, 1, ">", theme.accent);
        }
        pen.put(room.x + 2, y, 16, word, if chosen { style.patch(strong()) } else { theme.text });
        pen.put(room.x + 19, y, room.width - 19, &text, theme.dim);
    }
}

fn strong() -> Style {
    Style::new().add_modifier(ratatui::style::Modifier::BOLD)
}

fn message(pen: &mut Pen<'_>, screen: Rect, title: &str, lines: &[String], keys: &str) {
    let wrapped: Vec<String> =
        lines.iter().flat_map(|line| wrap(&line.replace('\n', " "), screen.width.min(100) - 4)).collect();
    let room = sheet(pen, screen, title, wrapped.len() as u16, keys);
    for (at, line) in wrapped.iter().take(usize::from(room.height)).enumerate() {
        pen.put(room.x, room.y + at as u16, room.width, line, pen.theme.text);
    }
}

fn why(pen: &mut Pen<'_>, screen: Rect, model: &Model, snapshot: &Snapshot) {
    let theme = *pen.theme;
    let Some(view) = model.chosen(snapshot) else { return };
    let sentence = view.error.as_ref().unwrap_or(&view.why.sentence);
    let wrapped = wrap(sentence, screen.width.min(100) - 4);
    let numbers = &view.why.numbers;
    let gap = u16::from(!numbers.is_empty());
    let height = (wrapped.len() + numbers.len()) as u16 + gap;
    let room = sheet(pen, screen, &format!("why is {} no faster", view.name), height, "Esc close");
    let mut y = room.y;
    for line in &wrapped {
        if y < room.bottom() {
            pen.put(room.x, y, room.width, line, if view.error.is_some() { theme.bad } else { theme.strong });
            y += 1;
        }
    }
    y += gap;
    let widest = numbers
        .iter()
        .map(|(label, _)| cells(&crate::ui::text::clean_within(label, false, 40)))
        .max()
        .unwrap_or(0)
        .min(40);
    for (label, value) in numbers {
        if y >= room.bottom() {
            return;
        }
        pen.put(room.x, y, widest, label, theme.dim);
        pen.put(room.x + widest + 3, y, room.width.saturating_sub(widest + 3), value, theme.text);
        y += 1;
    }
}

fn help(pen: &mut Pen<'_>, screen: Rect, top: usize) {
    let theme = *pen.theme;
    let lines = help_text();
    let columns = if screen.width >= 110 { 2 } else { 1 };
    let wanted = lines.len().div_ceil(columns);
    let room = sheet(pen, screen, "keys", wanted as u16, "Esc close   PgDn more");
    let height = usize::from(room.height);
    let top = top.min(lines.len().saturating_sub(height * columns));
    let width = room.width / columns as u16;
    for (at, (key, text)) in lines.iter().skip(top).take(height * columns).enumerate() {
        let x = room.x + (at / height) as u16 * width;
        let y = room.y + (at % height) as u16;
        if key.is_empty() {
            pen.put(x, y, width, text, theme.strong);
        } else {
            pen.put(x + 1, y, 9, key, theme.accent);
            pen.put(x + 12, y, width.saturating_sub(13), text, theme.text);
        }
    }
    pen.thumb(Rect { width: room.width + 1, ..room }, top, if columns == 1 { lines.len() } else { 0 });
}
