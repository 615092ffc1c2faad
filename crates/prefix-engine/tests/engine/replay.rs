//! A recorded day, replayed with the configuration it was recorded under, gives exactly the recorded decisions.
//!
//! The engine itself records random days into the store. What happens within the same second of another thing may
//! happen in another order the next time, so here nothing does: events come in the middle of every fourth second, and
//! times of the configuration are whole seconds that lie in between.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::Store;
use prefix_core::confidence::Confidence;
use prefix_core::decision::{Stage, StageResult};
use prefix_core::event::{EventStatus, Report};
use prefix_core::mitigation::Status;
use prefix_core::ports::HistoryQuery;
use prefix_core::signal::CorroborationScope;
use prefix_engine::CorroborationReport;
use prefix_policy::simulation::{Diff, Simulated, Simulation, Start, Summary};
use prefix_record::RecordReader;
use proptest::prelude::*;
use proptest::test_runner::{Config as Trials, TestCaseError};

use crate::lab::{Config, Lab, Words, at, ban, detector, unban};

/// One report of a random day.
#[derive(Clone, Debug)]
struct Said {
    /// Fours of seconds after the one before.
    after: u64,
    /// Where in the second, in milliseconds.
    within: u64,
    source: usize,
    victim: u8,
    vector: usize,
    episode: Option<u8>,
    confidence: Option<u8>,
    is_over: bool,
    /// It is no report: somebody else says that a customer is attacked, or by what.
    helps: Option<(u8, bool)>,
}

const SOURCES: [&str; 4] = ["flow", "sflow", "edge", "third"];
const VECTORS: [&str; 3] = ["udp_flood", "syn_flood", "dns_amplification"];

impl Said {
    fn report(&self) -> Report {
        // some addresses are nobody's, one is safe
        let victim = match self.victim {
            7 => "192.0.2.1".to_owned(),
            victim => format!("203.0.113.{}", 50 + victim),
        };
        let mut report = if self.is_over { unban(&victim) } else { ban(&victim, VECTORS[self.vector]) };
        report = report.from(SOURCES[self.source]);
        if let Some(episode) = self.episode {
            report = report.episode(&format!("episode-{episode}"));
        }
        if let Some(tenths) = self.confidence {
            report = report.sure(f64::from(tenths) / 10.0);
        }
        report
    }

    /// What corroborates instead, where signals are weighed.
    fn corroboration(&self) -> Option<CorroborationReport> {
        let (customer, names_vector) = self.helps?;
        Some(CorroborationReport {
            source: "helper".parse().unwrap(),
            scope: CorroborationScope {
                customer_id: Some(["acme", "beta", "nobody"][usize::from(customer)].parse().unwrap()),
                vector: names_vector.then(|| VECTORS[self.vector].parse().unwrap()),
                ..CorroborationScope::default()
            },
            confidence: self.confidence.map(|tenths| Confidence::new(f64::from(tenths) / 10.0).unwrap()),
            raw_details: None,
        })
    }
}

fn said() -> impl Strategy<Value = Said> {
    let when = (prop_oneof![8 => 0_u64..4, 2 => 4_u64..30, 1 => 30_u64..200], 300_u64..700);
    let what = (0..SOURCES.len(), 0_u8..8, 0..VECTORS.len());
    let helps = proptest::option::weighted(0.15, (0_u8..3, any::<bool>()));
    let how =
        (proptest::option::of(0_u8..3), proptest::option::of(3_u8..=10), prop::bool::weighted(0.2), helps);
    (when, what, how).prop_map(
        |((after, within), (source, victim, vector), (episode, confidence, is_over, helps))| Said {
            after: after + 1,
            within,
            source,
            victim,
            vector,
            episode,
            confidence,
            is_over,
            helps,
        },
    )
}

/// A configuration of a random day.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is on or off, independently of the others")]
struct Kind {
    correlates: bool,
    mean: bool,
    half_life: u32,
    steps: bool,
    tight: bool,
}

