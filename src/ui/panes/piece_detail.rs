//! The details of the piece under the cursor of the piece map.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::Widget;

use crate::api::{Detail, PieceDetail};
use crate::ui::state::privacy::address;
use crate::ui::text::format::{counted, grouped, piece_length, time};
use crate::ui::theme::style::Theme;
use crate::ui::widgets::key_values::{Arrangement, KeyValues, Pair};
use crate::ui::widgets::painter::Painter;

/// Returns labels and values of the piece under the cursor. With `little` space, files are shown by their last path
/// component and listed before the peers.
fn pairs(piece: &PieceDetail, little: bool) -> Vec<Pair<'_>> {
    let state = if piece.have {
        "verified".to_owned()
    } else {
        format!("{} of {} received", grouped(u64::from(piece.received)), counted(u64::from(piece.blocks), "block"))
    };
    let mut lines = vec![Pair::new("state", state)];
    if !piece.have {
        if let Some(age) = piece.age {
            lines.push(Pair::new("started", format!("{} ago", time(age))));
        }
        let peers = piece.asked.iter().map(|asked| format!("{} ({})", address(asked.peer), asked.blocks));
        let web = piece.asked_web.iter().map(|asked| format!("{} ({})", asked.peer, asked.blocks));
        let asked: Vec<String> = peers.chain(web).collect();
        lines.push(Pair::new("from", if asked.is_empty() { "no peer".into() } else { asked.join(", ") }));
    }
    let some: Vec<String> = piece.fastest_holders.iter().map(|addr| address(*addr)).collect();
    let holders = match (piece.peers_with_piece, some.is_empty()) {
        (0, _) => "no connected peer".to_owned(),
        (n, true) => format!("{} peers", grouped(u64::from(n))),
        (1, _) => some.join(", "),
        (n, _) => format!("{} peers: {}", grouped(u64::from(n)), some.join(", ")),
    };
    lines.push(Pair::new("held by", holders));
    let names: Vec<&str> = piece.files.iter().map(|path| if little { last_name(path) } else { path }).collect();
    let files = match names.as_slice() {
        [] => "-".to_owned(),
        [one] => (*one).to_owned(),
        several => format!("{} files: {}", several.len(), several.join(", ")),
    };
    lines.push(Pair::new("file", files));
    if piece.fails > 0 {
        let times = if piece.fails == 1 { "once".to_owned() } else { format!("{} times", piece.fails) };
        lines.push(Pair::new("bad hash", times));
    }
    if little {
        // What the state is, needs no label.
        lines[0].label = "";
        lines.sort_by_key(|pair| match pair.label {
            "" => 0,
            "file" => 1,
            "bad hash" => 2,
            _ => 3,
        });
    }
    lines
}

/// Returns the last component of a path.
fn last_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Draws the details of the piece under the cursor: in one column beside the map, or in few lines below it.
pub(crate) fn draw(area: Rect, buf: &mut Buffer, theme: &Theme, cursor: Option<u32>, detail: &Detail, pieces: u32) {
    if area.is_empty() {
        return;
    }
    let mut pen = Painter { buf, theme };
    let Some(at) = cursor else {
        pen.put(area.x, area.y, area.width, "select a piece with the arrow keys or a click", theme.dim);
        return;
    };
    let piece = detail.piece.as_ref().filter(|piece| piece.index == at);
    let x = pen.put(area.x, area.y, area.width, &format!("piece {}", grouped(u64::from(at))), theme.strong);
    let of = format!("  of {}", grouped(u64::from(pieces)));
    let of = match piece.map_or(0, |piece| u32::try_from(piece.size).unwrap_or(u32::MAX)) {
        0 => of,
        size => format!("{of}, {}", piece_length(size)),
    };
    let x = pen.put(x, area.y, area.right().saturating_sub(x), &of, theme.dim);
    let Some(piece) = piece else { return };
    let little = area.height <= 3;
    let pairs = pairs(piece, little);
    let below = Rect { y: area.y + 1, height: area.height - 1, ..area };
    let (area, arrangement) =
        if little { (area, Arrangement::Flow { start: x + 3 }) } else { (below, Arrangement::Wrapped) };
    KeyValues { pairs: &pairs, theme, arrangement }.render(area, pen.buf);
}
