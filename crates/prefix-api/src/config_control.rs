//! What the API asks of whoever holds the configuration files: the daemon.
//!
//! The API neither reads files nor knows their syntax. It shows what the daemon says runs, and passes a reload on.

use async_trait::async_trait;
pub use prefix_api_types::ConfigChange;
use prefix_core::id::MitigationId;
use prefix_diagnostics::Diagnostic;
use prefix_engine::{Caller, EngineError, Policy};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

/// The running configuration, as the daemon composes it.
///
/// The views are whole answers of the endpoints (http-api.md §11), `loaded_at` included and secrets left out:
/// the API sends them as they are.
#[async_trait]
pub trait ConfigControl: Send + Sync {
    /// `GET /v1/config/settings`: `{settings, loaded_at}`.
    fn settings_view(&self) -> Value;

    /// `GET /v1/config/inventory`: `{customers, total_customers, total_services, total_assets, loaded_at}`.
    fn inventory_view(&self) -> Value;

    /// `GET /v1/config/playbooks`: `{playbooks, total_playbooks, default_playbook, vectors, loaded_at}`.
    fn playbooks_view(&self) -> Value;

    /// `GET /v1/config/correlation`: the document and `loaded_at`. Only with `secrets` it says where secrets are.
    fn correlation_view(&self, secrets: bool) -> Value;

    /// The policy that these documents would make, each in the place of what runs. Nothing changes. Places of mistakes
    /// are JSON pointers into a body that has the documents as members.
    async fn candidate(&self, candidate: Candidate) -> Result<Policy, EditError>;

    /// Replaces one document by the body of a request: checked, written to its file, and in force at once; or nothing
    /// of that.
    ///
    /// With `caller.dry_run` everything is checked and nothing changes. `force` lets a document pass that would withdraw
    /// many living rules at once.
    async fn edit(
        &self,
        document: ConfigDocument,
        body: Value,
        force: bool,
        caller: &Caller,
    ) -> Result<EditAnswer, EditError>;

    /// Reads all files again and makes them the running configuration, or none of them.
    ///
    /// With `caller.dry_run` everything is checked and nothing changes. `force` lets a reload pass that would withdraw
    /// many living rules at once.
    async fn reload(&self, force: bool, caller: &Caller) -> Result<ReloadAnswer, ReloadError>;
}

/// Documents that are tried.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Candidate {
    /// As of `PUT /v1/config/playbooks`.
    pub playbooks: Option<Value>,
    /// As of `PUT /v1/config/correlation`.
    pub correlation: Option<Value>,
    /// The section `guardrails` of prefixd.yaml; a key that is left out stays as it runs.
    pub guardrails: Option<Value>,
}

impl Candidate {
    /// True if everything stays as it runs.
    pub fn is_empty(&self) -> bool {
        self.playbooks.is_none() && self.correlation.is_none() && self.guardrails.is_none()
    }
}

/// A document that can be replaced over the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigDocument {
    /// playbooks.yaml
    Playbooks,
    /// correlation.yaml
    Correlation,
}

/// What replacing a document did, or with `dry_run` would do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EditAnswer {
    /// What its view shows now, secrets included.
    pub view: Value,
    /// Mitigations that no longer pass and are being withdrawn.
    pub withdrawn: Vec<MitigationId>,
    /// The difference to what ran.
    pub changes: Vec<ConfigChange>,
    /// Warnings about the document, with paths into it.
    pub warnings: Vec<Diagnostic>,
}

/// Why a document was not replaced. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum EditError {
    /// The body has not the form of the document; at least one mistake.
    #[error("the document has {} mistakes", .0.len())]
    Malformed(Vec<Diagnostic>),
    /// The document breaks rules; at least one.
    #[error("the document breaks {} rules", .0.len())]
    Invalid(Vec<Diagnostic>),
    /// The way the configuration is kept forbids it.
    #[error("{0}")]
    NotAllowed(String, Vec<Diagnostic>),
    /// The file could not be written.
    #[error("{0}")]
    Unwritten(String),
    /// The engine refused the new policy.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// What a reload did, or with `dry_run` would do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReloadAnswer {
    /// Names of the files that are in force now, e.g. `playbooks.yaml`.
    pub reloaded: Vec<String>,
    /// Keys that differ from what runs and that only a restart makes active, e.g. `http.listen`.
    pub restart_required: Vec<String>,
    /// Mitigations that no longer pass and are being withdrawn.
    pub withdrawn: Vec<MitigationId>,
    /// The difference between the files and what runs; shown by a dry run only.
    pub changes: Vec<ConfigChange>,
}

/// Why a reload changed nothing.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ReloadError {
    /// The files have mistakes; at least one.
    #[error("the configuration has {} mistakes, the running one stays as it is", .0.len())]
    Invalid(Vec<Diagnostic>),
    /// The engine refused the new policy.
    #[error(transparent)]
    Engine(#[from] EngineError),
}
