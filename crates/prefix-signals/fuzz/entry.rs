//! The entries of the fuzz targets: foreign bytes go in, and what must never be true of what comes out is asserted.
//! Shared by cargo-fuzz and by the smoke run of `tests/fuzz_smoke.rs`.
#![allow(dead_code, unreachable_pub, reason = "each program uses a part")]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use prefix_core::address::Family;
use prefix_core::event::Report;
use prefix_core::flowspec::Rule;
use prefix_core::name::{SourceName, VectorName};
use prefix_signals::expression::{Anchored, ExpressionBudget, Pattern, Steps};
use prefix_signals::jsonpath::JsonPath;
use prefix_signals::webhook::{Adapter, AdapterDocument, Auth};
use prefix_signals::{Context, alertmanager as am, fastnetmon as fnm};
use serde_json::json;

static NAME: LazyLock<SourceName> = LazyLock::new(|| "fuzz".parse().unwrap());

fn is_vector(name: &VectorName) -> bool {
    matches!(
        name.as_str(),
        "udp_flood" | "syn_flood" | "ack_flood" | "icmp_flood" | "fragment_flood" | "unknown"
    )
}

fn with<T>(read: impl FnOnce(Context<'_>) -> T) -> T {
    let confidence_mapping = BTreeMap::new();
    read(Context {
        source: &NAME,
        confidence_mapping: &confidence_mapping,
        is_vector: &is_vector,
        now: DateTime::<Utc>::UNIX_EPOCH,
    })
}

fn must_be_an_event(report: &Report) {
    assert!(!report.top_dst_ports.contains(0));
    assert!(report.vector.as_ref().is_none_or(is_vector));
    assert!(report.confidence.is_none_or(|confidence| (0.0..=1.0).contains(&confidence.value())));
    assert!(report.bps.is_none_or(|rate| i64::try_from(rate.get()).is_ok()));
    let details = report.raw_details.as_deref().unwrap_or("null");
    assert!(serde_json::from_str::<serde_json::Value>(details).is_ok());
}

/// The webhook of Alertmanager.
pub fn alertmanager(data: &[u8]) {
    if let Ok(items) = with(|context| am::read(data, context)) {
        items.iter().flatten().for_each(must_be_an_event);
    }
}

/// The JSON of FastNetMon; the action of the address is the first word of the data.
pub fn fastnetmon(data: &[u8]) {
    let action = std::str::from_utf8(data).ok().and_then(|text| text.split('"').nth(1));
    for action in [None, action] {
        if let Ok(report) = with(|context| fnm::read(data, action, context)) {
            must_be_an_event(&report);
        }
    }
}

static ADAPTER: LazyLock<Adapter> = LazyLock::new(|| {
    let document: AdapterDocument = serde_json::from_value(json!({
        "name": "fuzz", "root_path": "$.alerts[*]",
        "auth": {"type": "hmac", "secret_env": "S", "timestamp_header": "X-Time", "max_age_seconds": 60},
        "fields": {"victim_ip": "$..ip", "vector": "$.type", "timestamp": "$.time", "bps": "$.bps", "pps": "$.pps",
            "confidence": "$.score", "source_id": "$.id", "top_dst_ports": "$.ports", "action": "$.state"},
        "confidence_scale": 100,
        "transforms": {"bps": {"type": "regex_extract", "pattern": "([0-9.]+)", "group": 1},
            "pps": {"type": "computed", "paths": ["$.a", "$.b"], "scale": 1e300}},
    }))
    .unwrap();
    document.build(|_| Some("secret".to_owned()), &mut ExpressionBudget::default()).0.unwrap()
});

/// The body of a webhook.
pub fn webhook(data: &[u8]) {
    if let Ok(items) = with(|context| ADAPTER.read(data, context)) {
        items.iter().flatten().flatten().for_each(must_be_an_event);
    }
}

/// The headers of a signature: the first two lines of the data, the rest is the body. Nobody guesses a signature.
pub fn signature(data: &[u8]) {
    let Auth::Hmac(signature) = ADAPTER.auth() else { panic!("the adapter is signed") };
    let mut parts = data.splitn(3, |byte| *byte == b'\n');
    let mut line = || parts.next().and_then(|line| std::str::from_utf8(line).ok());
    let (given, time) = (line(), line());
    let body = parts.next().unwrap_or_default();
    let checked = signature.verify(
        body,
        |name| if name == "X-Time" { time } else { given },
        DateTime::<Utc>::UNIX_EPOCH,
    );
    assert!(checked.is_err());
}

/// A FlowSpec NLRI, of both families. What is read is written canonically, and read again as the same.
pub fn nlri(data: &[u8]) {
    for family in [Family::Ipv4, Family::Ipv6] {
        if let Ok(rule) = Rule::decode(family, data) {
            let again = Rule::decode(family, rule.nlri().as_bytes());
            assert_eq!(again.map(|again| again.to_string()).ok(), Some(rule.to_string()));
        }
    }
}

/// A path in the first line, a document in the rest. What is accepted finds what the reference finds, within its steps.
pub fn jsonpath(data: &[u8]) {
    const STEPS: usize = 20_000;
    let Some((path, document)) = std::str::from_utf8(data).ok().and_then(|text| text.split_once('\n')) else {
        return;
    };
    let Ok(compiled) = JsonPath::parse(path, &mut ExpressionBudget::default()) else { return };
    let Ok(document) = serde_json::from_str(document) else { return };
    let steps = Steps::new(STEPS);
    let found = compiled.all(&document, usize::MAX, &steps);
    assert!(found.len() <= STEPS);
    if steps.are_used_up() {
        return;
    }
    if let Ok(reference) = serde_json_path::JsonPath::parse(path) {
        // its regular expressions are those of I-Regexp with other anchors
        if !path.contains("match") && !path.contains("search") {
            assert_eq!(found, reference.query(&document).all(), "{path}");
        }
    }
}

/// A pattern in each line: together they stay within the budget, and none searches without paying.
pub fn patterns(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut budget = ExpressionBudget::default();
    let patterns = text.lines().flat_map(|line| {
        [Anchored::Yes, Anchored::No].map(|anchored| Pattern::compile(line, anchored, &mut budget))
    });
    let patterns: Vec<Pattern> = patterns.flatten().collect();
    let size: usize = patterns.iter().map(Pattern::size).sum();
    assert!(size <= ExpressionBudget::MOST_PATTERN_OCTETS);
    let steps = Steps::new(100_000);
    for pattern in &patterns {
        let _ = (pattern.fits(text, &steps), pattern.group(text, pattern.groups() - 1, &steps));
    }
}
