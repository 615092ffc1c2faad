//! correlation.yaml: how reports of several sources become one judgement, and how each source reports.

use prefix_core::name::SourceName;
use prefix_diagnostics::{Diagnostic, Diagnostics, KeyPath};
use prefix_policy::settings::{CorrelationSettings, SourceMode, SourcePolicy};
use prefix_signals::webhook::AdapterDocument;

pub mod adapter;
mod quorum;
mod vectors;

pub(super) use self::quorum::{check_playbooks, contradicted};
pub(super) use self::vectors::{missing_for_adapters, missing_in_playbooks};

/// The document, defaults filled in.
pub type CorrelationKeys = CorrelationSettings<AdapterDocument>;

/// The longest half life of the decay, seconds.
fn longest_half_life(keys: &CorrelationKeys) -> u64 {
    keys.window_seconds.saturating_mul(10)
}

/// Checks everything that a single key cannot say.
pub fn check(keys: &CorrelationKeys) -> Vec<Diagnostic> {
    let mut found = Diagnostics::default();
    if keys.window_seconds == 0 {
        found.error_of("window_seconds", "must be above 0");
    }
    if keys.min_sources == 0 {
        found.error_of("min_sources", "must be 1 or more, not 0");
    }
    found.range("confidence_threshold", keys.confidence_threshold, 0.0..=1.0);
    if !is_weight(keys.default_weight) {
        found.error_of("default_weight", format!("must be 0 or more, not {}", keys.default_weight));
    }
    let (half_life, longest) = (keys.confidence_decay_half_life_seconds, longest_half_life(keys));
    if half_life > longest {
        let key = "confidence_decay_half_life_seconds";
        found.error(key, format!("{key} must be at most {longest} (10 x window_seconds), not {half_life}"));
    }
    for (name, source) in keys.sources.iter() {
        check_source(name, source, &mut found);
    }
    quorum::check(keys, &mut found);
    found.into_vec()
}

fn check_source(name: &SourceName, source: &SourcePolicy, found: &mut Diagnostics) {
    let mut error = |key: &str, text: String| {
        found.error(KeyPath::from("sources").key(name.as_str()).key(key), format!("sources.{name}{text}"));
    };
    if !is_weight(source.weight) {
        error("weight", format!(".weight must be 0 or more, not {}", source.weight));
    }
    let seconds = source.edge_hold_seconds;
    if !(1..=86_400).contains(&seconds) {
        error("edge_hold_seconds", format!(".edge_hold_seconds must be 1..86400, not {seconds}"));
    }
    match (source.mode, source.match_dimensions.is_empty()) {
        (SourceMode::Corroborating, true) => error(
            "mode",
            ": mode corroborating needs match_dimensions[]: what do its signals share with an attack?"
                .to_owned(),
        ),
        (SourceMode::Primary, false) => {
            error(
                "match_dimensions",
                ".match_dimensions is only allowed with mode: corroborating".to_owned(),
            );
        }
        _ => {}
    }
}

fn is_weight(weight: f64) -> bool {
    weight.is_finite() && weight >= 0.0
}
