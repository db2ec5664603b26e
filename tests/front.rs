//! What stands in front of the panes, as stories: keys, answers of the world, and what comes of them.

// A test that cannot draw has failed: saying so at once is all that is wanted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

// Each of the tests that draw needs a part of this.
#[allow(dead_code)]
mod support {
    pub mod screen;
    pub mod snapshots;
}

use std::collections::BTreeMap;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ttui::api::{
    Command, Created, Event, FaultKind, FileRow, Priority, Setting, Snapshot, TorrentId, TorrentPreview, TrackerStatus,
};
use ttui::swarm::status::TrackerState;
use ttui::ui::app::model::App;
use ttui::ui::app::update::update;
use ttui::ui::app::view::view;
use ttui::ui::dialogs::add::AddDialog;
use ttui::ui::dialogs::choice::ChoiceDialog;
use ttui::ui::dialogs::confirm::ConfirmDialog;
use ttui::ui::dialogs::create::CreateDialog;
use ttui::ui::dialogs::message::MessageDialog;
use ttui::ui::effect::Effect;
use ttui::ui::keys::action::{Action, DialogAction, EditAction, NavAction};
use ttui::ui::keys::bindings::{Binding, KEYS};
use ttui::ui::keys::context::KeyContext;
use ttui::ui::keys::key::Key;
use ttui::ui::keys::keymap::Keymap;
use ttui::ui::state::app::{Focus, Message};
use ttui::ui::theme::style::ThemeName;
use ttui::ui::widgets::path_input::{DirListing, Entry};

use support::screen::{draw, keys, model, text};
use support::snapshots::{busy, empty};

/// The world with what only an engine fills in.
fn world() -> Snapshot {
    let mut snapshot = busy();
    snapshot.folder = "~/Downloads".into();
    snapshot.config_file = "~/.config/ttui/config.toml".into();
    if let Some(detail) = &mut snapshot.torrents[0].1.detail {
        detail.meta.magnet = "magnet:?xt=urn:btih:d5d5".into();
    }
    snapshot
}

fn contents() -> TorrentPreview {
    let file = |(index, (path, size)): (usize, (&str, u64))| FileRow {
        index,
        path: path.into(),
        size,
        done: 0,
        priority: Priority::Normal,
        eta: None,
    };
    let files = [
        ("film/film.mkv", 4_200_000_000),
        ("film/extras/making of.mkv", 812_000_000),
        ("film/extras/trailer.mkv", 91_000_000),
        ("film/subtitles/en.srt", 91_000),
        ("film/subtitles/de.srt", 94_000),
        ("film/read me.txt", 1_200),
    ];
    TorrentPreview {
        name: "film".into(),
        size: files.iter().map(|(_, size)| size).sum(),
        files: files.into_iter().enumerate().map(file).collect(),
        folder: "~/Downloads".into(),
        free: Some(41_200_000_000),
        ..TorrentPreview::default()
    }
}

fn listing(folder: &str) -> DirListing {
    let entry = |(name, size): (&str, u64)| Entry { name: name.into(), folder: size == 0, size };
    let entries =
        [("debian", 0), ("Films", 0), ("debian-12.torrent", 61_000), ("debian-13.torrent", 63_000), ("x.torrent", 900)];
    DirListing {
        folder: folder.into(),
        // Asked for the current folder, the thread tells its full path.
        path: if folder == "." { "/data/me".into() } else { folder.trim_end_matches('/').into() },
        above: Some("/data".into()),
        entries: entries.map(entry).to_vec(),
        ..DirListing::default()
    }
}

/// Answers what was asked of the picker, as its thread would. Returns what the engine is asked then.
fn answer(model: &mut App, snapshot: &Snapshot) -> Vec<Command> {
    let mut asked = Vec::new();
    for outward in std::mem::take(&mut model.state.outbox) {
        if let Effect::List(folder) = outward {
            asked.extend(update(model, Message::Listing(listing(&folder)), snapshot));
        }
    }
    asked
}

/// Presses keys; the world answers after each. Returns what the engine is asked to do.
fn play(model: &mut App, snapshot: &Snapshot, pressed: &str) -> Vec<Command> {
    let mut commands = Vec::new();
    for key in pressed.split(' ') {
        let mut asked = keys(model, snapshot, key);
        asked.extend(answer(model, snapshot));
        for at in 0..asked.len() {
            let command = &asked[at];
            if let Command::Inspect(add) = command {
                let answer = match add.what.as_str() {
                    "bad" => Err("bad is no torrent file: it ends in the middle of a list".to_owned()),
                    "one.torrent" => {
                        let mut contents = contents();
                        contents.files.truncate(1);
                        Ok(Box::new(contents))
                    }
                    "had.torrent" => {
                        Ok(Box::new(TorrentPreview { present: true, name: "had".into(), ..TorrentPreview::default() }))
                    }
                    "slow.torrent" => continue,
                    _ => Ok(Box::new(contents())),
                };
                let inspected = Event::Inspected { what: add.what.clone(), contents: answer };
                asked.extend(update(model, Message::Event(inspected), snapshot));
            }
        }
        for command in &asked {
            if let Command::Add(add) = command {
                let added = Event::Added { id: TorrentId(1), what: add.what.clone() };
                update(model, Message::Event(added), snapshot);
            }
        }
        commands.extend(asked);
    }
    commands
}

