//! `ttui create`: the same torrents as others make of the same data, and one sentence where there can be none.

// A test whose data cannot be written has failed: saying so at once is all that is wanted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use crossbeam_channel::Receiver;
use lava_torrent::torrent::v1::TorrentBuilder;
use ratatui::buffer::Buffer;
use ratatui::style::Color;
use tempfile::TempDir;
use ttui::api::{Command as Asked, CreatePreview, CreateRequest, Created, Event, Snapshot, State, TorrentId};
use ttui::engine::handle::{Engine, EngineConfig};
use ttui::ui::app::model::App;
use ttui::ui::app::update::update;
use ttui::ui::dialogs::create::CreateDialog;
use ttui::ui::effect::Effect;
use ttui::ui::state::app::Message;
use ttui::ui::theme::style::{ColorDepth, ThemeName};
use ttui::ui::widgets::path_input::{DirListing, Entry};
use ttui::wire::metainfo::Metainfo;

use support::screen::{draw, keys, model, text as shown};
use support::snapshots::{busy, empty};

// Each of the tests that draw needs a part of this.
#[allow(dead_code)]
mod support {
    pub mod screen;
    pub mod snapshots;
}

const PIECE: u64 = 32 * 1024;

fn ttui(home: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ttui"));
    command.args(args).current_dir(home).env("HOME", home);
    command.output().expect("ttui starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a torrent is made of: paths below a folder and bytes of each; a path that ends the name is a single file.
type Case = (&'static str, Vec<(String, u64)>);

fn cases() -> Vec<Case> {
    let one = |length: u64| vec![(String::new(), length)];
    let many = (0..300).map(|n| (format!("d{}/f{n:03}", n % 7), n * 37)).collect();
    // Version 3 of Transmission sorts what is not ASCII before what is: none here begins with a letter of ASCII.
    let scripts = [
        "\u{6f22}\u{5b57}",
        "\u{420}\u{443}\u{441}",
        "\u{627}\u{644}",
        "\u{e9}te\u{301}",
        "\u{1f4c0} disc",
        "\u{e0}\u{301}\u{323}",
    ];
    let scripts =
        (0..1000).map(|n| (format!("{0}/{0} {n}.txt", scripts[n % scripts.len()]), 100 + n as u64 * 7)).collect();
    let small = (0..10_000).map(|n| (format!("d{:02}/f{n:04}", n / 101), 1 + n * 7 % 300)).collect();
    vec![
        ("one byte", one(1)),
        ("exactly one piece", one(PIECE)),
        ("a multiple", one(3 * PIECE)),
        ("a part more", one(3 * PIECE + 1)),
        ("last is empty", vec![("a".into(), 2 * PIECE), ("b".into(), 5), ("z".into(), 0)]),
        ("ends with a piece", vec![("a".into(), PIECE - 5), ("b".into(), 5), ("z".into(), 0)]),
        ("many", many),
        ("scripts", scripts),
        ("ten thousand", small),
    ]
}

/// Writes the data of a case; returns where its file or folder is.
fn put(home: &Path, (name, files): &Case) -> PathBuf {
    let mut random = fastrand::Rng::with_seed(name.len() as u64);
    for (below, length) in files {
        let path = if below.is_empty() { home.join(name) } else { home.join(name).join(below) };
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut data = vec![0; *length as usize];
        random.fill(&mut data);
        fs::write(path, data).unwrap();
    }
    home.join(name)
}

fn made(home: &Path, path: &Path, flags: &[&str]) -> Metainfo {
    let out = home.join("ours.torrent");
    let (path, out_text) = (path.to_str().unwrap(), out.to_str().unwrap());
    let said = ttui(home, &[&["create", path, "-o", out_text, "--force", "--piece-length", "32K"], flags].concat());
    assert!(said.status.success(), "{path}: {}", text(&said.stderr));
    let meta = Metainfo::parse(&fs::read(&out).unwrap()).unwrap();
    let printed = text(&said.stdout);
    assert!(printed.contains(&meta.info_hash.to_string()) && printed.contains("magnet:?xt=urn:btih:"), "{printed}");
    meta
}

/// Runs another tool, if it is there; returns the torrent that it made.
fn theirs(home: &Path, program: &str, args: &[&str]) -> Option<Metainfo> {
    let out = home.join("theirs.torrent");
    let _ = fs::remove_file(&out);
    let done = Command::new(program).args(args).current_dir(home).output().ok()?;
    let bytes = fs::read(&out).unwrap_or_else(|_| panic!("{program}: {}{}", text(&done.stdout), text(&done.stderr)));
    Some(Metainfo::parse(&bytes).unwrap())
}

const LIBTORRENT: &str = "
import sys, os
try:
    import libtorrent as lt
except ImportError:
    open('theirs.torrent', 'wb').close(); sys.exit(0)
path, names = sys.argv[1], sys.argv[2:]
fs, base = lt.file_storage(), os.path.basename(path)
for name in names:
    full = os.path.join(path, name) if name else path
    fs.add_file(os.path.join(base, name) if name else base, os.path.getsize(full))
t = lt.create_torrent(fs, 32768, lt.create_torrent.v1_only)
lt.set_piece_hashes(t, os.path.dirname(path))
open('theirs.torrent', 'wb').write(lt.bencode(t.generate()))
";

#[test]
fn the_info_hash_is_the_one_that_others_make() {
    let mut skipped = std::collections::BTreeSet::new();
    for case in cases() {
        let home = tempfile::tempdir().unwrap();
        let path = put(home.path(), &case);
        let ours = made(home.path(), &path, &[]);
        let whole = path.to_str().unwrap();
        let oracle = TorrentBuilder::new(&path, PIECE as i64).build().unwrap();
        assert_eq!(oracle.info_hash().to_lowercase(), ours.info_hash.to_string(), "lava_torrent, {}", case.0);
        let names: Vec<&str> = if ours.folder {
            ours.files.iter().map(|f| f.name.split_once('/').map_or("", |(_, below)| below)).collect()
        } else {
            vec![""]
        };
        let python = std::env::var("TTUI_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let has = Command::new(&python).args(["-c", "import libtorrent"]).output().is_ok_and(|o| o.status.success());
        if has {
            let args = [&["-c", LIBTORRENT, whole], names.as_slice()].concat();
            let it = theirs(home.path(), &python, &args).unwrap();
            assert_eq!(it.info_hash, ours.info_hash, "libtorrent, {}", case.0);
        } else {
            skipped.insert("libtorrent");
        }
        match theirs(home.path(), "mktorrent", &["-l", "15", "-o", "theirs.torrent", whole]) {
            Some(it) => assert_eq!(it.info_hash, ours.info_hash, "mktorrent, {}", case.0),
            None => drop(skipped.insert("mktorrent")),
        }
        // Version 3 leaves empty files out, and writes `private` in any case: so do we, to compare.
        if case.1.iter().any(|(_, length)| *length == 0) {
            continue;
        }
        let private = made(home.path(), &path, &["--private"]);
        match theirs(
            home.path(),
            "transmission-create",
            &["-p", "-t", "http://a.example.org/announce", "-s", "32", "-o", "theirs.torrent", whole],
        ) {
            Some(it) => assert_eq!(it.info_hash, private.info_hash, "transmission-create, {}", case.0),
            None => drop(skipped.insert("transmission-create")),
        }
    }
    for name in skipped {
        eprintln!("not compared with {name}: it is not installed");
    }
}

#[test]
fn the_same_data_give_the_same_bytes() {
    let home = tempfile::tempdir().unwrap();
    let path = put(home.path(), &cases()[6]);
    let path = path.to_str().unwrap();
    for out in ["a.torrent", "b.torrent"] {
        let args = ["create", path, "-o", out, "--no-date", "--tracker", "http://a.example.org/announce", "--json"];
        let said = ttui(home.path(), &args);
        let value: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
        assert_eq!((value["files"].as_u64(), value["path"].as_str()), (Some(300), Some(out)));
        assert!(value["magnet"].as_str().unwrap().contains("tr="), "{value}");
    }
    let read = |name: &str| fs::read(home.path().join(name)).unwrap();
    assert_eq!(read("a.torrent"), read("b.torrent"));
    assert_eq!(fs::metadata(home.path().join("a.torrent")).unwrap().len(), read("b.torrent").len() as u64);
}

#[test]
fn what_is_said_stands_in_it_and_the_torrent_of_before_is_no_part_of_it() {
    let home = tempfile::tempdir().unwrap();
    let path = put(home.path(), &cases()[4]);
    let flags = [
        "--tracker",
        "http://a.example.org/announce,udp://b.example.org:1",
        "--tracker",
        "http://c.example.org/announce",
        "--web-seed",
        "https://d.example.org/x/",
        "--comment",
        "ours",
        "--source",
        "here",
        "--name",
        "another",
    ];
    let meta = made(home.path(), &path, &flags);
    assert_eq!((meta.trackers.len(), meta.trackers[0].len(), meta.web_seeds.len()), (2, 2, 1));
    assert_eq!(
        (meta.name.as_str(), meta.comment.as_deref(), meta.source.as_deref()),
        ("another", Some("ours"), Some("here"))
    );
    assert!(meta.created.is_some());
    // From inside the folder the .torrent goes beside it; a name in it is left out of it.
    assert!(ttui(&path, &["create", "."]).status.success());
    assert!(home.path().join("last is empty.torrent").exists());
    for _ in 0..2 {
        let said = ttui(&path, &["create", ".", "-o", "own.torrent", "--force", "--json"]);
        let value: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
        assert_eq!(value["files"], 3, "{value}");
    }
    assert!(ttui(home.path(), &["verify", "ours.torrent"]).status.code() == Some(1), "it has another name");
    let again = made(home.path(), &path, &[]);
    fs::remove_file(path.join("own.torrent")).unwrap();
    assert_eq!(again.files.len(), 4);
}

/// The exit status and the one sentence.
fn refused(home: &TempDir, args: &[&str]) -> (Option<i32>, String) {
    let before = fs::read_dir(home.path()).unwrap().count();
    let said = ttui(home.path(), args);
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), before, "{args:?} left something behind");
    (said.status.code(), text(&said.stderr))
}

#[test]
fn what_cannot_be_made_is_told_in_one_sentence() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("data"), b"data").unwrap();
    fs::write(home.path().join("data.torrent"), b"mine").unwrap();
    fs::create_dir(home.path().join("empty")).unwrap();
    let mut table = vec![
        (vec!["create", "nothing"], 1, "nothing"),
        (vec!["create", "empty"], 1, "it is empty"),
        (vec!["create", "data"], 1, "data.torrent is there already"),
        (vec!["create", "data", "-o", "no/x.torrent"], 1, "there is no folder no"),
        (vec!["create", "data", "-o", "empty", "--force"], 1, "is a folder"),
        (vec!["create", "data", "--piece-length", "3"], 2, "power of two"),
        (vec!["create", "data", "--tracker", "example"], 2, "example"),
        (vec!["create", "data", "--web-seed", "ftp://a"], 2, "ftp://a"),
        (vec!["create", "data", "--name", "a/b"], 2, "without slashes"),
        (vec!["create"], 2, "PATH"),
    ];
    if cfg!(unix) {
        table.push((vec!["create", "/dev/zero", "-o", "x.torrent"], 1, "a device"));
    }
    #[cfg(unix)]
    let _bound = {
        table.push((vec!["create", "socket"], 1, "a socket"));
        std::os::unix::net::UnixListener::bind(home.path().join("socket")).unwrap()
    };
    for (args, status, says) in table {
        let (code, words) = refused(&home, &args);
        assert_eq!(code, Some(status), "{args:?}: {words}");
        assert!(words.contains(says), "{args:?}: {words}");
        assert!(status == 2 || words.lines().count() == 1, "{args:?}: {words}");
    }
    assert_eq!(fs::read(home.path().join("data.torrent")).unwrap(), b"mine");
}

