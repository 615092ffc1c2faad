//! What the engine answers, in the shapes of the API.

use prefix_api_types::{
    BatchAnswer, BatchResult, BulkResult, BulkStatus, EventAnswer, EventId, EventStatus, Mitigation,
    MitigationId, Peer, ReleasedMitigation, SignalResult, SignalsAnswer,
};
use prefix_engine::{BulkItem, EventOutcome, Ingested, MitigationView, PeerView, Touched};
use uuid::Uuid;

/// Shows a mitigation, with its decision and the whole correlation where `in_full`.
pub(crate) fn mitigation(view: &MitigationView, in_full: bool) -> Mitigation {
    let mut shown = Mitigation::of(&view.mitigation, in_full);
    shown.shadowed_by = view.shadowed_by.map(Into::into);
    shown.bgp.intended = view.intended;
    shown.bgp.peers_established = view.peers_established;
    shown.decision = shown.decision.filter(|_| view.explained);
    shown
}

/// Shows what became of an event.
pub(crate) fn event(ingested: &Ingested, explain: bool) -> EventAnswer {
    // one mitigation stands at the top level already
    let touched: &[Touched] = if ingested.mitigations.len() > 1 { &ingested.mitigations } else { &[] };
    let touched = touched.iter().map(|one| ReleasedMitigation {
        mitigation_id: one.mitigation_id.into(),
        status: one.status.into(),
        mitigation_status: Some(one.mitigation_status.into()),
        expires_at: one.expires_at,
    });
    EventAnswer {
        event_id: ingested.event_id.into(),
        external_event_id: ingested.external_event_id.as_ref().map(ToString::to_string),
        status: ingested.status.into(),
        mitigation_id: ingested.mitigation_id.map(Into::into),
        mitigation_status: ingested.mitigation_status.map(Into::into),
        signal_group_id: ingested.signal_group_id.map(Into::into),
        guardrail: ingested.guardrail.map(Into::into),
        retry_after_seconds: ingested.retry_after_seconds.map(Into::into),
        expires_at: ingested.expires_at,
        mitigations: touched.collect(),
        decision: explain.then(|| (&ingested.decision).into()),
    }
}

/// Shows what became of the events of a batch.
pub(crate) fn batch(outcomes: &[EventOutcome]) -> BatchAnswer {
    let results: Vec<_> = outcomes.iter().enumerate().map(batch_result).collect();
    let rejected = results.iter().filter(|item| item.status == EventStatus::Rejected).count();
    BatchAnswer { accepted: results.len() - rejected, rejected, results }
}

fn batch_result((index, outcome): (usize, &EventOutcome)) -> BatchResult {
    let rejected = |event_id, external_event_id, error| BatchResult {
        index,
        event_id: Some(event_id),
        external_event_id,
        status: EventStatus::Rejected,
        error: Some(error),
        ..BatchResult::default()
    };
    match outcome {
        EventOutcome::Accepted(ingested) => BatchResult {
            index,
            event_id: Some(ingested.event_id.into()),
            external_event_id: ingested.external_event_id.as_ref().map(ToString::to_string),
            status: ingested.status.into(),
            mitigation_id: ingested.mitigation_id.map(Into::into),
            mitigation_status: ingested.mitigation_status.map(Into::into),
            guardrail: ingested.guardrail.map(Into::into),
            retry_after_seconds: ingested.retry_after_seconds.map(Into::into),
            expires_at: ingested.expires_at,
            ..BatchResult::default()
        },
        EventOutcome::Refused(refused) => {
            let (id, refusal) =
                (refused.external_event_id.as_ref().map(ToString::to_string), &refused.refusal);
            BatchResult {
                mitigation_id: Some(refused.mitigation_id.into()),
                guardrail: Some(refusal.guardrail.into()),
                retry_after_seconds: refusal.retry_after_seconds.map(Into::into),
                ..rejected(refused.event_id.into(), id, refusal.detail.clone())
            }
        }
        EventOutcome::Invalid(item) => {
            rejected(EventId(Uuid::nil()), item.external_event_id.clone(), item.error.clone())
        }
    }
}

/// Shows what became of the items of a foreign payload; `counts` says which of them have an outcome.
pub(crate) fn signals(outcomes: &[EventOutcome], counts: &[bool]) -> SignalsAnswer {
    let BatchAnswer { accepted, rejected, results } = batch(outcomes);
    let ignored = |index: usize| SignalResult {
        index,
        status: "ignored".into(),
        event_id: None,
        mitigation_id: None,
        mitigation_status: None,
        error: None,
        guardrail: None,
        retry_after_seconds: None,
    };
    let shown = |index: usize, item: BatchResult| SignalResult {
        index,
        status: if item.status == EventStatus::Rejected { "error".into() } else { item.status },
        event_id: item.event_id.filter(|id| !id.is_nil()),
        mitigation_id: item.mitigation_id,
        mitigation_status: item.mitigation_status,
        error: item.error,
        guardrail: item.guardrail,
        retry_after_seconds: item.retry_after_seconds,
    };
    let mut results = results.into_iter();
    let each =
        counts.iter().enumerate().map(|(index, counts)| match counts.then(|| results.next()).flatten() {
            Some(item) => shown(index, item),
            None => ignored(index),
        });
    SignalsAnswer { processed: accepted, failed: rejected, results: each.collect() }
}

/// Shows what became of each of several mitigations: which were changed, how many were not, and one result per item.
pub(crate) fn bulk(
    items: &[BulkItem],
    done: impl Fn(prefix_core::mitigation::Status) -> BulkStatus,
) -> (Vec<MitigationId>, usize, Vec<BulkResult>) {
    let changed = items.iter().filter(|item| item.result.is_ok());
    let changed: Vec<_> = changed.map(|item| item.mitigation_id.into()).collect();
    let results = items.iter().map(|item| BulkResult {
        mitigation_id: item.mitigation_id.into(),
        status: item.result.as_ref().map_or(BulkStatus::Error, |status| done(*status)),
        error: item.result.as_ref().err().cloned(),
    });
    let failed = items.len() - changed.len();
    (changed, failed, results.collect())
}

/// Shows a BGP neighbor.
pub(crate) fn peer(view: PeerView) -> Peer {
    Peer {
        name: view.name,
        speaker: view.speaker.map(|name| name.to_string()),
        address: Some(view.peer.address),
        asn: Some(view.peer.asn),
        state: view.peer.state.into(),
        uptime_seconds: view.peer.uptime.map(|uptime| uptime.as_secs()),
        families: view.peer.families.iter().map(ToString::to_string).collect(),
        announced_rules: Some(view.announced_rules),
        profile: view.router.platform.to_string(),
        entries: view.router.entries,
        max_entries: view.router.max_entries,
        problems: view.router.problems,
    }
}
