//! What the guard sees, for its heartbeat and its metrics.

use chrono::{DateTime, Utc};

/// A look at the guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// When it last had nothing to wait for.
    pub at: DateTime<Utc>,
    /// Own paths, those without a readable time included.
    pub own: usize,
    /// Own paths without a readable time.
    pub untimed: usize,
    /// Own paths that stand beyond their time and the grace.
    pub overdue: usize,
    /// The time of the path that ends next.
    pub next_not_after: Option<DateTime<Utc>>,
    /// Paths that it has taken away.
    pub withdrawn: u64,
    /// Whether the speaker answers.
    pub connected: bool,
    /// When the whole table was last read to its end.
    pub table_read_at: Option<DateTime<Utc>>,
    /// What keeps it from its work.
    pub problem: Option<String>,
}

impl View {
    pub(super) fn new(at: DateTime<Utc>) -> Self {
        Self {
            at,
            own: 0,
            untimed: 0,
            overdue: 0,
            next_not_after: None,
            withdrawn: 0,
            connected: false,
            table_read_at: None,
            problem: None,
        }
    }
}
