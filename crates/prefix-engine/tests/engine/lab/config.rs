//! The configuration of a test or scenario: a small document, everything left out as the contract says.

use std::net::IpAddr;
use std::time::Duration;

use prefix_core::address::{Prefix, VictimIp};
use prefix_core::clock::Anchor;
use prefix_core::name::Pop;
use prefix_core::panic::PanicScope;
use prefix_core::platform::Platform;
use prefix_engine::Settings;
use prefix_engine::settings::{Mode, Neighbor};
use prefix_policy::inventory::Customer;
use prefix_policy::playbook::{CarpetDocument, PlaybookDocument, PlaybooksDocument};
use prefix_policy::{
    CorrelationSettings, EscalationDefaults, Guardrails, InventoryDocument, Policy, PolicyParts, Quotas,
    Sources, Timers,
};
use serde::Deserialize;

/// The inventory and the playbooks of tests that bring none of their own.
const USUAL: &str = r#"
customers:
  - customer_id: acme
    prefixes: ["203.0.113.0/24", "2001:db8:10::/48"]
    services:
      - service_id: dns
        assets: [{ip: 203.0.113.53}]
        allowed_ports: {udp: [53], tcp: [53]}
  - customer_id: beta
    prefixes: ["198.51.100.0/24"]
playbooks:
  - name: floods
    match: {vector: [udp_flood, syn_flood, icmp_flood, fragment_flood]}
    steps: [{action: police, rate_bps: 50000000, ttl_seconds: 120}]
  - name: reflections
    match: {vector: [dns_amplification, ntp_amplification]}
    steps: [{action: discard, ttl_seconds: 300}]
"#;

/// The configuration of a test. Sections and keys are those of the configuration files.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) dry_run: bool,
    customers: Vec<Customer>,
    playbooks: Vec<PlaybookDocument>,
    carpet: Vec<CarpetDocument>,
    quotas: Quotas,
    timers: Timers,
    guardrails: Guardrails,
    escalation: EscalationDefaults,
    /// Present = on.
    correlation: Option<CorrelationSettings>,
    sources: Sources,
    safelist: Vec<Prefix>,
    own_addresses: Vec<VictimIp>,
    preserve_announcements: Option<bool>,
    /// Own pop; `fra1` unless told otherwise.
    pop: Option<Pop>,
    neighbors: Vec<IpAddr>,
    /// The platform of every neighbor, and how many entries it has.
    profile: Platform,
    max_entries: Option<u64>,
    speaker: Option<String>,
    configuration: Option<String>,
    /// Left over from before the start.
    #[serde(skip)]
    pub(crate) frozen: Vec<PanicScope>,
    /// The time as the daemon before knew it.
    #[serde(skip)]
    pub(crate) anchor: Option<Anchor>,
}

impl Config {
    /// From YAML; customers and playbooks that it does not name are the usual ones.
    pub(crate) fn read(yaml: &str) -> Self {
        let mut config: Self =
            serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("the test's configuration: {error}"));
        if config.customers.is_empty() || config.playbooks.is_empty() {
            let usual: Self = serde_saphyr::from_str(USUAL).unwrap();
            if config.customers.is_empty() {
                config.customers = usual.customers;
            }
            if config.playbooks.is_empty() {
                config.playbooks = usual.playbooks;
            }
        }
        config
    }

    /// The policy that it means.
    pub(crate) fn policy(&self) -> Policy {
        let guardrails = self.guardrails.clone();
        let inventory =
            InventoryDocument { customers: self.customers.clone() }.build(&guardrails).unwrap().value;
        let document = PlaybooksDocument {
            playbooks: self.playbooks.clone(),
            carpet: self.carpet.clone(),
            ..PlaybooksDocument::default()
        };
        let playbooks = document.build(&guardrails, Some(&inventory)).unwrap().value;
        Policy::new(PolicyParts {
            inventory,
            playbooks,
            guardrails,
            quotas: self.quotas.clone(),
            timers: self.timers.clone(),
            escalation: self.escalation.clone(),
            correlation: self.correlation(),
            own_addresses: self.own_addresses.clone(),
        })
    }

    fn neighbor(&self, address: IpAddr) -> Neighbor {
        let name = format!("router-{address}");
        Neighbor { name, address, peer_asn: 64_501, platform: self.profile, max_entries: self.max_entries }
    }

    /// The settings that only a restart changes.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            pop: self.pop.clone().unwrap_or_else(|| "fra1".parse().unwrap()),
            mode: if self.dry_run { Mode::DryRun } else { Mode::Enforced },
            announce_timeout: Duration::from_secs(1),
            max_changes_per_second: 10_000,
            withdraw_alarm: Duration::from_secs(30),
            reconciliation_interval: Duration::from_secs(30),
            neighbors: self.neighbors.iter().map(|address| self.neighbor(*address)).collect(),
            safelist: self.safelist.clone(),
            has_sessions: true,
            retain_events: None,
            retain_mitigations: None,
            preserve_announcements: self.preserve_announcements.unwrap_or(true),
            speaker_address: self.speaker.clone().unwrap_or_else(|| "192.0.2.179:50051".into()),
            configuration: self.configuration.clone().unwrap_or_else(|| "cafe".into()),
        }
    }

    fn correlation(&self) -> CorrelationSettings {
        let (given, sources) = (self.correlation.clone(), self.sources.clone());
        let enabled = given.is_some();
        CorrelationSettings { enabled, sources, ..given.unwrap_or_default() }
    }
}
