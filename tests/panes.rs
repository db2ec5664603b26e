//! The panes: before, keys, after, for every key of theirs, and what each shows at every size.

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
    Command, Detail, DiskFault, FaultKind, PieceProgress, Reason, Setting, Snapshot, Source, SourceRow, SourceStatus,
    State, TorrentCommand, TorrentId, TorrentMeta, TrackerStatus,
};
use ttui::swarm::dht::LookupSummary;
use ttui::swarm::reason::{MetadataReason, MetadataSource};
use ttui::swarm::status::PexReceived;
use ttui::ui::app::model::App;
use ttui::ui::app::update::update;
use ttui::ui::keys::context::Tab;
use ttui::ui::state::app::{Focus, Message};
use ttui::ui::state::columns::{PeerColumn, TorrentColumn};
use ttui::ui::state::detail::StateFilter;
use ttui::ui::state::rate_history::Span;
use ttui::ui::theme::style::{Theme, ThemeName};

use support::screen::{draw, keys, model, text};
use support::snapshots::{busy, crowd, download, empty, library, other, seed, stuck, world};

const SIZES: [(u16, u16); 4] = [(40, 12), (80, 24), (120, 36), (200, 50)];

fn start(snapshot: &Snapshot) -> App {
    model(80, 24, ThemeName::Plain, snapshot)
}

fn shown(model: &App, snapshot: &Snapshot) -> String {
    text(&draw(model, snapshot))
}

/// Before, keys, after: what the engine is asked to do.
#[test]
fn keys_ask_the_engine_for_what_they_say() {
    let table: &[(&str, &[&str])] = &[
        // Marks: what follows is done to all of them.
        ("Space", &["Focus"]),
        ("Space Down Space p", &["Focus", "Focus", "Focus", "Pause(TorrentId(1))", "Pause(TorrentId(3))"]),
        ("G Up Up Space p", &["Focus", "Focus", "Focus", "Focus", "Resume(TorrentId(5))"]),
        ("* * p", &["Pause(TorrentId(1))"]),
        ("/ b a c k Enter * Esc v", &["Focus", "Torrent(TorrentId(3), Verify)"]),
        ("Space Space / b a c k Enter v", &["Focus", "Focus", "Torrent(TorrentId(3), Verify)"]),
        (
            "Space Space t",
            &["Focus", "Focus", "Torrent(TorrentId(1), Announce(None))", "Torrent(TorrentId(2), Announce(None))"],
        ),
        // The share of the limits, and the place in the queue.
        ("+", &["SetBandwidthPriority(TorrentId(1), High)"]),
        ("-", &["SetBandwidthPriority(TorrentId(1), Low)"]),
        ("J", &["Queue(TorrentId(1), Down)"]),
        ("K", &[]),
        ("Down K", &["Focus", "Queue(TorrentId(2), Up)"]),
        ("Space Space J", &["Focus", "Focus", "Queue(TorrentId(2), Down)", "Queue(TorrentId(1), Down)"]),
        ("Space Space K", &["Focus", "Focus"]),
        ("G J", &["Focus"]),
        // Limits go in steps.
        ("[", &["Torrent(TorrentId(1), Limits { down: Some(10000000), up: None })"]),
        ("]", &["Torrent(TorrentId(1), Limits { down: None, up: None })"]),
        ("{", &["Torrent(TorrentId(1), Limits { down: None, up: Some(10000000) })"]),
        ("}", &["Torrent(TorrentId(1), Limits { down: None, up: None })"]),
        // Ways to fetch and to give.
        ("e", &["Torrent(TorrentId(1), Sequential(true))"]),
        ("x", &[]),
        ("Down x", &["Focus", "Torrent(TorrentId(2), SuperSeed(true))"]),
        // Peers.
        ("Tab Down Enter", &["Torrent(TorrentId(1), Inspect { peer: Some(PeerKey("]),
        (
            "Tab Down Enter Esc",
            &["Torrent(TorrentId(1), Inspect { peer: Some(PeerKey(", "Torrent(TorrentId(1), Inspect { peer: None"],
        ),
        (
            "Tab Down Enter Down",
            &["Torrent(TorrentId(1), Inspect { peer: Some", "Torrent(TorrentId(1), Inspect { peer: Some"],
        ),
        ("Tab Enter", &["Torrent(TorrentId(1), Inspect { peer: Some(PeerKey("]),
        ("Tab Down X", &["Torrent(TorrentId(1), Kick(PeerKey("]),
        ("Tab Down B Enter", &["Torrent(TorrentId(1), Ban(PeerKey("]),
        // Pieces: the cursor tells the engine which piece is looked at.
        ("2", &["Torrent(TorrentId(1), Inspect { peer: None, piece: Some("]),
        (
            "2 Home Right Right Left",
            &["Torrent", "Torrent", "Torrent", "Torrent", "Torrent(TorrentId(1), Inspect { peer: None, piece: Some(1)"],
        ),
        ("2 G", &["Torrent", "Torrent(TorrentId(1), Inspect { peer: None, piece: Some(1995)"]),
        ("2 1", &["Torrent", "Torrent(TorrentId(1), Inspect { peer: None, piece: None"]),
        // Files: on a folder, all in it.
        ("4 +", &["Torrent(TorrentId(1), Priority([(2, High), (0, High), (3, Normal), (4, Low)]))"]),
        ("4 -", &["Torrent(TorrentId(1), Priority([(1, Normal), (2, Low), (0, Low), (3, Skip)]))"]),
        ("4 =", &["Torrent(TorrentId(1), Priority([(1, Normal), (3, Normal), (4, Normal)]))"]),
        ("4 Down Space", &["Torrent(TorrentId(1), Priority([(1, Skip), (2, Skip)]))"]),
        ("4 Down Enter Down Space", &["Torrent(TorrentId(1), Priority([(0, Skip)]))"]),
        ("4 Down Enter Enter Down Space", &["Torrent(TorrentId(1), Priority([(1, Skip)]))"]),
        ("4 G -", &[]),
        // Trackers.
        ("5 t", &["Torrent(TorrentId(1), Announce(Some(0)))"]),
        ("5 Down t", &["Torrent(TorrentId(1), Announce(Some(1)))"]),
    ];
    let snapshot = busy();
    for (pressed, expected) in table {
        let mut model = start(&snapshot);
        let commands: Vec<String> = keys(&mut model, &snapshot, pressed).iter().map(|c| format!("{c:?}")).collect();
        assert_eq!(commands.len(), expected.len(), "{pressed}: {commands:?}");
        for (command, start) in commands.iter().zip(*expected) {
            assert!(command.starts_with(start), "{pressed}: {commands:?}");
        }
    }
}

