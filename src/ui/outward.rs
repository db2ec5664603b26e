//! What the interface asks of the world beside the engine: the clipboard, a notification, the title of the window, what
//! is in a folder. Here is also what the terminal is told to make it so; `run.rs` writes it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::ui::text::clean_within;

/// The most bytes that go to the clipboard: some terminals drop what is longer.
pub const COPIED: usize = 64 * 1024;

/// The most characters of a title or a notification.
const WORDS: u16 = 200;

/// Something that is asked of the world.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outward {
    /// Put these lines into the clipboard.
    Copy(Vec<String>),
    /// Tell the user, who may look at something else.
    Notify {
        /// Who tells.
        title: String,
        /// What.
        body: String,
    },
    /// What the window is called from now on.
    Title(String),
    /// List this folder; answered by `Msg::Listing`.
    List(String),
    /// List this folder with all its files; answered by `Msg::Listing`.
    ListAll(String),
    /// Take the mouse, or leave it to the terminal.
    Mouse(bool),
}

/// How a terminal is told of something that its user may not be looking at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Calls {
    /// OSC 9, first of iTerm2: most that know anything.
    #[default]
    Nine,
    /// OSC 777, first of urxvt: VTE, foot.
    Seven,
}

impl Calls {
    /// What the terminal that the environment names understands. Some understand both, and would tell twice.
    #[must_use]
    pub fn of_env(var: impl Fn(&str) -> Option<String>) -> Self {
        let term = var("TERM").unwrap_or_default();
        let rxvt = term.starts_with("rxvt") || term.starts_with("foot");
        if rxvt || var("VTE_VERSION").is_some() { Calls::Seven } else { Calls::Nine }
    }
}

/// By which ways a notification goes out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ways {
    /// Ring the bell.
    pub bell: bool,
    /// Let the terminal show it.
    pub words: Option<Calls>,
}

impl Outward {
    /// The bytes that tell the terminal; none for what is no business of the terminal's.
    #[must_use]
    pub fn bytes(&self, ways: Ways) -> Vec<u8> {
        match self {
            Outward::Copy(lines) => {
                // What is pasted somewhere else later must not be obeyed there.
                let line = |line: &String| line.chars().filter(|c| !c.is_control()).collect::<String>();
                let text = lines.iter().map(line).collect::<Vec<_>>().join("\n");
                let mut end = text.len().min(COPIED);
                while !text.is_char_boundary(end) {
                    end -= 1;
                }
                format!("\x1b]52;c;{}\x07", STANDARD.encode(&text[..end])).into_bytes()
            }
            Outward::Notify { title, body } => {
                // The parts of OSC 777 are parted by semicolons.
                let (title, body) = (harmless(title).replace(';', ","), harmless(body).replace(';', ","));
                let mut out = match ways.words {
                    Some(Calls::Nine) => format!("\x1b]9;{title}: {body}\x07"),
                    Some(Calls::Seven) => format!("\x1b]777;notify;{title};{body}\x07"),
                    None => String::new(),
                };
                if ways.bell {
                    out.push('\x07');
                }
                out.into_bytes()
            }
            Outward::Title(text) => format!("\x1b]2;{}\x07", harmless(text)).into_bytes(),
            Outward::List(_) | Outward::ListAll(_) | Outward::Mouse(_) => Vec::new(),
        }
    }
}

/// The title of before is kept by the terminal, where it can.
pub const KEEP_TITLE: &str = "\x1b[22;2t";
/// The title of before comes back. Where the terminal cannot, there is none rather than ours, which is no longer true.
pub const BRING_TITLE: &str = "\x1b]2;\x07\x1b[23;2t";

fn harmless(text: &str) -> String {
    clean_within(text, false, WORDS).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOUD: Ways = Ways { bell: true, words: Some(Calls::Seven) };

    fn said(outward: &Outward, ways: Ways) -> String {
        String::from_utf8(outward.bytes(ways)).unwrap()
    }

    fn copy(lines: &[&str]) -> Outward {
        Outward::Copy(lines.iter().map(|line| (*line).to_owned()).collect())
    }

    fn notify(body: &str) -> Outward {
        Outward::Notify { title: "ttui".into(), body: body.into() }
    }

    #[test]
    fn the_terminal_is_told_what_was_meant() {
        assert_eq!(said(&copy(&["magnet:?xt=1"]), Ways::default()), "\x1b]52;c;bWFnbmV0Oj94dD0x\x07");
        assert_eq!(said(&copy(&["a", "b"]), LOUD), "\x1b]52;c;YQpi\x07", "one a line");
        assert_eq!(said(&notify("a is complete"), LOUD), "\x1b]777;notify;ttui;a is complete\x07\x07");
        let nine = Ways { bell: false, words: Some(Calls::Nine) };
        assert_eq!(said(&notify("a"), nine), "\x1b]9;ttui: a\x07");
        assert_eq!(said(&notify("a"), Ways::default()), "");
        assert_eq!(said(&Outward::List("/".into()), LOUD), "");
    }

    #[test]
    fn nothing_of_a_stranger_is_obeyed() {
        let attack = "x\x07\x1b]0;PWNED\x07\u{9b}2J\u{9c};y\u{202e}\r\n";
        for outward in [notify(attack), Outward::Title(attack.into())] {
            for ways in [LOUD, Ways { bell: false, words: Some(Calls::Nine) }] {
                let said = said(&outward, ways);
                let bell = usize::from(ways.bell && matches!(outward, Outward::Notify { .. }));
                let inner = &said[1..said.len() - 1 - bell];
                assert!(!inner.chars().any(char::is_control), "{said:?}");
                assert_eq!(said.matches('\x1b').count(), 1, "{said:?}");
            }
        }
        assert_eq!(said(&notify("a;b"), LOUD).matches(';').count(), 3);
        assert_eq!(said(&copy(&["a\x1b\nb"]), LOUD), said(&copy(&["ab"]), LOUD));
        assert!(said(&copy(&[&"\u{4e2d}".repeat(1 << 20)]), LOUD).len() < 2 * COPIED);
        assert!(said(&Outward::Title("x".repeat(1 << 20)), LOUD).len() < 300);
    }

    #[test]
    fn a_terminal_is_called_in_one_way() {
        let env = |pairs: &'static [(&str, &str)]| {
            Calls::of_env(move |name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
        };
        assert_eq!(env(&[("TERM", "xterm-256color")]), Calls::Nine);
        assert_eq!(env(&[("TERM", "xterm-256color"), ("VTE_VERSION", "7600")]), Calls::Seven);
        assert_eq!(env(&[("TERM", "foot")]), Calls::Seven);
    }
}
