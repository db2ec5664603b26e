//! The screen as text: what is drawn at which size, and what keys do. `tests/hostile_text.rs` has what strangers cannot
//! do to it, `tests/pictures.rs` the pictures.

// A test that cannot draw has failed: saying so at once is all that is wanted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

// Each of the tests that draw needs a part of this.
#[allow(dead_code)]
mod support {
    pub mod screen;
    pub mod snapshots;
}

use std::time::Duration;

use ttui::api::{
    DhtState, Event, Listening, MappingFailure, MappingProtocol, PortMapping, PortStatus, Snapshot, TorrentId,
};
use ttui::ui::app::model::App;
use ttui::ui::app::update::update;
use ttui::ui::dialogs::add::AddDialog;
use ttui::ui::keys::action::{Action, AppAction, FileAction, TorrentAction, ViewAction};
use ttui::ui::keys::bindings::KEYS;
use ttui::ui::keys::context::{KeyContext, Tab};
use ttui::ui::keys::key::Key;
use ttui::ui::state::app::{Focus, Message};
use ttui::ui::theme::style::ThemeName;

use support::screen::{draw, keys, model, screen, text};
use support::snapshots::{Numbers, busy, crowd, download, empty, other, seed, world};

const SIZES: [(u16, u16); 4] = [(40, 12), (80, 24), (120, 36), (200, 50)];

#[test]
fn every_size_answers_what_how_far_who_and_why() {
    for (width, height) in SIZES {
        let worlds = [
            ("none", empty()),
            ("one", world(vec![download("debian-13.1.0-amd64-DVD-1.iso", 38)])),
            ("many", busy()),
            ("crowd", crowd()),
        ];
        for (name, snapshot) in worlds {
            insta::assert_snapshot!(format!("{name}_{width}x{height}"), screen(width, height, &snapshot));
        }
    }
}

#[test]
fn every_tab_and_dialog_at_80x24() {
    let snapshot = busy();
    let stories = [
        ("info", "1"),
        ("pieces", "2"),
        ("files", "4 Down Down"),
        ("trackers", "5"),
        ("log", "6"),
        ("why", "w"),
        ("help", "?"),
        ("add", "a ~ / d e b"),
        ("remove", "d Down"),
        ("quit", "q"),
        ("find", "/ b a"),
        ("zoomed", "Tab z"),
    ];
    for (name, pressed) in stories {
        let mut model = model(80, 24, ThemeName::Plain, &snapshot);
        keys(&mut model, &snapshot, pressed);
        insta::assert_snapshot!(format!("80x24_{name}"), text(&draw(&model, &snapshot)));
    }
}

/// The first line: what is left out where there is less room, and in how few words the rest is said.
#[test]
fn the_first_line_tells_of_the_dht_and_the_port() {
    let mut lines = String::new();
    let dht = |nodes, beginning| Some(DhtState { nodes, beginning, ..DhtState::default() });
    let on = |instead_of: Option<u16>, mapping, reached| {
        let port = if instead_of.is_some() { 6882 } else { 6881 };
        PortStatus { listening: Listening::On { port, instead_of }, mapping, reached }
    };
    let closed = || on(None, PortMapping::Failed(MappingFailure::NoGateway), false);
    let mapped = PortMapping::Mapped { protocol: MappingProtocol::Upnp, external: 7000 };
    let none = Listening::Failed { port: 6891, error: "permission denied".into() };
    for (nodes, port, free) in [
        (None, on(None, PortMapping::None, false), 41_200_000_000),
        (dht([0, 0], true), on(None, PortMapping::None, false), 41_200_000_000),
        (dht([250, 62], false), on(None, PortMapping::None, true), 41_200_000_000),
        (dht([250, 62], false), on(None, mapped, false), 41_200_000_000),
        (dht([250, 62], false), closed(), 41_200_000_000),
        (dht([250, 62], false), closed(), 412_000_000),
        (dht([0, 0], false), closed(), 41_200_000_000),
        (dht([0, 0], false), on(Some(6881), PortMapping::None, false), 41_200_000_000),
        (None, PortStatus { listening: none, ..PortStatus::default() }, 41_200_000_000),
        (None, PortStatus::default(), 41_200_000_000),
    ] {
        for (width, height) in SIZES {
            let mut snapshot = world(vec![download("debian-13.1.0-amd64-DVD-1.iso", 38)]);
            (snapshot.dht, snapshot.port, snapshot.free) = (nodes, port.clone(), Some(free));
            let shown = screen(width, height, &snapshot);
            lines += &format!("{width:3}|{}\n", shown.lines().next().unwrap_or_default());
        }
    }
    insta::assert_snapshot!("first_lines", lines);
}

