//! What each alert says.

use std::sync::Arc;

use chrono::{SecondsFormat, TimeDelta};
use prefix_core::alert::{Alert, AlertType};
use prefix_core::announcer::SessionState;
use prefix_core::guard::GuardWithdrawal;
use prefix_core::guardrail::Refusal;
use prefix_core::mitigation::{EndReason, Mitigation, Status};
use prefix_core::name::SourceName;
use prefix_core::panic::{PanicOrigin, PanicScope};
use prefix_core::ports::MitigationChange;
use prefix_policy::use_cases::RefusedRule;

use super::Alerts;
use crate::source_liveness::Silence;
use crate::speaker::SessionChange;

/// A session that drops so soon after an announcement may have dropped because of it.
const SUSPICIOUS: TimeDelta = TimeDelta::seconds(10);
/// So many rules are named.
const MAX_NAMED: usize = 5;

impl Alerts {
    /// A panic froze a scope.
    pub(crate) fn panic_started(&self, scope: &PanicScope) {
        let how = match scope.origin {
            PanicOrigin::Api => "",
            PanicOrigin::Direct => " past the API",
        };
        let message = format!(
            "{} froze {}{how}: {}. Own rules there are withdrawn, and nothing new is announced until somebody thaws it \
             (panic {}).",
            scope.started_by,
            words(scope),
            scope.reason,
            scope.panic_id
        );
        let title = format!("panic: {} is frozen", words(scope));
        self.raise_of_scope(AlertType::PanicStarted, scope, title, message);
    }

    /// A scope was thawed.
    pub(crate) fn panic_thawed(&self, scope: &PanicScope) {
        let (by, reason) = scope.thawed.as_ref().map_or(("", ""), |thaw| (&thaw.by, &thaw.reason));
        let message = format!(
            "{by} thawed panic {}: {reason}. Nothing is announced again by itself: new events start new episodes.",
            scope.panic_id
        );
        let title = format!("panic over: {} is thawed", words(scope));
        self.raise_of_scope(AlertType::PanicThawed, scope, title, message);
    }

    fn raise_of_scope(&self, kind: AlertType, scope: &PanicScope, title: String, message: String) {
        let mut alert = Alert::new(kind, self.clock.now(), title, message);
        alert.pop.clone_from(&scope.pop);
        alert.customer_id.clone_from(&scope.customer_id);
        self.raise(alert);
    }

    /// The policy was replaced.
    pub(crate) fn config_reloaded(&self, by: &str, withdrawn: usize) {
        let message =
            format!("{by} reloaded the configuration; {withdrawn} rules no longer pass and are withdrawn");
        let title = "configuration reloaded".to_owned();
        self.raise(Alert::new(AlertType::ConfigReloaded, self.clock.now(), title, message));
    }

    /// A detector has reported nothing for too long.
    pub(crate) fn detector_silent(&self, source: &SourceName, silence: &Silence) {
        let title = format!("detector {source} is silent");
        let message = format!(
            "it has reported nothing since {}, and {} s are the longest that is usual (silent_after_seconds). Is it \
             running, and does it reach prefixd? Attacks that only it detects are not mitigated, and mitigations that \
             only it reports end.",
            silence.since.to_rfc3339_opts(SecondsFormat::Secs, true),
            silence.longest
        );
        let mut alert = Alert::new(AlertType::DetectorSilent, self.clock.now(), title, message);
        alert.pop = Some(self.pop.clone());
        self.raise(alert);
    }

    /// The guard withdrew rules that the daemon had not.
    pub(crate) fn guard_withdrew(&self, withdrawn: &[GuardWithdrawal]) {
        let message = format!(
            "the guard withdrew rules that had outlived their not-after time, which a living daemon does in good time: \
             {}. Was the daemon down, stopped, or without a connection to the speaker?",
            first_few(withdrawn, |one| one.key.flow())
        );
        let title = format!("the guard withdrew {} rules", withdrawn.len());
        let mut alert = Alert::new(AlertType::GuardWithdrew, self.clock.now(), title, message);
        alert.pop = Some(self.pop.clone());
        alert.flow = withdrawn.first().map(|one| one.key.flow());
        self.raise(alert);
    }

