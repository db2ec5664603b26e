//! Config values of the UI: at the start, completed by detecting the terminal from the environment, and changed at run
//! time.

use crate::api::{Command, Created, Setting};
use crate::config::interface::{FRAMES, Theme as Wish};
use crate::config::{Config, Settings};
use crate::ui::app::model::App;
use crate::ui::dialogs::create::CreateDialog;
use crate::ui::dialogs::message::MessageDialog;
use crate::ui::effect::{Effect, NotifyProtocol};
use crate::ui::keys::keymap::Keymap;
use crate::ui::state::app::AppState;
use crate::ui::state::columns::{self, PEER_COLUMNS, PEER_KEY, TORRENT_COLUMNS, TORRENT_KEY};
use crate::ui::state::guide::Guide;
use crate::ui::state::settings::{UiSettings, VIEW_KEY, quoted, strings, values};
use crate::ui::state::views;
use crate::ui::theme::style::{ColorDepth, Theme, ThemeName};

/// Startup options of the UI.
#[derive(Clone, Debug)]
pub(crate) struct UiOptions {
    pub theme: Theme,
    pub keymap: Keymap,
    /// Other config values.
    pub options: UiSettings,
    /// Config values that cannot be used, one sentence each.
    pub faults: Vec<String>,
    /// How far local time is ahead of UTC, in seconds.
    pub utc_offset: i64,
    /// How the interface was left.
    pub view: Vec<String>,
    /// Home directory, for `~/` in path inputs.
    pub home: Option<String>,
    /// A torrent created before the start (`ttui share`), to be shown at once.
    pub shared: Option<Created>,
    /// The guide of the demo.
    pub guide: Option<Guide>,
}

impl UiOptions {
    /// Reads the config; values that are not set come from the environment: `NO_COLOR`, `TERM`, `COLORTERM`,
    /// `COLORFGBG`, the locale, `HOME`.
    pub(crate) fn new(config: &Config) -> Self {
        let var = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let interface = &config.interface;
        let term = var("TERM");
        let mut options = UiSettings {
            notify: interface.notify,
            notify_protocol: NotifyProtocol::of_env(var),
            title: interface.title,
            frames: interface.frames.max(1),
            mouse: interface.mouse,
            detected_theme: theme_of(var("NO_COLOR").is_some(), term.as_deref(), var("COLORFGBG").as_deref()),
            light_ground: is_light(var("COLORFGBG").as_deref()),
            colours: ColorDepth::of_env(term.as_deref(), var("COLORTERM").as_deref()),
            ascii_locale: ascii_environment(),
            values: values(config),
            ..UiSettings::default()
        };
        let (keymap, mut faults) = Keymap::new(&interface.keys);
        if let Some(names) = &interface.torrent_columns {
            let chosen = columns::parse(TORRENT_KEY, names, TORRENT_COLUMNS);
            chosen.map_or_else(|fault| faults.push(fault), |chosen| options.torrent_columns = chosen);
        }
        if let Some(names) = &interface.peer_columns {
            let chosen = columns::parse(PEER_KEY, names, PEER_COLUMNS);
            chosen.map_or_else(|fault| faults.push(fault), |chosen| options.peer_columns = chosen);
        }
        let theme = options.theme(interface.theme, interface.ascii);
        let home = var(if cfg!(windows) { "USERPROFILE" } else { "HOME" });
        let view = interface.view.clone().unwrap_or_default();
        UiOptions { theme, keymap, options, faults, utc_offset: 0, view, home, shared: None, guide: None }
    }

    /// Creates the initial model for a terminal of `size` (columns, rows).
    pub(crate) fn model(self, size: (u16, u16)) -> App {
        let mut app = App::new(size, self.theme.name, self.theme.ascii);
        app.state.theme = self.theme;
        app.state.keymap = self.keymap;
        app.state.options = self.options;
        app.state.home = self.home;
        app.state.guide = self.guide;
        let mut faults = self.faults;
        faults.extend(views::restore(&mut app.state, &self.view));
        if let Some(made) = self.shared {
            app.dialogs.push(CreateDialog::made(made));
        }
        if !faults.is_empty() {
            app.dialogs.push(MessageDialog::new("values in the config that cannot be used", faults));
        }
        app
    }
}

