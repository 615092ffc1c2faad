//! The running configuration. Its documents are shown, not interpreted, so they stay untyped.

use crate::client::Client;
use crate::error::ApiError;

use crate::operation::{self, Operation};
use crate::outcome::{Mode, Outcome};
use crate::reply::Reply;
use crate::transport::Call;
use prefix_api_types::{ConfigEdited, Reloaded};
use serde_json::Value;

impl Client {
    /// The running settings, secrets left out.
    pub async fn config_settings(&self) -> Result<Reply<Value>, ApiError> {
        self.call(Call::new(operation::CONFIG_SETTINGS)).await
    }

    /// The running inventory.
    pub async fn config_inventory(&self) -> Result<Reply<Value>, ApiError> {
        self.call(Call::new(operation::CONFIG_INVENTORY)).await
    }

    /// The running playbooks and vectors.
    pub async fn config_playbooks(&self) -> Result<Reply<Value>, ApiError> {
        self.call(Call::new(operation::CONFIG_PLAYBOOKS)).await
    }

    /// The running terms of correlation; where its secrets are is shown to admins only.
    pub async fn config_correlation(&self) -> Result<Reply<Value>, ApiError> {
        self.call(Call::new(operation::CONFIG_CORRELATION)).await
    }

    /// Replaces playbooks and vectors; the rehearsal answers with the differences. A member that is left out stays as it
    /// is. `force` passes the brake on mass withdrawal.
    pub async fn set_playbooks(
        &self,
        document: &Value,
        force: bool,
        mode: Mode,
    ) -> Result<Reply<Outcome<ConfigEdited>>, ApiError> {
        self.set(operation::CONFIG_PLAYBOOKS_SET, document, force, mode).await
    }

    /// Replaces the terms of correlation, like [`Self::set_playbooks`]. `***` keeps a secret.
    pub async fn set_correlation(
        &self,
        document: &Value,
        force: bool,
        mode: Mode,
    ) -> Result<Reply<Outcome<ConfigEdited>>, ApiError> {
        self.set(operation::CONFIG_CORRELATION_SET, document, force, mode).await
    }

    async fn set(
        &self,
        operation: Operation,
        document: &Value,
        force: bool,
        mode: Mode,
    ) -> Result<Reply<Outcome<ConfigEdited>>, ApiError> {
        let force = force.then(|| ("force", "true".to_owned()));
        self.change(Call::new(operation).query(force).body(document)?, mode).await
    }

    /// Reads the files again; the rehearsal answers with the differences. `force` passes the brake on mass withdrawal.
    pub async fn reload(&self, force: bool, mode: Mode) -> Result<Reply<Outcome<Reloaded>>, ApiError> {
        let force = force.then(|| ("force", "true".to_owned()));
        self.change(Call::new(operation::CONFIG_RELOAD).query(force), mode).await
    }
}