fn fresh(snapshot: &Snapshot) -> App {
    model(80, 24, ThemeName::Plain, snapshot)
}

/// Keys, and what the engine is asked for; what is looked into is left out.
#[test]
fn dialogs_ask_the_engine_for_what_they_say() {
    let table: &[(&str, &[&str])] = &[
        // The add box.
        (
            "a 'film.torrent Enter Enter",
            &[
                "Add(AddTorrent { what: \"film.torrent\", dir: None, overwrite: false, peers: [], select: [], priorities: [], seed_only: false, sequential: false, paused: false, choose: false })",
            ],
        ),
        ("a 'film.torrent Enter Down Space Enter", &["priorities: [(1, Skip), (2, Skip)]"]),
        ("a 'film.torrent Enter / '*.srt Enter Enter", &["priorities: [(0, Skip), (1, Skip), (2, Skip), (5, Skip)]"]),
        ("a 'film.torrent Enter a Enter", &[]),
        ("a 'film.torrent Enter Esc Esc", &[]),
        ("a 'one.torrent Enter", &["Add(AddTorrent { what: \"one.torrent\""]),
        ("a 'slow.torrent Enter Enter", &["Add(AddTorrent { what: \"slow.torrent\""]),
        ("a 'slow.torrent Enter Esc Esc", &[]),
        ("a 'bad Enter", &[]),
        ("a 'had.torrent Enter", &["Add(AddTorrent { what: \"had.torrent\""]),
        (
            "a 'one.torrent Down '/films Down Space Down Space Enter",
            &[
                "dir: Some(\"/films\"), overwrite: false, peers: [], select: [], priorities: [], seed_only: false, sequential: true, paused: true",
            ],
        ),
        ("a '~/x Tab Enter Enter", &["what: \"/data/me/x.torrent\""]),
        ("a '~/deb Tab Tab Tab Enter Enter", &["what: \"/data/me/debian-12.torrent\""]),
        ("a ^o End Enter Enter Enter", &["what: \"/data/me/x.torrent\""]),
        ("a ^o '13 Enter Enter Enter", &["what: \"/data/me/debian-13.torrent\""]),
        ("a Down ^o Enter Up 'one.torrent Enter", &["dir: Some(\"/data/me\")"]),
        ("a ^o Esc Esc", &[]),
        ("a ^o 'nothing Esc Esc Esc", &[]),
        ("a 'film.torrent Enter j j - + = + Enter", &["priorities: [(1, High)]"]),
        ("a 'film.torrent Enter G - k Space Enter", &["priorities: [(0, Skip), (5, Low)]"]),
        ("a 'film.torrent Enter a Home Space Enter", &["priorities: []"]),
        ("a 'film.torrent Enter / Esc F '*.txt Enter Space Space Enter", &["priorities: []"]),
        ("a 'magnet:?x Tab Tab Space Esc", &[]),
        ("a 'magnet:?x Enter", &["choose: true })"]),
        ("a 'magnet:?x Down Down Right Right Space Enter", &["paused: false, choose: false })"]),
        ("a 'magnet:?x BackTab BackTab Space Enter", &["sequential: true, paused: false, choose: true })"]),
        ("a 'slow.torrent Tab Down Up Backspace Backspace Esc", &[]),
        // Removing.
        ("d Enter", &["Remove { id: TorrentId(1), data: false }"]),
        ("d Tab Enter", &["Remove { id: TorrentId(1), data: true }"]),
        ("d Esc", &[]),
        (
            "Space Space d Down Enter",
            &["Focus", "Focus", "Remove { id: TorrentId(1), data: true }", "Remove { id: TorrentId(2), data: true }"],
        ),
        ("d k j k Space Enter", &["Remove { id: TorrentId(1), data: true }"]),
        ("Space Space m '/a Enter", &["Focus", "Focus", "Move { id: TorrentId(1)", "Move { id: TorrentId(2)"]),
        // Moving, writing, opening.
        ("m '~/Films Enter", &["Move { id: TorrentId(1), to: \"/data/me/Films\" }"]),
        ("m '~/Fi Tab Enter", &["Move { id: TorrentId(1), to: \"/data/me/Films/\" }"]),
        ("m ^o Down Down Down Enter Enter Enter", &["Move { id: TorrentId(1), to: \"/data/me/Films\" }"]),
        ("m Enter Esc", &[]),
        ("E Enter", &["Export { id: TorrentId(1), to: \"/data/me/Downloads\" }"]),
        ("E ^u '/a/b.torrent Enter", &["Export { id: TorrentId(1), to: \"/a/b.torrent\" }"]),
        ("o", &["Open(TorrentId(1))"]),
        ("y", &[]),
        // Peers, files, trackers.
        (
            "3 + '192.0.2.7:51413 Space '[2001:db8::7]:6881 Enter",
            &["AddPeers(TorrentId(1), [192.0.2.7:51413, [2001:db8::7]:6881])"],
        ),
        ("3 + '192.0.2.7 Enter Esc", &[]),
        (
            "4 F '*.mkv Enter",
            &["Torrent(TorrentId(1), Priority([(0, Skip), (1, Skip), (2, Skip), (3, Skip), (4, Normal)]))"],
        ),
        ("4 F 'nothing Enter Esc", &[]),
        ("5 a 'udp://t.example.org:1337 Enter", &["Torrent(TorrentId(1), AddTracker(\"udp://t.example.org:1337\"))"]),
        ("5 a 'example.org Enter Esc", &[]),
        ("5 d Enter", &["Torrent(TorrentId(1), RemoveTracker(0))"]),
        ("5 d n", &[]),
        // The palette.
        (": 'pause Enter", &["Pause(TorrentId(1))"]),
        (": 'verify Enter", &["Torrent(TorrentId(1), Verify)"]),
        (": 'pause Esc", &[]),
        (": 'pause Tab BackTab Down Up Enter", &["Pause(TorrentId(1))"]),
        (": 'xyzzy Enter", &[]),
        (": 'title Enter Space Esc", &["UpdateConfig([Setting { key: \"title\", value: Some(\"false\") }])"]),
        // Settings.
        (
            ", Enter '10MB/s Enter",
            &["UpdateConfig([Setting { key: \"down-limit\", value: Some(\"\\\"10MB/s\\\"\") }])"],
        ),
        (", Enter 'fast Enter Esc Esc", &[]),
        (", Del", &["UpdateConfig([Setting { key: \"down-limit\", value: None }])"]),
        (", Down Down Enter '3 Enter", &["UpdateConfig([Setting { key: \"max-active\", value: Some(\"3\") }])"]),
        (", Esc", &[]),
        (
            ", Down Up Down Enter '5M Enter",
            &["UpdateConfig([Setting { key: \"up-limit\", value: Some(\"\\\"5M\\\"\") }])"],
        ),
        (", G Space", &["UpdateConfig([Setting { key: \"no-port-map\", value: Some(\"true\") }])"]),
        (
            ", G k k k k k k k Left",
            &["UpdateConfig([Setting { key: \"encryption\", value: Some(\"\\\"require\\\"\") }])"],
        ),
    ];
    let snapshot = world();
    for (pressed, expected) in table {
        let mut model = fresh(&snapshot);
        let asked = play(&mut model, &snapshot, pressed);
        let asked: Vec<String> =
            asked.iter().filter(|c| !matches!(c, Command::Inspect(_))).map(|c| format!("{c:?}")).collect();
        assert_eq!(asked.len(), expected.len(), "{pressed}: {asked:?}");
        for (command, part) in asked.iter().zip(*expected) {
            assert!(command.contains(part), "{pressed}: {asked:?}");
        }
        let done = !expected.is_empty() || pressed.ends_with("Esc");
        let stays = pressed.starts_with(',') && !pressed.ends_with("Esc");
        assert!(!done || stays || model.dialogs.is_empty(), "{pressed}: {:?}", model.dialogs);
    }
}

