//! Themes: color palettes by meaning, and the glyphs used for drawing.
//!
//! A color always has one meaning: teal is download, violet is upload, blue is complete, yellow is in progress or a
//! warning, red is an error or missing. Secondary text is dim.

use ratatui::style::{Color, Modifier, Style};

use crate::config::interface::Theme as Setting;
use crate::config::themes::FILES;
use crate::ui::theme::files::{self, Palette};

/// The themes a user can choose from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ThemeName {
    /// Light text on a dark background.
    #[default]
    Dark,
    /// Dark text on a light background.
    Light,
    /// High contrast: bright text on black, nothing dim.
    Contrast,
    /// No colors: only bold, dim and shade characters.
    Plain,
    /// One of the [files](crate::config::themes::FILES).
    File(u8),
}

impl ThemeName {
    /// Returns the next theme, cyclically.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            ThemeName::Dark => ThemeName::Light,
            ThemeName::Light => ThemeName::Contrast,
            ThemeName::Contrast => ThemeName::Plain,
            ThemeName::Plain => ThemeName::File(0),
            ThemeName::File(at) if (at as usize) + 1 < FILES.len() => ThemeName::File(at + 1),
            ThemeName::File(_) => ThemeName::Dark,
        }
    }

    /// Returns the name shown on the screen.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            ThemeName::Contrast => "high contrast",
            ThemeName::Plain => "no colors",
            name => name.setting().name(),
        }
    }

    /// Returns the value of the setting.
    #[must_use]
    pub const fn setting(self) -> Setting {
        match self {
            ThemeName::Dark => Setting::Dark,
            ThemeName::Light => Setting::Light,
            ThemeName::Contrast => Setting::Contrast,
            ThemeName::Plain => Setting::Plain,
            ThemeName::File(at) => Setting::File(at),
        }
    }
}

/// Number of colors a terminal has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ColorDepth {
    /// At least 256.
    #[default]
    Many,
    /// Eight, each normal and bright.
    Sixteen,
    /// Eight.
    Eight,
}

impl ColorDepth {
    /// Detects the color depth from `TERM` and `COLORTERM`.
    #[must_use]
    pub fn of_env(term: Option<&str>, colorterm: Option<&str>) -> Self {
        if colorterm.is_some() || cfg!(windows) {
            return ColorDepth::Many;
        }
        match term.unwrap_or_default() {
            "linux" | "xterm" | "xterm-16color" | "screen" | "tmux" | "rxvt" | "putty" => ColorDepth::Sixteen,
            "" | "ansi" | "cygwin" | "xterm-color" | "xterm-8color" | "Eterm" | "vt340" => ColorDepth::Eight,
            _ => ColorDepth::Many,
        }
    }
}

/// State of a run of pieces, as drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PieceShade {
    /// All pieces verified.
    Have,
    /// Some pieces verified, from 1 (few) to 3 (most).
    Part(u8),
    /// Requested or partially downloaded.
    Active,
    /// Missing; availability among peers: 0 is none, 1 is one copy, 2 is few, 3 is many.
    Missing(u8),
}

/// The characters used for drawing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Glyphs {
    pub rule: &'static str,
    /// Vertical rule.
    pub column: &'static str,
    /// Truncation mark.
    pub cut: char,
    pub down: char,
    pub up: char,
    /// End of a file on the piece map's ruler.
    pub tick: char,
    /// Filled cell of a progress bar.
    pub bar: char,
    /// Half-filled cell at the end of a progress bar, if available.
    pub bar_half: Option<char>,
    /// Empty cell of a progress bar.
    pub bar_rest: char,
    /// Graph columns from lowest to full; braille is used if empty.
    pub levels: &'static [char],
    /// Sort markers: descending, ascending.
    pub sorted: [char; 2],
}

const UNICODE: Glyphs = Glyphs {
    rule: "─",
    column: "│",
    cut: '…',
    down: '↓',
    up: '↑',
    tick: '┴',
    bar: '━',
    bar_half: Some('╸'),
    bar_rest: '━',
    levels: &[],
    sorted: ['▾', '▴'],
};

const ASCII: Glyphs = Glyphs {
    rule: "-",
    column: "|",
    cut: '~',
    down: 'v',
    up: '^',
    tick: '|',
    bar: '=',
    bar_half: None,
    bar_rest: '.',
    levels: &['.', ':', '|', '#'],
    sorted: ['v', '^'],
};

