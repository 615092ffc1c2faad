//! A long past costs nothing: pages stay as fast as the first, and what is too old goes in small steps.

use crate::test_network::{Network, NetworkBuilder, udp_flood};
use prefix_client::EventQuery;
use prefix_testkit::lab::wait;
use serde_json::Value;
use std::collections::HashSet;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_a_page_deep_in_a_million_events_is_as_fast_as_the_first() {
    deep_pages_are_as_fast(Network::with_gobgp_4()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_a_page_deep_in_a_million_events_is_as_fast_as_the_first() {
    deep_pages_are_as_fast(Network::with_gobgp_4().postgres()).await;
}

async fn deep_pages_are_as_fast(network: NetworkBuilder) {
    const EVENTS: u32 = 1_000_000;
    let mut net = network.setting("storage.retention.events_days", 0).start().await;
    let event = net.detector.posts(&udp_flood("203.0.113.10")).await.event_id;
    net.daemon.kill9();
    net.has_a_past(event, EVENTS, 0).await;
    net.daemon.start_again().await.unwrap();

    // A page ten days back, and its cursor: what somebody has who paged through all of it.
    let ten_days_ago = chrono::Utc::now() - chrono::TimeDelta::days(10);
    let time = ten_days_ago.format("%Y-%m-%dT%H:%M:%SZ");
    let page = net.raw.get(&format!("/v1/events?limit=100&end={time}")).await.unwrap().json();
    assert_eq!(page["count"], 100);
    let cursor = page["next_cursor"].as_str().unwrap().to_owned();
    let deep = format!("/v1/events?limit=100&cursor={cursor}");
    let first = "/v1/events?limit=100".to_owned();
    let by_victim = "/v1/events?limit=100&victim_ip=203.0.113.10".to_owned();

    let (mut of_first, mut of_deep, mut of_victim) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..20 {
        for (path, times) in [(&first, &mut of_first), (&deep, &mut of_deep), (&by_victim, &mut of_victim)] {
            let start = Instant::now();
            let page = net.raw.get(path).await.unwrap();
            times.push(start.elapsed());
            assert_eq!(page.json()["count"], 100, "{}", page.json());
        }
    }
    let (first, deep, victim) = (median(of_first), median(of_deep), median(of_victim));
    // Reading a million rows takes hundreds of milliseconds; twice the first page and a breath is none of it.
    let bound = first * 2 + Duration::from_millis(10);
    assert!(deep < bound && victim < bound, "first {first:?}, deep {deep:?}, by victim {victim:?}");

    // And pages join without gap or repetition.
    let mut seen = HashSet::new();
    let mut last = String::new();
    let mut path = deep_start(&cursor);
    for _ in 0..5 {
        let page = net.raw.get(&path).await.unwrap().json();
        for event in page["events"].as_array().unwrap() {
            assert!(seen.insert(event["event_id"].as_str().unwrap().to_owned()), "an event came twice");
            let at = event["ingested_at"].as_str().unwrap().to_owned();
            assert!(last.is_empty() || at <= last, "newest first");
            last = at;
        }
        assert_eq!(page["has_more"], Value::Bool(true));
        path = deep_start(page["next_cursor"].as_str().unwrap());
    }
    assert_eq!(seen.len(), 500);
}

fn deep_start(cursor: &str) -> String {
    format!("/v1/events?limit=100&cursor={cursor}")
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_what_is_too_old_is_pruned_without_a_pause_in_service() {
    prunes_without_a_pause(Network::with_gobgp_4()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_what_is_too_old_is_pruned_without_a_pause_in_service() {
    prunes_without_a_pause(Network::with_gobgp_4().postgres()).await;
}

async fn prunes_without_a_pause(network: NetworkBuilder) {
    const OLD: u32 = 30_000;
    const RECENT: u32 = 1_000;
    let mut net = network.setting("storage.retention.events_days", 30).start().await;
    let event = net.detector.posts(&udp_flood("203.0.113.10")).await.event_id;
    net.daemon.kill9();
    net.has_a_past(event, OLD, 31).await;
    net.has_a_past(event, RECENT, 3).await;
    net.daemon.start_again().await.unwrap();

    // Service goes on while the old ones go.
    let mut slowest = Duration::ZERO;
    let mut posted = 0;
    let pruned = wait::until("the old events to go", wait::PATIENCE, async || {
        posted += 1;
        let start = Instant::now();
        net.detector.posts(&udp_flood(&format!("10.200.{}.{}", posted >> 8, posted & 0xff))).await;
        slowest = slowest.max(start.elapsed());
        let left = net.client.stats().await.map_err(|error| error.to_string())?.value.total_events;
        let expected = u64::from(RECENT + 1 + posted);
        if left == expected { Ok(()) } else { Err(format!("{left} events, not {expected}")) }
    });
    pruned.await.unwrap();
    assert!(slowest < Duration::from_secs(1), "an event waited {slowest:?}");

    let month_ago = chrono::Utc::now() - chrono::TimeDelta::days(30);
    let mut old = EventQuery::default();
    old.page.end = Some(month_ago);
    assert_eq!(net.client.events(&old).await.unwrap().value.items, []);
    net.client.event(event).await.unwrap();
}
