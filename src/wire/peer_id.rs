//! Client identification: parses the name and version of a client from its peer id (BEP 20).

mod clients;

use crate::limits;
use crate::wire::message::PeerId;
use crate::wire::sanitize::sanitize_bytes;

use clients::{AZUREUS, DASHED, OWN, SHADOW, Style};

/// Returns the client name and version encoded in a peer id.
///
/// Sanitized, at most [`limits::CLIENT_NAME`] columns wide. For unknown clients the readable start of the peer id, or
/// `unknown`.
#[must_use]
pub fn client_name(id: &PeerId) -> String {
    let id = &id.0;
    let ways = [bitcomet, dashed, own, dotted_own, azureus, shadow];
    let name = ways.iter().find_map(|way| way(id)).unwrap_or_else(|| plain(id));
    sanitize_bytes(name.as_bytes(), limits::CLIENT_NAME)
}

/// Azureus style: `-XX1234-............`.
fn azureus(id: &[u8; 20]) -> Option<String> {
    let [b'-', a, b, v1, v2, v3, v4, end, ..] = *id else { return None };
    let known = AZUREUS.iter().find(|(letters, ..)| **letters == [a, b]);
    let Some((_, name, style)) = known else {
        // The rules are stricter for unknown client codes.
        let good = [a, b, v1, v2, v3, v4].iter().all(u8::is_ascii_alphanumeric) && end == b'-';
        return good.then(|| format!("{}{} {}", char::from(a), char::from(b), points(&[v1, v2, v3, v4], 3)));
    };
    let wide = matches!(style, Style::Micro | Style::BitLord);
    if !v1.is_ascii_alphanumeric() || (end != b'-' && !wide) {
        return None;
    }
    let version = match style {
        Style::Four => points(&[v1, v2, v3, v4], 3),
        Style::Three => points(&[v1, v2, v3], 3),
        Style::Fixed(n) => points(&[v1, v2, v3][..(*n).min(3)], 3),
        Style::TwoTwo => pairs(&[v1, v2, v3, v4])?,
        Style::Micro => micro(&[v1, v2, v3, v4, end])?,
        Style::Transmission => transmission(&[v1, v2, v3, v4])?,
        Style::KTorrent => ktorrent(&[v1, v2, v3, v4]),
        Style::BitLord => format!("{}-{}", points(&[v1, v2, v3], 3), String::from_utf8_lossy(&id[6..9])),
        Style::Nothing => String::new(),
    };
    Some(format!("{name} {version}").trim_end().to_owned())
}

/// Returns the value of a base-62 digit: `0-9`, then `A-Z`, then `a-z`.
const fn number(sign: u8) -> Option<u8> {
    match sign {
        b'0'..=b'9' => Some(sign - b'0'),
        b'A'..=b'Z' => Some(sign - b'A' + 10),
        b'a'..=b'z' => Some(sign - b'a' + 36),
        _ => None,
    }
}

/// Joins the version digits at the start of `signs` by dots.
///
/// Drops trailing zeros beyond the first `least` numbers.
fn points(signs: &[u8], least: usize) -> String {
    let mut parts: Vec<u8> = signs.iter().map_while(|sign| number(*sign)).collect();
    while parts.len() > least && parts.last() == Some(&0) {
        parts.pop();
    }
    parts.iter().map(u8::to_string).collect::<Vec<_>>().join(".")
}

/// Formats `0241` as `2.41`.
fn pairs(signs: &[u8; 4]) -> Option<String> {
    let [a, b, c, d] = signs.map(|sign| sign.is_ascii_digit().then(|| sign - b'0'));
    Some(format!("{}.{}{}", a? * 10 + b?, c?, d?))
}

/// Returns the release stage that a letter after the version stands for.
const fn stage(letter: u8) -> &'static str {
    match letter {
        b'A' | b'a' => " alpha",
        b'B' | b'b' => " beta",
        b'D' | b'd' => " debug",
        b'X' | b'x' | b'Z' => " dev",
        _ => "",
    }
}

/// Formats `355W-` as `3.5.5` and `1110Q` as `1.1.10`.
fn micro(signs: &[u8; 5]) -> Option<String> {
    let hex = |sign: u8| char::from(sign).to_digit(16);
    let [v1, v2, v3, v4, end] = *signs;
    let (major, minor) = (hex(v1)?, hex(v2)?);
    if end != b'-' && v3.is_ascii_digit() && v4.is_ascii_digit() {
        return Some(format!("{major}.{minor}.{}{}", (v3 - b'0') * 10 + (v4 - b'0'), stage(end)));
    }
    Some(format!("{major}.{minor}.{}{}", hex(v3)?, stage(v4)))
}

/// Formats `4130` as `4.1.3`, `2940` as `2.94` and `0072` as `0.72`.
fn transmission(signs: &[u8; 4]) -> Option<String> {
    let [v1, v2, v3, v4] = *signs;
    let digit = |sign: u8| sign.is_ascii_digit().then_some(char::from(sign));
    Some(match v1 {
        b'0' if (v2, v3) == (b'0', b'0') => format!("0.{}", digit(v4)?),
        b'0' if v2 == b'0' => format!("0.{}{}", digit(v3)?, digit(v4)?),
        b'0'..=b'3' => format!("{}.{}{}{}", digit(v1)?, digit(v2)?, digit(v3)?, stage(v4)),
        _ => format!("{}{}", points(&[v1, v2, v3], 3), stage(v4)),
    })
}