/// What the engine tells until one of these.
fn told(events: &Receiver<Event>, last: impl Fn(&Event) -> bool) -> Vec<Event> {
    let mut all = Vec::new();
    loop {
        let event = events.recv_timeout(Duration::from_secs(60)).expect("the engine tells something");
        let over = last(&event);
        all.push(event);
        if over {
            return all;
        }
    }
}

#[test]
fn the_engine_makes_a_torrent_and_seeds_it_from_where_it_is() {
    let home = tempfile::tempdir().unwrap();
    let path = put(home.path(), &cases()[6]);
    let state_dir = home.path().join("state");
    let engine = Engine::start(&EngineConfig {
        state_dir,
        max_peers: 5,
        ..EngineConfig::loopback(home.path().join("downloads"))
    })
    .unwrap();
    let events = engine.events();
    let new = CreateRequest { what: path.to_str().unwrap().into(), ..CreateRequest::default() };
    engine.send(Asked::PreviewCreate(new.clone()));
    let all = told(&events, |event| matches!(event, Event::CreatePreview { .. }));
    let Some(Event::CreatePreview { of, planned: Ok(planned) }) = all.last() else { panic!("{all:?}") };
    assert!(*of == new && planned.files == 300 && planned.pieces == planned.size.div_ceil(16 * 1024));
    engine.send(Asked::Create(new.clone()));
    let all = told(&events, |event| matches!(event, Event::Created { .. }));
    let Some(Event::Created { made: Ok(made), .. }) = all.last() else { panic!("{all:?}") };
    let file = home.path().join("many.torrent");
    assert_eq!(fs::metadata(&file).unwrap().len(), planned.torrent, "the size that was promised");
    assert!(made.path.ends_with("many.torrent") && made.magnet.starts_with("magnet:?xt=urn:btih:"));
    let whole = |event: &Event| match event {
        Event::Snapshot(snapshot) => snapshot.torrents.iter().any(|(_, view)| view.state == State::Seeding),
        _ => false,
    };
    told(&events, whole);
    // Another of the same data: its file gets a name that is free, and it is in the list already.
    engine.send(Asked::Create(new.clone()));
    told(&events, |event| matches!(event, Event::Created { made: Ok(_), .. }));
    assert!(home.path().join("many 2.torrent").exists());
    // One that is stopped leaves nothing; one that cannot be is told.
    engine
        .send(Asked::Create(CreateRequest { what: home.path().to_str().unwrap().into(), ..CreateRequest::default() }));
    engine.send(Asked::StopCreating);
    engine.send(Asked::PreviewCreate(CreateRequest { what: "/dev/null".into(), ..CreateRequest::default() }));
    let all = told(&events, |event| matches!(event, Event::CreatePreview { .. }));
    assert!(matches!(all.last(), Some(Event::CreatePreview { planned: Err(_), .. })), "{all:?}");
    assert!(!all.iter().any(|event| matches!(event, Event::Created { .. })), "{all:?}");
    assert_eq!(engine.shutdown(Duration::from_secs(30)), Ok(()));
}