#[test]
fn nodes_of_the_dht_are_typed_with_commas() {
    let snapshot = world();
    let mut model = fresh(&snapshot);
    keys(&mut model, &snapshot, ",");
    let row = |model: &App| {
        let shown = text(&draw(model, &snapshot));
        shown.lines().find(|line| line.starts_with(" >")).unwrap_or_default().to_owned()
    };
    for _ in 0..40 {
        if !row(&model).contains("DHT bootstrap nodes") {
            keys(&mut model, &snapshot, "Down");
        }
    }
    let shown = text(&draw(&model, &snapshot));
    assert!(row(&model).contains("built-in") && shown.contains("applies after restart"), "{shown}");
    assert_eq!(play(&mut model, &snapshot, "Enter 'nowhere Enter").len(), 0);
    let shown = text(&draw(&model, &snapshot));
    assert!(shown.contains("nowhere is invalid: enter a list of addresses"), "{shown}");
    let commands = play(&mut model, &snapshot, "Esc Enter 'a.example:1,192.0.2.7:6881 Enter");
    let value = r#"["a.example:1", "192.0.2.7:6881"]"#.to_owned();
    let asked = vec![Setting { key: "dht-nodes".to_owned(), value: Some(value) }];
    assert!(matches!(&commands[..], [Command::UpdateConfig(it)] if *it == asked), "{commands:?}");
    assert!(row(&model).contains("a.example:1, 192.0.2.7:6881"), "{}", row(&model));
}

#[test]
fn what_is_wrong_is_said_where_it_was_typed() {
    let table = [
        ("a 'bad Enter", "bad is no torrent file", "bad"),
        ("a 'film.torrent Enter a Enter", "no file selected", "film"),
        ("a '/zz Tab", "no matching path", "/zz"),
        ("m Enter", "enter a folder", "move"),
        ("3 + '192.0.2.7 Enter", "192.0.2.7 is not a valid", "192.0.2.7"),
        ("5 a 'example.org Enter", "the URL must begin with http://", "example.org"),
        ("4 F 'nothing Enter", "no file matches nothing", "nothing"),
        (", Enter 'fast Enter", "fast is invalid: enter a rate such as 512K", "fast"),
    ];
    let snapshot = world();
    for (pressed, says, kept) in table {
        let mut model = fresh(&snapshot);
        play(&mut model, &snapshot, pressed);
        let shown = text(&draw(&model, &snapshot));
        assert!(shown.contains(says) && shown.contains(kept), "{pressed}:\n{shown}");
    }
}

