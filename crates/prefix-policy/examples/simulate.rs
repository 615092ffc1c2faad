//! Embeds the simulation: an hour of reports through the playbook that runs and through a candidate, and what would be
//! different.
//!
//! `cargo run -p prefix-policy --example simulate`
#![allow(clippy::print_stdout, reason = "an example shows something")]

use std::error::Error;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::event::{EventAction, Reach, Report};
use prefix_core::matching::PacketMatch;
use prefix_core::safelist::Safelist;
use prefix_diagnostics::Diagnostic;
use prefix_policy::simulation::{Actual, Input, Simulated, Simulation, Start};
use prefix_policy::{Guardrails, InventoryDocument, PlaybooksDocument, Policy, PolicyParts};

const INVENTORY: &str = "
customers:
  - customer_id: acme
    name: ACME Corp
    prefixes: [203.0.113.0/24]
";

/// Floods are limited for two minutes.
const RUNNING: &str = "
playbooks:
  - name: udp
    match: {vector: udp_flood}
    steps: [{action: police, rate_bps: 50000000, ttl_seconds: 120}]
";

/// Floods are dropped, if they go on for a minute.
const CANDIDATE: &str = "
playbooks:
  - name: udp
    match: {vector: udp_flood}
    steps:
      - {action: police, rate_bps: 50000000, ttl_seconds: 120}
      - {action: discard, ttl_seconds: 300, require_persistence_seconds: 60, require_confidence_at_least: 0.7}
";

/// The errors of a document as one error.
fn refused(errors: Vec<Diagnostic>) -> String {
    errors.into_iter().map(|error| error.to_string()).collect::<Vec<_>>().join("\n")
}

fn policy(playbooks: &str) -> Result<Arc<Policy>, Box<dyn Error>> {
    let guardrails = Guardrails::default();
    let inventory: InventoryDocument = serde_saphyr::from_str(INVENTORY)?;
    let inventory = inventory.build(&guardrails).map_err(refused)?.value;
    let playbooks: PlaybooksDocument = serde_saphyr::from_str(playbooks)?;
    let playbooks = playbooks.build(&guardrails, Some(&inventory)).map_err(refused)?.value;
    Ok(Arc::new(Policy::new(PolicyParts { inventory, playbooks, guardrails, ..PolicyParts::default() })))
}

fn report(at: DateTime<Utc>) -> Result<Report, Box<dyn Error>> {
    Ok(Report {
        timestamp: at,
        source: "fastnetmon".parse()?,
        victim_ip: "203.0.113.10".parse()?,
        vector: Some("udp_flood".parse()?),
        protocol: None,
        bps: None,
        pps: None,
        top_dst_ports: [].into(),
        matches: PacketMatch::default(),
        confidence: Some("0.9".parse::<f64>()?.try_into()?),
        action: EventAction::Ban,
        external_event_id: None,
        ended_at: None,
        victim_prefix: None,
        reach: Reach::Full,
        reports: None,
        sampled: false,
        unread: Vec::new(),
        raw_details: None,
    })
}

/// Runs events in the order of their times. The results come in the order in which they are known, so they are sorted.
fn run(policy: Arc<Policy>, inputs: Vec<Input>) -> Result<Vec<Simulated>, Box<dyn Error>> {
    let start = Start {
        pop: "fra1".parse()?,
        policy,
        safelist: Safelist::default(),
        refresh: TimeDelta::seconds(30),
        until: None,
    };
    let mut results = Vec::new();
    let mut simulation = Simulation::new(start);
    for input in inputs {
        simulation.take(input, &mut |result| results.push(result));
    }
    let summary = simulation.finish(&mut |result| results.push(result));
    println!(
        "{} events, {} mitigations, {} renewals, at most {} rules at once",
        summary.events, summary.mitigations, summary.extended, summary.peak_rules
    );
    results.sort_by_key(|result| result.index);
    Ok(results)
}

fn main() -> Result<(), Box<dyn Error>> {
    let began = DateTime::from_timestamp(1_767_225_600, 0).ok_or("no such time")?;
    let reports: Result<Vec<Report>, _> =
        (0..6).map(|number| report(began + TimeDelta::seconds(number * 30))).collect();
    let reports = reports?;

    let imagined = reports.iter().map(|report| Input::imagined(report.timestamp, report.clone()));
    let before = run(policy(RUNNING)?, imagined.collect())?;
    let recorded = before.into_iter().zip(reports).map(|(result, report)| {
        let actual = Actual {
            status: result.status,
            mitigation_id: None,
            guardrail: result.decision.guardrail,
            rule: result.decision.rule,
            led_to: None,
            ended: result.ended,
        };
        Input { actual: Some(actual), ..Input::imagined(result.at, report) }
    });
    for result in run(policy(CANDIDATE)?, recorded.collect())? {
        let Some(difference) = result.diff else { continue };
        println!(
            "{} {:<8} {}",
            result.at.format("%H:%M:%S"),
            result.status.as_str(),
            difference.diff.as_str()
        );
        for change in difference.changes {
            println!("    {}: {} -> {}", change.field, change.actual, change.simulated);
        }
    }
    Ok(())
}
