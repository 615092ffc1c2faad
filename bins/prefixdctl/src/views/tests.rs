//! What each list looks like, as goldens.

use super::{
    AUDIT, CHANGES, EVENTS, FROZEN, MITIGATIONS, PEERS, POP_COUNTS, POPS, SAFELIST, TIMESERIES, TOTALS,
};
use super::{CACHED_SIGNALS, CORROBORATED, GROUP_SIGNALS, GROUPS, SOURCE_ACTIVITY};
use crate::output::{Column, Eyes, Paint, Shown, csv, table};
use chrono::{DateTime, TimeZone, Utc};
use serde::de::DeserializeOwned;

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../tests/fixtures/", $name, ".json"))
    };
}

fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 22, 10, 0, 0).unwrap()
}

/// The rows of a fixture, below the member `key` if it is not a bare list.
fn rows<T: DeserializeOwned>(text: &str, key: &str) -> Vec<T> {
    let mut document: serde_json::Value = serde_json::from_str(text).unwrap();
    let rows = if key.is_empty() { document } else { document[key].take() };
    serde_json::from_value(rows).unwrap()
}

/// All three forms in one text.
fn forms<T>(columns: &[Column<T>], rows: &[T]) -> String {
    let eyes = Eyes { now: now(), paint: Paint { on: false } };
    let short = table(columns, rows, Shown::Table, eyes, 0);
    let wide = table(columns, rows, Shown::Wide, eyes, 0);
    format!("table\n{short}\nwide\n{wide}\ncsv\n{}", csv(columns, rows, true).unwrap())
}

#[test]
fn mitigations() {
    insta::assert_snapshot!(forms(MITIGATIONS, &rows(fixture!("mitigations"), "mitigations")));
}

#[test]
fn events() {
    insta::assert_snapshot!(forms(EVENTS, &rows(fixture!("events"), "events")));
}

#[test]
fn groups_and_what_corroborates_them() {
    let group: prefix_client::SignalGroup = serde_json::from_str(fixture!("group")).unwrap();
    let answer = serde_json::json!({"signal_id": "0193f0a0-0000-7000-8000-0000000000c1", "status": "attached",
        "attached_group_ids": [group.group_id], "mitigation_ids": []});
    let text = [
        forms(GROUPS, &rows(fixture!("groups"), "groups")),
        forms(GROUP_SIGNALS, group.events.as_deref().unwrap()),
        forms(CORROBORATED, &[serde_json::from_value(answer).unwrap()]),
        forms(SOURCE_ACTIVITY, &rows(fixture!("activity"), "sources")),
        forms(CACHED_SIGNALS, &rows(fixture!("cache"), "signals")),
    ];
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn peers() {
    insta::assert_snapshot!(forms(PEERS, &rows(fixture!("peers"), "peers")));
}

#[test]
fn pops_and_stats() {
    let stats = serde_json::from_str::<prefix_client::Stats>(fixture!("stats")).unwrap();
    let text = [
        forms(POPS, &rows(fixture!("pops"), "")),
        forms(TOTALS, std::slice::from_ref(&stats)),
        forms(POP_COUNTS, &stats.pops),
    ];
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn timeseries() {
    let buckets: Vec<prefix_client::Bucket> = rows(fixture!("timeseries"), "buckets");
    let rows: Vec<_> = buckets.into_iter().map(|bucket| (bucket, 40)).collect();
    insta::assert_snapshot!(forms(TIMESERIES, &rows));
}

#[test]
fn safelist() {
    insta::assert_snapshot!(forms(SAFELIST, &rows(fixture!("safelist"), "")));
}

#[test]
fn audit() {
    insta::assert_snapshot!(forms(AUDIT, &rows(fixture!("audit"), "entries")));
}

#[test]
fn frozen() {
    insta::assert_snapshot!(forms(FROZEN, &rows(fixture!("panic"), "scopes")));
}

#[test]
fn changes() {
    let document: serde_json::Value = serde_json::from_str(fixture!("diff")).unwrap();
    let rows: Vec<_> = serde_json::from_value(document["result"]["changes"].clone()).unwrap();
    insta::assert_snapshot!(forms(CHANGES, &rows));
}
