//! What several sources say: signal groups, and the signals that corroborate them.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use prefix_core::address::VictimIp;
use prefix_core::confidence::Confidence;
use prefix_core::id::{GroupId, SignalId};
use prefix_core::name::SourceName;
use prefix_core::page::Page;
use prefix_core::ports::{GroupQuery, SourceActivity, WaitingCorroborations};
use prefix_core::signal::{Corroboration, CorroborationScope, SignalGroup};
use prefix_policy::correlation::{ScopeProblem, scope_of};
use prefix_policy::use_cases::{CorroborationTaken, because};

use super::Engine;
use crate::answer::Answer;
use crate::caller::Caller;
use crate::command::corroborate::Corroborate;
use crate::command::groups::ActOnGroups;
use crate::command::repeatable::Once;
use crate::error::EngineError;
use crate::telemetry;

/// So many open groups are looked at for a corroborating signal.
const MOST_GROUPS: u32 = 100_000;

/// A corroborating signal as it was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct CorroborationReport {
    /// Who sends it.
    pub source: SourceName,
    /// What it is about.
    pub scope: CorroborationScope,
    /// How sure it is; `None` = the default of its source.
    pub confidence: Option<Confidence>,
    /// JSON text as it came: stored, never interpreted.
    pub raw_details: Option<String>,
}

impl Engine {
    /// Takes a corroborating signal: it joins every group that it is about, waits for those yet to come, and triggers
    /// what lacks nothing else.
    pub async fn corroborate(
        &self,
        sent: CorroborationReport,
        caller: &Caller,
    ) -> Result<Answer<CorroborationTaken>, EngineError> {
        let policy = self.policy();
        if let Some(vector) = &sent.scope.vector
            && let Err(inadmissible) = policy.check_vector(vector)
        {
            telemetry::unknown_vector(sent.source.as_str());
            return Err(inadmissible.into());
        }
        let allowed = scope_of(&policy, &sent.source, &sent.scope);
        allowed.map_err(|problem| EngineError::NotAllowed(problem.to_string()))?;
        let _only_one = self.running.claim(caller.idempotency.as_ref()).await;
        self.check_time()?;
        let shared = &self.running.shared;
        let now = shared.now();
        let mut signal = Corroboration {
            signal_id: SignalId::generate_at(now),
            received_by: shared.settings.pop.clone(),
            identity: caller.identity.clone().unwrap_or_else(|| sent.source.as_identity()),
            confidence: sent.confidence.unwrap_or_else(|| policy.default_confidence(&sent.source)),
            weight: policy.weight(&sent.source),
            source: sent.source,
            scope: sent.scope,
            received_at: now,
            expires_at: now + policy.parts().correlation.window(),
            attached: BTreeSet::new(),
            raw_details: sent.raw_details,
        };
        let victims = self.victims_of(&signal).await?;
        // what takes effect in the same unit of work is ordered by identifiers: this one comes after the events that
        // came up while storage was read
        signal.signal_id = SignalId::generate_at(shared.now());
        let because = because(&signal);
        let command = Corroborate { signal, victims, caller: caller.clone() };
        let mut taken = self.ask(Once(command)).await??;
        let groups = std::mem::take(&mut taken.value.deferred);
        if !groups.is_empty() {
            // the signal is stored and counts; what it completes is acted on now, or with the next report
            let command = ActOnGroups { groups, because, caller: caller.clone() };
            taken.value.mitigation_ids.extend(self.ask(command).await.unwrap_or_default());
        }
        self.running.wait_for_known(&taken.value.mitigation_ids).await;
        Ok(taken)
    }

    /// What is wrong with the scope of a corroborating signal of this source, under the configuration that runs.
    pub fn check_scope(&self, source: &SourceName, scope: &CorroborationScope) -> Result<(), ScopeProblem> {
        scope_of(&self.policy(), source, scope).map(|_| ())
    }

    /// The victims of the open groups that a signal is about.
    async fn victims_of(&self, signal: &Corroboration) -> Result<BTreeSet<VictimIp>, EngineError> {
        let (shared, policy) = (&self.running.shared, self.policy());
        let pop = &shared.settings.pop;
        let open = shared.store.open_groups(pop, MOST_GROUPS).await?;
        let meant = open.iter().filter(|group| policy.corroborates(signal, group, pop));
        Ok(meant.map(|group| group.victim_ip).collect())
    }

    /// A page of signal groups: of the own pop, unless the query names another one.
    pub async fn signal_groups(&self, query: &GroupQuery) -> Result<Page<SignalGroup>, EngineError> {
        Ok(self.running.shared.store.groups(query).await?)
    }

    /// One signal group, of any pop.
    pub async fn signal_group(&self, id: GroupId) -> Result<SignalGroup, EngineError> {
        let group = self.running.shared.store.group(id).await?;
        group.ok_or_else(|| EngineError::NotFound(format!("there is no signal group {id}")))
    }

    /// The corroborating signals of this pop that wait for a group.
    pub async fn waiting_corroborations(
        &self,
        source: Option<&SourceName>,
        limit: u32,
    ) -> Result<(WaitingCorroborations, Vec<Corroboration>), EngineError> {
        let shared = &self.running.shared;
        let (pop, now) = (&shared.settings.pop, shared.now());
        Ok(shared.store.waiting_corroborations(pop, now, source, limit).await?)
    }

    /// Which corroborating sources this pop has received signals from since.
    pub async fn corroborator_activity(
        &self,
        since: DateTime<Utc>,
    ) -> Result<Vec<SourceActivity>, EngineError> {
        let shared = &self.running.shared;
        Ok(shared.store.corroborator_activity(&shared.settings.pop, since).await?)
    }

    /// The time of the engine's clock.
    pub fn now(&self) -> DateTime<Utc> {
        self.running.shared.now()
    }
}
