//! Trying a configuration.

use crate::client::Client;
use crate::error::ApiError;
use crate::operation;
use crate::reply::Reply;
use crate::transport::Call;
use prefix_api_types::Simulation;
use serde::Serialize;

impl Client {
    /// Runs events through a configuration; nothing is announced or stored. `request` is
    /// `{events | history, playbooks?, correlation?, guardrails?}`.
    pub async fn simulate(&self, request: &impl Serialize) -> Result<Reply<Simulation>, ApiError> {
        self.call(Call::new(operation::SIMULATE).body(request)?).await
    }
}
