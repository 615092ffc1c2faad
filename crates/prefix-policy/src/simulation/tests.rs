//! What a simulation promises by itself. That it does what the daemon does is tested with the daemon's engine.

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::event::{EventAction, EventStatus, Reach, Report};
use prefix_core::guardrail::Guardrail;
use prefix_core::matching::PacketMatch;
use prefix_core::mitigation::EndReason;
use prefix_core::safelist::Safelist;

use super::*;
use crate::{Guardrails, InventoryDocument, PlaybooksDocument, PolicyParts, SourcePolicy, Sources};

const PLAYBOOKS: &str = "
playbooks:
  - name: floods
    match: {vector: [udp_flood]}
    steps: [{action: police, rate_bps: 50000000, ttl_seconds: 120}, {action: discard, ttl_seconds: 300}]
";

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600 + seconds, 0).unwrap()
}

fn parts() -> PolicyParts {
    let guardrails = Guardrails::default();
    let inventory = "customers: [{customer_id: acme, prefixes: [203.0.113.0/24]}]";
    let inventory: InventoryDocument = serde_saphyr::from_str(inventory).unwrap();
    let inventory = inventory.build(&guardrails).unwrap().value;
    let playbooks: PlaybooksDocument = serde_saphyr::from_str(PLAYBOOKS).unwrap();
    let playbooks = playbooks.build(&guardrails, Some(&inventory)).unwrap().value;
    PolicyParts { inventory, playbooks, guardrails, ..PolicyParts::default() }
}

fn report(seconds: i64, victim: u8) -> Report {
    Report {
        timestamp: at(seconds),
        source: "flow".parse().unwrap(),
        victim_ip: format!("203.0.113.{victim}").parse().unwrap(),
        vector: Some("udp_flood".parse().unwrap()),
        protocol: None,
        bps: None,
        pps: None,
        top_dst_ports: [].into(),
        matches: PacketMatch::default(),
        confidence: Some(0.9.try_into().unwrap()),
        action: EventAction::Ban,
        external_event_id: None,
        ended_at: None,
        victim_prefix: None,
        reach: Reach::Full,
        reports: None,
        sampled: false,
        unread: Vec::new(),
        raw_details: None,
    }
}

fn run(parts: PolicyParts, inputs: Vec<Input>, until: Option<i64>) -> (Vec<Simulated>, Summary) {
    let mut simulation = Simulation::new(Start {
        pop: "fra1".parse().unwrap(),
        policy: Arc::new(Policy::new(parts)),
        safelist: Safelist::default(),
        refresh: TimeDelta::seconds(30),
        until: until.map(at),
    });
    let mut results = Vec::new();
    for input in inputs {
        simulation.take(input, &mut |result| results.push(result));
    }
    let summary = simulation.finish(&mut |result| results.push(result));
    results.sort_by_key(|result| result.index);
    (results, summary)
}

fn imagined(reports: impl IntoIterator<Item = Report>) -> Vec<Input> {
    reports.into_iter().map(|report| Input::imagined(report.timestamp, report)).collect()
}

fn statuses(results: &[Simulated]) -> Vec<EventStatus> {
    results.iter().map(|result| result.status).collect()
}

#[test]
fn a_rule_lives_as_long_as_it_is_reported_and_its_ttl_after() {
    let (results, summary) = run(parts(), imagined([report(0, 1), report(100, 1), report(400, 1)]), None);
    assert_eq!(statuses(&results), [EventStatus::Accepted, EventStatus::Extended, EventStatus::Accepted]);
    let ended = results[0].ended.unwrap();
    assert_eq!((ended.at, ended.seconds(), ended.reason), (at(220), 220, Some(EndReason::Ttl)));
    assert_eq!((summary.mitigations, summary.extended, summary.peak_rules), (2, 1, 1));
}

#[test]
fn time_alone_takes_the_steps_that_are_due() {
    let mut reports: Vec<Report> = (0..6).map(|number| report(number * 60, 1)).collect();
    reports.push(report(301, 1));
    let (results, _) = run(parts(), imagined(reports), None);
    let actions: Vec<&str> =
        results.iter().map(|result| result.decision.rule.as_ref().unwrap().action_type.as_str()).collect();
    assert_eq!(actions, ["police", "police", "police", "discard", "discard", "discard", "discard"]);
}

