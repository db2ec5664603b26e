//! Color down-conversion for terminals with 8 or 16 colors: rewrites crossterm's `38;5;9` (256 colors) as `91` (ANSI).

/// Returns the escape-sequence stream with the first sixteen indexed colors rewritten as ANSI color codes.
pub(crate) fn downgrade_colors(stream: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(stream.len());
    let mut rest = stream;
    while let Some(at) = rest.windows(2).position(|two| two == b"\x1b[") {
        out.extend_from_slice(&rest[..at + 2]);
        rest = &rest[at + 2..];
        let end = rest.iter().position(|b| !b.is_ascii_digit() && *b != b';').unwrap_or(rest.len());
        let (numbers, tail) = rest.split_at(end);
        if tail.first() == Some(&b'm') {
            out.extend_from_slice(styles(numbers).as_bytes());
        } else {
            out.extend_from_slice(numbers);
        }
        rest = tail;
    }
    out.extend_from_slice(rest);
    out
}

/// Rewrites the parameters of one SGR sequence.
fn styles(numbers: &[u8]) -> String {
    let text = String::from_utf8_lossy(numbers);
    let mut parts = text.split(';').peekable();
    let mut out: Vec<String> = Vec::new();
    while let Some(part) = parts.next() {
        let base = match part {
            "38" => 30,
            "48" => 40,
            _ => {
                out.push(part.to_owned());
                continue;
            }
        };
        if parts.peek() == Some(&"5") {
            parts.next();
            match parts.next().and_then(|color| color.parse::<u16>().ok()) {
                Some(color @ 0..=7) => out.push((base + color).to_string()),
                Some(color @ 8..=15) => out.push((base + 52 + color).to_string()),
                // A color beyond 16, which none of the themes for few colors uses: the default color.
                _ => out.push((base + 9).to_string()),
            }
        } else {
            out.push(part.to_owned());
        }
    }
    out.join(";")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_become_codes_that_old_terminals_know() {
        for (before, after) in [
            ("a\x1b[38;5;9mb", "a\x1b[91mb"),
            ("\x1b[38;5;1;48;5;12mx\x1b[0m", "\x1b[31;104mx\x1b[0m"),
            ("\x1b[38;5;200m", "\x1b[39m"),
            ("\x1b[3;4H\x1b[?25l\x1b[1m\x1b[39m", "\x1b[3;4H\x1b[?25l\x1b[1m\x1b[39m"),
            ("\x1b[38;5", "\x1b[38;5"),
            ("\x1b[", "\x1b["),
            ("\u{2588}", "\u{2588}"),
        ] {
            assert_eq!(String::from_utf8(downgrade_colors(before.as_bytes())).unwrap(), after);
        }
    }
}
