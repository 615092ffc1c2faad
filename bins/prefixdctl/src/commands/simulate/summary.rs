//! The outcome of a simulation in few words: what would have been different, for people on call.

use crate::output::{Eyes, Prose, Tone};
use prefix_client::{SimulatedEvent, SimulationSummary};

/// Recorded events by what is different.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    same: u64,
    added: u64,
    missing: u64,
    rule: u64,
    duration: u64,
    other: u64,
}

impl Tally {
    /// Counts one by its word and the names of its changes.
    pub(super) fn count<'a>(&mut self, diff: &str, mut fields: impl Iterator<Item = &'a str> + Clone) {
        let place = match diff {
            "same" => &mut self.same,
            "added" => &mut self.added,
            "missing" => &mut self.missing,
            _ if fields.clone().any(|field| matches!(field, "action" | "flow")) => &mut self.rule,
            _ if fields.any(|field| field == "duration_seconds") => &mut self.duration,
            _ => &mut self.other,
        };
        *place += 1;
    }

    /// Of results that are all there.
    pub(super) fn of(results: &[SimulatedEvent]) -> Self {
        let mut tally = Self::default();
        for result in results {
            if let Some(diff) = &result.diff {
                tally.count(diff.as_str(), result.changes.iter().map(|change| change.field.as_str()));
            }
        }
        tally
    }

    /// How many are not the same.
    pub(super) fn differences(&self) -> u64 {
        self.added + self.missing + self.rule + self.duration + self.other
    }
}

/// The summary; `tally` for recorded events.
pub(super) fn summary(eyes: Eyes, summary: &SimulationSummary, tally: Option<&Tally>) -> String {
    let mut prose = Prose::new(eyes);
    let SimulationSummary { events, mitigations, extended, held, refused, withdrawn, peak_rules, .. } =
        summary;
    prose.toned(
        Tone::Strong,
        &format!("{events} events: {mitigations} mitigations, at most {peak_rules} rules at once"),
    );
    prose.line(format!("  {extended} renewed one, {withdrawn} ended one, {held} held, {refused} refused"));
    if !summary.by_guardrail.is_empty() {
        let codes = summary.by_guardrail.iter().map(|(code, count)| format!("{code} {count}"));
        prose.line(format!("  by guardrail: {}", codes.collect::<Vec<_>>().join(", ")));
    }
    if let Some(tally) = tally {
        prose.heading("against what was done");
        for (tone, count, text) in [
            (Tone::Good, tally.added, "would have been mitigated, and were not"),
            (Tone::Bad, tally.missing, "would not have been mitigated, and were"),
            (Tone::Warn, tally.rule, "another rule or action"),
            (Tone::Warn, tally.duration, "another duration"),
            (Tone::Warn, tally.other, "another outcome"),
            (Tone::Dim, tally.same, "the same"),
        ] {
            let tone = if count == 0 { Tone::Dim } else { tone };
            prose.toned(tone, &format!("  {count:>9}  {text}"));
        }
    }
    prose.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_where_it_matters_most() {
        let mut tally = Tally::default();
        for (diff, fields) in [
            ("same", &[][..]),
            ("added", &["status", "action"]),
            ("missing", &["status"]),
            ("changed", &["duration_seconds", "action"]),
            ("changed", &["duration_seconds"]),
            ("changed", &["guardrail"]),
        ] {
            tally.count(diff, fields.iter().copied());
        }
        assert_eq!(tally, Tally { same: 1, added: 1, missing: 1, rule: 1, duration: 1, other: 1 });
        assert_eq!(tally.differences(), 5);
    }
}
