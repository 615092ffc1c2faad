//! Durations (`90s`, `5m`, `1h30m`, `7d`) and moments (RFC 3339, or a duration ago).

use chrono::{DateTime, TimeDelta, Utc};
use std::str::FromStr;

/// A length of time in whole seconds, at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seconds(pub(crate) u64);

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || format!("`{text}` is no duration: write it like 90s, 5m, 1h30m or 7d");
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            let seconds = text.parse().map_err(|_| refused())?;
            return if seconds == 0 { Err(refused()) } else { Ok(Self(seconds)) };
        }
        let mut total: u64 = 0;
        let mut number = String::new();
        let mut smallest = u64::MAX;
        for letter in text.chars() {
            if letter.is_ascii_digit() {
                number.push(letter);
                continue;
            }
            let unit: u64 = match letter {
                's' => 1,
                'm' => 60,
                'h' => 3_600,
                'd' => 86_400,
                'w' => 604_800,
                _ => return Err(refused()),
            };
            // `5m1h` is a slip of the finger, not a duration.
            if unit >= smallest {
                return Err(refused());
            }
            smallest = unit;
            let count: u64 = number.parse().map_err(|_| refused())?;
            total = count.checked_mul(unit).and_then(|part| total.checked_add(part)).ok_or_else(refused)?;
            number.clear();
        }
        if !number.is_empty() || total == 0 { Err(refused()) } else { Ok(Self(total)) }
    }
}

/// A point in time: RFC 3339, or how long ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    At(DateTime<Utc>),
    Ago(TimeDelta),
}

impl Moment {
    /// The time, seen from `now`.
    pub(crate) fn resolve(self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::At(time) => time,
            Self::Ago(delta) => now.checked_sub_signed(delta).unwrap_or(DateTime::UNIX_EPOCH),
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::At(time.with_timezone(&Utc)));
        }
        let refused =
            || format!("`{text}` is no time: write RFC 3339 (2026-11-22T10:00:00Z) or how long ago (2h, 7d)");
        let seconds = text.parse::<Seconds>().map_err(|_| refused())?;
        let seconds = i64::try_from(seconds.0).map_err(|_| refused())?;
        TimeDelta::try_seconds(seconds).map(Self::Ago).ok_or_else(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_all_their_forms() {
        for (text, seconds) in
            [("90", 90), ("90s", 90), ("5m", 300), ("1h30m", 5_400), ("7d", 604_800), ("1w", 604_800)]
        {
            assert_eq!(text.parse(), Ok(Seconds(seconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "0", "0s", "m", "5x", "-5m", "5m1h", "1h1h", "5m3", "1.5h", "99999999999999999999d"]
        {
            let result = text.parse::<Seconds>();
            assert!(result.is_err(), "{text}: {result:?}");
        }
    }

    #[test]
    fn a_moment_is_a_time_or_how_long_ago() {
        let now = DateTime::from_timestamp(10_000, 0).unwrap();
        assert_eq!("2h".parse::<Moment>().unwrap().resolve(now), DateTime::from_timestamp(2_800, 0).unwrap());
        let time = "2026-11-22T11:00:00+01:00".parse::<Moment>().unwrap();
        assert_eq!(time.resolve(now).to_rfc3339(), "2026-11-22T10:00:00+00:00");
        assert!("yesterday".parse::<Moment>().is_err());
        assert_eq!("99999999999999s".parse::<Moment>().unwrap().resolve(now), DateTime::UNIX_EPOCH);
    }
}
