//! The bodies of answers that are more than one object of `prefix_engine::view`.

use chrono::{DateTime, Utc};
use prefix_core::decision::Decision;
use prefix_core::event::EventStatus;
use prefix_core::guardrail::Guardrail;
use prefix_core::id::{EventId, MitigationId};
use prefix_core::mitigation::Status;
use prefix_core::name::ExternalEventId;
use prefix_core::page::Page;
use prefix_engine::view::{AuditObject, DecisionSchema, EventObject, MitigationObject, SafelistObject};
use prefix_engine::{EventOutcome, Ingested, Touched};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::config_control::ConfigChange;
use crate::problem::FieldError;

mod simulation;

pub(crate) use simulation::SimulationAnswer;

/// What became of an event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventAnswer {
    /// Our identifier.
    #[schema(value_type = Uuid)]
    event_id: EventId,
    /// The detector's identifier.
    #[schema(value_type = Option<String>)]
    external_event_id: Option<ExternalEventId>,
    /// What became of it (http-api.md §3.1).
    #[schema(value_type = String, example = "accepted")]
    status: EventStatus,
    /// The mitigation it made, renewed or released.
    #[schema(value_type = Option<Uuid>)]
    mitigation_id: Option<MitigationId>,
    /// Where that stands now.
    #[schema(value_type = Option<String>, example = "active")]
    mitigation_status: Option<Status>,
    /// The signal group it joined.
    signal_group_id: Option<Uuid>,
    /// With `queued`: what the mitigation waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    guardrail: Option<Guardrail>,
    /// With `queued`: when it may be let in.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u64>,
    /// If an unban touched more than one mitigation: all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mitigations: Vec<TouchedAnswer>,
    /// Why; with `?explain=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<DecisionSchema>)]
    decision: Option<Decision>,
}

/// What an unban did to one mitigation.
#[derive(Debug, Serialize, ToSchema)]
struct TouchedAnswer {
    #[schema(value_type = Uuid)]
    mitigation_id: MitigationId,
    /// `withdrawn` or `released`.
    #[schema(value_type = String)]
    status: EventStatus,
    #[schema(value_type = String)]
    mitigation_status: Status,
}

impl EventAnswer {
    /// Shows what became of an event.
    pub(crate) fn new(ingested: &Ingested, explain: bool) -> Self {
        // one mitigation stands at the top level already
        let touched: &[Touched] = if ingested.mitigations.len() > 1 { &ingested.mitigations } else { &[] };
        Self {
            event_id: ingested.event_id,
            external_event_id: ingested.external_event_id.clone(),
            status: ingested.status,
            mitigation_id: ingested.mitigation_id,
            mitigation_status: ingested.mitigation_status,
            signal_group_id: ingested.signal_group_id.map(|id| id.as_uuid()),
            guardrail: ingested.guardrail,
            retry_after_seconds: ingested.retry_after_seconds,
            mitigations: touched
                .iter()
                .map(|one| TouchedAnswer {
                    mitigation_id: one.mitigation_id,
                    status: one.status,
                    mitigation_status: one.mitigation_status,
                })
                .collect(),
            decision: explain.then(|| ingested.decision.clone()),
        }
    }
}

/// What became of the events of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatchAnswer {
    /// How many were not rejected.
    pub(crate) accepted: usize,
    /// How many were.
    pub(crate) rejected: usize,
    /// One per event, in order.
    pub(crate) results: Vec<BatchItemAnswer>,
}

/// What became of one event of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatchItemAnswer {
    /// Its place in the batch, from 0.
    pub(crate) index: usize,
    /// Our identifier; the nil UUID if nothing was stored.
    pub(crate) event_id: Uuid,
    /// The detector's identifier.
    pub(crate) external_event_id: Option<String>,
    /// As of a single event, or `rejected`.
    #[schema(value_type = String)]
    pub(crate) status: EventStatus,
    /// The mitigation it made, renewed or released, or the `rejected` row.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    pub(crate) mitigation_id: Option<MitigationId>,
    /// Where that stands now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) mitigation_status: Option<Status>,
    /// Why it was rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// The guardrail that refused it, or that it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) guardrail: Option<Guardrail>,
    /// When sending it again may help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after_seconds: Option<u64>,
}

/// What became of the items of a foreign payload.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SignalsAnswer {
    /// How many became events and were not refused.
    pub(crate) processed: usize,
    /// How many did not.
    pub(crate) failed: usize,
    /// One per item, in order.
    pub(crate) results: Vec<SignalItemAnswer>,
}

