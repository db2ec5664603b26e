//! Labels that several panes and messages use.

use crate::api::Priority;

/// Returns the label of a bandwidth priority.
#[must_use]
pub const fn bandwidth_priority(priority: Priority) -> &'static str {
    match priority {
        Priority::Skip => "none",
        Priority::Low => "low",
        Priority::Normal => "normal",
        Priority::High => "high",
    }
}
