//! A group in words: who said what, what it amounts to, and what is needed.

use chrono::{DateTime, Utc};
use prefix_core::signal::{ConfidenceMode, SignalGroup, SignalRole, Witness};

use super::score::Score;
use crate::settings::CorrelationTerms;

/// So many identities are named; the rest is counted.
const MOST_NAMED: usize = 8;

/// Which numbers stand against which thresholds.
pub fn explain(
    group: &SignalGroup,
    score: &Score,
    mode: ConfidenceMode,
    terms: &CorrelationTerms,
    now: DateTime<Utc>,
) -> String {
    let named = score.witnesses.iter().take(MOST_NAMED).map(|witness| words(witness, group, mode));
    let mut named: Vec<String> = named.collect();
    if let more @ 1.. = score.witnesses.len().saturating_sub(MOST_NAMED) {
        named.push(format!("and {more} more"));
    }
    let how = match mode {
        ConfidenceMode::NoisyOr => "noisy_or",
        ConfidenceMode::WeightedMean => "weighted_mean",
    };
    let decay = match terms.half_life_seconds {
        0 => String::new(),
        seconds => format!(", halved every {seconds} s"),
    };
    let mut text = format!(
        "{} of {} sources agree ({}); {how}{decay} gives confidence {}, {} is needed",
        score.source_count,
        terms.min_sources,
        named.join(", "),
        short(score.confidence.value()),
        short(terms.confidence_threshold.value()),
    );
    let has_primary = group.signals.iter().any(|signal| signal.role == SignalRole::Primary);
    if !has_primary {
        text.push_str("; none of them can trigger");
    }
    if !group.met {
        let rest = (group.window_ends_at - now).num_seconds().max(0);
        text.push_str(&format!("; the window ends in {rest} s"));
    }
    text
}

fn words(witness: &Witness, group: &SignalGroup, mode: ConfidenceMode) -> String {
    let mut of_identity = group.signals.iter().filter(|signal| signal.identity == witness.identity);
    let only_corroborates = of_identity.all(|signal| signal.role == SignalRole::Corroborating);
    let role = if only_corroborates { " corroborating" } else { "" };
    let value = match mode {
        ConfidenceMode::NoisyOr => short(witness.score),
        ConfidenceMode::WeightedMean => {
            format!("{} of weight {}", short(witness.weighted), short(witness.weight))
        }
    };
    format!("{}{role} {value}", witness.identity)
}

/// At most three digits after the point.
fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