/// A theme: one style per meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Theme {
    pub name: ThemeName,
    /// Whether drawing is restricted to ASCII.
    pub ascii: bool,
    pub glyphs: Glyphs,
    pub text: Style,
    pub strong: Style,
    /// Secondary text.
    pub dim: Style,
    /// Rules and empty values.
    pub faint: Style,
    /// Keys and the active tab.
    pub accent: Style,
    pub down: Style,
    pub up: Style,
    /// Complete or healthy.
    pub good: Style,
    /// In progress, or a warning.
    pub warn: Style,
    pub bad: Style,
    /// Overlay of the selected row.
    pub chosen: Style,
    /// Background of a dialog.
    pub sheet: Style,
    /// Background of the whole screen; `None` keeps the terminal's own.
    pub ground: Option<Style>,
    /// A QR code: black on white on any background; without colors, the terminal's own.
    pub code: Style,
    /// Whether the terminal reports a light background.
    pub light_ground: bool,
    /// Gradient of the download graph, from bottom to top.
    pub down_ramp: [Color; 4],
    /// Gradient of the upload graph, from bottom to top.
    pub up_ramp: [Color; 4],
    /// Colors of [`PieceShade`]s: have, part 1 to 3, active, missing with no, few or many copies.
    pieces: [Color; 8],
}

/// Indexed colors beyond 16, which terminal color schemes do not change: some schemes make "black" light.
const BLACK_ON_WHITE: Style = Style::new().fg(Color::Indexed(16)).bg(Color::Indexed(231));

const fn fg(color: u8) -> Style {
    Style::new().fg(Color::Indexed(color))
}

impl Default for Theme {
    fn default() -> Self {
        Theme::new(ThemeName::default(), false)
    }
}

impl Theme {
    /// Returns the theme of that name, in 256 colors.
    #[must_use]
    pub fn new(name: ThemeName, ascii: bool) -> Self {
        let glyphs = if ascii { ASCII } else { UNICODE };
        match name {
            ThemeName::Dark => Theme {
                name,
                ascii,
                glyphs,
                text: fg(252),
                strong: fg(255).add_modifier(Modifier::BOLD),
                dim: fg(245),
                faint: fg(239),
                accent: fg(117),
                down: fg(79),
                up: fg(141),
                good: fg(114),
                warn: fg(221),
                bad: fg(203),
                chosen: Style::new().bg(Color::Indexed(236)),
                sheet: Style::new().bg(Color::Indexed(235)),
                ground: None,
                code: BLACK_ON_WHITE,
                light_ground: false,
                down_ramp: indexed([23, 29, 36, 79]),
                up_ramp: indexed([60, 97, 98, 141]),
                pieces: indexed([75, 60, 67, 67, 179, 88, 236, 239]),
            },
            ThemeName::Light => Theme {
                name,
                ascii,
                glyphs,
                text: fg(236),
                strong: fg(232).add_modifier(Modifier::BOLD),
                dim: fg(243),
                faint: fg(250),
                accent: fg(25),
                down: fg(29),
                up: fg(91),
                good: fg(28),
                warn: fg(130),
                bad: fg(160),
                chosen: Style::new().bg(Color::Indexed(254)),
                sheet: Style::new().bg(Color::Indexed(255)),
                // As on paper, whatever the ground of the terminal is.
                ground: Some(Style::new().fg(Color::Indexed(236)).bg(Color::Indexed(231))),
                code: BLACK_ON_WHITE,
                light_ground: false,
                down_ramp: indexed([115, 72, 36, 29]),
                up_ramp: indexed([183, 140, 97, 91]),
                pieces: indexed([32, 153, 110, 110, 172, 217, 254, 251]),
            },
            ThemeName::Contrast => Theme::contrast(ascii, glyphs),
            ThemeName::File(at) => {
                let base = Theme::new(ThemeName::Dark, ascii);
                files::read(at).map_or(base, |palette| Theme { name, ..base.painted(&palette) })
            }
            ThemeName::Plain => Theme {
                name,
                ascii,
                glyphs,
                text: Style::new(),
                strong: Style::new().add_modifier(Modifier::BOLD),
                dim: Style::new().add_modifier(Modifier::DIM),
                faint: Style::new().add_modifier(Modifier::DIM),
                accent: Style::new().add_modifier(Modifier::BOLD),
                down: Style::new(),
                up: Style::new(),
                good: Style::new(),
                warn: Style::new().add_modifier(Modifier::BOLD),
                bad: Style::new().add_modifier(Modifier::BOLD),
                chosen: Style::new().add_modifier(Modifier::BOLD),
                sheet: Style::new(),
                ground: None,
                code: Style::new(),
                light_ground: false,
                down_ramp: [Color::Reset; 4],
                up_ramp: [Color::Reset; 4],
                pieces: [Color::Reset; 8],
            },
        }
    }

