//! Names and texts of strangers against a real terminal's parser: whatever they contain, they stay in their cells, and
//! no byte of theirs is obeyed.

// A test that cannot draw has failed: saying so at once is all that is wanted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

// Each of the tests that draw needs a part of this.
#[allow(dead_code)]
mod support {
    pub mod screen;
    pub mod snapshots;
}

use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};

use ttui::api::{
    Diagnosis, DisconnectReason, DiskFault, Event, Facts, FaultKind, FileRow, LogEntry, MappingFailure,
    MappingProtocol, PortMapping, Priority, Reason, Snapshot, SourceFailure, TorrentId, TorrentMeta, TorrentPreview,
    TrackerStatus, WebSeedProblem,
};
use ttui::swarm::status::TrackerState;
use ttui::swarm::view::RefusedTracker;
use ttui::ui::app::model::App;
use ttui::ui::app::update::update;
use ttui::ui::app::view::view;
use ttui::ui::state::app::Message;
use ttui::ui::theme::style::ThemeName;
use ttui::ui::widgets::path_input::{DirListing, Entry};
use ttui::wire::metainfo::urls::UrlError;

use support::screen::{draw, keys, model};
use support::snapshots::{download, world};

fn attacks() -> Vec<String> {
    let marks: String = std::iter::once('e').chain(std::iter::repeat_n('\u{301}', 3000)).collect();
    vec![
        "\x1b[2J\x1b[1;1HPWNED".into(),
        "\u{9b}2J\u{9b}1;1HPWNED".into(),
        "\x1b]0;PWNED\x07\x1b]52;c;UFdORUQ=\x07\x1b]8;;http://x\x1b\\PWNED".into(),
        "\u{9d}0;PWNED\u{9c}\u{90}q\u{9c}\u{98}\u{9e}\u{9f}".into(),
        "a\r\nPWNED\tb\x08\x08c\x0b\x0c\x7f\0".into(),
        "\u{202e}DENWP\u{202c}\u{2066}x\u{2069}\u{200b}\u{feff}\u{2028}y\u{2029}".into(),
        marks,
        "\u{301}\u{301}mark first".into(),
        "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} \u{1f44d}\u{1f3fd} \u{2764}\u{fe0f} \u{1f1e9}\u{1f1ea} \u{1f3f4}\u{e0067}".into(),
        "中文の長い名前がここにあります中文の長い名前がここにあります".into(),
        "\u{644}\u{627} \u{e33}\u{e33} \u{1100}\u{1161}\u{11a8} \u{3164}\u{ffa0} \u{fdfd}".into(),
        "\u{e000}\u{f8ff}\u{10ffff}\u{fff9}\u{ad}\u{34f}\u{61c}".into(),
        "x".repeat(100_000),
        String::new(),
        " ".into(),
    ]
}

/// A torrent that says this everywhere where strangers have a say.
fn saying(text: &str) -> Snapshot {
    let mut view = download(text, 12);
    let tracker = TrackerState { url: text.into(), status: TrackerStatus::Failed(text.into()), failed: true };
    let facts = Facts { trackers: vec![tracker], ..Facts::default() };
    let reason = Reason::Fault(DiskFault { kind: FaultKind::Final, text: text.into() });
    view.why = Diagnosis { reason, facts: Some(Box::new(facts)) };
    if let Some(detail) = &mut view.detail {
        detail.folder = text.into();
        for peer in &mut detail.peers {
            peer.client = text.into();
            peer.flags = text.into();
        }
        for file in &mut detail.files {
            file.path = format!("{text}/{text}");
        }
        for tracker in &mut detail.trackers {
            tracker.url = text.into();
            tracker.status = TrackerStatus::Warning(text.into());
        }
        for line in &mut detail.log {
            line.text = text.into();
        }
        for peer in &mut detail.disconnected {
            peer.client = text.into();
            peer.why = DisconnectReason::ProtocolViolation(text.into());
        }
        for source in &mut detail.sources {
            source.last_failure = Some(SourceFailure::WebSeed(WebSeedProblem::Failed(text.into())));
        }
        if let Some(peer) = &mut detail.peer {
            peer.peer_id = text.into();
        }
        if let Some(piece) = &mut detail.piece {
            piece.files = vec![text.into(); 2];
        }
        detail.meta = TorrentMeta {
            comment: Some(text.into()),
            created_by: Some(text.into()),
            created: Some(i64::MAX),
            source: Some(text.into()),
            web_seeds: vec![text.into()],
            magnet: text.into(),
            refused_trackers: vec![RefusedTracker { url: text.into(), why: UrlError::Scheme }],
        };
    }
    let mut plain = download("an honest torrent", 3);
    plain.error = Some(text.into());
    let mut snapshot = world(vec![view, plain]);
    let refused = MappingFailure::Refused { protocol: MappingProtocol::Upnp, message: text.into() };
    snapshot.port.mapping = PortMapping::Failed(refused);
    snapshot.log = vec![LogEntry { at: std::time::Duration::ZERO, torrent: Some(TorrentId(2)), text: text.into() }];
    snapshot
}

