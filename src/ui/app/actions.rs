//! Key actions of the panes: each pane handles its own, the others apply to the marked torrents or the selected one.

use crate::api::{Command, PeerKey, Snapshot, TorrentCommand};
use crate::ui::app::update::notice;
use crate::ui::app::{navigation, torrent_actions};
use crate::ui::keys::bindings::Action;
use crate::ui::panes::{files, peer_detail, trackers};
use crate::ui::state::app::AppState;
use crate::ui::state::selection;
use crate::ui::state::sorting::refresh;

/// Performs an action of the panes; returns `false` if the action is not one of theirs.
pub fn act(model: &mut AppState, act: Action, snapshot: &Snapshot, commands: &mut Vec<Command>) -> bool {
    match act {
        Action::Up => navigation::step(model, -1, snapshot),
        Action::Down => navigation::step(model, 1, snapshot),
        Action::PageUp | Action::HalfUp | Action::PageDown | Action::HalfDown => navigation::page(model, act, snapshot),
        Action::First => navigation::step(model, i64::MIN / 2, snapshot),
        Action::Last => navigation::step(model, i64::MAX / 2, snapshot),
        Action::NextMatch => navigation::next_match(model, true, snapshot),
        Action::PreviousMatch => navigation::next_match(model, false, snapshot),
        Action::Sort | Action::Reverse => navigation::cycle_sort(model, act, snapshot),
        Action::PieceLeft => navigation::step_piece(model, -1, snapshot),
        Action::PieceRight => navigation::step_piece(model, 1, snapshot),
        Action::Mark => selection::mark(model, snapshot),
        Action::MarkAll => selection::mark_all(model, snapshot),
        Action::StateFilter => {
            model.panes.only = model.panes.only.next();
            refresh(model, snapshot, true);
        }
        Action::PauseAll => torrent_actions::pause_all(model, snapshot, commands),
        Action::PeerOpen => peer_detail::open(model, snapshot),
        Action::Ban | Action::Kick => of_peer(model, act, commands),
        Action::LogScope => {
            model.panes.log_all = !model.panes.log_all;
            model.cursor[crate::ui::keys::bindings::Tab::Log as usize] = 0;
        }
        Action::GraphSpan => {
            model.panes.span = model.panes.span.next();
            notice(model, &format!("rates of the last {}", model.panes.span.word()));
        }
        Action::GraphScope => {
            model.panes.graph_all = !model.panes.graph_all;
            let whose = if model.panes.graph_all { "all torrents" } else { "the selected torrent" };
            notice(model, &format!("rates of {whose}"));
        }
        Action::HideNames => {
            let mut hidden = std::mem::take(&mut model.panes.hidden);
            hidden.toggle(snapshot);
            model.panes.hidden = hidden;
            let said = if model.panes.hidden.on() { "names are hidden" } else { "names are shown" };
            notice(model, said);
        }
        act => {
            return torrent_actions::act(model, act, snapshot, commands)
                || files::act(model, act, snapshot, commands)
                || trackers::act(model, act, snapshot, commands);
        }
    }
    true
}

/// Performs an action on the selected peer.
fn of_peer(model: &mut AppState, act: Action, commands: &mut Vec<Command>) {
    let (Some(id), Some(key)) = (model.selected, model.peer) else {
        notice(model, "select a peer with the arrow keys first");
        return;
    };
    let (wish, said) = match act {
        Action::Ban => (TorrentCommand::Ban(PeerKey(key)), "banning the selected peer"),
        _ => (TorrentCommand::Kick(PeerKey(key)), "disconnecting the selected peer"),
    };
    commands.push(Command::Torrent(id, wish));
    notice(model, said);
}

/// Closes or clears one thing in the panes; returns `false` if there is nothing to close.
pub fn close(model: &mut AppState) -> bool {
    if peer_detail::is_open(model) {
        model.panes.open = None;
    } else {
        return false;
    }
    true
}
