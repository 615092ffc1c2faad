//! What every part of the engine may look at.

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use prefix_core::guard::GuardWatch;
use prefix_core::safelist::Safelist;
use prefix_core::{Announcer, Clock, Store};
use prefix_policy::{Policy, SafelistIndex};
use tokio::sync::Notify;

use crate::alerts::Alerts;
use crate::confirmation_waiters::ConfirmationWaiters;
use crate::dispatcher::RouteQueue;
use crate::engine::EngineParts;
use crate::intent_table::IntentTable;
use crate::leadership::Leadership;
use crate::outage::Outage;
use crate::panic_state::PanicScopes;
use crate::settings::{Mode, Settings};
use crate::source_liveness::SourceLiveness;

/// See the module.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) announcer: Arc<dyn Announcer>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: Settings,
    pub(crate) intents: IntentTable,
    pub(crate) leadership: Leadership,
    pub(crate) route_queue: RouteQueue,
    pub(crate) confirmation_waiters: ConfirmationWaiters,
    pub(crate) frozen: PanicScopes,
    pub(crate) alerts: Alerts,
    pub(crate) liveness: SourceLiveness,
    pub(crate) guard: Option<Arc<dyn GuardWatch>>,
    /// Rung when a deadline may have come closer.
    pub(crate) deadline_moved: Notify,
    /// Rung when a quota may have freed up, or a row was queued.
    pub(crate) queue_moved: Notify,
    /// Rung when audit entries wait to be sealed.
    pub(crate) to_seal: Notify,
    pub(crate) foreign_rules: AtomicU64,
    pub(crate) stopping: AtomicBool,
    /// Whether changes can be written. A full disk can still be read.
    pub(crate) outage: Outage,
    policy: ArcSwap<Loaded>,
    safelist: Mutex<Arc<SafelistIndex>>,
}

/// A policy and since when it is in force.
pub(crate) struct Loaded {
    policy: Arc<Policy>,
    at: DateTime<Utc>,
}

impl Shared {
    pub(crate) fn new(parts: EngineParts, route_queue: RouteQueue) -> Self {
        let EngineParts { store, announcer, clock, policy, settings, instance, guard, frozen: _ } = parts;
        let policy = ArcSwap::from_pointee(Loaded { policy: Arc::new(policy), at: clock.now() });
        Self {
            store,
            announcer,
            clock,
            settings,
            intents: IntentTable::default(),
            leadership: Leadership::new(instance),
            route_queue,
            confirmation_waiters: ConfirmationWaiters::default(),
            frozen: PanicScopes::default(),
            alerts: Alerts::default(),
            liveness: SourceLiveness::default(),
            guard,
            deadline_moved: Notify::new(),
            queue_moved: Notify::new(),
            to_seal: Notify::new(),
            foreign_rules: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            outage: Outage::default(),
            policy,
            safelist: Mutex::new(Arc::new(SafelistIndex::new(&Safelist::default()))),
        }
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub(crate) fn enforced(&self) -> bool {
        self.settings.mode == Mode::Enforced
    }

    pub(crate) fn policy(&self) -> Arc<Policy> {
        self.policy.load().policy.clone()
    }

    pub(crate) fn policy_loaded_at(&self) -> DateTime<Utc> {
        self.policy.load().at
    }

    /// Puts a policy in force. Returns the former one, for [`Self::restore_policy`].
    pub(crate) fn set_policy(&self, policy: Policy) -> Arc<Loaded> {
        self.policy.swap(Arc::new(Loaded { policy: Arc::new(policy), at: self.now() }))
    }

    pub(crate) fn restore_policy(&self, former: Arc<Loaded>) {
        self.policy.store(former);
    }

    /// The index of a safelist; built once per revision.
    pub(crate) fn safelist_index(&self, list: &Safelist) -> Arc<SafelistIndex> {
        let mut held = self.safelist.lock().unwrap_or_else(PoisonError::into_inner);
        if held.revision() != list.revision {
            *held = Arc::new(SafelistIndex::new(list));
        }
        held.clone()
    }

    /// The newest index that a transaction has seen.
    pub(crate) fn latest_safelist(&self) -> Arc<SafelistIndex> {
        self.safelist.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes what is frozen now off the wire, before its end is written down.
    pub(crate) fn follow_freeze(&self) {
        self.route_queue.enqueue(self.intents.freeze(self.frozen.scopes()));
    }
}
