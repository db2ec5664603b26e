//! Shows how to share a torrent: link, file, info-hash and a QR code, which fills the screen if there is no room for
//! both.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::api::Created;
use crate::ui::dialogs::dialog::{CLOSE, CONFIRM, Dialog, DialogContext, Outcome, Request};
use crate::ui::keys::action::{Action, AppAction, DialogAction, TorrentAction};
use crate::ui::keys::context::KeyContext;
use crate::ui::text::format::{prefix, wrap};
use crate::ui::theme::style::ThemeName;
use crate::ui::widgets::panel::{Panel, room, text_width};
use crate::ui::widgets::qr::Qr;

/// Minimum columns of the text beside the QR code.
const BESIDE: u16 = 30;
/// Columns between text and QR code.
const GAP: u16 = 2;

/// The action that copies the link.
const COPY: Action = Action::Torrent(TorrentAction::CopyMagnet);

/// View of a torrent to share.
#[derive(Clone, PartialEq, Debug)]
pub struct ShareView {
    /// The torrent; without a path if it was not created just now.
    made: Created,
    code: Option<Qr>,
    /// Whether the QR code fills the screen.
    fullscreen: bool,
    /// Whether dark and light are swapped: without colors, the terminal's background may be unknown.
    inverted: bool,
    /// Whether the link was copied.
    copied: bool,
}

impl ShareView {
    /// Creates the view of a created torrent.
    #[must_use]
    pub fn new(made: Created) -> Self {
        let code = Qr::encode(&short(&made.magnet));
        ShareView { made, code, fullscreen: false, inverted: false, copied: false }
    }

    /// Creates the view of a torrent of the list.
    pub(crate) fn of_link(magnet: String) -> Self {
        ShareView::new(Created { magnet, ..Created::default() })
    }

    fn draw_fullscreen(&self, panel: &mut Panel<'_, '_>) {
        let screen = panel.screen;
        let Some(code) = self.lines(panel, screen.width, screen.height) else {
            let words = match &self.code {
                Some(code) if !panel.pen.theme.ascii => {
                    let (columns, lines) = code.min_size();
                    format!("The QR code needs a terminal of at least {columns}x{lines}.")
                }
                Some(_) => "The QR code cannot be drawn in ASCII.".to_owned(),
                None => "The link is too long for a QR code.".to_owned(),
            };
            let lines = wrap(&words, text_width(screen.width));
            let room = panel.open("QR code", lines.len(), &[(CLOSE, "back")]);
            let style = panel.pen.theme.warn;
            for (line, y) in lines.iter().zip(room.y..room.bottom()) {
                panel.line(room, y, line, style);
            }
            return;
        };
        let theme = *panel.pen.theme;
        panel.pen.clear(screen, theme.sheet);
        let width = code.first().map_or(0, |line| line.chars().count() as u16);
        let (x, y) = (screen.x + (screen.width - width) / 2, screen.y + (screen.height - code.len() as u16) / 2);
        put(panel, Rect { x, y, width, height: code.len() as u16 }, &code);
    }

    /// Returns the lines of the QR code if it fits.
    fn lines(&self, panel: &Panel<'_, '_>, columns: u16, lines: u16) -> Option<Vec<String>> {
        let code = self.code.as_ref().filter(|_| !panel.pen.theme.ascii)?;
        let light = is_plain(panel) && (panel.pen.theme.light_ground == self.inverted);
        code.lines(columns.into(), lines.into(), light)
    }

    fn text(&self, panel: &Panel<'_, '_>, width: u16) -> Vec<(String, Style)> {
        let theme = *panel.pen.theme;
        let mut lines: Vec<(String, Style)> = Vec::new();
        let mut say = |text: &str, style| lines.extend(wrap(text, width).into_iter().map(|line| (line, style)));
        match self.made.path.is_empty() {
            true => say("On another machine, run ttui with this link in quotes:", theme.good),
            false => say("Seeding. On another machine, run ttui with this link in quotes:", theme.good),
        }
        lines.extend(chunked(&self.made.magnet, width).into_iter().take(8).map(|line| (line, theme.strong)));
        if self.made.lan {
            let mut say = |text: &str, style| lines.extend(wrap(text, width).into_iter().map(|line| (line, style)));
            say("On this network, the info-hash is enough:", theme.dim);
            lines.extend(chunked(info_hash(&self.made.magnet), width).into_iter().map(|line| (line, theme.text)));
        }
        if !self.made.path.is_empty() {
            lines.push(("Or send the .torrent file:".to_owned(), theme.dim));
            lines.extend(chunked(&self.made.path, width).into_iter().take(4).map(|line| (line, theme.text)));
        }
        if self.copied {
            let words = "The link was copied, if the terminal supports OSC 52.";
            lines.extend(wrap(words, width).into_iter().map(|line| (line, theme.good)));
        }
        lines
    }
}

