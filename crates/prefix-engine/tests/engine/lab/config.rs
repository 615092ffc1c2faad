//! The configuration of a test or scenario: a small document, everything left out as the contract says.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use prefix_core::address::{Prefix, VictimIp};
use prefix_core::confidence::Confidence;
use prefix_core::name::{Pop, SourceName};
use prefix_core::panic::PanicScope;
use prefix_core::ttl::Ttl;
use prefix_engine::Settings;
use prefix_engine::settings::{Mode, Neighbor};
use prefix_policy::inventory::Customer;
use prefix_policy::playbook::{PlaybookDocument, PlaybooksDocument};
use prefix_policy::settings::{ConfidenceMode, Dimension, SourceMode};
use prefix_policy::{
    CorrelationSettings, EscalationDefaults, Guardrails, InventoryDocument, Policy, PolicyParts, Quotas,
    Reports, SourcePolicy, Sources, Timers,
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
    match: {vector: [udp_flood, syn_flood, icmp_flood]}
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
    quotas: QuotaKeys,
    timers: TimerKeys,
    guardrails: GuardrailKeys,
    escalation: EscalationKeys,
    correlation: Option<CorrelationKeys>,
    sources: BTreeMap<SourceName, SourceKeys>,
    safelist: Vec<Prefix>,
    own_addresses: Vec<VictimIp>,
    preserve_announcements: Option<bool>,
    /// Own pop; `fra1` unless told otherwise.
    pop: Option<Pop>,
    neighbors: Vec<IpAddr>,
    speaker: Option<String>,
    configuration: Option<String>,
    /// Left over from before the start.
    #[serde(skip)]
    pub(crate) frozen: Vec<PanicScope>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(clippy::struct_field_names, reason = "the keys of the configuration")]
