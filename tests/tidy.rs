//! Holds the sources to their own rules: who may import whom, what each layer may never touch, how long a file may
//! be. The table of layers is the one of `src/lib.rs`; what stands there in words is checked here.

// A test that cannot read its sources has failed: saying so at once is all that is wanted.
#![allow(clippy::expect_used)]

mod support {
    pub mod imports;
    pub mod source;
}

use std::fs;
use std::path::Path;

use ttui::config::{self, Config, Settings};
use ttui::ui::state::app::AppState;
use ttui::ui::state::{columns, views};
use ttui::ui::theme::style::ThemeName;

use support::imports::{circles, imports};
use support::source::{crate_paths, functions, has_word, published, root, sources};

/// What a layer may import from this crate: the beginnings of the paths after `crate::`.
const MAY_USE: &[(&str, &[&str])] = &[
    ("wire/", &["wire", "limits", "format"]),
    ("swarm/", &["swarm", "wire", "limits", "format"]),
    ("api.rs", &["swarm", "wire", "limits", "format"]),
    ("words.rs", &["words", "api", "swarm", "wire", "limits", "format"]),
    ("words/", &["words", "api", "swarm", "wire", "limits", "format"]),
    ("limits.rs", &[]),
    ("format.rs", &[]),
    ("clock.rs", &[]),
    ("config.rs", &["config", "api", "limits", "format"]),
    ("config/", &["config", "api", "limits", "format"]),
    ("disk/", &["disk", "swarm::geometry", "swarm::job", "swarm::bitfield", "wire", "limits", "format", "clock"]),
    ("engine/", &["engine", "disk", "swarm", "wire", "api", "config", "limits", "format", "clock"]),
    ("ui/", &["ui", "api", "words", "config", "limits", "format"]),
];

/// The layers of the interface, from the lowest to the highest. Each may import itself and those before it.
const UI_LAYERS: [&str; 10] =
    ["text", "theme", "keys", "effect", "widgets", "state", "panes", "dialogs", "app", "terminal"];

/// Words that may not stand in the code of a layer, and the files of the layer that are excepted.
const NEVER: &[(&str, &[&str], &[&str])] = &[
    ("wire/", &["Instant", "SystemTime", "fastrand"], &[]),
    ("wire/", OUTSIDE, &[]),
    ("swarm/", &["Instant::now", "SystemTime", ".elapsed()", "HashMap", "HashSet"], &[]),
    ("swarm/", &["fastrand::u", "fastrand::bool", "fastrand::shuffle", "fastrand::choice", "Rng::new()"], &[]),
    ("swarm/", OUTSIDE, &[]),
    ("api.rs", &["Instant", "SystemTime"], &[]),
    ("words/", &["Instant", "SystemTime"], &[]),
    ("words/", OUTSIDE, &[]),
    ("disk/", &["TcpStream", "TcpListener", "UdpSocket", "tokio", "ureq"], &[]),
    ("engine/", &["tokio"], &["engine/udp_tracker.rs", "engine/udp_tracker/lsd.rs", "engine/udp_tracker/link.rs"]),
    (
        "engine/",
        &["ureq"],
        &[
            "engine/announce.rs",
            "engine/announce/bound.rs",
            "engine/announce/client.rs",
            "engine/announce/error.rs",
            "engine/announce/router.rs",
            "engine/announce/web_seed.rs",
            "engine/announce/work.rs",
        ],
    ),
    (
        "ui/",
        &["event::read", "event::poll", "Instant::now", "SystemTime::now", "std::fs"],
        &["ui/terminal/event_loop.rs", "ui/terminal/dir_reader.rs", "ui/terminal/drain.rs"],
    ),
    ("ui/", &["TcpStream", "TcpListener", "UdpSocket", "tokio", "ureq"], &[]),
    ("", &["todo!", "unimplemented!", "dbg!"], &[]),
];

/// The world: files, sockets, threads and channels.
const OUTSIDE: &[&str] = &[
    "std::fs",
    "File::open",
    "File::create",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "thread::spawn",
    "mpsc",
    "crossbeam_channel",
    "tokio",
    "ureq",
];

/// The most lines of a file: about 500, with a little room for the last change.
const FILE_LINES: usize = 520;
/// The most lines of a function outside tests: about 70, with a little room.
const FUNCTION_LINES: usize = 85;

