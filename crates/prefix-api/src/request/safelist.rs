//! A new entry of the safelist (http-api.md §8).

use chrono::{DateTime, Utc};
use prefix_core::address::Prefix;

use crate::fields::Fields;
use crate::json::Tree;
use crate::pointer::Pointer;
use crate::problem::FieldError;
use crate::value;

/// What is to be safe.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NewEntry {
    /// The prefix.
    pub(crate) prefix: Prefix,
    /// Why.
    pub(crate) reason: Option<String>,
    /// Until when.
    pub(crate) expires_at: Option<DateTime<Utc>>,
}

/// Reads `{prefix, reason?, expires_at?}`.
pub(crate) fn safelist(tree: &Tree) -> Result<NewEntry, Vec<FieldError>> {
    let mut fields = Fields::open(tree, Pointer::root())?;
    let prefix = fields.required("prefix", value::prefix);
    let reason = fields.optional("reason", value::free_text);
    let expires_at = fields.optional("expires_at", value::time);
    fields.finish(|| Some(NewEntry { prefix: prefix?, reason, expires_at }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_bits_are_refused_with_advice() {
        let errors = safelist(&Tree::parse(r#"{"prefix": "203.0.113.1/28"}"#).unwrap()).unwrap_err();
        assert!(errors[0].detail.ends_with("the prefix is 203.0.113.0/28"), "{}", errors[0].detail);
        let entry = safelist(&Tree::parse(r#"{"prefix": "203.0.113.1"}"#).unwrap()).unwrap();
        assert_eq!(entry.prefix.to_string(), "203.0.113.1/32");
    }
}
