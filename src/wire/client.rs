//! The name of a peer's program, read from its peer id (BEP 20).

use crate::limits;
use crate::wire::message::PeerId;
use crate::wire::text::clean_bytes;

/// Programs that write `-XX1234-`, by their two letters.
const AZUREUS: &[(&[u8; 2], &str)] = &[
    (b"7T", "aTorrent"),
    (b"A2", "aria2"),
    (b"AG", "Ares"),
    (b"AR", "Arctic"),
    (b"AT", "Artemis"),
    (b"AV", "Avicora"),
    (b"AX", "BitPump"),
    (b"AZ", "Vuze"),
    (b"BB", "BitBuddy"),
    (b"BC", "BitComet"),
    (b"BG", "BTG"),
    (b"BI", "BiglyBT"),
    (b"BM", "BitMagnet"),
    (b"BP", "BitTorrent Pro"),
    (b"BR", "BitRocket"),
    (b"BT", "BitTorrent"),
    (b"BW", "BitWombat"),
    (b"CD", "Enhanced CTorrent"),
    (b"CT", "CTorrent"),
    (b"DE", "Deluge"),
    (b"EB", "EBit"),
    (b"FC", "FileCroc"),
    (b"FD", "Free Download Manager"),
    (b"FG", "FlashGet"),
    (b"FL", "Folx"),
    (b"FW", "FrostWire"),
    (b"FX", "Freebox"),
    (b"GT", "anacrolix/torrent"),
    (b"HL", "Halite"),
    (b"KG", "KGet"),
    (b"KT", "KTorrent"),
    (b"LC", "LeechCraft"),
    (b"LH", "LH-ABC"),
    (b"LT", "libtorrent"),
    (b"LW", "LimeWire"),
    (b"MG", "MediaGet"),
    (b"MO", "MonoTorrent"),
    (b"MR", "Miro"),
    (b"NX", "Net Transport"),
    (b"OS", "OneSwarm"),
    (b"PI", "PicoTorrent"),
    (b"QD", "QQDownload"),
    (b"RN", "Rain"),
    (b"SD", "Thunder"),
    (b"SK", "spark"),
    (b"ST", "SymTorrent"),
    (b"TB", "Torch"),
    (b"TE", "terasaur"),
    (b"TL", "Tribler"),
    (b"TR", "Transmission"),
    (b"TS", "TorrentStorm"),
    (b"TU", "ttui"),
    (b"TX", "Tixati"),
    (b"UE", "\u{b5}Torrent Embedded"),
    (b"UM", "\u{b5}Torrent Mac"),
    (b"UT", "\u{b5}Torrent"),
    (b"UW", "\u{b5}Torrent Web"),
    (b"WD", "WebTorrent Desktop"),
    (b"WW", "WebTorrent"),
    (b"WY", "Wyzo"),
    (b"XF", "Xfplay"),
    (b"XL", "Xunlei"),
    (b"XT", "XanTorrent"),
    (b"ZT", "ZipTorrent"),
    (b"bk", "BitKitten"),
    (b"lt", "rTorrent"),
    (b"qB", "qBittorrent"),
    (b"rQ", "rqbit"),
    (b"st", "SharkTorrent"),
];

/// Programs that write `X123--`, by their letter.
const SHADOW: &[(u8, &str)] = &[
    (b'A', "ABC"),
    (b'M', "BitTorrent"),
    (b'O', "Osprey"),
    (b'Q', "BTQueue"),
    (b'R', "Tribler"),
    (b'S', "Shadow's"),
    (b'T', "BitTornado"),
    (b'U', "UPnP NAT"),
];

/// Programs that write their name in their own way.
const OWN: &[(&[u8], &str)] = &[
    (b"exbc", "BitComet"),
    (b"FUTB", "BitComet"),
    (b"Mbrst", "Burst!"),
    (b"OP", "Opera"),
    (b"Plus", "Plus!"),
    (b"turbobt", "TurboBT"),
    (b"XBT", "XBT Client"),
    (b"-ML", "MLDonkey"),
    (b"-BOW", "Bits on Wheels"),
    (b"aria2-", "aria2"),
    (b"A2-", "aria2"),
    (b"btpd", "btpd"),
    (b"10-------", "JVtorrent"),
    (b"-SP", "BitSpirit"),
    (b"eX", "eXeem"),
];

/// The program's name and version as its peer id tells them, safe to print and at most [`limits::CLIENT_NAME`]
/// columns wide. What is not known is shown as it stands, or as `unknown` where it has no letters.
#[must_use]
pub fn name(id: &PeerId) -> String {
    let name = azureus(&id.0).or_else(|| own(&id.0)).or_else(|| shadow(&id.0)).unwrap_or_else(|| plain(&id.0));
    clean_bytes(name.as_bytes(), limits::CLIENT_NAME)
}

