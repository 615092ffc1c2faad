//! How far away a time is, in at most two units.

use chrono::{DateTime, Utc};

const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];

/// A length of time: `45s`, `4m 12s`, `3h`, `2d 4h`.
pub(crate) fn span(seconds: u64) -> String {
    let Some(first) = UNITS.iter().position(|(length, _)| seconds >= *length) else { return "0s".to_owned() };
    let (length, letter) = UNITS[first];
    let (count, rest) = (seconds / length, seconds % length);
    match UNITS.get(first + 1) {
        // Beyond ten of the larger unit the smaller one is noise.
        Some((smaller, small_letter)) if count < 10 && rest / smaller > 0 => {
            format!("{count}{letter} {}{small_letter}", rest / smaller)
        }
        _ => format!("{count}{letter}"),
    }
}

/// A time as seen from `now`: `4m ago`, `in 30s`, `now`.
pub(crate) fn age(time: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let seconds = (now - time).num_seconds();
    match seconds {
        0 => "now".to_owned(),
        seconds if seconds > 0 => format!("{} ago", span(seconds.unsigned_abs())),
        seconds => format!("in {}", span(seconds.unsigned_abs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_at_most_two_units() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (252, "4m 12s"),
            (600, "10m"),
            (659, "10m"),
            (3_600, "1h"),
            (7_260, "2h 1m"),
            (86_400 * 2 + 4 * 3_600, "2d 4h"),
            (86_400 * 400, "400d"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }

    #[test]
    fn a_time_is_told_from_now() {
        let now = DateTime::from_timestamp(1_000_000, 0).unwrap();
        let at = |offset: i64| age(now + chrono::TimeDelta::seconds(offset), now);
        assert_eq!(at(0), "now");
        assert_eq!(at(-90), "1m 30s ago");
        assert_eq!(at(30), "in 30s");
    }
}
