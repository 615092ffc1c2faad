//! correlation.yaml: how reports of several sources become one judgement, and how each source reports.

use std::collections::BTreeMap;

use prefix_core::confidence::Confidence;
use prefix_core::name::SourceName;
use prefix_policy::settings::{
    ConfidenceMode, CorrelationSettings, CorrelationTerms, Dimension, Reports, SourceMode, SourcePolicy,
    Sources,
};
use serde::{Deserialize, Serialize};

use super::finding::Remark;
use super::path::KeyPath;
use super::policy::narrow;

pub mod adapter;
mod quorum;
mod words;

pub(super) use self::quorum::{check_playbooks, contradicted};

use self::adapter::AdapterKeys;

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
    pub sources: BTreeMap<SourceName, SourceKeys>,
    /// Own intake formats.
    pub webhook_adapters: Vec<AdapterKeys>,
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
            sources: BTreeMap::new(),
            webhook_adapters: Vec::new(),
        }
    }
}

/// `sources.<name>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SourceKeys {
    /// 0 or more.
    pub weight: f64,
    /// A label.
    #[serde(rename = "type")]
    pub label: String,
    /// For signals without confidence.
    pub default_confidence: Confidence,
    /// Word of an adapter to confidence.
    pub confidence_mapping: BTreeMap<String, Confidence>,
    /// Repeats, or begin and end only; missing = as its adapter says.
    pub reports: Option<Reports>,
    /// How long an edge source's lease holds at most, seconds.
    pub edge_hold_seconds: u64,
    /// When its silence is an alarm, seconds; 0 = never.
    pub silent_after_seconds: u64,
    /// Whether it may trigger.
    pub mode: SourceMode,
    /// What a corroborating source is matched by.
    pub match_dimensions: Vec<Dimension>,
}

impl Default for SourceKeys {
    fn default() -> Self {
        Self {
            weight: 1.0,
            label: String::new(),
            default_confidence: Confidence::default(),
            confidence_mapping: BTreeMap::new(),
            reports: None,
            edge_hold_seconds: 3600,
            silent_after_seconds: 0,
            mode: SourceMode::Primary,
            match_dimensions: Vec::new(),
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

    /// What policy needs to know of the sources, whether correlation is on or not.
    pub fn sources(&self) -> Sources {
        Sources::new(self.sources.iter().map(|(name, keys)| (name.clone(), keys.policy())).collect())
    }
}

impl SourceKeys {
    fn policy(&self) -> SourcePolicy {
        SourcePolicy {
            weight: self.weight,
            label: self.label.clone(),
            default_confidence: self.default_confidence,
            confidence_mapping: self.confidence_mapping.clone(),
            reports: self.reports,
            edge_hold_seconds: narrow(self.edge_hold_seconds),
            silent_after_seconds: narrow(self.silent_after_seconds),
            mode: self.mode,
            match_dimensions: self.match_dimensions.clone(),
        }
    }
}

/// Checks everything that a single key cannot say.
pub fn check(keys: &CorrelationKeys) -> Vec<Remark> {
    let mut remarks = Vec::new();
    let mut error = |path: KeyPath, text: String| remarks.push(Remark::error(path, text));
    let at = KeyPath::dotted;
    if keys.window_seconds == 0 {
        error(at("window_seconds"), "window_seconds must be above 0".to_owned());
    }
    if keys.min_sources == 0 {
        error(at("min_sources"), "min_sources must be 1 or more, not 0".to_owned());
    }
    if !(0.0..=1.0).contains(&keys.confidence_threshold) {
        error(
            at("confidence_threshold"),
            format!("confidence_threshold must be 0..1, not {}", keys.confidence_threshold),
        );
    }
    if !is_weight(keys.default_weight) {
        error(at("default_weight"), format!("default_weight must be 0 or more, not {}", keys.default_weight));
    }
    let longest = keys.longest_half_life();
    if keys.confidence_decay_half_life_seconds > longest {
        error(
            at("confidence_decay_half_life_seconds"),
            format!(
                "confidence_decay_half_life_seconds must be at most {longest} (10 x window_seconds), not {}",
                keys.confidence_decay_half_life_seconds
            ),
        );
    }
    for (name, source) in &keys.sources {
        check_source(name, source, &mut error);
    }
    quorum::check(keys, &mut remarks);
    remarks
}

fn check_source(name: &SourceName, source: &SourceKeys, error: &mut impl FnMut(KeyPath, String)) {
    let at = |key: &str| KeyPath::root().key("sources").key(name.as_str()).key(key);
    if !is_weight(source.weight) {
        error(at("weight"), format!("sources.{name}.weight must be 0 or more, not {}", source.weight));
    }
    if source.edge_hold_seconds == 0 || source.edge_hold_seconds > 86_400 {
        let seconds = source.edge_hold_seconds;
        error(
            at("edge_hold_seconds"),
            format!("sources.{name}.edge_hold_seconds must be 1..86400, not {seconds}"),
        );
    }
    match (source.mode, source.match_dimensions.is_empty()) {
        (SourceMode::Corroborating, true) => error(
            at("mode"),
            format!(
                "sources.{name}: mode corroborating needs match_dimensions[]: what do its signals share with an attack?"
            ),
        ),
        (SourceMode::Primary, false) => error(
            at("match_dimensions"),
            format!("sources.{name}.match_dimensions is only allowed with mode: corroborating"),
        ),
        _ => {}
    }
}

fn is_weight(weight: f64) -> bool {
    weight.is_finite() && weight >= 0.0
}
