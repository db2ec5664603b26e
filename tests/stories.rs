//! What a new user stumbles over, as stories: what was pressed or happened, and what the screen says then.

// A test that cannot draw has failed: saying so at once is all that is wanted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

// Each of the tests that draw needs a part of this.
#[allow(dead_code)]
mod support {
    pub mod screen;
    pub mod snapshots;
}

use std::time::Duration;

use ratatui::style::Color;
use ttui::api::{
    Command, DiskFault, Event, FaultKind, RateLimits, Reason, Setting, Snapshot, State, TorrentCommand, TorrentId,
    TorrentView,
};
use ttui::swarm::view::LogLine;
use ttui::ui::app::model::App;
use ttui::ui::app::update::update;
use ttui::ui::dialogs::add::AddDialog;
use ttui::ui::effect::Effect;
use ttui::ui::keys::context::Tab;
use ttui::ui::keys::key::Key;
use ttui::ui::state::app::{Focus, Message};
use ttui::ui::state::columns::{PeerColumn, TorrentColumn};
use ttui::ui::theme::style::{ColorDepth, Theme, ThemeName};
use ttui::ui::widgets::path_input::DirListing;

use support::screen::{draw, keys, model, text};
use support::snapshots::{busy, download, other, seed, world};

fn start(snapshot: &Snapshot) -> App {
    model(80, 24, ThemeName::Plain, snapshot)
}

fn shown(model: &App, snapshot: &Snapshot) -> String {
    text(&draw(model, snapshot))
}

fn line(model: &App, snapshot: &Snapshot, at: usize) -> String {
    shown(model, snapshot).lines().nth(at).unwrap_or_default().to_owned()
}

fn last_line(model: &App, snapshot: &Snapshot) -> String {
    line(model, snapshot, usize::from(model.state.size.1) - 1)
}

fn notice(model: &mut App, snapshot: &Snapshot, text: &str) {
    update(model, Message::Event(Event::Notice { id: None, text: text.into() }), snapshot);
}

#[test]
fn the_first_frame_clears_what_the_terminal_shows() {
    assert!(start(&busy()).state.redraw);
}

#[test]
fn messages_are_seen_and_kept_while_a_filter_is_set() {
    let snapshot = busy();
    let mut model = start(&snapshot);
    keys(&mut model, &snapshot, "/ 'deb Enter");
    assert!(line(&model, &snapshot, 1).contains("Name  /deb  1/7"), "{}", line(&model, &snapshot, 1));
    assert!(last_line(&model, &snapshot).contains("Esc show all  a add"), "{}", last_line(&model, &snapshot));
    notice(&mut model, &snapshot, "the first");
    notice(&mut model, &snapshot, "the second");
    assert_eq!(last_line(&model, &snapshot).trim(), "the second");
    keys(&mut model, &snapshot, "Esc M");
    let log = shown(&model, &snapshot);
    assert!(log.find("the second").unwrap() < log.find("the first").unwrap(), "{log}");
    keys(&mut model, &snapshot, "Down Enter");
    assert!(shown(&model, &snapshot).contains("── message ──"));
    keys(&mut model, &snapshot, "Esc Esc");
    assert!(model.dialogs.is_empty());
}

#[test]
fn a_sentence_keeps_its_reason_and_can_be_read_whole() {
    let mut snapshot = busy();
    let mut model = start(&snapshot);
    let path = "/data/archive/a-very-long-folder-name/another-long-folder-name/the-last-folder";
    let said = format!("cannot move debian to {path}: permission denied");
    notice(&mut model, &snapshot, &said);
    let last = last_line(&model, &snapshot);
    assert!(last.contains("folder: permission denied") && last.ends_with("[M] all"), "{last}");
    keys(&mut model, &snapshot, "M Enter");
    let whole: String = shown(&model, &snapshot).split_whitespace().collect();
    assert!(whole.contains(&path.replace(' ', "")), "{whole}");
    // The why line and the log, too.
    let fault = DiskFault { kind: FaultKind::Final, text: said.clone() };
    snapshot.torrents[0].1.why = Reason::Fault(fault).into();
    snapshot.torrents[0].1.detail.as_mut().unwrap().log.push(LogLine { ago: Duration::from_secs(700), text: said });
    let mut model = start(&snapshot);
    keys(&mut model, &snapshot, "6");
    let lines = shown(&model, &snapshot);
    assert_eq!(lines.matches("permission denied").count(), 2, "{lines}");
    keys(&mut model, &snapshot, "Enter");
    let whole: String = shown(&model, &snapshot).split_whitespace().collect();
    assert!(whole.contains(path), "{whole}");
}