#[test]
fn what_waits_comes_in_when_there_is_room_again() {
    let mut parts = parts();
    parts.quotas.max_active_per_customer = 1;
    let reports = [report(0, 1), report(10, 2), report(100, 2), report(200, 2)];
    let (results, summary) = run(parts, imagined(reports), None);
    let expected = [EventStatus::Accepted, EventStatus::Queued, EventStatus::Extended, EventStatus::Extended];
    assert_eq!(statuses(&results), expected);
    assert_eq!(results[1].guardrail, Some(Guardrail::QuotaCustomer));
    // let in at 120, when the first has ended, and held by the last report until 320
    assert_eq!(results[1].ended.unwrap().at, at(320));
    assert_eq!((summary.mitigations, summary.peak_rules), (2, 1));
    assert_eq!(summary.by_guardrail, [(Guardrail::QuotaCustomer, 1)].into());
}

#[test]
fn a_burst_comes_in_as_the_rate_of_new_rules_allows() {
    let mut parts = parts();
    parts.quotas.max_new_per_minute = 2;
    let (results, summary) = run(parts, imagined((0..6).map(|number| report(0, number))), None);
    let waited = results.iter().filter(|result| result.status == EventStatus::Queued).count();
    assert_eq!((waited, summary.mitigations, summary.peak_rules), (4, 6, 4));
    assert_eq!(results[2].guardrail, Some(Guardrail::NewRate));
}

#[test]
fn an_event_of_a_source_that_only_corroborates_is_refused_as_at_the_border() {
    let mut parts = parts();
    let only = SourcePolicy { mode: crate::settings::SourceMode::Corroborating, ..SourcePolicy::default() };
    parts.correlation.sources = Sources::new([("flow".parse().unwrap(), only)].into());
    let (results, summary) = run(parts, imagined([report(0, 1)]), None);
    assert_eq!(statuses(&results), [EventStatus::Rejected]);
    assert_eq!((summary.refused, summary.mitigations), (1, 0));
}

#[test]
fn the_end_of_a_rule_is_unknown_if_the_record_ends_before() {
    let inputs = || imagined([report(0, 1)]);
    assert_eq!(run(parts(), inputs(), Some(100)).0[0].ended, None);
    assert!(run(parts(), inputs(), Some(121)).0[0].ended.is_some());
}

/// What a run did, as the record of another.
fn recorded(results: Vec<Simulated>, reports: &[Report]) -> Vec<Input> {
    let record = |(result, report): (Simulated, &Report)| {
        let actual = Actual {
            status: result.status,
            mitigation_id: None,
            guardrail: result.decision.guardrail,
            rule: result.decision.rule,
            led_to: None,
            ended: result.ended,
        };
        Input { actual: Some(actual), ..Input::imagined(result.at, report.clone()) }
    };
    results.into_iter().zip(reports).map(record).collect()
}

#[test]
fn differences_are_told_apart() {
    let reports = [report(0, 1), report(30, 1), report(400, 2)];
    let (before, _) = run(parts(), imagined(reports.clone()), None);
    let inputs = || recorded(before.clone(), &reports);
    let diffs = |parts| {
        let (results, summary) = run(parts, inputs(), None);
        let told = results.into_iter().map(|result| {
            let difference = result.diff.unwrap();
            let fields: Vec<&str> = difference.changes.iter().map(|change| change.field).collect();
            (difference.diff, fields.join(" "))
        });
        (told.collect::<Vec<_>>(), summary)
    };
    let same = (Diff::Same, String::new());
    let (told, summary) = diffs(parts());
    assert_eq!(told, [same.clone(), same.clone(), same.clone()]);
    assert!(summary.by_diff.iter().all(|(diff, count)| *diff == Diff::Same || *count == 0));

    let mut shorter = parts();
    let text = PLAYBOOKS.replace("ttl_seconds: 120", "ttl_seconds: 60");
    let document: PlaybooksDocument = serde_saphyr::from_str(&text).unwrap();
    shorter.playbooks = document.build(&shorter.guardrails, Some(&shorter.inventory)).unwrap().value;
    let duration = (Diff::Changed, "duration_seconds".to_owned());
    assert_eq!(diffs(shorter).0, [duration.clone(), same, duration]);

    let mut nothing = parts();
    nothing.playbooks = crate::Playbooks::default();
    let missing = (Diff::Missing, "status flow action".to_owned());
    let (told, summary) = diffs(nothing);
    assert_eq!(told, [missing.clone(), missing.clone(), missing]);
    assert_eq!(summary.by_diff, [(Diff::Missing, 3)].into());
}