// The box in the interface, as stories: keys, answers of the world, and what comes of them.

fn order(what: &str) -> CreateRequest {
    CreateRequest { what: what.into(), trackers: vec!["http://192.0.2.7:6969/announce".into()], private: false }
}

fn planned() -> CreatePreview {
    CreatePreview {
        name: "photos".into(),
        files: 1412,
        size: 3_912_000_000,
        piece_length: 2 << 20,
        pieces: 1866,
        torrent: 118_411,
        left_out: Some("left out: 3 hidden or of the system".into()),
    }
}

fn ready() -> Created {
    let hash = "5dee65101db281ac9c46344cd6b175cdcad53426";
    let magnet = format!("magnet:?xt=urn:btih:{hash}&dn=photos&tr=http%3A%2F%2F192.0.2.7%3A6969%2Fannounce");
    Created { path: "/data/me/photos.torrent".into(), magnet, lan: true }
}

/// Tells the box something; nothing is asked of the engine in return.
fn tell(model: &mut App, snapshot: &Snapshot, event: Event) {
    assert!(update(model, Message::Event(event), snapshot).is_empty());
}

const TYPED: &str = "c '~/photos Down 'http://192.0.2.7:6969/announce";

#[test]
fn a_torrent_is_made_in_the_interface() {
    let snapshot = busy();
    for (width, height) in [(40, 12), (80, 24), (120, 36)] {
        let mut model = model(width, height, ThemeName::Plain, &snapshot);
        let look = |model: &App, name: &str| {
            insta::assert_snapshot!(format!("create_{name}_{width}x{height}"), shown(&draw(model, &snapshot)));
        };
        let asked = keys(&mut model, &snapshot, &format!("{TYPED} Enter"));
        let new = order("/data/me/photos");
        assert!(matches!(&asked[..], [Asked::PreviewCreate(it)] if *it == new), "{asked:?}");
        assert!(keys(&mut model, &snapshot, "Enter Enter x q").is_empty(), "it waits for the answer");
        tell(&mut model, &snapshot, Event::CreatePreview { of: new.clone(), planned: Ok(Box::new(planned())) });
        look(&model, "planned");
        let asked = keys(&mut model, &snapshot, "Enter");
        assert!(matches!(&asked[..], [Asked::Create(it)] if *it == new), "{asked:?}");
        let (done, total, rate) = (1_400_000_000, 3_912_000_000, 912_000_000);
        tell(&mut model, &snapshot, Event::CreateProgress { what: new.what.clone(), done, total, rate });
        look(&model, "hashing");
        assert!(keys(&mut model, &snapshot, "y Enter").is_empty());
        tell(&mut model, &snapshot, Event::Created { what: new.what.clone(), made: Ok(Box::new(ready())) });
        look(&model, "made");
        keys(&mut model, &snapshot, "r");
        look(&model, "code");
        keys(&mut model, &snapshot, "Esc");
        assert!(!model.dialogs.is_empty(), "the link is still there");
        keys(&mut model, &snapshot, "y");
        assert_eq!(model.state.outbox, [Effect::Copy(vec![ready().magnet])]);
        keys(&mut model, &snapshot, "Enter");
        assert!(model.dialogs.is_empty());
        update(&mut model, Message::Event(Event::Added { id: TorrentId(3), what: String::new() }), &snapshot);
        assert_eq!(model.state.selected, Some(TorrentId(3)), "what was made is what one looks at");
    }
}

