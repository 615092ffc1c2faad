//! The composition root: the parts of a running engine, and how the tasks are built from them. The commit queue and the
//! facade use it as a whole; every task gets only the parts it needs.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use chrono::{DateTime, TimeDelta, Utc};
use futures::FutureExt;
use futures::future::BoxFuture;
use prefix_core::guard::GuardWatch;
use prefix_core::mitigation::{Mitigation, Status};
use prefix_core::store::ReadSet;
use prefix_core::{Announcer, Clock, Store};
use prefix_policy::Policy;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::alerts::{AlertWatch, Alerts};
use crate::audit_chain::AuditSealer;
use crate::change_feed::ChangeFeed;
use crate::commit_queue::CommitQueue;
use crate::confirmation_waiters::ConfirmationWaiters;
use crate::dispatcher::{Dispatcher, RouteQueue, RouteQueueReceiver};
use crate::engine::EngineParts;
use crate::intent_table::IntentTable;
use crate::leadership::{Candidate, Leadership};
use crate::outage::StorageOutage;
use crate::panic_state::{PanicScopes, PanicSync};
use crate::policy_in_force::{PolicyInForce, SafelistCache};
use crate::reconciler::Reconciler;
use crate::settings::Settings;
use crate::source_liveness::SourceLiveness;
use crate::speaker::SpeakerState;
use crate::task_context::TaskContext;
use crate::timers::{self, AdmissionTimer, GroupTimer, Housekeeping, SafelistTimer, StepTimer};

/// The parts of a running engine.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) announcer: Arc<dyn Announcer>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) guard: Option<Arc<dyn GuardWatch>>,
    pub(crate) policy_in_force: Arc<PolicyInForce>,
    pub(crate) safelist_cache: Arc<SafelistCache>,
    pub(crate) intents: Arc<IntentTable>,
    pub(crate) leadership: Arc<Leadership>,
    pub(crate) route_queue: RouteQueue,
    pub(crate) confirmation_waiters: Arc<ConfirmationWaiters>,
    pub(crate) panic_scopes: Arc<PanicScopes>,
    pub(crate) speaker: Arc<SpeakerState>,
    pub(crate) alerts: Arc<Alerts>,
    pub(crate) liveness: Arc<SourceLiveness>,
    /// Notified when a quota may have freed up, or a row was queued.
    pub(crate) admission_due: Arc<Notify>,
    /// Notified when audit entries wait to be sealed.
    pub(crate) to_seal: Arc<Notify>,
    pub(crate) stopping: Arc<AtomicBool>,
    /// Whether changes can be written. A full disk can still be read.
    pub(crate) outage: StorageOutage,
}

