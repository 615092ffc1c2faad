//! A port or a range of ports: a number, or a text like `8000-8010`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The ports from `first` to `last`, 1 to 65535. JSON is a number where both are the same, else a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct PortRange {
    /// The lowest.
    pub first: u16,
    /// The highest; not below `first`.
    pub last: u16,
}

/// Why a text is no port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no port: write a number from 1 to 65535, or a range such as 8000-8010")]
pub struct PortError(String);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Port(u16),
    Text(String),
}

impl FromStr for PortRange {
    type Err = PortError;

    fn from_str(text: &str) -> Result<Self, PortError> {
        let port = |word: &str| {
            let digits = word.bytes().all(|byte| byte.is_ascii_digit());
            word.parse::<u16>().ok().filter(|port| digits && *port > 0)
        };
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let range = port(first).zip(port(last)).filter(|(first, last)| first <= last);
        range.map(|(first, last)| Self { first, last }).ok_or_else(|| PortError(text.to_owned()))
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first, self.last) {
            (first, last) if first == last => write!(formatter, "{first}"),
            (first, last) => write!(formatter, "{first}-{last}"),
        }
    }
}

impl From<u16> for PortRange {
    fn from(port: u16) -> Self {
        Self { first: port, last: port }
    }
}

impl PartialEq<u16> for PortRange {
    fn eq(&self, port: &u16) -> bool {
        *self == Self::from(*port)
    }
}

impl TryFrom<Written> for PortRange {
    type Error = PortError;

    fn try_from(written: Written) -> Result<Self, PortError> {
        match written {
            Written::Port(port) => Ok(port.into()),
            Written::Text(text) => text.parse(),
        }
    }
}

impl From<PortRange> for Written {
    fn from(range: PortRange) -> Self {
        if range.first == range.last { Self::Port(range.first) } else { Self::Text(range.to_string()) }
    }
}

#[cfg(feature = "domain")]
impl From<prefix_core::port::PortRange> for PortRange {
    fn from(range: prefix_core::port::PortRange) -> Self {
        Self { first: range.first(), last: range.last() }
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for PortRange {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Type};

        let port = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(65_535));
        let range = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[0-9]{1,5}-[0-9]{1,5}$"));
        AnyOfBuilder::new()
            .item(port)
            .item(range)
            .description(Some("A port, or a range of ports such as `8000-8010`."))
            .into()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for PortRange {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_a_number_and_a_range_a_text() {
        for (text, json) in [("53", "53"), ("8000-8010", "\"8000-8010\""), ("80-80", "80")] {
            let range: PortRange = text.parse().unwrap();
            assert_eq!(serde_json::to_string(&range).unwrap(), json);
            assert_eq!(serde_json::from_str::<PortRange>(json).unwrap(), range);
        }
        for text in ["", "0", "70000", "8010-8000", "80-", "-80", "http", "1-2-3", "+1"] {
            let error = text.parse::<PortRange>().unwrap_err().to_string();
            assert!(error.contains(&format!("`{text}`")) && error.contains("8000-8010"), "{error}");
        }
    }
}