/// How light a colour is; what is the terminal's own is as its ground says.
fn lightness(color: Color, own: u8) -> u8 {
    match color {
        Color::Reset => own,
        Color::Indexed(grey @ 232..) => 8 + 10 * (grey - 232),
        Color::White | Color::Indexed(15 | 231) => 255,
        _ => 0,
    }
}

/// What a scanner makes of a screen, whose every cell is two points high.
fn scanned(buffer: &Buffer, light_ground: bool) -> Option<String> {
    let (ink, paper) = if light_ground { (0, 255) } else { (255, 0) };
    let point = |x: u16, y: u16| {
        let cell = &buffer[(x, y / 2)];
        let marks = if y.is_multiple_of(2) { ["\u{2588}", "\u{2580}"] } else { ["\u{2588}", "\u{2584}"] };
        if marks.contains(&cell.symbol()) { lightness(cell.fg, ink) } else { lightness(cell.bg, paper) }
    };
    let scale = 4;
    let (width, height) = (usize::from(buffer.area.width) * scale, usize::from(buffer.area.height) * 2 * scale);
    let at = |x: usize, y: usize| point((x / scale) as u16, (y / scale) as u16);
    let mut picture = rqrr::PreparedImage::prepare_from_greyscale(width, height, at);
    Some(picture.detect_grids().first()?.decode().ok()?.1)
}

