//! What is told of a unit of work once it is committed, and never of one that was repeated or dropped.

use chrono::{DateTime, Utc};
use prefix_core::guardrail::Refusal;
use prefix_core::mitigation::Mitigation;

/// See the module.
#[derive(Clone, Debug)]
pub enum DomainEvent {
    /// A guardrail refused a step, or the companion of one.
    Refused {
        /// Which one, and why.
        refusal: Refusal,
        /// The row it is about.
        about: Box<Mitigation>,
    },
    /// The running step changed.
    Step {
        /// The action before.
        from: &'static str,
        /// The row as it is now.
        row: Box<Mitigation>,
    },
    /// The speaker confirmed a new rule that was created then.
    FirstConfirmation {
        /// When.
        created_at: DateTime<Utc>,
    },
}
