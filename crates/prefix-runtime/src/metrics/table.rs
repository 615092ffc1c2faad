//! The table of metrics: name, kind, meaning, and the series that are known before anything happened.

use prefix_core::guardrail::Guardrail;

/// One metric.
#[derive(Debug, Clone, Copy)]
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
    pub(super) series: Series,
}

/// What it does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Counter,
    Gauge,
    /// With the upper ends of its buckets.
    Histogram(&'static [f64]),
}

impl Kind {
    /// The word of the exposition format.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// Which of its series are known from the start.
#[derive(Debug, Clone, Copy)]
pub(super) enum Series {
    /// It has no labels.
    One,
    /// Its labels come from requests, configuration or the network.
    Unknown,
    /// One label with these values.
    Words(&'static str, &'static [&'static str]),
    /// One label with the guardrail codes.
    Guardrails(&'static str),
    /// The own pop.
    Pop,
    /// Each action at the own pop.
    ActionAndPop,
    /// Each action at the own pop for each of these reasons.
    ActionPopAndReason(&'static [&'static str]),
    /// From each action to each other at the own pop.
    ActionToActionAndPop,
}

type Labels = Vec<(&'static str, String)>;

impl Series {
    /// True if there is exactly one series.
    pub(super) fn is_unlabelled(self) -> bool {
        matches!(self, Self::One)
    }

    /// The labels of each known series.
    pub(super) fn known(self, pop: &str) -> Vec<Labels> {
        let pop = ("pop", pop.to_owned());
        let action = |action: &&str| ("action_type", (*action).to_owned());
        match self {
            Self::One => vec![vec![]],
            Self::Unknown => vec![],
            Self::Words(label, words) => words.iter().map(|word| vec![(label, (*word).to_owned())]).collect(),
            Self::Guardrails(label) => {
                Guardrail::ALL.iter().map(|guardrail| vec![(label, guardrail.code().to_owned())]).collect()
            }
            Self::Pop => vec![vec![pop]],
            Self::ActionAndPop => ACTIONS.iter().map(|word| vec![action(word), pop.clone()]).collect(),
            Self::ActionPopAndReason(reasons) => pairs(&ACTIONS, reasons)
                .map(|(word, reason)| vec![action(&word), pop.clone(), ("reason", reason.to_owned())])
                .collect(),
            Self::ActionToActionAndPop => pairs(&ACTIONS, &ACTIONS)
                .filter(|(from, to)| from != to)
                .map(|(from, to)| {
                    vec![("from_action", from.to_owned()), ("to_action", to.to_owned()), pop.clone()]
                })
                .collect(),
        }
    }
}

fn pairs<'a>(
    left: &'a [&'static str],
    right: &'a [&'static str],
) -> impl Iterator<Item = (&'static str, &'static str)> {
    left.iter().flat_map(|one| right.iter().map(|other| (*one, *other)))
}

const ACTIONS: [&str; 5] = ["police", "discard", "redirect", "mark", "rtbh"];
const WITHDRAW_REASONS: &[&str] =
    &["operator", "detector_unban", "panic", "safelist", "revalidation", "max_lifetime", "dry_run_ended"];

const TO_A_MINUTE: Kind =
    Kind::Histogram(&[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0]);
const TO_FIVE_MINUTES: Kind =
    Kind::Histogram(&[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0]);
const TO_A_SECOND: Kind = Kind::Histogram(&[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0]);
const TO_TEN_SECONDS: Kind =
    Kind::Histogram(&[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]);
const SOURCES: Kind = Kind::Histogram(&[1.0, 2.0, 3.0, 4.0, 5.0, 8.0, 10.0]);
const TENTHS: Kind = Kind::Histogram(&[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]);

const fn metric(name: &'static str, kind: Kind, series: Series, help: &'static str) -> Metric {
    Metric { name, kind, help, series }
}

use Kind::{Counter, Gauge};
use Series::{ActionAndPop, ActionPopAndReason, ActionToActionAndPop, Guardrails, One, Pop, Unknown, Words};

/// All of them, in the order of the documentation.
pub(super) const METRICS: &[Metric] = &[
    metric("prefixd_build_info", Gauge, Unknown, "Always 1; the label says which version runs"),
    metric("prefixd_events_ingested_total", Counter, Unknown, "Events stored"),
    metric("prefixd_events_rejected_total", Counter, Unknown, "Events refused"),
    metric(
        "prefixd_event_to_announce_seconds",
        TO_A_MINUTE,
        One,
        "From receipt of the triggering signal until the speaker confirmed the rule",
    ),
    metric("prefixd_mitigations_active", Gauge, ActionAndPop, "Mitigations in status active or escalated"),
    metric("prefixd_mitigations_created_total", Counter, ActionAndPop, "Mitigations created"),
    metric("prefixd_mitigations_expired_total", Counter, ActionAndPop, "Mitigations that reached their end"),
    metric(
        "prefixd_mitigations_withdrawn_total",
        Counter,
        ActionPopAndReason(WITHDRAW_REASONS),
        "Mitigations ended before their time",
    ),
    metric("prefixd_escalations_total", Counter, ActionToActionAndPop, "Steps changed, up or down"),
    metric(
        "prefixd_expiry_lag_seconds",
        TO_FIVE_MINUTES,
        One,
        "From the end of a mitigation until its removal was confirmed",
    ),
    metric("prefixd_mitigations_queued", Gauge, Pop, "Mitigations that wait for a quota"),
    metric("prefixd_withdraw_stuck", Gauge, One, "Withdrawals older than bgp.withdraw_alarm_seconds"),
    metric(
        "prefixd_announcements_total",
        Counter,
        Words("status", &["announced", "withdrawn"]),
        "Changes the speaker confirmed",
    ),
    metric("prefixd_announcements_latency_seconds", TO_A_SECOND, One, "Duration of one call to the speaker"),
    metric("prefixd_bgp_session_up", Gauge, Unknown, "1 while the session of the peer is established"),
    metric(
        "prefixd_guardrail_rejections_total",
        Counter,
        Guardrails("reason"),
        "Rules refused, by the guardrail that refused",
    ),
    metric("prefixd_guard_withdrawals_total", Counter, One, "Rules that the guard took away"),
    metric(
        "prefixd_reconciliation_runs_total",
        Counter,
        Words("status", &["success", "error"]),
        "Comparisons of storage with the speaker",
    ),
    metric("prefixd_reconciliation_active_count", Gauge, Pop, "Own rules seen by the last comparison"),
    metric(
        "prefixd_reconcile_drift_total",
        Counter,
        Words("kind", &["missing", "action", "orphan"]),
        "Differences that a comparison found and repaired",
    ),
    metric("prefixd_foreign_rules", Gauge, One, "FlowSpec paths without our owner tag"),
    metric(
        "prefixd_config_reload_total",
        Counter,
        Words("status", &["success", "error"]),
        "Reloads of the configuration",
    ),
    metric("prefixd_db_row_parse_errors_total", Counter, Unknown, "Rows that could not be read"),
    metric(
        "prefixd_db_pool_connections",
        Gauge,
        Words("state", &["active", "idle", "total"]),
        "Connections to the database",
    ),
    metric("prefixd_http_requests_total", Counter, Unknown, "Requests answered"),
    metric("prefixd_http_request_duration_seconds", TO_TEN_SECONDS, Unknown, "Duration of requests"),
    metric("prefixd_http_in_flight_requests", Gauge, Unknown, "Requests being answered"),
    metric("prefixd_http_connections", Gauge, One, "Open HTTP connections"),
    metric(
        "prefixd_http_connections_closed_total",
        Counter,
        Words(
            "reason",
            &["crowded", "refused", "slow_head", "idle", "slow_reader", "malformed", "handshake"],
        ),
        "HTTP connections that the server ended",
    ),
    metric("prefixd_alerts_sent_total", Counter, Unknown, "Alerts, by what became of them"),
    metric("prefixd_alert_queue_depth", Gauge, One, "Alerts that wait"),
    metric("prefixd_ws_clients", Gauge, One, "Clients of the live feed"),
    metric("prefixd_signal_groups_total", Counter, Unknown, "Signal groups, by what became of them"),
    metric("prefixd_signal_group_sources", SOURCES, Unknown, "Identities of a signal group"),
    metric("prefixd_correlation_confidence", TENTHS, Unknown, "Confidence of a signal group"),
    metric("prefixd_corroboration_met_total", Counter, Unknown, "Signal groups that were met"),
    metric("prefixd_corroboration_timeout_total", Counter, Unknown, "Signal groups that ran out"),
    metric("prefixd_corroborator_ingested_total", Counter, Unknown, "Corroborating signals received"),
    metric(
        "prefixd_corroborator_attached_total",
        Counter,
        Unknown,
        "Corroborating signals that joined a group",
    ),
    metric("prefixd_corroborator_expired_total", Counter, Unknown, "Corroborating signals that joined none"),
    metric("prefixd_corroborator_cache_size", Gauge, Unknown, "Corroborating signals that wait"),
    metric("prefixd_signal_group_decay_refreshes_total", Counter, One, "Confidences computed anew"),
];