#[test]
fn a_scanner_reads_the_code_on_any_ground() {
    let snapshot = empty();
    let made = ready();
    let link = ttui::ui::dialogs::share::short(&made.magnet);
    let names = [ThemeName::Dark, ThemeName::Light, ThemeName::Contrast, ThemeName::Plain];
    let colours = [ColorDepth::Many, ColorDepth::Sixteen, ColorDepth::Eight];
    for (name, colours) in names.into_iter().flat_map(|name| colours.map(|colours| (name, colours))) {
        for (light_ground, told) in [(false, false), (true, false), (true, true)] {
            let mut model = model(100, 40, name, &snapshot);
            model.state.options.colours = colours;
            model.state.options.light_ground = light_ground && told;
            model.state.theme = model.state.options.fitted(name, false);
            model.dialogs.push(CreateDialog::made(made.clone()));
            for alone in [false, true] {
                if alone {
                    keys(&mut model, &snapshot, "r");
                }
                let case = format!("{name:?} {colours:?}, light: {light_ground}, told: {told}, alone: {alone}");
                let drawn = draw(&model, &snapshot);
                // Without colours a light ground that nobody tells of needs a key.
                let wrong = name == ThemeName::Plain && light_ground && !told;
                assert_eq!(scanned(&drawn, light_ground).is_none(), wrong, "{case}\n{}", shown(&drawn));
                assert!(alone || shown(&drawn).contains("i invert") == (name == ThemeName::Plain), "{case}");
                if wrong {
                    keys(&mut model, &snapshot, "i");
                }
                assert_eq!(scanned(&draw(&model, &snapshot), light_ground).as_ref(), Some(&link), "{case}");
                if wrong {
                    keys(&mut model, &snapshot, "i");
                }
            }
        }
    }
}