impl Kind {
    fn yaml(&self) -> String {
        let mut yaml = String::from(
            "
safelist: [203.0.113.56/32]
sources:
  edge: {reports: edge, edge_hold_seconds: 902}
  helper: {mode: corroborating, match_dimensions: [customer_id], weight: 0.8, default_confidence: 0.6}
guardrails: {max_lifetime_seconds: 1802, max_lifetime_cooldown_seconds: 602}
escalation: {step_down: true, min_persistence_seconds: 62, min_confidence: 0.6, max_escalated_duration_seconds: 402}
",
        );
        let quotas = if self.tight {
            "max_active_per_customer: 3, max_active_per_pop: 3, max_active_global: 3, max_new_per_minute: 2"
        } else {
            "max_active_per_customer: 50, max_active_per_pop: 50, max_active_global: 50, max_new_per_minute: 50"
        };
        let _ = writeln!(yaml, "quotas: {{{quotas}}}");
        let more = if self.steps {
            ", {action: police, rate_bps: 1000000, ttl_seconds: 90}, {action: discard, ttl_seconds: 210}"
        } else {
            ""
        };
        let _ = writeln!(
            yaml,
            "playbooks:
  - name: floods
    match: {{vector: [udp_flood, syn_flood]}}
    steps: [{{action: police, rate_bps: 50000000, ttl_seconds: 122}}{more}]
  - name: reflections
    match: {{vector: [dns_amplification], source: [flow, edge, third]}}
    steps: [{{action: discard, ttl_seconds: 302}}]"
        );
        if self.correlates {
            let mode = if self.mean { "weighted_mean" } else { "noisy_or" };
            let _ = writeln!(
                yaml,
                "correlation: {{confidence_mode: {mode}, window_seconds: 302, min_sources: 2, confidence_threshold: 0.7, \
                 confidence_decay_half_life_seconds: {}}}",
                self.half_life
            );
        }
        yaml
    }
}

fn kind() -> impl Strategy<Value = Kind> {
    let correlation = (any::<bool>(), any::<bool>(), prop_oneof![Just(0_u32), Just(120)]);
    (correlation, any::<bool>(), any::<bool>()).prop_map(|((correlates, mean, half_life), steps, tight)| {
        // which waiting rule comes in, and when, is told to the second, and so is its next step
        Kind { correlates, mean, half_life, steps: steps && !tight, tight }
    })
}

/// Lets the engine live through a day, and returns where the record ends and how many events it holds.
async fn record(lab: &Lab, day: &[Said], correlates: bool) -> (DateTime<Utc>, usize) {
    let mut reports = 0;
    for said in day {
        let second = (lab.now().timestamp() / 4 + i64::try_from(said.after).unwrap()) * 4;
        let next = DateTime::from_timestamp(second, 0).unwrap() + Duration::from_millis(said.within);
        lab.wait((next - lab.now()).to_std().unwrap()).await;
        match said.corroboration().filter(|_| correlates) {
            Some(corroboration) => {
                lab.engine.corroborate(corroboration, &detector()).await.unwrap();
            }
            None => {
                reports += 1;
                lab.outcome(said.report()).await;
            }
        }
    }
    lab.seconds(400).await;
    (lab.now(), reports)
}

/// Replays what a store recorded.
async fn replay(store: &dyn Store, config: &Config, until: DateTime<Utc>) -> (Vec<Simulated>, Summary) {
    let query = HistoryQuery {
        start: at(0),
        end: until,
        sources: [].into(),
        victim_ip: None,
        after: None,
        limit: 100_000,
    };
    let mut simulation = Simulation::new(Start {
        pop: config.settings().pop,
        policy: Arc::new(config.policy()),
        safelist: store.safelist().await.unwrap(),
        refresh: TimeDelta::from_std(config.settings().reconciliation_interval).unwrap(),
        until: Some(until),
    });
    let mut results = Vec::new();
    let mut record = RecordReader::new(store, query, config.settings().pop, true);
    while let Some(page) = record.next_page().await.unwrap() {
        for input in page {
            simulation.apply(input, &mut |result| results.push(result));
        }
    }
    let summary = simulation.finish(&mut |result| results.push(result));
    results.sort_by_key(|result| result.index);
    (results, summary)
}

