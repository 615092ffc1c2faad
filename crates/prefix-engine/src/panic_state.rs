//! What is frozen, as this instance knows it: the panic scopes of storage when they were last heard of, and those that
//! were begun past storage.
//!
//! Every transaction reads the scopes for itself, so nothing is let in by this memory. It is what takes rules off the
//! wire: at once, and also while storage is down.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prefix_core::id::PanicId;
use prefix_core::panic::PanicScope;
use prefix_core::store::StoreError;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::caller::Caller;
use crate::command::panic::{EndFrozen, Freeze};
use crate::commit_queue::CommitQueue;
use crate::shared::Shared;

/// Between two looks at what other instances froze and thawed: well below the second within which it binds all.
const LOOK: Duration = Duration::from_millis(400);
/// Rows ended in one transaction.
const AT_ONCE: usize = 512;
/// A command that was dropped is handed over again.
const PATIENCE: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Default)]
pub(crate) struct PanicScopes {
    known: Mutex<Known>,
    /// Rung when something was frozen past storage.
    pub(crate) moved: Notify,
    ending: AtomicUsize,
}

/// While it lives, somebody ends what a panic found: see [`PanicScopes::ending`].
pub(crate) struct Ending<'a>(&'a PanicScopes);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.ending.fetch_sub(1, Ordering::AcqRel);
    }
}

#[derive(Default)]
struct Known {
    /// All of them: those of storage and the direct ones.
    scopes: Arc<Vec<PanicScope>>,
    /// Begun past storage, and not recorded there as far as is known.
    unrecorded: Vec<PanicScope>,
    thawed: HashSet<PanicId>,
    /// Counts what was begun and thawed here, so that an older look at storage is not believed.
    generation: u64,
}

impl Known {
    fn put(&mut self, scope: PanicScope) {
        let mut scopes: Vec<PanicScope> = self.scopes.to_vec();
        scopes.retain(|other| other.panic_id != scope.panic_id);
        scopes.push(scope);
        self.scopes = Arc::new(scopes);
        self.generation += 1;
    }
}

impl PanicScopes {
    fn open(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever asks for a panic ends its rows in his own name; nobody repairs what he is at.
    pub(crate) fn ending(&self) -> Ending<'_> {
        self.ending.fetch_add(1, Ordering::AcqRel);
        Ending(self)
    }

    /// Everything that is frozen.
    pub(crate) fn scopes(&self) -> Arc<Vec<PanicScope>> {
        self.open().scopes.clone()
    }

    /// What a transaction has read, with what storage does not know yet.
    pub(crate) fn completed(&self, stored: Arc<Vec<PanicScope>>) -> Arc<Vec<PanicScope>> {
        let known = self.open();
        let is_new = |scope: &&PanicScope| stored.iter().all(|other| other.panic_id != scope.panic_id);
        let more: Vec<PanicScope> = known.unrecorded.iter().filter(is_new).cloned().collect();
        if more.is_empty() { stored } else { Arc::new(stored.iter().cloned().chain(more).collect()) }
    }

    /// To be noted before storage is asked.
    pub(crate) fn generation(&self) -> u64 {
        self.open().generation
    }

    /// What storage said, asked at this generation. Returns true if it is something else than was known.
    pub(crate) fn heard(&self, stored: Vec<PanicScope>, generation: u64) -> bool {
        let mut known = self.open();
        if known.generation != generation {
            return false;
        }
        let recorded = |scope: &PanicScope| stored.iter().any(|other| other.panic_id == scope.panic_id);
        known.unrecorded.retain(|scope| !recorded(scope));
        let gone = known.scopes.iter().filter(|scope| {
            !recorded(scope) && known.unrecorded.iter().all(|other| other.panic_id != scope.panic_id)
        });
        let gone: Vec<PanicId> = gone.map(|scope| scope.panic_id).collect();
        known.thawed.extend(gone);
        let scopes: Vec<PanicScope> = stored.into_iter().chain(known.unrecorded.iter().cloned()).collect();
        let is_news = *known.scopes != scopes;
        known.scopes = Arc::new(scopes);
        is_news
    }

    /// A scope was committed.
    pub(crate) fn begun(&self, scope: PanicScope) {
        let mut known = self.open();
        known.unrecorded.retain(|other| other.panic_id != scope.panic_id);
        known.put(scope);
    }

    /// A scope was begun past storage. Returns false if it is known already, or was thawed.
    pub(crate) fn begun_directly(&self, scope: &PanicScope) -> bool {
        let mut known = self.open();
        let is_known = known.scopes.iter().any(|other| other.panic_id == scope.panic_id);
        if is_known || known.thawed.contains(&scope.panic_id) || scope.thawed.is_some() {
            return false;
        }
        known.unrecorded.push(scope.clone());
        known.put(scope.clone());
        true
    }

    /// True if it is known to be frozen no more.
    pub(crate) fn is_thawed(&self, id: PanicId) -> bool {
        self.open().thawed.contains(&id)
    }

    /// Those that storage does not know yet, as far as is known.
    pub(crate) fn unrecorded(&self) -> Vec<PanicScope> {
        self.open().unrecorded.clone()
    }

    /// These scopes are frozen no more.
    pub(crate) fn thawed(&self, ids: &[PanicId]) {
        let mut known = self.open();
        let scopes = known.scopes.iter().filter(|scope| !ids.contains(&scope.panic_id)).cloned().collect();
        known.scopes = Arc::new(scopes);
        known.unrecorded.retain(|scope| !ids.contains(&scope.panic_id));
        known.thawed.extend(ids);
        known.generation += 1;
    }
}

