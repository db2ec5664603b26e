//! The time of day, for dates that are kept or shown. Durations are measured with `Instant`.

use std::time::SystemTime;

/// Returns the seconds since the Unix epoch by the system clock; `None` if it stands before that.
#[must_use]
pub(crate) fn unix_seconds() -> Option<u64> {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok().map(|time| time.as_secs())
}
