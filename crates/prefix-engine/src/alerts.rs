//! Alerts: what somebody should be told. Every alert is made here, logged, kept for a while, and passed on to whoever
//! delivers it.

mod causes;
mod watch;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::address::VictimIp;
use prefix_core::alert::{Alert, Severity};
use prefix_core::guardrail::Guardrail;
use prefix_core::id::MitigationId;
use tokio::sync::broadcast;
use tracing::{error, info, warn};

pub(crate) use causes::{
    changed, config_reloaded, detector_silent, guard_withdrew, panic_started, panic_thawed, rejected,
};
pub(crate) use watch::{Unseen, watch};

/// So many of the newest alerts are kept.
const KEPT: usize = 256;
/// So many alerts may wait for a slow receiver before it misses some.
const WAITING: usize = 1024;
/// What is refused or queued again and again is told once in this time.
const SILENCE: TimeDelta = TimeDelta::seconds(60);
/// One sweep tells of so many mitigations one by one; the last of them also counts the others.
const MOST_AT_ONCE: usize = 10;

/// See the module.
pub(crate) struct Alerts {
    told: Mutex<Told>,
    sender: broadcast::Sender<Alert>,
}

/// What was told already.
#[derive(Default)]
struct Told {
    newest: VecDeque<Alert>,
    refused: HashMap<(Guardrail, VictimIp), DateTime<Utc>>,
    queued: Option<DateTime<Utc>>,
    /// Mitigations that were told as created while their rule was still pending.
    created: HashSet<MitigationId>,
    stuck: HashSet<MitigationId>,
    unseen: Unseen,
}

impl Default for Alerts {
    fn default() -> Self {
        Self { told: Mutex::default(), sender: broadcast::channel(WAITING).0 }
    }
}

impl Alerts {
    fn open(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells it.
    pub(crate) fn raise(&self, alert: Alert) {
        log(&alert);
        let mut told = self.open();
        if told.newest.len() == KEPT {
            told.newest.pop_front();
        }
        told.newest.push_back(alert.clone());
        // nobody may be listening
        let _ = self.sender.send(alert);
    }

    /// Every alert from now on.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Alert> {
        self.sender.subscribe()
    }

    /// The newest ones, oldest first.
    pub(crate) fn newest(&self) -> Vec<Alert> {
        self.open().newest.iter().cloned().collect()
    }

    /// Rules in the speaker that no session carries.
    pub(crate) fn unseen(&self) -> usize {
        self.open().unseen.standing()
    }

    /// True if this was not told within the last minute.
    fn is_first_refusal(&self, guardrail: Guardrail, victim: VictimIp, now: DateTime<Utc>) -> bool {
        let mut told = self.open();
        told.refused.retain(|_, at| now - *at < SILENCE);
        let is_first = !told.refused.contains_key(&(guardrail, victim));
        told.refused.entry((guardrail, victim)).or_insert(now);
        is_first
    }

    /// True if nothing queued was told within the last minute.
    fn is_first_queued(&self, now: DateTime<Utc>) -> bool {
        let mut told = self.open();
        let is_first = told.queued.is_none_or(|at| now - at >= SILENCE);
        if is_first {
            told.queued = Some(now);
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
    macro_rules! tell {
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
        Severity::Critical => tell!(error),
        Severity::Warning => tell!(warn),
        Severity::Info => tell!(info),
    }
}
