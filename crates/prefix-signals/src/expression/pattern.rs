//! Regular expressions of bounded size. They run without tables that grow while they are used.

use regex_automata::Input;
use regex_automata::meta::{BuildError, Config, Regex};
use thiserror::Error;

use super::{ExpressionBudget, Steps};

/// The longest pattern, in octets.
pub const LONGEST_PATTERN: usize = 512;
/// The largest compiled pattern, in octets of memory.
pub const LARGEST_PATTERN: usize = 256 << 10;
/// The most groups of a pattern, the whole match included.
pub const MOST_GROUPS: usize = 16;
/// A longer text, in octets, is not searched: what detectors write into one member is short.
const LONGEST_TEXT: usize = 4096;
/// So many octets of a compiled pattern cost a step for each octet of the text.
const OCTETS_PER_STEP: usize = 1024;

/// Whether a pattern must fit the text from its beginning to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchored {
    /// The whole text.
    Yes,
    /// Some part of it.
    No,
}

/// Why a text is no pattern, or none that is accepted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PatternError {
    /// Longer than [`LONGEST_PATTERN`].
    #[error("the pattern has {0} octets, at most {LONGEST_PATTERN} are accepted")]
    TooLong(usize),
    /// It cannot be read.
    #[error("{text:?} is no regular expression: {what}")]
    Syntax {
        /// The pattern.
        text: String,
        /// What is wrong.
        what: String,
    },
    /// More groups than [`MOST_GROUPS`].
    #[error("{text:?} has more than {} groups: write (?:...) where nothing is extracted", MOST_GROUPS - 1)]
    TooManyGroups {
        /// The pattern.
        text: String,
    },
    /// Larger than [`LARGEST_PATTERN`].
    #[error(
        "{text:?} needs more than {} KiB of memory: use smaller counts in {{}}, or ASCII classes like [0-9A-Za-z_] or (?-u:\\w)",
        LARGEST_PATTERN >> 10
    )]
    TooLarge {
        /// The pattern.
        text: String,
    },
    /// The patterns of the configuration are too large together.
    #[error(
        "{text:?} is one too many: the regular expressions of this configuration need more than {} KiB of memory together",
        ExpressionBudget::MOST_PATTERN_OCTETS >> 10
    )]
    TooLargeTogether {
        /// The pattern.
        text: String,
    },
}

/// A compiled regular expression.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles a pattern and charges its memory to the budget.
    ///
    /// # Errors
    /// The text is no regular expression, or exceeds a bound.
    pub fn compile(
        text: &str,
        anchored: Anchored,
        budget: &mut ExpressionBudget,
    ) -> Result<Self, PatternError> {
        if text.len() > LONGEST_PATTERN {
            return Err(PatternError::TooLong(text.len()));
        }
        if !budget.has_room_for_patterns() {
            return Err(PatternError::TooLargeTogether { text: text.to_owned() });
        }
        let compiled = Self::within_bounds(text, anchored);
        // the time that one took which is too large is to be paid for as well
        let size = match &compiled {
            Ok(pattern) => pattern.size(),
            Err(PatternError::TooLarge { .. }) => LARGEST_PATTERN,
            Err(_) => 0,
        };
        if !budget.take_pattern(size) && compiled.is_ok() {
            return Err(PatternError::TooLargeTogether { text: text.to_owned() });
        }
        compiled
    }

    fn within_bounds(text: &str, anchored: Anchored) -> Result<Self, PatternError> {
        // as it was written first: a pattern like `a)|(b` must not become one by what is put around it
        let mut regex = build(text, text)?;
        if anchored == Anchored::Yes {
            regex = build(text, &format!("\\A(?:{text})\\z"))?;
        }
        if regex.captures_len() > MOST_GROUPS {
            return Err(PatternError::TooManyGroups { text: text.to_owned() });
        }
        if regex.memory_usage() > LARGEST_PATTERN {
            return Err(PatternError::TooLarge { text: text.to_owned() });
        }
        Ok(Self(regex))
    }

    /// How many groups it has, the whole match included.
    pub fn groups(&self) -> usize {
        self.0.captures_len()
    }

    /// Its size in memory, in octets.
    pub fn size(&self) -> usize {
        self.0.memory_usage()
    }

    /// A group of the first match. `None` also if the text is too long, or the steps are used up.
    pub fn group<'t>(&self, text: &'t str, group: usize, steps: &Steps) -> Option<&'t str> {
        self.charge(text, steps)?;
        let mut captures = self.0.create_captures();
        self.0.captures(Input::new(text), &mut captures);
        text.get(captures.get_group(group)?.range())
    }

    /// Whether the text fits. False also if the text is too long, or the steps are used up.
    pub fn fits(&self, text: &str, steps: &Steps) -> bool {
        self.charge(text, steps).is_some() && self.0.is_match(Input::new(text))
    }

    fn charge(&self, text: &str, steps: &Steps) -> Option<()> {
        let cost = (text.len() + 1) * (1 + self.size() / OCTETS_PER_STEP);
        (text.len() <= LONGEST_TEXT && steps.take(cost).is_continue()).then_some(())
    }
}

