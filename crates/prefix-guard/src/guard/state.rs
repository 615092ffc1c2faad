//! What the guard publishes of itself: its heartbeat file and its metrics show it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The guard's counts and its way to the speaker. Serialised as a part of [`crate::files::GuardAlive`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardState {
    /// Own paths in the speaker, those without a readable not-after time included.
    pub own_paths: usize,
    /// Of those, the ones beyond their not-after time and the grace.
    pub overdue: usize,
    /// Of those, the ones without a readable not-after time.
    pub untimed: usize,
    /// The not-after time of the path that ends next.
    pub next_not_after: Option<DateTime<Utc>>,
    /// Paths that were withdrawn since the guard began.
    pub withdrawn: u64,
    /// Whether the speaker answers.
    pub connected: bool,
    /// When the whole table was last read to its end.
    pub table_read_at: Option<DateTime<Utc>>,
    /// What keeps the guard from its work, in words.
    pub problem: Option<String>,
}
