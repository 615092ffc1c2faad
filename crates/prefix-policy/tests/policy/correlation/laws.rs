//! What holds for every sequence of signals.

use proptest::prelude::*;
use proptest::sample::select;

use super::stage::Stage;
use super::{corroborating, of_customer, sources, two_of};
use crate::lab::{HOST, Saying, report};
use prefix_policy::settings::{Dimension, SourcePolicy};

/// One signal: who, and how sure.
#[derive(Clone, Debug)]
struct Said {
    source: &'static str,
    confidence: f64,
    supports: bool,
}

fn said() -> impl Strategy<Value = Said> {
    let source = select(vec!["a", "b", "c", "helper"]);
    (source, 0_u32..=100, any::<bool>()).prop_map(|(source, percent, supports)| Said {
        source,
        confidence: f64::from(percent) / 100.0,
        supports,
    })
}

fn stage(min_sources: u32, threshold: f64, weight: f64) -> Stage {
    let heavy = SourcePolicy { weight, ..SourcePolicy::default() };
    let entries = [("helper", corroborating(&[Dimension::CustomerId])), ("c", heavy)];
    two_of(|parts| {
        parts.correlation.sources = sources(&entries);
        parts.correlation.min_sources = min_sources;
        parts.correlation.confidence_threshold = threshold;
    })
}

fn take(stage: &mut Stage, said: &Said) {
    if said.source == "helper" {
        stage.corroborates("helper", of_customer(None), said.confidence).unwrap();
        return;
    }
    let mut report = report("udp_flood", HOST).from(said.source).sure(said.confidence);
    if said.supports {
        report.reach = prefix_core::event::Reach::Supporting;
    }
    stage.says(&report);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_arrival_never_changes_whether_a_group_is_met(
        (signals, shuffled) in prop::collection::vec(said(), 1..9)
            .prop_flat_map(|signals| (Just(signals.clone()), Just(signals).prop_shuffle())),
        min_sources in 1_u32..4, threshold in select(vec![0.0, 0.3, 0.6, 0.8, 0.95, 1.0]),
        weight in select(vec![0.0, 0.5, 1.0, 3.0]),
    ) {
        let met = |signals: &[Said]| {
            let mut stage = stage(min_sources, threshold, weight);
            for said in signals {
                take(&mut stage, said);
                stage.later(3);
            }
            (stage.groups.values().any(|group| group.met), stage.living().len())
        };
        prop_assert_eq!(met(&signals), met(&shuffled));
    }

    #[test]
    fn a_source_that_agrees_never_lowers_the_confidence(
        signals in prop::collection::vec(said(), 1..9), weight in select(vec![0.0, 0.5, 1.0, 3.0]),
    ) {
        // a quorum that nobody reaches, so that every signal joins the one group
        let mut stage = stage(9, 1.0, weight);
        stage.says(&report("udp_flood", HOST).from("a").sure(0.1));
        let mut before = 0.0;
        for said in &signals {
            take(&mut stage, said);
            let now = stage.group().derived_confidence.value();
            prop_assert!(now >= before, "{before} became {now}");
            before = now;
        }
    }
}