/// The bytes that go to the terminal.
fn bytes(model: &App, snapshot: &Snapshot) -> Vec<u8> {
    let area = Rect::new(0, 0, model.state.size.0, model.state.size.1);
    let mut out = Vec::new();
    let options = TerminalOptions { viewport: Viewport::Fixed(area) };
    let mut terminal = Terminal::with_options(CrosstermBackend::new(&mut out), options).unwrap();
    terminal.draw(|frame| view(model, snapshot, frame)).unwrap();
    drop(terminal);
    out
}

/// Every escape in the stream is one that the screen itself writes: a cursor position, a colour, cursor on or off.
fn only_our_escapes(stream: &str) -> Result<(), String> {
    let mut parts = stream.split('\x1b');
    let mut texts = vec![parts.next().unwrap_or_default()];
    for part in parts {
        let end = part.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(|| format!("no end: {part:?}"))?;
        let (body, kind) = (&part[..end], &part[end..=end]);
        let numbers = body.strip_prefix('[').ok_or_else(|| format!("not ours: {part:?}"))?;
        let plain = numbers.chars().all(|c| c.is_ascii_digit() || c == ';');
        if !(plain && matches!(kind, "H" | "m") || matches!(body, "[?25") && matches!(kind, "l" | "h")) {
            return Err(format!("not ours: {part:?}"));
        }
        texts.push(&part[end + 1..]);
    }
    match texts.concat().chars().find(|c| c.is_control()) {
        Some(c) => Err(format!("a control character went through: {c:?}")),
        None => Ok(()),
    }
}

/// The terminal shows exactly the cells that were meant, each in its place.
fn as_meant(model: &App, snapshot: &Snapshot, context: &str) {
    let stream = bytes(model, snapshot);
    only_our_escapes(std::str::from_utf8(&stream).unwrap()).unwrap_or_else(|why| panic!("{context}: {why}"));
    let (width, height) = model.state.size;
    let mut parser = vt100::Parser::new(height, width, 0);
    parser.process(&stream);
    let meant = draw(model, snapshot);
    for y in 0..height {
        for x in 0..width {
            let cell = parser.screen().cell(y, x).unwrap();
            if cell.is_wide_continuation() {
                continue;
            }
            let shown = if cell.contents().is_empty() { " " } else { cell.contents() };
            assert_eq!(shown, meant[(x, y)].symbol(), "{context}: cell {x},{y}");
        }
    }
}

#[test]
fn strangers_stay_in_their_cells() {
    for (at, attack) in attacks().iter().enumerate() {
        let snapshot = saying(attack);
        for (width, height) in [(40, 12), (80, 24), (120, 36), (200, 50), (20, 5)] {
            let all = ["3", "1", "w", "2", "4", "5", "6", "d", "Down", "?", "3 Down Enter", "2", "4", "6 Enter", "5"];
            let pressed = if (width, height) == (80, 24) { &all[..] } else { &all[..3] };
            for pressed in pressed {
                let mut model = model(width, height, ThemeName::Dark, &snapshot);
                keys(&mut model, &snapshot, pressed);
                as_meant(&model, &snapshot, &format!("attack {at}, key {pressed}, {width}x{height}"));
            }
        }
    }
}

