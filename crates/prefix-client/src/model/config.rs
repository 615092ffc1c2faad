//! Reloading the configuration.

use crate::error::FieldError;
use crate::model::lenient::or_default;
use chrono::{DateTime, Utc};
use serde::Deserialize;

/// The answer to a reload, or to its rehearsal.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Reloaded {
    /// What was read again.
    #[serde(default, deserialize_with = "or_default")]
    pub reloaded: Vec<String>,
    /// When.
    pub timestamp: Option<DateTime<Utc>>,
    /// What only a restart makes active.
    #[serde(default, deserialize_with = "or_default")]
    pub restart_required: Vec<String>,
    /// How the files differ from what runs; only in a rehearsal.
    #[serde(default, deserialize_with = "or_default")]
    pub changes: Vec<ConfigChange>,
}

/// The answer to replacing a document of the configuration. The document as it runs then is the body of the answer.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct ConfigEdited {
    /// When it came in force.
    pub loaded_at: Option<DateTime<Utc>>,
    /// How it differs from what runs; only in a rehearsal.
    #[serde(default, deserialize_with = "or_default")]
    pub changes: Vec<ConfigChange>,
    /// Doubts about it; only in a rehearsal.
    #[serde(default, deserialize_with = "or_default")]
    pub warnings: Vec<FieldError>,
}

/// One difference between a file and what runs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ConfigChange {
    /// The file.
    #[serde(default, deserialize_with = "or_default")]
    pub file: String,
    /// The place in it.
    #[serde(default, deserialize_with = "or_default")]
    pub path: String,
    /// What runs.
    #[serde(default, deserialize_with = "or_default")]
    pub old: serde_json::Value,
    /// What the file says.
    #[serde(default, deserialize_with = "or_default")]
    pub new: serde_json::Value,
}