#[test]
fn what_was_told_holds_only_for_what_was_asked() {
    let snapshot = empty();
    let new = order("/data/me/photos");
    let plan = || Event::CreatePreview { of: new.clone(), planned: Ok(Box::new(planned())) };
    let fresh = || {
        let mut model = model(80, 24, ThemeName::Plain, &snapshot);
        keys(&mut model, &snapshot, &format!("{TYPED} Enter"));
        model
    };
    let says = |model: &App, word: &str| shown(&draw(model, &snapshot)).contains(word);
    // Stopped while it is looked at: the answer comes too late.
    let mut late = fresh();
    assert!(matches!(keys(&mut late, &snapshot, "Esc")[..], [Asked::StopCreating]));
    tell(&mut late, &snapshot, plan());
    assert!(!says(&late, "1,866 pieces") && late.dialogs.len() == 1);
    assert!(keys(&mut late, &snapshot, "Esc").is_empty() && late.dialogs.is_empty());
    // Changed after the answer: it is looked at again.
    let mut changed = fresh();
    tell(&mut changed, &snapshot, plan());
    assert!(says(&changed, "1,866 pieces"));
    assert!(matches!(keys(&mut changed, &snapshot, "Down Space Enter")[..], [Asked::PreviewCreate(_)]));
    // Stopped while it is hashed.
    let mut stopped = fresh();
    tell(&mut stopped, &snapshot, plan());
    assert!(matches!(keys(&mut stopped, &snapshot, "Enter Esc")[..], [Asked::Create(_), Asked::StopCreating]));
    assert!(says(&stopped, "nothing was written"));
    tell(&mut stopped, &snapshot, Event::Created { what: new.what.clone(), made: Ok(Box::new(ready())) });
    assert!(!says(&stopped, "magnet:") && stopped.state.adding == 0);
    // It cannot be made.
    let mut failed = fresh();
    tell(
        &mut failed,
        &snapshot,
        Event::CreatePreview { of: new.clone(), planned: Err("cannot read /data/me/photos".into()) },
    );
    assert!(says(&failed, "cannot read /data/me/photos") && says(&failed, "~/photos"));
}

#[test]
fn what_is_wrong_is_said_in_the_box() {
    let snapshot = empty();
    for (pressed, says) in [
        ("c Enter", "enter the path of a file or folder"),
        ("c 'x Down 'example.org Enter", "invalid tracker: the URL must begin with http://"),
        ("c 'x Down Down Space Enter", "a private torrent needs a tracker"),
    ] {
        let mut model = model(80, 24, ThemeName::Plain, &snapshot);
        let asked = keys(&mut model, &snapshot, pressed);
        let screen = shown(&draw(&model, &snapshot));
        assert!(asked.is_empty() && screen.contains(says), "{pressed}: {asked:?}\n{screen}");
    }
}

#[test]
fn any_file_can_be_completed_and_picked() {
    let snapshot = empty();
    let listing = |folder: &str| {
        let entry = |(name, folder): (&str, bool)| Entry { name: name.into(), folder, size: 7 };
        let entries = [("album", true), ("film.mkv", false)].map(entry).to_vec();
        DirListing {
            folder: folder.into(),
            path: folder.trim_end_matches('/').into(),
            entries,
            ..DirListing::default()
        }
    };
    for (pressed, after, path) in [
        ("c '~/fi Tab", "Enter", "/data/me/film.mkv"),
        ("c '~/al Tab", "Enter", "/data/me/album/"),
        ("c ^o", "End Enter Enter", "./film.mkv"),
        ("c ^o", "Home Enter Enter", "."),
    ] {
        let mut model = model(80, 24, ThemeName::Plain, &snapshot);
        keys(&mut model, &snapshot, pressed);
        let [Effect::ListAll(folder)] = &model.state.outbox[..] else { panic!("{:?}", model.state.outbox) };
        let listing = listing(folder);
        update(&mut model, Message::Listing(listing), &snapshot);
        let asked = keys(&mut model, &snapshot, after);
        assert!(matches!(&asked[..], [Asked::PreviewCreate(new)] if new.what == path), "{pressed}: {asked:?}");
    }
}
