//! What the keys of the panes do: each pane does its own, the rest is asked of the marked torrents or the chosen one.

use crate::api::{Command, PeerKey, Snapshot, Wish};
use crate::ui::keys::Act;
use crate::ui::model::Model;
use crate::ui::order::refresh;
use crate::ui::update::notice;
use crate::ui::{bulk, files, peer, targets, trackers, walk};

/// Does what a key asks of the panes; false if it asks nothing of them.
pub fn act(model: &mut Model, act: Act, snapshot: &Snapshot, commands: &mut Vec<Command>) -> bool {
    match act {
        Act::Up => walk::step(model, -1, snapshot),
        Act::Down => walk::step(model, 1, snapshot),
        Act::PageUp | Act::HalfUp | Act::PageDown | Act::HalfDown => walk::page(model, act, snapshot),
        Act::First => walk::step(model, i64::MIN / 2, snapshot),
        Act::Last => walk::step(model, i64::MAX / 2, snapshot),
        Act::NextFound => walk::found(model, true, snapshot),
        Act::PreviousFound => walk::found(model, false, snapshot),
        Act::Sort | Act::Reverse => walk::resort(model, act, snapshot),
        Act::PieceLeft => walk::step_piece(model, -1, snapshot),
        Act::PieceRight => walk::step_piece(model, 1, snapshot),
        Act::Mark => targets::mark(model, snapshot),
        Act::MarkAll => targets::mark_all(model, snapshot),
        Act::StateFilter => {
            model.panes.only = model.panes.only.next();
            refresh(model, snapshot, true);
        }
        Act::PauseAll => bulk::pause_all(model, snapshot, commands),
        Act::PeerOpen => peer::open(model, snapshot),
        Act::Ban | Act::Kick => of_peer(model, act, commands),
        Act::LogScope => {
            model.panes.log_all = !model.panes.log_all;
            model.cursor[crate::ui::keys::Tab::Log as usize] = 0;
        }
        Act::GraphSpan => {
            model.panes.span = model.panes.span.next();
            notice(model, &format!("rates of the last {}", model.panes.span.word()));
        }
        Act::GraphScope => {
            model.panes.graph_all = !model.panes.graph_all;
            let whose = if model.panes.graph_all { "all torrents" } else { "the chosen torrent" };
            notice(model, &format!("rates of {whose}"));
        }
        Act::HideNames => {
            let mut hidden = std::mem::take(&mut model.panes.hidden);
            hidden.toggle(snapshot);
            model.panes.hidden = hidden;
            let said = if model.panes.hidden.on() { "names are hidden" } else { "names are shown" };
            notice(model, said);
        }
        act => {
            return bulk::act(model, act, snapshot, commands)
                || files::act(model, act, snapshot, commands)
                || trackers::act(model, act, snapshot, commands);
        }
    }
    true
}

/// What is asked of the chosen peer.
fn of_peer(model: &mut Model, act: Act, commands: &mut Vec<Command>) {
    let (Some(id), Some(key)) = (model.selected, model.peer) else {
        notice(model, "choose a peer with the arrow keys first");
        return;
    };
    let (wish, said) = match act {
        Act::Ban => (Wish::Ban(PeerKey(key)), "banning the chosen peer"),
        _ => (Wish::Kick(PeerKey(key)), "disconnecting the chosen peer"),
    };
    commands.push(Command::Wish(id, wish));
    notice(model, said);
}

/// Takes back one thing that is in front in the panes; false if there is none.
pub fn close(model: &mut Model) -> bool {
    if peer::is_open(model) {
        model.panes.open = None;
    } else {
        return false;
    }
    true
}