/// What is in the list already may bring trackers and web seeds.
#[test]
fn what_is_there_already_is_handed_on_and_a_pasted_link_is_found_in_what_surrounds_it() {
    let snapshot = world();
    let mut model = fresh(&snapshot);
    let commands = play(&mut model, &snapshot, "a 'had.torrent Enter");
    assert!(commands.iter().any(|c| matches!(c, Command::Add(add) if add.what == "had.torrent")), "{commands:?}");
    assert!(model.dialogs.is_empty());
    let hash = "c12fe1c06bba254a9dc9f519b335aa7c1367a88a";
    let link = format!("magnet:?xt=urn:btih:{hash}&dn=x");
    for pasted in [
        format!("<{link}>"),
        format!("{}\r\n  {}\n", &link[..30], &link[30..]),
        link.replace('&', "&amp;"),
        format!("[a film]({link})"),
        format!("urn:btih:{hash}&dn=x"),
        link.replace(':', "%3A").replace('?', "%3F").replace('=', "%3D").replace('&', "%26"),
    ] {
        let mut model = fresh(&snapshot);
        update(&mut model, Message::Paste(pasted.clone()), &snapshot);
        let commands = keys(&mut model, &snapshot, "Enter");
        let [Command::Add(add)] = &commands[..] else { panic!("{pasted}: {commands:?}") };
        assert_eq!(add.what.replace("&amp;", "&"), link, "{pasted}");
    }
    let mut model = fresh(&snapshot);
    update(&mut model, Message::Paste(format!("{link}\n{}\nb.torrent", link.replace('c', "d"))), &snapshot);
    let commands = keys(&mut model, &snapshot, "Enter");
    assert_eq!(commands.iter().filter(|c| matches!(c, Command::Add(_))).count(), 3, "{commands:?}");
}

#[test]
fn the_world_is_asked_only_for_what_was_meant() {
    let snapshot = world();
    let mut model = fresh(&snapshot);
    keys(&mut model, &snapshot, "y");
    assert_eq!(model.state.outbox, [Effect::Copy(vec!["magnet:?xt=urn:btih:d5d5".into()])]);
    model.state.outbox.clear();
    update(&mut model, Message::Event(Event::Complete(TorrentId(2))), &snapshot);
    update(&mut model, Message::Event(Event::Complete(TorrentId(3))), &snapshot);
    let body = "several torrents are complete".to_owned();
    assert_eq!(model.state.outbox, [Effect::Notify { title: "ttui".into(), body }]);
    model.state.outbox.clear();
    let second = std::time::Duration::from_secs;
    update(&mut model, Message::Tick(second(1)), &snapshot);
    let [Effect::Title(title)] = &model.state.outbox[..] else { panic!("{:?}", model.state.outbox) };
    assert!(title.ends_with("MB/s - ttui") && title.contains('%'), "{title}");
    model.state.outbox.clear();
    update(&mut model, Message::Tick(second(2)), &snapshot);
    assert!(model.state.outbox.is_empty(), "the same title is not told twice");
    model.state.options.title = false;
    update(&mut model, Message::Tick(second(3)), &empty());
    assert!(model.state.outbox.is_empty());
}

#[test]
fn magnet_links_are_copied_of_all_that_are_marked() {
    let snapshot = world();
    let story = |pressed: &str, links: Vec<String>| {
        let mut model = fresh(&snapshot);
        let asked = keys(&mut model, &snapshot, pressed);
        let Some(Command::Magnets(ids)) = asked.last() else { panic!("{pressed}: {asked:?}") };
        let ids: Vec<u32> = ids.iter().map(|id| id.0).collect();
        update(&mut model, Message::Event(Event::MagnetLinks { asked: ids.len(), links }), &snapshot);
        let shown = text(&draw(&model, &snapshot));
        (ids, model.state.outbox, shown.lines().last().unwrap().trim().to_owned())
    };
    let link = |n: u32| format!("magnet:?xt=urn:btih:{n:040}");
    let (ids, copied, said) = story("Space Down Space y", vec![link(1), link(3)]);
    assert_eq!((ids, copied), (vec![1, 3], vec![Effect::Copy(vec![link(1), link(3)])]));
    assert_eq!(said, "2 magnet links copied (if the terminal supports OSC 52)");
    // The snapshot has no detail of one that was chosen just now.
    let (ids, copied, said) = story("Down y", vec![]);
    assert_eq!((ids, copied.len()), (vec![2], 0));
    assert_eq!(said, "magnet link not available yet");
    let (.., said) = story("* y", vec![link(1)]);
    assert_eq!(said, "1 of 7 magnet links copied: the others are not available yet");
    let (_, copied, said) = story("* y", vec!["x".repeat(30_000); 7]);
    assert!(matches!(&copied[..], [Effect::Copy(lines)] if lines.len() == 2));
    assert_eq!(said, "2 of 7 magnet links copied: clipboard limit reached");
}

/// Where keys go to is said where keys are named, and help is named at any size.
#[test]
fn the_status_line_names_the_keys_that_hold() {
    let snapshot = world();
    let status = |size: (u16, u16), pressed: &str| {
        let mut model = model(size.0, size.1, ThemeName::Plain, &snapshot);
        keys(&mut model, &snapshot, pressed);
        text(&draw(&model, &snapshot)).lines().last().unwrap().to_owned()
    };
    for size in [(40, 12), (52, 16), (60, 16), (80, 24), (120, 36), (200, 50)] {
        for pressed in ["1", "Tab", "2", "4", "5", "6", "z"] {
            let status = status(size, pressed);
            assert!(status.contains("? help") && status.contains("Tab pane"), "{pressed} at {size:?}: {status}");
            assert!(status.ends_with("q quit"), "{pressed} at {size:?}: {status}");
        }
    }
    for (pressed, names, other) in [
        ("1", "d remove", "B ban"),
        ("3", "Enter open  + connect  B ban  X kick  s sort  a add", "fold"),
        ("4", "Space toggle  + more  - less  Enter fold  F only", "B ban"),
        ("5", "t announce  a add tracker  d remove", "a add  "),
        ("5 Tab", "a add  ", "t announce"),
    ] {
        let status = status((80, 24), pressed);
        assert!(status.contains(names) && !status.contains(other), "{pressed}: {status}");
    }
}

