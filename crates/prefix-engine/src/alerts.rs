//! Alerts: what people are to know. Every alert is made here, logged, kept for a while, and passed on to whoever delivers
//! it.

mod messages;
mod refusals;
mod watch;

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::Clock;
use prefix_core::address::VictimIp;
use prefix_core::alert::{Alert, Severity};
use prefix_core::guardrail::Guardrail;
use prefix_core::id::MitigationId;
use prefix_core::name::Pop;
use tokio::sync::broadcast;
use tracing::{error, info, warn};

use crate::mutex::Mutex;
use crate::policy_in_force::PolicyInForce;
use refusals::Refusals;
pub(crate) use watch::AlertWatch;
use watch::UnseenRules;

/// So many of the newest alerts are kept.
const KEPT: usize = 256;
/// So many alerts may wait for a slow receiver before it misses some.
const WAITING: usize = 1024;
/// What is refused or queued again and again raises one alert in this time.
const REPEAT_AFTER: TimeDelta = TimeDelta::seconds(60);

/// Raises alerts, each no more often than people can read.
pub(crate) struct Alerts {
    clock: Arc<dyn Clock>,
    pop: Pop,
    policy: Arc<PolicyInForce>,
    raised: Mutex<Raised>,
    sender: broadcast::Sender<Alert>,
}

/// What was raised already.
#[derive(Default)]
struct Raised {
    newest: VecDeque<Alert>,
    refused: Refusals,
    queued: Option<DateTime<Utc>>,
    /// Mitigations whose creation was raised while their rule was still pending.
    created: HashSet<MitigationId>,
    stuck: HashSet<MitigationId>,
    unseen: UnseenRules,
}

impl Alerts {
    pub(crate) fn new(clock: Arc<dyn Clock>, pop: Pop, policy: Arc<PolicyInForce>) -> Self {
        Self { clock, pop, policy, raised: Mutex::default(), sender: broadcast::channel(WAITING).0 }
    }

    /// Logs an alert, keeps it, and passes it on.
    fn raise(&self, alert: Alert) {
        log(&alert);
        let mut raised = self.raised.lock();
        if raised.newest.len() == KEPT {
            raised.newest.pop_front();
        }
        raised.newest.push_back(alert.clone());
        // there may be no receiver
        let _ = self.sender.send(alert);
    }

    /// Every alert from now on.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Alert> {
        self.sender.subscribe()
    }

    /// The newest ones, oldest first.
    pub(crate) fn newest(&self) -> Vec<Alert> {
        self.raised.lock().newest.iter().cloned().collect()
    }

    /// The number of rules in the speaker that no session carries.
    pub(crate) fn unseen(&self) -> usize {
        self.raised.lock().unseen.count()
    }

    /// True if no such refusal was raised within [`REPEAT_AFTER`].
    fn is_first_refusal(&self, guardrail: Guardrail, victim: VictimIp, now: DateTime<Utc>) -> bool {
        self.raised.lock().refused.is_first(guardrail, victim, now)
    }

    /// True if nothing queued was raised within [`REPEAT_AFTER`].
    fn is_first_queued(&self, now: DateTime<Utc>) -> bool {
        let queued = &mut self.raised.lock().queued;
        let is_first = queued.is_none_or(|at| now - at >= REPEAT_AFTER);
        if is_first {
            *queued = Some(now);
        }
        is_first
    }
}

fn log(alert: &Alert) {
    let event_type = serde_json::to_value(alert.event_type).unwrap_or_default();
    let alert_type = event_type.as_str().unwrap_or_default();
    let mitigation_id = alert.mitigation_id.map(|id| id.to_string());
    let victim_ip = alert.victim_ip.map(|ip| ip.to_string());
    let (flow, peer) = (alert.flow.as_deref(), alert.peer.as_deref());
    macro_rules! log {
        ($level:ident) => {
            $level!(
                alert = alert_type,
                alert_id = %alert.alert_id,
                mitigation_id,
                victim_ip,
                flow,
                peer,
                detail = alert.message,
                "{}",
                alert.title
            )
        };
    }
    match alert.severity {
        Severity::Critical => log!(error),
        Severity::Warning => log!(warn),
        Severity::Info => log!(info),
    }
}
