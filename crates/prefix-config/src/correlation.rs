//! correlation.yaml: how reports of several sources become one judgement, and how each source reports.

use prefix_core::confidence::Confidence;
use prefix_core::name::SourceName;
use prefix_diagnostics::{Diagnostic, Diagnostics, KeyPath};
use prefix_policy::settings::{
    ConfidenceMode, CorrelationSettings, CorrelationTerms, SourceMode, SourcePolicy, Sources,
};
use prefix_signals::webhook::AdapterDocument;
use serde::{Deserialize, Serialize};

pub mod adapter;
mod quorum;
mod vectors;

pub(super) use self::quorum::{check_playbooks, contradicted};

/// The document, defaults filled in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CorrelationKeys {
    /// Off: every ban goes straight to the playbooks.
    pub enabled: bool,
    /// How confidences are joined.
    pub confidence_mode: ConfidenceMode,
    /// Fixed from the first signal of a group.
    pub window_seconds: u64,
    /// Identities that must agree.
    pub min_sources: u32,
    /// 0..=1.
    pub confidence_threshold: f64,
    /// Weight of sources without entry.
    pub default_weight: f64,
    /// 0 = off.
    pub confidence_decay_half_life_seconds: u64,
    /// By name.
    pub sources: Sources,
    /// Own intake formats.
    pub webhook_adapters: Vec<AdapterDocument>,
}

impl Default for CorrelationKeys {
    fn default() -> Self {
        Self {
            enabled: false,
            confidence_mode: ConfidenceMode::NoisyOr,
            window_seconds: 300,
            min_sources: 1,
            confidence_threshold: 0.5,
            default_weight: 1.0,
            confidence_decay_half_life_seconds: 0,
            sources: Sources::default(),
            webhook_adapters: Vec::new(),
        }
    }
}

impl CorrelationKeys {
    /// How far sources must agree.
    pub fn settings(&self) -> CorrelationSettings {
        CorrelationSettings {
            enabled: self.enabled,
            mode: self.confidence_mode,
            window_seconds: narrow(self.window_seconds),
            terms: CorrelationTerms {
                min_sources: self.min_sources,
                confidence_threshold: Confidence::clamped(self.confidence_threshold),
                half_life_seconds: narrow(self.confidence_decay_half_life_seconds),
            },
            default_weight: self.default_weight,
        }
    }

    /// The longest half life of the decay, seconds.
    fn longest_half_life(&self) -> u64 {
        self.window_seconds.saturating_mul(10)
    }
}

fn narrow(seconds: u64) -> u32 {
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

/// Checks everything that a single key cannot say.
pub fn check(keys: &CorrelationKeys) -> Vec<Diagnostic> {
    let mut found = Diagnostics::default();
    if keys.window_seconds == 0 {
        found.error("window_seconds", "window_seconds must be above 0");
    }
    if keys.min_sources == 0 {
        found.error("min_sources", "min_sources must be 1 or more, not 0");
    }
    found.range("confidence_threshold", keys.confidence_threshold, 0.0..=1.0);
    if !is_weight(keys.default_weight) {
        found.error(
            "default_weight",
            format!("default_weight must be 0 or more, not {}", keys.default_weight),
        );
    }
    let (half_life, longest) = (keys.confidence_decay_half_life_seconds, keys.longest_half_life());
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
            ": mode corroborating needs match_dimensions[]: what do its signals share with an attack?".to_owned(),
        ),
        (SourceMode::Primary, false) => error(
            "match_dimensions",
            ".match_dimensions is only allowed with mode: corroborating".to_owned(),
        ),
        _ => {}
    }
}

fn is_weight(weight: f64) -> bool {
    weight.is_finite() && weight >= 0.0
}
