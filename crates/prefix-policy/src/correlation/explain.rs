//! A group in words: who said what, what it amounts to, and what is needed.

use std::fmt::Write;

use chrono::{DateTime, Utc};
use prefix_core::signal::{ConfidenceMode, Signal, SignalGroup, SignalRole, Witness};

use super::is_enough;
use super::score::{Score, half};
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
    let named =
        score.witnesses.iter().take(MOST_NAMED).map(|witness| words(witness, group, mode, terms, now));
    let mut named: Vec<String> = named.collect();
    if let more @ 1.. = score.witnesses.len().saturating_sub(MOST_NAMED) {
        named.push(format!("and {more} more"));
    }
    let decay = match terms.half_life_seconds {
        0 => String::new(),
        seconds => format!(", halved every {seconds} s"),
    };
    let mut text = format!(
        "{} of {} sources agree ({}); {mode}{decay} gives confidence {}, {} is needed",
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
        let _ = write!(text, "; the window ends in {rest} s");
    } else if !is_enough(score, terms) {
        text.push_str("; it was enough before, and that stays");
    }
    text
}

fn words(
    witness: &Witness,
    group: &SignalGroup,
    mode: ConfidenceMode,
    terms: &CorrelationTerms,
    now: DateTime<Utc>,
) -> String {
    let of_identity: Vec<&Signal> =
        group.signals.iter().filter(|signal| signal.identity == witness.identity).collect();
    let only_corroborates = of_identity.iter().all(|signal| signal.role == SignalRole::Corroborating);
    let role = if only_corroborates { " corroborating" } else { "" };
    let value = match mode {
        ConfidenceMode::NoisyOr => {
            short(witness.score) + &factors(&of_identity, group, terms, now).unwrap_or_default()
        }
        ConfidenceMode::WeightedMean => {
            format!("{} of weight {}", short(witness.weighted), short(witness.weight))
        }
    };
    format!("{}{role} {value}", witness.identity)
}

/// What the score of an identity is the product of, unless it is its bare confidence.
fn factors(
    signals: &[&Signal],
    group: &SignalGroup,
    terms: &CorrelationTerms,
    now: DateTime<Utc>,
) -> Option<String> {
    let decays = terms.half_life_seconds > 0 && group.signals.len() > 1;
    let left = |signal: &Signal| {
        if decays { half(now, signal.received_at, terms.half_life_seconds) } else { 1.0 }
    };
    let value = |signal: &&&Signal| signal.weight * signal.confidence.value() * left(signal);
    let strongest = signals.iter().max_by(|a, b| value(a).total_cmp(&value(b)))?;
    let mut text = format!("confidence {}", short(strongest.confidence.value()));
    let bare = text.len();
    if (strongest.weight - 1.0).abs() > f64::EPSILON {
        let _ = write!(text, " x weight {}", short(strongest.weight));
    }
    if left(strongest) < 1.0 {
        let age = (now - strongest.received_at).num_seconds();
        let _ = write!(text, " x {} for its age of {age} s", short(left(strongest)));
    }
    (text.len() > bare).then(|| format!(" = {text}"))
}

/// At most three digits after the point.
fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
