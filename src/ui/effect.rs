//! Effects of the UI other than engine commands: clipboard (OSC 52), notifications (OSC 9, OSC 777), window title,
//! directory listings. Also encodes the terminal escape sequences; the event loop writes them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::ui::text::format::clean_within;

/// Maximum number of bytes copied to the clipboard: some terminals drop longer texts.
pub const MAX_CLIPBOARD_BYTES: usize = 64 * 1024;

/// Maximum columns of a title or a notification.
const MAX_TEXT_WIDTH: u16 = 200;

/// A side effect that the event loop executes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Copies these lines to the clipboard.
    Copy(Vec<String>),
    /// Shows a notification.
    Notify { title: String, body: String },
    /// Sets the window title.
    Title(String),
    /// Lists directories and `.torrent` files of a directory; answered by `Message::Listing`.
    List(String),
    /// Lists all files of a directory; answered by `Message::Listing`.
    ListAll(String),
    /// Enables or disables mouse capture.
    Mouse(bool),
    /// Stops the program until the shell continues it.
    Suspend,
}

/// The escape sequence with which a terminal shows a desktop notification.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum NotifyProtocol {
    /// OSC 9 (from iTerm2), which most terminals with notifications understand.
    #[default]
    Osc9,
    /// OSC 777 (from urxvt): VTE, foot.
    Osc777,
}

impl NotifyProtocol {
    /// Returns the protocol of the terminal in the environment. Only one is used: some terminals know both and would
    /// show the notification twice.
    #[must_use]
    pub fn of_env(var: impl Fn(&str) -> Option<String>) -> Self {
        let term = var("TERM").unwrap_or_default();
        let rxvt = term.starts_with("rxvt") || term.starts_with("foot");
        if rxvt || var("VTE_VERSION").is_some() { NotifyProtocol::Osc777 } else { NotifyProtocol::Osc9 }
    }
}

/// The channels a notification is sent through.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NotifyChannels {
    /// The terminal bell.
    pub bell: bool,
    /// A desktop notification by the terminal.
    pub words: Option<NotifyProtocol>,
}

impl Effect {
    /// Returns the escape sequence of the effect; empty for effects that the terminal does not execute.
    #[must_use]
    pub fn bytes(&self, ways: NotifyChannels) -> Vec<u8> {
        match self {
            Effect::Copy(lines) => {
                // Control characters must not be executed where the text is pasted later.
                let line = |line: &String| line.chars().filter(|c| !c.is_control()).collect::<String>();
                let text = lines.iter().map(line).collect::<Vec<_>>().join("\n");
                let mut end = text.len().min(MAX_CLIPBOARD_BYTES);
                while !text.is_char_boundary(end) {
                    end -= 1;
                }
                format!("\x1b]52;c;{}\x07", STANDARD.encode(&text[..end])).into_bytes()
            }
            Effect::Notify { title, body } => {
                // OSC 777 separates its fields by semicolons.
                let (title, body) = (sanitize_text(title).replace(';', ","), sanitize_text(body).replace(';', ","));
                let mut out = match ways.words {
                    Some(NotifyProtocol::Osc9) => format!("\x1b]9;{title}: {body}\x07"),
                    Some(NotifyProtocol::Osc777) => format!("\x1b]777;notify;{title};{body}\x07"),
                    None => String::new(),
                };
                if ways.bell {
                    out.push('\x07');
                }
                out.into_bytes()
            }
            Effect::Title(text) => format!("\x1b]2;{}\x07", sanitize_text(text)).into_bytes(),
            Effect::List(_) | Effect::ListAll(_) | Effect::Mouse(_) | Effect::Suspend => Vec::new(),
        }
    }
}

/// Saves the window title on the terminal's title stack, where supported.
pub const SAVE_TITLE: &str = "\x1b[22;2t";
/// Restores the saved window title. Clears the title first, for terminals without a title stack.
pub const RESTORE_TITLE: &str = "\x1b]2;\x07\x1b[23;2t";

fn sanitize_text(text: &str) -> String {
    clean_within(text, false, MAX_TEXT_WIDTH).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOUD: NotifyChannels = NotifyChannels { bell: true, words: Some(NotifyProtocol::Osc777) };

    fn said(outward: &Effect, ways: NotifyChannels) -> String {
        String::from_utf8(outward.bytes(ways)).unwrap()
    }

    fn copy(lines: &[&str]) -> Effect {
        Effect::Copy(lines.iter().map(|line| (*line).to_owned()).collect())
    }

    fn notify(body: &str) -> Effect {
        Effect::Notify { title: "ttui".into(), body: body.into() }
    }

    #[test]
    fn the_terminal_is_told_what_was_meant() {
        assert_eq!(said(&copy(&["magnet:?xt=1"]), NotifyChannels::default()), "\x1b]52;c;bWFnbmV0Oj94dD0x\x07");
        assert_eq!(said(&copy(&["a", "b"]), LOUD), "\x1b]52;c;YQpi\x07", "one a line");
        assert_eq!(said(&notify("a is complete"), LOUD), "\x1b]777;notify;ttui;a is complete\x07\x07");
        let nine = NotifyChannels { bell: false, words: Some(NotifyProtocol::Osc9) };
        assert_eq!(said(&notify("a"), nine), "\x1b]9;ttui: a\x07");
        assert_eq!(said(&notify("a"), NotifyChannels::default()), "");
        assert_eq!(said(&Effect::List("/".into()), LOUD), "");
    }

    #[test]
    fn nothing_of_a_stranger_is_obeyed() {
        let attack = "x\x07\x1b]0;PWNED\x07\u{9b}2J\u{9c};y\u{202e}\r\n";
        for outward in [notify(attack), Effect::Title(attack.into())] {
            for ways in [LOUD, NotifyChannels { bell: false, words: Some(NotifyProtocol::Osc9) }] {
                let said = said(&outward, ways);
                let bell = usize::from(ways.bell && matches!(outward, Effect::Notify { .. }));
                let inner = &said[1..said.len() - 1 - bell];
                assert!(!inner.chars().any(char::is_control), "{said:?}");
                assert_eq!(said.matches('\x1b').count(), 1, "{said:?}");
            }
        }
        assert_eq!(said(&notify("a;b"), LOUD).matches(';').count(), 3);
        assert_eq!(said(&copy(&["a\x1b\nb"]), LOUD), said(&copy(&["ab"]), LOUD));
        assert!(said(&copy(&[&"\u{4e2d}".repeat(1 << 20)]), LOUD).len() < 2 * MAX_CLIPBOARD_BYTES);
        assert!(said(&Effect::Title("x".repeat(1 << 20)), LOUD).len() < 300);
    }

    #[test]
    fn a_terminal_is_called_in_one_way() {
        let env = |pairs: &'static [(&str, &str)]| {
            NotifyProtocol::of_env(move |name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
        };
        assert_eq!(env(&[("TERM", "xterm-256color")]), NotifyProtocol::Osc9);
        assert_eq!(env(&[("TERM", "xterm-256color"), ("VTE_VERSION", "7600")]), NotifyProtocol::Osc777);
        assert_eq!(env(&[("TERM", "foot")]), NotifyProtocol::Osc777);
    }
}