/// Before, keys, after: what the model is.
#[test]
fn keys_change_what_is_seen() {
    let snapshot = busy();
    let after = |pressed: &str| {
        let mut model = start(&snapshot);
        keys(&mut model, &snapshot, pressed);
        model.state
    };
    assert_eq!(after("s").sort, TorrentColumn::Name);
    assert_eq!(after("s s").sort, TorrentColumn::Size);
    assert!(after("S").reverse);
    assert_eq!(after("Tab s").peer_sort, PeerColumn::Address);
    assert!(after("Tab S").peer_reverse);
    assert_eq!(after("f").panes.only, StateFilter::Downloading);
    assert_eq!(after("f Esc").panes.only, StateFilter::All);
    assert_eq!(after("f f f f f f f f").panes.only, StateFilter::All);
    assert_eq!(after("r").panes.span, Span::FiveMinutes);
    assert!(after("R").panes.graph_all);
    assert!(after("6 L").panes.log_all);
    assert!(!after("6 L L").panes.log_all);
    assert!(after("~").panes.hidden.on());
    assert!(!after("~ ~").panes.hidden.on());
    assert_eq!(after("Space Space Esc").panes.marks.len(), 0);
    assert!(after("z").zoom);
    assert_eq!((after("Tab").pane, after("2").tab), (Focus::Detail, Tab::Pieces));
}

