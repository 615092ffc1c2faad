//! A policy is replaced: what that would withdraw, the limit of it without `force`, and what is written down.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use prefix_core::audit::{AuditAction, AuditEntry};
use prefix_core::id::MitigationId;
use prefix_core::mitigation::Mitigation;
use prefix_policy::{CheckContext, Policy};
use serde_json::{Map, Value, json};

use super::Engine;
use crate::answer::ReloadReport;
use crate::caller::Caller;
use crate::command::revalidate::{Conclusion, Revalidate};
use crate::error::EngineError;
use crate::telemetry;

/// So many mitigations are withdrawn in one unit of work.
const MOST_AT_ONCE: usize = 2_048;

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
    /// Whether more than the [limit](Rehearsal::brake) may be withdrawn.
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
            members.extend(caller.address.map(|address| ("address".to_owned(), json!(address))));
            members.extend(self.details);
        }
        AuditEntry::new(now, caller.actor.clone(), self.action, details).on("config", self.part)
    }
}

/// The limit of what a reload withdraws without `force`: below ten living rules a tenth is less than one rule.
fn is_mass(failing: usize, living: usize) -> bool {
    failing > 10 || (living >= 10 && failing * 10 > living)
}

impl Engine {
    /// Replaces the policy by what the files say; more than 10 rules, or more than a tenth of 10 or more living rules,
    /// are only withdrawn with `force`.
    pub async fn reload(
        &self,
        policy: Policy,
        force: bool,
        caller: &Caller,
    ) -> Result<ReloadReport, EngineError> {
        let rehearsal = self.rehearse(&policy).await?;
        if caller.dry_run {
            // a rehearsal shows what would happen, whatever that is
            return Ok(ReloadReport { withdrawn: rehearsal.failing });
        }
        rehearsal.brake(force)?;
        self.replace_policy(policy, PolicyChange::reload(force), caller).await
    }

    /// What a policy would withdraw if it were in force now. What a panic withdraws is withdrawn without it.
    pub async fn rehearse(&self, policy: &Policy) -> Result<Rehearsal, EngineError> {
        let mut rows = self.running.shared.intents.rows();
        rows.retain(|row| row.lives());
        let failing = self.failing(policy, &rows).await?;
        Ok(Rehearsal { failing, living: rows.len() })
    }

    /// Those of these mitigations that no longer pass, whatever is frozen.
    async fn failing(
        &self,
        policy: &Policy,
        rows: &[Arc<Mitigation>],
    ) -> Result<Vec<MitigationId>, EngineError> {
        let shared = &self.running.shared;
        let safelist = shared.policy_in_force.safelist_index(&shared.store.safelist().await?);
        let context = CheckContext { now: shared.now(), safelist: &safelist, frozen: &[] };
        let failing = rows.iter().filter(|row| policy.revalidate(row, context).is_err());
        Ok(failing.map(|row| row.mitigation_id).collect())
    }

    /// Replaces the policy and withdraws what no longer passes, however much that is. If that cannot be carried out, the
    /// former policy is in force again.
    pub async fn replace_policy(
        &self,
        policy: Policy,
        change: PolicyChange,
        caller: &Caller,
    ) -> Result<ReloadReport, EngineError> {
        let (engine, caller) = (self.clone(), caller.clone());
        // what began is ended, whether or not the caller waits for it
        let replaced = tokio::spawn(async move {
            let shared = &engine.running.shared;
            let before = shared.policy_in_force.replace(policy, shared.now());
            telemetry::initial_series(&shared.policy());
            let carried_out = engine.carry_out(change, &caller).await;
            if carried_out.is_err() {
                // nobody would withdraw later what no longer passes: then it is the former policy that runs
                shared.policy_in_force.restore(before);
            }
            carried_out
        });
        replaced
            .await
            .unwrap_or_else(|panic| Err(EngineError::Internal(format!("the reload ended: {panic}"))))
    }

    /// Withdraws what the policy in force lets pass no longer, in one unit of work with the audit entry. More than
    /// [`MOST_AT_ONCE`] are withdrawn in several; what those before a failure have withdrawn stays withdrawn.
    async fn carry_out(&self, change: PolicyChange, caller: &Caller) -> Result<ReloadReport, EngineError> {
        let shared = &self.running.shared;
        // behind this empty command nothing is under way any more that was decided under the former policy
        self.ask(Revalidate::new(Vec::new())).await?;
        // nor is anything forgotten whose commit went unanswered, or that another instance has changed just now
        if let Some(commit_queue) = self.running.commit_queue() {
            shared.route_queue.enqueue(commit_queue.reload().await?);
        }
        let mut rows = shared.intents.rows();
        rows.retain(|row| row.status.claims_rule());
        let mut ids = self.failing(&shared.policy(), &rows).await?;
        ids.sort();
        let mut withdrawn = Vec::new();
        let last = ids.split_off(ids.len() - ids.len().min(MOST_AT_ONCE));
        for ids in ids.chunks(MOST_AT_ONCE) {
            withdrawn.extend(self.ask(Revalidate::new(ids.to_vec())).await?);
        }
        let conclusion = Conclusion { change, caller: caller.clone(), earlier: withdrawn.clone() };
        withdrawn.extend(self.ask(Revalidate::concluding(last, conclusion)).await?);
        shared.alerts.config_reloaded(caller.actor.name(), withdrawn.len());
        Ok(ReloadReport { withdrawn })
    }
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
