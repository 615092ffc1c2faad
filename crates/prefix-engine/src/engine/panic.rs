//! The kill switch: panic, thaw, and the panic that began past the API.

use std::collections::HashSet;
use std::time::Duration;

use prefix_core::id::{MitigationId, PanicId};
use prefix_core::mitigation::Mitigation;
use prefix_core::name::{CustomerId, Pop};
use prefix_core::panic::{PanicOrigin, PanicScope};
use tokio::time::{Instant, sleep};
use tracing::warn;

use super::Engine;
use crate::answer::{PanicRequest, PanicStarted, PanicState};
use crate::caller::Caller;
use crate::command::panic::{EndFrozen, Freeze, Unfreeze};
use crate::error::EngineError;

/// Rows ended in one transaction.
const AT_ONCE: usize = 512;
/// Between two attempts to record a panic.
const AGAIN: Duration = Duration::from_millis(200);
/// Between two looks at whether the speaker has confirmed.
const LOOK: Duration = Duration::from_millis(20);

impl Engine {
    /// Freezes a scope, then withdraws every rule in it, whoever holds it and whichever pop announces it. Answers as
    /// soon as all are gone, at the latest after `announce_timeout`. Rules of this instance leave before anything is
    /// written. If the freeze cannot be recorded within `announce_timeout` that is an error, and it is recorded later all
    /// the same; once it is, nothing fails any more: what could not be written is written by whoever leads.
    pub async fn panic(&self, request: PanicRequest, caller: &Caller) -> Result<PanicStarted, EngineError> {
        let scope = PanicScope {
            panic_id: PanicId::generate_at(self.now()),
            reason: request.reason,
            pop: request.pop,
            customer_id: request.customer_id,
            started_at: self.running.shared.now(),
            started_by: caller.actor.name().to_owned(),
            origin: PanicOrigin::Api,
            thawed: None,
        };
        let (engine, caller) = (self.clone(), caller.clone());
        // what began is ended, whether or not the caller waits for it
        let carried_out = tokio::spawn(async move {
            let _ending = engine.running.shared.panic_scopes.ending();
            // some are gone before the others can be read
            let known = engine.known_in_scope(scope.pop.as_ref(), scope.customer_id.as_ref());
            engine.freeze(&scope, &caller).await?;
            Ok(engine.withdraw_scope(scope, known, &caller).await)
        });
        carried_out
            .await
            .unwrap_or_else(|error| Err(EngineError::Internal(format!("the panic ended: {error}"))))
    }

    /// Freezes a scope here, which takes its rules off the wire at once, and records it. A commit that fails is repeated;
    /// if storage does not come back in time, the scope stays frozen here and is recorded later.
    async fn freeze(&self, scope: &PanicScope, caller: &Caller) -> Result<(), EngineError> {
        let shared = &self.running.shared;
        let deadline = Instant::now() + shared.settings.announce_timeout;
        if !caller.dry_run {
            shared.panic_scopes.starting(scope);
            shared.withdraw_frozen();
        }
        loop {
            let frozen = self.ask_urgently(Freeze { scope: scope.clone(), caller: caller.clone() }).await;
            match frozen {
                Err(EngineError::StorageUnavailable(_)) if !caller.dry_run && Instant::now() < deadline => {
                    sleep(AGAIN).await;
                }
                Err(EngineError::CredentialEnded) if !caller.dry_run => {
                    // nobody who may has asked for it
                    shared.panic_scopes.thawed(&[scope.panic_id]);
                    shared.withdraw_frozen();
                    return Err(EngineError::CredentialEnded);
                }
                Err(error) if !caller.dry_run => {
                    warn!(%error, panic_id = %scope.panic_id, "a panic cannot be recorded yet: it holds on this instance alone");
                    shared.panic_scopes.record_later(scope.panic_id);
                    return Err(error);
                }
                frozen => return frozen,
            }
        }
    }

    async fn withdraw_scope(
        &self,
        scope: PanicScope,
        known: Vec<MitigationId>,
        caller: &Caller,
    ) -> PanicStarted {
        let mut affected = self.in_scope(scope.pop.as_ref(), scope.customer_id.as_ref()).await;
        affected.extend(known);
        affected.sort();
        affected.dedup();
        let rules = affected.len() as u64;
        if caller.dry_run {
            return PanicStarted { scope, rules, withdrawn: 0, withdrawing: rules, affected };
        }
        if let Err(error) = self.end_frozen(&affected, caller).await {
            warn!(%error, panic_id = %scope.panic_id, "the scope is frozen; its rows are ended as soon as that works");
        }
        let withdrawing = self.wait_until_gone(&scope, &affected).await;
        PanicStarted { scope, rules, withdrawn: rules - withdrawing, withdrawing, affected }
    }

