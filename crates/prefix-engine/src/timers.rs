//! What becomes due with time: deadlines, steps, queued rows, signal groups, the safelist, retention. Each waits for its
//! own time; what is due is known from memory wherever possible.

mod admission;
mod deadlines;
mod groups;
mod housekeeping;
mod safelist;
mod steps;

pub(crate) use admission::admission;
pub(crate) use deadlines::deadlines;
pub(crate) use groups::GroupTimer;
pub(crate) use housekeeping::housekeeping;
pub(crate) use safelist::safelist;
pub(crate) use steps::steps;

/// Rows of one transaction when many are due at once.
const ROWS_AT_ONCE: usize = 512;