impl Shared {
    pub(crate) fn new(parts: EngineParts, route_queue: RouteQueue) -> Self {
        let EngineParts { store, announcer, clock, policy, settings, instance, guard, frozen: _ } = parts;
        let policy_in_force = Arc::new(PolicyInForce::new(policy, clock.now()));
        let alerts = Alerts::new(clock.clone(), settings.pop.clone(), policy_in_force.clone());
        Self {
            store,
            announcer,
            clock,
            guard,
            policy_in_force,
            safelist_cache: Arc::default(),
            intents: Arc::default(),
            leadership: Arc::new(Leadership::new(instance)),
            route_queue,
            confirmation_waiters: Arc::default(),
            panic_scopes: Arc::default(),
            speaker: Arc::new(SpeakerState::new(settings.neighbors.clone())),
            alerts: Arc::new(alerts),
            liveness: Arc::default(),
            admission_due: Arc::default(),
            to_seal: Arc::default(),
            stopping: Arc::default(),
            outage: StorageOutage::default(),
            settings: Arc::new(settings),
        }
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub(crate) fn enforced(&self) -> bool {
        self.settings.enforced()
    }

    pub(crate) fn policy(&self) -> Arc<Policy> {
        self.policy_in_force.get()
    }

    /// Withdraws what is frozen now, before its end is written.
    pub(crate) fn withdraw_frozen(&self) {
        self.route_queue.enqueue(self.intents.freeze(self.panic_scopes.scopes()));
    }

    /// Makes the intent table, the dispatcher, the admission of queued rows and whoever waits follow committed rows,
    /// each with whether it counted toward quotas before.
    pub(crate) fn follow_rows(&self, rows: impl IntoIterator<Item = (bool, Mitigation)>) {
        let mut keys = Vec::new();
        let mut is_admission_due = false;
        for (counted, row) in rows {
            let (id, status) = (row.mitigation_id, row.status);
            is_admission_due |= status == Status::Queued || (counted && !row.counts());
            if row.pop == self.settings.pop {
                keys.extend(self.intents.follow(row));
            }
            self.confirmation_waiters.reached(id, status);
        }
        self.route_queue.enqueue(keys);
        if is_admission_due {
            self.admission_due.notify_one();
        }
    }

    /// A read set with the look-back times that the policy needs.
    pub(crate) fn read_set(&self) -> ReadSet {
        let now = self.now();
        let policy = self.policy();
        let parts = policy.parts();
        let quiet = i64::from(parts.timers.quiet_period_after_withdraw_seconds);
        let cooldown = i64::from(parts.guardrails.max_lifetime_cooldown_seconds);
        let mut reads = ReadSet::new(self.settings.pop.clone(), now);
        reads.instance = Some(self.leadership.instance());
        reads.recent_since = now - TimeDelta::seconds(quiet.max(cooldown));
        reads.rejected_since = now - TimeDelta::hours(1);
        reads
    }

    /// This instance as a candidate for the leadership of its pop.
    pub(crate) fn candidate(&self) -> Candidate {
        Candidate {
            leadership: self.leadership.clone(),
            store: self.store.clone(),
            clock: self.clock.clone(),
            settings: self.settings.clone(),
            stopping: self.stopping.clone(),
        }
    }

    /// What seals the audit entries of the pop.
    pub(crate) fn audit_sealer(&self) -> AuditSealer {
        AuditSealer {
            store: self.store.clone(),
            leadership: self.leadership.clone(),
            pop: self.settings.pop.clone(),
            to_seal: self.to_seal.clone(),
        }
    }

    /// The handles that nearly every task uses.
    pub(crate) fn task_context(&self, commit_queue: &CommitQueue) -> TaskContext {
        TaskContext {
            clock: self.clock.clone(),
            settings: self.settings.clone(),
            leadership: self.leadership.clone(),
            intents: self.intents.clone(),
            route_queue: self.route_queue.clone(),
            commit_queue: commit_queue.clone(),
        }
    }

    /// Every task between the start and the stop of an engine, with its name; each runs until `stop`.
    pub(crate) fn tasks(
        &self,
        commit_queue: &CommitQueue,
        routes: RouteQueueReceiver,
        stop: &CancellationToken,
    ) -> Vec<(&'static str, BoxFuture<'static, ()>)> {
        let context = || self.task_context(commit_queue);
        let stop = || stop.clone();
        let dispatcher = Dispatcher::new(context(), self.announcer.clone());
        let reconciler = Reconciler::new(context(), self.announcer.clone(), self.speaker.clone());
        let steps = StepTimer {
            context: context(),
            policy: self.policy_in_force.clone(),
            safelist: self.safelist_cache.clone(),
            store: self.store.clone(),
        };
        let admission = AdmissionTimer {
            context: context(),
            policy: self.policy_in_force.clone(),
            due: self.admission_due.clone(),
        };
        let groups = GroupTimer {
            context: context(),
            policy: self.policy_in_force.clone(),
            store: self.store.clone(),
            liveness: self.liveness.clone(),
            alerts: self.alerts.clone(),
        };
        let safelist = SafelistTimer {
            context: context(),
            policy: self.policy_in_force.clone(),
            safelist: self.safelist_cache.clone(),
            store: self.store.clone(),
        };
        let housekeeping = Housekeeping {
            context: context(),
            store: self.store.clone(),
            confirmation_waiters: self.confirmation_waiters.clone(),
        };
        let change_feed = ChangeFeed {
            context: context(),
            store: self.store.clone(),
            confirmation_waiters: self.confirmation_waiters.clone(),
        };
        let panic =
            PanicSync { context: context(), store: self.store.clone(), scopes: self.panic_scopes.clone() };
        let alert_watch = AlertWatch {
            context: context(),
            alerts: self.alerts.clone(),
            speaker: self.speaker.clone(),
            announcer: self.announcer.clone(),
            guard: self.guard.clone(),
        };
        vec![
            ("dispatcher", dispatcher.run(routes, stop()).boxed()),
            ("reconciler", reconciler.run(stop()).boxed()),
            ("deadlines", timers::deadlines(context(), stop()).boxed()),
            ("steps", steps.run(stop()).boxed()),
            ("admission", admission.run(stop()).boxed()),
            ("groups", groups.run(stop()).boxed()),
            ("safelist", safelist.run(stop()).boxed()),
            ("housekeeping", housekeeping.run(stop()).boxed()),
            ("change feed", change_feed.run(stop()).boxed()),
            ("panic", panic.run(stop()).boxed()),
            ("alerts", alert_watch.run(stop()).boxed()),
            ("audit chain", self.audit_sealer().run(stop()).boxed()),
        ]
    }
}
