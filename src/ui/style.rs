//! What the screen looks like: the colours and their meaning, and the characters that draw.
//!
//! A colour always means the same: teal comes in, violet goes out, blue is what is here, yellow is under way or needs a
//! look, red is wrong or lacking. What is not worth a look is dim.

use ratatui::style::{Color, Modifier, Style};

/// The themes a user can choose from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ThemeName {
    /// Light text on a dark ground.
    #[default]
    Dark,
    /// Dark text on a light ground.
    Light,
    /// Bright text on black, nothing dim.
    Contrast,
    /// No colours: bold, dim and shades of characters only.
    Plain,
}

impl ThemeName {
    /// The theme after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            ThemeName::Dark => ThemeName::Light,
            ThemeName::Light => ThemeName::Contrast,
            ThemeName::Contrast => ThemeName::Plain,
            ThemeName::Plain => ThemeName::Dark,
        }
    }

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            ThemeName::Dark => "dark",
            ThemeName::Light => "light",
            ThemeName::Contrast => "high contrast",
            ThemeName::Plain => "no colours",
        }
    }

    /// Its word in the config.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            ThemeName::Dark => "dark",
            ThemeName::Light => "light",
            ThemeName::Contrast => "contrast",
            ThemeName::Plain => "plain",
        }
    }
}

/// How many colours a terminal has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Colours {
    /// 256 at least.
    #[default]
    Many,
    /// Eight, each in two shades.
    Sixteen,
    /// Eight.
    Eight,
}

impl Colours {
    /// What `TERM` and `COLORTERM` say.
    #[must_use]
    pub fn of_env(term: Option<&str>, colorterm: Option<&str>) -> Self {
        if colorterm.is_some() || cfg!(windows) {
            return Colours::Many;
        }
        match term.unwrap_or_default() {
            "linux" | "xterm" | "xterm-16color" | "screen" | "tmux" | "rxvt" | "putty" => Colours::Sixteen,
            "" | "ansi" | "cygwin" | "xterm-color" | "xterm-8color" | "Eterm" | "vt340" => Colours::Eight,
            _ => Colours::Many,
        }
    }
}

/// How far a run of pieces is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shade {
    /// All here.
    Have,
    /// Some here: 1 is few, 3 is most.
    Part(u8),
    /// Asked for or partly here.
    Active,
    /// Missing; peers have 0 is none, 1 is one copy, 2 is few, 3 is many.
    Missing(u8),
}

/// The characters that draw.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Glyphs {
    /// A horizontal rule.
    pub rule: char,
    /// A vertical rule.
    pub column: char,
    /// Where a text was cut.
    pub cut: char,
    /// What comes in.
    pub down: char,
    /// What goes out.
    pub up: char,
    /// The end of a file on the ruler.
    pub tick: char,
    /// A full part of a bar.
    pub bar: char,
    /// The half part at its end, where there is one.
    pub bar_half: Option<char>,
    /// The rest of a bar.
    pub bar_rest: char,
    /// Columns of a graph, from the lowest to the full one; braille is used where there are none.
    pub levels: &'static [char],
    /// Sorted downwards, and upwards.
    pub sorted: [char; 2],
}

const UNICODE: Glyphs = Glyphs {
    rule: '─',
    column: '│',
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
    rule: '-',
    column: '|',
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

/// One look: a style for each meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Theme {
    /// Which it is.
    pub name: ThemeName,
    /// Whether only ASCII may be written.
    pub ascii: bool,
    /// The characters that draw.
    pub glyphs: Glyphs,
    /// Ordinary text.
    pub text: Style,
    /// What the eye should find first.
    pub strong: Style,
    /// What is read second.
    pub dim: Style,
    /// Rules and what is hardly there.
    pub faint: Style,
    /// Keys, the chosen tab.
    pub accent: Style,
    /// What comes in.
    pub down: Style,
    /// What goes out.
    pub up: Style,
    /// What is whole.
    pub good: Style,
    /// What is under way or needs a look.
    pub warn: Style,
    /// What is wrong.
    pub bad: Style,
    /// Laid over the chosen row.
    pub chosen: Style,
    /// The ground of a dialog.
    pub sheet: Style,
    /// The ground of everything, where it is not the terminal's own.
    pub ground: Option<Style>,
    /// A QR code: black on white, whatever the ground is; without colours only as the terminal is.
    pub code: Style,
    /// Whether the terminal's own ground is light, as far as it tells.
    pub light_ground: bool,
    /// Colours of a graph of what comes in, from its foot to its top.
    pub down_ramp: [Color; 4],
    /// The same of what goes out.
    pub up_ramp: [Color; 4],
    /// Colours of [`Shade`]s: have, part 1 to 3, active, missing 0 to 3.
    pieces: [Color; 8],
}