#[test]
fn layers_import_only_what_lies_below() {
    let mut wrong = Vec::new();
    for source in sources() {
        let Some((_, allowed)) = MAY_USE.iter().find(|(layer, _)| source.name.starts_with(layer)) else { continue };
        for path in crate_paths(&source.code) {
            let below =
                |layer: &str| path.strip_prefix(layer).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
            if !allowed.iter().any(|layer| below(layer)) {
                wrong.push(format!("src/{} uses crate::{path}", source.name));
            }
        }
    }
    none(&wrong, "imports against the table of layers in src/lib.rs");
}

#[test]
fn layers_of_the_interface_import_only_what_lies_below() {
    let rank = |name: &str| UI_LAYERS.iter().position(|layer| *layer == name);
    let mut wrong = Vec::new();
    for source in sources() {
        let Some(path) = source.name.strip_prefix("ui/") else { continue };
        let layer = path.split(['/', '.']).next().unwrap_or_default();
        let own = rank(layer).unwrap_or_else(|| panic!("src/{} is in no layer of the interface", source.name));
        for path in crate_paths(&source.code) {
            let Some(name) = path.strip_prefix("ui::").and_then(|rest| rest.split("::").next()) else { continue };
            if rank(name).is_none_or(|other| other > own) {
                wrong.push(format!("src/{} uses crate::{path}", source.name));
            }
        }
    }
    none(&wrong, "imports against the layers of the interface");
}

/// Also where each of them lies in the same layer: what is read first must not need what is read later.
#[test]
fn no_files_import_each_other_in_a_circle() {
    let imports = imports(&sources());
    assert!(imports.len() > 100, "imports are read");
    let told: Vec<String> = circles(&imports).iter().map(|circle| circle.join(" -> ")).collect();
    none(&told, "circles of files that import each other: move what both need to a file below them");
}

#[test]
fn every_file_belongs_to_a_layer() {
    let layers = ["wire/", "swarm/", "disk/", "engine/", "ui/", "cli/", "config/", "words/"];
    let alone =
        ["lib.rs", "main.rs", "api.rs", "words.rs", "cli.rs", "config.rs", "limits.rs", "format.rs", "clock.rs"];
    let mut stray = Vec::new();
    for source in sources() {
        let known = layers.iter().any(|l| source.name.starts_with(l)) || alone.contains(&source.name.as_str());
        if !known || source.name.ends_with("mod.rs") {
            stray.push(format!("src/{}", source.name));
        }
    }
    none(&stray, "files that are in no layer, or are called mod.rs");
}

#[test]
fn layers_keep_from_what_is_not_theirs() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (layer, words, but) in NEVER {
            if !source.name.starts_with(layer) || but.contains(&source.name.as_str()) {
                continue;
            }
            for word in *words {
                if let Some(line) = source.code.lines().position(|l| has_word(l, word)) {
                    wrong.push(format!("src/{}:{} says {word}", source.name, line + 1));
                }
            }
        }
    }
    none(&wrong, "words that the layer may not use");
}

#[test]
fn files_and_functions_stay_short() {
    let mut long = Vec::new();
    for source in sources() {
        if source.lines > FILE_LINES {
            long.push(format!("src/{}: {} lines", source.name, source.lines));
        }
        for (name, at, lines) in functions(&source.code) {
            if lines > FUNCTION_LINES {
                long.push(format!("src/{}:{at} fn {name}: {lines} lines", source.name));
            }
        }
    }
    none(&long, "longer than a reader keeps in mind: split by concept");
}