/// What became of one item of a foreign payload.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SignalItemAnswer {
    /// Its place in the payload, from 0.
    pub(crate) index: usize,
    /// As of a single event, or `error`.
    pub(crate) status: &'static str,
    /// Our identifier, if the event is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    pub(crate) event_id: Option<EventId>,
    /// The mitigation it made, renewed or released, or the `rejected` row.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    pub(crate) mitigation_id: Option<MitigationId>,
    /// Where that stands now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) mitigation_status: Option<Status>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// The guardrail that refused it, or that it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) guardrail: Option<Guardrail>,
    /// When it may help to send it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after_seconds: Option<u64>,
}

impl SignalsAnswer {
    /// Shows what became of the items.
    pub(crate) fn new(outcomes: &[EventOutcome]) -> Self {
        let results: Vec<_> = outcomes.iter().enumerate().map(SignalItemAnswer::new).collect();
        let failed = results.iter().filter(|item| item.status == SignalItemAnswer::FAILED).count();
        Self { processed: results.len() - failed, failed, results }
    }
}

impl SignalItemAnswer {
    const FAILED: &'static str = "error";

    fn new((index, outcome): (usize, &EventOutcome)) -> Self {
        match outcome {
            EventOutcome::Accepted(ingested) => Self {
                index,
                status: ingested.status.as_str(),
                event_id: Some(ingested.event_id),
                mitigation_id: ingested.mitigation_id,
                mitigation_status: ingested.mitigation_status,
                error: None,
                guardrail: ingested.guardrail,
                retry_after_seconds: ingested.retry_after_seconds,
            },
            EventOutcome::Refused(refused) => Self {
                index,
                status: Self::FAILED,
                event_id: Some(refused.event_id),
                mitigation_id: Some(refused.mitigation_id),
                mitigation_status: None,
                error: Some(refused.refusal.detail.clone()),
                guardrail: Some(refused.refusal.guardrail),
                retry_after_seconds: refused.refusal.retry_after_seconds,
            },
            EventOutcome::Invalid(item) => Self {
                index,
                status: Self::FAILED,
                event_id: None,
                mitigation_id: None,
                mitigation_status: None,
                error: Some(item.error.clone()),
                guardrail: None,
                retry_after_seconds: None,
            },
        }
    }
}

/// What became of one mitigation of a bulk operation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BulkItemAnswer {
    #[schema(value_type = Uuid)]
    pub(crate) mitigation_id: MitigationId,
    /// `withdrawn`, `withdrawing`, `acknowledged` or `error`.
    pub(crate) status: &'static str,
    /// Why nothing was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

/// What a bulk withdraw did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WithdrawnAnswer {
    /// How many are withdrawn or being withdrawn.
    pub(crate) withdrawn: usize,
    /// How many are not.
    pub(crate) failed: usize,
    /// One per id, in order.
    pub(crate) results: Vec<BulkItemAnswer>,
}

/// What a bulk acknowledge did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AcknowledgedAnswer {
    /// How many are acknowledged now.
    pub(crate) acknowledged: usize,
    /// How many were refused.
    pub(crate) failed: usize,
    /// One per id, in order.
    pub(crate) results: Vec<BulkItemAnswer>,
}

/// What a dry run would have answered and done. Nothing was stored, announced or audited.
#[derive(Debug, Serialize, ToSchema)]
#[allow(clippy::struct_field_names, reason = "the member's name is that of the contract")]
pub(crate) struct DryRun<T> {
    /// Always true.
    pub(crate) dry_run: bool,
    /// The normal body, or null.
    pub(crate) result: Option<T>,
    /// Living mitigations that would have been changed or withdrawn.
    #[schema(value_type = Vec<Uuid>)]
    pub(crate) affected_mitigations: Vec<MitigationId>,
}

/// A new or changed entry of the safelist.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SafelistAnswer {
    /// The entry.
    #[serde(flatten)]
    pub(crate) entry: SafelistObject,
    /// What is being withdrawn because of it.
    #[schema(value_type = Vec<Uuid>)]
    pub(crate) withdrawn_mitigations: Vec<MitigationId>,
}

macro_rules! page {
    ($(#[$doc:meta])* $name:ident, $items:ident: $item:ty) => {
        $(#[$doc])*
        #[derive(Debug, Serialize, ToSchema)]
        pub(crate) struct $name {
            /// Newest first.
            $items: Vec<$item>,
            /// How many are on this page.
            count: usize,
            /// `cursor` of the next page; null on the last.
            next_cursor: Option<String>,
            /// Whether there is a next page.
            has_more: bool,
        }

        impl From<Page<$item>> for $name {
            fn from(page: Page<$item>) -> Self {
                Self {
                    count: page.items.len(),
                    next_cursor: page.next_cursor.map(|cursor| cursor.to_string()),
                    has_more: page.next_cursor.is_some(),
                    $items: page.items,
                }
            }
        }
    };
}

pub(crate) mod signals;

page!(
    /// A page of events.
    EventPage, events: EventObject
);
page!(
    /// A page of mitigations.
    MitigationPage, mitigations: MitigationObject
);
page!(
    /// A page of audit entries.
    AuditPage, entries: AuditObject
);

/// Alive.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthAnswer {
    /// Always `ok`.
    pub(crate) status: &'static str,
    /// The version of prefixd.
    pub(crate) version: &'static str,
    /// How callers prove who they are.
    pub(crate) auth_mode: &'static str,
    /// Whether requests are accepted, as last known.
    pub(crate) ready: bool,
}

/// Ready.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReadyAnswer {
    /// Always true.
    pub(crate) ready: bool,
}

