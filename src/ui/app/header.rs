//! The first line of the screen: rates, counts of torrents, port, DHT, free space.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::Widget;

use crate::api::{DhtState, Listening, Snapshot, State};
use crate::ui::state::layout::MIN_SIZE;
use crate::ui::text::format::{cells, counted, rate, rate_long, size};
use crate::ui::theme::style::Theme;
use crate::ui::widgets::painter::Painter;
use crate::words::port;

/// The first line of the screen.
pub(crate) struct Header<'a> {
    pub snapshot: &'a Snapshot,
    pub theme: &'a Theme,
}

impl Widget for Header<'_> {
    fn render(self, area: Rect, buf: &mut Buffer) {
        let (theme, snapshot) = (self.theme, self.snapshot);
        let mut pen = Painter { buf, theme };
        let y = area.y;
        let mut x = pen.put(area.x + 1, y, area.width - 2, "ttui", theme.strong) + 2;
        if area.width >= 60 {
            let count = counted(snapshot.torrents.len() as u64, "torrent");
            pen.put(x, y, 14, &count, theme.dim);
            x += (cells(&count) + 2).max(12);
        }
        for (mark, bytes, style) in
            [(theme.glyphs.down, snapshot.down, theme.down), (theme.glyphs.up, snapshot.up, theme.up)]
        {
            pen.fill(x, y, 1, mark, style);
            let style = if bytes == 0 { theme.dim } else { style };
            pen.put_right(x + 11, y, 9, &rate_long(bytes), style);
            x += 13;
        }
        let right = self.beside_the_rates(&mut pen, (x + 1, area.right() - 1, y));
        let states = states(snapshot);
        let room = right.saturating_sub(x + 4);
        if room >= cells(&states) {
            pen.put(x + 1, y, room, &states, theme.dim);
        }
    }
}

/// Minimum width for a truncated port status: most of its cause is still readable.
const CUT: u16 = 34;

impl Header<'_> {
    /// Draws the right part of the line, from the right: free space, port, DHT. On a narrow screen the port status is
    /// shortened, then the less important parts are dropped. Returns the column where this part starts.
    fn beside_the_rates(&self, pen: &mut Painter<'_>, (left, right, y): (u16, u16, u16)) -> u16 {
        const GAP: u16 = 2;
        let (theme, snapshot) = (self.theme, self.snapshot);
        let forms = port::forms(&snapshot.port);
        let nodes = snapshot.dht.as_ref().map(nodes);
        let free = snapshot.free.map(|bytes| format!("free {}", size(bytes)));
        let scarce = snapshot.free.is_some_and(|bytes| bytes < 1_000_000_000);
        let wide = |text: &Option<String>| text.as_ref().map_or(0, |text| cells(text) + GAP);
        let fitting = |free: &Option<String>, nodes: &Option<String>| {
            let room = right.saturating_sub(left + wide(free) + wide(nodes));
            let whole = forms.first().filter(|whole| cells(whole) <= room || room >= CUT);
            whole.or_else(|| forms.iter().find(|form| cells(form) <= room)).cloned()
        };
        let less = if scarce { (free.clone(), None) } else { (None, nodes.clone()) };
        let choices = [(free, nodes), less, (None, None)];
        let found =
            choices.into_iter().find_map(|(free, nodes)| fitting(&free, &nodes).map(|port| (free, port, nodes)));
        let (free, port, nodes) = found.unwrap_or_else(|| (None, forms.last().cloned().unwrap_or_default(), None));
        let started = !matches!(snapshot.port.listening, Listening::Failed { .. });
        let lost = snapshot.dht.as_ref().is_some_and(|dht| dht.nodes == [0, 0] && !dht.beginning);
        let mut at = right + GAP;
        let before_port = wide(&nodes);
        for (text, kept, style) in [
            (free, 0, if scarce { theme.bad } else { theme.dim }),
            (Some(port), before_port, if started { theme.dim } else { theme.warn }),
            (nodes, 0, if lost { theme.warn } else { theme.dim }),
        ] {
            let room = at.saturating_sub(GAP + left + kept);
            if let Some(text) = text.filter(|text| room >= cells(text).min(10)) {
                at = pen.put_right(at - GAP, y, room, &text, style);
            }
        }
        at.min(right)
    }
}

/// Formats the number of DHT nodes: `DHT 312`.
fn nodes(dht: &DhtState) -> String {
    match dht.nodes.iter().sum::<u32>() {
        0 if dht.beginning => "DHT: starting".to_owned(),
        0 => "DHT: offline".to_owned(),
        n => format!("DHT {n}"),
    }
}

/// Counts torrents by state, for wide screens.
fn states(snapshot: &Snapshot) -> String {
    let all = [
        State::Downloading,
        State::Seeding,
        State::Checking,
        State::Metadata,
        State::Queued,
        State::Moving,
        State::Paused,
        State::Error,
    ];
    let mut counts = [0_usize; 8];
    for (_, view) in &snapshot.torrents {
        if let Some(at) = all.iter().position(|state| *state == view.state) {
            counts[at] += 1;
        }
    }
    let counted = all.iter().zip(counts).filter(|(_, count)| *count > 0);
    counted.map(|(state, count)| format!("{count} {}", state.word())).collect::<Vec<_>>().join("  ")
}

/// All that a terminal too small for panes shows: the rates, and the size that it needs.
pub(crate) struct Summary<'a> {
    pub snapshot: &'a Snapshot,
    pub theme: &'a Theme,
}

impl Widget for Summary<'_> {
    fn render(self, area: Rect, buf: &mut Buffer) {
        let (theme, glyphs) = (self.theme, self.theme.glyphs);
        let parts = [
            ("ttui".to_owned(), theme.strong),
            (format!("{}{}", glyphs.down, rate(self.snapshot.down)), theme.down),
            (format!("{}{}", glyphs.up, rate(self.snapshot.up)), theme.up),
            (counted(self.snapshot.torrents.len() as u64, "torrent"), theme.dim),
            (format!("(needs {}x{})", MIN_SIZE.0, MIN_SIZE.1), theme.warn),
        ];
        let mut x = area.x;
        for (text, style) in parts {
            x = Painter { buf, theme }.put(x, area.y, area.right().saturating_sub(x), &text, style) + 1;
        }
    }
}