    /// The high-contrast theme: bright on black, on any terminal background.
    const fn contrast(ascii: bool, glyphs: Glyphs) -> Theme {
        Theme {
            name: ThemeName::Contrast,
            ascii,
            glyphs,
            text: fg(15),
            strong: fg(15).add_modifier(Modifier::BOLD),
            dim: fg(254),
            faint: fg(248),
            accent: fg(51).add_modifier(Modifier::BOLD),
            down: fg(49),
            up: fg(219),
            good: fg(120),
            warn: fg(226),
            bad: fg(211).add_modifier(Modifier::BOLD),
            chosen: Style::new().bg(Color::Indexed(19)).add_modifier(Modifier::BOLD),
            sheet: Style::new().fg(Color::Indexed(15)).bg(Color::Indexed(17)),
            ground: Some(Style::new().fg(Color::Indexed(15)).bg(Color::Indexed(16))),
            code: BLACK_ON_WHITE,
            light_ground: false,
            down_ramp: indexed([49, 49, 49, 49]),
            up_ramp: indexed([219, 219, 219, 219]),
            pieces: indexed([39, 32, 32, 32, 226, 196, 240, 245]),
        }
    }

    /// Returns the theme of that name, reduced to the terminal's color depth.
    #[must_use]
    pub fn fitted(name: ThemeName, ascii: bool, colours: ColorDepth) -> Self {
        let theme = Theme::new(name, ascii);
        let light = match name {
            ThemeName::File(at) => files::read(at).is_some_and(|palette| palette.light),
            name => name == ThemeName::Light,
        };
        match (name, colours) {
            (ThemeName::Plain, _) | (_, ColorDepth::Many) => theme,
            (_, colours) => theme.with_few(light, colours == ColorDepth::Sixteen),
        }
    }

    /// Reduces the theme to ANSI colors, which the terminal's color scheme defines. Without `bright`, only the eight
    /// dark ones are used, of which blue and black are unreadable on black.
    fn with_few(self, light: bool, bright: bool) -> Self {
        let fg = |color: Color| Style::new().fg(color);
        let pick = |bright_one: Color, dark_one: Color| if bright && !light { bright_one } else { dark_one };
        let quiet = |color: Color| if bright { fg(color) } else { Style::new().add_modifier(Modifier::DIM) };
        let (down, up) = (pick(Color::LightCyan, Color::Cyan), pick(Color::LightMagenta, Color::Magenta));
        let down = if light { Color::Green } else { down };
        let grey = if bright { Color::DarkGray } else { Color::Reset };
        let have = if light { Color::Blue } else { pick(Color::LightBlue, Color::Cyan) };
        let contrast = self.name == ThemeName::Contrast;
        let plain = Style::new().fg(Color::White).bg(Color::Black);
        let text = match (contrast, light) {
            (true, _) => fg(Color::White),
            (_, true) => fg(Color::Black),
            _ => Style::new(),
        };
        Theme {
            text,
            strong: text.add_modifier(Modifier::BOLD),
            dim: if contrast { text } else { quiet(Color::DarkGray) },
            faint: if contrast { text } else { quiet(if light { Color::Gray } else { Color::DarkGray }) },
            accent: if light { fg(Color::Blue) } else { fg(pick(Color::LightBlue, Color::Cyan)) }
                .add_modifier(Modifier::BOLD),
            down: fg(down),
            up: fg(up),
            good: fg(pick(Color::LightGreen, Color::Green)),
            warn: fg(pick(Color::LightYellow, Color::Yellow)),
            bad: fg(pick(Color::LightRed, Color::Red)).add_modifier(Modifier::BOLD),
            chosen: Style::new().fg(Color::Reset).bg(Color::Reset).add_modifier(Modifier::REVERSED),
            sheet: match (contrast, light) {
                (true, _) => plain,
                (_, true) => Style::new().fg(Color::Black).bg(Color::White),
                _ => Style::new(),
            },
            ground: match (contrast, light) {
                (true, _) => Some(plain),
                (_, true) => Some(Style::new().fg(Color::Black).bg(Color::White)),
                _ => None,
            },
            code: Style::new().fg(Color::Black).bg(Color::White),
            down_ramp: [down; 4],
            up_ramp: [up; 4],
            pieces: [have, have, have, have, pick(Color::LightYellow, Color::Yellow), Color::Red, grey, grey],
            ..self
        }
    }

