//! The kill switch.

use crate::client::Client;
use crate::error::ApiError;
use crate::id::PanicId;
use crate::model::panic::{NewPanic, PanicStarted, PanicState};
use crate::operation;
use crate::outcome::{Mode, Outcome};
use crate::reply::Reply;
use crate::transport::Call;
use serde::Serialize;

#[derive(Serialize)]
struct Thawing<'a> {
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    panic_id: Option<PanicId>,
}

impl Client {
    /// Freezes a scope, then takes every rule of it away. Repeating it adds a scope, which harms nobody.
    pub async fn panic(
        &self,
        panic: &NewPanic,
        mode: Mode,
    ) -> Result<Reply<Outcome<PanicStarted>>, ApiError> {
        self.change(Call::new(operation::PANIC).body(panic)?, mode).await
    }

    /// What is frozen.
    pub async fn panic_state(&self) -> Result<Reply<PanicState>, ApiError> {
        self.call(Call::new(operation::PANIC_STATE)).await
    }

    /// Lets rules in again: one scope, or all of them. Nothing is announced again by that.
    pub async fn thaw(
        &self,
        reason: &str,
        panic_id: Option<PanicId>,
        mode: Mode,
    ) -> Result<Reply<Outcome<PanicState>>, ApiError> {
        self.change(Call::new(operation::THAW).body(&Thawing { reason, panic_id })?, mode).await
    }
}