/// Before, keys, after: what the engine is asked to do.
#[test]
fn keys_ask_the_engine_for_what_they_say() {
    let table: &[(&str, &[&str])] = &[
        ("p", &["Pause(TorrentId(1))"]),
        ("Down Down Down Down p", &["Focus", "Focus", "Focus", "Focus", "Resume(TorrentId(5))"]),
        ("v", &["Torrent(TorrentId(1), Verify)"]),
        ("t", &["Torrent(TorrentId(1), Announce(None))"]),
        ("e", &["Torrent(TorrentId(1), Sequential(true))"]),
        ("d Enter", &["Remove { id: TorrentId(1), data: false }"]),
        ("d Down Enter", &["Remove { id: TorrentId(1), data: true }"]),
        ("d Down Up Enter", &["Remove { id: TorrentId(1), data: false }"]),
        ("d Space Esc", &[]),
        ("d q", &[]),
        ("a 'x.torrent Enter", &["Inspect(AddTorrent { what: \"x.torrent\""]),
        ("a ~ / x Enter", &["Inspect(AddTorrent { what: \"/data/me/x\""]),
        ("a x Enter Enter", &["Inspect(AddTorrent { what: \"x\"", "Add(AddTorrent { what: \"x\""]),
        ("a x Esc", &[]),
        ("a Enter", &[]),
        ("a q d p Enter", &["Inspect(AddTorrent { what: \"qdp\""]),
        ("Tab Down B Enter", &["Torrent(TorrentId(1), Ban(PeerKey("]),
        ("Tab Down X", &["Torrent(TorrentId(1), Kick(PeerKey("]),
        ("Tab B", &[]),
        ("B", &[]),
        ("4 Space", &["Torrent(TorrentId(1), Priority([(4, Normal)]))"]),
        ("4 Down -", &["Torrent(TorrentId(1), Priority([(1, Normal), (2, Low)]))"]),
        ("4 G +", &["Torrent(TorrentId(1), Priority([(4, Low)]))"]),
        ("G", &["Focus(Some(TorrentId(7)))"]),
        ("/ b a c k Enter", &["Focus(Some(TorrentId(3)))"]),
        ("/ n o t h e r e", &["Focus(None)"]),
        ("? q w Esc", &[]),
    ];
    let snapshot = busy();
    for (pressed, expected) in table {
        let mut model = model(80, 24, ThemeName::Dark, &snapshot);
        let commands: Vec<String> = keys(&mut model, &snapshot, pressed).iter().map(|c| format!("{c:?}")).collect();
        assert_eq!(commands.len(), expected.len(), "{pressed}: {commands:?}");
        for (command, start) in commands.iter().zip(*expected) {
            assert!(command.starts_with(start), "{pressed}: {commands:?}");
        }
        assert!(!model.state.quit, "{pressed}");
    }
}

/// Each key of the panes, also those that are another one's double, does something where it holds: something is asked
/// of the engine or of the world, or something else is seen.
#[test]
fn no_key_is_without_effect() {
    let snapshot = busy();
    for binding in KEYS.iter().filter(|binding| !binding.place.is_dialog()) {
        let mut before = match binding.place {
            KeyContext::Torrents | KeyContext::Everywhere => "Down Down".to_owned(),
            place => {
                let tab = Tab::ALL.iter().position(|tab| KeyContext::of(*tab) == Some(place)).unwrap() + 1;
                format!("{tab} Tab Down")
            }
        };
        before += match binding.act {
            Action::View(ViewAction::NextMatch | ViewAction::PreviousMatch) => " / i s o Enter",
            Action::Torrent(TorrentAction::SuperSeed) => " Up",
            Action::File(FileAction::ToggleFolder | FileAction::ResetPriority) => " Up",
            Action::View(ViewAction::PieceLeft) => " Right Right",
            Action::App(AppAction::Close) => " z",
            Action::View(ViewAction::Tab(Tab::Peers)) => " 1",
            _ => "",
        };
        for key in binding.all_keys() {
            let mut model = model(80, 24, ThemeName::Dark, &snapshot);
            keys(&mut model, &snapshot, &before);
            model.state.outbox.clear();
            let seen = |model: &App| draw(model, &snapshot);
            let (was, shape) =
                (seen(&model), (model.state.panes.piece, model.state.panes.span, model.state.panes.graph_all));
            let asked = update(&mut model, Message::Key(key), &snapshot);
            let other = was != seen(&model)
                || shape != (model.state.panes.piece, model.state.panes.span, model.state.panes.graph_all);
            let told = !asked.is_empty() || !model.state.outbox.is_empty() || model.state.quit || model.state.redraw;
            assert!(other || told, "{key:?} for {:?} in {:?}", binding.act, binding.place);
        }
    }
}