/// `-XX1234-............`
fn azureus(id: &[u8; 20]) -> Option<String> {
    let [b'-', a, b, v1, v2, v3, v4, b'-', ..] = id else { return None };
    let version = [v1, v2, v3, v4];
    if !a.is_ascii_alphanumeric() || !b.is_ascii_alphanumeric() || version.iter().any(|v| !v.is_ascii_graphic()) {
        return None;
    }
    let known = AZUREUS.iter().find(|(letters, _)| **letters == [*a, *b]);
    let name = known.map_or_else(|| [*a, *b].iter().map(|c| char::from(*c)).collect(), |(_, name)| (*name).to_owned());
    Some(match &[*a, *b] {
        // Transmission writes one digit, two digits of the minor version and a letter for what is not released.
        b"TR" if v1.is_ascii_digit() && *v1 < b'4' => {
            let minor = String::from_utf8_lossy(&[*v2, *v3]).trim_start_matches('0').to_owned();
            format!("{name} {}.{:0>2}", char::from(*v1), if minor.is_empty() { "0" } else { &minor })
        }
        _ => format!("{name} {}", dotted(&version)),
    })
}

/// `4.6.2` of the four signs of a version; zeros at the end are left out.
fn dotted(version: &[&u8; 4]) -> String {
    let digit = |c: u8| match c {
        b'0'..=b'9' => (c - b'0').to_string(),
        b'A'..=b'Z' => (c - b'A' + 10).to_string(),
        b'a'..=b'z' => (c - b'a' + 36).to_string(),
        other => char::from(other).to_string(),
    };
    let mut parts: Vec<String> = version.iter().map(|c| digit(**c)).collect();
    while parts.len() > 2 && parts.last().is_some_and(|p| p == "0") {
        parts.pop();
    }
    parts.join(".")
}

/// `X123--...` or BitTorrent's own `M1-2-3--`.
fn shadow(id: &[u8; 20]) -> Option<String> {
    let (_, name) = SHADOW.iter().find(|(letter, _)| *letter == id[0])?;
    let version = &id[1..9];
    let end = version.windows(2).position(|w| w == b"--")?;
    let version: Vec<String> = match version[..end].contains(&b'-') {
        true => version[..end].split(|c| *c == b'-').map(|v| String::from_utf8_lossy(v).into_owned()).collect(),
        false => version[..end].iter().map(|c| char::from(*c).to_string()).collect(),
    };
    let good = !version.is_empty() && version.iter().all(|v| v.bytes().all(|c| c.is_ascii_alphanumeric()));
    good.then(|| format!("{name} {}", version.join(".")))
}

fn own(id: &[u8; 20]) -> Option<String> {
    OWN.iter().find(|(begin, _)| id.starts_with(begin)).map(|(_, name)| (*name).to_owned())
}

/// What can be read of an id that nobody knows.
fn plain(id: &[u8; 20]) -> String {
    let letters: String = id.iter().take(8).take_while(|c| c.is_ascii_graphic()).map(|c| char::from(*c)).collect();
    if letters.len() < 3 { "unknown".to_owned() } else { letters }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_known_by_their_ids() {
        for (id, want) in [
            (b"-TR3000-abcdefghijkl", "Transmission 3.00"),
            (b"-TR2940-abcdefghijkl", "Transmission 2.94"),
            (b"-TR4130-abcdefghijkl", "Transmission 4.1.3"),
            (b"-qB5210-abcdefghijkl", "qBittorrent 5.2.1"),
            (b"-LT2110-abcdefghijkl", "libtorrent 2.1.1"),
            (b"-lt0DA0-abcdefghijkl", "rTorrent 0.13.10"),
            (b"-DE13F0-abcdefghijkl", "Deluge 1.3.15"),
            (b"-TU0100-abcdefghijkl", "ttui 0.1"),
            (b"A2-1-36-0-abcdefghij", "aria2"),
            (b"-ZZ1234-abcdefghijkl", "ZZ 1.2.3.4"),
            (b"M7-9-2--abcdefghijkl", "BitTorrent 7.9.2"),
            (b"T03I----abcdefghijkl", "BitTornado 0.3.I"),
            (b"\x00\x01\x1b[2Jaaaaaaaaaaaaaa", "unknown"),
            (b"hello\x1b[2Jaaaaaaaaaaa", "hello"),
        ] {
            assert_eq!(name(&PeerId(*id)), want, "{}", id.escape_ascii());
        }
    }

    #[test]
    fn no_id_of_any_kind_harms_a_screen() {
        for n in 0..=255_u8 {
            for id in [[n; 20], std::array::from_fn(|i| if i % 3 == 0 { b'-' } else { n })] {
                assert!(!name(&PeerId(id)).chars().any(char::is_control));
            }
        }
    }
}