impl Dialog for ShareView {
    fn contexts(&self) -> &'static [KeyContext] {
        &[KeyContext::Share, KeyContext::Dialogs, KeyContext::Everywhere]
    }

    fn action(&mut self, action: Action, _cx: &DialogContext<'_>) -> Outcome {
        match action {
            COPY => {
                self.copied = true;
                return Outcome::Do(Request::CopyMagnet(self.made.magnet.clone()));
            }
            Action::Dialog(DialogAction::ShowQr) => self.fullscreen = !self.fullscreen,
            Action::Dialog(DialogAction::InvertQr) => self.inverted = !self.inverted,
            CLOSE | CONFIRM | Action::App(AppAction::Quit) if self.fullscreen => self.fullscreen = false,
            CLOSE | CONFIRM | Action::App(AppAction::Quit) => return Outcome::Close,
            _ => return Outcome::Ignored,
        }
        Outcome::Stay
    }

    fn draw(&self, panel: &mut Panel<'_, '_>, _cx: &DialogContext<'_>) {
        if self.fullscreen {
            return self.draw_fullscreen(panel);
        }
        let screen = panel.screen;
        let rows = room(screen.height, usize::MAX);
        let columns = screen.width.saturating_sub(BESIDE + GAP + 2);
        let code = self.lines(panel, columns, rows);
        let code_width = code.as_ref().and_then(|lines| lines.first()).map_or(0, |line| line.chars().count() as u16);
        let width = match code_width {
            0 => text_width(screen.width),
            taken => text_width(screen.width - taken - GAP),
        };
        let text = self.text(panel, width);
        let height = text.len().max(code.as_ref().map_or(0, Vec::len));
        let qr = |action| Action::Dialog(action);
        let buttons = match (&code, is_plain(panel)) {
            (Some(_), false) => vec![(COPY, "copy the link"), (CLOSE, "close")],
            (Some(_), true) => vec![(COPY, "copy link"), (qr(DialogAction::InvertQr), "invert"), (CLOSE, "close")],
            (None, _) => vec![(COPY, "copy the link"), (qr(DialogAction::ShowQr), "QR code"), (CLOSE, "close")],
        };
        let room = panel.open(if self.made.path.is_empty() { "link" } else { "your torrent" }, height, &buttons);
        for ((line, style), y) in text.iter().zip(room.y..room.bottom()) {
            panel.line(Rect { width, ..room }, y, line, *style);
        }
        if let Some(code) = code {
            put(panel, Rect { x: room.right().saturating_sub(code_width), width: code_width, ..room }, &code);
        }
    }
}

/// Returns whether the theme has no colors, so that the QR code is drawn in the terminal's own two colors.
fn is_plain(panel: &Panel<'_, '_>) -> bool {
    panel.pen.theme.name == ThemeName::Plain
}

/// Draws a QR code.
fn put(panel: &mut Panel<'_, '_>, area: Rect, code: &[String]) {
    let style = panel.pen.theme.code;
    for (line, y) in code.iter().zip(area.y..area.bottom()) {
        panel.pen.put(area.x, y, area.width, line, style);
    }
}

/// Shortens a magnet link to the info-hash and the first tracker with minimal escaping, for a smaller QR code.
#[must_use]
pub fn short(magnet: &str) -> String {
    let mut parts = magnet.split('&');
    let link = parts.next().unwrap_or_default();
    match parts.find(|part| part.starts_with("tr=")) {
        Some(tracker) => format!("{link}&{}", tracker.replace("%3A", ":").replace("%2F", "/")),
        None => link.to_owned(),
    }
}

/// Returns the info-hash of a magnet link.
#[must_use]
pub fn info_hash(magnet: &str) -> &str {
    let rest = magnet.split_once("urn:btih:").map_or("", |(_, rest)| rest);
    rest.split('&').next().unwrap_or_default()
}

/// Splits a text without spaces into lines of `width` cells.
fn chunked(text: &str, width: u16) -> Vec<String> {
    let mut rest = text;
    let mut lines = Vec::new();
    while !rest.is_empty() {
        let (mut line, _) = prefix(rest, width);
        if line.is_empty() {
            line = rest;
        }
        lines.push(line.to_owned());
        rest = &rest[line.len()..];
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_taken_apart() {
        let link = "magnet:?xt=urn:btih:0104&dn=a%20b&tr=http%3A%2F%2Fx%26y&tr=z";
        assert_eq!(short(link), "magnet:?xt=urn:btih:0104&tr=http://x%26y");
        assert_eq!(short("magnet:?xt=urn:btih:0104"), "magnet:?xt=urn:btih:0104");
        assert_eq!((info_hash(link), info_hash("magnet:?xt=urn:btih:07"), info_hash("x")), ("0104", "07", ""));
    }
}