#[test]
fn settings_of_the_interface_hold_at_once() {
    let snapshot = world();
    let mut model = fresh(&snapshot);
    let row = |model: &App, word: &str| {
        let shown = text(&draw(model, &snapshot));
        shown.lines().any(|line| line.starts_with(" >") && line.contains(word))
    };
    keys(&mut model, &snapshot, ",");
    for (word, check) in [
        ("theme", Box::new(|m: &App| m.state.theme.name == ThemeName::Dark) as Box<dyn Fn(&App) -> bool>),
        ("on completion", Box::new(|m: &App| m.state.options.notify == ttui::config::interface::Notify::Off)),
        ("window title", Box::new(|m: &App| !m.state.options.title)),
        ("mouse", Box::new(|m: &App| m.state.outbox.contains(&Effect::Mouse(false)))),
        ("ASCII only", Box::new(|m: &App| m.state.theme.ascii)),
    ] {
        for _ in 0..40 {
            if row(&model, word) {
                break;
            }
            keys(&mut model, &snapshot, "Down");
        }
        assert!(row(&model, word), "{word}");
        keys(&mut model, &snapshot, "Space");
        if word == "theme" {
            keys(&mut model, &snapshot, "Space Left");
        }
        assert!(check(&model), "{word}");
    }
}

#[test]
fn the_files_of_a_magnet_are_chosen_when_they_are_known() {
    let snapshot = world();
    let (id, _) = snapshot.torrents[0];
    let asks = |pressed: &str, words: &str| {
        let mut model = fresh(&snapshot);
        // It waits behind what is being typed.
        keys(&mut model, &snapshot, "a 'x");
        update(&mut model, Message::Event(Event::FilesKnown { id, contents: Box::new(contents()) }), &snapshot);
        keys(&mut model, &snapshot, "Esc");
        let shown = text(&draw(&model, &snapshot));
        assert!(shown.contains("files of film") && shown.contains("6 of 6 files"), "{shown}");
        let asked = format!("{:?}", play(&mut model, &snapshot, pressed));
        assert!(model.dialogs.is_empty() && asked.contains(words), "{asked}");
    };
    asks("Enter", "SelectFiles { id: TorrentId(1), priorities: [] }");
    asks(
        "/ '*.srt Enter Enter",
        "SelectFiles { id: TorrentId(1), priorities: [(0, Skip), (1, Skip), (2, Skip), (5, Skip)] }",
    );
    asks("Esc", "Pause(TorrentId(1))");
    // The question may be here before the list that has its torrent, and goes with the torrent.
    let mut gone = snapshot.clone();
    gone.torrents.clear();
    let mut model = fresh(&gone);
    update(&mut model, Message::Event(Event::FilesKnown { id, contents: Box::new(contents()) }), &gone);
    for (snapshot, asked) in [(&gone, 1), (&snapshot, 1), (&gone, 0)] {
        update(&mut model, Message::Snapshot, snapshot);
        assert_eq!(model.dialogs.len(), asked);
    }
}

#[test]
fn themes_go_round_and_help_is_searched() {
    let snapshot = world();
    let mut model = fresh(&snapshot);
    let mut seen = vec![model.state.theme.name];
    let mut kept = Vec::new();
    let round = 4 + ttui::config::themes::FILES.len();
    for _ in 0..round {
        kept.extend(keys(&mut model, &snapshot, "T"));
        seen.push(model.state.theme.name);
    }
    assert_eq!(seen[0], seen[round]);
    // It is kept for the next start; that of this terminal is kept as what fits the terminal.
    model.state.options.detected_theme = ThemeName::Light;
    kept.extend(keys(&mut model, &snapshot, &vec!["T"; round].join(" ")));
    let kept: Vec<String> = kept.iter().map(|command| format!("{command:?}")).collect();
    let wrote = |word: &str| format!("UpdateConfig([Setting {{ key: \"theme\", value: Some(\"\\\"{word}\\\"\") }}])");
    let auto = "UpdateConfig([Setting { key: \"theme\", value: None }])".to_owned();
    let words: Vec<String> = ttui::config::themes::NAMES.iter().map(|name| wrote(name)).collect();
    assert_eq!(kept.iter().filter(|it| **it == auto).count(), 2, "{kept:?}");
    assert!(kept.len() == 2 * round && kept.iter().all(|it| *it == auto || words.contains(it)), "{kept:?}");
    keys(&mut model, &snapshot, "? / 'magnet");
    let shown = text(&draw(&model, &snapshot));
    assert!(shown.contains("copy magnet link") && !shown.contains("pause or resume"), "{shown}");
    keys(&mut model, &snapshot, "Esc / 's 'n 'u 'b");
    let shown = text(&draw(&model, &snapshot));
    assert!(
        shown.contains("Peer flags") && shown.contains("no requested blocks") && !shown.contains("magnet"),
        "{shown}"
    );
    keys(&mut model, &snapshot, "Enter Esc");
    assert_eq!(model.dialogs.len(), 1, "the first Esc clears the search");
    keys(&mut model, &snapshot, "Esc");
    assert!(model.dialogs.is_empty());
}

