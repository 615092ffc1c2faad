//! A new entry of the safelist (http-api.md §8).

use chrono::{DateTime, Utc};
use prefix_core::address::Prefix;
use prefix_diagnostics::{Diagnostic, KeyPath, Members, Node};

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
pub(crate) fn safelist(node: &Node) -> Result<NewEntry, Vec<Diagnostic>> {
    let mut members = Members::open(node, KeyPath::root())?;
    let prefix = members.required("prefix", value::prefix);
    let reason = members.optional("reason", value::free_text);
    let expires_at = members.optional("expires_at", value::time);
    members.finish(|| Some(NewEntry { prefix: prefix?, reason, expires_at }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_bits_are_refused_with_advice() {
        let errors = safelist(&Node::from_json_text(r#"{"prefix": "203.0.113.1/28"}"#).unwrap()).unwrap_err();
        assert!(errors[0].text.ends_with("the prefix is 203.0.113.0/28"), "{}", errors[0].text);
        let entry = safelist(&Node::from_json_text(r#"{"prefix": "203.0.113.1"}"#).unwrap()).unwrap();
        assert_eq!(entry.prefix.to_string(), "203.0.113.1/32");
    }
}
