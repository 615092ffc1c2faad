//! What a rule is within its rule set.

use super::Mitigation;

words! {
    /// What a rule is within the rule set of a decision: rules of one set match no packet in common.
    pub enum Role {
        /// What the decision is about.
        Main = "main",
        /// What was cut out of the main rule because the service serves it, policed at what the service can take.
        Served = "served",
        /// Answers that the service asked for, policed at what it can take of them.
        Answers = "answers",
        /// Fragments other than the first, which carry no ports and which no match by ports reaches.
        Fragments = "fragments",
    }
}

impl Mitigation {
    /// What its rule is within its rule set. Before rows had roles the only companions were those for fragments.
    pub fn role(&self) -> Role {
        self.role.unwrap_or(if self.parent_id.is_some() { Role::Fragments } else { Role::Main })
    }

    /// Whether it counts by itself toward the quotas of victim, customer, pop and all. A companion counts only toward what
    /// the speaker's peers take; one of before there were roles goes on counting as it did when it was let in.
    pub fn is_counted_alone(&self) -> bool {
        self.parent_id.is_none() || self.role.is_none()
    }
}
