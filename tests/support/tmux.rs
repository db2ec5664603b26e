//! A terminal that nobody sits at: tmux runs a program in it, keys are typed, the screen is read as it was drawn.

use std::path::Path;
use std::process::Command;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};

/// A terminal with a shell in it; ended when dropped.
pub struct Terminal {
    socket: String,
    size: (u16, u16),
}

impl Terminal {
    /// A terminal of so many columns and rows, in `folder`. `name` is no other terminal's.
    pub fn open(name: &str, size: (u16, u16), folder: &Path) -> Terminal {
        let it = Terminal { socket: format!("ttui-{}-{name}", std::process::id()), size };
        let (width, height) = (size.0.to_string(), size.1.to_string());
        let folder = folder.display().to_string();
        let shell = "env -u NO_COLOR PS1='$ ' HISTFILE= bash --norc --noprofile";
        it.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", &width, "-y", &height, "-c", &folder, shell]);
        it.tmux(&["set", "-g", "status", "off"]);
        it.tmux(&["set", "-g", "default-terminal", "tmux-256color"]);
        it.tmux(&["set", "-s", "escape-time", "0"]);
        it
    }

    fn tmux(&self, args: &[&str]) -> String {
        let output = Command::new("tmux")
            .args(["-u", "-L", &self.socket])
            .args(args)
            .env("LC_ALL", "C.UTF-8")
            .env_remove("TMUX")
            .output()
            .expect("tmux runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Types a line and Enter.
    pub fn line(&self, text: &str) {
        self.type_text(text);
        self.keys("Enter");
    }

    /// Types text as it is.
    pub fn type_text(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    /// Presses keys by the names that tmux gives them, written with spaces between.
    pub fn keys(&self, keys: &str) {
        let mut args = vec!["send-keys"];
        args.extend(keys.split(' '));
        self.tmux(&args);
    }

    /// Pastes text, as a terminal with bracketed paste does.
    pub fn paste(&self, text: &str) {
        self.tmux(&["set-buffer", text]);
        self.tmux(&["paste-buffer", "-p"]);
    }

    /// Another size.
    pub fn resize(&mut self, size: (u16, u16)) {
        self.size = size;
        self.tmux(&["resize-window", "-x", &size.0.to_string(), "-y", &size.1.to_string()]);
    }

    /// The lines on the screen.
    pub fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// The screen with its colours.
    pub fn cells(&self) -> Buffer {
        let (width, height) = self.size;
        let mut parser = vt100::Parser::new(height, width, 0);
        let text = self.tmux(&["capture-pane", "-p", "-e", "-N"]);
        // Lines come without carriage returns.
        parser.process(text.trim_end_matches('\n').replace('\n', "\r\n").as_bytes());
        buffer(parser.screen(), width, height)
    }

    /// Waits until the screen has `text` on it; fails the test, with the screen, when it never does.
    pub fn until(&self, text: &str) {
        super::process::until(&format!("{text:?} on the screen"), || self.screen(), || self.screen().contains(text));
    }

    /// Waits until the shell waits for a line.
    pub fn until_shell(&self) {
        let ready = || self.screen().trim_end().ends_with('$');
        super::process::until("the shell", || self.screen(), ready);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

/// What a terminal's parser has understood, as ratatui's cells.
fn buffer(screen: &vt100::Screen, width: u16, height: u16) -> Buffer {
    let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
    for y in 0..height {
        for x in 0..width {
            let Some(cell) = screen.cell(y, x) else { continue };
            let color = |color| match color {
                vt100::Color::Default => Color::Reset,
                vt100::Color::Idx(index) => Color::Indexed(index),
                vt100::Color::Rgb(r, g, b) => Color::Rgb(r, g, b),
            };
            let mut style = Style::new().fg(color(cell.fgcolor())).bg(color(cell.bgcolor()));
            for (on, modifier) in [
                (cell.bold(), Modifier::BOLD),
                (cell.dim(), Modifier::DIM),
                (cell.inverse(), Modifier::REVERSED),
                (cell.underline(), Modifier::UNDERLINED),
            ] {
                if on {
                    style = style.add_modifier(modifier);
                }
            }
            let symbol = if cell.contents().is_empty() { " " } else { cell.contents() };
            buffer[(x, y)].set_symbol(symbol).set_style(style);
        }
    }
    buffer
}
