//! Performs the actions of key bindings. Each group of actions has one handler, which knows all of its actions.

use crate::api::{Command, FileRow, PeerKey, PeerRow, Priority, Snapshot, State, TorrentCommand, TorrentView};
use crate::ui::app::model::App;
use crate::ui::app::navigation::Step;
use crate::ui::app::{dialog_actions, navigation, setup, torrent_actions};
use crate::ui::dialogs::add::AddDialog;
use crate::ui::dialogs::columns::ColumnsDialog;
use crate::ui::dialogs::confirm::ConfirmDialog;
use crate::ui::dialogs::create::CreateDialog;
use crate::ui::dialogs::help::Help;
use crate::ui::dialogs::messages::MessageLog;
use crate::ui::dialogs::palette::Palette;
use crate::ui::dialogs::prompt::PromptKind;
use crate::ui::dialogs::settings::SettingsDialog;
use crate::ui::effect::Effect;
use crate::ui::keys::action::{Action, AppAction, FileAction, PeerAction, TrackerAction, ViewAction};
use crate::ui::keys::context::Tab;
use crate::ui::panes::trackers;
use crate::ui::state::app::{AppState, Focus};
use crate::ui::state::detail::StateFilter;
use crate::ui::state::privacy::peer_label;
use crate::ui::text::labels;
use crate::ui::widgets::text_input::TextInput;

/// Performs the action of a key binding.
pub(crate) fn perform(app: &mut App, action: Action, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    match action {
        Action::App(action) => on_app(app, action, snapshot),
        Action::Nav(action) => navigation::navigate(&mut app.state, action, snapshot),
        Action::View(ViewAction::LogLine) => dialog_actions::show_log_line(app, snapshot),
        Action::View(ViewAction::Sort) => dialog_actions::open_sort_menu(app, snapshot),
        Action::View(action) => on_view(&mut app.state, action, snapshot, commands),
        Action::Torrent(action) => torrent_actions::perform(app, action, snapshot, commands),
        Action::Peer(action) => on_peer(app, action, snapshot, commands),
        Action::File(action) => on_file(app, action, snapshot, commands),
        Action::Tracker(action) => on_tracker(app, action, snapshot, commands),
        // Bound in dialogs and text fields only.
        Action::Dialog(_) | Action::Edit(_) => {}
    }
}

fn on_app(app: &mut App, action: AppAction, snapshot: &Snapshot) {
    match action {
        AppAction::Close => close(&mut app.state, snapshot),
        AppAction::Quit => quit(app, snapshot),
        AppAction::QuitNow => app.state.quit = true,
        AppAction::Add => app.dialogs.push(AddDialog::new()),
        AppAction::Create => app.dialogs.push(CreateDialog::default()),
        AppAction::Palette => app.dialogs.push(Palette::new(&app.state.keymap)),
        AppAction::Settings => app.dialogs.push(SettingsDialog::default()),
        AppAction::Columns => app.dialogs.push(ColumnsDialog::new(&app.state)),
        AppAction::Help => app.dialogs.push(Help::of(&app.state.key_contexts())),
        AppAction::Messages => app.dialogs.push(MessageLog::default()),
        AppAction::Suspend if cfg!(unix) => app.state.outbox.push(Effect::Suspend),
        AppAction::Suspend => app.state.notify("this system cannot suspend programs"),
    }
}

fn quit(app: &mut App, snapshot: &Snapshot) {
    let state = &mut app.state;
    if state.zoom || !state.filter.is_empty() || !state.find.is_empty() || state.shows_peer_detail() {
        close(state, snapshot);
        return;
    }
    // Nothing of the demo is worth a question.
    if state.guide.is_some() {
        state.quit = true;
        return;
    }
    // The size of a magnet link without metadata is unknown.
    let unfinished = |view: &TorrentView| match view.state {
        State::Paused | State::Error => false,
        State::Metadata => true,
        _ => view.done < view.wanted,
    };
    let unfinished = snapshot.torrents.iter().filter(|(_, view)| unfinished(view)).count();
    if unfinished == 0 {
        state.quit = true;
    } else {
        app.dialogs.push(ConfirmDialog::Quit { unfinished });
    }
}