/// The columns dialog: each change is seen at once, and saved.
#[test]
fn columns_are_chosen_on_the_screen_and_saved() {
    let snapshot = busy();
    let mut model = start(&snapshot);
    let saved = |model: &mut App, pressed: &str| match keys(model, &snapshot, pressed).as_slice() {
        [Command::UpdateConfig(values)] => values.clone(),
        other => panic!("{pressed}: {other:?}"),
    };
    let titles = |model: &App| shown(model, &snapshot).lines().nth(1).unwrap_or_default().to_owned();
    assert!(titles(&model).contains("Size"), "{}", titles(&model));
    let values = saved(&mut model, "C Down Down Space");
    assert_eq!(values[0].key, "torrent-columns");
    assert!(
        values[0].value.as_ref().is_some_and(|names| names.starts_with(r#"["queue", "name", "progress", "done","#))
    );
    assert!(!titles(&model).contains("Size"), "{}", titles(&model));
    insta::assert_snapshot!("columns_80x24", shown(&model, &snapshot));
    assert_eq!(saved(&mut model, "Del"), [Setting { key: "torrent-columns".to_owned(), value: None }]);
    assert!(titles(&model).contains("Size"), "the usual columns: {}", titles(&model));
    // With the focus on the peers, it is about their columns. J moves a column to the right.
    let values = saved(&mut model, "Esc Tab C J");
    assert_eq!(values[0].key, "peer-columns");
    assert!(values[0].value.as_ref().is_some_and(|names| names.starts_with(r#"["client", "address", "flags","#)));
    // The last column stays.
    let all = vec!["Space"; 14].join(" Down ");
    keys(&mut model, &snapshot, &format!("Home {all}"));
    assert_eq!(model.state.options.peer_columns.len(), 1);
    assert!(shown(&model, &snapshot).contains("at least one column has to be shown"));
}

#[test]
fn the_list_is_walked_through_by_lines_pages_and_ends() {
    let snapshot = crowd();
    let mut model = start(&snapshot);
    let page = 6;
    let stories = [
        ("j", 1),
        ("k", 0),
        ("Down", 1),
        ("PgDn", 1 + page),
        ("^d", 1 + page + page / 2),
        ("^u", 1 + page),
        ("PgUp", 1),
        ("G", 499),
        ("Down", 499),
        ("g", 0),
        ("Up", 0),
        ("End", 499),
        ("Home", 0),
    ];
    for (pressed, row) in stories {
        keys(&mut model, &snapshot, pressed);
        assert_eq!(model.state.row(&snapshot), Some(row), "after {pressed}");
        let name = &model.state.chosen(&snapshot).unwrap().name;
        assert!(shown(&model, &snapshot).contains(name.as_str()), "{name} is seen");
    }
}

#[test]
fn marks_are_of_what_is_seen() {
    let snapshot = busy();
    let mut model = start(&snapshot);
    assert_eq!(model.state.targets(&snapshot), [TorrentId(1)], "without marks, the chosen one");
    keys(&mut model, &snapshot, "*");
    assert_eq!(model.state.targets(&snapshot).len(), 7);
    keys(&mut model, &snapshot, "f");
    assert_eq!(model.state.targets(&snapshot), [TorrentId(1), TorrentId(3)], "what is not shown is not meant");
    assert!(shown(&model, &snapshot).contains("downloading 2/7"));
    let mut less = snapshot.clone();
    less.torrents.remove(0);
    update(&mut model, Message::Snapshot, &less);
    assert!(!model.state.panes.marks.contains(&TorrentId(1)), "what is gone is not marked");
}

#[test]
fn what_was_found_is_walked_through() {
    let snapshot = busy();
    let mut model = start(&snapshot);
    keys(&mut model, &snapshot, "/ i s o Enter");
    assert_eq!(model.state.rows.len(), 2);
    let mut seen = Vec::new();
    for pressed in ["n", "n", "N"] {
        keys(&mut model, &snapshot, pressed);
        seen.push(model.state.selected.unwrap().0);
    }
    assert_eq!(seen, [4, 1, 4], "round at the ends");
    keys(&mut model, &snapshot, "Esc n");
    assert!(shown(&model, &snapshot).contains("no search text"));
}

#[test]
fn each_state_can_be_seen_alone() {
    let snapshot = busy();
    let mut model = start(&snapshot);
    let mut counts = Vec::new();
    for _ in StateFilter::ALL {
        keys(&mut model, &snapshot, "f");
        counts.push((model.state.panes.only.word(), model.state.rows.len()));
    }
    let expected = [
        ("downloading", 2),
        ("seeding", 1),
        ("active", 3),
        ("paused", 1),
        ("queued", 1),
        ("checking", 1),
        ("error", 1),
        ("all", 7),
    ];
    assert_eq!(counts, expected);
}

#[test]
fn the_peers_can_be_sorted_by_every_column_and_stay_put() {
    let snapshot = busy();
    let mut model = model(200, 50, ThemeName::Dark, &snapshot);
    keys(&mut model, &snapshot, "Tab z");
    let mut seen = vec![model.state.peer_sort];
    loop {
        keys(&mut model, &snapshot, "s");
        if seen.contains(&model.state.peer_sort) {
            break;
        }
        seen.push(model.state.peer_sort);
        let before = model.state.peer_keys.clone();
        update(&mut model, Message::Snapshot, &snapshot);
        assert_eq!(model.state.peer_keys, before, "{:?} holds still", model.state.peer_sort);
    }
    assert_eq!(seen.len(), 15, "{seen:?}");
}

#[test]
fn a_peer_that_leaves_while_it_is_open_says_why() {
    let mut snapshot = busy();
    let mut model = start(&snapshot);
    keys(&mut model, &snapshot, "Tab Down Enter");
    let open = model.state.panes.open.unwrap();
    assert!(shown(&model, &snapshot).contains("we unchoked the peer"));
    let detail = snapshot.torrents[0].1.detail.as_mut().unwrap();
    detail.peers.retain(|row| row.key != open.key);
    detail.disconnected[3].addr = open.addr;
    update(&mut model, Message::Snapshot, &snapshot);
    let now = shown(&model, &snapshot);
    assert!(now.contains("disconnected") && now.contains("no mutual interest"), "{now}");
    keys(&mut model, &snapshot, "q");
    assert!(model.state.panes.open.is_none() && !model.state.quit);
}

/// Where nobody is connected, each source's last answer is read; that of the trackers also before they named anybody.
#[test]
fn what_the_trackers_answered_is_read_where_nobody_is_connected() {
    let mut snapshot = world(vec![stuck("debian")]);
    let detail = snapshot.torrents[0].1.detail.as_mut().unwrap();
    detail.sources.retain(|row| row.source == Source::Pex);
    detail.trackers.truncate(2);
    detail.trackers[0].failed = false;
    detail.trackers[1].url = "udp://tracker.example.org:6969/announce".into();
    (detail.trackers[1].failed, detail.trackers[1].status) = (true, TrackerStatus::Failed("connection refused".into()));
    let line = |snapshot: &Snapshot| {
        let shown = shown(&start(snapshot), snapshot);
        let line = shown.lines().find(|line| line.starts_with("   trackers")).unwrap_or_else(|| panic!("{shown}"));
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line(&snapshot), "trackers 0 0 0 connection refused (tracker.example…");
    snapshot.torrents[0].1.detail.as_mut().unwrap().trackers.remove(0);
    assert_eq!(line(&snapshot), "trackers 0 0 0 connection refused");
}

#[test]
fn the_engine_is_asked_again_when_it_does_not_tell() {
    let mut snapshot = busy();
    let mut model = start(&snapshot);
    keys(&mut model, &snapshot, "2");
    snapshot.torrents[0].1.detail.as_mut().unwrap().piece = None;
    assert!(update(&mut model, Message::Snapshot, &snapshot).is_empty(), "not at once");
    update(&mut model, Message::Tick(Duration::from_secs(4)), &snapshot);
    let asked = update(&mut model, Message::Snapshot, &snapshot);
    assert!(format!("{asked:?}").contains("Inspect"), "{asked:?}");
    assert!(update(&mut model, Message::Snapshot, &snapshot).is_empty());
}

#[test]
fn hidden_names_are_nowhere() {
    let mut snapshot = busy();
    let text = "192.0.2.17:51413 gives debian-13.1.0-amd64-DVD-1.iso".into();
    snapshot.torrents[0].1.why = Reason::Fault(DiskFault { kind: FaultKind::Final, text }).into();
    for (width, height) in SIZES {
        for pressed in ["1", "2", "3", "3 Down Enter", "4", "5", "6", "6 L", "w", "d", "m", "5 a", "5 d"] {
            let mut model = model(width, height, ThemeName::Plain, &snapshot);
            keys(&mut model, &snapshot, "~");
            keys(&mut model, &snapshot, pressed);
            let shown = shown(&model, &snapshot);
            let secret = [
                "debian",
                "example",
                "holiday",
                "192.0.2",
                "203.0.113",
                "2001:db8",
                "Bunny",
                "magnet:",
                "d5d5d5",
                "firmware",
            ];
            for word in secret {
                assert!(!shown.contains(word), "{word} after {pressed} at {width}x{height}:\n{shown}");
            }
            let peers = snapshot.torrents[0].1.detail.as_ref().unwrap().peers.iter();
            for ip in peers.map(|row| row.addr.ip().to_string()) {
                assert!(!shown.contains(&ip), "{ip} after {pressed} at {width}x{height}");
            }
        }
    }
}

#[test]
fn hidden_names_are_nowhere_where_nobody_is_connected() {
    let snapshot = world(vec![stuck("debian-13.1.0-amd64-DVD-1.iso")]);
    for (width, height) in SIZES {
        for pressed in ["1", "3", "5", "w"] {
            let mut model = model(width, height, ThemeName::Plain, &snapshot);
            keys(&mut model, &snapshot, "~");
            keys(&mut model, &snapshot, pressed);
            let shown = shown(&model, &snapshot);
            for word in ["debian", "example", "192.0.2", "203.0.113", "2001:db8"] {
                assert!(!shown.contains(word), "{word} after {pressed} at {width}x{height}:\n{shown}");
            }
        }
    }
}

#[test]
fn ten_thousand_files_are_walked_through() {
    let snapshot = world(vec![library(10_000)]);
    let mut model = start(&snapshot);
    keys(&mut model, &snapshot, "4");
    assert_eq!(model.state.panes.tree.len(), 101);
    keys(&mut model, &snapshot, "Down Enter G");
    assert_eq!(model.state.cursor[Tab::Files as usize], 200);
    let now = shown(&model, &snapshot);
    assert!(now.contains("shelf 099"), "{now}");
    keys(&mut model, &snapshot, "Home Down Down Space");
    assert!(shown(&model, &snapshot).contains("book 00000"));
}

#[test]
fn the_mouse_chooses_in_every_pane() {
    let snapshot = busy();
    let mut model = model(120, 36, ThemeName::Plain, &snapshot);
    let place = |model: &App, word: &str, after: &str| {
        let now = shown(model, &snapshot);
        let lines: Vec<&str> = now.lines().collect();
        let from = lines.iter().position(|line| line.contains(after)).unwrap();
        let y = from + lines[from..].iter().position(|line| line.contains(word)).unwrap();
        (lines[y].split(word).next().unwrap().chars().count() as u16, y as u16)
    };
    let click = |model: &mut App, at: (u16, u16)| update(model, Message::Click(at.0, at.1), &snapshot);
    let at = place(&model, "Client", "Address");
    click(&mut model, at);
    assert_eq!(model.state.peer_sort, PeerColumn::Client);
    click(&mut model, at);
    assert!(model.state.peer_reverse);
    click(&mut model, (10, at.1 + 2));
    assert_eq!(model.state.peer, model.state.peer_keys.get(1).copied());
    keys(&mut model, &snapshot, "4");
    let at = place(&model, "SHA512SUMS", "Priority");
    click(&mut model, at);
    assert_eq!(model.state.cursor[Tab::Files as usize], 5);
    let at = place(&model, "extra", "Priority");
    click(&mut model, at);
    click(&mut model, at);
    assert_eq!(model.state.panes.tree.len(), 5, "a second click folds");
    keys(&mut model, &snapshot, "2");
    let before = model.state.panes.piece;
    let y = place(&model, "Pieces", "Pieces").1 + 4;
    let asked = click(&mut model, (20, y));
    assert!(model.state.panes.piece.is_some() && model.state.panes.piece != before);
    assert!(format!("{asked:?}").contains("Inspect"));
    let piece = model.state.panes.piece;
    update(&mut model, Message::Wheel(20, y, 1), &snapshot);
    assert_ne!(model.state.panes.piece, piece);
    keys(&mut model, &snapshot, "1");
    let at = place(&model, "Address", "peers");
    click(&mut model, at);
    assert_eq!(model.state.tab, Tab::Peers, "the busiest peers lead to all of them");
}

#[test]
fn the_graph_shows_the_chosen_torrent_or_all() {
    let snapshot = busy();
    let mut model = model(120, 36, ThemeName::Plain, &snapshot);
    for second in 1..200 {
        update(&mut model, Message::Tick(Duration::from_secs(second)), &snapshot);
    }
    assert!(shown(&model, &snapshot).contains("this torrent"));
    let of_one = model.state.panes.rates.get(TorrentId(1)).unwrap().most(Span::Minute).0;
    assert_eq!((of_one, model.state.history.most(Span::Minute).0), (snapshot.torrents[0].1.down, snapshot.down));
    assert!(model.state.panes.rates.get(TorrentId(5)).is_none(), "what never moved has no history");
    for (pressed, words) in [("r", "-5 min"), ("r", "-1 h"), ("r", "-1 min"), ("R", "all torrents")] {
        keys(&mut model, &snapshot, pressed);
        assert!(shown(&model, &snapshot).contains(words), "{words}");
    }
}

/// The four questions have their answers down to the smallest screen with panes; below it one line is left.
#[test]
fn small_screens_answer_too() {
    let snapshot = busy();
    for (width, height) in [(40, 10), (50, 10), (60, 14), (79, 23), (100, 24), (105, 40), (159, 35), (160, 36)] {
        let shown = shown(&model(width, height, ThemeName::Plain, &snapshot), &snapshot);
        for word in ["debian", "61%", "of 38 peers", "1329/1996"] {
            assert!(shown.contains(word), "{word} at {width}x{height}:\n{shown}");
        }
        let detail = snapshot.torrents[0].1.detail.as_ref().unwrap();
        let rows = shown.lines().filter(|line| {
            detail.peers.iter().any(|row| line.contains(row.addr.to_string().get(..10).unwrap_or("none")))
        });
        assert!(rows.count() >= 3, "peers at {width}x{height}:\n{shown}");
    }
    for (width, height) in [(39, 24), (80, 9), (12, 1)] {
        let shown = shown(&model(width, height, ThemeName::Plain, &snapshot), &snapshot);
        assert!(shown.starts_with('t'), "{width}x{height}:\n{shown}");
        assert_eq!(shown.lines().filter(|line| !line.is_empty()).count(), 1);
    }
}

#[test]
fn every_tab_at_every_size() {
    let worlds = [
        ("one", world(vec![download("debian-13.1.0-amd64-DVD-1.iso", 38)])),
        ("stuck", world(vec![stuck("rare-recordings-1962"), seed("holiday-photos")])),
        ("crowd", crowd()),
    ];
    for (name, snapshot) in &worlds {
        for (width, height) in SIZES {
            for tab in Tab::ALL {
                let mut model = model(width, height, ThemeName::Plain, snapshot);
                keys(&mut model, snapshot, &format!("{} Tab", tab as usize + 1));
                let title = tab.title().to_lowercase();
                insta::assert_snapshot!(format!("{name}_{title}_{width}x{height}"), shown(&model, snapshot));
            }
        }
    }
    for (width, height) in SIZES {
        let nothing = empty();
        let mut model = model(width, height, ThemeName::Plain, &nothing);
        keys(&mut model, &nothing, "2");
        insta::assert_snapshot!(format!("none_pieces_{width}x{height}"), shown(&model, &nothing));
    }
}

#[test]
fn closer_looks_at_every_size() {
    let snapshot = busy();
    let stories = [
        ("peer", "Tab Down Enter"),
        ("zoomed_peers", "Tab z"),
        ("zoomed_list", "z"),
        ("marked", "Space Down Space f"),
        ("zoomed_info", "1 z"),
        ("zoomed_pieces", "2 z"),
        ("log_of_all", "6 L"),
        ("hidden", "~"),
    ];
    for (name, pressed) in stories {
        for (width, height) in SIZES {
            let mut model = model(width, height, ThemeName::Plain, &snapshot);
            keys(&mut model, &snapshot, pressed);
            insta::assert_snapshot!(format!("{name}_{width}x{height}"), shown(&model, &snapshot));
        }
    }
}

/// Of a magnet that looks for its metadata no number is shown that nobody knows.
#[test]
fn a_magnet_that_looks_shows_what_is_known() {
    let mut view = other("some name", State::Metadata, 0);
    (view.size, view.pieces, view.peers, view.known, view.metadata) =
        (0, 0, 3, 12, PieceProgress { done: 2, total: 7 });
    let from = MetadataSource::Holders { holders: 3, pieces: view.metadata };
    view.why = Reason::Metadata(MetadataReason::Fetching { from, invalid: 0 }).into();
    let magnet = "magnet:?xt=urn:btih:d5d5".to_owned();
    let meta = TorrentMeta { magnet: magnet.clone(), ..TorrentMeta::default() };
    view.detail = Some(Box::new(Detail { meta, folder: "/data".into(), ..Detail::default() }));
    let snapshot = world(vec![view]);
    let mut model = model(120, 36, ThemeName::Plain, &snapshot);
    keys(&mut model, &snapshot, "1");
    let info = shown(&model, &snapshot);
    for known in ["2 of 7 pieces received", "metadata 2/7", "/data", &magnet, "3 of 12 known"] {
        assert!(info.contains(known), "{known}: {info}");
    }
    for unknown in ["Available", "Private", "0 B"] {
        assert!(!info.contains(unknown), "{unknown}: {info}");
    }
    keys(&mut model, &snapshot, "2");
    assert!(shown(&model, &snapshot).contains("no piece list yet"));
}

#[test]
fn the_other_ways_to_find_peers_stand_below_the_trackers() {
    let mut view = download("debian-13.1.0-amd64-DVD-1.iso", 38);
    let row = |source, (known, connected), status, last: Option<u64>, next: Option<u64>| SourceRow {
        known,
        connected,
        status,
        last: last.map(Duration::from_secs),
        next: next.map(Duration::from_secs),
        ..SourceRow::new(source)
    };
    let detail = view.detail.as_mut().unwrap();
    let trackers = detail.trackers.len();
    detail.sources = vec![
        row(Source::Incoming, (5, 5), SourceStatus::NotQueried, None, None),
        row(Source::Lan, (3, 2), SourceStatus::LsdFound(3), Some(12), Some(240)),
        row(Source::Tracker, (50, 19), SourceStatus::NotQueried, None, None),
        row(
            Source::Pex,
            (31, 8),
            SourceStatus::Pex { peers: 8, received: Some(PexReceived { senders: 3, last: 12 }) },
            Some(41),
            None,
        ),
        row(
            Source::Dht,
            (22, 6),
            SourceStatus::DhtDone(LookupSummary { nodes: 64, peers: 22, announced: 8 }),
            Some(230),
            Some(670),
        ),
        row(Source::Web, (2, 1), SourceStatus::WebSeedsInUse { used: 1, all: 2 }, None, Some(5)),
    ];
    let snapshot = world(vec![view.clone()]);
    for (width, height) in SIZES {
        let mut model = model(width, height, ThemeName::Plain, &snapshot);
        let presses = ["5"].into_iter().chain(std::iter::repeat_n("Down", trackers)).collect::<Vec<_>>().join(" ");
        keys(&mut model, &snapshot, &presses);
        insta::assert_snapshot!(format!("local_{width}x{height}"), shown(&model, &snapshot));
        assert!(matches!(keys(&mut model, &snapshot, "t")[..], [Command::Torrent(_, TorrentCommand::Announce(None))]));
        keys(&mut model, &snapshot, "d");
        assert!(model.dialogs.is_empty(), "it cannot be taken away");
    }
    // What is cut is read whole below.
    let mut model = model(80, 24, ThemeName::Plain, &snapshot);
    keys(&mut model, &snapshot, "5 G Up");
    let now = shown(&model, &snapshot);
    assert!(now.contains("DHT: 64 nodes queried, 22 peers; announced to 8"), "{now}");
    // Alone.
    view.detail.as_mut().unwrap().trackers.clear();
    let snapshot = world(vec![view]);
    let mut model = start(&snapshot);
    keys(&mut model, &snapshot, "5 z");
    let shown = shown(&model, &snapshot);
    for words in ["this torrent has no trackers", "3 addresses known", "8 PEX peers", "64 nodes", "1 of 2 in use"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
}

#[test]
fn no_key_of_the_panes_leaves_ascii() {
    let snapshot = busy();
    for (width, height) in SIZES {
        for pressed in ["Tab Down Enter", "2 Down", "4 Down Enter", "6 L", "Space f", "z", "1 z"] {
            let mut model = model(width, height, ThemeName::Plain, &snapshot);
            model.state.theme = Theme::new(ThemeName::Plain, true);
            for second in 1..100 {
                update(&mut model, Message::Tick(Duration::from_secs(second)), &snapshot);
            }
            keys(&mut model, &snapshot, pressed);
            let shown = shown(&model, &snapshot);
            assert!(shown.is_ascii(), "{pressed} at {width}x{height}:\n{shown}");
        }
    }
}
