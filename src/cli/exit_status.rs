//! Exit statuses of the program.

/// Exit status of a run that failed.
pub const FAILED: u8 = 1;
/// Exit status after a usage error.
pub(crate) const USAGE_ERROR: u8 = 2;
/// Exit status after an interrupt by the user or by a signal (128 + SIGINT).
pub(crate) const STOPPED: u8 = 130;