#[test]
fn what_is_typed_pasted_and_told_is_harmless_too() {
    for (at, attack) in attacks().iter().enumerate() {
        let snapshot = saying("honest");
        let told = || {
            let mut model = model(80, 24, ThemeName::Dark, &snapshot);
            update(&mut model, Message::Event(Event::Notice { id: None, text: attack.clone() }), &snapshot);
            model
        };
        let mut base = told();
        as_meant(&base, &snapshot, &format!("notice {at}"));
        let mut refused = told();
        update(&mut refused, Message::Event(Event::AddFailed { what: attack.clone(), why: attack.clone() }), &snapshot);
        as_meant(&refused, &snapshot, &format!("refusal {at}"));
        let mut pasted = told();
        update(&mut pasted, Message::Paste(attack.clone()), &snapshot);
        as_meant(&pasted, &snapshot, &format!("paste {at}"));
        keys(&mut base, &snapshot, "/");
        update(&mut base, Message::Paste(attack.clone()), &snapshot);
        as_meant(&base, &snapshot, &format!("filter {at}"));
    }
}

/// What stands in front shows strangers' texts too: what is inside a torrent, names of files on the disk, addresses.
#[test]
fn what_stands_in_front_is_harmless_too() {
    for (at, attack) in attacks().iter().enumerate() {
        let mut snapshot = saying(attack);
        snapshot.folder = attack.clone();
        snapshot.config_file = attack.clone();
        for (width, height) in [(40, 12), (80, 24)] {
            let context = |what: &str| format!("attack {at}, {what}, {width}x{height}");
            for pressed in ["a", "m", "E", ",", "5 d", "Space d", ": x"] {
                let mut model = model(width, height, ThemeName::Dark, &snapshot);
                keys(&mut model, &snapshot, pressed);
                as_meant(&model, &snapshot, &context(pressed));
                update(&mut model, Message::Paste(attack.clone()), &snapshot);
                as_meant(&model, &snapshot, &context(&format!("{pressed}, pasted")));
            }
            let mut model = model(width, height, ThemeName::Dark, &snapshot);
            keys(&mut model, &snapshot, "a x Enter");
            let wrong = Message::Event(Event::Inspected { what: "x".into(), contents: Err(attack.clone()) });
            update(&mut model, wrong, &snapshot);
            as_meant(&model, &snapshot, &context("a fault"));
            keys(&mut model, &snapshot, "Enter");
            let file = |index| FileRow {
                index,
                path: format!("{attack}/{attack}"),
                size: 1,
                done: 0,
                priority: Priority::Normal,
                eta: None,
            };
            let contents = TorrentPreview {
                name: attack.clone(),
                size: 2,
                files: vec![file(0), file(1)],
                folder: attack.clone(),
                free: Some(1),
                remarks: vec![attack.clone()],
                ..TorrentPreview::default()
            };
            update(
                &mut model,
                Message::Event(Event::Inspected { what: "x".into(), contents: Ok(Box::new(contents)) }),
                &snapshot,
            );
            as_meant(&model, &snapshot, &context("contents"));
            keys(&mut model, &snapshot, "Esc Esc a ^o");
            let entry = Entry { name: attack.clone(), folder: at % 2 == 0, size: 1 };
            let listing = DirListing {
                folder: "/data/me".into(),
                path: attack.clone(),
                above: Some("/".into()),
                entries: vec![entry.clone(), entry],
                fault: (at % 3 == 0).then(|| attack.clone()),
                left_out: 0,
            };
            update(&mut model, Message::Listing(listing), &snapshot);
            as_meant(&model, &snapshot, &context("a folder"));
        }
    }
}