fn ktorrent(signs: &[u8; 4]) -> String {
    let word = match signs[2] {
        b'D' => "dev",
        b'R' => "rc",
        _ => return points(&signs[..3], 3),
    };
    format!("{} {word} {}", points(&signs[..2], 2), points(&signs[3..], 1))
}

/// Shadow style: `X123--...`, at most five base-62 digits.
fn shadow(id: &[u8; 20]) -> Option<String> {
    let (_, name) = SHADOW.iter().find(|(letter, _)| *letter == id[0])?;
    let end = id[1..9].windows(2).position(|w| w == b"--")?;
    let version = &id[1..=end];
    let good = !version.is_empty() && version.len() <= 5 && version.iter().all(|sign| number(*sign).is_some());
    good.then(|| format!("{name} {}", points(version, 5)))
}

/// Mainline style: `M7-9-2--`, three decimal numbers.
fn dashed(id: &[u8; 20]) -> Option<String> {
    let (begin, name) = DASHED.iter().find(|(begin, _)| id.starts_with(begin))?;
    let parts: Vec<&[u8]> = id[begin.len()..].split(|b| *b == b'-').take(4).collect();
    let [a, b, c, _] = parts[..] else { return None };
    let good = [a, b, c].iter().all(|n| matches!(n.len(), 1..=3) && n.iter().all(u8::is_ascii_digit));
    let text = |n| String::from_utf8_lossy(n).into_owned();
    good.then(|| format!("{name} {}.{}.{}", text(a), text(b), text(c)))
}

/// BitComet before 0.59 and BitLord: the version is in two bytes.
fn bitcomet(id: &[u8; 20]) -> Option<String> {
    let of_theirs = [b"exbc", b"FUTB", b"xUTB"].iter().any(|begin| id.starts_with(*begin));
    let name = if &id[6..10] == b"LORD" { "BitLord" } else { "BitComet" };
    of_theirs.then(|| format!("{name} {}.{:02}", id[4], id[5]))
}

fn own(id: &[u8; 20]) -> Option<String> {
    OWN.iter().find(|(at, begin, _)| id[*at..].starts_with(begin)).map(|(.., name)| (*name).to_owned())
}

/// Clients that write a version after a prefix of their own.
fn dotted_own(id: &[u8; 20]) -> Option<String> {
    let digits = |signs: &[u8]| signs.iter().all(u8::is_ascii_digit);
    match id {
        [b'-', b'M', b'L', rest @ ..] => {
            let version: String =
                rest.iter().take_while(|b| matches!(b, b'0'..=b'9' | b'.')).map(|b| char::from(*b)).collect();
            Some(format!("MLDonkey {version}").trim_end().to_owned())
        }
        [b'T', b'I', b'X', a, b, c, d, ..] => pairs(&[*a, *b, *c, *d]).map(|version| format!("Tixati {version}")),
        [b'X', b'B', b'T', a, b, c, d, ..] if digits(&[*a, *b, *c]) => {
            Some(format!("XBT Client {}{}", points(&[*a, *b, *c], 3), stage(*d)))
        }
        [b'Q', b'V', b'O', b'D', a, b, c, d, ..] if digits(&[*a, *b, *c, *d]) => {
            Some(format!("QVOD {}", points(&[*a, *b, *c, *d], 4)))
        }
        [b'O', b'P', rest @ ..] if digits(&rest[..4]) => Some(format!("Opera {}", String::from_utf8_lossy(&rest[..4]))),
        _ => None,
    }
}

