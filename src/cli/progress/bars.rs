//! The progress of torrents on a terminal: a line for each torrent and a line of totals, redrawn in place.

use std::cmp::Reverse;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::lines::percent;
use crate::api::{State, TorrentView};
use crate::format::counted;
use crate::ui::text::format::{cells, eta, fit, rate_long};
use crate::words::why;

/// Width of a progress bar in cells.
const BAR: usize = 10;
/// Terminal width from which lines carry a progress bar.
const BAR_FROM: u16 = 72;
/// Terminal size that is assumed if the terminal does not tell its size.
const USUAL: (u16, u16) = (80, 24);

/// The lines on the terminal. They stay the last lines: everything else is printed above them.
pub(super) struct Bars {
    area: MultiProgress,
    rows: Vec<ProgressBar>,
    ascii: bool,
}

impl Bars {
    /// Creates the area without drawing. With `ascii`, only ASCII characters are drawn.
    pub(super) fn new(ascii: bool) -> Self {
        Bars { area: MultiProgress::with_draw_target(ProgressDrawTarget::stdout()), rows: Vec::new(), ascii }
    }

    /// Draws these torrents, as many as the terminal has lines for.
    pub(super) fn draw(&mut self, views: &[&TorrentView]) {
        let (width, height) = crossterm::terminal::size().ok().filter(|size| size.0 > 0).unwrap_or(USUAL);
        let lines = screen(views, width.saturating_sub(1), height.saturating_sub(2), self.ascii);
        for row in self.rows.drain(lines.len().min(self.rows.len())..) {
            self.area.remove(&row);
        }
        while self.rows.len() < lines.len() {
            let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
            self.rows.push(self.area.add(ProgressBar::no_length().with_style(style)));
        }
        for (row, line) in self.rows.iter().zip(lines) {
            if row.message() != line {
                row.set_message(line);
            }
        }
    }

    /// Removes the lines, runs `print` and draws them again.
    pub(super) fn above(&self, print: impl FnOnce()) {
        self.area.suspend(print);
    }

    /// Removes the lines.
    pub(super) fn clear(&mut self) {
        let _ = self.area.clear();
        self.rows.drain(..).for_each(|row| self.area.remove(&row));
    }
}

/// Formats at most `height` lines of at most `width` cells. If there are more torrents than lines, those that do
/// something come first and the totals say how many are not shown.
fn screen(views: &[&TorrentView], width: u16, height: u16, ascii: bool) -> Vec<String> {
    let room = usize::from(height.max(1));
    let totals = usize::from(views.len() > 1);
    let shown = views.len().min((room - totals).max(1));
    let mut chosen: Vec<&TorrentView> = views.to_vec();
    if shown < chosen.len() {
        chosen.sort_by_key(|view| (interest(view), Reverse(view.down + view.up)));
        chosen.truncate(shown);
    }
    let longest = chosen.iter().map(|view| cells(&view.name)).max().unwrap_or(0);
    let names = longest.min(width / 3).max(8);
    let mut lines: Vec<String> = chosen.iter().map(|view| row(view, names, width, ascii)).collect();
    if totals > 0 && room > 1 {
        lines.push(totals_line(views, views.len() - shown, width, ascii));
    }
    lines
}

/// Returns the order in which torrents are shown if not all can be: lower comes first.
const fn interest(view: &TorrentView) -> u8 {
    match view.state {
        _ if view.down > 0 => 0,
        State::Error => 1,
        State::Checking | State::Metadata | State::Moving => 2,
        _ if view.up > 0 => 3,
        State::Downloading => 4,
        State::Queued | State::Paused => 5,
        State::Seeding => 6,
    }
}

/// Formats the line of a torrent: name, share, then what it does.
fn row(view: &TorrentView, names: u16, width: u16, ascii: bool) -> String {
    let cut = if ascii { '~' } else { '…' };
    let name = fit(view.name.as_str().into(), names, ascii, cut);
    let gap = usize::from(names - cells(&name));
    let share = percent(view);
    let bar = if width >= BAR_FROM { format!("{} ", bar(share)) } else { String::new() };
    let head = format!("{name}{:gap$}  {bar}{share:5.1}%  ", "");
    let parts = activity(view, ascii);
    fit(joined(head, &parts, width).into(), width, ascii, cut).into_owned()
}

/// Appends the parts to `head`, as long as they fit in `width` cells; the first one always, even if it is cut.
fn joined(head: String, parts: &[String], width: u16) -> String {
    let mut line = head;
    for (n, part) in parts.iter().enumerate() {
        if n > 0 && cells(&line) + 2 + cells(part) > width {
            continue;
        }
        line.push_str(if n > 0 { "  " } else { "" });
        line.push_str(part);
    }
    line
}

fn bar(share: f64) -> String {
    let full = ((share / 100.0 * BAR as f64) as usize).min(BAR);
    format!("[{}{}]", "#".repeat(full), ".".repeat(BAR - full))
}

