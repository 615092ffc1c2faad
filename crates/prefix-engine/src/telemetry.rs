//! One call per thing that happened: it logs, structured, and counts. So no metric is defined that nothing moves.

mod initial_series;

pub(crate) use initial_series::initial_series;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use metrics::{Label, counter, gauge, histogram};
use prefix_core::address::VictimIp;
use prefix_core::announcer::AnnounceError;
use prefix_core::event::{Event, EventStatus};
use prefix_core::flowspec::ActionType;
use prefix_core::guardrail::Refusal;
use prefix_core::id::EventId;
use prefix_core::mitigation::{EndReason, Mitigation, Status};
use prefix_core::name::{SourceName, SpeakerName, VectorName};
use prefix_core::ports::{GroupChange, MitigationChange, PoolState};
use prefix_core::signal::{Corroboration, GroupStatus, SignalRole};
use tracing::{debug, info, warn};

use crate::rib_diff::Drift;

/// What is counted and logged of a stored event.
pub(crate) struct EventSummary {
    event_id: EventId,
    pub(crate) source: SourceName,
    pub(crate) received_at: DateTime<Utc>,
    vector: Option<VectorName>,
    victim_ip: VictimIp,
    status: EventStatus,
}

impl EventSummary {
    pub(crate) fn of(event: &Event) -> Self {
        Self {
            event_id: event.event_id,
            source: event.report.source.clone(),
            received_at: event.ingested_at,
            vector: event.report.vector.clone(),
            victim_ip: event.report.victim_ip,
            status: event.status,
        }
    }
}

/// An event was stored.
pub(crate) fn event(event: &EventSummary) {
    let vector = event.vector.as_ref().map_or("", |vector| vector.as_str());
    let source = sources::label(event.source.as_str());
    counter!("prefixd_events_ingested_total", "source" => source, "vector" => vector.to_owned()).increment(1);
    debug!(
        event_id = %event.event_id, source = %event.source, victim_ip = %event.victim_ip,
        status = event.status.as_str(), "event stored"
    );
}

/// A new row or a change of status was committed.
pub(crate) fn mitigation(change: &MitigationChange) {
    let row = &*change.after;
    let before = change.before.as_ref().map(|before| before.status);
    if before == Some(row.status) {
        return;
    }
    let action = || row.action.action_type().as_str();
    let pop = || row.pop.to_string();
    let flow = || row.route.as_ref().map(ToString::to_string);
    if row.status.lives() && before.is_none_or(|status| status == Status::Queued) {
        counter!("prefixd_mitigations_created_total", "action_type" => action(), "pop" => pop()).increment(1);
        info!(
            mitigation_id = %row.mitigation_id, victim_ip = %row.victim_ip, vector = %row.vector, flow = flow(),
            action = action(), expires_at = %row.expires_at, dry_run = row.dry_run, "mitigation created"
        );
    }
    match row.status {
        Status::Queued => info!(
            mitigation_id = %row.mitigation_id, victim_ip = %row.victim_ip,
            guardrail = row.guardrail.map(prefix_core::guardrail::Guardrail::code), "mitigation queued"
        ),
        Status::Withdrawing => info!(
            mitigation_id = %row.mitigation_id, flow = flow(), reason = row.end_reason.map(EndReason::as_str),
            "withdrawing rule"
        ),
        Status::Expired => {
            counter!("prefixd_mitigations_expired_total", "action_type" => action(), "pop" => pop())
                .increment(1);
            let lag = row.withdrawn_at.map(|at| at - row.expires_at).and_then(|lag| lag.to_std().ok());
            if let Some(lag) = lag.filter(|_| row.end_reason == Some(EndReason::Ttl)) {
                histogram!("prefixd_expiry_lag_seconds").record(lag.as_secs_f64());
            }
        }
        Status::Withdrawn => {
            let reason = row.end_reason.map_or("operator", EndReason::as_str);
            counter!(
                "prefixd_mitigations_withdrawn_total",
                "action_type" => action(), "pop" => pop(), "reason" => reason
            )
            .increment(1);
        }
        _ => {}
    }
}

