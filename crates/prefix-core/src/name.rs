//! Names: text that was checked when it was parsed, with a type for each kind of name.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// The text is no name of its kind.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{what} {problem}")]
pub struct NameError {
    what: &'static str,
    problem: String,
}

fn check_free_text(text: &str, what: &'static str, max: usize) -> Result<(), NameError> {
    let fail = |problem: String| Err(NameError { what, problem });
    if text.is_empty() {
        return fail("must not be empty".into());
    }
    let length = text.chars().count();
    if length > max {
        return fail(format!("has {length} characters, at most {max} are allowed"));
    }
    match text.chars().find(|c| c.is_control()) {
        Some(c) => fail(format!("contains the control character U+{:04X}", u32::from(c))),
        None => Ok(()),
    }
}

fn check_word(text: &str, what: &'static str, separator: char) -> Result<(), NameError> {
    let ok = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == separator;
    if (1..=64).contains(&text.len()) && text.chars().all(ok) {
        return Ok(());
    }
    let shown: String = text.chars().take(80).collect();
    let problem = format!("must be 1 to 64 characters of a-z, 0-9 and '{separator}', not {shown:?}");
    Err(NameError { what, problem })
}

/// Types of names; each is checked by a function with the word of its kind and its limit.
macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $check:ident($what:literal, $limit:literal)),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                $check(text, $what, $limit).map(|()| Self(text.into()))
            }
        }

        serde_as_text!($name);

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.as_str().to_owned()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

names! {
    /// A point of presence (POP): the site whose speaker announces a rule. `[a-z0-9-]{1,64}`.
    Pop = check_word("pop", '-'),
    /// One of the speakers of a pop, where it has several (`bgp.speakers[].name`). 1 to 64 characters.
    SpeakerName = check_free_text("speaker name", 64),
    /// The source of a report: a detector, an adapter, or `operator:NAME` for a person. 1 to 1024 characters.
    SourceName = check_free_text("source", 1024),
    /// The identity behind a source, for correlation: a token's name, a certificate's subject, or the source itself.
    /// One identity counts once, whatever source names it uses. 1 to 1024 characters.
    Identity = check_free_text("identity", 1024),
    /// An interface of the network, as the inventory and detectors call it. 1 to 256 characters.
    InterfaceName = check_free_text("interface", 256),
    /// A customer of the inventory. 1 to 256 characters.
    CustomerId = check_free_text("customer_id", 256),
    /// A service of a customer, unique within it. 1 to 256 characters.
    ServiceId = check_free_text("service_id", 256),
    /// A kind of attack. `[a-z0-9_]{1,64}`; the policy's vector table defines which exist.
    VectorName = check_word("vector", '_'),
    /// A target of black holes: an upstream, an exchange. `[a-z0-9-]{1,64}`.
    RtbhTargetName = check_word("rtbh target", '-'),
    /// A playbook. 1 to 128 characters.
    PlaybookName = check_free_text("playbook name", 128),
    /// An API token. Tokens of one name are one identity. 1 to 128 characters.
    TokenName = check_free_text("token name", 128),
    /// The detector's own identifier of an attack episode. 1 to 1024 characters.
    ExternalEventId = check_free_text("event_id", 1024),
}

impl SourceName {
    /// The prefix of the names of operators; detectors must not use it.
    pub const OPERATOR_PREFIX: &'static str = "operator:";

    /// The source name of an operator.
    pub fn operator(name: &str) -> Self {
        Self(format!("{}{name}", Self::OPERATOR_PREFIX).into())
    }

    /// The identity of a source that is known by its name only.
    pub fn as_identity(&self) -> Identity {
        Identity(self.0.clone())
    }

    /// Whether it is the name of an operator.
    pub fn is_operator(&self) -> bool {
        self.0.starts_with(Self::OPERATOR_PREFIX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pop_is_a_short_lower_case_word() {
        assert!("fra-1".parse::<Pop>().is_ok());
        for bad in ["", "FRA", "fra_1", "fra 1", &"x".repeat(65)] {
            let error = bad.parse::<Pop>().unwrap_err().to_string();
            assert!(error.starts_with("pop must be 1 to 64 characters"), "{error}");
        }
    }

    #[test]
    fn control_characters_never_get_in() {
        let error = "fast\0netmon".parse::<SourceName>().unwrap_err();
        assert_eq!(error.to_string(), "source contains the control character U+0000");
        assert!("x\ny".parse::<ExternalEventId>().is_err());
    }

    #[test]
    fn length_is_counted_in_characters() {
        assert!("ü".repeat(1024).parse::<SourceName>().is_ok());
        let error = "ü".repeat(1025).parse::<SourceName>().unwrap_err();
        assert_eq!(error.to_string(), "source has 1025 characters, at most 1024 are allowed");
    }

    #[test]
    fn operators_hold_leases_under_a_name_of_their_own() {
        assert!(SourceName::operator("alice").is_operator());
        assert!(!"fastnetmon".parse::<SourceName>().unwrap().is_operator());
    }
}
