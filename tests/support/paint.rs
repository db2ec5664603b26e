//! Pictures of a screen: cells to pixels. Letters come from the Hack typeface; blocks, rules and braille are drawn as
//! geometry, so that they join as they do in a good terminal.

use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

const WIDTH: usize = 12;
const HEIGHT: usize = 24;
const MARGIN: usize = 18;

type Rgb = [u8; 3];

/// The ground and the text of a terminal.
#[derive(Clone, Copy)]
pub struct Ground {
    pub back: Rgb,
    pub text: Rgb,
}

pub const DARK: Ground = Ground { back: [22, 24, 30], text: [208, 208, 208] };
pub const LIGHT: Ground = Ground { back: [252, 252, 250], text: [48, 48, 48] };

/// A picture: rows of pixels.
pub struct Picture {
    pub width: usize,
    pub height: usize,
    pub pixels: Vec<u8>,
}

impl Picture {
    fn blend(&mut self, x: usize, y: usize, color: Rgb, share: f32) {
        if x >= self.width || y >= self.height {
            return;
        }
        let at = (y * self.width + x) * 3;
        for (channel, new) in color.into_iter().enumerate() {
            let old = f32::from(self.pixels[at + channel]);
            self.pixels[at + channel] = (old + (f32::from(new) - old) * share.clamp(0.0, 1.0)).round() as u8;
        }
    }

    fn block(&mut self, x: usize, y: usize, width: usize, height: usize, color: Rgb, share: f32) {
        for y in y..y + height {
            for x in x..x + width {
                self.blend(x, y, color, share);
            }
        }
    }

    /// The picture as a PNG.
    pub fn png(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::High);
        encoder.write_header().unwrap().write_image_data(&self.pixels).unwrap();
        out
    }
}

/// Reads a PNG that was written by [`Picture::png`].
pub fn read(bytes: &[u8]) -> Picture {
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    Picture { width: info.width as usize, height: info.height as usize, pixels }
}

/// Paints a screen; `cursor` is the cell of a bar cursor.
pub fn paint(buffer: &Buffer, ground: Ground, cursor: Option<(u16, u16)>) -> Picture {
    let (columns, rows) = (usize::from(buffer.area.width), usize::from(buffer.area.height));
    let (width, height) = (columns * WIDTH + 2 * MARGIN, rows * HEIGHT + 2 * MARGIN);
    let mut picture = Picture { width, height, pixels: ground.back.repeat(width * height) };
    let font = FontRef::try_from_slice(epaint_default_fonts::HACK_REGULAR).unwrap();
    for pass in 0..2 {
        for row in 0..rows {
            for column in 0..columns {
                let cell = &buffer[(column as u16, row as u16)];
                let (x, y) = (MARGIN + column * WIDTH, MARGIN + row * HEIGHT);
                let (fg, bg) = colors(cell, ground);
                if pass == 0 {
                    picture.block(x, y, WIDTH, HEIGHT, bg, 1.0);
                } else {
                    glyphs(&mut picture, &font, x, y, cell, fg);
                }
            }
        }
    }
    if let Some((column, row)) = cursor {
        let (x, y) = (MARGIN + usize::from(column) * WIDTH, MARGIN + usize::from(row) * HEIGHT);
        picture.block(x, y + 1, 2, HEIGHT - 2, ground.text, 1.0);
    }
    picture
}

fn colors(cell: &Cell, ground: Ground) -> (Rgb, Rgb) {
    let mut fg = rgb(cell.fg, ground.text);
    let mut bg = rgb(cell.bg, ground.back);
    if cell.modifier.contains(Modifier::REVERSED) {
        std::mem::swap(&mut fg, &mut bg);
    }
    if cell.modifier.contains(Modifier::DIM) {
        fg = std::array::from_fn(|i| ((u16::from(fg[i]) * 11 + u16::from(bg[i]) * 9) / 20) as u8);
    }
    (fg, bg)
}

