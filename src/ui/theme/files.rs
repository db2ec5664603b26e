//! Themes that are files: read, and completed by mixtures of their colors.

use ratatui::style::{Color, Style};
use serde::Deserialize;

use crate::config::themes::FILES;

/// The colors of a theme file, as `#rrggbb`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Palette {
    /// Whether the text is darker than the ground.
    pub light: bool,
    pub ground: Rgb,
    pub text: Rgb,
    pub strong: Rgb,
    pub dim: Rgb,
    pub faint: Rgb,
    pub accent: Rgb,
    pub download: Rgb,
    pub upload: Rgb,
    pub good: Rgb,
    pub warning: Rgb,
    pub error: Rgb,
    /// Ground of the selected row.
    pub selected: Rgb,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Rgb([u8; 3]);

impl TryFrom<String> for Rgb {
    type Error = String;

    fn try_from(text: String) -> Result<Rgb, String> {
        let number =
            text.strip_prefix('#').filter(|hex| hex.len() == 6).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        let [_, rgb @ ..] = number.ok_or_else(|| format!("{text} is no color such as #a0b0c0"))?.to_be_bytes();
        Ok(Rgb(rgb))
    }
}

impl Rgb {
    /// Returns the color of 256 that is nearest: not every terminal has more.
    pub(crate) fn color(self) -> Color {
        const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
        let far =
            |other: [u8; 3]| -> u32 { self.0.iter().zip(other).map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum() };
        let cube =
            (0..216_u8).map(|at| (at + 16, [at / 36, at / 6 % 6, at % 6].map(|level| LEVELS[usize::from(level)])));
        let greys = (0..24_u8).map(|at| (at + 232, [at * 10 + 8; 3]));
        let nearest = cube.chain(greys).min_by_key(|(_, rgb)| far(*rgb));
        Color::Indexed(nearest.map_or(0, |(index, _)| index))
    }

    /// Mixes two colors: so many tenths of this one.
    fn mixed(self, other: Rgb, tenths: u16) -> Rgb {
        let mix = |at: usize| (u16::from(self.0[at]) * tenths + u16::from(other.0[at]) * (10 - tenths)) / 10;
        Rgb([0, 1, 2].map(|at| u8::try_from(mix(at)).unwrap_or(u8::MAX)))
    }
}

impl Palette {
    /// Returns a style with this color of the text.
    pub(crate) fn fg(color: Rgb) -> Style {
        Style::new().fg(color.color())
    }

    /// Returns text on the ground of the theme.
    pub(crate) fn plain(&self) -> Style {
        Palette::fg(self.text).bg(self.ground.color())
    }

    /// Returns four colors from near the ground to this one.
    pub(crate) fn ramp(&self, color: Rgb) -> [Color; 4] {
        [4, 6, 8, 10].map(|tenths| color.mixed(self.ground, tenths).color())
    }

    /// Returns the colors of pieces: have, three parts, active, missing with no, few and many copies.
    pub(crate) fn pieces(&self) -> [Color; 8] {
        let part = self.accent.mixed(self.ground, 6).color();
        let (none, few) = (self.error.mixed(self.ground, 6).color(), self.faint.mixed(self.ground, 6).color());
        [self.accent.color(), part, part, part, self.warning.color(), none, few, self.faint.color()]
    }
}

/// Reads a theme file; `None` if there is no such file.
pub(crate) fn read(at: u8) -> Option<Palette> {
    toml::from_str(FILES.get(usize::from(at))?.text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_a_theme_that_can_be_read() {
        assert!(FILES.len() >= 12);
        for (at, file) in (0..).zip(FILES) {
            let palette: Palette = toml::from_str(file.text).unwrap();
            let bright = |color: Rgb| color.0.iter().map(|part| u32::from(*part)).sum::<u32>();
            assert_eq!(palette.light, bright(palette.ground) > bright(palette.text), "{}", file.name);
            // Text stands out from its ground, and what is selected from what is not.
            for text in [palette.text, palette.dim, palette.accent, palette.error, palette.download, palette.upload] {
                assert!(bright(text).abs_diff(bright(palette.ground)) > 90, "{}: {text:?}", file.name);
            }
            assert_ne!(palette.selected, palette.ground, "{}", file.name);
            assert!(read(at).is_some());
        }
        assert!(read(u8::MAX).is_none());
    }

    #[test]
    fn colors_are_the_nearest_of_256() {
        let color = |text: &str| Rgb::try_from(text.to_owned()).map(Rgb::color);
        assert_eq!(color("#000000"), Ok(Color::Indexed(16)));
        assert_eq!(color("#ffffff"), Ok(Color::Indexed(231)));
        assert_eq!(color("#5f87af"), Ok(Color::Indexed(67)));
        assert_eq!(color("#121212"), Ok(Color::Indexed(233)));
        assert!(color("red").is_err() && color("#12345").is_err());
    }
}
