//! How far reports of several sources must agree before something is done (configuration.md §5).

use chrono::TimeDelta;
use prefix_core::confidence::Confidence;
pub use prefix_core::signal::ConfidenceMode;

/// What makes a group enough: the values of a playbook, else those of correlation.yaml.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CorrelationTerms {
    /// Identities that must agree, at least 1.
    pub min_sources: u32,
    /// The confidence that they must reach together.
    pub confidence_threshold: Confidence,
    /// After so many seconds a signal weighs half; 0 = never.
    pub half_life_seconds: u32,
}

/// Correlation as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct CorrelationSettings {
    /// Off: every ban goes straight to the playbooks.
    pub enabled: bool,
    /// How confidences are joined.
    pub mode: ConfidenceMode,
    /// How long a group gathers signals, counted from its first; above 0.
    pub window_seconds: u32,
    /// Where the playbook does not say.
    pub terms: CorrelationTerms,
    /// The weight of sources without entry, from 0.
    pub default_weight: f64,
}

impl Default for CorrelationSettings {
    fn default() -> Self {
        Self {
            enabled: false,
            mode: ConfidenceMode::NoisyOr,
            window_seconds: 300,
            terms: CorrelationTerms {
                min_sources: 1,
                confidence_threshold: Confidence::clamped(0.5),
                half_life_seconds: 0,
            },
            default_weight: 1.0,
        }
    }
}

impl CorrelationSettings {
    /// How long a group gathers signals.
    pub fn window(&self) -> TimeDelta {
        TimeDelta::seconds(self.window_seconds.into())
    }
}
