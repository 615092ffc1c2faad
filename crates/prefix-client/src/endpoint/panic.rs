//! The kill switch.

use crate::client::Client;
use crate::error::ApiError;
use crate::operation;
use crate::outcome::{Mode, Outcome};
use crate::reply::Reply;
use crate::transport::Call;
use prefix_api_types::{NewPanic, PanicId, PanicStarted, PanicState, Thaw};

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
        self.change(Call::new(operation::THAW).body(&Thaw { reason: reason.to_owned(), panic_id })?, mode)
            .await
    }
}
