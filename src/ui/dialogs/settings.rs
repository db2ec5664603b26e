//! The settings dialog: shows the config values, changes them at run time and saves them to the config file.

use ratatui::layout::Rect;

use crate::api::Snapshot;
use crate::config::Settings;
use crate::config::settings::Kind::{Choice, List, NegatedSwitch, Number, Path, Switch, Text};
use crate::config::settings::Setting;
use crate::ui::dialogs::dialog::{CLOSE, CONFIRM, Dialog, DialogContext, Outcome, Request, TEXT};
use crate::ui::dialogs::settings_table::{Line, lines, nth};
use crate::ui::keys::action::{Action, AppAction, DialogAction};
use crate::ui::keys::context::KeyContext;
use crate::ui::state::app::AppState;
use crate::ui::state::settings::{quoted, strings};
use crate::ui::text::format::wrap;
use crate::ui::text::validate::rate_limit;
use crate::ui::widgets::list::ListState;
use crate::ui::widgets::panel::{HitTarget, Panel, bold, room, text_width};
use crate::ui::widgets::path_input::expand;
use crate::ui::widgets::text_input::TextInput;

/// Number of lines below the list: description of the selected setting, path of the config file.
const FOOT: usize = 3;

/// The action that resets a setting to its default.
const RESET: Action = Action::Dialog(DialogAction::ResetValue);

/// The settings dialog.
#[derive(Debug)]
pub(crate) struct SettingsDialog {
    rows: ListState,
    /// The value being typed.
    edit: Option<TextInput>,
    error: Option<String>,
}

impl Default for SettingsDialog {
    fn default() -> Self {
        // Row 0 is a heading.
        let mut rows = ListState::default();
        rows.at = 1;
        SettingsDialog { rows, edit: None, error: None }
    }
}

impl SettingsDialog {
    /// Creates the dialog with this row selected.
    pub(crate) fn at(line: usize, size: (u16, u16)) -> Self {
        let mut settings = SettingsDialog::default();
        settings.rows.move_by(line as isize - 1, lines().count(), Self::height(size));
        settings
    }

    fn height(size: (u16, u16)) -> usize {
        usize::from(room(size.1, lines().count() + FOOT)).saturating_sub(FOOT).max(1)
    }

    /// Moves the selection, skipping headings.
    fn move_selection(&mut self, rows: isize, size: (u16, u16)) {
        let (count, height) = (lines().count(), Self::height(size));
        self.rows.move_by(rows, count, height);
        if nth(self.rows.at).is_none() {
            self.rows.move_by(if rows < 0 && self.rows.at > 0 { -1 } else { 1 }, count, height);
        }
    }

    /// Changes the selected setting: `forward` or back to the next of its values, or by typing one.
    fn change(&mut self, setting: &'static Setting, action: DialogAction, cx: &DialogContext<'_>) -> Outcome {
        let value = match setting.kind {
            Switch(_) | NegatedSwitch => (!stored(setting, cx.state)).to_string(),
            Choice(words) => {
                let step = if action == DialogAction::PreviousValue { words.len() - 1 } else { 1 };
                let now = unquote(cx.state.options.values.get(setting.key).map(String::as_str));
                let at = words.iter().position(|word| *word == now).unwrap_or(0);
                quoted(words[(at + step) % words.len()])
            }
            Number(_) | Text(_) | Path(_) | List(_) => {
                if action == DialogAction::Confirm {
                    let now = unquote(cx.state.options.values.get(setting.key).map(String::as_str));
                    self.edit = Some(TextInput::new(&now));
                }
                return Outcome::Stay;
            }
        };
        Outcome::Do(Request::Configure(setting.key, Some(value)))
    }

    /// Takes the typed value if it is valid for the config.
    fn take_typed(&mut self, setting: &'static Setting, cx: &DialogContext<'_>) -> Outcome {
        let text = self.edit.as_ref().map(|edit| edit.text().trim().to_owned()).unwrap_or_default();
        let value = match setting.kind {
            _ if text.is_empty() => None,
            Text(_) | Path(_) => Some(quoted(&expand(&text, cx.state.home.as_deref()))),
            List(_) => Some(to_toml_list(&text)),
            _ => Some(text.clone()),
        };
        if setting.key.ends_with("-limit")
            && let Err(why) = rate_limit(if text.is_empty() { "0" } else { &text })
        {
            self.error = Some(why);
            return Outcome::Stay;
        }
        if let Some(value) = &value
            && !valid(setting.key, value)
        {
            let wanted = setting.expected().replace(" in quotes", "");
            self.error = Some(format!("{text} is invalid: enter {}", wanted.replace('"', "")));
            return Outcome::Stay;
        }
        (self.edit, self.error) = (None, None);
        Outcome::Do(Request::Configure(setting.key, value))
    }

