//! The running configuration. Its documents are shown, not interpreted, so they stay untyped.

use crate::client::Client;
use crate::error::ApiError;
use crate::model::config::Reloaded;
use crate::operation;
use crate::outcome::{Mode, Outcome};
use crate::reply::Reply;
use crate::transport::Call;
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

    /// Reads the files again; the rehearsal answers with the differences. `force` passes the brake on mass withdrawal.
    pub async fn reload(&self, force: bool, mode: Mode) -> Result<Reply<Outcome<Reloaded>>, ApiError> {
        let force = force.then(|| ("force", "true".to_owned()));
        self.change(Call::new(operation::CONFIG_RELOAD).query(force), mode).await
    }
}
