//! The composition root: the parts of a running engine, and how the tasks are built from them. The commit queue and the
//! facade use it as a whole; every task gets only the parts it needs.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use chrono::{DateTime, Utc};
use futures::FutureExt;
use futures::future::BoxFuture;
use prefix_core::clock::Anchor;
use prefix_core::guard::GuardWatch;
use prefix_core::{Clock, Store};
use prefix_policy::Policy;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::access::AccessControl;
use crate::alerts::{AlertWatch, Alerts};
use crate::commit_queue::CommitQueue;
use crate::dispatcher::{Dispatcher, RouteQueue, RouteQueueReceiver};
use crate::engine::EngineParts;
use crate::intent_table::IntentTable;
use crate::leadership::{Candidate, Leadership};
use crate::outage::StorageOutage;
use crate::panic_state::{self, PanicScopes};
use crate::policy_in_force::PolicyInForce;
use crate::reconciler::Reconciler;
use crate::settings::Settings;
use crate::source_liveness::SourceLiveness;
use crate::speaker::SpeakerSet;
use crate::storage_clock::StorageClock;
use crate::task_context::TaskContext;
use crate::timers::{self, GroupTimer, RetentionState};
use crate::{audit_chain, change_feed};

/// The parts of a running engine.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<StorageClock>,
    /// What an earlier process of this boot knew of the time.
    pub(crate) anchor: Option<Anchor>,
    /// Why retention waits, if it does.
    pub(crate) retention: Arc<RetentionState>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) guard: Option<Arc<dyn GuardWatch>>,
    pub(crate) policy_in_force: Arc<PolicyInForce>,
    pub(crate) intents: Arc<IntentTable>,
    pub(crate) leadership: Arc<Leadership>,
    pub(crate) route_queue: RouteQueue,
    pub(crate) panic_scopes: Arc<PanicScopes>,
    pub(crate) speakers: Arc<SpeakerSet>,
    pub(crate) alerts: Arc<Alerts>,
    pub(crate) liveness: Arc<SourceLiveness>,
    /// Notified when audit entries wait to be sealed.
    pub(crate) to_seal: Arc<Notify>,
    pub(crate) stopping: Arc<AtomicBool>,
    /// Whether changes can be written. A full disk can still be read.
    pub(crate) outage: StorageOutage,
    /// The stored credentials that this instance knows.
    pub(crate) access: Arc<AccessControl>,
}

impl Shared {
    /// The parts, and the sides of their route queues that the dispatchers read.
    pub(crate) fn new(parts: EngineParts) -> (Self, Vec<RouteQueueReceiver>) {
        let EngineParts { store, speakers, clock, anchor, policy, settings, instance, guard, frozen: _ } =
            parts;
        let (speaker_set, speakers) = SpeakerSet::new(speakers, settings.neighbors.clone());
        let (route_queue, receivers) = RouteQueue::new(&speakers);
        let clock = Arc::new(StorageClock::new(clock, store.is_shared()));
        let policy_in_force = Arc::new(PolicyInForce::new(policy, clock.now()));
        let alerts = Alerts::new(clock.clone(), settings.pop.clone(), policy_in_force.clone());
        let access = Arc::new(AccessControl::new(store.clone(), clock.clone()));
        let shared = Self {
            access,
            store,
            clock: clock.clone(),
            anchor,
            retention: Arc::default(),
            guard,
            policy_in_force,
            leadership: Arc::new(Leadership::new(instance, clock, &speakers)),
            intents: Arc::new(IntentTable::new(speakers)),
            route_queue,
            panic_scopes: Arc::default(),
            speakers: Arc::new(speaker_set),
            alerts: Arc::new(alerts),
            liveness: Arc::default(),
            to_seal: Arc::default(),
            stopping: Arc::default(),
            outage: StorageOutage::default(),
            settings: Arc::new(settings),
        };
        (shared, receivers)
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

    /// This instance as a candidate for the leadership of its pop.
    pub(crate) fn candidate(&self) -> Candidate {
        Candidate {
            leadership: self.leadership.clone(),
            store: self.store.clone(),
            clock: self.clock.clone(),
            anchor: self.anchor,
            settings: self.settings.clone(),
            stopping: self.stopping.clone(),
            intents: self.intents.clone(),
            route_queue: self.route_queue.clone(),
        }
    }

    /// The handles that nearly every task uses.
    pub(crate) fn task_context(&self, commit_queue: &CommitQueue) -> TaskContext {
        TaskContext {
            clock: self.clock.clone(),
            settings: self.settings.clone(),
            store: self.store.clone(),
            policy: self.policy_in_force.clone(),
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
        routes: Vec<RouteQueueReceiver>,
        stop: &CancellationToken,
    ) -> Vec<(&'static str, BoxFuture<'static, ()>)> {
        let (context, stop) = (|| self.task_context(commit_queue), || stop.clone());
        let of_speakers = self.speakers.iter().zip(routes).flat_map(|(speaker, routes)| {
            // what these two find out concerns this speaker alone
            let route_queue = self.route_queue.of(speaker.id);
            let context = || TaskContext { route_queue: route_queue.clone(), ..context() };
            let dispatcher = Dispatcher::new(context(), speaker.id, speaker.announcer.clone());
            let reconciler = Reconciler::new(context(), speaker.clone());
            [
                ("dispatcher", dispatcher.run(routes, stop()).boxed()),
                ("reconciler", reconciler.run(stop()).boxed()),
            ]
        });
        let groups =
            GroupTimer { context: context(), liveness: self.liveness.clone(), alerts: self.alerts.clone() };
        let alert_watch = AlertWatch {
            context: context(),
            alerts: self.alerts.clone(),
            speakers: self.speakers.clone(),
            guard: self.guard.clone(),
        };
        let to_seal = self.to_seal.clone();
        let others = [
            ("deadlines", timers::deadlines(context(), stop()).boxed()),
            ("steps", timers::steps(context(), stop()).boxed()),
            ("admission", timers::admission(context(), stop()).boxed()),
            ("groups", groups.run(stop()).boxed()),
            ("safelist", timers::safelist(context(), stop()).boxed()),
            ("housekeeping", timers::housekeeping(context(), self.retention.clone(), stop()).boxed()),
            ("clock steps", timers::clock_steps(context(), stop()).boxed()),
            ("change feed", change_feed::run(context(), stop()).boxed()),
            ("panic", panic_state::run(context(), self.panic_scopes.clone(), stop()).boxed()),
            ("alerts", alert_watch.run(stop()).boxed()),
            ("audit chain", audit_chain::run(context(), to_seal, stop()).boxed()),
        ];
        of_speakers.chain(others).collect()
    }
}
