//! The pictures of `screenshots/`, painted from the code that draws the screen. `cargo test --test pictures -- --ignored`
//! writes them anew; the ordinary test says when they are no longer what the screen looks like.

// A test that cannot draw has failed: saying so at once is all that is wanted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

// Each of the tests that draw needs a part of this.
#[allow(dead_code)]
mod support {
    pub mod paint;
    pub mod screen;
    pub mod snapshots;
}

use std::path::PathBuf;
use std::time::Duration;

use ttui::api::Snapshot;
use ttui::ui::app::model::App;
use ttui::ui::theme::style::ThemeName;

use support::paint::{DARK, Ground, LIGHT, Picture, paint, read};
use support::screen::{draw, keys, model};
use support::snapshots::{Numbers, busy};

struct Shot {
    name: &'static str,
    size: (u16, u16),
    theme: ThemeName,
    keys: &'static str,
}

const fn shot(name: &'static str, width: u16, height: u16, theme: ThemeName, keys: &'static str) -> Shot {
    Shot { name, size: (width, height), theme, keys }
}

const SHOTS: &[Shot] = &[
    shot("80x24", 80, 24, ThemeName::Dark, ""),
    shot("80x24-light", 80, 24, ThemeName::Light, ""),
    shot("80x24-remove", 80, 24, ThemeName::Dark, "d Down"),
    shot("120x36", 120, 36, ThemeName::Dark, ""),
    shot("120x36-pieces", 120, 36, ThemeName::Dark, "2"),
    shot("120x36-light", 120, 36, ThemeName::Light, "4"),
    shot("80x24-add", 80, 24, ThemeName::Dark, "a"),
    shot("80x24-do", 80, 24, ThemeName::Dark, ": 'limit"),
    shot("80x24-settings", 80, 24, ThemeName::Dark, ", Down Down"),
    shot("80x24-contrast", 80, 24, ThemeName::Contrast, ""),
    shot("120x36-help", 120, 36, ThemeName::Dark, "?"),
    shot("200x50", 200, 50, ThemeName::Dark, ""),
    shot("80x24-pieces", 80, 24, ThemeName::Dark, "2 Down"),
    shot("80x24-peer", 80, 24, ThemeName::Dark, "Tab Down Enter"),
    shot("120x36-files", 120, 36, ThemeName::Dark, "4 Down"),
    shot("120x36-info", 120, 36, ThemeName::Dark, "1"),
    shot("200x50-pieces", 200, 50, ThemeName::Dark, "2"),
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("screenshots")
}

/// Three minutes of rates that end with those of the snapshot.
fn history(model: &mut App, snapshot: &Snapshot) {
    let mut numbers = Numbers::new(3);
    let (mut down, mut up) = (0.2_f64, 0.4_f64);
    for second in 0..180_u64 {
        let wander = |numbers: &mut Numbers| (numbers.below(1000) as f64 / 1000.0 - 0.5) * 0.12;
        down = (down + (1.0 - down) * 0.03 + wander(&mut numbers)).clamp(0.05, 1.12);
        up = (up + (0.9 - up) * 0.02 + wander(&mut numbers)).clamp(0.02, 1.2);
        let of = |rate: u64, share: f64| (rate as f64 * share) as u64;
        model.state.history.note(Duration::from_secs(second), of(snapshot.down, down), of(snapshot.up, up));
        let mut then = snapshot.clone();
        for (_, view) in &mut then.torrents {
            (view.down, view.up) = (of(view.down, down), of(view.up, up));
        }
        model.state.panes.rates.note(Duration::from_secs(second), &then);
    }
}

fn picture(shot: &Shot) -> Picture {
    let snapshot = busy();
    let (width, height) = shot.size;
    let mut model = model(width, height, shot.theme, &snapshot);
    history(&mut model, &snapshot);
    if !shot.keys.is_empty() {
        keys(&mut model, &snapshot, shot.keys);
    }
    let ground: Ground = if shot.theme == ThemeName::Light { LIGHT } else { DARK };
    paint(&draw(&model, &snapshot), ground, None)
}

#[test]
#[ignore = "writes the pictures"]
fn write_screenshots() {
    std::fs::create_dir_all(folder()).unwrap();
    for shot in SHOTS {
        std::fs::write(folder().join(format!("{}.png", shot.name)), picture(shot).png()).unwrap();
    }
}

#[test]
fn the_pictures_show_the_screen_as_it_is() {
    for shot in SHOTS {
        let kept = read(&std::fs::read(folder().join(format!("{}.png", shot.name))).unwrap());
        let now = picture(shot);
        assert_eq!((kept.width, kept.height), (now.width, now.height), "{}", shot.name);
        // Letters are painted with fractions, which may differ by a hair from machine to machine.
        let differ = kept.pixels.iter().zip(&now.pixels).filter(|(a, b)| a.abs_diff(**b) > 8).count();
        assert_eq!(differ, 0, "{}: write the pictures anew, see the head of this file", shot.name);
    }
}
