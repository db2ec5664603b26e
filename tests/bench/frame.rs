//! What a frame costs: `cargo bench --bench frame`. The world is the largest that the screen is made for, 500 torrents
//! and 2,000 peers of the chosen one. `build` draws into an empty buffer; `snapshot` is what the model does when a new
//! snapshot comes, four times a second at most.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code)]
#[path = "../support/screen.rs"]
mod screen;
#[allow(dead_code)]
#[path = "../support/snapshots.rs"]
mod snapshots;

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use ttui::ui::app::update::update;
use ttui::ui::app::view::view;
use ttui::ui::state::app::Message;
use ttui::ui::theme::style::ThemeName;

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 36), (200, 50)];
/// What is shown: the keys that lead there.
const PANES: [&str; 5] = ["3", "2", "4", "z", "~"];

/// A screen to be drawn.
struct Shown {
    size: (u16, u16),
    keys: &'static str,
}

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}, {}", self.size.0, self.size.1, self.keys)
    }
}

fn main() {
    divan::main();
}

#[divan::bench(args = SIZES.into_iter().flat_map(|size| PANES.map(|keys| Shown { size, keys })), sample_count = 200)]
fn build(bencher: divan::Bencher<'_, '_>, shown: &Shown) {
    let snapshot = snapshots::crowd();
    let (width, height) = shown.size;
    let mut model = screen::model(width, height, ThemeName::Dark, &snapshot);
    screen::keys(&mut model, &snapshot, shown.keys);
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    bencher.bench_local(|| {
        terminal.draw(|frame| view(&model, &snapshot, frame)).unwrap();
    });
}

#[divan::bench(args = SIZES, sample_count = 200)]
fn snapshot(bencher: divan::Bencher<'_, '_>, (width, height): (u16, u16)) {
    let snapshot = snapshots::crowd();
    let mut model = screen::model(width, height, ThemeName::Dark, &snapshot);
    bencher.bench_local(|| update(&mut model, Message::Snapshot, &snapshot));
}