#[test]
fn quitting_asks_only_while_something_is_unfinished() {
    let idle = world(vec![seed("done"), other("resting", ttui::api::State::Paused, 40)]);
    let stories = [
        (busy(), "q", false),
        (busy(), "q Esc", false),
        (busy(), "q n", false),
        (busy(), "q Enter", true),
        (busy(), "q q", true),
        (busy(), "^c", true),
        (busy(), "a ^c", true),
        (world(vec![other("magnet", ttui::api::State::Metadata, 100)]), "q", false),
        (idle.clone(), "q", true),
        (idle.clone(), "z q", false),
        (idle.clone(), "/ d o Enter q", false),
        (idle.clone(), "/ q", false),
        (idle, "? q", false),
        (empty(), "q", true),
    ];
    for (snapshot, pressed, quits) in stories {
        let mut model = model(80, 24, ThemeName::Dark, &snapshot);
        keys(&mut model, &snapshot, pressed);
        assert_eq!(model.state.quit, quits, "{pressed} with {} torrents", snapshot.torrents.len());
    }
}

#[test]
fn esc_takes_back_one_thing_at_a_time_and_never_quits() {
    let snapshot = busy();
    let mut model = model(80, 24, ThemeName::Dark, &snapshot);
    keys(&mut model, &snapshot, "/ d e Enter Tab z ?");
    let state = |m: &App| (m.dialogs.len(), m.state.zoom, m.state.filter.is_empty(), m.state.pane);
    assert_eq!(state(&model), (1, true, false, Focus::Detail));
    let mut seen = Vec::new();
    for _ in 0..5 {
        keys(&mut model, &snapshot, "Esc");
        seen.push(state(&model));
    }
    let list = (0, false, true, Focus::List);
    assert_eq!(seen[..2], [(0, true, false, Focus::Detail), (0, false, false, Focus::Detail)]);
    assert_eq!(seen[2..], [(0, false, true, Focus::Detail), list, list]);
    assert!(!model.state.quit);
}

#[test]
fn a_paste_is_never_taken_as_keys() {
    let snapshot = busy();
    let mut model = model(80, 24, ThemeName::Dark, &snapshot);
    let commands = update(&mut model, Message::Paste("q\r\nd\x1b[A\n\n  ~/three.torrent  \n".into()), &snapshot);
    assert!(commands.is_empty() && !model.state.quit);
    let asked = keys(&mut model, &snapshot, "Enter");
    let asked: Vec<String> = asked.iter().map(|command| format!("{command:?}")).collect();
    assert_eq!(asked.len(), 3, "{asked:?}");
    for (command, what) in asked.iter().zip(["\"q\"", "\"d[A\"", "\"/data/me/three.torrent\""]) {
        assert!(command.contains(what), "{asked:?}");
    }
    update(&mut model, Message::Paste("x".repeat(1 << 20)), &snapshot);
    let Some(add) = model.dialogs.top::<AddDialog>() else { panic!("no box") };
    assert_eq!(add.what.text().len(), 64 * 1024);
    let many = "line\n".repeat(20_000);
    update(&mut model, Message::Paste(many), &snapshot);
    assert!(keys(&mut model, &snapshot, "Enter").len() <= 1001);
}

#[test]
fn what_is_dropped_on_the_terminal_is_a_path() {
    let dropped = [
        ("'/data/a b.torrent' ", "/data/a b.torrent"),
        ("\"/data/a.torrent\"", "/data/a.torrent"),
        ("file:///data/a.torrent", "/data/a.torrent"),
        ("magnet:?xt=urn:btih:00", "magnet:?xt=urn:btih:00"),
    ];
    for (line, what) in dropped {
        assert_eq!(ttui::ui::dialogs::add::parse_torrent_arg(line, None).unwrap().what, what);
    }
    assert!(ttui::ui::dialogs::add::parse_torrent_arg("  ", None).is_none());
}

