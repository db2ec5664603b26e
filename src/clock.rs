//! The time of day, for dates that are kept or shown. Durations are measured with `Instant`.

use std::sync::OnceLock;
use std::time::SystemTime;

use time::UtcOffset;

static OFFSET: OnceLock<UtcOffset> = OnceLock::new();

/// Reads the time zone, which is possible only before other threads are started.
#[cfg(feature = "cli")]
pub(crate) fn read_time_zone() {
    if let Ok(offset) = UtcOffset::current_local_offset() {
        OFFSET.get_or_init(|| offset);
    }
}

/// Returns how far local time is ahead of UTC, in seconds; 0 if the time zone is not known.
#[cfg(feature = "cli")]
pub(crate) fn local_offset() -> i64 {
    OFFSET.get().map_or(0, |offset| offset.whole_seconds().into())
}

/// Returns the seconds since the Unix epoch by the system clock; `None` if it stands before that.
#[must_use]
pub(crate) fn unix_seconds() -> Option<u64> {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok().map(|time| time.as_secs())
}
