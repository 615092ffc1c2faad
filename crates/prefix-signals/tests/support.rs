//! What the tests of this crate share: a context, and reports as text for people.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use prefix_core::confidence::Confidence;
use prefix_core::event::Report;
use prefix_core::name::{SourceName, VectorName};
use prefix_signals::{Context, Item};
use serde_json::{Value, json};

/// The vectors of these tests.
pub(crate) fn is_vector(name: &VectorName) -> bool {
    const WORDS: [&str; 10] = [
        "udp_flood",
        "tcp_flood",
        "syn_flood",
        "ack_flood",
        "icmp_flood",
        "fragment_flood",
        "unknown",
        "dns_amplification",
        "ntp_amplification",
        "memcached_amplification",
    ];
    WORDS.contains(&name.as_str())
}

/// Now: 2026-11-29T00:00:00Z.
pub(crate) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_910_400, 0).unwrap()
}

/// What an adapter is told.
pub(crate) struct World {
    pub(crate) source: SourceName,
    pub(crate) mapping: BTreeMap<String, Confidence>,
}

impl World {
    pub(crate) fn of(source: &str) -> Self {
        Self { source: source.parse().unwrap(), mapping: BTreeMap::new() }
    }

    pub(crate) fn mapping(mut self, word: &str, confidence: f64) -> Self {
        self.mapping.insert(word.to_owned(), Confidence::new(confidence).unwrap());
        self
    }

    pub(crate) fn context(&self) -> Context<'_> {
        Context { source: &self.source, confidence_mapping: &self.mapping, is_vector: &is_vector, now: now() }
    }
}

/// A report with its members in words; what is not given is left out.
pub(crate) fn shown(report: &Report) -> Value {
    let mut shown = json!({
        "source": report.source.as_str(),
        "victim_ip": report.victim_ip.to_string(),
        "timestamp": report.timestamp.to_rfc3339(),
        "action": format!("{:?}", report.action).to_lowercase(),
        "reach": format!("{:?}", report.reach).to_lowercase(),
        "raw_details_bytes": report.raw_details.as_ref().map(String::len),
    });
    let mut put = |name: &str, value: Value| {
        if !value.is_null() && value != json!([]) {
            shown[name] = value;
        }
    };
    put("reports", json!(report.reports));
    put("vector", json!(report.vector));
    put("protocol", json!(report.protocol.map(|protocol| protocol.to_string())));
    put("bps", json!(report.bps.map(prefix_core::rate::BitsPerSecond::get)));
    put("pps", json!(report.pps.map(prefix_core::rate::PacketsPerSecond::get)));
    put("confidence", json!(report.confidence.map(Confidence::value)));
    put("top_dst_ports", json!(report.top_dst_ports));
    put("event_id", json!(report.external_event_id));
    put("ended_at", json!(report.ended_at.map(|time| time.to_rfc3339())));
    put("match", if report.matches.is_empty() { Value::Null } else { json!(report.matches) });
    put("unread", json!(report.unread));
    shown
}

/// The items of a payload in words.
pub(crate) fn shown_items(items: &[Item]) -> Value {
    let item = |item: &Item| match item {
        Ok(report) => shown(report),
        Err(bad) => json!({"error": bad.error, "event_id": bad.external_event_id}),
    };
    Value::Array(items.iter().map(item).collect())
}

/// The same of the nodes of a webhook, some of which are left out.
pub(crate) fn shown_nodes(nodes: &[Option<Item>]) -> Value {
    let shown = nodes.iter().map(|node| match node {
        Some(item) => shown_items(std::slice::from_ref(item))[0].take(),
        None => json!("ignored"),
    });
    Value::Array(shown.collect())
}

/// A file of the tests.
pub(crate) fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// Compares with the kept expectation beside the payload; `UPDATE_EXPECTED=1` writes it anew.
pub(crate) fn expect(name: &str, found: &Value) {
    let path = file(name);
    let found = format!("{}\n", serde_json::to_string_pretty(found).unwrap());
    if std::env::var_os("UPDATE_EXPECTED").is_some_and(|value| value == "1") {
        std::fs::write(&path, &found).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == found, "{name} differs (UPDATE_EXPECTED=1 writes it anew); found:\n{found}");
}

/// Every payload of a folder, sorted: its path without the ending, and its bytes.
pub(crate) fn payloads(folder: &str) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(file(folder)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if let Some(stem) = name.strip_suffix(".json").filter(|stem| !stem.ends_with(".expected")) {
            found.push((format!("{folder}/{stem}"), std::fs::read(&path).unwrap()));
        }
    }
    found.sort();
    assert!(!found.is_empty(), "{folder} holds no payload");
    found
}