#[test]
fn the_choice_stays_with_the_torrent_and_moves_on_when_it_goes() {
    let mut snapshot = busy();
    let mut model = model(80, 24, ThemeName::Dark, &snapshot);
    keys(&mut model, &snapshot, "Down Down");
    assert_eq!(model.state.selected, Some(TorrentId(3)));
    snapshot.torrents.remove(0);
    assert!(update(&mut model, Message::Snapshot, &snapshot).is_empty(), "the same is chosen: nothing to ask");
    assert_eq!(model.state.selected, Some(TorrentId(3)));
    snapshot.torrents.remove(1);
    update(&mut model, Message::Snapshot, &snapshot);
    assert_eq!(model.state.selected, Some(TorrentId(4)), "the one that follows");
    snapshot.torrents.clear();
    update(&mut model, Message::Snapshot, &snapshot);
    assert_eq!(model.state.selected, None);
}

#[test]
fn a_question_about_what_has_gone_answers_itself() {
    let mut snapshot = busy();
    let mut model = model(80, 24, ThemeName::Dark, &snapshot);
    keys(&mut model, &snapshot, "d Down");
    snapshot.torrents.remove(0);
    update(&mut model, Message::Snapshot, &snapshot);
    assert!(model.dialogs.is_empty(), "Enter must not hit another torrent");
    keys(&mut model, &snapshot, "w");
    snapshot.torrents.clear();
    update(&mut model, Message::Snapshot, &snapshot);
    assert!(model.dialogs.is_empty());
}

#[test]
fn what_was_just_added_is_chosen() {
    let mut model = model(80, 24, ThemeName::Dark, &empty());
    keys(&mut model, &empty(), "a x Enter Enter");
    let snapshot = busy();
    update(&mut model, Message::Event(Event::Added { id: TorrentId(6), what: String::new() }), &empty());
    update(&mut model, Message::Snapshot, &snapshot);
    assert_eq!(model.state.selected, Some(TorrentId(6)));
    // One that the engine knew from an earlier run is not.
    update(&mut model, Message::Event(Event::Added { id: TorrentId(2), what: String::new() }), &snapshot);
    update(&mut model, Message::Snapshot, &snapshot);
    assert_eq!(model.state.selected, Some(TorrentId(6)));
}

#[test]
fn a_refusal_is_read_before_it_goes() {
    let snapshot = busy();
    let mut model = model(80, 24, ThemeName::Plain, &snapshot);
    keys(&mut model, &snapshot, "a");
    let why = "no such file; check the path".to_owned();
    update(&mut model, Message::Event(Event::AddFailed { what: "~/x.torrent".into(), why }), &snapshot);
    keys(&mut model, &snapshot, "q");
    assert!(model.dialogs.top::<AddDialog>().is_some_and(|add| add.what.text() == "q"), "typing goes on");
    keys(&mut model, &snapshot, "Esc");
    assert!(text(&draw(&model, &snapshot)).contains("~/x.torrent: no such file; check the path"));
    keys(&mut model, &snapshot, "Enter");
    assert!(model.dialogs.is_empty());
}

#[test]
fn what_a_torrent_says_is_said_with_its_name() {
    let snapshot = busy();
    let mut model = model(80, 24, ThemeName::Plain, &snapshot);
    let table = [
        (Some(TorrentId(2)), "its disk is full", "holiday-photos: its disk is full"),
        (Some(TorrentId(2)), "holiday-photos cannot be moved", "holiday-photos cannot be moved"),
        (Some(TorrentId(99)), "it has gone", "it has gone"),
        (None, "settings are written", "settings are written"),
    ];
    for (id, says, shown) in table {
        update(&mut model, Message::Event(Event::Notice { id, text: says.into() }), &snapshot);
        assert_eq!(text(&draw(&model, &snapshot)).lines().last().unwrap().trim(), shown);
    }
    keys(&mut model, &snapshot, "~");
    update(
        &mut model,
        Message::Event(Event::Notice { id: Some(TorrentId(2)), text: "its disk is full".into() }),
        &snapshot,
    );
    assert!(text(&draw(&model, &snapshot)).contains("torrent 2: its disk is full"));
}

#[test]
fn nothing_is_drawn_when_nothing_changed() {
    let snapshot = empty();
    let mut model = model(80, 24, ThemeName::Dark, &snapshot);
    model.state.dirty = false;
    for second in 1..20 {
        update(&mut model, Message::Tick(Duration::from_secs(second)), &snapshot);
        assert!(!model.state.dirty, "second {second}");
    }
    update(&mut model, Message::Event(Event::Notice { id: None, text: "hello".into() }), &snapshot);
    model.state.dirty = false;
    update(&mut model, Message::Tick(Duration::from_secs(21)), &snapshot);
    assert!(!model.state.dirty);
    update(&mut model, Message::Tick(Duration::from_secs(40)), &snapshot);
    assert!(model.state.dirty && !model.state.notice, "the notice goes");
}