#[test]
fn of_a_magnet_that_rests_nothing_is_known() {
    for state in [State::Paused, State::Queued, State::Error] {
        let view = TorrentView { name: "some name".into(), state, ..TorrentView::default() };
        let snapshot = world(vec![view]);
        let row = line(&start(&snapshot), &snapshot, 2);
        let words: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(words[..8], [">", "some", "name", "-", "-", "-", "-", "-"], "{row}");
    }
}

#[test]
fn countdowns_and_ages_go_on_without_a_snapshot() {
    let mut snapshot = busy();
    snapshot.torrents[0].1.age = Duration::from_secs(3);
    let mut model = start(&snapshot);
    keys(&mut model, &snapshot, "5");
    let times = |model: &App| {
        let row = shown(model, &snapshot).lines().find(|line| line.contains("bttracker")).unwrap().to_owned();
        row.split_whitespace().rev().take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(times(&model), ["25m", "50"].map(str::to_owned), "1503 seconds less 3");
    let tick = |model: &mut App, second| update(model, Message::Tick(Duration::from_secs(second)), &snapshot);
    model.state.dirty = false;
    tick(&mut model, 1000);
    assert!(model.state.dirty);
    assert_eq!(times(&model)[0], "8m20");
    // A new snapshot counts from its own numbers.
    update(&mut model, Message::Snapshot, &snapshot);
    assert_eq!(times(&model)[0], "25m");
}

#[test]
fn names_get_what_is_left_and_the_list_grows_into_unused_rows() {
    let long = "a name of a torrent that is as long as names of torrents often are.mkv";
    let mut first = download(long, 4);
    first.detail.as_mut().unwrap().disconnected.clear();
    let mut views = vec![first];
    views.extend((1..30).map(|at| other(&format!("torrent {at}"), State::Paused, 5)));
    let snapshot = world(views);
    let list = |width, height, pressed: &str| {
        let mut model = model(width, height, ThemeName::Plain, &snapshot);
        keys(&mut model, &snapshot, pressed);
        let shown = shown(&model, &snapshot);
        let titles = shown.lines().nth(1).unwrap().split('│').next().unwrap().to_owned();
        let name = titles.find(" Size").map_or(0, |at| at - 3);
        (name, titles.split_whitespace().count(), shown.lines().filter(|line| line.contains(" paused")).count())
    };
    let (name, columns, _) = list(80, 24, "Esc");
    for (width, height, least) in [(120, 36, name + 1), (200, 50, name + 1), (300, 80, 45)] {
        let (wide, more, _) = list(width, height, "Esc");
        assert!(wide >= least, "{width}: {wide} cells");
        assert!(more >= columns, "{width}: {more} columns, {columns} at 80");
    }
    // Four peers leave most of the pane empty; many fill it.
    assert!(list(120, 36, "Esc").2 > 12, "{}", list(120, 36, "Esc").2);
    let full = world(vec![download(long, 200)].into_iter().chain((1..30).map(|_| seed("s"))).collect());
    let shown = shown(&model(120, 36, ThemeName::Plain, &full), &full);
    assert!(shown.lines().filter(|line| line.contains(" seed ")).count() < 10, "{shown}");
}

#[test]
fn the_list_does_not_jump_when_peers_come_and_go() {
    let many = world(vec![download("a", 12)].into_iter().chain((1..30).map(|_| seed("s"))).collect());
    let mut few = many.clone();
    few.torrents[0].1.detail.as_mut().unwrap().peers.truncate(2);
    let mut model = model(120, 36, ThemeName::Plain, &many);
    let tabs = |model: &App, snapshot: &Snapshot| {
        shown(model, snapshot).lines().position(|line| line.contains("[3 Peers]")).unwrap()
    };
    let before = tabs(&model, &many);
    update(&mut model, Message::Snapshot, &few);
    assert_eq!(tabs(&model, &few), before);
    keys(&mut model, &few, "Tab Down");
    assert_eq!(tabs(&model, &few), before, "nor when another torrent is chosen, of which nothing is known yet");
}

#[test]
fn a_number_and_enter_go_into_the_lower_pane() {
    let snapshot = busy();
    let focus = |pressed: &str| {
        let mut model = start(&snapshot);
        keys(&mut model, &snapshot, pressed);
        (model.state.pane, model.state.tab)
    };
    assert_eq!(focus("4"), (Focus::Detail, Tab::Files));
    assert_eq!(focus("Enter"), (Focus::Detail, Tab::Peers));
    assert_eq!(focus("4 Esc"), (Focus::List, Tab::Files));
}

#[test]
fn what_is_looked_for_is_found_in_the_focused_list() {
    let snapshot = busy();
    let mut model = start(&snapshot);
    // Words in any order; letters, if no name has the words.
    for (typed, name) in [("iso deb", "debian-13.1.0-amd64-DVD-1.iso"), ("bbb4", "Big Buck Bunny 4K")] {
        keys(&mut model, &snapshot, &format!("Esc / '{} Enter", typed.replace(' ', " Space '")));
        assert_eq!(model.state.chosen(&snapshot).unwrap().name, name, "{typed}");
        assert_eq!(model.state.rows.len(), 1);
    }
    keys(&mut model, &snapshot, "Esc g 4 / 'sources");
    assert_eq!(model.state.pane, Focus::Detail);
    let row = |model: &App| {
        let shown = shown(model, &snapshot);
        shown.lines().rfind(|line| line.starts_with(" >")).unwrap_or_default().to_owned()
    };
    assert!(row(&model).contains("sources.list"), "{}", row(&model));
    assert!(shown(&model, &snapshot).contains("/sources"), "what is looked for is seen");
    assert_eq!(model.state.rows.len(), 7, "the list of torrents is not filtered");
    keys(&mut model, &snapshot, "Enter Esc 5 / 'tracker.example Enter");
    assert!(row(&model).contains("tracker.example.org"), "{}", row(&model));
    keys(&mut model, &snapshot, "Esc 3 / 'ttui Enter");
    let first = model.state.peer.unwrap();
    keys(&mut model, &snapshot, "n");
    assert_ne!(model.state.peer, Some(first), "the next match");
    keys(&mut model, &snapshot, "N");
    assert_eq!(model.state.peer, Some(first));
    assert!(last_line(&model, &snapshot).contains("matches"), "{}", last_line(&model, &snapshot));
    keys(&mut model, &snapshot, "Esc 6 / 'hash Enter Enter");
    assert!(shown(&model, &snapshot).contains("piece 812 failed its hash"));
}

#[test]
fn every_action_says_what_it_did_with_the_name() {
    let snapshot = busy();
    for (pressed, says) in [
        ("p", "pausing debian-13.1.0-amd64-DVD-1.iso"),
        ("P", "pausing all 7 torrents"),
        ("d Enter", "removing debian-13.1.0-amd64-DVD-1.iso and keeping the data"),
        ("S", "sorted by queue, reversed"),
        ("6 L", "log of all torrents"),
        ("4 Down Down Down +", "sources.list: priority high"),
        ("5 a 'udp://t.example.org:1337 Enter", "adding tracker udp://t.example.org:1337 to debian-13"),
        ("3 Down X", "disconnecting "),
        ("T", "theme: "),
    ] {
        let mut model = start(&snapshot);
        keys(&mut model, &snapshot, pressed);
        let last = last_line(&model, &snapshot);
        assert!(last.contains(says), "{pressed}: {last}");
    }
    let mut model = start(&snapshot);
    update(&mut model, Message::Event(Event::Checked(TorrentId(2))), &snapshot);
    assert!(!model.state.notice, "only what was wanted is told, not each start");
    keys(&mut model, &snapshot, "* v");
    update(&mut model, Message::Event(Event::Checked(TorrentId(2))), &snapshot);
    assert_eq!(last_line(&model, &snapshot).trim(), "holiday-photos: verified, complete");
    update(&mut model, Message::Event(Event::Checked(TorrentId(3))), &snapshot);
    assert_eq!(last_line(&model, &snapshot).trim(), "backup-2026: verified, 9,431 pieces missing");
}

#[test]
fn help_begins_with_what_can_be_done_here() {
    let snapshot = busy();
    let mut model = start(&snapshot);
    keys(&mut model, &snapshot, "4 ?");
    let here = shown(&model, &snapshot);
    assert!(here.contains("── Files tab ─") && here.contains("raise file priority"), "{here}");
    assert!(!here.contains("super-seeding"), "{here}");
    keys(&mut model, &snapshot, "?");
    assert!(shown(&model, &snapshot).contains("super-seeding"));
    keys(&mut model, &snapshot, "?");
    assert!(model.dialogs.is_empty());
}

#[test]
#[cfg(unix)]
fn the_shell_is_one_key_away() {
    let snapshot = busy();
    for before in ["Esc", "a 'x", "/ 'x"] {
        let mut model = start(&snapshot);
        keys(&mut model, &snapshot, before);
        model.state.outbox.clear();
        update(&mut model, Message::Key(Key::Ctrl('z')), &snapshot);
        assert_eq!(model.state.outbox, [Effect::Suspend], "{before}");
    }
}

#[test]
fn a_refused_link_stays_in_its_box_with_the_reason() {
    let snapshot = busy();
    let hash = "c12fe1c06bba254a9dc9f519b335aa7c1367a88a";
    let mut model = start(&snapshot);
    let asked = keys(&mut model, &snapshot, &format!("a '{hash} Enter"));
    let [Command::Add(add)] = &asked[..] else { panic!("{asked:?}") };
    let what = add.what.clone();
    let failed = Event::AddFailed { what: what.clone(), why: "the info-hash is malformed".into() };
    update(&mut model, Message::Event(failed), &snapshot);
    let now = shown(&model, &snapshot);
    assert!(now.contains("the info-hash is malformed") && now.contains(hash) && model.dialogs.len() == 1, "{now}");
    // It can be mended; one that is in the list already says so.
    keys(&mut model, &snapshot, "Enter");
    let text = "debian is in the list already; 2 trackers were added".to_owned();
    update(&mut model, Message::Event(Event::Known { id: TorrentId(1), what: what.clone(), text }), &snapshot);
    let now = shown(&model, &snapshot);
    assert!(now.contains("2 trackers were added") && model.dialogs.top::<AddDialog>().is_some(), "{now}");
    keys(&mut model, &snapshot, "Enter");
    update(&mut model, Message::Event(Event::Added { id: TorrentId(2), what }), &snapshot);
    assert!(model.dialogs.is_empty());
}

#[test]
fn forms_say_how_to_go_on() {
    let snapshot = busy();
    for pressed in ["a", "c"] {
        let mut model = start(&snapshot);
        keys(&mut model, &snapshot, pressed);
        let last = last_line(&model, &snapshot);
        assert!(last.contains("down next field"), "{last}");
    }
}

#[test]
fn the_link_and_its_code_can_be_seen_again() {
    let snapshot = busy();
    for pressed in ["Q", ": 'show-link Enter"] {
        let mut model = model(120, 36, ThemeName::Dark, &snapshot);
        keys(&mut model, &snapshot, pressed);
        let now = shown(&model, &snapshot);
        assert!(now.contains("run ttui with this link") && now.contains('▀'), "{now}");
        keys(&mut model, &snapshot, "y");
        assert!(matches!(&model.state.outbox[..], [Effect::Copy(_)]), "{:?}", model.state.outbox);
        assert!(shown(&model, &snapshot).contains("The link was copied"));
    }
}

#[test]
fn limits_are_typed_with_a_unit_and_seen_in_the_list() {
    let mut snapshot = busy();
    let mut model = start(&snapshot);
    keys(&mut model, &snapshot, "b ^u '200 Enter");
    assert!(shown(&model, &snapshot).contains("200 of what? 200K is 200 kB/s, 200M is 200 MB/s"));
    let asked = keys(&mut model, &snapshot, "^u '2M Space '500K Enter");
    let [Command::Torrent(TorrentId(1), TorrentCommand::Limits { down, up })] = asked[..] else { panic!("{asked:?}") };
    assert_eq!((down, up), (Some(2_000_000), Some(500_000)));
    assert!(!line(&model, &snapshot, 1).contains("max"), "without a limit there is no column");
    snapshot.torrents[0].1.limits = RateLimits { down, up };
    update(&mut model, Message::Snapshot, &snapshot);
    assert!(line(&model, &snapshot, 1).contains("↓max"), "{}", line(&model, &snapshot, 1));
    assert!(line(&model, &snapshot, 2).contains("2.0M"), "{}", line(&model, &snapshot, 2));
    // Global ones, too.
    keys(&mut model, &snapshot, ", Enter '200 Enter");
    assert!(shown(&model, &snapshot).contains("200 of what?"));
}

#[test]
fn a_ban_is_asked_about_and_names_the_peer() {
    let snapshot = busy();
    let mut model = start(&snapshot);
    assert!(!keys(&mut model, &snapshot, "3 Down B").iter().any(|asked| format!("{asked:?}").contains("Ban")));
    let peer = snapshot.torrents[0].1.detail.as_ref().unwrap().peers.iter();
    let addr = peer.clone().find(|row| Some(row.key) == model.state.peer).unwrap().addr.to_string();
    assert!(shown(&model, &snapshot).contains(&format!("Ban {addr}")));
    let asked = keys(&mut model, &snapshot, "Enter");
    assert!(matches!(asked[..], [Command::Torrent(_, TorrentCommand::Ban(_))]), "{asked:?}");
    assert!(last_line(&model, &snapshot).contains(&format!("banning {addr}")));
    keys(&mut model, &snapshot, &format!("+ '{addr} Enter"));
    assert!(shown(&model, &snapshot).contains("is connected already"));
}

#[test]
fn data_move_into_a_new_folder_only_when_that_is_confirmed() {
    let snapshot = busy();
    let mut model = start(&snapshot);
    assert!(keys(&mut model, &snapshot, "m '/data/new Enter").is_empty());
    assert_eq!(model.state.outbox, [Effect::List("/data/new".into())]);
    let fault = Some("there is no folder /data/new".to_owned());
    let listing = DirListing { folder: "/data/new".into(), fault, ..DirListing::default() };
    assert!(update(&mut model, Message::Listing(listing), &snapshot).is_empty());
    let now = shown(&model, &snapshot);
    assert!(now.contains("there is no folder /data/new; the same again makes the folder"), "{now}");
    let asked = keys(&mut model, &snapshot, "Enter");
    assert!(matches!(&asked[..], [Command::Move { .. }]), "{asked:?}");
    assert!(last_line(&model, &snapshot).contains("moving debian"), "{}", last_line(&model, &snapshot));
}

#[test]
fn hints_can_be_clicked() {
    let snapshot = busy();
    let click = |model: &mut App, word: &str| {
        let last = last_line(model, &snapshot);
        let x = last.split(word).next().unwrap().chars().count() as u16;
        update(model, Message::Click(x, 23), &snapshot)
    };
    let mut model = start(&snapshot);
    assert!(matches!(click(&mut model, "p pause")[..], [Command::Pause(TorrentId(1))]));
    keys(&mut model, &snapshot, "Esc");
    click(&mut model, "? help");
    assert_eq!(model.dialogs.len(), 1);
    keys(&mut model, &snapshot, "Esc / 'deb");
    click(&mut model, "Enter keep");
    assert!(!model.state.filtering && model.state.rows.len() == 1);
    click(&mut model, "Esc show all");
    assert_eq!(model.state.rows.len(), 7);
}

#[test]
fn lists_are_sorted_by_any_column_from_a_menu() {
    let snapshot = busy();
    let mut model = start(&snapshot);
    keys(&mut model, &snapshot, "s");
    let menu = shown(&model, &snapshot);
    assert!(menu.contains("── sort by ─") && menu.contains("name of the torrent"), "{menu}");
    // It has columns that there is no room for, and sorts at once.
    keys(&mut model, &snapshot, "End Up Up Up");
    assert!(shown(&model, &snapshot).contains("time that the torrent was active"));
    assert_eq!(model.state.sort, TorrentColumn::Active);
    keys(&mut model, &snapshot, "S Enter");
    assert!(model.state.reverse && model.dialogs.is_empty());
    keys(&mut model, &snapshot, ": 'sort Space 'peers Space 'by Space 'client Enter");
    assert_eq!(model.state.peer_sort, PeerColumn::Client);
}

#[test]
fn the_palette_says_where_a_command_works() {
    let snapshot = busy();
    let mut model = model(120, 36, ThemeName::Plain, &snapshot);
    keys(&mut model, &snapshot, ": 'kick");
    let row =
        shown(&model, &snapshot).lines().find(|line| line.contains("disconnect the selected")).unwrap().to_owned();
    assert!(row.contains("Peers tab") && row.contains("kick"), "{row}");
    keys(&mut model, &snapshot, "Enter");
    assert_eq!((model.state.tab, model.state.pane), (Tab::Peers, Focus::Detail), "it goes there");
}

#[test]
fn sort_tab_and_graph_are_as_they_were_left() {
    let snapshot = world(vec![seed("done")]);
    let mut model = start(&snapshot);
    keys(&mut model, &snapshot, "s s Enter S 4 Esc r R");
    let asked = keys(&mut model, &snapshot, "^c");
    let [Command::UpdateConfig(values)] = &asked[..] else { panic!("{asked:?}") };
    let view = r#"["sort=-size", "tab=files", "span=5m", "graph=all"]"#.to_owned();
    assert_eq!(values[..], [Setting { key: "view".to_owned(), value: Some(view) }]);
    // Nothing is written where nothing has changed.
    let mut model = start(&snapshot);
    assert!(keys(&mut model, &snapshot, "^c").is_empty());
}

#[test]
fn logs_show_the_time_of_day_and_what_is_past_stays_where_it_was() {
    let mut snapshot = busy();
    let mut model = model(120, 36, ThemeName::Plain, &snapshot);
    // 2026-11-29 17:00:00 in local time.
    model.state.local_start = Some(1_795_971_600);
    keys(&mut model, &snapshot, "6");
    let stamp = |model: &App, snapshot: &Snapshot, words: &str| {
        let shown = shown(model, snapshot);
        let row = shown.lines().find(|line| line.contains(words)).unwrap_or_else(|| panic!("{words}: {shown}"));
        row.split_whitespace().find(|word| word.contains(':')).unwrap().to_owned()
    };
    let half = stamp(&model, &snapshot, "50% complete");
    assert_eq!(half, "16:52:28", "452 seconds ago");
    keys(&mut model, &snapshot, "L");
    assert_eq!(stamp(&model, &snapshot, "the disk is full"), "16:59:06");
    keys(&mut model, &snapshot, "L");
    // A minute later, and after the torrent was started anew.
    update(&mut model, Message::Tick(Duration::from_secs(60)), &snapshot);
    assert_eq!(stamp(&model, &snapshot, "50% complete"), half);
    snapshot.torrents[0].1.active = Duration::ZERO;
    for LogLine { ago, .. } in &mut snapshot.torrents[0].1.detail.as_mut().unwrap().log {
        *ago += Duration::from_secs(60);
    }
    update(&mut model, Message::Snapshot, &snapshot);
    assert_eq!(stamp(&model, &snapshot, "50% complete"), half);
    keys(&mut model, &snapshot, "3 Down Enter");
    assert!(shown(&model, &snapshot).contains("we unchoked the peer"));
}

#[test]
fn the_light_theme_brings_its_ground_and_the_chosen_row_is_one_block() {
    let snapshot = busy();
    let mut model = start(&snapshot);
    model.state.theme = Theme::new(ThemeName::Light, false);
    let cells = draw(&model, &snapshot);
    assert!(cells.content().iter().all(|cell| cell.bg != Color::Reset), "no cell has the ground of the terminal");
    for at in 0..ttui::config::themes::FILES.len() {
        model.state.theme = Theme::new(ThemeName::File(u8::try_from(at).unwrap()), false);
        let cells = draw(&model, &snapshot);
        assert!(cells.content().iter().all(|cell| cell.bg != Color::Reset), "theme {at}");
    }
    for colours in [ColorDepth::Sixteen, ColorDepth::Eight] {
        for name in [ThemeName::Dark, ThemeName::Light, ThemeName::File(0), ThemeName::File(5)] {
            model.state.theme = Theme::fitted(name, false, colours);
            let cells = draw(&model, &snapshot);
            let row: Vec<_> = (0..80).map(|x| &cells[(x, 2)]).map(|cell| (cell.fg, cell.bg)).collect();
            assert!(row[..78].iter().all(|colors| *colors == row[0]), "{name:?} {colours:?}: {row:?}");
        }
    }
}

#[test]
fn a_screen_that_is_too_small_says_what_it_needs() {
    let snapshot = busy();
    let small = shown(&model(39, 24, ThemeName::Plain, &snapshot), &snapshot);
    assert!(shown(&model(60, 9, ThemeName::Plain, &snapshot), &snapshot).contains("needs 40x10"), "{small}");
}

#[test]
fn pieces_of_unwanted_files_are_no_alarm() {
    let mut view = download("debian", 5);
    view.detail.as_mut().unwrap().missing = 12;
    let mut snapshot = world(vec![view]);
    assert!(shown(&start(&snapshot), &snapshot).contains("12 unavailable"));
    // All that is wanted is here.
    snapshot.torrents[0].1.done = snapshot.torrents[0].1.wanted;
    assert!(!shown(&start(&snapshot), &snapshot).contains("unavailable"));
}
