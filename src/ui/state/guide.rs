//! The guide of the demo: a line that leads through some keys, one after the other.

use crate::ui::keys::action::{Action, AppAction, NavAction, TorrentAction, ViewAction};
use crate::ui::keys::context::Tab;
use crate::ui::keys::key::Key;
use crate::ui::keys::keymap::Keymap;

/// The key that runs the demo again at its end.
const AGAIN: Key = Key::Char('r');

/// What to press, and what it shows.
const STEPS: &[(Action, &str)] = &[
    (Action::View(ViewAction::Tab(Tab::Pieces)), "shows the pieces, as they arrive"),
    (Action::View(ViewAction::Tab(Tab::Peers)), "shows the peers: one chokes us now and then, one will lie"),
    (Action::Torrent(TorrentAction::Why), "shows what limits this torrent"),
    (Action::View(ViewAction::Tab(Tab::Log)), "shows what happened: who was banned, who left"),
    (Action::View(ViewAction::Pane), "goes back to the list of torrents"),
    (Action::Nav(NavAction::Last), "goes to the last torrent: it is stuck, see why"),
    (Action::App(AppAction::Help), "shows all keys"),
];

/// The state of the guide.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guide {
    /// The step that is shown.
    step: usize,
    /// The download is complete.
    is_over: bool,
}

impl Guide {
    /// Notes an action of the user: the next step is shown after the one that is asked for.
    pub(crate) fn on_action(&mut self, action: Action) {
        if STEPS.get(self.step).is_some_and(|(asked, _)| *asked == action) {
            self.step += 1;
        }
    }

    /// Notes that a torrent is complete.
    pub(crate) fn on_complete(&mut self) {
        self.is_over = true;
    }

    /// Returns whether this key runs the demo again.
    pub(crate) fn restarts(&self, key: Key) -> bool {
        self.is_over && key == AGAIN
    }

    /// Returns the line: a key and what it does.
    pub(crate) fn line(&self, keymap: &Keymap) -> String {
        if self.is_over {
            let quit = keymap.shown(Action::App(AppAction::Quit));
            return format!("the demo is complete: r runs it again, {quit} quits and deletes its data");
        }
        match STEPS.get(self.step) {
            Some((action, what)) => format!("demo: {} {what}", keymap.shown(*action)),
            None => "demo: look around until the download is complete".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_is_shown_until_its_key_is_pressed() {
        let (keymap, mut guide) = (Keymap::default(), Guide::default());
        assert_eq!(guide.line(&keymap), "demo: 2 shows the pieces, as they arrive");
        guide.on_action(Action::App(AppAction::Help));
        assert!(guide.line(&keymap).contains(": 2 "));
        for (action, what) in STEPS {
            assert!(guide.line(&keymap).ends_with(what));
            guide.on_action(*action);
        }
        assert!(guide.line(&keymap).ends_with("until the download is complete"));
        assert!(!guide.restarts(AGAIN));
        guide.on_complete();
        assert!(guide.restarts(AGAIN) && !guide.restarts(Key::Char('x')));
        assert_eq!(guide.line(&keymap), "the demo is complete: r runs it again, q quits and deletes its data");
    }
}