#[test]
fn changed_keys_are_shown_wherever_keys_are() {
    let snapshot = world();
    let mut model = model(100, 24, ThemeName::Plain, &snapshot);
    let table = BTreeMap::from([
        ("pause".to_owned(), vec!["F5".to_owned()]),
        ("help".to_owned(), vec!["H".to_owned()]),
        ("quit".to_owned(), vec!["^x".to_owned()]),
    ]);
    let (keymap, faults) = Keymap::new(&table);
    assert!(faults.is_empty(), "{faults:?}");
    model.state.keymap = keymap;
    let shown = text(&draw(&model, &snapshot));
    let status = shown.lines().last().unwrap();
    assert!(status.contains("F5 pause") && status.contains("^x quit") && status.contains("H help"), "{status}");
    assert!(
        format!("{:?}", keys(&mut model, &snapshot, "p")).is_empty() || keys(&mut model, &snapshot, "p").is_empty()
    );
    keys(&mut model, &snapshot, "H");
    assert!(text(&draw(&model, &snapshot)).contains("F5       pause or resume"));
    keys(&mut model, &snapshot, "Esc : 'pause");
    assert!(text(&draw(&model, &snapshot)).contains("F5    pause or resume"));
}

/// Keys that open what a binding of a dialog is for, and make it do something.
fn keys_before(binding: &Binding) -> &'static str {
    match (binding.place, binding.act) {
        (KeyContext::Dialogs, _) => ": 'verify",
        (KeyContext::Questions, Action::Dialog(DialogAction::Yes)) => "q",
        (KeyContext::Questions, _) => "d",
        (KeyContext::Messages, _) => "w",
        (KeyContext::Forms, _) => "a Down Down",
        (KeyContext::Options, Action::Edit(EditAction::Right)) => "a Down Down",
        (KeyContext::Options, _) => "a Down Down Right",
        (KeyContext::Text, Action::Edit(EditAction::Right | EditAction::End)) => "a 'ab Home",
        (KeyContext::Text, Action::Edit(EditAction::DeleteRight | EditAction::DeleteToEnd)) => "a 'ab Home",
        (KeyContext::Text, _) => "a 'ab",
        (KeyContext::Search, _) => ": PgDn Down",
        (KeyContext::Picker, Action::Nav(NavAction::Last)) => "a ^o",
        (KeyContext::Picker, _) => "a ^o Down",
        (KeyContext::FileSelect, _) => "a 'film.torrent Enter",
        (KeyContext::Settings, _) => ", Down Down Down Down Down",
        (KeyContext::Columns, _) => "C Down Down",
        (KeyContext::Help, _) => "?",
        (place, _) => panic!("no dialog for {place:?}"),
    }
}

#[test]
fn no_key_of_a_dialog_is_without_effect() {
    let snapshot = world();
    let seen = |app: &App| {
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        terminal.draw(|frame| view(app, &snapshot, frame)).unwrap();
        (terminal.get_cursor_position().unwrap(), terminal.backend().buffer().clone())
    };
    for binding in KEYS.iter().filter(|binding| binding.place.is_dialog()) {
        for key in binding.all_keys() {
            let mut model = fresh(&snapshot);
            if binding.place == KeyContext::Share {
                let (path, magnet) = ("/data/me/x.torrent".into(), "magnet:?xt=urn:btih:d5d5".into());
                model.dialogs.push(CreateDialog::made(Created { path, magnet, lan: false }));
            } else {
                play(&mut model, &snapshot, keys_before(binding));
            }
            model.state.outbox.clear();
            let before = seen(&model);
            let asked = update(&mut model, Message::Key(key), &snapshot);
            let told = !asked.is_empty() || !model.state.outbox.is_empty() || model.state.quit;
            assert!(told || before != seen(&model), "{key:?} for {:?} in {:?}", binding.act, binding.place);
        }
    }
}

#[test]
fn keys_of_dialogs_can_be_changed() {
    let snapshot = world();
    let mut model = fresh(&snapshot);
    let table = BTreeMap::from([
        ("close".to_owned(), vec!["F9".to_owned()]),
        ("confirm".to_owned(), vec!["F2".to_owned()]),
        ("browse".to_owned(), vec![]),
        ("switch-answer".to_owned(), vec!["x".to_owned()]),
    ]);
    let (keymap, faults) = Keymap::new(&table);
    assert!(faults.is_empty(), "{faults:?}");
    model.state.keymap = keymap;
    let press = |model: &mut App, key| update(model, Message::Key(key), &snapshot);
    let buttons = |model: &App| text(&draw(model, &snapshot)).lines().last().unwrap().trim().to_owned();
    keys(&mut model, &snapshot, "d x");
    assert_eq!(buttons(&model), "F2 remove   x switch   F9 cancel");
    assert!(keys(&mut model, &snapshot, "Enter Esc").is_empty() && model.dialogs.len() == 1, "they mean nothing now");
    assert!(matches!(press(&mut model, Key::F(2))[..], [Command::Remove { data: true, .. }]));
    // A letter is typed where text is; an action without a key can still be clicked.
    keys(&mut model, &snapshot, "a x");
    assert_eq!(buttons(&model), "F2 add   Tab complete   browse   down next field   F9 cancel");
    update(&mut model, Message::Click(27, 23), &snapshot);
    assert!(matches!(&model.state.outbox[..], [Effect::List(_)]), "{:?}", model.state.outbox);
    press(&mut model, Key::F(9));
    assert!(model.dialogs.top::<AddDialog>().is_some_and(|add| add.what.text() == "x"));
    press(&mut model, Key::F(9));
    assert!(model.dialogs.is_empty());
}

