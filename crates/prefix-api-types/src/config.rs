//! Changes of the configuration (http-api.md §11). Its documents are shown, not interpreted, so they stay untyped.

use chrono::{DateTime, Utc};
use prefix_api_macros::wire;
use serde_json::{Map, Value};

use crate::FieldError;
use crate::lenient::{Always, IfAny};

/// What a reload did.
#[wire(as = ReloadedAnswer)]
#[derive(Default)]
pub struct Reloaded {
    /// The files that are in force now.
    pub reloaded: Vec<String>,
    /// When.
    pub timestamp: Always<DateTime<Utc>>,
    /// Keys that only a restart makes active.
    pub restart_required: Vec<String>,
    /// The difference between the files and what runs; of a dry run only.
    pub changes: IfAny<Vec<ConfigChange>>,
}

/// What replacing a document of the configuration would lead to. Without a dry run the answer is the document alone.
#[wire]
#[derive(Default)]
pub struct ConfigEdited {
    /// The document as it runs then.
    #[serde(flatten)]
    pub document: Map<String, Value>,
    /// The difference to what runs.
    pub changes: Vec<ConfigChange>,
    /// Doubts about the document.
    pub warnings: Vec<FieldError>,
}

/// One difference between a file and what runs.
#[wire(as = ChangeAnswer)]
pub struct ConfigChange {
    /// The file.
    pub file: String,
    /// The place in it.
    pub path: String,
    /// What runs.
    pub old: Value,
    /// What the file says.
    pub new: Value,
}

/// Playbooks, in the form of playbooks.yaml. A member that is left out stays as it is; unknown members are refused.
#[wire(body)]
pub struct NewPlaybooks {
    /// All of them; the first that matches is used.
    #[wire(strict)]
    #[schema(min_items = 1)]
    pub playbooks: Vec<Value>,
    /// The own vectors, by name.
    #[schema(value_type = Option<Object>)]
    pub vectors: Option<Value>,
    /// Used when nothing matches; null = none.
    pub default_playbook: Option<String>,
}
