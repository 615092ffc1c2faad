//! Records a made-up week into an empty database, to measure `prefixdctl simulate --direct` with: attacks of five minutes,
//! reported every half minute by two detectors in turn, each event with the decision that the configuration makes of it.
//!
//! `cargo run --release -p prefixdctl --example recorded_week -- CONFIG_DIR [EVENTS]`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a tool for measurements")]

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use prefix_config::candidate::policy;
use prefix_config::folder::{ConfigSource, Files};
use prefix_core::Store;
use prefix_core::event::{Event, EventAction, EventStatus, Reach, Report};
use prefix_core::id::{EventId, MitigationId};
use prefix_core::matching::PacketMatch;
use prefix_core::mitigation::{EndReason, Mitigation, Status};
use prefix_core::ports::{ChangeSet, MitigationChange, ReadSet};
use prefix_core::safelist::Safelist;
use prefix_policy::simulation::{Input, Simulated, Simulation, Start};
use prefix_store::{Options, open};
use prefix_testkit::store_contract::sample;

/// Reports of one attack, and the time between two.
const REPORTS: u32 = 10;
const BETWEEN: TimeDelta = TimeDelta::seconds(30);
const WEEK: i64 = 7 * 86_400;
const AT_ONCE: usize = 1_000;

fn beginning() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600, 0).unwrap()
}

/// The reports of a week in the order of their times.
fn week(events: u32) -> Vec<Report> {
    let attacks = events / REPORTS;
    let mut reports = Vec::with_capacity(events as usize);
    for attack in 0..attacks {
        let began =
            beginning() + TimeDelta::milliseconds(WEEK * 1_000 * i64::from(attack) / i64::from(attacks));
        let victim = 0x0a00_0000 + (attack.wrapping_mul(0x9E37_79B1) & 0xffff);
        for number in 0..REPORTS {
            reports.push(Report {
                timestamp: began + BETWEEN * number.try_into().unwrap(),
                source: if number % 2 == 0 { "fastnetmon" } else { "sflow" }.parse().unwrap(),
                victim_ip: IpAddr::from(Ipv4Addr::from(victim)).into(),
                vector: Some(if attack % 3 == 0 { "syn_flood" } else { "udp_flood" }.parse().unwrap()),
                protocol: None,
                bps: Some(prefix_core::rate::BitsPerSecond::saturating(1_000_000_000)),
                pps: None,
                top_dst_ports: [443].into(),
                matches: PacketMatch::default(),
                confidence: Some(0.9.try_into().unwrap()),
                action: EventAction::Ban,
                external_event_id: Some(format!("attack-{attack}").parse().unwrap()),
                ended_at: None,
                victim_prefix: None,
                reach: Reach::Full,
                reports: None,
                sampled: false,
                unread: Vec::new(),
                raw_details: None,
            });
        }
    }
    reports.sort_by_key(|report| report.timestamp);
    reports
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().expect("the folder of the configuration");
    let events: u32 = arguments.next().map_or(1_000_000, |number| number.parse().unwrap());
    let source = ConfigSource::new(Files::Folder(folder.into()), std::env::vars().collect());
    let configuration = source.load().value.expect("the configuration is valid");
    let settings = &configuration.settings;
    let store = open(&settings.keys.storage.url().0, Options::default()).await.unwrap();
    let policy = Arc::new(policy(
        settings,
        configuration.inventory,
        configuration.playbooks,
        &configuration.correlation,
    ));
    let mut simulation = Simulation::new(Start {
        pop: settings.pop.clone(),
        policy,
        safelist: Safelist::default(),
        refresh: TimeDelta::seconds(30),
        until: None,
    });
    let reports = week(events);
    let mut results: Vec<Simulated> = Vec::with_capacity(reports.len());
    for report in &reports {
        simulation
            .take(Input::imagined(report.timestamp, report.clone()), &mut |result| results.push(result));
    }
    simulation.finish(&mut |result| results.push(result));
    results.sort_by_key(|result| result.index);
    let mut living: HashMap<IpAddr, MitigationId> = HashMap::new();
    let mut changes = ChangeSet::default();
    for (report, result) in reports.into_iter().zip(results) {
        let victim = report.victim_ip;
        if result.status == EventStatus::Accepted {
            let row = mitigation(&report, &result);
            living.insert(victim.ip(), row.mitigation_id);
            changes.mitigations.push(MitigationChange { before: None, after: Box::new(row) });
        }
        changes.events.push(Event {
            event_id: EventId::generate(),
            ingested_at: result.at,
            identity: report.source.as_identity(),
            report,
            status: result.status,
            mitigation_id: living.get(&victim.ip()).copied(),
            signal_group_id: None,
            decision: result.decision,
        });
        if changes.events.len() == AT_ONCE {
            write(store.as_ref(), std::mem::take(&mut changes)).await;
        }
    }
    write(store.as_ref(), changes).await;
    println!("{} to {}", beginning(), beginning() + TimeDelta::seconds(WEEK + 600));
}

fn mitigation(report: &Report, result: &Simulated) -> Mitigation {
    let ended_at = result.ended.map(|ended| ended.at);
    Mitigation {
        status: Status::Expired,
        end_reason: Some(EndReason::Ttl),
        victim_ip: report.victim_ip,
        created_at: result.at,
        ended_at,
        withdrawn_at: ended_at,
        decision: result.decision.clone(),
        ..sample::mitigation(0)
    }
}

async fn write(store: &dyn Store, changes: ChangeSet) {
    let reads = ReadSet::new(sample::pop(), Utc::now());
    store.transact(&reads, &mut |_| changes.clone()).await.unwrap();
}
