//! The panic scopes that are frozen, as far as this instance knows: those that storage had when it was last read, and
//! those that were started past storage.
//!
//! Every transaction reads the scopes for itself, so nothing is admitted because of this memory. It is what withdraws
//! rules: at once, and also while storage is down.

mod sync;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prefix_core::id::PanicId;
use prefix_core::panic::PanicScope;
use tokio::sync::Notify;

use crate::mutex::Mutex;

pub(crate) use sync::{load, run};

/// The frozen scopes that this instance knows of.
#[derive(Default)]
pub(crate) struct PanicScopes {
    state: Mutex<State>,
    /// Notified when a scope was started past storage.
    to_record: Notify,
    ending: AtomicUsize,
}

/// While it lives, a request ends the rows of its panic: see [`PanicScopes::ending`].
pub(crate) struct EndingGuard<'a>(&'a PanicScopes);

impl Drop for EndingGuard<'_> {
    fn drop(&mut self) {
        self.0.ending.fetch_sub(1, Ordering::AcqRel);
    }
}

#[derive(Default)]
struct State {
    /// All of them: those of storage and the direct ones.
    scopes: Arc<Vec<PanicScope>>,
    /// Started past storage, and not recorded there as far as is known.
    unrecorded: Vec<PanicScope>,
    /// Those of `unrecorded` that a request is about to record itself.
    recording: HashSet<PanicId>,
    thawed: HashSet<PanicId>,
    /// Counts what was started and thawed here, so that an older answer of storage is not believed.
    generation: u64,
}

impl State {
    fn put(&mut self, scope: PanicScope) {
        let mut scopes: Vec<PanicScope> = self.scopes.to_vec();
        scopes.retain(|other| other.panic_id != scope.panic_id);
        scopes.push(scope);
        self.scopes = Arc::new(scopes);
        self.generation += 1;
    }
}

impl PanicScopes {
    /// The request of a panic ends its rows in its caller's name; until it is done the leader leaves them alone.
    pub(crate) fn ending(&self) -> EndingGuard<'_> {
        self.ending.fetch_add(1, Ordering::AcqRel);
        EndingGuard(self)
    }

    /// True while some request ends the rows of its panic.
    fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire) > 0
    }

    /// Everything that is frozen.
    pub(crate) fn scopes(&self) -> Arc<Vec<PanicScope>> {
        self.state.lock().scopes.clone()
    }

    /// What a transaction has read, with what storage does not know yet.
    pub(crate) fn completed(&self, stored: Arc<Vec<PanicScope>>) -> Arc<Vec<PanicScope>> {
        let state = self.state.lock();
        let is_new = |scope: &&PanicScope| stored.iter().all(|other| other.panic_id != scope.panic_id);
        let more: Vec<PanicScope> = state.unrecorded.iter().filter(is_new).cloned().collect();
        if more.is_empty() { stored } else { Arc::new(stored.iter().cloned().chain(more).collect()) }
    }

    /// To be noted before storage is read, for [`Self::update`].
    fn generation(&self) -> u64 {
        self.state.lock().generation
    }

    /// Takes over what storage has, read at this generation. Returns true if that is something else than was known.
    fn update(&self, stored: Vec<PanicScope>, generation: u64) -> bool {
        let mut state = self.state.lock();
        if state.generation != generation {
            return false;
        }
        let recorded = |scope: &PanicScope| stored.iter().any(|other| other.panic_id == scope.panic_id);
        state.unrecorded.retain(|scope| !recorded(scope));
        let gone = state.scopes.iter().filter(|scope| {
            !recorded(scope) && state.unrecorded.iter().all(|other| other.panic_id != scope.panic_id)
        });
        let gone: Vec<PanicId> = gone.map(|scope| scope.panic_id).collect();
        state.thawed.extend(gone);
        let scopes: Vec<PanicScope> = stored.into_iter().chain(state.unrecorded.iter().cloned()).collect();
        let has_changed = *state.scopes != scopes;
        state.scopes = Arc::new(scopes);
        has_changed
    }

    /// A request freezes a scope here at once, and is about to record it.
    pub(crate) fn starting(&self, scope: &PanicScope) {
        let mut state = self.state.lock();
        state.unrecorded.push(scope.clone());
        state.recording.insert(scope.panic_id);
        state.put(scope.clone());
    }

    /// Its request could not record it: that is done as soon as storage takes it.
    pub(crate) fn record_later(&self, id: PanicId) {
        self.state.lock().recording.remove(&id);
        self.to_record.notify_one();
    }

    /// A scope was committed.
    pub(crate) fn started(&self, scope: PanicScope) {
        let mut state = self.state.lock();
        state.recording.remove(&scope.panic_id);
        state.unrecorded.retain(|other| other.panic_id != scope.panic_id);
        state.put(scope);
    }

    /// A scope was started past storage. Returns false if it is known already, or was thawed.
    pub(crate) fn started_directly(&self, scope: &PanicScope) -> bool {
        let mut state = self.state.lock();
        let is_known = state.scopes.iter().any(|other| other.panic_id == scope.panic_id);
        if is_known || state.thawed.contains(&scope.panic_id) || scope.thawed.is_some() {
            return false;
        }
        state.unrecorded.push(scope.clone());
        state.put(scope.clone());
        self.to_record.notify_one();
        true
    }

    /// True if it is known to be frozen no more.
    pub(crate) fn is_thawed(&self, id: PanicId) -> bool {
        self.state.lock().thawed.contains(&id)
    }

    /// Those that storage does not know yet, as far as is known, and that nobody else is about to record.
    fn unrecorded(&self) -> Vec<PanicScope> {
        let state = self.state.lock();
        let is_left = |scope: &&PanicScope| !state.recording.contains(&scope.panic_id);
        state.unrecorded.iter().filter(is_left).cloned().collect()
    }

    /// These scopes are frozen no more.
    pub(crate) fn thawed(&self, ids: &[PanicId]) {
        let mut state = self.state.lock();
        let scopes = state.scopes.iter().filter(|scope| !ids.contains(&scope.panic_id)).cloned().collect();
        state.scopes = Arc::new(scopes);
        state.unrecorded.retain(|scope| !ids.contains(&scope.panic_id));
        state.thawed.extend(ids);
        state.generation += 1;
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
    fn an_older_read_of_storage_thaws_nothing() {
        let scopes = PanicScopes::default();
        let before = scopes.generation();
        scopes.started(scope(PanicOrigin::Api));
        assert!(!scopes.update(Vec::new(), before));
        assert_eq!(scopes.scopes().len(), 1);
        assert!(scopes.update(Vec::new(), scopes.generation()));
        assert!(scopes.scopes().is_empty());
    }

    #[test]
    fn what_storage_does_not_know_stays_frozen_until_it_is_thawed() {
        let scopes = PanicScopes::default();
        let direct = scope(PanicOrigin::Direct);
        assert!(scopes.started_directly(&direct));
        assert!(!scopes.started_directly(&direct), "once each");
        scopes.update(Vec::new(), scopes.generation());
        assert_eq!(scopes.unrecorded(), std::slice::from_ref(&direct));
        assert_eq!(*scopes.completed(Arc::default()), std::slice::from_ref(&direct));
        scopes.update(vec![direct.clone()], scopes.generation());
        assert_eq!((scopes.unrecorded(), scopes.scopes().len()), (Vec::new(), 1));
        scopes.update(Vec::new(), scopes.generation());
        assert!(scopes.scopes().is_empty(), "storage knew it, and knows it no more");
        assert!(!scopes.started_directly(&direct), "a marker that is left over freezes nothing");
    }
}
