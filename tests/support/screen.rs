//! Drawing a model as text, and pressing its keys.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

use ttui::api::{Command, Snapshot};
use ttui::ui::app::model::App;
use ttui::ui::app::update::update;
use ttui::ui::app::view::view;
use ttui::ui::keys::key::Key;
use ttui::ui::state::app::Message;
use ttui::ui::theme::style::ThemeName;

/// A model that has seen this snapshot.
pub fn model(width: u16, height: u16, theme: ThemeName, snapshot: &Snapshot) -> App {
    let mut model = App::new((width, height), theme, false);
    model.state.home = Some("/data/me".into());
    update(&mut model, Message::Snapshot, snapshot);
    model
}

/// The cells of a screen.
pub fn draw(model: &App, snapshot: &Snapshot) -> Buffer {
    let (width, height) = model.state.size;
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view(model, snapshot, frame)).unwrap();
    terminal.backend().buffer().clone()
}

/// The cells as lines of text.
pub fn text(buffer: &Buffer) -> String {
    let mut out = String::new();
    for y in 0..buffer.area.height {
        let mut line = String::new();
        let mut x = 0;
        while x < buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            line.push_str(symbol);
            x += (unicode_width::UnicodeWidthStr::width(symbol) as u16).max(1);
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// The screen that a snapshot makes.
pub fn screen(width: u16, height: u16, snapshot: &Snapshot) -> String {
    text(&draw(&model(width, height, ThemeName::Plain, snapshot), snapshot))
}

/// Presses keys, written with spaces between; returns what the engine is asked to do.
pub fn keys(model: &mut App, snapshot: &Snapshot, keys: &str) -> Vec<Command> {
    let mut commands = Vec::new();
    for word in keys.split(' ') {
        let key = match word {
            "Enter" => Key::Enter,
            "Esc" => Key::Esc,
            "Tab" => Key::Tab,
            "Up" => Key::Up,
            "Down" => Key::Down,
            "Left" => Key::Left,
            "Right" => Key::Right,
            "PgDn" => Key::PageDown,
            "PgUp" => Key::PageUp,
            "Home" => Key::Home,
            "End" => Key::End,
            "Space" => Key::Char(' '),
            "BackTab" => Key::BackTab,
            "Backspace" => Key::Backspace,
            "Del" => Key::Delete,
            // A word of letters after a quote is typed.
            typed if typed.len() > 1 && typed.starts_with('\'') => {
                for c in typed[1..].chars() {
                    commands.extend(update(model, Message::Key(Key::Char(c)), snapshot));
                }
                continue;
            }
            held if held.len() == 2 && held.starts_with('^') => Key::Ctrl(held.chars().nth(1).unwrap()),
            other => Key::Char(other.chars().next().unwrap()),
        };
        commands.extend(update(model, Message::Key(key), snapshot));
    }
    commands
}