/// Returns the printable start of an unknown peer id; `unknown` if it is too short to be meaningful.
fn plain(id: &[u8; 20]) -> String {
    let letters: String = id.iter().take(8).take_while(|c| c.is_ascii_graphic()).map(|c| char::from(*c)).collect();
    if letters.len() < 3 { "unknown".to_owned() } else { letters }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(begin: &[u8]) -> String {
        let mut id = [b'x'; 20];
        id[..begin.len()].copy_from_slice(begin);
        client_name(&PeerId(id))
    }

    #[test]
    fn programs_are_known_by_their_ids() {
        for (id, want) in [
            (&b"-TR4130-"[..], "Transmission 4.1.3"),
            (b"-TR400B-", "Transmission 4.0.0 beta"),
            (b"-TR40aZ-", "Transmission 4.0.36 dev"),
            (b"-TR3000-", "Transmission 3.00"),
            (b"-TR2940-", "Transmission 2.94"),
            (b"-TR111Z-", "Transmission 1.11 dev"),
            (b"-TR0072-", "Transmission 0.72"),
            (b"-TR0006-", "Transmission 0.6"),
            (b"-qB5230-", "qBittorrent 5.2.3"),
            (b"-qB4500-", "qBittorrent 4.5.0"),
            (b"-qB33G0-", "qBittorrent 3.3.16"),
            (b"-LT20B0-", "libtorrent 2.0.11"),
            (b"-LT2110-", "libtorrent 2.1.1"),
            (b"-lt0DA0-", "rTorrent 0.13.10"),
            (b"-DE13F0-", "Deluge 1.3.15"),
            (b"-DE211s-", "Deluge 2.1.1"),
            (b"-DE220s-", "Deluge 2.2.0"),
            (b"-BI3600-", "BiglyBT 3.6.0"),
            (b"-AZ5760-", "Vuze 5.7.6"),
            (b"-AZ8421-", "Vuze 8.4.2.1"),
            (b"-UT355W-", "\u{b5}Torrent 3.5.5"),
            (b"-UT2210-", "\u{b5}Torrent 2.2.1"),
            (b"-UT341\0-", "\u{b5}Torrent 3.4.1"),
            (b"-UT7a5\0-", "\u{b5}Torrent 7.10.5"),
            (b"-UM1870-", "\u{b5}Torrent Mac 1.8.7"),
            (b"-UW110Q-", "\u{b5}Torrent Web 1.1.0"),
            (b"-UW1110Q", "\u{b5}Torrent Web 1.1.10"),
            (b"-BT791B-", "BitTorrent 7.9.1 beta"),
            (b"-BW1293-", "BitTorrent Web 1.2.9"),
            (b"-BC0241-", "BitComet 2.41"),
            (b"-BL246326", "BitLord 2.4.6-326"),
            (b"-KT33D1-", "KTorrent 3.3 dev 1"),
            (b"-KT5110-", "KTorrent 5.1.1"),
            (b"-FD51R\xff-", "Free Download Manager 5.1.27"),
            (b"-FD51@\xff-", "Free Download Manager 5.1"),
            (b"-FL51FF-", "Folx 5"),
            (b"-FW6830-", "FrostWire 6.8.3"),
            (b"-Lr10X0-", "LibreTorrent 1.0.33"),
            (b"-WW0007-", "WebTorrent 0.0.0.7"),
            (b"-XF9992-", "Xfplay 9.9.9.2"),
            (b"-TU0100-", "ttui 0.1.0"),
            (b"-ZZ1234-", "ZZ 1.2.3.4"),
            (b"-SD0100-", "Thunder 0.1.0"),
            (b"-A~100--", "Ares 1.0.0"),
        ] {
            assert_eq!(named(id), want, "{}", id.escape_ascii());
        }
    }

    #[test]
    fn so_are_those_that_write_them_in_other_ways() {
        for (id, want) in [
            (&b"M7-9-2--"[..], "BitTorrent 7.9.2"),
            (b"M4-20-8-", "BitTorrent 4.20.8"),
            (b"Q1-23-4-", "Queen Bee 1.23.4"),
            (b"A2-1-36-0-", "aria2 1.36.0"),
            (b"A2-1-18-8-", "aria2 1.18.8"),
            (b"S3-1-0-0--", "Amazon S3 1.0.0"),
            (b"Mbrst1-1-3-", "Burst! 1.1.3"),
            (b"T03I----", "BitTornado 0.3.18"),
            (b"S58B-----", "Shadow's 5.8.11"),
            (b"A310--001", "ABC 3.1.0"),
            (b"TIX0193-", "Tixati 1.93"),
            (b"XBT054d-", "XBT Client 0.5.4 debug"),
            (b"-ML2.7.2-", "MLDonkey 2.7.2"),
            (b"-BOWA0C-", "Bits on Wheels"),
            (b"OP7685", "Opera 7685"),
            (b"exbc\0\x38LORD", "BitLord 0.56"),
            (b"exbc\0\x38zD", "BitComet 0.56"),
            (b"FD6k4SYy9BOU4U4rk3-J", "Free Download Manager 6"),
            (b"\0\x02BS", "BitSpirit"),
            (b"346-", "TorrentTopia"),
            (b"\x00\x01\x1b[2J", "unknown"),
            (b"hello\x1b[2J", "hello"),
            (b"-TR\xff\xff\xff\xff-", "-TR"),
        ] {
            assert_eq!(named(id), want, "{}", id.escape_ascii());
        }
    }

    #[test]
    fn no_letters_stand_for_two_programs() {
        for (n, (letters, ..)) in AZUREUS.iter().enumerate() {
            assert!(AZUREUS[n + 1..].iter().all(|(others, ..)| others != letters), "{}", letters.escape_ascii());
        }
        assert!(AZUREUS.len() > 100);
    }

    #[test]
    fn no_id_of_any_kind_harms_a_screen() {
        for n in 0..=255_u8 {
            for id in [[n; 20], std::array::from_fn(|i| if i % 3 == 0 { b'-' } else { n })] {
                assert!(!client_name(&PeerId(id)).chars().any(char::is_control));
            }
            for (letters, ..) in AZUREUS {
                let id = [b'-', letters[0], letters[1], n, n, n, n, b'-', n];
                assert!(!named(&id).chars().any(char::is_control));
            }
        }
    }
}