/// Compiles what a pattern was made into; errors show the pattern.
fn build(pattern: &str, made: &str) -> Result<Regex, PatternError> {
    Regex::builder().configure(config()).build(made).map_err(|error| refused(pattern, &error))
}

/// Only the simulation of the automaton: the other engines keep tables beside it, per thread and up to megabytes.
fn config() -> Config {
    Config::new()
        .nfa_size_limit(Some(LARGEST_PATTERN))
        .hybrid(false)
        .dfa(false)
        .onepass(false)
        .backtrack(false)
}

fn refused(text: &str, error: &BuildError) -> PatternError {
    if error.size_limit().is_some() {
        return PatternError::TooLarge { text: text.to_owned() };
    }
    let what = error.syntax_error().map_or_else(|| error.to_string(), ToString::to_string);
    // its first lines only draw the pattern
    let what = what.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
    PatternError::Syntax { text: text.to_owned(), what }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(text: &str) -> Result<Pattern, PatternError> {
        Pattern::compile(text, Anchored::No, &mut ExpressionBudget::default())
    }

    #[test]
    fn a_pattern_that_people_write_is_accepted_and_extracts() {
        let steps = Steps::default();
        for (text, group, of, expected) in [
            ("([0-9.]+)", 1, "rate 1.5 Gbps", Some("1.5")),
            (r"(\w+)-(\d+)", 2, "flood-17", Some("17")),
            (r"(?i)^(udp|tcp)", 0, "UDP flood", Some("UDP")),
            ("x", 0, "y", None),
        ] {
            assert_eq!(compile(text).unwrap().group(of, group, &steps), expected, "{text}");
        }
        let whole = Pattern::compile("ab|cd", Anchored::Yes, &mut ExpressionBudget::default()).unwrap();
        assert!(whole.fits("cd", &steps) && !whole.fits("xcd", &steps) && !whole.fits("abx", &steps));
    }

    #[test]
    fn one_that_is_too_large_is_refused_with_what_would_be_right() {
        for (text, part) in [
            (r"\w{9}{9}{9}", "ASCII classes"),
            ("(((a{100}){100}){100})", "smaller counts"),
            (&"a".repeat(513) as &str, "513 octets"),
            (&"()".repeat(16), "(?:...)"),
            ("a)|(b", "is no regular expression"),
            ("(", "is no regular expression: unclosed group"),
        ] {
            let error = compile(text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn two_hundred_short_patterns_stay_within_the_budget() {
        let mut budget = ExpressionBudget::default();
        let mut kept = Vec::new();
        let refused = loop {
            match Pattern::compile(r"\w{5}", Anchored::No, &mut budget) {
                Ok(pattern) => kept.push(pattern),
                Err(error) => break error,
            }
            assert!(kept.len() < 200, "nobody stopped it");
        };
        assert!(
            matches!(refused, PatternError::TooLargeTogether { .. } | PatternError::TooLarge { .. }),
            "{refused}"
        );
        let all: usize = kept.iter().map(Pattern::size).sum();
        assert!(all <= ExpressionBudget::MOST_PATTERN_OCTETS, "{all}");
    }

    #[test]
    fn a_search_costs_steps_and_a_long_text_is_not_searched() {
        let pattern = compile("b$").unwrap();
        let steps = Steps::new(100);
        assert_eq!(pattern.group(&"a".repeat(200), 0, &steps), None);
        assert!(steps.are_used_up());
        let steps = Steps::default();
        assert_eq!(pattern.group(&format!("{}b", "a".repeat(5000)), 0, &steps), None);
        assert!(!steps.are_used_up(), "it was not even begun");
    }
}
