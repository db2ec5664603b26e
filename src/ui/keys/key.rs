//! Key presses, and how they are written in the config and on the screen.

use std::fmt;

/// A key press, independent of the terminal's encoding.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Key {
    Char(char),
    /// A letter with Ctrl.
    Ctrl(char),
    /// A function key.
    F(u8),
    Enter,
    Esc,
    Tab,
    /// Shift+Tab.
    BackTab,
    Backspace,
    Delete,
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
    PageUp,
    PageDown,
}

impl fmt::Display for Key {
    /// Formats the key as displayed: `a`, `^d`, `PgUp`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Char(' ') => f.write_str("Space"),
            Key::Char(c) => write!(f, "{c}"),
            Key::Ctrl(c) => write!(f, "^{c}"),
            Key::F(n) => write!(f, "F{n}"),
            key => f.write_str(NAMES.iter().find(|(_, named)| named == key).map_or("?", |(name, _)| name)),
        }
    }
}

/// Named keys. The first name of a key is the displayed one; parsing ignores case.
const NAMES: &[(&str, Key)] = &[
    ("Enter", Key::Enter),
    ("Return", Key::Enter),
    ("Esc", Key::Esc),
    ("Escape", Key::Esc),
    ("Tab", Key::Tab),
    ("S-Tab", Key::BackTab),
    ("Shift-Tab", Key::BackTab),
    ("BkSp", Key::Backspace),
    ("Backspace", Key::Backspace),
    ("Del", Key::Delete),
    ("Delete", Key::Delete),
    ("left", Key::Left),
    ("right", Key::Right),
    ("up", Key::Up),
    ("down", Key::Down),
    ("Home", Key::Home),
    ("End", Key::End),
    ("PgUp", Key::PageUp),
    ("PageUp", Key::PageUp),
    ("PgDn", Key::PageDown),
    ("PageDown", Key::PageDown),
    ("Space", Key::Char(' ')),
];

/// Letters that cannot be bound with Ctrl: terminals send other keys for them or reserve them.
const RESERVED_CTRL: [char; 8] = ['s', 'q', 'h', 'i', 'j', 'm', 'c', '['];

/// Parses a key of the config: `p`, `^d`, `ctrl-d`, `F5`, `PgUp`, `space`.
///
/// # Errors
/// The text names no key, or a key that cannot be bound; one clause.
pub fn parse_key(text: &str) -> Result<Key, String> {
    let mut chars = text.chars();
    if let (Some(c), None) = (chars.next(), chars.next()) {
        return if c.is_control() { Err("a control character is not a key".to_owned()) } else { Ok(Key::Char(c)) };
    }
    if let Some((_, key)) = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
        return Ok(*key);
    }
    let small = text.to_lowercase();
    let after = |starts: &[&str]| starts.iter().find_map(|start| small.strip_prefix(start)).map(str::to_owned);
    if after(&["alt-", "alt+", "a-", "m-", "meta-"]).is_some() {
        return Err(format!("{text} needs Alt, which many terminals do not send"));
    }
    if let Some(rest) = after(&["^", "ctrl-", "ctrl+", "c-"]) {
        let mut rest = rest.chars();
        return match (rest.next(), rest.next()) {
            (Some(c), None) if RESERVED_CTRL.contains(&c) => Err(format!("^{c} is reserved by terminals or by ttui")),
            (Some(c), None) if c.is_ascii_lowercase() => Ok(Key::Ctrl(c)),
            _ => Err(format!("{text} is not a key: use Ctrl with a letter")),
        };
    }
    match small.strip_prefix('f').and_then(|n| n.parse().ok()) {
        Some(n @ 1..=12) => Ok(Key::F(n)),
        _ => Err(format!("{text:?} is not a key; use \"p\", \"^d\", \"F5\", \"PgUp\" or \"Space\"")),
    }
}
