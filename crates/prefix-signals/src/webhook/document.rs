//! `webhook_adapters[]` of correlation.yaml, as it is written.

use std::collections::BTreeMap;

use prefix_core::name::VectorName;
use prefix_core::words;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One adapter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdapterDocument {
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
    /// The detector's word for what happened: a ban, an unban, or nothing that matters.
    #[serde(default)]
    pub action_map: BTreeMap<String, MappedAction>,
    /// What a node must meet, all of it: others are left out.
    #[serde(default)]
    pub when: Vec<When>,
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

words! {
    /// What a word of a detector stands for.
    pub enum MappedAction {
        /// An attack, or that it goes on.
        Ban = "ban",
        /// Its end.
        Unban = "unban",
        /// Neither: the node is left out.
        Ignore = "ignore",
    }
}

/// A condition on a node: exactly one of `equals` and `not_equals`, a text, number or boolean that is compared as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// Where the value is. Of several values one must be equal, or none.
    pub path: String,
    /// What it must be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<Value>,
    /// What it must not be; nothing at all is not it either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_equals: Option<Value>,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub victim_prefix: Option<String>,
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
    pub src_ports: Option<String>,
    #[serde(default)]
    pub packet_length: Option<String>,
    #[serde(default)]
    pub tcp_flags: Option<String>,
    #[serde(default)]
    pub fragment: Option<String>,
    #[serde(default)]
    pub action: Option<String>,
}

words! {
    /// What can be transformed.
    #[allow(missing_docs, reason = "the members are those of an event")]
    pub enum Transformed {
        Bps = "bps",
        Pps = "pps",
        Confidence = "confidence",
        Vector = "vector",
    }
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
