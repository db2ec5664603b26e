//! The keys of the config file: what to write behind each, and where an error is.

use std::borrow::Cow;

use super::error::SyntaxError;
use super::settings::{self, KEY_TABLE};

const KEY: &str = "a key in quotes, or a list of them such as [\"p\", \"F5\"]";

/// Returns a description of the expected value of a key; `None` if the key does not exist.
#[must_use]
pub(crate) fn expected_value(key: &str) -> Option<Cow<'static, str>> {
    if key == KEY_TABLE || key.strip_prefix(KEY_TABLE).is_some_and(|rest| rest.starts_with('.')) {
        return Some(Cow::Borrowed(KEY));
    }
    settings::find(key).map(settings::Setting::expected)
}

/// Locates a `toml` error: line, key and expected value.
pub(super) fn locate(text: &str, error: &toml::de::Error) -> SyntaxError {
    let message = error.message().trim().to_owned();
    let Some(at) = error.span().map(|span| span.start.min(text.len())) else { return SyntaxError::Unlocated(message) };
    let before = &text.as_bytes()[..at];
    let number = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let line = text.lines().nth(number - 1).unwrap_or_default().trim();
    let key = line.split('=').next().unwrap_or_default().trim().trim_matches(['"', '\'']);
    let head = |line: &'_ str| Some(line.trim().strip_prefix('[')?.split_once(']')?.0.trim().to_owned());
    let table = text.lines().take(number).filter_map(head).last();
    let key = table.map_or_else(|| key.to_owned(), |table| format!("{table}.{key}"));
    if message.starts_with("unknown field") {
        return SyntaxError::UnknownKey { line: number, key };
    }
    let line_text = line.to_owned();
    match expected_value(&key) {
        Some(expected) => SyntaxError::Value { line: number, text: line_text, message, key, expected },
        None => SyntaxError::Malformed { line: number, text: line_text, message },
    }
}
