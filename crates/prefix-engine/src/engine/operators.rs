//! What people ask for: rules made, withdrawn and acknowledged by hand, and the safelist.

use std::collections::HashMap;
use std::sync::Arc;

use prefix_core::address::Prefix;
use prefix_core::decision::Decision;
use prefix_core::id::MitigationId;
use prefix_core::mitigation::Mitigation;
use prefix_core::safelist::SafelistEntry;
use prefix_policy::ManualRequest;
use prefix_policy::use_cases::{Creation, SafelistAdded};

use super::Engine;
use crate::answer::{Answer, BulkItem, Created, MitigationView};
use crate::caller::Caller;
use crate::command::acknowledge::Acknowledge;
use crate::command::create::Create;
use crate::command::repeatable::Once;
use crate::command::revalidate::Revalidate;
use crate::command::safelist::{AddToSafelist, ChangeSafelist, SafelistChange, covered_by};
use crate::command::withdraw::Withdraw;
use crate::confirmation_waiters::awaits_speaker;
use crate::error::EngineError;
use crate::telemetry;

/// So many safelisted mitigations are withdrawn in one unit of work.
const AT_ONCE: usize = 512;

/// True if `now` is not older than a row as a request has changed it, which still has the revision that was read: the
/// intent table may be behind what another instance has committed.
fn follows(now: &Mitigation, changed: &Mitigation) -> bool {
    now.revision > changed.revision || (now.revision == changed.revision && now.status == changed.status)
}

impl Engine {
    /// An operator's rule.
    pub async fn create(
        &self,
        request: ManualRequest,
        caller: &Caller,
    ) -> Result<Answer<Created>, EngineError> {
        self.policy().check_vector(&request.vector)?;
        let _only_one = self.running.claim(caller.idempotency.as_ref()).await;
        self.check_time()?;
        let command = Once(Create::new(request, caller.clone(), self.now()));
        let Answer { value, replayed } = self.ask(command).await??;
        match value {
            Creation::Refused { refusal, mitigation_id } => {
                if caller.dry_run && !replayed {
                    telemetry::refused(&refusal);
                }
                let stored = mitigation_id.filter(|_| !caller.dry_run);
                let error = EngineError::Guardrail { refusal, mitigation_id: stored };
                Err(if replayed { EngineError::Replayed(Box::new(error)) } else { error })
            }
            Creation::Made { row, replaced } => {
                let row = if caller.dry_run || replayed { *row } else { self.settled(*row).await };
                Ok(Answer { value: Created { view: self.view(row), replaced }, replayed })
            }
        }
    }

    /// A committed row once the speaker confirmed it, or as it is when the wait is over.
    async fn settled(&self, row: Mitigation) -> Mitigation {
        if !awaits_speaker(row.status) {
            return row;
        }
        let id = row.mitigation_id;
        let reached = self.running.wait(vec![id]).await.remove(&id);
        let Some(now) = reached.filter(|now| follows(now, &row)) else { return row };
        let mut now = Arc::unwrap_or_clone(now);
        // the intent table keeps no explanations
        if now.decision == Decision::open() {
            now.decision = row.decision;
        }
        now
    }

    /// Ends a mitigation; repeating it is harmless until it has ended.
    pub async fn withdraw(
        &self,
        id: MitigationId,
        reason: &str,
        caller: &Caller,
    ) -> Result<MitigationView, EngineError> {
        let command = Withdraw { ids: vec![id], reason: reason.to_owned(), caller: caller.clone() };
        let row = self.ask_urgently(command).await?.pop();
        let row = *row.ok_or_else(|| EngineError::Internal("a withdraw has no outcome".into()))??;
        let row = if caller.dry_run { row } else { self.settled(row).await };
        Ok(self.view(row))
    }

    /// Ends several mitigations, each on its own.
    pub async fn withdraw_many(
        &self,
        ids: Vec<MitigationId>,
        reason: &str,
        caller: &Caller,
    ) -> Result<Vec<BulkItem>, EngineError> {
        let command = Withdraw { ids: ids.clone(), reason: reason.to_owned(), caller: caller.clone() };
        let rows = self.ask_urgently(command).await?;
        let reached = if caller.dry_run {
            HashMap::default()
        } else {
            let changed = rows.iter().flatten().filter(|row| awaits_speaker(row.status));
            self.running.wait(changed.map(|row| row.mitigation_id).collect()).await
        };
        let items = ids.into_iter().zip(rows).map(|(mitigation_id, row)| {
            let status = |row: Box<Mitigation>| {
                let now = reached.get(&mitigation_id).filter(|now| follows(now, &row));
                now.map_or(row.status, |now| now.status)
            };
            BulkItem { mitigation_id, result: row.map(status).map_err(|error| error.to_string()) }
        });
        Ok(items.collect())
    }

    /// Marks mitigations as seen by the caller.
    pub async fn acknowledge(
        &self,
        ids: Vec<MitigationId>,
        caller: &Caller,
    ) -> Result<Vec<BulkItem>, EngineError> {
        let results = self.ask(Acknowledge { ids: ids.clone(), caller: caller.clone() }).await?;
        let items = ids.into_iter().zip(results).map(|(mitigation_id, result)| BulkItem {
            mitigation_id,
            result: result.map_err(|error| error.to_string()),
        });
        Ok(items.collect())
    }

    /// Puts a safelist entry and withdraws what it covers.
    pub async fn safelist_add(
        &self,
        entry: SafelistEntry,
        caller: &Caller,
    ) -> Result<SafelistAdded, EngineError> {
        self.check_time()?;
        let mut added = self.ask(AddToSafelist { entry, caller: caller.clone() }).await??;
        let shared = &self.running.shared;
        let rest = covered_by(&shared.intents, &added.entry, shared.now());
        let rest = rest.into_iter().map(|row| row.mitigation_id);
        let rest: Vec<MitigationId> = rest.filter(|id| !added.withdrawn.contains(id)).collect();
        if caller.dry_run {
            added.withdrawn.extend(rest);
            return Ok(added);
        }
        for ids in rest.chunks(AT_ONCE) {
            let command = Revalidate::asked_by(caller.clone(), ids.to_vec());
            added.withdrawn.extend(self.ask_urgently(command).await?);
        }
        self.running.wait_for_known(&added.withdrawn).await;
        Ok(added)
    }

    /// Removes a safelist entry.
    pub async fn safelist_remove(&self, prefix: Prefix, caller: &Caller) -> Result<(), EngineError> {
        let change = SafelistChange::Remove(prefix);
        Ok(self.ask(ChangeSafelist { change, caller: caller.clone() }).await??)
    }
}
