//! Several pictures as one that moves: a GIF with the colours that all of them use most, each frame with only what has
//! changed.

use std::collections::BTreeMap;

use super::paint::Picture;

/// The index that lets the frame before shine through.
const CLEAR: u8 = 255;

/// A GIF that shows the pictures one after the other, each for so many hundredths of a second, for ever.
pub fn gif(frames: &[(Picture, u16)]) -> Vec<u8> {
    let (width, height) = (frames[0].0.width, frames[0].0.height);
    let palette = palette(frames);
    let mut nearest = BTreeMap::new();
    let mut out = Vec::new();
    let flat: Vec<u8> = palette.concat();
    let mut encoder = gif::Encoder::new(&mut out, width as u16, height as u16, &flat).unwrap();
    encoder.set_repeat(gif::Repeat::Infinite).unwrap();
    let mut before: Option<&Picture> = None;
    for (picture, hundredths) in frames {
        let same = |at: usize| before.is_some_and(|b| b.pixels[at..at + 3] == picture.pixels[at..at + 3]);
        let pixel = |at: usize| {
            let color = [picture.pixels[at], picture.pixels[at + 1], picture.pixels[at + 2]];
            if same(at) { CLEAR } else { *nearest.entry(color).or_insert_with(|| closest(&palette, color)) }
        };
        let pixels: Vec<u8> = (0..width * height).map(|n| n * 3).map(pixel).collect();
        let frame = gif::Frame {
            width: width as u16,
            height: height as u16,
            delay: *hundredths,
            transparent: Some(CLEAR),
            dispose: gif::DisposalMethod::Keep,
            buffer: pixels.into(),
            ..gif::Frame::default()
        };
        encoder.write_frame(&frame).unwrap();
        before = Some(picture);
    }
    drop(encoder);
    out
}

/// The colours used most, at most 255, and one that stands for none.
fn palette(frames: &[(Picture, u16)]) -> Vec<[u8; 3]> {
    let mut counted: BTreeMap<[u8; 3], usize> = BTreeMap::new();
    for (picture, _) in frames {
        for pixel in picture.pixels.chunks_exact(3) {
            *counted.entry([pixel[0], pixel[1], pixel[2]]).or_default() += 1;
        }
    }
    let mut colors: Vec<_> = counted.into_iter().collect();
    colors.sort_by_key(|(color, count)| (std::cmp::Reverse(*count), *color));
    let mut palette: Vec<[u8; 3]> = colors.into_iter().take(usize::from(CLEAR)).map(|(color, _)| color).collect();
    palette.resize(256, [0; 3]);
    palette
}

fn closest(palette: &[[u8; 3]], color: [u8; 3]) -> u8 {
    let far = |other: &[u8; 3]| -> u32 { other.iter().zip(color).map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum() };
    let best = palette[..usize::from(CLEAR)].iter().enumerate().min_by_key(|(_, other)| far(other));
    best.map_or(0, |(index, _)| index as u8)
}