struct QuotaKeys {
    max_active_per_customer: Option<u64>,
    max_active_per_pop: Option<u64>,
    max_active_global: Option<u64>,
    max_new_per_minute: Option<u64>,
    max_announcements_per_peer: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TimerKeys {
    quiet_period_after_withdraw_seconds: Option<u32>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct GuardrailKeys {
    max_ttl_seconds: Option<Ttl>,
    max_lifetime_seconds: Option<u32>,
    max_lifetime_cooldown_seconds: Option<u32>,
    dst_prefix_minlen: Option<u8>,
    allow_rtbh: Option<bool>,
    protected_prefixes: Vec<Prefix>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct EscalationKeys {
    enabled: Option<bool>,
    step_down: Option<bool>,
    min_persistence_seconds: Option<u32>,
    min_confidence: Option<Confidence>,
    max_escalated_duration_seconds: Option<u32>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SourceKeys {
    reports: Option<Reports>,
    edge_hold_seconds: Option<u32>,
    default_confidence: Option<Confidence>,
    weight: Option<f64>,
    silent_after_seconds: Option<u32>,
    mode: Option<SourceMode>,
    match_dimensions: Vec<Dimension>,
}

/// Present = on.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct CorrelationKeys {
    confidence_mode: Option<ConfidenceMode>,
    window_seconds: Option<u32>,
    min_sources: Option<u32>,
    confidence_threshold: Option<Confidence>,
    confidence_decay_half_life_seconds: Option<u32>,
}

fn neighbor(address: IpAddr) -> Neighbor {
    Neighbor { name: format!("router-{address}"), address, peer_asn: 64_501 }
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
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
        let guardrails = self.guardrails();
        let inventory =
            InventoryDocument { customers: self.customers.clone() }.build(&guardrails).unwrap().value;
        let document =
            PlaybooksDocument { playbooks: self.playbooks.clone(), ..PlaybooksDocument::default() };
        let playbooks = document.build(&guardrails, Some(&inventory)).unwrap().value;
        Policy::new(PolicyParts {
            inventory,
            playbooks,
            guardrails,
            quotas: self.quotas(),
            timers: self.timers(),
            escalation: self.escalation(),
            correlation: self.correlation(),
            sources: self.sources(),
            own_addresses: self.own_addresses.clone(),
        })
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
            neighbors: self.neighbors.iter().map(|address| neighbor(*address)).collect(),
            safelist: self.safelist.clone(),
            has_sessions: true,
            retain_events: None,
            retain_mitigations: None,
            preserve_announcements: self.preserve_announcements.unwrap_or(true),
            speaker_address: self.speaker.clone().unwrap_or_else(|| "192.0.2.179:50051".into()),
            configuration: self.configuration.clone().unwrap_or_else(|| "cafe".into()),
        }
    }

    fn quotas(&self) -> Quotas {
        let mut quotas = Quotas::default();
        set(&mut quotas.max_active_per_customer, self.quotas.max_active_per_customer);
        set(&mut quotas.max_active_per_pop, self.quotas.max_active_per_pop);
        set(&mut quotas.max_active_global, self.quotas.max_active_global);
        set(&mut quotas.max_new_per_minute, self.quotas.max_new_per_minute);
        set(&mut quotas.max_announcements_per_peer, self.quotas.max_announcements_per_peer);
        quotas
    }

    fn timers(&self) -> Timers {
        let mut timers = Timers::default();
        let quiet = self.timers.quiet_period_after_withdraw_seconds;
        set(&mut timers.quiet_period_after_withdraw_seconds, quiet);
        timers
    }

    fn guardrails(&self) -> Guardrails {
        let (mut guardrails, keys) = (Guardrails::default(), &self.guardrails);
        set(&mut guardrails.max_ttl, keys.max_ttl_seconds);
        set(&mut guardrails.max_lifetime_seconds, keys.max_lifetime_seconds);
        set(&mut guardrails.max_lifetime_cooldown_seconds, keys.max_lifetime_cooldown_seconds);
        set(&mut guardrails.dst_prefix_v4.min, keys.dst_prefix_minlen);
        set(&mut guardrails.allow_rtbh, keys.allow_rtbh);
        guardrails.protected_prefixes.clone_from(&keys.protected_prefixes);
        guardrails
    }

    fn escalation(&self) -> EscalationDefaults {
        let (mut escalation, keys) = (EscalationDefaults::default(), &self.escalation);
        set(&mut escalation.enabled, keys.enabled);
        set(&mut escalation.step_down, keys.step_down);
        set(&mut escalation.min_persistence_seconds, keys.min_persistence_seconds);
        set(&mut escalation.min_confidence, keys.min_confidence);
        set(&mut escalation.max_escalated_duration_seconds, keys.max_escalated_duration_seconds);
        escalation
    }

    fn correlation(&self) -> CorrelationSettings {
        let mut settings = CorrelationSettings::default();
        let Some(keys) = &self.correlation else { return settings };
        settings.enabled = true;
        set(&mut settings.mode, keys.confidence_mode);
        set(&mut settings.window_seconds, keys.window_seconds);
        set(&mut settings.terms.min_sources, keys.min_sources);
        set(&mut settings.terms.confidence_threshold, keys.confidence_threshold);
        set(&mut settings.terms.half_life_seconds, keys.confidence_decay_half_life_seconds);
        settings
    }

    fn sources(&self) -> Sources {
        let entry = |keys: &SourceKeys| {
            let mut entry = SourcePolicy { reports: keys.reports, ..SourcePolicy::default() };
            set(&mut entry.edge_hold_seconds, keys.edge_hold_seconds);
            set(&mut entry.default_confidence, keys.default_confidence);
            set(&mut entry.weight, keys.weight);
            set(&mut entry.silent_after_seconds, keys.silent_after_seconds);
            set(&mut entry.mode, keys.mode);
            entry.match_dimensions.clone_from(&keys.match_dimensions);
            entry
        };
        Sources::new(self.sources.iter().map(|(name, keys)| (name.clone(), entry(keys))).collect())
    }
}
