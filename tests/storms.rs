//! Storms of keys, clicks, pastes, answers, resizes and new snapshots: whatever comes in whatever order, at whatever
//! size, down to none at all, the interface draws, and never panics.

// A test that cannot draw has failed: saying so at once is all that is wanted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

// Each of the tests that draw needs a part of this.
#[allow(dead_code)]
mod support {
    pub mod screen;
    pub mod snapshots;
}

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use ttui::api::{Event, FileRow, Priority, Snapshot, TorrentId, TorrentPreview};
use ttui::ui::app::update::update;
use ttui::ui::keys::bindings::KEYS;
use ttui::ui::keys::key::Key;
use ttui::ui::state::app::Message;
use ttui::ui::theme::style::{Theme, ThemeName};
use ttui::ui::widgets::path_input::{DirListing, Entry};

use support::screen::{draw, model, text};
use support::snapshots::{busy, download, empty, library, seed, stuck, world};

/// What comes next.
#[derive(Clone, Debug)]
enum Gust {
    Tell(Message),
    /// From now on the engine shows this of the worlds.
    World(usize),
}

fn sizes() -> impl Strategy<Value = (u16, u16)> {
    prop_oneof![4 => (0..=250_u16, 0..=60_u16), 2 => (0..=45_u16, 0..=14_u16), 1 => Just((80, 24))]
}

/// Letters that are pressed with Ctrl; not c, which ends everything.
const HELD: [char; 12] = ['a', 'b', 'd', 'e', 'f', 'k', 'l', 'n', 'o', 'p', 'u', 'w'];

fn any_key() -> impl Strategy<Value = Key> {
    let bound: Vec<Key> = KEYS.iter().flat_map(|binding| binding.all_keys()).collect();
    prop_oneof![
        8 => proptest::sample::select(bound),
        3 => proptest::sample::select(&[Key::Enter, Key::Tab, Key::BackTab, Key::Backspace, Key::Down, Key::Esc][..]),
        1 => proptest::sample::select(&HELD[..]).prop_map(Key::Ctrl),
        2 => any::<char>().prop_map(Key::Char),
    ]
}

fn contents(files: usize) -> TorrentPreview {
    let file = |index: usize| FileRow {
        index,
        path: format!("{}leaf {index}", "deep/".repeat(index * 40 % 1500)),
        size: index as u64 * 1000,
        done: 0,
        priority: Priority::Normal,
        eta: None,
    };
    TorrentPreview { name: "what is inside".into(), files: (0..files).map(file).collect(), ..TorrentPreview::default() }
}

fn listing(folder: String, entries: usize) -> DirListing {
    let entry = |at: usize| Entry { name: format!("entry {at}"), folder: at.is_multiple_of(3), size: at as u64 };
    DirListing { folder, entries: (0..entries).map(entry).collect(), ..DirListing::default() }
}

fn gusts() -> impl Strategy<Value = Gust> {
    let typed = "[a-z/~:., \n\u{202e}\u{4e2d}\u{301}]{0,30}";
    prop_oneof![
        12 => any_key().prop_map(Message::Key).prop_map(Gust::Tell),
        4 => sizes().prop_map(|(width, height)| Gust::Tell(Message::Resize(width, height))),
        3 => (0..260_u16, 0..70_u16).prop_map(|(x, y)| Gust::Tell(Message::Click(x, y))),
        2 => (0..260_u16, 0..70_u16, -3..=3).prop_map(|(x, y, by)| Gust::Tell(Message::Wheel(x, y, by))),
        1 => typed.prop_map(|text| Gust::Tell(Message::Paste(text))),
        2 => (0..9000_u64).prop_map(|seconds| Gust::Tell(Message::Tick(Duration::from_secs(seconds)))),
        1 => ("[~/a-z]{0,9}", 0..40_usize).prop_map(|(folder, all)| Gust::Tell(Message::Listing(listing(folder, all)))),
        1 => (typed, 0..40_usize).prop_map(|(what, all)| Gust::Tell(Message::Event(Event::Inspected { what, contents: Ok(Box::new(contents(all))) }))),
        1 => typed.prop_map(|text| Gust::Tell(Message::Event(Event::AddFailed { what: text.clone(), why: text }))),
        1 => (0..9_u32).prop_map(|id| Gust::Tell(Message::Event(Event::Complete(TorrentId(id))))),
        1 => (0..9_u32).prop_map(|id| Gust::Tell(Message::Event(Event::Added { id: TorrentId(id), what: String::new() }))),
        2 => (0..6_usize).prop_map(Gust::World),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_it_draws(
        start in sizes(),
        ascii in any::<bool>(),
        theme in proptest::sample::select(&[ThemeName::Dark, ThemeName::Plain][..]),
        storm in vec(gusts(), 1..60),
    ) {
        let many = world(vec![library(400), seed("one"), stuck("two"), download("three", 200)]);
        let worlds: [Snapshot; 6] = [empty(), busy(), many, world(vec![seed("alone")]), Snapshot::default(), busy()];
        let mut snapshot = &worlds[1];
        let mut model = model(start.0, start.1, theme, snapshot);
        model.state.theme = Theme::new(theme, ascii);
        for gust in storm {
            match gust {
                Gust::World(at) => {
                    snapshot = &worlds[at];
                    update(&mut model, Message::Snapshot, snapshot);
                }
                Gust::Tell(msg) => {
                    update(&mut model, msg, snapshot);
                }
            }
            model.state.quit = false;
            let shown = draw(&model, snapshot);
            let (width, height) = model.state.size;
            // In four cells and more there is something to be read.
            prop_assert!(width < 4 || height == 0 || !text(&shown).trim().is_empty(), "blank at {width}x{height}");
        }
    }
}
