//! QR codes drawn with half blocks: two rows of modules per line of text.

use qrcode::{Color, EcLevel, QrCode};

/// Widths of the quiet zone in modules, in order of preference: the standard requires four; one is the minimum that
/// scans.
const QUIET_ZONES: [usize; 3] = [4, 2, 1];

/// A QR code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Qr {
    side: usize,
    dark: Vec<bool>,
}

impl Qr {
    /// Encodes a text; `None` if it is too long.
    pub(crate) fn encode(text: &str) -> Option<Qr> {
        // A screen is not damaged like paper: the lowest error correction level gives the smallest code.
        let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
        let dark = code.to_colors().into_iter().map(|color| color == Color::Dark).collect();
        Some(Qr { side: code.width(), dark })
    }

    /// Returns the minimum number of columns and lines.
    pub(crate) const fn min_size(&self) -> (usize, usize) {
        let side = self.side + 2 * QUIET_ZONES[2];
        (side, side.div_ceil(2))
    }

    /// Returns the lines of the code, with the widest quiet zone that fits; `None` if the code does not fit. With
    /// `light`, light modules are drawn and dark ones left blank, for a dark terminal without colors.
    pub(crate) fn lines(&self, columns: usize, lines: usize, light: bool) -> Option<Vec<String>> {
        let whole = |quiet: &usize| self.side + 2 * quiet;
        let quiet =
            QUIET_ZONES.into_iter().find(|quiet| whole(quiet) <= columns && whole(quiet).div_ceil(2) <= lines)?;
        let side = whole(&quiet);
        let is_dark = |x: usize, y: usize| {
            let (x, y) = (x.wrapping_sub(quiet), y.wrapping_sub(quiet));
            x < self.side && y < self.side && self.dark[y * self.side + x]
        };
        // With an odd number of rows, the row below the last one is light.
        let drawn = |x: usize, y: usize| is_dark(x, y) != light;
        let cell = |x: usize, y: usize| match (drawn(x, y), drawn(x, y + 1)) {
            (true, true) => '\u{2588}',
            (true, false) => '\u{2580}',
            (false, true) => '\u{2584}',
            (false, false) => ' ',
        };
        Some((0..side).step_by(2).map(|y| (0..side).map(|x| cell(x, y)).collect()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: &str =
        "magnet:?xt=urn:btih:01048e2f93f116f98707303c75889740c8fb20f2&tr=http%3A%2F%2F192.168.1.20%3A6969%2Fannounce";

    /// Decodes lines of half blocks.
    fn read(lines: &[String], light: bool) -> String {
        let (above, below) = (['\u{2588}', '\u{2580}'], ['\u{2588}', '\u{2584}']);
        let rows: Vec<Vec<bool>> = lines
            .iter()
            .flat_map(|line| [&above, &below].map(|marks| line.chars().map(|c| marks.contains(&c) != light).collect()))
            .collect();
        let scale = 4;
        let dark = |x: usize, y: usize| rows[y / scale][x / scale];
        let (width, height) = (rows[0].len() * scale, rows.len() * scale);
        let mut picture =
            rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| if dark(x, y) { 0 } else { 255 });
        let found = picture.detect_grids();
        assert_eq!(found.len(), 1, "{lines:#?}");
        found[0].decode().unwrap().1
    }

    #[test]
    fn a_reader_reads_the_link() {
        let code = Qr::encode(LINK).unwrap();
        for (columns, lines, light) in [(100, 60, false), (100, 60, true), (41, 21, false), (39, 20, true)] {
            assert_eq!(read(&code.lines(columns, lines, light).unwrap(), light), LINK, "{columns}x{lines}");
        }
        assert_eq!(code.min_size(), (39, 20));
        assert!(code.lines(39, 20, false).is_some());
        assert!(code.lines(38, 60, false).is_none() && code.lines(100, 19, false).is_none());
    }

    #[test]
    fn a_text_that_is_too_long_has_no_code() {
        assert!(Qr::encode(&"x".repeat(2953)).is_some() && Qr::encode(&"x".repeat(3000)).is_none());
    }
}
