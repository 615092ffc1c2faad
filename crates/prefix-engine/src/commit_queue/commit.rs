//! One transaction: what its commands read, their decisions, the commit, and the answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use prefix_core::ports::{ReadSet, Snapshot, StoreError};
use prefix_core::safelist::Safelist;
use prefix_policy::SafelistIndex;
use prefix_policy::use_cases::{RandomIds, UnitOfWork, UnitOfWorkContext};
use tracing::{error, warn};

use super::Entry;
use super::after_commit::{Committed, follow};
use super::request::CommandContext;
use crate::shared::Shared;

/// Commits a batch, or each of its requests alone where the whole is refused, and answers them. Returns true if it is
/// not known what is stored.
pub(super) async fn commit_batch(shared: &Shared, mut batch: Vec<Entry>, write: bool) -> bool {
    batch.retain(|entry| !entry.request.is_abandoned());
    let current = shared.leadership.epoch();
    let (mut batch, outdated): (Vec<Entry>, Vec<Entry>) =
        batch.into_iter().partition(|entry| entry.leader.is_none() || entry.leader == current);
    for entry in outdated {
        entry.request.done(shared, Err(StoreError::Deposed));
    }
    if batch.is_empty() {
        return false;
    }
    match commit(shared, &mut batch, write).await {
        Ok(()) => {
            for entry in batch {
                entry.request.done(shared, Ok(()));
            }
            false
        }
        // what the leader wanted is found again by the next one; requests are everybody's work
        Err(StoreError::Deposed) if shared.leadership.epoch() != current => {
            Box::pin(commit_batch(shared, batch, write)).await
        }
        Err(problem) if batch.len() > 1 && !matches!(problem, StoreError::Unavailable(_)) => {
            warn!(%problem, commands = batch.len(), "a transaction was refused, each command is tried alone");
            let mut stale = false;
            let mut lost = None;
            for entry in batch {
                let mut alone = vec![entry];
                let result = match &lost {
                    Some(failure) => Err(StoreError::clone(failure)),
                    None => commit(shared, &mut alone, write).await,
                };
                stale |= result.as_ref().is_err_and(leaves_doubt);
                lost = result.as_ref().err().filter(|e| matches!(e, StoreError::Unavailable(_))).cloned();
                for entry in alone {
                    entry.request.done(shared, result.clone());
                }
            }
            stale
        }
        Err(failure) => {
            if !matches!(failure, StoreError::Unavailable(_)) {
                error!(error = %failure, commands = batch.len(), "a transaction failed");
            }
            for entry in batch {
                entry.request.done(shared, Err(failure.clone()));
            }
            leaves_doubt(&failure)
        }
    }
}

/// True if the intent table may not be what is stored: an unanswered commit, or somebody else who changed rows.
fn leaves_doubt(failure: &StoreError) -> bool {
    matches!(failure, StoreError::Unavailable(_) | StoreError::Conflict(_))
}

async fn commit(shared: &Shared, batch: &mut [Entry], write: bool) -> Result<(), StoreError> {
    // facts are named and decided over under one and the same policy
    let policy = shared.policy();
    let (now, frame) = shared.clock.reading();
    let context = CommandContext {
        policy: &policy,
        now,
        frame,
        intents: &shared.intents,
        frozen: &shared.panic_scopes,
    };
    let mut reads = policy.read_set(shared.settings.pop.clone(), now);
    reads.instance = Some(shared.leadership.instance());
    reads.leader = batch.iter().find_map(|entry| entry.leader);
    batch.iter().for_each(|entry| entry.request.reads(&context, &mut reads));
    shared.intents.read_sharers(&mut reads);
    let requests = batch.len();
    let ids = RandomIds(now);
    let mut committed = Committed::default();
    let mut panicked = false;
    let result = {
        let (committed, panicked, reads) = (&mut committed, &mut panicked, &reads);
        let mut decide = |snapshot| {
            let changes = catch_unwind(AssertUnwindSafe(|| {
                let uow_context = uow_context(shared, &context, &ids, reads, &snapshot);
                let ended = snapshot.ended.clone();
                let mut uow = UnitOfWork::new(uow_context, policy.clone(), snapshot);
                batch.iter_mut().for_each(|entry| entry.request.run(&mut uow, &ended));
                (uow.take_domain_events(), uow.finish())
            }));
            *panicked = changes.is_err();
            let (domain_events, changes) = changes.ok().filter(|_| write).unwrap_or_default();
            *committed = Committed::of(&changes, domain_events);
            shared.intents.deciding(&changes.mitigations);
            changes
        };
        shared.store.transact(reads, &mut decide).await
    };
    if let (Err(StoreError::Deposed), Some(epoch)) = (&result, reads.leader) {
        shared.leadership.deposed(epoch);
    }
    remember(shared, &result, &committed, requests);
    if let Err(failure) = result {
        shared.intents.decided(leaves_doubt(&failure));
        return Err(failure);
    }
    if panicked {
        // one request that hits a defect must not end the daemon, and again after each restart when it is repeated
        return Err(StoreError::Invalid(
            "the decision ended in a defect of prefixd, which the log names".into(),
        ));
    }
    follow(shared, committed);
    shared.intents.decided(false);
    Ok(())
}

/// Where, when and under which conditions a unit of work is done.
fn uow_context<'a>(
    shared: &'a Shared,
    instance: &'a CommandContext<'a>,
    id_generator: &'a RandomIds,
    reads: &ReadSet,
    snapshot: &Snapshot,
) -> UnitOfWorkContext<'a> {
    let safelist = if reads.admission {
        shared.policy_in_force.safelist_index(&snapshot.safelist)
    } else {
        Arc::new(SafelistIndex::new(&Safelist::default()))
    };
    UnitOfWorkContext {
        stores: true,
        pop: &shared.settings.pop,
        now: reads.now,
        frame: instance.frame,
        dry_run: !shared.enforced(),
        safelist,
        frozen: shared.panic_scopes.completed(snapshot.panic.clone()),
        id_generator,
        instance,
    }
}

/// Keeps why nothing can be written, until something was.
fn remember(shared: &Shared, result: &Result<(), StoreError>, committed: &Committed, requests: usize) {
    match result {
        Err(failure @ StoreError::Unavailable(_)) => drop(shared.outage.failed(failure, requests)),
        Ok(()) if committed.is_something() => shared.outage.ended(),
        _ => {}
    }
}
