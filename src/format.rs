//! Numbers and dates as text, alike on the screen, in the output of commands and in sentences.

use humansize::{BINARY, DECIMAL, format_size};
use time::OffsetDateTime;

/// Formats a byte count: `3.91 GB`. Decimal units.
#[must_use]
pub(crate) fn size(bytes: u64) -> String {
    format_size(bytes, DECIMAL)
}

/// Formats a byte count with at most one decimal place: `3.9 GB`. Decimal units.
#[must_use]
pub(crate) fn size_rounded(bytes: u64) -> String {
    format_size(bytes, DECIMAL.decimal_places(1))
}

/// Formats a byte count that is a power of two, such as a piece length: `256 KiB`.
#[must_use]
pub(crate) fn binary_size(bytes: u64) -> String {
    format_size(bytes, BINARY)
}

/// Formats bytes per second: `612.4 kB/s`. Decimal units.
#[must_use]
pub(crate) fn rate(bytes: u64) -> String {
    format!("{}/s", size(bytes))
}

/// Formats a count with its noun: `1 piece`, `2 pieces`. For nouns whose plural ends in `s`.
#[must_use]
pub(crate) fn counted(n: impl Into<u64>, thing: &str) -> String {
    let n = n.into();
    format!("{n} {thing}{}", if n == 1 { "" } else { "s" })
}

/// Returns a share in whole percent, rounded down; 0 of 0 is 0.
#[must_use]
pub(crate) fn percent(part: u64, whole: u64) -> u64 {
    u64::try_from(u128::from(part) * 100 / u128::from(whole.max(1))).unwrap_or(u64::MAX)
}

/// Returns the date and time of Unix seconds in UTC; `None` up to 0, which stands for "no date", and beyond the year
/// 9999.
fn utc(seconds: i64) -> Option<OffsetDateTime> {
    (seconds > 0).then(|| OffsetDateTime::from_unix_timestamp(seconds).ok()).flatten()
}

/// Formats Unix seconds as a date to the minute: `2026-11-23 09:07 UTC`; `None` if out of range.
#[must_use]
pub(crate) fn date_to_minute(seconds: i64) -> Option<String> {
    let at = utc(seconds)?;
    Some(format!("{} {:02}:{:02} UTC", at.date(), at.hour(), at.minute()))
}

/// Formats Unix seconds as a date to the second: `2026-11-23 09:07:31 UTC`; `None` if out of range.
#[must_use]
pub(crate) fn date_to_second(seconds: i64) -> Option<String> {
    let at = utc(seconds)?;
    Some(format!("{} {:02}:{:02}:{:02} UTC", at.date(), at.hour(), at.minute(), at.second()))
}

/// Formats local seconds as the time of day, or as the date if they are more than a day `ago`: `17:03:22` or `17:03`,
/// `28 Nov`.
pub(crate) fn time_of_day(seconds: i64, ago: i64, narrow: bool) -> String {
    let Some(at) = utc(seconds) else { return "-".to_owned() };
    match (ago > 86_400, narrow) {
        (true, _) => format!("{} {:.3}", at.day(), at.month().to_string()),
        (false, true) => format!("{:02}:{:02}", at.hour(), at.minute()),
        (false, false) => format!("{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second()),
    }
}

/// Formats Unix seconds as a part of a file name: `20261123-090731`, in UTC; `None` if out of range.
#[must_use]
pub(crate) fn date_in_file_name(seconds: i64) -> Option<String> {
    let at = utc(seconds)?;
    let day = at.date().to_string().replace('-', "");
    Some(format!("{day}-{:02}{:02}{:02}", at.hour(), at.minute(), at.second()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one_and_all_other_numbers_are_several() {
        let all = [0, 1, 2, 21, 1000].map(|n: u64| counted(n, "piece"));
        assert_eq!(all, ["0 pieces", "1 piece", "2 pieces", "21 pieces", "1000 pieces"]);
        assert_eq!((counted(1_u32, "byte"), counted(11_u8, "peer")), ("1 byte".into(), "11 peers".into()));
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        let table = [
            (0, None),
            (1, Some("1970-01-01 00:00:01 UTC")),
            (951_782_399, Some("2000-02-28 23:59:59 UTC")),
            (951_782_400, Some("2000-02-29 00:00:00 UTC")),
            (978_220_800, Some("2000-12-31 00:00:00 UTC")),
            (1_709_251_199, Some("2024-02-29 23:59:59 UTC")),
            (4_107_542_400, Some("2100-03-01 00:00:00 UTC")),
            (-1, None),
            (1_700_000_000_000, None),
            (253_402_300_799, Some("9999-12-31 23:59:59 UTC")),
            (253_402_300_800, None),
            (-62_135_596_800, None),
            (i64::MAX, None),
            (i64::MIN, None),
        ];
        for (seconds, shown) in table {
            assert_eq!(date_to_second(seconds).as_deref(), shown, "{seconds}");
            let to_minute = shown.map(|shown| format!("{} UTC", &shown[..16]));
            assert_eq!(date_to_minute(seconds), to_minute, "{seconds}");
        }
        assert_eq!(date_in_file_name(951_827_696).as_deref(), Some("20000229-123456"));
        assert_eq!(date_in_file_name(1_798_761_599).as_deref(), Some("20261231-235959"));
    }

    #[test]
    fn sizes_have_decimal_units_and_powers_of_two_binary_ones() {
        assert_eq!((size(3_910_000_000), size(0)), ("3.91 GB".to_owned(), "0 B".to_owned()));
        assert_eq!((size_rounded(3_910_000_000), rate(612_400)), ("3.9 GB".to_owned(), "612.40 kB/s".to_owned()));
        assert_eq!(binary_size(256 << 10), "256 KiB");
        assert_eq!((percent(1, 3), percent(0, 0), percent(7, 7), percent(u64::MAX, 1)), (33, 0, 100, u64::MAX));
    }
}