    /// A guardrail refused something: raised once per guardrail and victim in a minute.
    pub(crate) fn rejected(&self, refusal: &Refusal, rule: &RefusedRule) {
        let (now, victim) = (self.clock.now(), rule.victim_ip);
        if !self.is_first_refusal(refusal.guardrail, victim, now) {
            return;
        }
        let title = format!("refused by guardrail {}: {} to {victim}", refusal.guardrail, rule.vector);
        let mut alert = Alert::new(AlertType::GuardrailRejected, now, title, refusal.detail.clone());
        alert.guardrail = Some(refusal.guardrail);
        alert.mitigation_id = rule.mitigation_id;
        alert.victim_ip = Some(victim);
        alert.customer_id = self.policy.get().lookup(victim).map(|owner| owner.customer_id().clone());
        alert.vector = Some(rule.vector.clone());
        alert.pop = Some(self.pop.clone());
        alert.flow.clone_from(&rule.flow);
        self.raise(alert);
    }

    /// A change of a mitigation was committed.
    pub(crate) fn changed(&self, change: &MitigationChange) {
        let row = &*change.after;
        let before = change.before.as_deref();
        let was = before.map(|before| before.status);
        if before.is_some_and(|before| is_up(before, row)) {
            let title = format!("escalated to step {}: {}", row.progress.step, flow(row));
            let message = format!("the rule now does: {}", row.action.action_type());
            self.raise_for(AlertType::MitigationEscalated, row, title, message);
        }
        if was == Some(row.status) {
            return;
        }
        match row.status {
            Status::Active | Status::Escalated
                if matches!(was, None | Some(Status::Pending | Status::Queued)) =>
            {
                self.confirmed(row);
            }
            Status::Queued if self.is_first_queued(row.updated_at) => {
                let why = row.reason.as_deref().unwrap_or("a guardrail holds it back for now");
                let message = format!(
                    "{why}; it waits, oldest first, and is tried again each second. More that wait are not told for 60 s."
                );
                let title = format!("queued: {}", flow(row));
                self.raise_for(AlertType::MitigationQueued, row, title, message);
            }
            Status::Withdrawn | Status::Expired => self.ended(row, was),
            _ => {}
        }
    }

    /// Its rule is there for the first time.
    fn confirmed(&self, row: &Mitigation) {
        let was_raised = self.raised.lock().created.remove(&row.mitigation_id);
        if was_raised {
            return;
        }
        let message = if row.dry_run {
            "mode is dry-run: the rule is decided and stored, and not announced"
        } else {
            "the speaker confirmed the rule"
        };
        self.created(row, message);
    }

    fn ended(&self, row: &Mitigation, was: Option<Status>) {
        self.raised.lock().created.remove(&row.mitigation_id);
        // what only waited was never raised as created
        if was == Some(Status::Queued) {
            return;
        }
        let reason = row.end_reason.map_or("", EndReason::as_str);
        let message = match row.superseded_by {
            Some(carpet) if row.end_reason == Some(EndReason::Superseded) => {
                format!("reason: {reason}; carpet {carpet} has taken its place")
            }
            Some(successor) => format!("reason: {reason}; mitigation {successor} has taken its rule over"),
            None => format!("reason: {reason}; the rule is gone from the speaker"),
        };
        let (kind, verb) = match row.status {
            Status::Expired => (AlertType::MitigationExpired, "expired"),
            _ => (AlertType::MitigationWithdrawn, "withdrawn"),
        };
        self.raise_for(kind, row, format!("{verb}: {}", flow(row)), message);
    }

