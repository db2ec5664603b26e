//! Parser for sizes and rates: `512K`, `4M`, `1.5GiB`, `10MB/s`.

use thiserror::Error;

/// Why a text is not a valid size.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub(crate) enum SizeError {
    #[error("it needs a number with a unit, such as 512K, 1.5GiB or 10MB/s")]
    Malformed,
    #[error(
        "the unit is not known: use K, M, G, T or KB .. TB (powers of 1000), or KiB .. TiB (1024); bytes, not bits"
    )]
    Unit,
    #[error("it is too large")]
    TooLarge,
}

/// Parses a size or rate in bytes: a number, a unit and an optional `/s`.
///
/// `K` and `KB` are 1,000 bytes, as sizes and rates are shown; `KiB` is 1,024. Case does not matter. A fraction of a
/// byte is truncated.
///
/// # Errors
/// Returns an error if the text is malformed, the unit is unknown or the value exceeds `u64`.
pub(crate) fn size(text: &str) -> Result<u64, SizeError> {
    parse(text, 1000)
}

/// Parses a piece length in bytes like [`size`], but `K` is 1,024 bytes: piece lengths are powers of two.
///
/// # Errors
/// As [`size`].
pub(crate) fn piece_length(text: &str) -> Result<u64, SizeError> {
    parse(text, 1024)
}

/// Parses a size; `bare` is the base of a unit of one letter.
fn parse(text: &str, bare: u128) -> Result<u64, SizeError> {
    let text = text.trim();
    let text = text.strip_suffix("/s").or_else(|| text.strip_suffix("/S")).unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return Err(SizeError::Malformed);
    }
    let unit = unit_of(unit.trim(), bare)?;
    let digits = |text: &str| match text {
        "" => Ok(0),
        text => text.parse::<u64>().map(u128::from).map_err(|_| SizeError::TooLarge),
    };
    // Twelve decimal places are finer than a byte in any unit here.
    let fraction = &fraction[..fraction.len().min(12)];
    let part = digits(fraction)? * unit / 10_u128.pow(fraction.len() as u32);
    u64::try_from(digits(whole)? * unit + part).map_err(|_| SizeError::TooLarge)
}

/// Returns the bytes of a unit; `bare` is the base of a unit of one letter.
fn unit_of(unit: &str, bare: u128) -> Result<u128, SizeError> {
    let unit = unit.to_ascii_lowercase();
    let (letter, base) = match unit.as_bytes() {
        [] | [b'b'] => return Ok(1),
        [letter] => (letter, bare),
        [letter, b'b'] => (letter, 1000),
        [letter, b'i'] | [letter, b'i', b'b'] => (letter, 1024),
        _ => return Err(SizeError::Unit),
    };
    let power = b"kmgt".iter().position(|l| l == letter).ok_or(SizeError::Unit)?;
    Ok(u128::pow(base, power as u32 + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("0", 0),
            ("17001", 17_001),
            ("512K", 512_000),
            ("4M", 4_000_000),
            ("1.5GiB", 3 << 29),
            ("10MB/s", 10_000_000),
            (" 2 kib ", 2048),
            ("1.5k", 1500),
            (".5M", 500_000),
            ("3T", 3_000_000_000_000),
            ("7B", 7),
            ("0.1", 0),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn a_letter_is_binary_in_a_piece_length() {
        for (text, bytes) in [("16K", 16 << 10), ("4m", 4 << 20), ("256KiB", 256 << 10), ("64KB", 64_000), ("7", 7)] {
            assert_eq!(piece_length(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for (text, error) in [
            ("", SizeError::Malformed),
            ("M", SizeError::Malformed),
            ("-1", SizeError::Malformed),
            (".", SizeError::Malformed),
            ("1.2.3", SizeError::Malformed),
            ("10Mbit", SizeError::Unit),
            ("1X", SizeError::Unit),
            ("99999999999999999999", SizeError::TooLarge),
            ("99999999999T", SizeError::TooLarge),
        ] {
            assert_eq!(size(text), Err(error), "{text}");
        }
    }
}