/// From the part of the 256 colours that no terminal's scheme changes: in some, what is called black is light.
const BLACK_ON_WHITE: Style = Style::new().fg(Color::Indexed(16)).bg(Color::Indexed(231));

const fn fg(color: u8) -> Style {
    Style::new().fg(Color::Indexed(color))
}

impl Theme {
    /// The theme of that name.
    #[must_use]
    pub const fn new(name: ThemeName, ascii: bool) -> Self {
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
                ground: None,
                code: BLACK_ON_WHITE,
                light_ground: false,
                down_ramp: indexed([115, 72, 36, 29]),
                up_ramp: indexed([183, 140, 97, 91]),
                pieces: indexed([32, 153, 110, 110, 172, 217, 254, 251]),
            },
            ThemeName::Contrast => Theme::contrast(ascii, glyphs),
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

    /// Bright on black, whatever the ground of the terminal is.
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

    /// The theme of that name for a terminal of so many colours.
    #[must_use]
    pub fn fitted(name: ThemeName, ascii: bool, colours: Colours) -> Self {
        let theme = Theme::new(name, ascii);
        match (name, colours) {
            (ThemeName::Plain, _) | (_, Colours::Many) => theme,
            (name, colours) => theme.with_few(name == ThemeName::Light, colours == Colours::Sixteen),
        }
    }

    /// The same in the colours of ANSI, which the user's terminal shows as it was told to. Without `bright`, only the
    /// eight dark ones, of which blue and black cannot be read on black.
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
        let text = if contrast { fg(Color::White) } else { Style::new() };
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
            sheet: if contrast { plain } else { Style::new() },
            ground: contrast.then_some(plain),
            code: Style::new().fg(Color::Black).bg(Color::White),
            down_ramp: [down; 4],
            up_ramp: [up; 4],
            pieces: [have, have, have, have, pick(Color::LightYellow, Color::Yellow), Color::Red, grey, grey],
            ..self
        }
    }

    /// Whether it has colours.
    #[must_use]
    pub fn coloured(&self) -> bool {
        self.name != ThemeName::Plain
    }

    /// The colour of a run of pieces.
    #[must_use]
    pub fn piece(&self, shade: Shade) -> Color {
        let index = match shade {
            Shade::Have => 0,
            Shade::Part(level) => usize::from(level.clamp(1, 3)),
            Shade::Active => 4,
            Shade::Missing(0) => 5,
            Shade::Missing(1 | 2) => 6,
            Shade::Missing(_) => 7,
        };
        self.pieces[index]
    }

    /// The colour of a cursor on the piece map.
    #[must_use]
    pub fn cursor(&self) -> Color {
        self.strong.fg.unwrap_or(Color::Reset)
    }

    /// The character of a run of pieces where colours cannot tell.
    #[must_use]
    pub const fn piece_char(&self, shade: Shade) -> char {
        match (shade, self.ascii) {
            (Shade::Have, false) => '█',
            (Shade::Active, false) => '▓',
            (Shade::Part(_), false) => '▒',
            (Shade::Missing(0), false) => '·',
            (Shade::Missing(_), false) => '░',
            (Shade::Have, true) => '#',
            (Shade::Active, true) => '+',
            (Shade::Part(_), true) => '=',
            (Shade::Missing(0), true) => '.',
            (Shade::Missing(_), true) => '-',
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
        for _ in 0..4 {
            name = name.next();
        }
        assert_eq!(name, ThemeName::Dark);
    }

    #[test]
    fn a_terminal_gets_no_more_colours_than_it_has() {
        let env = |term| Colours::of_env(Some(term), None);
        assert_eq!(env("xterm-256color"), Colours::Many);
        assert_eq!(env("linux"), Colours::Sixteen);
        assert_eq!(env("ansi"), Colours::Eight);
        assert_eq!(Colours::of_env(Some("xterm"), Some("truecolor")), Colours::Many);
        let many = |color: &Color| matches!(color, Color::Indexed(_) | Color::Rgb(..));
        for name in [ThemeName::Dark, ThemeName::Light, ThemeName::Contrast, ThemeName::Plain] {
            for colours in [Colours::Sixteen, Colours::Eight] {
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
                assert!(colours == Colours::Sixteen || !used.iter().any(bright), "{name:?}: {used:?}");
            }
        }
    }
}
