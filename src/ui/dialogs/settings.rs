//! The settings dialog: shows the config values, changes them at run time and saves them to the config file.

use ratatui::layout::Rect;

use crate::api::{Command, Snapshot};
use crate::config::Settings;
use crate::config::interface::Theme as Wish;
use crate::config::settings::Kind::{Choice, List, NegatedSwitch, Number, Path, Switch, Text};
use crate::config::settings::Setting;
use crate::ui::app::dialog_stack::DialogContext;
use crate::ui::dialogs::settings_table::{Line, lines, nth};
use crate::ui::effect::Effect;
use crate::ui::keys::key::Key;
use crate::ui::state::app::AppState;
use crate::ui::state::settings::{quoted, strings};
use crate::ui::text::format::wrap;
use crate::ui::widgets::list::ListState;
use crate::ui::widgets::panel::{HitTarget, Panel, bold, room, text_width};
use crate::ui::widgets::text_input::TextInput;

/// Number of lines below the list: description of the selected setting, path of the config file.
const FOOT: usize = 3;

/// The settings dialog.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SettingsDialog {
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
    #[must_use]
    pub fn at(line: usize, size: (u16, u16)) -> Self {
        let mut settings = SettingsDialog::default();
        settings.rows.by(i32::try_from(line).unwrap_or(0) - 1, lines().count(), Self::height(size));
        settings
    }

    fn height(size: (u16, u16)) -> usize {
        usize::from(room(size.1, lines().count() + FOOT)).saturating_sub(FOOT).max(1)
    }

    /// Handles a key; returns `false` to close the dialog.
    pub fn key(&mut self, key: Key, turn: &mut DialogContext<'_>) -> bool {
        let Some(setting) = nth(self.rows.at) else {
            self.rows.at = 1;
            return true;
        };
        if let Some(edit) = &mut self.edit {
            match key {
                Key::Esc => (self.edit, self.error) = (None, None),
                Key::Enter => {
                    let text = edit.text().trim().to_owned();
                    self.typed(setting, &text, turn);
                }
                key => {
                    edit.key(key);
                    self.error = None;
                }
            }
            return true;
        }
        self.error = None;
        match (key, setting.kind) {
            (Key::Esc | Key::Char('q' | ','), _) => return false,
            (Key::Delete | Key::Backspace, _) => apply(setting, None, turn),
            (Key::Enter | Key::Char(' ') | Key::Right | Key::Left, Switch(_) | NegatedSwitch) => {
                let now = stored(setting, &turn.app.state);
                apply(setting, Some((!now).to_string()), turn);
            }
            (Key::Enter | Key::Char(' ') | Key::Right | Key::Left, Choice(words)) => {
                let step = if key == Key::Left { words.len() - 1 } else { 1 };
                let now = bare(turn.app.state.options.values.get(setting.key).map(String::as_str));
                let at = words.iter().position(|word| *word == now).unwrap_or(0);
                apply(setting, Some(quoted(words[(at + step) % words.len()])), turn);
            }
            (Key::Enter, Number(_) | Text(_) | Path(_) | List(_)) => {
                let now = bare(turn.app.state.options.values.get(setting.key).map(String::as_str));
                self.edit = Some(TextInput::new(&now));
            }
            (key, _) => self.walk(crate::ui::dialogs::file_select::vi_to_arrows(key), turn.app.state.size),
        }
        true
    }

    /// Moves the selection, skipping headings.
    fn walk(&mut self, key: Key, size: (u16, u16)) {
        let (count, height) = (lines().count(), Self::height(size));
        let back = matches!(key, Key::Up | Key::PageUp | Key::Home);
        self.rows.key(key, count, height);
        if nth(self.rows.at).is_none() {
            let on = if back && self.rows.at > 0 { Key::Up } else { Key::Down };
            self.rows.key(on, count, height);
        }
    }

    /// Applies the typed value if it is valid for the config.
    fn typed(&mut self, setting: &'static Setting, text: &str, turn: &mut DialogContext<'_>) {
        let value = match setting.kind {
            _ if text.is_empty() => None,
            Text(_) | Path(_) => {
                Some(quoted(&crate::ui::widgets::path_input::expand(text, turn.app.state.home.as_deref())))
            }
            List(_) => Some(listed(text)),
            _ => Some(text.to_owned()),
        };
        if let Some(value) = &value
            && !valid(setting.key, value)
        {
            let wanted = setting.expected().replace(" in quotes", "");
            self.error = Some(format!("{text} is invalid: enter {}", wanted.replace('"', "")));
            return;
        }
        (self.edit, self.error) = (None, None);
        apply(setting, value, turn);
    }

    /// Pastes text into the value being typed.
    pub fn paste(&mut self, text: &str) {
        if let Some(edit) = &mut self.edit {
            edit.insert(text);
        }
    }

    /// Moves the selection by the mouse wheel.
    pub fn wheel(&mut self, by: i32, size: (u16, u16)) {
        if self.edit.is_none() {
            self.walk(if by < 0 { Key::Up } else { Key::Down }, size);
        }
    }

    /// Selects the clicked row. Returns whether the row was already selected, which acts like Enter.
    pub fn click(&mut self, row: usize) -> bool {
        if self.edit.is_some() {
            return false;
        }
        std::mem::replace(&mut self.rows.at, row) == row
    }

    /// Draws the dialog.
    pub fn draw(&self, sheet: &mut Panel<'_, '_>, model: &AppState, snapshot: &Snapshot) {
        let theme = *sheet.pen.theme;
        let count = lines().count();
        let keys = match (&self.edit, nth(self.rows.at).map(|setting| setting.kind)) {
            (Some(_), _) => "Enter save   Esc back",
            (None, Some(Number(_) | Text(_) | Path(_) | List(_))) => "Enter change   Del default   Esc close",
            (None, _) => "Space change   Del default   Esc close",
        };
        let room = sheet.open("settings", count + FOOT, keys);
        let height = usize::from(room.height).saturating_sub(FOOT).max(1);
        let first = self.rows.first(count, height);
        let column = (room.width / 2).clamp(20, 26);
        for (at, line) in lines().enumerate().skip(first).take(height) {
            let y = room.y + (at - first) as u16;
            let setting = match line {
                Line::Heading(title) => {
                    sheet.line(room, y, title, theme.strong);
                    continue;
                }
                Line::Of(setting) => setting,
            };
            let chosen = at == self.rows.at;
            if chosen {
                sheet.choose(room, y);
            }
            sheet.hit(Rect { y, height: 1, ..room }, HitTarget::Row(at));
            let style = if chosen { theme.text.patch(bold()) } else { theme.text };
            sheet.pen.put(room.x + 2, y, column.saturating_sub(3), setting.title, style);
            let value = Rect { x: room.x + column, y, width: room.width.saturating_sub(column + 1), height: 1 };
            match &self.edit {
                Some(edit) if chosen => sheet.field(value, ">", edit, "default", true),
                _ => {
                    let (text, said) = shown(setting, model, snapshot);
                    sheet.pen.put(value.x, y, value.width, &text, if said { theme.accent } else { theme.dim });
                }
            }
        }
        let list = Rect { height: height as u16, width: room.width + 1, ..room };
        sheet.pen.scrollbar(list, first, count);
        self.foot(
            sheet,
            Rect { y: room.y + height as u16, height: FOOT as u16, ..room }.intersection(room),
            &snapshot.config_file,
        );
    }

    fn foot(&self, sheet: &mut Panel<'_, '_>, area: Rect, file: &str) {
        let theme = *sheet.pen.theme;
        let Some(setting) = nth(self.rows.at) else { return };
        let (text, style) = match &self.error {
            Some(error) => (error.as_str(), theme.bad),
            None => (setting.help, theme.text),
        };
        let when = if setting.applies_immediately { "applies immediately" } else { "applies after restart" };
        let place = if file.is_empty() { String::new() } else { format!(" in {file}") };
        let mut lines = wrap(text, text_width(sheet.screen.width));
        lines.truncate(2);
        let mut y = area.y + if lines.len() < 2 { 1 } else { 0 };
        for line in &lines {
            sheet.line(area, y, line, style);
            y += 1;
        }
        sheet.line(area, y, &format!("{}{place}; {when}", setting.key), theme.dim);
    }
}