    /// Returns the theme with the colors of a file.
    fn painted(self, palette: &Palette) -> Self {
        let fg = Palette::fg;
        Theme {
            text: fg(palette.text),
            strong: fg(palette.strong).add_modifier(Modifier::BOLD),
            dim: fg(palette.dim),
            faint: fg(palette.faint),
            accent: fg(palette.accent),
            down: fg(palette.download),
            up: fg(palette.upload),
            good: fg(palette.good),
            warn: fg(palette.warning),
            bad: fg(palette.error),
            chosen: Style::new().bg(palette.selected.color()),
            sheet: palette.plain(),
            ground: Some(palette.plain()),
            down_ramp: palette.ramp(palette.download),
            up_ramp: palette.ramp(palette.upload),
            pieces: palette.pieces(),
            ..self
        }
    }

    /// Returns whether the theme has colors.
    #[must_use]
    pub fn coloured(&self) -> bool {
        self.name != ThemeName::Plain
    }

    /// Returns the color of a run of pieces.
    #[must_use]
    pub fn piece(&self, shade: PieceShade) -> Color {
        let index = match shade {
            PieceShade::Have => 0,
            PieceShade::Part(level) => usize::from(level.clamp(1, 3)),
            PieceShade::Active => 4,
            PieceShade::Missing(0) => 5,
            PieceShade::Missing(1 | 2) => 6,
            PieceShade::Missing(_) => 7,
        };
        self.pieces[index]
    }

    /// Returns the color of the cursor on the piece map.
    #[must_use]
    pub fn cursor(&self) -> Color {
        self.strong.fg.unwrap_or(Color::Reset)
    }

    /// Returns the character of a run of pieces for displays without colors.
    #[must_use]
    pub const fn piece_char(&self, shade: PieceShade) -> char {
        match (shade, self.ascii) {
            (PieceShade::Have, false) => '█',
            (PieceShade::Active, false) => '▓',
            (PieceShade::Part(_), false) => '▒',
            (PieceShade::Missing(0), false) => '·',
            (PieceShade::Missing(_), false) => '░',
            (PieceShade::Have, true) => '#',
            (PieceShade::Active, true) => '+',
            (PieceShade::Part(_), true) => '=',
            (PieceShade::Missing(0), true) => '.',
            (PieceShade::Missing(_), true) => '-',
        }
    }
}

const fn indexed<const N: usize>(of: [u8; N]) -> [Color; N] {
    let mut colors = [Color::Reset; N];
    let mut at = 0;
    while at < N {
        colors[at] = Color::Indexed(of[at]);
        at += 1;
    }
    colors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn themes_go_round() {
        let mut name = ThemeName::Dark;
        for _ in 0..4 + FILES.len() {
            name = name.next();
        }
        assert_eq!(name, ThemeName::Dark);
    }

    #[test]
    fn a_terminal_gets_no_more_colours_than_it_has() {
        let env = |term| ColorDepth::of_env(Some(term), None);
        assert_eq!(env("xterm-256color"), ColorDepth::Many);
        assert_eq!(env("linux"), ColorDepth::Sixteen);
        assert_eq!(env("ansi"), ColorDepth::Eight);
        assert_eq!(ColorDepth::of_env(Some("xterm"), Some("truecolor")), ColorDepth::Many);
        let many = |color: &Color| matches!(color, Color::Indexed(_) | Color::Rgb(..));
        for name in [ThemeName::Dark, ThemeName::Light, ThemeName::Contrast, ThemeName::Plain] {
            for colours in [ColorDepth::Sixteen, ColorDepth::Eight] {
                let theme = Theme::fitted(name, false, colours);
                let all = [
                    theme.text,
                    theme.strong,
                    theme.dim,
                    theme.faint,
                    theme.accent,
                    theme.down,
                    theme.up,
                    theme.good,
                    theme.warn,
                    theme.bad,
                    theme.chosen,
                    theme.sheet,
                ];
                let used = all.iter().chain(theme.ground.iter()).flat_map(|style| [style.fg, style.bg]).flatten();
                let used: Vec<Color> = used.chain(theme.pieces).chain(theme.down_ramp).chain(theme.up_ramp).collect();
                assert!(!used.iter().any(many), "{name:?} {colours:?}: {used:?}");
                let bright = |color: &Color| {
                    matches!(
                        color,
                        Color::DarkGray
                            | Color::LightRed
                            | Color::LightGreen
                            | Color::LightYellow
                            | Color::LightBlue
                            | Color::LightMagenta
                            | Color::LightCyan
                    )
                };
                assert!(colours == ColorDepth::Sixteen || !used.iter().any(bright), "{name:?}: {used:?}");
            }
        }
    }
}