/// A new signal group or a change of one was committed.
pub(crate) fn group(change: &GroupChange) {
    let (before, group) = (change.before.as_deref(), &*change.after);
    let vector = || group.vector.to_string();
    if before.is_none_or(|before| before.status != group.status) {
        let status = group.status.as_str();
        counter!("prefixd_signal_groups_total", "status" => status, "vector" => vector()).increment(1);
        debug!(
            group_id = %group.group_id, victim_ip = %group.victim_ip, vector = %group.vector, status,
            sources = group.source_count, confidence = group.derived_confidence.value(), "signal group"
        );
    }
    let is_met = group.met && before.is_none_or(|before| !before.met);
    let is_over = group.status == GroupStatus::Expired
        && before.is_some_and(|before| before.status != GroupStatus::Expired);
    if is_met {
        counter!("prefixd_corroboration_met_total", "vector" => vector()).increment(1);
    }
    if is_over {
        counter!("prefixd_corroboration_timeout_total", "vector" => vector()).increment(1);
    }
    if is_met || is_over {
        histogram!("prefixd_signal_group_sources", "vector" => vector())
            .record(f64::from(group.source_count));
        histogram!("prefixd_correlation_confidence", "vector" => vector())
            .record(group.derived_confidence.value());
    }
    let was_there = |id| before.is_some_and(|before| before.signals.iter().any(|one| one.signal_id == id));
    for signal in group.signals.iter().filter(|signal| signal.role == SignalRole::Corroborating) {
        if !was_there(signal.signal_id) {
            let source = sources::label(signal.source.as_str());
            counter!("prefixd_corroborator_attached_total", "source" => source).increment(1);
        }
    }
}

/// A corroborating signal was stored.
pub(crate) fn corroboration(signal: &Corroboration) {
    let source = sources::label(signal.source.as_str());
    counter!("prefixd_corroborator_ingested_total", "source" => source).increment(1);
    debug!(signal_id = %signal.signal_id, source = %signal.source, "corroborating signal stored");
}

/// A corroborating signal found no group in its time.
pub(crate) fn corroboration_expired(source: &SourceName) {
    counter!("prefixd_corroborator_expired_total", "source" => sources::label(source.as_str())).increment(1);
}

/// So many corroborating signals of a source wait.
#[allow(clippy::cast_precision_loss, reason = "a gauge of a count far below 2^52")]
pub(crate) fn corroborations_waiting(source: &SourceName, waiting: u64) {
    gauge!("prefixd_corroborator_cache_size", "source" => sources::label(source.as_str()))
        .set(waiting as f64);
}

/// Confidences of groups were computed anew.
pub(crate) fn groups_refreshed(groups: u64) {
    counter!("prefixd_signal_group_decay_refreshes_total").increment(groups);
}

/// A detector that was silent reports again.
pub(crate) fn detector_reports_again(source: &SourceName) {
    info!(%source, "a detector that was silent reports again");
}

/// The gauges of rows and connections: set each second.
#[allow(clippy::cast_precision_loss, reason = "gauges of counts far below 2^52")]
pub(crate) fn state(rows: &[Arc<Mitigation>], stuck: u64, pool: PoolState, pop: &str) {
    let count = |test: &dyn Fn(&Mitigation) -> bool| rows.iter().filter(|row| test(row)).count() as f64;
    for action in ActionType::ALL {
        let active = |row: &Mitigation| {
            matches!(row.status, Status::Active | Status::Escalated) && row.action.action_type() == action
        };
        let labels = [("action_type", action.as_str().to_owned()), ("pop", pop.to_owned())];
        gauge!("prefixd_mitigations_active", &labels).set(count(&active));
    }
    let queued = |row: &Mitigation| row.status == Status::Queued;
    gauge!("prefixd_mitigations_queued", "pop" => pop.to_owned()).set(count(&queued));
    gauge!("prefixd_withdraw_stuck").set(stuck as f64);
    gauge!("prefixd_db_pool_connections", "state" => "active").set(pool.active as f64);
    gauge!("prefixd_db_pool_connections", "state" => "idle").set(pool.idle as f64);
    gauge!("prefixd_db_pool_connections", "state" => "total").set((pool.active + pool.idle) as f64);
}

/// A guardrail refused.
pub(crate) fn refused(refusal: &Refusal) {
    counter!("prefixd_guardrail_rejections_total", "reason" => refusal.guardrail.code()).increment(1);
}

/// An event was refused by a guardrail.
pub(crate) fn event_refused(source: &str) {
    counter!("prefixd_events_rejected_total", "source" => sources::label(source), "reason" => "guardrail")
        .increment(1);
}

/// An event names no defined vector.
pub(crate) fn unknown_vector(source: &str) {
    counter!("prefixd_events_rejected_total", "source" => sources::label(source), "reason" => "unknown_vector")
        .increment(1);
}

/// A source that only corroborates reported an attack.
pub(crate) fn corroborating_only(source: &str) {
    counter!("prefixd_events_rejected_total", "source" => sources::label(source), "reason" => "corroborating_only")
        .increment(1);
}