#[test]
fn a_click_hits_what_was_drawn_last_and_nothing_before() {
    let snapshot = world();
    let mut model = fresh(&snapshot);
    keys(&mut model, &snapshot, "d");
    let remove = |model: &mut App| update(model, Message::Click(3, 23), &snapshot);
    assert!(remove(&mut model).is_empty() && model.dialogs.len() == 1, "it has not been drawn yet");
    draw(&model, &snapshot);
    assert!(matches!(remove(&mut model)[..], [Command::Remove { .. }]));
    // A second click comes before the next dialog is seen.
    keys(&mut model, &snapshot, "d");
    assert!(remove(&mut model).is_empty() && model.dialogs.len() == 1);
}

#[test]
fn the_mouse_does_what_is_written_where_it_points() {
    let snapshot = world();
    let click = |model: &mut App, word: &str| {
        let shown = text(&draw(model, &snapshot));
        let (y, line) = shown.lines().enumerate().filter(|(_, line)| line.contains(word)).last().unwrap();
        let x = line.split(word).next().unwrap().chars().count();
        update(model, Message::Click(x as u16, y as u16), &snapshot)
    };
    let mut model = fresh(&snapshot);
    keys(&mut model, &snapshot, "d");
    click(&mut model, "delete the data");
    assert!(model.dialogs.top::<ChoiceDialog>().is_some_and(|removal| removal.second));
    assert!(
        update(&mut model, Message::Click(3, 3), &snapshot).is_empty() && model.dialogs.len() == 1,
        "outside is nothing"
    );
    let asked = click(&mut model, "Enter remove");
    assert!(matches!(asked[..], [Command::Remove { data: true, .. }]), "{asked:?}");
    assert!(model.dialogs.is_empty());
    keys(&mut model, &snapshot, ":");
    click(&mut model, "verify: rehash all");
    let asked = click(&mut model, "verify: rehash all");
    assert_eq!(asked.len(), 1, "{asked:?}");
    play(&mut model, &snapshot, "a");
    click(&mut model, "start paused");
    click(&mut model, "Esc cancel");
    assert!(model.dialogs.is_empty());
    play(&mut model, &snapshot, "a ^o");
    click(&mut model, "Films/");
    click(&mut model, "Films/");
    assert_eq!(model.state.outbox, [Effect::List("/data/me/Films".into())]);
    keys(&mut model, &snapshot, "Esc Esc ,");
    update(&mut model, Message::Wheel(4, 20, 1), &snapshot);
    assert!(text(&draw(&model, &snapshot)).contains(" > upload limit"));
}

#[test]
fn the_palette_opens_a_tab_before_it_does_something_to_a_line_of_it() {
    let snapshot = world();
    let mut model = fresh(&snapshot);
    let asked = keys(&mut model, &snapshot, ": 'tracker-remove Enter");
    assert!(asked.is_empty() && model.dialogs.is_empty());
    assert_eq!((model.state.tab, model.state.pane), (ttui::ui::keys::context::Tab::Trackers, Focus::Detail));
    keys(&mut model, &snapshot, ": 'tracker-remove Enter");
    assert!(matches!(model.dialogs.top(), Some(ConfirmDialog::RemoveTracker { .. })));
}

#[test]
fn files_in_the_way_are_kept_unless_the_user_says_otherwise() {
    let snapshot = world();
    let id = snapshot.torrents[0].0;
    let text_of = "/data/x.bin was there before, and nothing in it is this torrent's".to_owned();
    let occupied =
        |text: &str, ask| Message::Event(Event::Occupied { id, name: "film".into(), text: text.to_owned(), ask });
    for (typed, yes) in [
        ("Enter", false),
        ("Esc", false),
        ("q", false),
        ("n", false),
        ("Tab Tab Enter", false),
        ("j k Enter", false),
        ("Tab Enter", true),
        ("Down Enter", true),
        ("j Space Space Enter", true),
    ] {
        let mut model = fresh(&snapshot);
        update(&mut model, occupied(&text_of, true), &snapshot);
        let shown = text(&draw(&model, &snapshot));
        assert!(shown.contains("film: overwrite existing files?") && shown.contains("keep them"), "{shown}");
        let asked = keys(&mut model, &snapshot, typed);
        let said = asked.iter().any(|asked| matches!(asked, Command::Overwrite(of) if *of == id));
        assert_eq!(said, yes, "{typed}: {asked:?}");
        assert!(model.dialogs.is_empty(), "{typed}");
    }
    // What belongs to another torrent is not asked about; what has gone is not either.
    let mut model = fresh(&snapshot);
    update(&mut model, occupied("it belongs to another", false), &snapshot);
    assert!(model.dialogs.top::<MessageDialog>().is_some());
    keys(&mut model, &snapshot, "Esc");
    update(&mut model, occupied(&text_of, true), &snapshot);
    update(&mut model, Message::Snapshot, &Snapshot::default());
    assert!(model.dialogs.is_empty());
    // It may be told of before a snapshot shows the torrent.
    update(&mut model, occupied(&text_of, true), &Snapshot::default());
    update(&mut model, Message::Snapshot, &Snapshot::default());
    update(&mut model, Message::Snapshot, &snapshot);
    assert!(model.dialogs.top::<ChoiceDialog>().is_some());
    keys(&mut model, &snapshot, "Esc");
    // The answer can be given later, where there is something to be answered.
    let mut snapshot = snapshot;
    for (fault, asks) in [(None, false), (Some(FaultKind::Taken), false), (Some(FaultKind::Occupied), true)] {
        let view = &mut snapshot.torrents[0].1;
        (view.error, view.fault) = (Some(text_of.clone()), fault);
        model.state.selected = Some(id);
        keys(&mut model, &snapshot, ": 'overwrite Enter");
        assert_eq!(model.dialogs.top::<ChoiceDialog>().is_some(), asks, "{fault:?}");
    }
    assert!(matches!(keys(&mut model, &snapshot, "Tab Enter")[..], [Command::Overwrite(of)] if of == id));
}