/// Returns the value of a switch, as stored in the config.
fn stored(setting: &Setting, model: &AppState) -> bool {
    match (model.options.values.get(setting.key).map(String::as_str), setting.kind) {
        (Some(value), _) => value == "true",
        (None, Switch(default)) => default,
        (None, _) => false,
    }
}

/// Returns the displayed value, and whether it is set explicitly rather than a default.
fn shown(setting: &Setting, model: &AppState, snapshot: &Snapshot) -> (String, bool) {
    let value = model.options.values.get(setting.key).map(String::as_str);
    let word = |on: bool| if on { "on".to_owned() } else { "off".to_owned() };
    match setting.kind {
        Switch(default) => (word(stored(setting, model)), stored(setting, model) != default),
        NegatedSwitch => (word(!stored(setting, model)), stored(setting, model)),
        _ => match value.map(|value| bare(Some(value))) {
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
        "max-peers" if snapshot.connections.1 > 0 => snapshot.connections.1.to_string(),
        "dir" if !snapshot.folder.is_empty() => snapshot.folder.clone(),
        _ => setting.default.to_owned(),
    }
}

/// Removes the TOML quoting of a value.
fn bare(value: Option<&str>) -> String {
    let Some(value) = value else { return String::new() };
    match format!("x = {value}").parse::<toml::Table>().ok().and_then(|mut table| table.remove("x")) {
        Some(toml::Value::String(text)) => text,
        Some(toml::Value::Array(texts)) => texts.iter().filter_map(toml::Value::as_str).collect::<Vec<_>>().join(", "),
        _ => value.to_owned(),
    }
}

/// Formats a comma-separated text as a TOML array.
fn listed(text: &str) -> String {
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    strings(words)
}

/// Returns whether the config parser accepts the value.
fn valid(key: &str, value: &str) -> bool {
    !value.contains(['\n', '\r']) && toml::from_str::<Settings>(&format!("{key} = {value}\n")).is_ok()
}

/// Sets a config value and requests to save it.
pub fn set(model: &mut AppState, key: &'static str, value: Option<String>, commands: &mut Vec<Command>) {
    match &value {
        Some(value) => drop(model.options.values.insert(key, value.clone())),
        None => drop(model.options.values.remove(key)),
    }
    commands.push(Command::UpdateConfig(vec![(key.to_owned(), value)]));
}

/// Sets a config value, and applies UI settings immediately.
fn apply(setting: &'static Setting, value: Option<String>, turn: &mut DialogContext<'_>) {
    let model = &mut turn.app.state;
    set(model, setting.key, value, turn.commands);
    // Parsed by the config parser, so that values have one meaning only.
    let all: String = model.options.values.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
    let Ok(said) = toml::from_str::<Settings>(&all) else { return };
    match setting.key {
        "theme" => model.theme = model.options.theme(said.theme.unwrap_or(Wish::Auto), said.ascii),
        "ascii" => model.theme = model.options.fitted(model.theme.name, said.ascii),
        "no-mouse" => {
            model.options.mouse = !said.no_mouse;
            model.outbox.push(Effect::Mouse(!said.no_mouse));
        }
        "frames" => model.options.frames = said.frames.unwrap_or(crate::config::interface::FRAMES),
        "notify" => model.options.notify = said.notify.unwrap_or_default(),
        "title" => {
            model.options.title = said.title.unwrap_or(true);
            if !model.options.title && !std::mem::take(&mut model.options.titled).is_empty() {
                model.outbox.push(Effect::Title("ttui".into()));
            }
        }
        _ => {}
    }
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
        let value = listed(typed);
        assert_eq!(value, r#"["router.example.org:6881", "[2001:db8::1]:7"]"#);
        assert!(valid("dht-nodes", &value));
        assert_eq!(bare(Some(&value)), "router.example.org:6881, [2001:db8::1]:7");
        for wrong in ["router.example.org", "a:0", "a:70000", ":1", "2001:db8::1:7", "[x]:1", "http://a:1", "a b:1"] {
            assert!(!valid("dht-nodes", &listed(wrong)), "{wrong}");
        }
    }
}
