//! What a user interface is to leave out for a principal.

use serde::{Deserialize, Serialize};

/// From one hour of the day (UTC) to another, which may be the next day's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuietHours {
    /// 0 to 23.
    pub start: u8,
    /// 0 to 23.
    pub end: u8,
}

/// What a principal prefers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preferences {
    /// Alert types that are not shown.
    pub muted_events: Vec<String>,
    /// When only the most urgent is shown.
    pub quiet_hours: Option<QuietHours>,
}