/// Closes or clears one thing: an open peer, the zoom, a filter, the marks, the pane focus.
fn close(state: &mut AppState, snapshot: &Snapshot) {
    if state.shows_peer_detail() {
        state.panes.open = None;
    } else if state.zoom {
        state.zoom = false;
    } else if state.pane == Focus::Detail && !state.find.is_empty() {
        state.find = TextInput::default();
    } else if !state.filter.is_empty() {
        state.filter = TextInput::default();
    } else if state.panes.only != StateFilter::All {
        state.panes.only = StateFilter::All;
    } else if !state.panes.marks.is_empty() {
        state.panes.marks.clear();
    } else {
        state.pane = Focus::List;
    }
    state.refresh_rows(snapshot, false);
}

fn on_view(state: &mut AppState, action: ViewAction, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    match action {
        ViewAction::Pane => state.pane = if state.pane == Focus::List { Focus::Detail } else { Focus::List },
        ViewAction::EnterPane => state.pane = Focus::Detail,
        ViewAction::Tab(tab) => (state.tab, state.pane) = (tab, Focus::Detail),
        ViewAction::TabRight => state.tab = state.tab.step(1),
        ViewAction::TabLeft => state.tab = state.tab.step(Tab::ALL.len() - 1),
        ViewAction::Zoom => state.zoom = !state.zoom,
        ViewAction::Filter => navigation::begin_find(state, snapshot),
        ViewAction::NextMatch => navigation::next_match(state, Step::Down, snapshot),
        ViewAction::PreviousMatch => navigation::next_match(state, Step::Up, snapshot),
        ViewAction::StateFilter => {
            state.panes.only = state.panes.only.next();
            state.refresh_rows(snapshot, true);
        }
        ViewAction::Reverse => navigation::reverse_sort(state, snapshot),
        ViewAction::PieceLeft => navigation::step_piece(state, -1, snapshot),
        ViewAction::PieceRight => navigation::step_piece(state, 1, snapshot),
        ViewAction::LogScope => {
            state.panes.log_all = !state.panes.log_all;
            state.cursor[Tab::Log as usize] = 0;
            state.notify(if state.panes.log_all { "log of all torrents" } else { "log of this torrent" });
        }
        // They open dialogs.
        ViewAction::LogLine | ViewAction::Sort => {}
        ViewAction::GraphSpan => {
            state.panes.span = state.panes.span.next();
            state.notify(&format!("rates of the last {}", state.panes.span.word()));
        }
        ViewAction::GraphScope => {
            state.panes.graph_all = !state.panes.graph_all;
            let whose = if state.panes.graph_all { "all torrents" } else { "the selected torrent" };
            state.notify(&format!("rates of {whose}"));
        }
        ViewAction::HideNames => {
            state.panes.hidden.toggle(snapshot);
            state.notify(if state.panes.hidden.on() { "names are hidden" } else { "names are shown" });
        }
        ViewAction::Theme => setup::next_theme(state, commands),
        ViewAction::Redraw => state.redraw = true,
    }
}

fn on_peer(app: &mut App, action: PeerAction, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    let state = &mut app.state;
    let shown = state.panes.hidden.shown(snapshot);
    let row = state.detail(shown).and_then(|detail| detail.peers.iter().find(|row| Some(row.key) == state.peer));
    let chosen = state.selected.zip(row).map(|(id, row)| (id, PeerKey(row.key), peer_name(row)));
    match (action, chosen) {
        (PeerAction::Open, _) => state.toggle_peer_detail(snapshot),
        (PeerAction::Add, _) => dialog_actions::ask(app, PromptKind::Peers, snapshot),
        (PeerAction::Ban | PeerAction::Kick, None) => state.notify("select a peer with the arrow keys first"),
        (PeerAction::Ban, Some((id, key, peer))) => app.dialogs.push(ConfirmDialog::Ban { id, key, peer }),
        (PeerAction::Kick, Some((id, key, peer))) => {
            commands.push(Command::Torrent(id, TorrentCommand::Kick(key)));
            state.notify(&format!("disconnecting {peer}"));
        }
    }
}