#[test]
fn long_texts_are_read_to_their_end() {
    let mut snapshot = world();
    let failed = |n| TrackerStatus::Failed(format!("value {n}"));
    let tracker = |n| TrackerState { url: format!("label {n}"), status: failed(n), failed: true };
    snapshot.torrents[0].1.why.facts.as_mut().unwrap().trackers = (1..30).map(tracker).collect();
    let mut model = model(40, 12, ThemeName::Plain, &snapshot);
    keys(&mut model, &snapshot, "w");
    assert!(!text(&draw(&model, &snapshot)).contains("value 29"));
    keys(&mut model, &snapshot, "End");
    assert!(text(&draw(&model, &snapshot)).contains("value 29"));
    keys(&mut model, &snapshot, "PgUp Up k g");
    assert!(text(&draw(&model, &snapshot)).contains("27 of 38"));
    update(&mut model, Message::Wheel(1, 5, 1), &snapshot);
    assert!(!text(&draw(&model, &snapshot)).contains("27 of 38"), "one line further");
    keys(&mut model, &snapshot, "^l");
    assert!(model.state.redraw && model.dialogs.len() == 1, "it can be drawn anew with a dialog in front");
    keys(&mut model, &snapshot, "w");
    assert!(model.dialogs.is_empty());
}

#[test]
fn the_help_is_walked() {
    let snapshot = world();
    let mut model = fresh(&snapshot);
    let shows = |model: &App, word: &str| text(&draw(model, &snapshot)).contains(word);
    keys(&mut model, &snapshot, "?");
    assert!(shows(&model, "add a torrent") && shows(&model, "Selected torrent"));
    keys(&mut model, &snapshot, "G");
    assert!(!shows(&model, "optimistic unchoke"), "at first only what can be done here");
    keys(&mut model, &snapshot, "?");
    assert!(shows(&model, "add a torrent") && !shows(&model, "save everything and quit"));
    keys(&mut model, &snapshot, "G");
    assert!(!shows(&model, "add a torrent") && shows(&model, "optimistic unchoke"));
    keys(&mut model, &snapshot, "PgUp PgUp PgUp PgUp PgUp PgUp PgUp PgUp PgUp PgUp");
    assert!(shows(&model, "add a torrent"));
    keys(&mut model, &snapshot, "Down j Space PgDn g");
    assert!(shows(&model, "add a torrent"));
    keys(&mut model, &snapshot, "?");
    assert!(model.dialogs.is_empty());
}

#[test]
fn folders_are_walked_with_the_arrow_keys() {
    let snapshot = world();
    let mut model = fresh(&snapshot);
    let folder = |model: &App| text(&draw(model, &snapshot)).lines().nth(2).unwrap().trim().to_owned();
    play(&mut model, &snapshot, "a ^o");
    assert_eq!(folder(&model), "~");
    play(&mut model, &snapshot, "Down Right");
    assert_eq!(folder(&model), "~/Films");
    play(&mut model, &snapshot, "Left");
    assert_eq!(folder(&model), "/data");
    play(&mut model, &snapshot, "~");
    assert_eq!(folder(&model), "~");
    play(&mut model, &snapshot, "Backspace");
    assert_eq!(folder(&model), "/data");
}

#[test]
fn every_dialog_at_every_size() {
    let snapshot = world();
    let stories = [
        ("add", "a '~/Downloads/deb Tab"),
        ("add_error", "a 'bad Enter"),
        ("add_magnet", "a 'magnet:?xt=urn:btih:d5d5 BackTab"),
        ("choose", "a 'film.torrent Enter Down Down Space Down"),
        ("browse", "a ^o 'deb Down"),
        ("remove", "d Down"),
        ("move", "m '~/Fi"),
        ("peers", "3 + '192.0.2.7 Enter"),
        ("palette", ": 'mag"),
        ("settings", ", Down Down Enter '12"),
        ("help", "?"),
        ("untrack", "5 d"),
        ("quit", "q"),
    ];
    for (width, height) in [(40, 12), (80, 24), (120, 36), (200, 50)] {
        for (name, pressed) in stories {
            let mut model = model(width, height, ThemeName::Plain, &snapshot);
            play(&mut model, &snapshot, pressed);
            insta::assert_snapshot!(format!("{name}_{width}x{height}"), text(&draw(&model, &snapshot)));
        }
    }
}
