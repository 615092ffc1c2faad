//! `webhook_adapters[]`: how a detector's own JSON becomes an event. Only its shape is known to this version.

use std::collections::{BTreeMap, BTreeSet};

use prefix_core::name::VectorName;
use serde::{Deserialize, Serialize};

use crate::path::KeyPath;

/// One adapter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdapterKeys {
    /// `[a-z0-9-]{1,64}`, unique; also the source of its events.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
    /// Off: 404.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Who may post.
    pub auth: AdapterAuth,
    /// Each match is one event; missing = the whole body.
    #[serde(default)]
    pub root_path: Option<String>,
    /// Where the members of the event are.
    pub fields: AdapterFields,
    /// The detector's word to a vector.
    #[serde(default)]
    pub vector_map: BTreeMap<String, VectorName>,
    /// For words that mean nothing.
    #[serde(default)]
    pub default_vector: Option<VectorName>,
    /// Divides the detector's confidence.
    #[serde(default)]
    pub confidence_scale: Option<f64>,
    /// In front of the detector's id.
    #[serde(default)]
    pub source_id_prefix: Option<String>,
    /// Arithmetic on the way.
    #[serde(default)]
    pub transforms: BTreeMap<Transformed, Transform>,
}

fn yes() -> bool {
    true
}

/// `auth` of an adapter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdapterAuth {
    /// How.
    #[serde(rename = "type")]
    pub kind: AdapterAuthKind,
    /// Variable with the secret (`hmac`).
    #[serde(default)]
    pub secret_env: Option<String>,
    /// Header with the signature.
    #[serde(default)]
    pub header: Option<String>,
    /// Only `sha256`.
    #[serde(default)]
    pub algorithm: Option<HmacAlgorithm>,
    /// Header with the time that is signed too.
    #[serde(default)]
    pub timestamp_header: Option<String>,
    /// How old that time may be.
    #[serde(default)]
    pub max_age_seconds: Option<u64>,
}

/// How an adapter knows its detector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdapterAuthKind {
    /// A signature over the body.
    Hmac,
    /// The normal authentication.
    Bearer,
    /// Not at all.
    None,
}

/// The hash of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HmacAlgorithm {
    /// SHA-256.
    Sha256,
}

/// `JSONPath` of each member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)] // the members are those of an event
pub struct AdapterFields {
    pub victim_ip: String,
    #[serde(default)]
    pub vector: Option<String>,
    #[serde(default)]
    pub timestamp: Option<String>,
    #[serde(default)]
    pub bps: Option<String>,
    #[serde(default)]
    pub pps: Option<String>,
    #[serde(default)]
    pub confidence: Option<String>,
    #[serde(default)]
    pub source_id: Option<String>,
    #[serde(default)]
    pub top_dst_ports: Option<String>,
    #[serde(default)]
    pub action: Option<String>,
}

/// What can be transformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // the members are those of an event
pub enum Transformed {
    Bps,
    Pps,
    Confidence,
    Vector,
}

/// A transformation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Transform {
    /// Times a number.
    UnitConversion {
        /// The number.
        multiplier: f64,
    },
    /// A product of members.
    Computed {
        /// Their places.
        paths: Vec<String>,
        /// Times this.
        #[serde(default = "one")]
        scale: f64,
    },
    /// A part of a text.
    RegexExtract {
        /// The expression.
        pattern: String,
        /// Which group.
        #[serde(default)]
        group: usize,
    },
}

fn one() -> f64 {
    1.0
}

/// Checks what a single key cannot say.
pub(super) fn check(adapters: &[AdapterKeys], error: &mut impl FnMut(KeyPath, String)) {
    let mut names = BTreeSet::new();
    for (index, adapter) in adapters.iter().enumerate() {
        let at = |key: &str| KeyPath::dotted("webhook_adapters").index(index).key(key);
        let place = format!("webhook_adapters[{index}]");
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !(1..=64).contains(&adapter.name.len()) || !adapter.name.chars().all(word) {
            error(
                at("name"),
                format!(
                    "{place}.name must be 1 to 64 characters of a-z, 0-9 and '-', not {:?}",
                    adapter.name
                ),
            );
        } else if !names.insert(&adapter.name) {
            error(at("name"), format!("{place}.name: {:?} is the name of another adapter", adapter.name));
        }
        if adapter.enabled {
            error(
                at("name"),
                format!(
                    "{place}: webhook adapters are not in this version of prefixd yet (enabled: false keeps it for later)"
                ),
            );
        }
        if adapter.auth.kind == AdapterAuthKind::Hmac && adapter.auth.secret_env.is_none() {
            error(at("auth"), format!("{place}.auth: type hmac needs secret_env"));
        }
        if adapter.auth.timestamp_header.is_some() != adapter.auth.max_age_seconds.is_some() {
            error(at("auth"), format!("{place}.auth: timestamp_header and max_age_seconds need each other"));
        }
        if adapter.confidence_scale.is_some_and(|scale| !scale.is_finite() || scale <= 0.0) {
            error(at("confidence_scale"), format!("{place}.confidence_scale must be above 0"));
        }
        for (member, transform) in &adapter.transforms {
            if *member == Transformed::Vector && !matches!(transform, Transform::RegexExtract { .. }) {
                error(at("transforms"), format!("{place}.transforms.vector can only be regex_extract"));
            }
        }
    }
}