async fn is_the_same(kind: &Kind, day: &[Said]) -> Result<(), TestCaseError> {
    let lab = Lab::with(&kind.yaml()).await;
    let (until, reports) = record(&lab, day, kind.correlates).await;
    let (results, summary) = replay(lab.store.as_ref(), &lab.config, until).await;
    prop_assert_eq!(results.len(), reports);
    for result in &results {
        let difference = result.diff.as_ref().unwrap();
        prop_assert!(difference.diff == Diff::Same, "{:#?}", result);
        let trace = &result.decision.trace;
        prop_assert!(trace.is_sorted_by_key(|entry| entry.stage), "the stages are in order: {:#?}", trace);
        let stop = trace.iter().position(|entry| entry.result == StageResult::Stop);
        prop_assert!(stop.is_none_or(|stop| stop + 1 == trace.len()), "a stop is the end: {:#?}", trace);
        let is_announced = trace.last().is_some_and(|entry| entry.stage == Stage::Announce);
        prop_assert_eq!(is_announced, result.status == EventStatus::Accepted, "{:#?}", trace);
    }
    let rows = lab.store.all_mitigations();
    let made = rows.iter().filter(|row| row.parent_id.is_none() && row.status != Status::Rejected).count();
    prop_assert_eq!(summary.mitigations, u64::try_from(made).unwrap());
    Ok(())
}

proptest! {
    #![proptest_config(Trials { max_shrink_iters: 100, ..Trials::with_cases(12) })]

    #[test]
    fn replaying_a_recorded_day_gives_exactly_the_recorded_decisions(
        kind in kind(),
        day in prop::collection::vec(said(), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(is_the_same(&kind, &day))?;
    }
}

/// A day of known content: who reports, and whether somebody else helps before or after.
async fn helped_day(helps_first: bool) {
    let said = Said {
        after: 1,
        within: 500,
        source: 0,
        victim: 0,
        vector: 0,
        episode: None,
        confidence: Some(8),
        is_over: false,
        helps: None,
    };
    let helped = Said { helps: Some((0, true)), ..said.clone() };
    let again = Said { after: 5, ..said.clone() };
    let day = if helps_first { [helped, said, again] } else { [said, helped, again] };
    let kind = Kind { correlates: true, mean: false, half_life: 0, steps: false, tight: false };
    let lab = Lab::with(&kind.yaml()).await;
    let (until, _) = record(&lab, &day, true).await;
    assert_eq!(
        lab.store.all_mitigations().len(),
        1,
        "the corroborating signal was needed, and it was enough"
    );
    let (results, summary) = replay(lab.store.as_ref(), &lab.config, until).await;
    assert_eq!(results[0].led_to, !helps_first, "what was held was mitigated later");
    assert!(results[0].ended.is_some() && results[0].actual.as_ref().unwrap().ended.is_some());
    let same =
        |result: &Simulated| result.diff.as_ref().is_some_and(|difference| difference.diff == Diff::Same);
    assert!(results.len() == 2 && results.iter().all(same), "{results:#?}");
    let held = u64::from(!helps_first);
    assert_eq!((summary.mitigations, summary.held, summary.extended), (1, held, 1));
}

#[tokio::test(start_paused = true)]
async fn a_quorum_that_a_waiting_corroborating_signal_completed_is_completed_again() {
    helped_day(true).await;
}

#[tokio::test(start_paused = true)]
async fn a_quorum_that_a_late_corroborating_signal_completed_is_completed_again() {
    helped_day(false).await;
}

#[tokio::test(start_paused = true)]
async fn a_mitigation_that_only_a_corroborating_signal_made_is_missed_where_nobody_corroborates() {
    let kind = Kind { correlates: true, mean: false, half_life: 0, steps: false, tight: false };
    let lab = Lab::with(&kind.yaml()).await;
    lab.hear(ban("203.0.113.50", "udp_flood").sure(0.8)).await;
    let signal = CorroborationReport {
        source: "helper".parse().unwrap(),
        scope: CorroborationScope {
            customer_id: Some("acme".parse().unwrap()),
            ..CorroborationScope::default()
        },
        confidence: None,
        raw_details: None,
    };
    lab.engine.corroborate(signal, &detector()).await.unwrap();
    lab.seconds(400).await;
    let helper = "  helper: {mode: corroborating, match_dimensions: [customer_id], weight: 0.8, default_confidence: 0.6}\n";
    assert!(kind.yaml().contains(helper));
    let deaf = Config::read(&kind.yaml().replace(helper, ""));
    let (results, summary) = replay(lab.store.as_ref(), &deaf, lab.now()).await;
    let difference = results[0].diff.as_ref().unwrap();
    assert_eq!((difference.diff, summary.mitigations), (Diff::Missing, 0));
    assert_eq!(difference.changes.iter().map(|change| change.field).collect::<Vec<_>>(), ["mitigated_later"]);
}
