//! Rates as people write them (`10M`) and as the API carries them (whole bits or packets per second).

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

macro_rules! rates {
    ($($(#[$doc:meta])* $name:ident in $unit:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl FromStr for $name {
            type Err = RateError;

            fn from_str(text: &str) -> Result<Self, RateError> {
                parse(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(&format!(concat!("{}", $unit), humane(self.0)))
            }
        }

        #[cfg(feature = "domain")]
        impl From<prefix_core::rate::$name> for $name {
            fn from(rate: prefix_core::rate::$name) -> Self {
                Self(rate.get())
            }
        }
    )+};
}

rates! {
    /// Bits per second, 0 to 2^63-1.
    BitsPerSecond in "bit/s";
    /// Packets per second, 0 to 2^63-1.
    PacketsPerSecond in "pkt/s";
}

/// Why a text is no rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// Not a number with an optional suffix.
    #[error("`{0}` is no rate: write a number, with k, M, G or T for powers of 1000, such as 10M or 2.5G")]
    Malformed(String),
    /// Beyond 2^63-1.
    #[error("`{0}` is beyond the largest rate, 2^63-1")]
    TooLarge(String),
}

/// The suffixes, powers of 1000, largest first.
const SUFFIXES: [(char, u64); 4] =
    [('T', 1_000_000_000_000), ('G', 1_000_000_000), ('M', 1_000_000), ('k', 1_000)];

/// The largest counter of the API.
const LARGEST: u128 = i64::MAX as u128;

/// Reads `10M`, `2.5G`, `1500`; a fraction must come out as a whole number.
fn parse(text: &str) -> Result<u64, RateError> {
    let malformed = || RateError::Malformed(text.to_owned());
    let last = text.chars().last().ok_or_else(malformed)?;
    let suffix = SUFFIXES.iter().find(|(letter, _)| letter.eq_ignore_ascii_case(&last));
    let (number, factor) = match suffix {
        Some((letter, factor)) => (&text[..text.len() - letter.len_utf8()], *factor),
        None => (text, 1),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let dangling_point = number.contains('.') && fraction.is_empty();
    if whole.is_empty()
        || dangling_point
        || !all_digits(whole)
        || !all_digits(fraction)
        || fraction.len() > 12
    {
        return Err(malformed());
    }
    let too_large = || RateError::TooLarge(text.to_owned());
    let whole: u128 = whole.parse().map_err(|_| too_large())?;
    let scale = 10_u128.pow(u32::try_from(fraction.len()).map_err(|_| malformed())?);
    let part: u128 = if fraction.is_empty() { 0 } else { fraction.parse().map_err(|_| malformed())? };
    let scaled_part = part * u128::from(factor);
    if !scaled_part.is_multiple_of(scale) {
        return Err(malformed());
    }
    let value = whole.checked_mul(u128::from(factor)).ok_or_else(too_large)? + scaled_part / scale;
    if value > LARGEST {
        return Err(too_large());
    }
    u64::try_from(value).map_err(|_| too_large())
}

/// Writes at most three significant digits after the unit is chosen: `10 M`, `2.5 G`, `999`.
fn humane(value: u64) -> String {
    let Some((letter, factor)) = SUFFIXES.iter().find(|(_, factor)| value >= *factor) else {
        return format!("{value} ");
    };
    let hundredths = u128::from(value) * 100 / u128::from(*factor);
    let (whole, rest) = (hundredths / 100, hundredths % 100);
    let number = match rest {
        0 => format!("{whole}"),
        rest if whole >= 100 => format!("{}", whole + u128::from(rest >= 50)),
        rest if rest % 10 == 0 => format!("{whole}.{}", rest / 10),
        rest => format!("{whole}.{rest:02}"),
    };
    format!("{number} {letter}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_are_powers_of_a_thousand() {
        for (text, bits) in [
            ("0", 0),
            ("1500", 1_500),
            ("10k", 10_000),
            ("10K", 10_000),
            ("10M", 10_000_000),
            ("2.5G", 2_500_000_000),
            ("1T", 1_000_000_000_000),
            ("0.5k", 500),
            ("9223372036854775807", 9_223_372_036_854_775_807),
        ] {
            assert_eq!(text.parse(), Ok(BitsPerSecond(bits)), "{text}");
        }
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for text in ["", "k", "-1", "1.", ".5M", "1.2345k", "10 M", "10Mb", "ten", "1e6", "∞"] {
            assert_eq!(text.parse::<BitsPerSecond>(), Err(RateError::Malformed(text.to_owned())), "{text}");
        }
        for text in ["9223372036854775808", "10000000T", "99999999999999999999999999999999999999999"] {
            assert_eq!(text.parse::<BitsPerSecond>(), Err(RateError::TooLarge(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn people_read_short_numbers() {
        for (bits, text) in [
            (0, "0 bit/s"),
            (999, "999 bit/s"),
            (8_000, "8 kbit/s"),
            (10_000_000, "10 Mbit/s"),
            (2_500_000_000, "2.5 Gbit/s"),
            (1_234_567_890, "1.23 Gbit/s"),
            (1_050_000, "1.05 Mbit/s"),
            (123_600_000, "124 Mbit/s"),
        ] {
            assert_eq!(BitsPerSecond(bits).to_string(), text);
        }
        assert_eq!(PacketsPerSecond(14_000).to_string(), "14 kpkt/s");
    }
}