    /// The mitigations of a scope that are not final; what the intent table knows, if storage does not answer.
    async fn in_scope(&self, pop: Option<&Pop>, customer: Option<&CustomerId>) -> Vec<MitigationId> {
        let shared = &self.running.shared;
        let mut ids = match shared.store.unfinished_ids(pop, customer).await {
            Ok(ids) => ids,
            Err(error) => {
                warn!(%error, "the rules of a frozen scope cannot be read");
                self.known_in_scope(pop, customer)
            }
        };
        ids.sort();
        ids
    }

    fn known_in_scope(&self, pop: Option<&Pop>, customer: Option<&CustomerId>) -> Vec<MitigationId> {
        let meant = |row: &Mitigation| {
            pop.is_none_or(|pop| *pop == row.pop)
                && (customer.is_none() || customer == row.customer_id.as_ref())
        };
        let rows = self.running.shared.intents.rows();
        rows.iter().filter(|row| meant(row)).map(|row| row.mitigation_id).collect()
    }

    async fn end_frozen(&self, ids: &[MitigationId], caller: &Caller) -> Result<(), EngineError> {
        for ids in ids.chunks(AT_ONCE) {
            self.ask_urgently(EndFrozen { ids: ids.to_vec(), caller: caller.clone() }).await?;
        }
        Ok(())
    }

    /// How many of these rules are not gone yet when all are, or when the wait is over.
    async fn wait_until_gone(&self, scope: &PanicScope, ids: &[MitigationId]) -> u64 {
        let shared = &self.running.shared;
        let deadline = Instant::now() + shared.settings.announce_timeout;
        let of_others = scope.pop.as_ref() != Some(&shared.settings.pop);
        loop {
            let here = ids.iter().filter(|id| shared.intents.get(**id).is_some()).count() as u64;
            let is_over = Instant::now() >= deadline;
            if !of_others && (here == 0 || is_over) {
                return here;
            }
            if of_others && (here == 0 || is_over) {
                let left = shared.store.unfinished_ids(scope.pop.as_ref(), scope.customer_id.as_ref()).await;
                let meant: HashSet<MitigationId> = ids.iter().copied().collect();
                // without storage only the own ones are known
                let left =
                    left.map_or(here, |left| left.iter().filter(|id| meant.contains(id)).count() as u64);
                if left == 0 || is_over {
                    return left;
                }
                sleep(LOOK * 5).await;
            }
            sleep(LOOK).await;
        }
    }

    /// Thaws one scope, or all. Nothing is announced again by itself. Thawing what is thawed already is harmless.
    pub async fn thaw(
        &self,
        reason: &str,
        id: Option<PanicId>,
        caller: &Caller,
    ) -> Result<PanicState, EngineError> {
        let state = self.panic_state().await?;
        let meant = |scope: &&PanicScope| id.is_none_or(|id| id == scope.panic_id);
        if let Some(id) = id
            && !state.scopes.iter().any(|scope| scope.panic_id == id)
        {
            return match self.running.shared.store.panic_scope(id).await? {
                Some(_) => Ok(state),
                None => Err(EngineError::NotFound(format!("there is no panic {id}"))),
            };
        }
        if caller.dry_run {
            let scopes = state.scopes.into_iter().filter(|scope| !meant(&scope)).collect();
            return Ok(PanicState::of(scopes));
        }
        // a crash may have come between a freeze and the end of its rules: they do not come back with the thaw
        for scope in state.scopes.iter().filter(meant) {
            let store = &self.running.shared.store;
            let ids = store.unfinished_ids(scope.pop.as_ref(), scope.customer_id.as_ref()).await?;
            self.end_frozen(&ids, &Caller::system()).await?;
        }
        self.ask_urgently(Unfreeze { id, reason: reason.to_owned(), caller: caller.clone() }).await?;
        self.panic_state().await
    }

    /// What is frozen.
    pub async fn panic_state(&self) -> Result<PanicState, EngineError> {
        let shared = &self.running.shared;
        let stored = shared.store.panic_scopes().await?;
        Ok(PanicState::of(shared.panic_scopes.completed(stored.into()).to_vec()))
    }

    /// Freezes without storage: from this moment nothing of the scope is announced here, and every own rule in it
    /// is withdrawn. It is recorded in storage as soon as that works. A scope that is known already, or was thawed,
    /// changes nothing.
    #[allow(clippy::needless_pass_by_value, reason = "whoever freezes hands the scope over")]
    pub fn freeze_direct(&self, scope: PanicScope) {
        let shared = &self.running.shared;
        if shared.panic_scopes.started_directly(&scope) {
            shared.withdraw_frozen();
            shared.alerts.panic_started(&scope);
        }
    }

    /// True if storage knows this panic as thawed: a marker of it is left over.
    pub async fn is_thawed(&self, id: PanicId) -> Result<bool, EngineError> {
        let scope = self.running.shared.store.panic_scope(id).await?;
        Ok(scope.is_some_and(|scope| scope.thawed.is_some()))
    }
}