/// The running step of a mitigation changed.
pub(crate) fn step(before: &str, row: &Mitigation) {
    let to = row.action.action_type().as_str();
    counter!(
        "prefixd_escalations_total",
        "from_action" => before.to_owned(), "to_action" => to, "pop" => row.pop.to_string()
    )
    .increment(1);
    info!(mitigation_id = %row.mitigation_id, step = row.progress.step, from_action = before, to_action = to, "step changed");
}

/// The speaker confirmed a new rule.
pub(crate) fn first_confirmation(created_at: DateTime<Utc>, now: DateTime<Utc>) {
    if let Ok(took) = (now - created_at).to_std() {
        histogram!("prefixd_event_to_announce_seconds").record(took.as_secs_f64());
    }
}

/// One call to the speaker ended.
pub(crate) fn speaker_call(took: Duration, announced: usize, withdrawn: usize) {
    histogram!("prefixd_announcements_latency_seconds").record(took.as_secs_f64());
    counter!("prefixd_announcements_total", "status" => "announced").increment(announced as u64);
    counter!("prefixd_announcements_total", "status" => "withdrawn").increment(withdrawn as u64);
}

/// The guard withdrew rules.
pub(crate) fn guard_withdrew(rules: usize) {
    counter!("prefixd_guard_withdrawals_total").increment(rules as u64);
}

/// Updates of one burst did not reach the speaker, or it is not known whether they did. One line for all of them: when
/// the speaker is away there are many, and they say the same.
pub(crate) fn speaker_failed<'a>(
    speaker: Option<&SpeakerName>,
    mut failures: impl Iterator<Item = &'a AnnounceError>,
) {
    if let Some(first) = failures.next() {
        let speaker = speaker.map(SpeakerName::as_str);
        warn!(changes = failures.count() + 1, speaker, error = %first, "the speaker did not confirm changes, they are repeated");
    }
}

/// Intent and table differ: the first few are logged one by one.
pub(crate) fn drifts(speaker: Option<&SpeakerName>, drifts: &[Drift]) {
    let speaker = speaker.map(SpeakerName::as_str);
    for drift in drifts {
        counter!("prefixd_reconcile_drift_total", "kind" => drift.kind).increment(1);
    }
    for drift in drifts.iter().take(10) {
        let (kind, found) = (drift.kind, &drift.found);
        warn!(
            flow = drift.key.flow(),
            kind, found, speaker, "the speaker's table differs from the intent and is repaired"
        );
    }
    if drifts.len() > 10 {
        warn!(routes = drifts.len(), speaker, "so many routes differ from the intent and are repaired");
    }
}

/// A reconciliation pass ended, with the number of own paths and of rules of others.
#[allow(clippy::cast_precision_loss, reason = "gauges of counts far below 2^52")]
pub(crate) fn reconciled(
    result: &Result<(usize, u64), AnnounceError>,
    took: Duration,
    pop: &str,
    speaker: Option<&SpeakerName>,
) {
    let name = speaker.map(SpeakerName::as_str);
    let of_speaker = || speaker.map(|name| Label::new("speaker", name.to_string()));
    let status = if result.is_ok() { "success" } else { "error" };
    counter!("prefixd_reconciliation_runs_total", "status" => status).increment(1);
    match result {
        Ok((own, foreign)) => {
            let labels: Vec<Label> =
                [Label::new("pop", pop.to_owned())].into_iter().chain(of_speaker()).collect();
            gauge!("prefixd_reconciliation_active_count", labels).set(*own as f64);
            gauge!("prefixd_foreign_rules", Vec::from_iter(of_speaker())).set(*foreign as f64);
            debug!(
                own,
                foreign,
                speaker = name,
                milliseconds = took.as_millis(),
                "intent and table compared"
            );
        }
        Err(error) => warn!(%error, speaker = name, "the speaker's table could not be read"),
    }
}

mod sources {
    //! `source` comes from requests: beyond so many values it becomes one label.

    use std::collections::HashSet;
    use std::sync::LazyLock;

    use crate::mutex::Mutex;

    const MAX_LABELS: usize = 100;

    static SEEN: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

    pub(super) fn label(source: &str) -> String {
        let mut seen = SEEN.lock();
        if seen.contains(source) {
            return source.to_owned();
        }
        if seen.len() >= MAX_LABELS {
            return "_other".to_owned();
        }
        seen.insert(source.to_owned());
        source.to_owned()
    }
}
