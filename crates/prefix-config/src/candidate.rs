//! From checked keys and documents to the policy: of what runs, and of documents that somebody only tries.

use std::net::IpAddr;

use prefix_core::address::VictimIp;
use prefix_diagnostics::{Diagnostic, KeyPath};
use prefix_gobgp::Endpoint;
use prefix_policy::{Inventory, Playbooks, PlaybooksDocument, Policy, PolicyParts};
use serde_json::{Value, json};

use super::correlation::CorrelationKeys;
use super::edit;
use super::loaded::Loaded;
use super::settings::Settings;
use super::settings::values::ListenAddress;

/// The policy: what reload changes, within what only a restart changes.
pub fn policy(
    settings: &Settings,
    inventory: Inventory,
    playbooks: Playbooks,
    correlation: &CorrelationKeys,
) -> Policy {
    let keys = &settings.keys;
    Policy::new(PolicyParts {
        inventory,
        playbooks,
        guardrails: keys.guardrails_in_force(),
        quotas: keys.quotas.clone(),
        timers: keys.timers.clone(),
        escalation: keys.escalation.clone(),
        correlation: correlation.without_adapters(),
        own_addresses: own_addresses(settings),
    })
}

/// Addresses that no rule may ever touch: the neighbors, the router id, the speakers, and where we listen.
fn own_addresses(settings: &Settings) -> Vec<VictimIp> {
    let keys = &settings.keys;
    let speakers = keys.bgp.speakers().into_iter().filter_map(|speaker| match speaker.endpoint {
        Endpoint::Tcp { host, .. } => host.parse().ok(),
        Endpoint::Unix(_) => None,
    });
    let listeners = [Some(keys.http.listen), keys.observability.metrics_listen.0];
    let listeners = listeners.into_iter().flatten().map(|ListenAddress(at)| at.ip());
    let neighbors = keys.bgp.neighbors.iter().map(|neighbor| neighbor.address);
    let router_id = IpAddr::V4(settings.router_id);
    let all = neighbors.chain([router_id]).chain(speakers).chain(listeners);
    let mut own: Vec<VictimIp> = all.filter(|ip| !ip.is_unspecified()).map(VictimIp::from).collect();
    own.sort_unstable();
    own.dedup();
    own
}

/// What a candidate takes the place of.
#[derive(Debug, Clone, Copy)]
pub struct Base<'a> {
    /// prefixd.yaml
    pub settings: &'a Settings,
    /// Whose addresses are whose; it always stays.
    pub inventory: &'a Inventory,
    /// playbooks.yaml
    pub playbooks: &'a Playbooks,
    /// correlation.yaml
    pub correlation: &'a CorrelationKeys,
}

/// Documents that are tried; what is missing stays as it runs.
#[derive(Debug, Clone, Default)]
pub struct Documents {
    /// As in playbooks.yaml.
    pub playbooks: Option<Value>,
    /// As in correlation.yaml.
    pub correlation: Option<Value>,
    /// The section `guardrails` of prefixd.yaml. A key that is left out stays as it runs.
    pub guardrails: Option<Value>,
}

/// Puts documents in the place of what runs, checked like the files. The errors are those of the first document that has
/// some, with paths into a value that has the documents as members.
pub fn candidate(base: Base<'_>, documents: Documents) -> Result<Policy, Vec<Diagnostic>> {
    let mut settings = base.settings.clone();
    let tries_guardrails = documents.guardrails.is_some();
    if let Some(body) = documents.guardrails {
        settings.keys = passed(edit::guardrails(body, &settings.keys), KeyPath::root())?;
    }
    let correlation = match documents.correlation {
        Some(body) => {
            // playbooks that are tried too are checked against it below
            let beside = match documents.playbooks {
                Some(_) => &PlaybooksDocument::default(),
                None => base.playbooks.document(),
            };
            passed(edit::correlation(body, base.correlation, beside), "correlation")?
        }
        None => base.correlation.clone(),
    };
    let bounds = settings.keys.guardrails_in_force();
    let (running, inventory) = (base.playbooks.document(), base.inventory);
    let read = |body: Value| edit::playbooks(body, running, &bounds, inventory, &correlation);
    let playbooks = match documents.playbooks {
        Some(body) => passed(read(body), "playbooks")?,
        // what runs must pass the guardrails that are tried
        None if tries_guardrails => passed(read(json!(running)), KeyPath::root()).map_err(|errors| {
            let why = "the playbooks that run would be refused";
            let text = |error: Diagnostic| format!("{why}: {} {}", error.pointer(), error.text);
            errors.into_iter().map(|error| Diagnostic::error("guardrails", text(error))).collect::<Vec<_>>()
        })?,
        None => base.playbooks.clone(),
    };
    Ok(policy(&settings, inventory.clone(), playbooks, &correlation))
}

/// What was read, or its errors below `member`.
fn passed<T>(loaded: Loaded<T>, member: impl Into<KeyPath>) -> Result<T, Vec<Diagnostic>> {
    let member = member.into();
    let placed = |error: Diagnostic| Diagnostic { path: error.path.below(&member), ..error };
    let checked = loaded.checked();
    checked.map(|checked| checked.value).map_err(|errors| errors.into_iter().map(placed).collect())
}

#[cfg(test)]
mod tests;
