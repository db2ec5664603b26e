//! The rows of the settings dialog.

use crate::config::settings::{GROUPS, Setting};

/// A row of the settings dialog.
pub(crate) enum Line {
    /// Heading of a group.
    Heading(&'static str),
    /// A setting.
    Of(&'static Setting),
}

/// Returns all rows.
pub(crate) fn lines() -> impl Iterator<Item = Line> {
    GROUPS
        .iter()
        .flat_map(|(title, settings)| std::iter::once(Line::Heading(title)).chain(settings.iter().map(Line::Of)))
}

/// Returns the setting of a row; `None` for a heading.
pub(crate) fn nth(at: usize) -> Option<&'static Setting> {
    match lines().nth(at) {
        Some(Line::Of(setting)) => Some(setting),
        _ => None,
    }
}

/// Returns the settings with their row, title and config key.
pub(crate) fn titles() -> impl Iterator<Item = (usize, &'static str, &'static str)> {
    lines().enumerate().filter_map(|(at, line)| match line {
        Line::Of(setting) => Some((at, setting.title, setting.key)),
        Line::Heading(_) => None,
    })
}