/// A BGP neighbor.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PeerAnswer {
    /// The name in `bgp.neighbors`, else its address.
    pub(crate) name: String,
    /// Its address.
    #[schema(value_type = String)]
    pub(crate) address: std::net::IpAddr,
    /// Its autonomous system number.
    pub(crate) asn: u32,
    /// `idle`, `connect`, `active`, `opensent`, `openconfirm`, `established` or `unknown`.
    pub(crate) state: String,
    /// How long the session has been established.
    pub(crate) uptime_seconds: Option<u64>,
    /// The families it carries.
    pub(crate) families: Vec<String>,
    /// Own rules that go to it.
    pub(crate) announced_rules: u64,
}

/// The BGP neighbors.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PeersAnswer {
    /// Sorted by name.
    pub(crate) peers: Vec<PeerAnswer>,
    /// How many.
    pub(crate) count: usize,
}

/// Counts of a pop.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PopCounts {
    /// The pop.
    pub(crate) pop: String,
    /// Mitigations whose rule is wanted or still to be removed.
    pub(crate) active: u64,
    /// All mitigations.
    pub(crate) total: u64,
}

/// Counts of everything.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatsAnswer {
    /// Active mitigations of all pops.
    pub(crate) total_active: u64,
    /// All mitigations.
    pub(crate) total_mitigations: u64,
    /// All events.
    pub(crate) total_events: u64,
    /// By pop.
    pub(crate) pops: Vec<PopCounts>,
}

/// A pop.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PopAnswer {
    /// Its name.
    pub(crate) pop: String,
    /// Mitigations whose rule is wanted or still to be removed.
    pub(crate) active_mitigations: u64,
    /// All mitigations.
    pub(crate) total_mitigations: u64,
}

/// A count.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BucketAnswer {
    /// Where the bucket begins.
    pub(crate) bucket: DateTime<Utc>,
    /// How many.
    pub(crate) count: u64,
}

/// A series of counts without gaps.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SeriesAnswer {
    /// `mitigations` or `events`.
    pub(crate) metric: &'static str,
    /// Oldest first.
    pub(crate) buckets: Vec<BucketAnswer>,
}

/// A customer, in short.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CustomerAnswer {
    pub(crate) customer_id: String,
    pub(crate) name: String,
    /// `strict`, `normal` or `relaxed`.
    pub(crate) policy_profile: String,
}

/// A service, in short.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServiceAnswer {
    pub(crate) service_id: String,
    pub(crate) name: String,
}

/// What is known about an address.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HistoryAnswer {
    /// The address.
    pub(crate) ip: String,
    /// Whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) customer: Option<CustomerAnswer>,
    /// Which service of the customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) service: Option<ServiceAnswer>,
    /// Newest first.
    pub(crate) events: Vec<EventObject>,
    /// Newest first.
    pub(crate) mitigations: Vec<MitigationObject>,
}

/// What a reload did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReloadedAnswer {
    /// The files that are in force now.
    pub(crate) reloaded: Vec<String>,
    /// When.
    pub(crate) timestamp: DateTime<Utc>,
    /// Keys that only a restart makes active.
    pub(crate) restart_required: Vec<String>,
    /// The difference between the files and what runs; of a dry run only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) changes: Option<Vec<ChangeAnswer>>,
}

/// What replacing a document of the configuration would lead to.
#[derive(Debug, Serialize)]
pub(crate) struct EditedAnswer {
    /// What its view would show.
    #[serde(flatten)]
    pub(crate) view: Value,
    /// The difference to what runs.
    pub(crate) changes: Vec<ChangeAnswer>,
    /// Doubts about the document.
    pub(crate) warnings: Vec<FieldError>,
}

/// One difference between a file and what runs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangeAnswer {
    /// The file.
    pub(crate) file: String,
    /// The place in it.
    pub(crate) path: String,
    /// What runs.
    pub(crate) old: Value,
    /// What the file says.
    pub(crate) new: Value,
}

impl From<ConfigChange> for ChangeAnswer {
    fn from(change: ConfigChange) -> Self {
        let ConfigChange { file, path, old, new } = change;
        Self { file, path, old, new }
    }
}