    fn foot(&self, panel: &mut Panel<'_, '_>, area: Rect, file: &str) {
        let theme = *panel.pen.theme;
        let Some(setting) = nth(self.rows.at) else { return };
        let (text, style) = match &self.error {
            Some(error) => (error.as_str(), theme.bad),
            None => (setting.help, theme.text),
        };
        let when = if setting.applies_immediately { "applies immediately" } else { "applies after restart" };
        let place = if file.is_empty() { String::new() } else { format!(" in {file}") };
        let mut lines = wrap(text, text_width(panel.screen.width));
        lines.truncate(2);
        let mut y = area.y + if lines.len() < 2 { 1 } else { 0 };
        for line in &lines {
            panel.line(area, y, line, style);
            y += 1;
        }
        panel.line(area, y, &format!("{}{place}; {when}", setting.key), theme.dim);
    }
}

impl Dialog for SettingsDialog {
    fn contexts(&self) -> &'static [KeyContext] {
        match self.edit {
            Some(_) => TEXT,
            None => &[KeyContext::Settings, KeyContext::Dialogs, KeyContext::Everywhere],
        }
    }

    fn action(&mut self, action: Action, cx: &DialogContext<'_>) -> Outcome {
        let Some(setting) = nth(self.rows.at) else {
            self.rows.at = 1;
            return Outcome::Stay;
        };
        if self.edit.is_some() {
            match action {
                CLOSE => (self.edit, self.error) = (None, None),
                CONFIRM => return self.take_typed(setting, cx),
                _ => return Outcome::Ignored,
            }
            return Outcome::Stay;
        }
        self.error = None;
        match action {
            CLOSE | Action::App(AppAction::Quit | AppAction::Settings) => return Outcome::Close,
            RESET => return Outcome::Do(Request::Configure(setting.key, None)),
            Action::Dialog(action) => return self.change(setting, action, cx),
            Action::Nav(action) => {
                let page = Self::height(cx.state.size).max(2) - 1;
                self.move_selection(action.rows(page), cx.state.size);
            }
            _ => return Outcome::Ignored,
        }
        Outcome::Stay
    }

    fn text_field(&mut self) -> Option<&mut TextInput> {
        self.edit.as_mut()
    }

    fn edited(&mut self) {
        self.error = None;
    }

    fn click_row(&mut self, row: usize, cx: &DialogContext<'_>) -> Outcome {
        if self.edit.is_some() {
            return Outcome::Stay;
        }
        let again = std::mem::replace(&mut self.rows.at, row) == row;
        if again { self.action(CONFIRM, cx) } else { Outcome::Stay }
    }

    fn scroll(&mut self, rows: isize, cx: &DialogContext<'_>) {
        if self.edit.is_none() {
            self.move_selection(rows.signum(), cx.state.size);
        }
    }

    fn draw(&self, panel: &mut Panel<'_, '_>, cx: &DialogContext<'_>) {
        let theme = *panel.pen.theme;
        let count = lines().count();
        let next = Action::Dialog(DialogAction::NextValue);
        let buttons: &[(Action, &str)] = match (&self.edit, nth(self.rows.at).map(|setting| setting.kind)) {
            (Some(_), _) => &[(CONFIRM, "save"), (CLOSE, "back")],
            (None, Some(Number(_) | Text(_) | Path(_) | List(_))) => {
                &[(CONFIRM, "change"), (RESET, "default"), (CLOSE, "close")]
            }
            (None, _) => &[(next, "change"), (RESET, "default"), (CLOSE, "close")],
        };
        let room = panel.open("settings", count + FOOT, buttons);
        let height = usize::from(room.height).saturating_sub(FOOT).max(1);
        let first = self.rows.first(count, height);
        let column = (room.width / 2).clamp(20, 26);
        for (at, line) in lines().enumerate().skip(first).take(height) {
            let y = room.y + (at - first) as u16;
            let setting = match line {
                Line::Heading(title) => {
                    panel.line(room, y, title, theme.strong);
                    continue;
                }
                Line::Of(setting) => setting,
            };
            let chosen = at == self.rows.at;
            if chosen {
                panel.choose(room, y);
            }
            panel.hit(Rect { y, height: 1, ..room }, HitTarget::Row(at));
            let style = if chosen { theme.text.patch(bold()) } else { theme.text };
            panel.pen.put(room.x + 2, y, column.saturating_sub(3), setting.title, style);
            let value = Rect { x: room.x + column, y, width: room.width.saturating_sub(column + 1), height: 1 };
            match &self.edit {
                Some(edit) if chosen => panel.field(value, ">", edit, "default", true),
                _ => {
                    let (text, said) = shown(setting, cx.state, cx.snapshot);
                    panel.pen.put(value.x, y, value.width, &text, if said { theme.accent } else { theme.dim });
                }
            }
        }
        let list = Rect { height: height as u16, width: room.width + 1, ..room };
        panel.pen.scrollbar(list, first, count);
        self.foot(
            panel,
            Rect { y: room.y + height as u16, height: FOOT as u16, ..room }.intersection(room),
            &cx.snapshot.config_file,
        );
    }
}

