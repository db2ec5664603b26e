//! Translates crossterm events into UI messages.

use std::collections::BTreeSet;

use crossterm::event::{
    Event as TerminalEvent, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};

use crate::ui::keys::key::Key;
use crate::ui::state::app::Message;

/// Minimum length of a burst of character keys that is taken for a paste: not every terminal marks pastes.
const MIN_PASTE_KEYS: usize = 16;

/// Translates a terminal event; `None` if the UI ignores the event.
pub(crate) fn msg_of(event: TerminalEvent) -> Option<Message> {
    match event {
        TerminalEvent::Key(key) => key_of(key).map(Message::Key),
        TerminalEvent::Paste(text) => Some(Message::Paste(text)),
        TerminalEvent::Mouse(MouseEvent { kind, column, row, .. }) => match kind {
            MouseEventKind::Down(MouseButton::Left) => Some(Message::Click(column, row)),
            MouseEventKind::ScrollUp => Some(Message::Wheel(column, row, -1)),
            MouseEventKind::ScrollDown => Some(Message::Wheel(column, row, 1)),
            _ => None,
        },
        _ => None,
    }
}

/// Translates a key press. Releases, which some terminals report as well, are ignored.
fn key_of(key: KeyEvent) -> Option<Key> {
    if key.kind != KeyEventKind::Press {
        return None;
    }
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    // AltGr is reported as Ctrl+Alt on Windows: it types a character.
    let alt = key.modifiers.contains(KeyModifiers::ALT);
    Some(match key.code {
        // Some terminals send ^H for Backspace.
        KeyCode::Char('h' | 'H') if control && !alt => Key::Backspace,
        KeyCode::Char(c) if control && !alt => Key::Ctrl(c.to_ascii_lowercase()),
        KeyCode::Char(c) if !alt || control => Key::Char(c),
        KeyCode::F(n) => Key::F(n),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Esc,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => Key::BackTab,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Delete => Key::Delete,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        _ => return None,
    })
}

/// Turns bursts of character keys into a paste: no one types that fast, and as key commands they would do harm.
pub(crate) fn detect_pastes(msgs: Vec<Message>) -> Vec<Message> {
    let mut out = Vec::with_capacity(msgs.len());
    let mut run: Vec<char> = Vec::new();
    let flush = |run: &mut Vec<char>, out: &mut Vec<Message>| {
        let different = run.iter().collect::<BTreeSet<_>>().len();
        if run.len() >= MIN_PASTE_KEYS && different >= MIN_PASTE_KEYS / 4 {
            out.push(Message::Paste(run.iter().collect()));
        } else {
            let keys = run.iter().map(|c| if *c == '\n' { Key::Enter } else { Key::Char(*c) });
            out.extend(keys.map(Message::Key));
        }
        run.clear();
    };
    for msg in msgs {
        match msg {
            Message::Key(Key::Char(c)) => run.push(c),
            // Enter inside a burst separates lines of the paste; Enter after it may be a key press.
            Message::Key(Key::Enter) if run.len() >= MIN_PASTE_KEYS => run.push('\n'),
            msg => {
                flush(&mut run, &mut out);
                out.push(msg);
            }
        }
    }
    let enters = run.iter().rev().take_while(|c| **c == '\n').count();
    run.truncate(run.len() - enters);
    flush(&mut run, &mut out);
    out.extend((0..enters).map(|_| Message::Key(Key::Enter)));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Vec<Message> {
        text.chars().map(|c| Message::Key(if c == '\n' { Key::Enter } else { Key::Char(c) })).collect()
    }

    #[test]
    fn a_flood_of_keys_is_a_paste_and_typing_is_not() {
        let said = |text: &str| {
            let msgs = detect_pastes(typed(text));
            msgs.iter()
                .map(|msg| match msg {
                    Message::Paste(text) => format!("[{text}]"),
                    Message::Key(Key::Char(c)) => c.to_string(),
                    _ => "\n".into(),
                })
                .collect::<String>()
        };
        assert_eq!(said("jjjjjjjjjjjjjjjjjjjjjjjj"), "jjjjjjjjjjjjjjjjjjjjjjjj");
        assert_eq!(said("dq"), "dq");
        assert_eq!(said("/data/me/debian.torrent\n"), "[/data/me/debian.torrent]\n");
        assert_eq!(said("/data/me/debian.torrent\nqqqd\n"), "[/data/me/debian.torrent\nqqqd]\n");
    }

    #[test]
    fn only_presses_count() {
        let press = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE);
        assert_eq!(key_of(press), Some(Key::Char('q')));
        assert_eq!(key_of(KeyEvent { kind: KeyEventKind::Release, ..press }), None);
        assert_eq!(key_of(KeyEvent::new(KeyCode::Char('C'), KeyModifiers::CONTROL)), Some(Key::Ctrl('c')));
        assert_eq!(key_of(KeyEvent::new(KeyCode::Char('h'), KeyModifiers::CONTROL)), Some(Key::Backspace));
        assert_eq!(key_of(KeyEvent::new(KeyCode::Char('x'), KeyModifiers::ALT)), None);
        let alt_gr = KeyModifiers::ALT | KeyModifiers::CONTROL;
        assert_eq!(key_of(KeyEvent::new(KeyCode::Char('@'), alt_gr)), Some(Key::Char('@')));
    }
}
