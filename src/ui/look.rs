//! How the interface is to look and behave in this run: what the config says, and what the environment says of the
//! terminal where the config leaves it open.

use crate::api::Created;
use crate::config::Config;
use crate::ui::create::CreateBox;
use crate::ui::keymap::Keymap;
use crate::ui::model::{Dialog, Model};
use crate::ui::options::{Options, values};
use crate::ui::outward::Calls;
use crate::ui::style::{Colours, Theme, ThemeName};

/// How the interface is to look and behave.
#[derive(Clone, Debug)]
pub struct UiOptions {
    /// The look.
    pub theme: Theme,
    /// The keys.
    pub keymap: Keymap,
    /// The rest of what the config says.
    pub options: Options,
    /// What the config asks for and cannot have, a sentence each.
    pub faults: Vec<String>,
    /// The user's home folder, for `~/` in what is typed.
    pub home: Option<String>,
    /// A torrent that was made before, to be told of at the start.
    pub shared: Option<Created>,
}

impl UiOptions {
    /// What the config says, and where it says nothing, the environment: `NO_COLOR`, `TERM`, `COLORTERM`, `COLORFGBG`,
    /// the locale, `HOME`.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let var = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let interface = &config.interface;
        let term = var("TERM");
        let locale = var("LC_ALL").or_else(|| var("LC_CTYPE")).or_else(|| var("LANG"));
        let options = Options {
            notify: interface.notify,
            calls: Calls::of_env(var),
            title: interface.title,
            frames: interface.frames.max(1),
            mouse: interface.mouse,
            fitting: theme_of(var("NO_COLOR").is_some(), term.as_deref(), var("COLORFGBG").as_deref()),
            light_ground: is_light(var("COLORFGBG").as_deref()),
            colours: Colours::of_env(term.as_deref(), var("COLORTERM").as_deref()),
            old_locale: !cfg!(windows) && ascii_locale(locale),
            values: values(config),
            ..Options::default()
        };
        let (keymap, faults) = Keymap::new(&interface.keys);
        let theme = options.theme(interface.theme, interface.ascii);
        let home = var(if cfg!(windows) { "USERPROFILE" } else { "HOME" });
        UiOptions { theme, keymap, options, faults, home, shared: None }
    }

    /// A model that begins like this, on a terminal of so many columns and rows.
    #[must_use]
    pub fn model(self, size: (u16, u16)) -> Model {
        let mut model = Model::new(size, self.theme.name, self.theme.ascii);
        model.theme = self.theme;
        model.keymap = self.keymap;
        model.options = self.options;
        model.home = self.home;
        if let Some(made) = self.shared {
            model.dialogs.push(Dialog::Create(Box::new(CreateBox::made(made))));
        }
        if !self.faults.is_empty() {
            model.dialogs.push(Dialog::message("keys of the config", self.faults));
        }
        model
    }
}

fn theme_of(no_color: bool, term: Option<&str>, ground: Option<&str>) -> ThemeName {
    if no_color || matches!(term, Some("dumb" | "vt100" | "vt102" | "vt220" | "xterm-mono")) {
        return ThemeName::Plain;
    }
    if is_light(ground) { ThemeName::Light } else { ThemeName::Dark }
}

/// `COLORFGBG` is `foreground;background`, where 7 and 15 are the light grounds.
fn is_light(ground: Option<&str>) -> bool {
    matches!(ground.and_then(|ground| ground.rsplit(';').next()), Some("7" | "15"))
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