    /// A mitigation exists: raised once each.
    pub(super) fn created(&self, row: &Mitigation, message: &str) {
        let dry_run = if row.dry_run { "[dry-run] " } else { "" };
        let (vector, victim, action) = (&row.vector, row.victim_ip, row.action.action_type());
        let title = format!("{dry_run}{vector} to {victim} is mitigated: {action} {}", flow(row));
        self.raise_for(AlertType::MitigationCreated, row, title, message.to_owned());
    }

    pub(super) fn raise_for(&self, kind: AlertType, row: &Mitigation, title: String, message: String) {
        self.raise(Alert::new(kind, self.clock.now(), title, message).of(row));
    }

    /// A BGP session of a configured neighbor went up or down. Nothing is withdrawn by itself: attacks drop sessions too.
    pub(super) fn session_changed(&self, change: &SessionChange, rows: &[Arc<Mitigation>]) {
        let now = self.clock.now();
        let name = &change.peer;
        let of = change.speaker.as_ref().map(|speaker| format!(" of speaker {speaker}")).unwrap_or_default();
        if change.state == SessionState::Established {
            let title = format!("BGP session to {name}{of} is up");
            let message = "it receives rules again".to_owned();
            self.raise(Alert::new(AlertType::SessionUp, now, title, message).about_peer(name));
            return;
        }
        let touched = |row: &Mitigation| match row.progress.step_confirmed_at {
            Some(at) => at,
            // its announcement may be under way
            None => row.updated_at,
        };
        let is_new = |row: &&Arc<Mitigation>| {
            row.lives() && row.speaker.attempted && !row.dry_run && now - touched(row) <= SUSPICIOUS
        };
        let mut newest: Vec<_> = rows.iter().filter(is_new).collect();
        newest.sort_by_key(|row| std::cmp::Reverse((touched(row), row.mitigation_id)));
        let title = format!("BGP session to {name}{of} is down ({})", change.state);
        let message = if newest.is_empty() {
            let only = if change.speaker.is_some() { " by this speaker" } else { "" };
            format!(
                "no rule was announced within the last 10 s. Its routers have none of our rules{only} until it is back."
            )
        } else {
            let named = |row: &&Arc<Mitigation>| {
                format!("{} (mitigation {}, victim {})", flow(row), row.mitigation_id, row.victim_ip)
            };
            format!(
                "it dropped within 10 s of an announcement; the newest rules: {}. Nothing is withdrawn by itself, because \
                 attacks drop sessions too: if one of these rules is the cause, withdraw it.",
                first_few(&newest, named)
            )
        };
        let alert = Alert::new(AlertType::SessionDown, now, title, message);
        let alert = match newest.first() {
            Some(row) => alert.of(row),
            None => alert,
        };
        self.raise(alert.about_peer(name));
    }
}

/// Names the first of many items, and says how many more there are.
fn first_few<T>(items: &[T], name: impl Fn(&T) -> String) -> String {
    let mut names: Vec<String> = items.iter().take(MAX_NAMED).map(name).collect();
    if let more @ 1.. = items.len().saturating_sub(MAX_NAMED) {
        names.push(format!("and {more} more"));
    }
    names.join("; ")
}

fn words(scope: &PanicScope) -> String {
    match (&scope.pop, &scope.customer_id) {
        (None, None) => "every pop".to_owned(),
        (Some(pop), None) => format!("pop {pop}"),
        (None, Some(customer)) => format!("customer {customer}"),
        (Some(pop), Some(customer)) => format!("customer {customer} at pop {pop}"),
    }
}

/// True if this change confirms a higher step.
fn is_up(before: &Mitigation, row: &Mitigation) -> bool {
    if row.dry_run {
        return row.progress.step > before.progress.step;
    }
    let from = before.progress.from_step.is_some_and(|from| from < row.progress.step);
    let confirmed = before.progress.step_confirmed_at.is_none() && row.progress.step_confirmed_at.is_some();
    from && confirmed && row.lives()
}

/// The rule of a mitigation in words; its victim if it has none.
pub(super) fn flow(row: &Mitigation) -> String {
    row.route.as_ref().map_or_else(|| row.victim_ip.to_string(), ToString::to_string)
}
