//! Changing the safelist, the kill switch and the configuration, and trying a configuration.

use crate::client::Client;
use crate::endpoint::{Answer, Changed};
use crate::operation::{self, Operation};
use crate::outcome::Mode;
use crate::transport::Call;
use ipnetwork::IpNetwork;
use prefix_api_types::{
    ConfigEdited, NewPanic, NewSafelistEntry, PanicId, PanicStarted, PanicState, Reloaded, SafelistAdded,
    Simulation, Thaw,
};
use serde::Serialize;
use serde_json::{Value, json};

impl Client {
    /// Adds or changes an entry of the safelist, and withdraws the rules it forbids.
    pub async fn add_to_safelist(&self, entry: &NewSafelistEntry, mode: Mode) -> Changed<SafelistAdded> {
        self.change(Call::new(operation::SAFELIST_ADD).body(entry)?, mode).await
    }

    /// Removes an entry of the safelist.
    pub async fn remove_from_safelist(&self, prefix: IpNetwork, mode: Mode) -> Changed<()> {
        self.change(Call::new(operation::SAFELIST_REMOVE).argument(&prefix), mode).await
    }

    /// Freezes a scope, then takes every rule of it away. Repeating it adds a scope, which harms nobody.
    pub async fn panic(&self, panic: &NewPanic, mode: Mode) -> Changed<PanicStarted> {
        self.change(Call::new(operation::PANIC).body(panic)?, mode).await
    }

    /// Lets rules in again: one scope, or all of them. Nothing is announced again by that.
    pub async fn thaw(&self, reason: &str, panic_id: Option<PanicId>, mode: Mode) -> Changed<PanicState> {
        let body = Thaw { reason: reason.to_owned(), panic_id };
        self.change(Call::new(operation::THAW).body(&body)?, mode).await
    }

    /// Replaces playbooks and vectors; the rehearsal answers with the differences. A member that is left out stays as it
    /// is. `force` passes the brake on mass withdrawal.
    pub async fn set_playbooks(&self, document: &Value, force: bool, mode: Mode) -> Changed<ConfigEdited> {
        self.change(forced(operation::CONFIG_PLAYBOOKS_SET, force).body(document)?, mode).await
    }

    /// Replaces the terms of correlation, like [`Self::set_playbooks`]. `***` keeps a secret.
    pub async fn set_correlation(&self, document: &Value, force: bool, mode: Mode) -> Changed<ConfigEdited> {
        self.change(forced(operation::CONFIG_CORRELATION_SET, force).body(document)?, mode).await
    }

    /// Reads the files again; the rehearsal answers with the differences. `force` passes the brake on mass withdrawal.
    pub async fn reload(&self, force: bool, mode: Mode) -> Changed<Reloaded> {
        self.change(forced(operation::CONFIG_RELOAD, force), mode).await
    }

    /// Runs events through a configuration; nothing is announced or stored. `request` is
    /// `{events | history, playbooks?, correlation?, guardrails?}`.
    pub async fn simulate(&self, request: &impl Serialize) -> Answer<Simulation> {
        self.call(Call::new(operation::SIMULATE).body(request)?).await
    }
}

fn forced(operation: Operation, force: bool) -> Call {
    Call::new(operation).query(&json!({"force": force.then_some(true)}))
}
