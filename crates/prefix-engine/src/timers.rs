//! What becomes due with time: deadlines, steps, queued rows, signal groups, the safelist, retention, and what follows
//! when the clock is set. Each waits for its
//! own time; what is due is known from memory wherever possible.

mod admission;
mod carpets;
mod clock_steps;
mod deadlines;
mod groups;
mod housekeeping;
mod retention;
mod safelist;
mod steps;

pub(crate) use admission::admission;
pub(crate) use clock_steps::clock_steps;
pub(crate) use deadlines::deadlines;
pub(crate) use groups::GroupTimer;
pub(crate) use housekeeping::housekeeping;
pub(crate) use retention::{RetentionState, last_written};
pub(crate) use safelist::safelist;
pub(crate) use steps::steps;

/// Rows of one transaction when many are due at once.
const ROWS_AT_ONCE: usize = 512;