#[test]
fn the_mouse_chooses_what_it_points_at() {
    let snapshot = busy();
    let mut model = model(80, 24, ThemeName::Plain, &snapshot);
    let shown = text(&draw(&model, &snapshot));
    let row = |word: &str| shown.lines().position(|line| line.contains(word)).unwrap() as u16;
    update(&mut model, Message::Click(10, row("backup-2026")), &snapshot);
    assert_eq!(model.state.selected, Some(TorrentId(3)));
    let tabs = shown.lines().nth(usize::from(row("4 Files"))).unwrap();
    let column = tabs.split("Files").next().unwrap().chars().count() as u16;
    update(&mut model, Message::Click(column, row("4 Files")), &snapshot);
    assert_eq!((model.state.tab, model.state.pane), (Tab::Files, Focus::Detail));
    update(&mut model, Message::Wheel(10, 4, -1), &snapshot);
    assert_eq!(model.state.selected, Some(TorrentId(2)));
    assert_eq!(model.state.pane, Focus::Detail, "the wheel does not take the keys");
    update(&mut model, Message::Click(5, 1), &snapshot);
    assert_eq!(model.state.sort, ttui::ui::state::columns::TorrentColumn::Name);
}

/// No size, key, tab or dialog makes it panic or leaves the screen blank.
#[test]
fn a_thousand_resizes_and_keys() {
    let worlds = [empty(), busy(), crowd()];
    let mut numbers = Numbers::new(1);
    for snapshot in &worlds {
        let mut model = model(80, 24, ThemeName::Dark, snapshot);
        for _ in 0..700 {
            let (width, height) = (numbers.below(220) as u16 + 1, numbers.below(60) as u16 + 1);
            update(&mut model, Message::Resize(width, height), snapshot);
            let binding = &KEYS[numbers.below(KEYS.len() as u64) as usize];
            let key = binding.keys[numbers.below(binding.keys.len() as u64) as usize];
            if key != Key::Ctrl('c') {
                update(&mut model, Message::Key(key), snapshot);
            }
            update(&mut model, Message::Click(numbers.below(220) as u16, numbers.below(60) as u16), snapshot);
            model.state.quit = false;
            let shown = text(&draw(&model, snapshot));
            assert!(shown.chars().any(|c| !c.is_whitespace()), "blank at {width}x{height}");
        }
    }
}

#[test]
fn ascii_is_ascii() {
    let snapshot = busy();
    for (width, height) in SIZES {
        for pressed in ["1", "2", "3", "4", "5", "6", "?", "d", "a"] {
            let mut model = model(width, height, ThemeName::Plain, &snapshot);
            model.state.theme = ttui::ui::theme::style::Theme::new(ThemeName::Plain, true);
            keys(&mut model, &snapshot, pressed);
            let shown = text(&draw(&model, &snapshot));
            assert!(shown.is_ascii(), "{pressed} at {width}x{height}:\n{shown}");
        }
    }
}

/// Numbers change, places do not: every column is where it was.
#[test]
fn nothing_jumps() {
    let skeleton = |snapshot: &Snapshot| {
        let shown = screen(120, 36, snapshot);
        let lines: Vec<String> = shown.lines().map(str::to_owned).collect();
        let rule = |line: &String| line.starts_with("──");
        let titles = lines.iter().filter(|line| line.contains("Name  ") || line.contains("Address")).cloned();
        let rules: Vec<usize> = (0..lines.len()).filter(|at| rule(&lines[*at])).collect();
        (titles.map(|line| line.split('│').next().unwrap().to_owned()).collect::<Vec<_>>(), rules)
    };
    let calm = busy();
    let mut wild = busy();
    wild.down = 1_234_567_890;
    for (_, view) in &mut wild.torrents {
        view.down = 987_654_321;
        view.up = 1;
        view.peers = 1999;
        view.known = 3000;
        view.eta = Some(Duration::from_secs(35_999));
        if let Some(detail) = &mut view.detail {
            detail.peers.truncate(3);
        }
    }
    assert_eq!(skeleton(&calm), skeleton(&wild));
}
