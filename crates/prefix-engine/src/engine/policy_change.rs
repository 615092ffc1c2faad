//! A policy takes another one's place: what that would withdraw, the brake on it, and what is written down.

use chrono::{DateTime, Utc};
use prefix_core::audit::{AuditAction, AuditEntry};
use prefix_core::id::MitigationId;
use serde_json::{Map, Value, json};

use crate::caller::Caller;
use crate::error::EngineError;

/// What a policy would withdraw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rehearsal {
    /// Living mitigations that would no longer pass.
    pub failing: Vec<MitigationId>,
    /// How many live.
    pub living: usize,
}

impl Rehearsal {
    /// Refuses to withdraw many living rules at once without `force`.
    pub fn brake(&self, force: bool) -> Result<(), EngineError> {
        if !force && is_mass(self.failing.len(), self.living) {
            return Err(EngineError::MassWithdraw { mitigations: self.failing.clone(), living: self.living });
        }
        Ok(())
    }
}

/// Why a policy is replaced, for the audit.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyChange {
    /// What was done.
    pub action: AuditAction,
    /// Which part of the configuration: `all`, `playbooks`, `correlation`.
    pub part: &'static str,
    /// Whether the brake was off.
    pub force: bool,
    /// Further members of the details; no secrets.
    pub details: Map<String, Value>,
}

impl PolicyChange {
    /// By the files.
    pub fn reload(force: bool) -> Self {
        Self { action: AuditAction::ConfigReload, part: "all", force, details: Map::new() }
    }

    pub(crate) fn entry(self, now: DateTime<Utc>, caller: &Caller, withdrawn: &[MitigationId]) -> AuditEntry {
        let mut details =
            json!({ "request_id": caller.request_id, "forced": self.force, "withdrawn": withdrawn });
        if let Value::Object(members) = &mut details {
            members.extend(self.details);
        }
        AuditEntry::new(now, caller.actor.clone(), self.action, details).on("config", self.part)
    }
}

/// The brake of a reload. Below ten living rules a tenth is less than one rule, which nobody would call a mass.
fn is_mass(failing: usize, living: usize) -> bool {
    failing > 10 || (living >= 10 && failing * 10 > living)
}

#[cfg(test)]
mod tests {
    use super::is_mass;

    #[test]
    fn the_brake_knows_a_mass() {
        assert!(!is_mass(1, 1));
        assert!(!is_mass(1, 10));
        assert!(is_mass(2, 10));
        assert!(!is_mass(10, 100));
        assert!(is_mass(11, 1000));
    }
}
