//! From checked keys and documents to the policy: of what runs, and of documents that somebody only tries.

use std::net::IpAddr;

use prefix_core::address::VictimIp;
use prefix_gobgp::Endpoint;
use prefix_policy::{Inventory, Playbooks, PlaybooksDocument, Policy, PolicyParts};
use serde_json::{Value, json};

use super::correlation::CorrelationKeys;
use super::edit::{self, Edited};
use super::finding::{Finding, FindingKind};
use super::policy::Limits;
use super::settings::Settings;
use super::settings::values::ListenAddress;

/// The policy: what reload changes, within what only a restart changes.
pub fn policy(
    settings: &Settings,
    inventory: Inventory,
    playbooks: Playbooks,
    correlation: &CorrelationKeys,
) -> Policy {
    let limits = Limits::from_keys(&settings.keys);
    Policy::new(PolicyParts {
        inventory,
        playbooks,
        guardrails: limits.guardrails,
        quotas: limits.quotas,
        timers: limits.timers,
        escalation: limits.escalation,
        correlation: correlation.settings(),
        sources: correlation.sources(),
        own_addresses: own_addresses(settings),
    })
}

/// Addresses that no rule may ever touch: the neighbors, the router id, the speaker, and where we listen.
fn own_addresses(settings: &Settings) -> Vec<VictimIp> {
    let keys = &settings.keys;
    let speaker = match &keys.bgp.gobgp_grpc {
        Endpoint::Tcp { host, .. } => host.parse().ok(),
        Endpoint::Unix(_) => None,
    };
    let listeners = [Some(keys.http.listen), keys.observability.metrics_listen.0];
    let listeners = listeners.into_iter().flatten().map(|ListenAddress(at)| at.ip());
    let neighbors = keys.bgp.neighbors.iter().map(|neighbor| neighbor.address);
    let router_id = IpAddr::V4(settings.router_id);
    let all = neighbors.chain([router_id]).chain(speaker).chain(listeners);
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

/// A mistake in a candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// A JSON pointer into a value that has the documents as members.
    pub pointer: String,
    /// What is wrong and how to mend it.
    pub detail: String,
}

/// Why candidates make no policy; at least one mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// True if a document has not the form that it must have.
    pub is_malformed: bool,
    /// All mistakes of the first document that has some.
    pub mistakes: Vec<Mistake>,
}

/// Puts documents in the place of what runs, checked like the files.
pub fn candidate(base: Base<'_>, documents: Documents) -> Result<Policy, Refused> {
    let mut settings = base.settings.clone();
    let tries_guardrails = documents.guardrails.is_some();
    if let Some(body) = documents.guardrails {
        settings.keys = passed(edit::guardrails(body, &settings.keys), "", None)?;
    }
    let correlation = match documents.correlation {
        Some(body) => {
            // playbooks that are tried too are checked against it below
            let beside = match documents.playbooks {
                Some(_) => &PlaybooksDocument::default(),
                None => base.playbooks.document(),
            };
            passed(edit::correlation(body, base.correlation, beside), "/correlation", None)?
        }
        None => base.correlation.clone(),
    };
    let bounds = Limits::from_keys(&settings.keys).guardrails;
    let (running, inventory) = (base.playbooks.document(), base.inventory);
    let read = |body: Value| edit::playbooks(body, running, &bounds, inventory, &correlation);
    let playbooks = match documents.playbooks {
        Some(body) => passed(read(body), "/playbooks", None)?,
        // what runs must pass the guardrails that are tried
        None if tries_guardrails => {
            let why = "the playbooks that run would be refused";
            passed(read(json!(running)), "/guardrails", Some(why))?
        }
        None => base.playbooks.clone(),
    };
    Ok(policy(&settings, inventory.clone(), playbooks, &correlation))
}

/// What was read, or its mistakes: below `member`, or with `why` all of them at it.
fn passed<T>(edited: Edited<T>, member: &str, why: Option<&str>) -> Result<T, Refused> {
    let Edited { value, findings } = edited;
    let errors = || findings.iter().filter(|finding| finding.is_error());
    let mistake = |finding: &Finding| match why {
        Some(why) => Mistake {
            pointer: member.to_owned(),
            detail: format!("{why}: {} {}", finding.pointer(), finding.text),
        },
        None => Mistake { pointer: format!("{member}{}", finding.pointer()), detail: finding.text.clone() },
    };
    value.ok_or_else(|| Refused {
        is_malformed: why.is_none() && errors().any(|finding| finding.kind == FindingKind::Shape),
        mistakes: errors().map(mistake).collect(),
    })
}

#[cfg(test)]
mod tests;
