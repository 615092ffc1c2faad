//! What the guard publishes of itself: its heartbeat file and its metrics show it.

use chrono::{DateTime, Utc};
use prefix_core::name::SpeakerName;
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

impl GuardState {
    /// What the guards of several speakers do, taken together; a problem says whose it is.
    pub fn together<'a>(states: impl IntoIterator<Item = (Option<&'a SpeakerName>, Self)>) -> Self {
        let named = states.into_iter().map(|(name, state)| {
            let named =
                |problem| name.map_or_else(|| String::clone(&problem), |name| format!("{name}: {problem}"));
            Self { problem: state.problem.map(named), ..state }
        });
        let both = |a: Self, b: Self| Self {
            own_paths: a.own_paths + b.own_paths,
            overdue: a.overdue + b.overdue,
            untimed: a.untimed + b.untimed,
            next_not_after: a.next_not_after.into_iter().chain(b.next_not_after).min(),
            withdrawn: a.withdrawn + b.withdrawn,
            connected: a.connected && b.connected,
            // the oldest: every table was read by then
            table_read_at: a.table_read_at.zip(b.table_read_at).map(|(a, b)| a.min(b)),
            problem: a.problem.into_iter().chain(b.problem).reduce(|a, b| format!("{a}; {b}")),
        };
        named.reduce(both).unwrap_or_default()
    }
}
