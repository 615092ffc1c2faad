//! A store in memory that can be told to fail. It passes the same contract as the real ones.

mod access;
mod ports;
mod select;
mod shared;
mod signals;
mod state;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use prefix_core::Clock;
use prefix_core::audit::AuditEntry;
use prefix_core::clock::SystemClock;
use prefix_core::event::Event;
use prefix_core::id::{EventId, MitigationId};
use prefix_core::mitigation::Mitigation;
use prefix_core::name::{CustomerId, Pop};
use prefix_core::ports::{ChangeSet, ReadSet, Snapshot, StoreError};
use prefix_core::signal::{Corroboration, SignalGroup};
use tokio::sync::watch;

use state::State;

/// How a unit of work fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Unavailable, and nothing is stored.
    BeforeCommit,
    /// Unavailable, but everything is stored: the answer to the commit was lost.
    AfterCommit,
    /// Another transaction was faster. `decide` is run again at once, as real stores do.
    Conflict,
}

/// How often the store was called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Units of work.
    pub transacts: u64,
    /// Times that `decide` was run.
    pub decisions: u64,
    /// Units of work that changed something.
    pub commits: u64,
    /// All else.
    pub reads: u64,
}

/// What a store held at some moment.
#[derive(Clone, Debug)]
pub struct Backup(Box<State>);

/// A store in memory, with fault injection.
pub struct MemoryStore {
    inner: Mutex<Inner>,
    paused: watch::Sender<bool>,
}

struct Inner {
    state: State,
    faults: VecDeque<Fault>,
    down: bool,
    shared: bool,
    clock: Arc<dyn Clock>,
    calls: Calls,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            state: State::default(),
            faults: VecDeque::new(),
            down: false,
            shared: false,
            clock: Arc::new(SystemClock),
            calls: Calls::default(),
        }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// How often a unit of work is tried before a conflict is returned.
    const ATTEMPTS: u32 = 5;

    /// An empty one.
    pub fn new() -> Self {
        Self { inner: Mutex::default(), paused: watch::channel(false).0 }
    }

    /// The next `times` units of work fail like this. Faults queue up: those told first happen first.
    pub fn fail_next(&self, times: usize, fault: Fault) {
        self.lock().faults.extend(std::iter::repeat_n(fault, times));
    }

    /// Units of work fail no more that were told to and have not yet.
    pub fn heal(&self) {
        self.lock().faults.clear();
    }

    /// While true, every call is answered with `Unavailable`, and nothing is stored.
    pub fn set_down(&self, down: bool) {
        self.lock().down = down;
    }

    /// Units of work wait at their beginning until [`Self::resume`].
    pub fn pause(&self) {
        self.paused.send_replace(true);
    }

    /// Lets them go on.
    pub fn resume(&self) {
        self.paused.send_replace(false);
    }

    /// How often the store was called so far.
    pub fn calls(&self) -> Calls {
        self.lock().calls
    }

    /// Every mitigation, by id: for assertions.
    pub fn all_mitigations(&self) -> Vec<Mitigation> {
        self.lock().state.mitigations.values().cloned().collect()
    }

    /// Every event in the order of storing: for assertions.
    pub fn all_events(&self) -> Vec<Event> {
        self.lock().state.events.clone()
    }

    /// Every audit entry in the order of storing: for assertions.
    pub fn all_audit(&self) -> Vec<AuditEntry> {
        self.lock().state.audit.iter().map(|(_, entry)| entry.clone()).collect()
    }

    /// Every signal group, by id: for assertions.
    pub fn all_groups(&self) -> Vec<SignalGroup> {
        self.lock().state.signals.groups.values().cloned().collect()
    }

    /// Every corroborating signal, by id: for assertions.
    pub fn all_corroborations(&self) -> Vec<Corroboration> {
        self.lock().state.signals.corroborations.values().cloned().collect()
    }

    /// Changes what is stored behind everybody's back: for tests that something notices it.
    pub fn tamper_audit(&self, tamper: impl FnOnce(&mut Vec<(Pop, AuditEntry)>)) {
        tamper(&mut self.lock().state.audit);
    }

    /// What is stored now, for [`Self::go_back`].
    pub fn backup(&self) -> Backup {
        Backup(Box::new(self.lock().state.clone()))
    }

    /// Everything is as it was then: a backup was restored, or a server took over without the last changes.
    pub fn go_back(&self, to: &Backup) {
        let mut inner = self.lock();
        let times = inner.state.shared.times_put_back() + 1;
        inner.state = (*to.0).clone();
        inner.state.shared.put_back(times);
    }

    /// The database's clock; the machine's unless told otherwise.
    pub fn set_clock(&self, clock: std::sync::Arc<dyn Clock>) {
        self.lock().clock = clock;
    }

    /// From now on several instances may work on it.
    pub fn set_shared(&self, shared: bool) {
        self.lock().shared = shared;
    }

    /// Looks at every mitigation without copying them: for assertions that are made often.
    pub fn with_mitigations<T>(&self, look: impl FnOnce(&BTreeMap<MitigationId, Mitigation>) -> T) -> T {
        look(&self.lock().state.mitigations)
    }

    /// True if this event is stored: for assertions.
    pub fn holds_event(&self, id: EventId) -> bool {
        self.lock().state.events.iter().any(|event| event.event_id == id)
    }

    /// The quota counters as they are kept beside the rows: in all, by pop and by customer, for assertions.
    pub fn counters(&self) -> (i64, BTreeMap<Pop, i64>, BTreeMap<CustomerId, i64>) {
        self.lock().state.counters()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State, DateTime<Utc>) -> T) -> Result<T, StoreError> {
        let mut inner = self.lock();
        inner.calls.reads += 1;
        if inner.down {
            return Err(down());
        }
        let now = inner.clock.now();
        Ok(change(&mut inner.state, now))
    }

    fn read<T>(&self, read: impl FnOnce(&State) -> T) -> Result<T, StoreError> {
        self.change(|state, _| read(state))
    }
}

fn down() -> StoreError {
    StoreError::Unavailable("the fake is told to be down".into())
}

impl Inner {
    fn transact(
        &mut self,
        reads: &ReadSet,
        decide: &mut (dyn FnMut(Snapshot) -> ChangeSet + Send),
    ) -> Result<(), StoreError> {
        self.calls.transacts += 1;
        let mut attempt = 0;
        loop {
            if self.down {
                return Err(down());
            }
            self.state.shared.check(&reads.pop, reads.leader)?;
            attempt += 1;
            self.calls.decisions += 1;
            let changes = decide(self.state.snapshot(reads));
            let fault = self.faults.pop_front();
            let result = match fault {
                Some(Fault::BeforeCommit) => return Err(down()),
                Some(Fault::Conflict) => Err(StoreError::Conflict("the fake is told so".into())),
                None | Some(Fault::AfterCommit) => self.commit(reads, changes),
            };
            match result {
                Ok(()) if fault == Some(Fault::AfterCommit) => return Err(down()),
                Err(StoreError::Conflict(_)) if attempt < MemoryStore::ATTEMPTS => {}
                result => return result,
            }
        }
    }

    fn commit(&mut self, reads: &ReadSet, changes: ChangeSet) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        self.state.apply(reads, changes)?;
        self.calls.commits += 1;
        Ok(())
    }
}