/// Paths of one machine and addresses of package registries have no business in what is published.
#[test]
fn nothing_names_a_machine() {
    // In two halves each, so that this file does not name them itself.
    let words = [
        ["/wo", "rk/"],
        ["/ro", "ot/"],
        ["/home", "/"],
        ["index.cr", "ates.io"],
        ["static.cr", "ates.io"],
        ["pypi", ".org"],
        ["deb.deb", "ian.org"],
    ]
    .map(|halves| halves.concat());
    let mut wrong = Vec::new();
    for path in published() {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for (number, line) in text.lines().enumerate() {
            if words.iter().any(|w| line.contains(w.as_str())) {
                wrong.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    none(&wrong, "words of one machine");
}

#[test]
fn pictures_and_files_that_the_readme_names_exist() {
    for name in ["README.md", "CONTRIBUTING.md"] {
        let text = fs::read_to_string(root().join(name)).expect("the document can be read");
        let targets = text.split("](").skip(1).filter_map(|part| part.split(')').next());
        let missing: Vec<String> = targets
            .filter(|t| !t.contains("://") && !t.starts_with('#') && !root().join(t).exists())
            .map(str::to_owned)
            .collect();
        none(&missing, &format!("named by {name} and not there"));
    }
}

#[test]
fn sections_that_the_readme_links_to_exist() {
    let text = fs::read_to_string(root().join("README.md")).expect("README.md can be read");
    let anchor = |title: &str| title.to_lowercase().replace(' ', "-");
    let titles: Vec<String> = text.lines().filter_map(|l| l.strip_prefix("## ")).map(anchor).collect();
    let targets = text.split("](#").skip(1).filter_map(|part| part.split(')').next());
    let missing: Vec<String> = targets.filter(|t| !titles.iter().any(|title| title == t)).map(str::to_owned).collect();
    none(&missing, "sections that README.md links to and does not have");
}

/// The sample configuration with the `#` before each key taken away. Prose has a space behind its `#`.
fn uncommented_sample() -> String {
    let text = fs::read_to_string(root().join("assets/config.toml")).expect("assets/config.toml can be read");
    let bare = |line: &str| match line.strip_prefix('#') {
        Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => format!("{key}\n"),
        _ => format!("{line}\n"),
    };
    text.replace("\r\n", "\n").lines().map(bare).collect()
}

#[test]
fn the_sample_config_names_every_key() {
    let text = uncommented_sample();
    let table: toml::Table = text.parse().expect("the sample is TOML");
    let mut named: Vec<&str> = table.keys().map(String::as_str).collect();
    let mut exist: Vec<&str> =
        config::settings::all().map(|setting| setting.key).chain([config::settings::KEY_TABLE]).collect();
    named.sort_unstable();
    exist.sort_unstable();
    assert_eq!(named, exist);
    config::parse(Path::new("assets/config.toml"), &text).expect("the sample can be used");
}

#[test]
fn the_sample_config_has_the_defaults() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let load = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).expect("files can be written");
        let flags = Settings { config: Some(path), state_dir: Some(dir.path().into()), ..Settings::default() };
        Config::load(flags).expect("the sample can be used")
    };
    let mut sample = load("sample.toml", &uncommented_sample());
    let defaults = load("empty.toml", "");
    assert_eq!(sample.max_active, Some(ttui::limits::ACTIVE), "the default of the interface");
    // What has no default that could be written down; the sample says so.
    sample.max_active = None;
    sample.bind = None;
    sample.log_file = None;
    sample.interface.keys.clear();
    // The usual columns are what is shown without the key; the sample names all of them.
    let named = |names: Option<Vec<String>>| names.unwrap_or_default();
    let torrents = columns::parse("", &named(sample.interface.torrent_columns.take()), columns::TORRENT_COLUMNS);
    assert_eq!(torrents, Ok(columns::usual(columns::TORRENT_COLUMNS)));
    let peers = columns::parse("", &named(sample.interface.peer_columns.take()), columns::PEER_COLUMNS);
    assert_eq!(peers, Ok(columns::usual(columns::PEER_COLUMNS)));
    // What it is without the key.
    let mut state = AppState::new((80, 24), ThemeName::Dark, false);
    assert_eq!(views::restore(&mut state, &named(sample.interface.view.take())), Vec::<String>::new());
    assert!(views::words(&state).is_empty(), "{:?}", views::words(&state));
    sample.file.clone_from(&defaults.file);
    assert_eq!(sample, defaults);
}

fn none(found: &[String], what: &str) {
    assert!(found.is_empty(), "{} {what}:\n  {}", found.len(), found.join("\n  "));
}

#[test]
fn the_readme_lists_the_keys_and_verbs_that_exist() {
    let text = fs::read_to_string(root().join("README.md")).expect("README.md can be read").replace("\r\n", "\n");
    let keys = ttui::ui::keys::bindings::markdown();
    assert!(text.contains(&keys), "README.md should hold this table of keys:\n{keys}");
    let command = <ttui::cli::Cli as clap::CommandFactory>::command();
    let exist: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
    let word = |part: &str| part.split([' ', '`']).next().unwrap_or_default().to_owned();
    let listed: Vec<String> = text.split("\n| `ttui ").skip(1).map(word).collect();
    let missing: Vec<String> =
        exist.iter().filter(|v| !listed.contains(&(**v).to_owned())).map(|v| (*v).to_owned()).collect();
    none(&missing, "verbs that README.md does not list");
    none(
        &listed.into_iter().filter(|v| !exist.contains(&v.as_str())).collect::<Vec<_>>(),
        "listed verbs that do not exist",
    );
}
