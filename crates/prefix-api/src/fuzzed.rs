//! The entries of the fuzz targets (`fuzz/`) for what anybody who may post can send: foreign bytes go in, and what must
//! never be true of what comes out is asserted. A smoke run of them is part of the tests.
#![allow(missing_docs, clippy::missing_panics_doc, reason = "for fuzz targets only")]

use chrono::{DateTime, Utc};
use prefix_core::confidence::Confidence;
use prefix_diagnostics::{Diagnostic, KeyPath};

use crate::body::Body;
use crate::request;

const NOW: DateTime<Utc> = DateTime::<Utc>::UNIX_EPOCH;

/// `POST /v1/events` and each item of `POST /v1/events/batch`.
pub fn event(data: &[u8]) {
    let Ok(body) = Body::parse(data.to_vec()) else { return };
    must_say_what(request::event(&body.tree, KeyPath::root(), NOW).map(|draft| must_be_an_event(&draft)));
    must_say_what(request::batch(&body.tree, NOW).map(|items| {
        for item in items {
            must_say_what(item.map(|draft| must_be_an_event(&draft)).map_err(|(_, errors)| errors));
        }
    }));
}

/// `POST /v1/signals/corroborator`.
pub fn corroboration(data: &[u8]) {
    let Ok(body) = Body::parse(data.to_vec()) else { return };
    must_say_what(request::corroboration(&body.tree).map(|draft| {
        must_be_sure_within_bounds(draft.report.confidence);
        must_be_json(draft.report.raw_details.as_deref());
    }));
}

fn must_be_an_event(draft: &request::Draft) {
    let report = &draft.report;
    assert!(!report.top_dst_ports.contains(0));
    assert!(report.bps.is_none_or(|rate| i64::try_from(rate.get()).is_ok()));
    assert!(report.vector.is_none() || draft.undefined_vector.is_none());
    must_be_sure_within_bounds(report.confidence);
    must_be_json(report.raw_details.as_deref());
}

fn must_be_sure_within_bounds(confidence: Option<Confidence>) {
    assert!(confidence.is_none_or(|confidence| (0.0..=1.0).contains(&confidence.value())));
}

fn must_be_json(text: Option<&str>) {
    assert!(text.is_none_or(|text| serde_json::from_str::<serde_json::Value>(text).is_ok()));
}

/// A refusal names its places: JSON pointers, and why.
fn must_say_what<T>(read: Result<T, Vec<Diagnostic>>) {
    let Err(errors) = read else { return };
    assert!(!errors.is_empty());
    let is_told = |error: &Diagnostic| {
        (error.pointer().is_empty() || error.pointer().starts_with('/')) && !error.text.is_empty()
    };
    assert!(errors.iter().all(is_told));
}

#[cfg(test)]
mod tests {
    use prefix_testkit::mutation::smoke;

    const EVENT: &str = r#"{"timestamp": "2026-01-01T00:00:00Z", "source": "fnm", "victim_ip": "::ffff:203.0.113.10",
        "vector": "udp_flood", "protocol": "udp", "bps": 1, "pps": 2, "top_dst_ports": [53, 123, 53],
        "confidence": 0.9, "action": "ban", "event_id": "a-1", "raw_details": {"x": 1.10}, "later": {}}"#;

    #[test]
    fn nothing_that_looks_like_an_event_makes_it_panic() {
        let batch = format!(r#"{{"events": [{EVENT}, {EVENT}]}}"#);
        let unban = r#"{"source": "fnm", "victim_ip": "2001:db8::1", "action": "unban", "event_id": "a-1"}"#;
        smoke(super::event, &[EVENT.into(), batch.into(), unban.into()]);
    }

    #[test]
    fn nothing_that_looks_like_a_corroborating_signal_makes_it_panic() {
        let signal = r#"{"source": "netflow", "vector": "udp_flood", "customer_id": "acme", "pop": "fra1",
            "service_id": "dns", "interface": "et-0/0/1", "confidence": 0.5, "raw_details": {"n": 1.10}, "new": 1}"#;
        smoke(super::corroboration, &[signal.into()]);
    }
}