#[test]
fn the_world_forgets_what_no_decision_looks_at() {
    let reports = (0..2_000_u32).map(|number| {
        let mut report = report(number.into(), 1);
        report.victim_ip = std::net::IpAddr::from((0xcb00_7100_u32 + number % 256).to_be_bytes()).into();
        report.external_event_id = Some(format!("attack-{}", number / 3).parse().unwrap());
        report
    });
    let mut parts = parts();
    parts.quotas = crate::Quotas {
        max_active_per_victim: 1_000,
        max_active_per_customer: 1_000,
        max_active_per_pop: 1_000,
        max_active_global: 1_000,
        max_new_per_minute: 1_000,
        max_announcements_per_peer: 1_000,
    };
    let mut simulation = Simulation::new(Start {
        pop: "fra1".parse().unwrap(),
        policy: Arc::new(Policy::new(parts)),
        safelist: Safelist::default(),
        refresh: TimeDelta::seconds(30),
        until: None,
    });
    let mut told = 0;
    for input in imagined(reports) {
        simulation.take(input, &mut |_| told += 1);
        assert!(simulation.waiting.len() <= 300);
    }
    simulation.finish(&mut |_| told += 1);
    assert_eq!(told, 2_000);
}

#[test]
fn a_bounded_simulation_ends_at_its_bound_and_at_once_when_nobody_waits() {
    let start = || Start {
        pop: "fra1".parse().unwrap(),
        policy: Arc::new(Policy::new(parts())),
        safelist: Safelist::default(),
        refresh: TimeDelta::seconds(30),
        until: None,
    };
    let run = |bound: Bound| {
        let mut simulation = Simulation::bounded(start(), bound);
        let mut told = 0;
        for input in imagined((0..100).map(|n| report(n, 1))) {
            simulation.take(input, &mut |_| told += 1);
        }
        let taken = simulation.summary().events;
        (taken, simulation.finish_bounded(&mut |_| told += 1).map(|summary| summary.events))
    };
    assert_eq!(run(Bound::default()), (100, Ok(100)));
    let (taken, ended) = run(Bound { steps: 10, ..Bound::default() });
    assert!(taken <= 10, "{taken}");
    assert_eq!(ended, Err(Stopped::Steps(10)));
    let cancelled = Bound::default();
    cancelled.cancelled.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(run(cancelled), (0, Err(Stopped::Cancelled)));
}

/// The parts with a carpet entry of four victims.
fn with_carpets() -> PolicyParts {
    let mut parts = parts();
    parts.guardrails.dst_prefix_minlen = 24;
    let carpet = "carpet: [{match: {vector: udp_flood}, min_victims: 4, step: {rate_bps: 50000000, ttl_seconds: 120}}]";
    let playbooks: PlaybooksDocument = serde_saphyr::from_str(&format!("{PLAYBOOKS}{carpet}")).unwrap();
    parts.playbooks = playbooks.build(&parts.guardrails, Some(&parts.inventory)).unwrap().value;
    parts
}

#[test]
fn many_victims_of_a_prefix_become_one_rule() {
    let hosts = (1..=6).map(|victim| report(0, victim));
    let later = [report(10, 1), report(10, 77), report(100, 1)];
    let (results, summary) = run(with_carpets(), imagined(hosts.chain(later)), None);
    assert_eq!(statuses(&results[6..]), [EventStatus::Extended; 3]);
    for result in &results[..6] {
        let ended = result.ended.unwrap();
        assert_eq!((ended.at, ended.reason), (at(1), Some(EndReason::Superseded)));
    }
    assert_eq!((summary.mitigations, summary.extended), (7, 3), "six hosts and their carpet");
    assert_eq!(summary.peak_rules, 6);
}

#[test]
fn few_victims_that_are_left_get_their_rules_back() {
    let first = (1..=4).map(|victim| report(0, victim));
    let rest = (1..=13).map(|minute| report(minute * 60, 1));
    let (results, summary) = run(with_carpets(), imagined(first.chain(rest)), None);
    assert_eq!(summary.mitigations, 4 + 1 + 1, "four hosts, the carpet, and the host that is left");
    assert_eq!(statuses(&results)[4..], [EventStatus::Extended; 13]);
}

#[test]
fn carpets_are_the_same_each_time() {
    let inputs = || imagined((1..=60).map(|number| report(i64::from(number) * 7, number % 9)));
    assert_eq!(run(with_carpets(), inputs(), None), run(with_carpets(), inputs(), None));
}
