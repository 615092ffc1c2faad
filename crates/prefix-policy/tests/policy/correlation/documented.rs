//! The worked examples of docs/correlation.md: what stands there is what the policy says.

use prefix_core::decision::Stage as Station;
use prefix_core::signal::ConfidenceMode;
use prefix_policy::PolicyParts;
use prefix_policy::settings::{Dimension, SourcePolicy};

use super::stage::Stage;
use super::{corroborating, of_customer, sources};
use crate::lab::{HOST, Lab, Saying, discard, report};

const PAGE: &str = include_str!("../../../../../docs/correlation.md");

/// Two must agree.
fn two(threshold: f64, change: impl FnOnce(&mut PolicyParts)) -> Stage {
    Stage::with(Lab::with_steps(discard()), |parts| {
        parts.correlation.min_sources = 2;
        parts.correlation.confidence_threshold = threshold;
        change(parts);
    })
}

/// Reports, and what was said of the numbers.
fn says(stage: &mut Stage, source: &str, confidence: f64) -> (&'static str, String) {
    let status = stage.says(&report("udp_flood", HOST).from(source).sure(confidence));
    let trace = &stage.events.last().unwrap().decision.trace;
    let line = trace.iter().find(|line| line.stage == Station::Correlation).unwrap();
    (status, line.detail.split_once(": ").unwrap().1.to_owned())
}

#[track_caller]
fn is_documented(seen: (&str, String), status: &str, confidence: &str) {
    assert_eq!(seen.0, status, "{}", seen.1);
    assert!(seen.1.contains(&format!("gives confidence {confidence},")), "{}", seen.1);
    assert!(PAGE.contains(&seen.1), "docs/correlation.md does not say: {}", seen.1);
}

#[test]
fn two_witnesses() {
    let mut stage = two(0.6, |_| {});
    is_documented(says(&mut stage, "flow", 0.6), "held", "0.6");
    is_documented(says(&mut stage, "fnm", 0.5), "accepted", "0.8");
}

#[test]
fn one_source_twice() {
    let mut stage = two(0.6, |_| {});
    says(&mut stage, "flow", 0.6);
    is_documented(says(&mut stage, "flow", 0.9), "held", "0.9");
}

#[test]
fn a_weight() {
    let mut stage = two(0.6, |parts| {
        parts.correlation.sources =
            sources(&[("fnm", SourcePolicy { weight: 0.5, ..SourcePolicy::default() })]);
    });
    says(&mut stage, "flow", 0.6);
    is_documented(says(&mut stage, "fnm", 0.8), "accepted", "0.76");
}

#[test]
fn a_mean() {
    let mut stage = two(0.6, |parts| parts.correlation.confidence_mode = ConfidenceMode::WeightedMean);
    says(&mut stage, "flow", 0.6);
    is_documented(says(&mut stage, "fnm", 0.5), "held", "0.55");
}

#[test]
fn decay() {
    let mut stage = two(0.6, |parts| parts.correlation.confidence_decay_half_life_seconds = 60);
    says(&mut stage, "flow", 0.8);
    stage.later(60);
    is_documented(says(&mut stage, "fnm", 0.3), "held", "0.58");
}

#[test]
fn a_corroborator() {
    let mut stage = two(0.7, |parts| {
        parts.correlation.sources = sources(&[("netflow", corroborating(&[Dimension::CustomerId]))]);
    });
    is_documented(says(&mut stage, "flow", 0.5), "held", "0.5");
    let done = stage.corroborates("netflow", of_customer(None), 0.5).unwrap();
    assert_eq!(done.mitigation_ids.len(), 1);
    let said = stage.living()[0].correlation.as_ref().unwrap().explanation.clone();
    is_documented(("", said), "", "0.75");
}
