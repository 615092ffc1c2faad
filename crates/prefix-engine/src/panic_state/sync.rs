//! Keeps the panic scopes of this instance and those of storage the same, and ends the rows that a panic covers.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use prefix_core::Store;
use prefix_core::id::PanicId;
use prefix_core::panic::PanicScope;
use prefix_core::ports::StoreError;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::PanicScopes;
use crate::caller::Caller;
use crate::command::panic::{EndFrozen, Freeze};
use crate::task_context::TaskContext;

/// Between two reads of what other instances froze and thawed: well below the second within which it binds all.
const PERIOD: Duration = Duration::from_millis(400);
/// Rows ended in one transaction.
const AT_ONCE: usize = 512;
/// A command that was dropped is submitted again.
const PATIENCE: Duration = Duration::from_secs(30);

/// Before anything is announced: what storage has, and what was started past it (`direct`) and is not thawed.
pub(crate) async fn load(
    scopes: &PanicScopes,
    store: &dyn Store,
    direct: Vec<PanicScope>,
) -> Result<(), StoreError> {
    let generation = scopes.generation();
    let stored = store.panic_scopes().await?;
    scopes.update(stored, generation);
    for scope in direct {
        match store.panic_scope(scope.panic_id).await? {
            Some(known) if known.thawed.is_some() => {
                info!(panic_id = %scope.panic_id, "a marker of a panic is left over that was thawed already");
                scopes.thawed(&[scope.panic_id]);
            }
            Some(_) => {}
            None => {
                scopes.started_directly(&scope);
            }
        }
    }
    for scope in scopes.scopes().iter() {
        warn!(panic_id = %scope.panic_id, reason = scope.reason, by = scope.started_by, "a panic is on, its scope stays frozen");
    }
    Ok(())
}

/// Follows what other instances freeze and thaw, records what was started past storage, and ends the rows that a panic
/// covers, also after a crash of whoever asked for it.
pub(crate) async fn run(context: TaskContext, scopes: Arc<PanicScopes>, stop: CancellationToken) {
    let mut reported = HashSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = scopes.to_record.notified() => {}
            () = sleep(PERIOD) => {}
        }
        let work = async {
            let synced = sync(&context, &scopes, &mut reported).await;
            end_covered(&context, &scopes).await;
            synced
        };
        match stop.run_until_cancelled(work).await {
            Some(Ok(())) => {}
            // what is known stays frozen; that storage does not answer is logged elsewhere
            Some(Err(_)) => sleep(PERIOD).await,
            None => return,
        }
    }
}

/// A panic that cannot be recorded is logged once: those are in `reported`.
async fn sync(
    context: &TaskContext,
    scopes: &PanicScopes,
    reported: &mut HashSet<PanicId>,
) -> Result<(), StoreError> {
    let TaskContext { store, commit_queue, .. } = context;
    let generation = scopes.generation();
    let stored = store.panic_scopes().await?;
    if scopes.update(stored, generation) {
        info!(scopes = scopes.scopes().len(), "another instance froze or thawed something");
        withdraw_frozen(context, scopes);
    }
    for scope in scopes.unrecorded() {
        let id = scope.panic_id;
        match store.panic_scope(id).await? {
            Some(known) if known.thawed.is_some() => {
                scopes.thawed(&[id]);
                withdraw_frozen(context, scopes);
            }
            Some(known) => scopes.started(known),
            None => {
                let command = Freeze { scope, caller: Caller::system() };
                let Ok(answer) = commit_queue.submit_urgent(command) else { return Ok(()) };
                if let Ok(Err(error)) = timeout(PATIENCE, answer).await
                    && reported.insert(id)
                {
                    error!(%error, panic_id = %id, "a panic that began past storage cannot be recorded yet: it holds on this instance alone");
                }
            }
        }
    }
    Ok(())
}

/// Withdraws what is frozen now, before its end is written.
fn withdraw_frozen(context: &TaskContext, scopes: &PanicScopes) {
    context.route_queue.enqueue(context.intents.freeze(scopes.scopes()));
}

async fn end_covered(context: &TaskContext, scopes: &PanicScopes) {
    // only the leader does it: two instances would conflict
    if context.leadership.leading().is_none() || scopes.is_ending() {
        return;
    }
    for ids in context.intents.panic_pending().chunks(AT_ONCE) {
        let command = EndFrozen { ids: ids.to_vec(), caller: Caller::system() };
        let Ok(answer) = context.commit_queue.submit_urgent(command) else { return };
        if !matches!(timeout(PATIENCE, answer).await, Ok(Ok(_))) {
            return;
        }
    }
}
