//! What expressions of a configuration may cost: when they are compiled, kept, and run.
//!
//! Paths and patterns are short texts whose cost need not be short. They are charged to one [`ExpressionBudget`] for the
//! whole configuration when they are compiled, and to [`Steps`] for each payload when they run, so that neither a file,
//! a request nor a detector can use up the memory or the time of the daemon.

mod pattern;

use std::cell::Cell;
use std::ops::ControlFlow;

pub use pattern::{Anchored, LARGEST_PATTERN, LONGEST_PATTERN, MOST_GROUPS, Pattern, PatternError};

/// What all expressions of one configuration may still cost.
#[derive(Clone, Debug)]
pub struct ExpressionBudget {
    path_octets: usize,
    pattern_octets: usize,
}

impl ExpressionBudget {
    /// The most octets of all paths together.
    pub const MOST_PATH_OCTETS: usize = 256 << 10;
    /// The most octets of memory of all compiled patterns together.
    pub const MOST_PATTERN_OCTETS: usize = 4 << 20;

    /// Charges a path of this length; false if it exceeds the budget.
    pub(crate) fn take_path(&mut self, octets: usize) -> bool {
        take(&mut self.path_octets, octets)
    }

    /// Charges a pattern of this size in memory; false if it exceeds the budget. Then nothing is left of it, so that no
    /// further one costs the time to compile it.
    fn take_pattern(&mut self, octets: usize) -> bool {
        let is_within = take(&mut self.pattern_octets, octets);
        if !is_within {
            self.pattern_octets = 0;
        }
        is_within
    }

    fn has_room_for_patterns(&self) -> bool {
        self.pattern_octets > 0
    }
}

impl Default for ExpressionBudget {
    fn default() -> Self {
        Self { path_octets: Self::MOST_PATH_OCTETS, pattern_octets: Self::MOST_PATTERN_OCTETS }
    }
}

fn take(left: &mut usize, cost: usize) -> bool {
    let rest = left.checked_sub(cost);
    *left = rest.unwrap_or(*left);
    rest.is_some()
}

/// What the expressions may still cost that run over one payload. A step is the visit of a node, about ten nanoseconds.
#[derive(Debug)]
pub struct Steps(Cell<Option<usize>>);

impl Steps {
    /// The steps for one payload: some ten times what the largest body with the paths of a real detector needs.
    pub const MOST: usize = 10_000_000;

    /// So many steps.
    pub fn new(steps: usize) -> Self {
        Self(Cell::new(Some(steps)))
    }

    /// Whether more was wanted than there was. From then on every look ends at once.
    pub fn are_used_up(&self) -> bool {
        self.0.get().is_none()
    }

    /// Takes steps; `Break` if there are not so many.
    pub(crate) fn take(&self, steps: usize) -> ControlFlow<()> {
        let left = self.0.get().and_then(|left| left.checked_sub(steps));
        self.0.set(left);
        if left.is_some() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

impl Default for Steps {
    fn default() -> Self {
        Self::new(Self::MOST)
    }
}
