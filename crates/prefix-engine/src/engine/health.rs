//! How things stand, in numbers and in words, and what the guard had to do.

use chrono::{SecondsFormat, TimeDelta};
use prefix_core::announcer::SessionState;
use prefix_core::audit::{Actor, ActorType, AuditAction, AuditEntry};
use prefix_core::guard::{GuardMode, GuardStatus, GuardWithdrawal};
use prefix_core::id::MitigationId;
use prefix_core::ownership::MitigationTag;
use prefix_core::ports::StoreError;
use serde_json::json;

use super::{Engine, routers};
use crate::answer::{Health, LeaderView, PeerView, Speaker};
use crate::error::EngineError;
use crate::telemetry;

/// What is wrong: the first kind makes the whole daemon `degraded`.
#[derive(Default)]
struct Problems {
    degrading: Vec<String>,
    other: Vec<String>,
}

impl Engine {
    /// The state of everything.
    pub async fn health(&self) -> Health {
        let shared = &self.running.shared;
        let database = self.storage().await.map_err(|error| error.to_string());
        let peers = self.peers().await;
        let longest = TimeDelta::from_std(shared.settings.withdraw_alarm).unwrap_or(TimeDelta::MAX);
        let counts = shared.intents.counts(shared.now() - longest);
        let speaker = shared.speakers.connection();
        let guard = shared.guard.as_ref().map(|guard| guard.status());
        let mut problems = Problems::default();
        if let Err(error) = &database {
            problems.degrading.push(format!("storage: {error}"));
        }
        if let Speaker::Disconnected(reason) = &speaker {
            problems.degrading.push(format!("speaker: {reason}"));
        }
        problems.degrading.extend(shared.speakers.table_problems());
        problems.degrading.extend(self.sessions_problem(&peers));
        if counts.withdraw_stuck > 0 {
            problems.degrading.push(format!("withdrawals that took too long: {}", counts.withdraw_stuck));
        }
        problems.degrading.extend(guard.as_ref().and_then(|guard| self.guard_problem(guard)));
        let unseen = shared.alerts.unseen();
        if unseen > 0 {
            let text =
                format!("rules in the speaker that no established session carries to a router: {unseen}");
            problems.other.push(text);
        }
        problems.other.extend(shared.liveness.silent().iter().map(|(source, silence)| {
            format!(
                "detector {source} has been silent since {} (silent_after_seconds {})",
                silence.since.to_rfc3339_opts(SecondsFormat::Secs, true),
                silence.longest
            )
        }));
        problems.other.extend(routers::overfull(&peers));
        problems.other.extend(shared.clock.problems());
        problems.other.extend(shared.retention.problem());
        problems.other.extend(shared.leadership.problems(&shared.settings));
        problems.other.extend(shared.outage.problem());
        problems.other.extend(unreadable(&shared.store.unreadable()));
        problems.other.extend(shared.access.problems());
        let leader = LeaderView {
            is_leader: shared.leadership.in_charge().is_some(),
            instance: shared.leadership.pop().leader.map(|leader| leader.instance),
        };
        Health {
            pop: shared.settings.pop.clone(),
            database,
            speaker,
            peers,
            active: counts.active,
            pending: counts.pending,
            queued: counts.queued,
            withdraw_stuck: counts.withdraw_stuck,
            foreign_rules: shared.speakers.foreign_rules(),
            uptime: self.running.started.elapsed(),
            config_loaded_at: shared.policy_in_force.loaded_at(),
            guard,
            leader,
            panic_frozen: !shared.panic_scopes.scopes().is_empty(),
            degraded: !problems.degrading.is_empty(),
            problems: problems.degrading.into_iter().chain(problems.other).collect(),
        }
    }

    /// Whether storage answers, and took the last change that it was given: a full disk can still be read.
    async fn storage(&self) -> Result<(), StoreError> {
        let shared = &self.running.shared;
        shared.store.ping().await?;
        shared.outage.failure().map_or(Ok(()), Err)
    }

    fn sessions_problem(&self, peers: &[PeerView]) -> Option<String> {
        let up = |peer: &PeerView| peer.peer.state == SessionState::Established;
        let none = self.settings().has_sessions && !peers.is_empty() && !peers.iter().any(up);
        none.then(|| "no BGP session is established: no router receives rules".to_owned())
    }

    fn guard_problem(&self, guard: &GuardStatus) -> Option<String> {
        let silent = self.running.shared.enforced() && guard.mode != GuardMode::Off && !guard.alive;
        silent.then(|| {
            let seen = guard.last_seen.map_or_else(|| "never seen".to_owned(), |at| format!("last seen {at}"));
            format!(
                "no guard is alive ({seen}): if this daemon dies, its rules stay in the speaker; run prefixd guard"
            )
        })
    }

    /// The guard took rules away. `Ok` means that it is written down; otherwise it is to be reported again.
    pub async fn guard_withdrew(&self, withdrawn: Vec<GuardWithdrawal>) -> Result<(), EngineError> {
        if withdrawn.is_empty() {
            return Ok(());
        }
        let shared = &self.running.shared;
        let actor = Actor { kind: ActorType::System, id: Some("guard".to_owned()) };
        let entries = withdrawn.iter().map(|one| {
            let mut details = json!({
                "flow": one.key.flow(),
                "withdrawn_at": one.at,
                "not_after": one.not_after.time(),
            });
            if let Some(speaker) = &one.speaker {
                details["speaker"] = json!(speaker);
            }
            let entry = AuditEntry::new(shared.now(), actor.clone(), AuditAction::GuardWithdraw, details);
            match self.meant(one) {
                Some(id) => entry.on("mitigation", id),
                None => entry.on("rule", one.key.flow()),
            }
        });
        self.record_all(entries.collect()).await?;
        telemetry::guard_withdrew(withdrawn.len());
        shared.alerts.guard_withdrew(&withdrawn);
        Ok(())
    }

    /// The mitigation that a path carried the tag of.
    fn meant(&self, withdrawn: &GuardWithdrawal) -> Option<MitigationId> {
        let tag = withdrawn.mitigation?;
        let rows = self.running.shared.intents.of_route(&withdrawn.key);
        let found = rows.iter().find(|row| MitigationTag::from(row.mitigation_id) == tag);
        found.map(|row| row.mitigation_id)
    }
}

/// So many unreadable rows are named.
const MOST_NAMED: usize = 3;

/// Stored rows that nobody can read: what they ask for is not done, so somebody must know.
fn unreadable(rows: &[(&'static str, String)]) -> Option<String> {
    let named: Vec<String> =
        rows.iter().take(MOST_NAMED).map(|(table, id)| format!("{table} {id}")).collect();
    let more = rows.len().saturating_sub(MOST_NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!rows.is_empty()).then(|| {
        format!(
            "stored rows cannot be read and are left out, rules of such mitigations are withdrawn: {}{more}; a newer \
             prefixd or another program wrote them, the log says what is wrong",
            named.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_cannot_be_read_are_named_and_counted() {
        assert_eq!(unreadable(&[]), None);
        let rows: Vec<_> = (0..5).map(|n| ("mitigations", n.to_string())).collect();
        let text = unreadable(&rows).unwrap();
        assert!(text.contains("mitigations 0, mitigations 1, mitigations 2 and 2 more"), "{text}");
    }
}
