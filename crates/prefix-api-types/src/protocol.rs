//! An IP protocol, by number or by word.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An IP protocol, by number or by the API's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Protocol {
    /// 0 to 255.
    Number(u8),
    /// `udp`, `tcp`, `icmp`, `gre` or `any`.
    Word(String),
}

impl FromStr for Protocol {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.parse().map_or_else(|_| Self::Word(text.to_owned()), Self::Number))
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(1) => formatter.pad("icmp"),
            Self::Number(6) => formatter.pad("tcp"),
            Self::Number(17) => formatter.pad("udp"),
            Self::Number(47) => formatter.pad("gre"),
            Self::Number(58) => formatter.pad("icmpv6"),
            Self::Number(number) => formatter.pad(&number.to_string()),
            Self::Word(word) => formatter.pad(word),
        }
    }
}

#[cfg(feature = "openapi")]
impl Protocol {
    /// A word, a number from 0 to 255, or null.
    pub(crate) fn nullable_schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Type};

        let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).maximum(Some(255));
        AnyOfBuilder::new()
            .item(crate::word::schema(&["udp", "tcp", "icmp", "gre", "any"], false))
            .item(number)
            .item(ObjectBuilder::new().schema_type(Type::Null))
            .into()
    }
}