/// Before anything is announced: what storage says, and what was begun past it (`direct`) and is not thawed.
pub(crate) async fn load(shared: &Shared, direct: Vec<PanicScope>) -> Result<(), StoreError> {
    let generation = shared.frozen.generation();
    let stored = shared.store.panic_scopes().await?;
    shared.frozen.heard(stored, generation);
    for scope in direct {
        match shared.store.panic_scope(scope.panic_id).await? {
            Some(known) if known.thawed.is_some() => {
                info!(panic_id = %scope.panic_id, "a panic that is left over was thawed already");
                shared.frozen.thawed(&[scope.panic_id]);
            }
            Some(_) => {}
            None => {
                shared.frozen.begun_directly(&scope);
            }
        }
    }
    let scopes = shared.frozen.scopes();
    for scope in scopes.iter() {
        warn!(panic_id = %scope.panic_id, reason = scope.reason, by = scope.started_by, "a panic is on, its scope stays frozen");
    }
    shared.follow_freeze();
    Ok(())
}

/// Follows what other instances freeze and thaw, records what was begun past storage, and ends what a panic found,
/// however a crash came between.
pub(crate) async fn run(shared: Arc<Shared>, commit_queue: CommitQueue, stop: CancellationToken) {
    let mut told = HashSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = shared.frozen.moved.notified() => {}
            () = sleep(LOOK) => {}
        }
        let work = async {
            let looked = look(&shared, &commit_queue, &mut told).await;
            end(&shared, &commit_queue).await;
            looked
        };
        tokio::select! {
            () = stop.cancelled() => return,
            looked = work => if looked.is_err() {
                // what is known stays frozen; storage that does not answer needs no second voice to say so
                sleep(LOOK).await;
            }
        }
    }
}

/// Each panic that cannot be recorded is `told` once.
async fn look(
    shared: &Shared,
    commit_queue: &CommitQueue,
    told: &mut HashSet<PanicId>,
) -> Result<(), StoreError> {
    let generation = shared.frozen.generation();
    let stored = shared.store.panic_scopes().await?;
    if shared.frozen.heard(stored, generation) {
        info!(scopes = shared.frozen.scopes().len(), "another instance froze or thawed something");
        shared.follow_freeze();
    }
    for scope in shared.frozen.unrecorded() {
        let id = scope.panic_id;
        match shared.store.panic_scope(id).await? {
            Some(known) if known.thawed.is_some() => {
                shared.frozen.thawed(&[id]);
                shared.follow_freeze();
            }
            Some(known) => shared.frozen.begun(known),
            None => {
                let command = Freeze { scope, caller: Caller::system() };
                let Ok(answer) = commit_queue.submit_urgent(command) else { return Ok(()) };
                if let Ok(Err(error)) = timeout(PATIENCE, answer).await
                    && told.insert(id)
                {
                    error!(%error, panic_id = %id, "a panic that began past storage cannot be recorded yet: it holds on this instance alone");
                }
            }
        }
    }
    Ok(())
}

async fn end(shared: &Shared, commit_queue: &CommitQueue) {
    // others repair nothing of this pop: two would only get into each other's way
    if shared.leadership.leading().is_none() || shared.frozen.ending.load(Ordering::Acquire) > 0 {
        return;
    }
    for ids in shared.intents.panic_pending().chunks(AT_ONCE) {
        let command = EndFrozen { ids: ids.to_vec(), caller: Caller::system() };
        let Ok(answer) = commit_queue.submit_urgent(command) else { return };
        if !matches!(timeout(PATIENCE, answer).await, Ok(Ok(_))) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use prefix_core::panic::PanicOrigin;

    use super::*;

    fn scope(origin: PanicOrigin) -> PanicScope {
        PanicScope {
            panic_id: PanicId::generate(),
            reason: "test".into(),
            pop: None,
            customer_id: None,
            started_at: DateTime::UNIX_EPOCH,
            started_by: "ada".into(),
            origin,
            thawed: None,
        }
    }

    #[test]
    fn an_older_look_at_storage_thaws_nothing() {
        let frozen = PanicScopes::default();
        let before = frozen.generation();
        frozen.begun(scope(PanicOrigin::Api));
        assert!(!frozen.heard(Vec::new(), before));
        assert_eq!(frozen.scopes().len(), 1);
        assert!(frozen.heard(Vec::new(), frozen.generation()));
        assert!(frozen.scopes().is_empty());
    }

    #[test]
    fn what_storage_does_not_know_stays_frozen_until_it_is_thawed() {
        let frozen = PanicScopes::default();
        let direct = scope(PanicOrigin::Direct);
        assert!(frozen.begun_directly(&direct));
        assert!(!frozen.begun_directly(&direct), "once each");
        frozen.heard(Vec::new(), frozen.generation());
        assert_eq!(frozen.unrecorded(), std::slice::from_ref(&direct));
        assert_eq!(*frozen.completed(Arc::default()), std::slice::from_ref(&direct));
        frozen.heard(vec![direct.clone()], frozen.generation());
        assert_eq!((frozen.unrecorded(), frozen.scopes().len()), (Vec::new(), 1));
        frozen.heard(Vec::new(), frozen.generation());
        assert!(frozen.scopes().is_empty(), "storage knew it, and knows it no more");
        assert!(!frozen.begun_directly(&direct), "a marker that is left over freezes nothing");
    }
}