/// The colours of xterm.
fn rgb(color: Color, reset: Rgb) -> Rgb {
    let Color::Indexed(index) = color else { return reset };
    match index {
        16..=231 => {
            let level = |n: u8| if n == 0 { 0 } else { 55 + 40 * n };
            let index = index - 16;
            [level(index / 36), level(index / 6 % 6), level(index % 6)]
        }
        232..=255 => [8 + 10 * (index - 232); 3],
        _ => reset,
    }
}

fn glyphs(picture: &mut Picture, font: &FontRef<'_>, x: usize, y: usize, cell: &Cell, color: Rgb) {
    for c in cell.symbol().chars() {
        if c != ' ' && !drawn(picture, x, y, c, color) {
            letter(picture, font, x, y, c, color, cell.modifier.contains(Modifier::BOLD));
        }
    }
}

fn letter(picture: &mut Picture, font: &FontRef<'_>, x: usize, y: usize, c: char, color: Rgb, bold: bool) {
    let advance = font.h_advance_unscaled(font.glyph_id('0'));
    let scale = PxScale::from(WIDTH as f32 * font.height_unscaled() / advance);
    let scaled = font.as_scaled(scale);
    let base = (HEIGHT as f32 - scaled.height()) / 2.0 + scaled.ascent();
    let strokes: &[f32] = if bold { &[0.0, 0.7] } else { &[0.0] };
    for shift in strokes {
        let glyph = font.glyph_id(c).with_scale_and_position(scale, point(x as f32 + shift, y as f32 + base.round()));
        if let Some(outline) = font.outline_glyph(glyph) {
            let bounds = outline.px_bounds();
            outline.draw(|dx, dy, share| {
                let (x, y) = (bounds.min.x as i64 + i64::from(dx), bounds.min.y as i64 + i64::from(dy));
                if let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) {
                    picture.blend(x, y, color, share);
                }
            });
        }
    }
}

/// Draws what must join with its neighbours; false for a letter.
fn drawn(picture: &mut Picture, x: usize, y: usize, c: char, color: Rgb) -> bool {
    let (middle, half) = (y + HEIGHT / 2, x + WIDTH / 2);
    match c {
        '─' => picture.block(x, middle - 1, WIDTH, 1, color, 1.0),
        '│' => picture.block(half - 1, y, 1, HEIGHT, color, 1.0),
        '┴' => {
            picture.block(x, middle - 1, WIDTH, 1, color, 1.0);
            picture.block(half - 1, y, 1, HEIGHT / 2, color, 1.0);
        }
        '━' => picture.block(x, middle - 2, WIDTH, 3, color, 1.0),
        '╸' => picture.block(x, middle - 2, WIDTH / 2, 3, color, 1.0),
        '█' => picture.block(x, y, WIDTH, HEIGHT, color, 1.0),
        '▌' => picture.block(x, y, WIDTH / 2, HEIGHT, color, 1.0),
        '▐' => picture.block(half, y, WIDTH / 2, HEIGHT, color, 1.0),
        '▕' => picture.block(x + WIDTH - 2, y, 2, HEIGHT, color, 1.0),
        '▀' => picture.block(x, y, WIDTH, HEIGHT / 2, color, 1.0),
        '░' => picture.block(x, y, WIDTH, HEIGHT, color, 0.25),
        '▒' => picture.block(x, y, WIDTH, HEIGHT, color, 0.5),
        '▓' => picture.block(x, y, WIDTH, HEIGHT, color, 0.75),
        '▁'..='▇' => {
            let height = HEIGHT * (c as usize - '▁' as usize + 1) / 8;
            picture.block(x, y + HEIGHT - height, WIDTH, height, color, 1.0);
        }
        '\u{2800}'..='\u{28ff}' => braille(picture, x, y, c as u32 - 0x2800, color),
        _ => return false,
    }
    true
}

fn braille(picture: &mut Picture, x: usize, y: usize, dots: u32, color: Rgb) {
    for (dot, (column, row)) in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)].into_iter().enumerate()
    {
        if dots & (1 << dot) != 0 {
            picture.block(x + column * WIDTH / 2 + 2, y + row * HEIGHT / 4 + 2, 3, 3, color, 1.0);
        }
    }
}