/// Returns what a torrent does, the most important part first: rates, or the reason why there are none.
fn activity(view: &TorrentView, ascii: bool) -> Vec<String> {
    let (down, up) = rates(view.down, view.up, ascii);
    let peers = counted(view.peers, "peer");
    match view.state {
        State::Downloading if view.down > 0 => vec![down, left(view.eta), peers, up],
        State::Seeding if view.up > 0 => vec![up, format!("ratio {:.2}", view.ratio()), peers],
        State::Seeding => vec!["seeding".into(), peers, format!("ratio {:.2}", view.ratio())],
        State::Downloading | State::Error | State::Metadata => vec![why::sentence(&view.why)],
        state => vec![state.word().into()],
    }
}

fn rates(down: u64, up: u64, ascii: bool) -> (String, String) {
    let (down, up) = (rate_long(down), rate_long(up));
    if ascii { (format!("down {down}"), format!("up {up}")) } else { (format!("↓ {down}"), format!("↑ {up}")) }
}

fn left(time: Option<Duration>) -> String {
    time.map_or_else(|| "time left unknown".into(), |time| format!("{} left", eta(Some(time))))
}

/// Formats the totals of all torrents, `hidden` of which have no line.
fn totals_line(views: &[&TorrentView], hidden: usize, width: u16, ascii: bool) -> String {
    let sum = |of: fn(&TorrentView) -> u64| views.iter().map(|view| of(view)).sum::<u64>();
    let (wanted, done, speed) = (sum(|view| view.wanted), sum(|view| view.done), sum(|view| view.down));
    let complete = views.iter().filter(|view| view.state == State::Seeding).count() as u64;
    let mut head = format!("{complete} of {} complete", counted(views.len() as u64, "torrent"));
    if hidden > 0 {
        head.push_str(&format!(", {hidden} not shown"));
    }
    let (down, up) = rates(speed, sum(|view| view.up), ascii);
    let mut parts = vec![format!("  {down}"), up];
    if speed > 0 && wanted > done {
        parts.insert(1, left(Some(Duration::from_secs((wanted - done) / speed))));
    }
    let cut = if ascii { '~' } else { '…' };
    fit(joined(head, &parts, width).into(), width, ascii, cut).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{DiskFault, FaultKind, Reason};

    fn download(name: &str, down: u64) -> TorrentView {
        let fault = DiskFault { kind: FaultKind::Final, text: "no peers: the tracker knows nobody".into() };
        let why = Reason::Fault(fault).into();
        let eta = (down > 0).then(|| Duration::from_secs(134));
        TorrentView {
            name: name.into(),
            wanted: 1000,
            done: 623,
            pieces: 9,
            down,
            eta,
            peers: 1,
            why,
            ..TorrentView::default()
        }
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_each_torrent_has_one() {
        let mut seed = download("日本語の名前のフォルダー with a long tail of words", 0);
        (seed.state, seed.done, seed.up, seed.uploaded) = (State::Seeding, 1000, 1_200_000, 310);
        let all = [download("debian-13.1-amd64-netinst.iso", 10_900_000), download("a\u{1b}[2Jb", 0), seed];
        let views: Vec<&TorrentView> = all.iter().collect();
        for width in [20, 39, 59, 79, 119] {
            for ascii in [false, true] {
                let lines = screen(&views, width, 22, ascii);
                assert_eq!(lines.len(), 4, "{lines:#?}");
                assert!(
                    lines.iter().all(|line| cells(line) <= width && !line.contains('\u{1b}')),
                    "{width}: {lines:#?}"
                );
                assert!(!ascii || lines.iter().all(|line| line.is_ascii()), "{lines:#?}");
            }
        }
        let wide = screen(&views, 119, 22, false);
        assert_eq!(
            wide[0],
            "debian-13.1-amd64-netinst.iso            [######....]  62.3%  ↓ 10.9 MB/s  2m20 left  1 peer  ↑ 0.0 kB/s"
        );
        assert!(wide[1].ends_with(" 62.3%  no peers: the tracker knows nobody"), "{wide:#?}");
        assert!(wide[2].ends_with("[##########] 100.0%  ↑ 1.2 MB/s  ratio 0.31  1 peer"), "{wide:#?}");
        assert_eq!(wide[3], "1 of 3 torrents complete  ↓ 10.9 MB/s  0s left  ↑ 1.2 MB/s");
    }

    #[test]
    fn what_moves_is_shown_first_when_lines_are_few() {
        let all: Vec<TorrentView> = (0..50).map(|n| download(&format!("t{n}"), if n == 40 { 5 } else { 0 })).collect();
        let views: Vec<&TorrentView> = all.iter().collect();
        let lines = screen(&views, 79, 3, false);
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("t40 ") && lines[1].starts_with("t0 "), "{lines:#?}");
        assert!(lines[2].starts_with("0 of 50 torrents complete, 48 not shown"), "{lines:#?}");
        assert_eq!(screen(&views, 79, 1, false).len(), 1);
    }
}