/// Switches to the next theme and saves the choice in the config file.
pub(crate) fn next_theme(state: &mut AppState, commands: &mut Vec<Command>) {
    let name = state.theme.name.next();
    // The theme detected for this terminal is not saved: another terminal may need a different one.
    let word = (name != state.options.detected_theme).then(|| quoted(name.setting().name()));
    store(state, "theme", word, commands);
    state.theme = state.options.fitted(name, state.theme.ascii);
    state.notify(&format!("theme: {}", name.word()));
}

/// Requests to save how the interface is left, if that has changed since it was started.
pub(crate) fn save_view(state: &mut AppState, commands: &mut Vec<Command>) {
    let words = views::words(state);
    let value = (!words.is_empty()).then(|| strings(words.iter().map(String::as_str)));
    if state.options.values.get(VIEW_KEY) != value.as_ref() {
        store(state, VIEW_KEY, value, commands);
    }
}

/// Sets a config value, in TOML syntax, and requests to save it.
fn store(state: &mut AppState, key: &'static str, value: Option<String>, commands: &mut Vec<Command>) {
    match &value {
        Some(value) => drop(state.options.values.insert(key, value.clone())),
        None => drop(state.options.values.remove(key)),
    }
    commands.push(Command::UpdateConfig(vec![Setting { key: key.to_owned(), value }]));
}

/// Sets a config value, in TOML syntax, and applies UI settings immediately.
pub(crate) fn configure(state: &mut AppState, key: &'static str, value: Option<String>, commands: &mut Vec<Command>) {
    store(state, key, value, commands);
    // Parsed by the config parser, so that values have one meaning only.
    let all: String = state.options.values.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
    let Ok(said) = toml::from_str::<Settings>(&all) else { return };
    let options = &mut state.options;
    match key {
        "theme" => state.theme = options.theme(said.theme.unwrap_or(Wish::Auto), said.ascii),
        "ascii" => state.theme = options.fitted(state.theme.name, said.ascii),
        "no-mouse" => {
            options.mouse = !said.no_mouse;
            state.outbox.push(Effect::Mouse(!said.no_mouse));
        }
        TORRENT_KEY => {
            options.torrent_columns = columns::parse_or_usual(said.torrent_columns.as_deref(), TORRENT_COLUMNS);
        }
        PEER_KEY => options.peer_columns = columns::parse_or_usual(said.peer_columns.as_deref(), PEER_COLUMNS),
        "frames" => options.frames = said.frames.unwrap_or(FRAMES),
        "notify" => options.notify = said.notify.unwrap_or_default(),
        "title" => {
            options.title = said.title.unwrap_or(true);
            if !options.title && !std::mem::take(&mut options.window_title).is_empty() {
                state.outbox.push(Effect::Title("ttui".into()));
            }
        }
        _ => {}
    }
}

fn theme_of(no_color: bool, term: Option<&str>, ground: Option<&str>) -> ThemeName {
    if no_color || matches!(term, Some("dumb" | "vt100" | "vt102" | "vt220" | "xterm-mono")) {
        return ThemeName::Plain;
    }
    if is_light(ground) { ThemeName::Light } else { ThemeName::Dark }
}

/// Parses `COLORFGBG` (`foreground;background`): backgrounds 7 and 15 are light.
fn is_light(ground: Option<&str>) -> bool {
    matches!(ground.and_then(|ground| ground.rsplit(';').next()), Some("7" | "15"))
}

/// Returns whether the locale of the environment allows only ASCII.
#[must_use]
pub(crate) fn ascii_environment() -> bool {
    let var = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    !cfg!(windows) && ascii_locale(var("LC_ALL").or_else(|| var("LC_CTYPE")).or_else(|| var("LANG")))
}

fn ascii_locale(locale: Option<String>) -> bool {
    locale.is_none_or(|locale| {
        let locale = locale.to_lowercase();
        !locale.contains("utf-8") && !locale.contains("utf8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_decides_the_look() {
        assert_eq!(theme_of(true, Some("xterm-256color"), None), ThemeName::Plain);
        assert_eq!(theme_of(false, Some("xterm-256color"), Some("0;15")), ThemeName::Light);
        assert_eq!(theme_of(false, None, Some("15;0")), ThemeName::Dark);
        assert!(ascii_locale(Some("C".into())) && ascii_locale(None));
        assert!(!ascii_locale(Some("de_DE.UTF-8".into())) && !ascii_locale(Some("C.utf8".into())));
    }
}