/// Returns the address of a peer, with its client if that is known.
fn peer_name(row: &PeerRow) -> String {
    let label = peer_label(row.addr, row.host.as_deref());
    if row.client.is_empty() { label } else { format!("{label} ({})", row.client) }
}

fn on_file(app: &mut App, action: FileAction, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    let state = &mut app.state;
    let row = state.cursor[Tab::Files as usize];
    let (Some(id), Some(detail)) = (state.selected, state.detail(snapshot)) else { return };
    let files: Vec<&FileRow> =
        state.panes.tree.files_in(row).into_iter().filter_map(|at| detail.files.get(at)).collect();
    let all_wanted = files.iter().all(|file| file.priority != Priority::Skip);
    let next: fn(Priority) -> Priority = match action {
        FileAction::ToggleFolder => {
            state.cursor[Tab::Files as usize] = state.panes.tree.fold(row);
            return;
        }
        FileAction::Glob => return dialog_actions::ask(app, PromptKind::Glob, snapshot),
        FileAction::Toggle if all_wanted => |_| Priority::Skip,
        FileAction::Toggle => |now| if now == Priority::Skip { Priority::Normal } else { now },
        FileAction::ResetPriority => |_| Priority::Normal,
        FileAction::RaisePriority => |now| match now {
            Priority::Skip => Priority::Low,
            Priority::Low => Priority::Normal,
            Priority::Normal | Priority::High => Priority::High,
        },
        FileAction::LowerPriority => |now| match now {
            Priority::High => Priority::Normal,
            Priority::Normal => Priority::Low,
            Priority::Low | Priority::Skip => Priority::Skip,
        },
    };
    let changed: Vec<(usize, Priority)> = files
        .iter()
        .filter(|file| next(file.priority) != file.priority)
        .map(|file| (file.index, next(file.priority)))
        .collect();
    let text = match changed.as_slice() {
        [] if files.is_empty() => return,
        [] => "no change".to_owned(),
        [(_, priority)] if files.len() == 1 => {
            let name = files[0].path.rsplit('/').next().unwrap_or(&files[0].path);
            let name = if state.panes.hidden.on() { "the file" } else { name };
            format!("{name}: priority {}", labels::file_priority(Some(*priority)))
        }
        several => format!("{} files: priority changed", several.len()),
    };
    if !changed.is_empty() {
        commands.push(Command::Torrent(id, TorrentCommand::Priority(changed)));
    }
    state.notify(&text);
}

fn on_tracker(app: &mut App, action: TrackerAction, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    match action {
        TrackerAction::Announce => announce(&mut app.state, snapshot, commands),
        TrackerAction::Add => dialog_actions::ask(app, PromptKind::Tracker, snapshot),
        TrackerAction::Remove => dialog_actions::confirm_remove_tracker(app, snapshot),
    }
}

/// Announces to the selected tracker, or to all if another peer source is selected.
fn announce(state: &mut AppState, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    // The URL is shown as privacy mode allows.
    let shown = state.panes.hidden.shown(snapshot);
    let (Some(id), Some(detail)) = (state.selected, state.detail(shown)) else { return };
    let (tracker, text) = match detail.trackers.get(state.cursor[Tab::Trackers as usize]) {
        Some(row) => (Some(row.index), format!("announcing to {}", row.url)),
        None if trackers::len(detail) > 0 => (None, "announcing to all trackers".to_owned()),
        None => return,
    };
    commands.push(Command::Torrent(id, TorrentCommand::Announce(tracker)));
    state.notify(&text);
}