/// Returns the value of a switch, as stored in the config.
fn stored(setting: &Setting, state: &AppState) -> bool {
    match (state.options.values.get(setting.key).map(String::as_str), setting.kind) {
        (Some(value), _) => value == "true",
        (None, Switch(default)) => default,
        (None, _) => false,
    }
}

/// Returns the displayed value, and whether it is set explicitly rather than a default.
fn shown(setting: &Setting, state: &AppState, snapshot: &Snapshot) -> (String, bool) {
    let value = state.options.values.get(setting.key).map(String::as_str);
    let word = |on: bool| if on { "on".to_owned() } else { "off".to_owned() };
    match setting.kind {
        Switch(default) => (word(stored(setting, state)), stored(setting, state) != default),
        NegatedSwitch => (word(!stored(setting, state)), stored(setting, state)),
        _ => match value.map(|value| unquote(Some(value))) {
            Some(text) if text == "0" && (setting.key.ends_with("limit") || setting.key == "max-active") => {
                ("none".to_owned(), true)
            }
            Some(text) if !text.is_empty() => {
                let said = text != setting.default;
                (text, said)
            }
            _ => (default(setting, snapshot), false),
        },
    }
}

/// Returns the default value, some of which the engine reports.
fn default(setting: &Setting, snapshot: &Snapshot) -> String {
    match setting.key {
        "max-active" => snapshot.max_active.map_or_else(|| "no limit".to_owned(), |n| n.to_string()),
        "max-peers" if snapshot.connections.max > 0 => snapshot.connections.max.to_string(),
        "dir" if !snapshot.folder.is_empty() => snapshot.folder.clone(),
        _ => setting.default.to_owned(),
    }
}

/// Removes the TOML quoting of a value.
fn unquote(value: Option<&str>) -> String {
    let Some(value) = value else { return String::new() };
    match format!("x = {value}").parse::<toml::Table>().ok().and_then(|mut table| table.remove("x")) {
        Some(toml::Value::String(text)) => text,
        Some(toml::Value::Array(texts)) => texts.iter().filter_map(toml::Value::as_str).collect::<Vec<_>>().join(", "),
        _ => value.to_owned(),
    }
}

/// Formats a comma-separated text as a TOML array.
fn to_toml_list(text: &str) -> String {
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    strings(words)
}

/// Returns whether the config parser accepts the value.
fn valid(key: &str, value: &str) -> bool {
    !value.contains(['\n', '\r']) && toml::from_str::<Settings>(&format!("{key} = {value}\n")).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::GROUPS;

    #[test]
    fn every_setting_is_a_key_of_the_config() {
        for setting in GROUPS.iter().flat_map(|(_, settings)| *settings) {
            let good: &[&str] = match setting.kind {
                Switch(_) | NegatedSwitch => &["true", "false"],
                Choice(words) => words,
                Number(_) => &["7"],
                Text(_) | Path(_) | List(_) => &[],
            };
            for word in good {
                let value = if matches!(setting.kind, Choice(_)) { quoted(word) } else { (*word).to_owned() };
                assert!(valid(setting.key, &value), "{} = {value}", setting.key);
            }
        }
        assert!(valid("down-limit", "\"10MB/s\"") && valid("dir", "\"/a\"") && valid("bind", "\"192.0.2.1\""));
        for (key, value) in [("frames", "0"), ("frames", "1\nport = 2"), ("down-limit", "\"fast\""), ("port", "70000")]
        {
            assert!(!valid(key, value), "{key} = {value}");
        }
    }

    #[test]
    fn nodes_are_a_list_in_the_file_and_a_line_for_people() {
        let typed = " router.example.org:6881 ,[2001:db8::1]:7,, ";
        let value = to_toml_list(typed);
        assert_eq!(value, r#"["router.example.org:6881", "[2001:db8::1]:7"]"#);
        assert!(valid("dht-nodes", &value));
        assert_eq!(unquote(Some(&value)), "router.example.org:6881, [2001:db8::1]:7");
        for wrong in ["router.example.org", "a:0", "a:70000", ":1", "2001:db8::1:7", "[x]:1", "http://a:1", "a b:1"] {
            assert!(!valid("dht-nodes", &to_toml_list(wrong)), "{wrong}");
        }
    }
}
