//! Carpet bombing (configuration.md §4.5): entries as they are written, checked, and ready to be asked.

use prefix_core::address::Family;
use prefix_core::flowspec::{ActionType, Dscp, RouteTarget};
use prefix_core::matching::PacketMatch;
use prefix_core::mitigation::MOST_VICTIMS;
use prefix_core::name::{CustomerId, VectorName};
use prefix_core::rate::{BitsPerSecond, PacketsPerSecond};
use prefix_core::ttl::Ttl;
use prefix_diagnostics::KeyPath;
use serde::{Deserialize, Serialize};

use super::check::Check;
use super::{FragmentsOption, OnAllowedPorts, OnTooManyPorts, OnUnknownPorts, OneOrMany, Step, StepDocument};
use crate::settings::Guardrails;

/// The IPv4 length of an entry that says none.
const LENGTH: u8 = 24;
/// The IPv6 length of an entry that says none.
const LENGTH_V6: u8 = 56;
/// The number of victims of an entry that says none.
const MIN_VICTIMS: u32 = 16;

/// One entry of `carpet`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CarpetDocument {
    /// Which attacks it is for.
    #[serde(rename = "match")]
    pub matches: CarpetMatchDocument,
    /// The length of an IPv4 prefix, bits; missing = 24.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix_length: Option<u8>,
    /// The length of an IPv6 prefix, bits; missing = 56.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix_length_v6: Option<u8>,
    /// So many different victims make a carpet.
    #[serde(default = "default_min_victims")]
    pub min_victims: u32,
    /// What its rule does.
    pub step: CarpetStepDocument,
}

fn default_min_victims() -> u32 {
    MIN_VICTIMS
}

/// Both keys must hold; a key left out matches everything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CarpetMatchDocument {
    /// The vectors.
    pub vector: OneOrMany<VectorName>,
    /// The customers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<OneOrMany<CustomerId>>,
}

/// The only step of a carpet: it has no companions, and nothing comes after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CarpetStepDocument {
    /// What is done.
    #[serde(default = "police")]
    pub action: ActionType,
    /// Of police, for the whole prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_bps: Option<BitsPerSecond>,
    /// Of police, for the whole prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_pps: Option<PacketsPerSecond>,
    /// Of redirect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_to: Option<RouteTarget>,
    /// Of mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dscp_mark: Option<Dscp>,
    /// How long a report holds the rule.
    pub ttl_seconds: Ttl,
    /// The rate where a discard would meet ports that services serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_ports_rate_bps: Option<BitsPerSecond>,
    /// Narrows the vector.
    #[serde(default, rename = "match", skip_serializing_if = "PacketMatch::is_empty")]
    pub matches: PacketMatch,
}

fn police() -> ActionType {
    ActionType::Police
}

impl CarpetStepDocument {
    /// As the step of a playbook.
    fn as_step(&self) -> StepDocument {
        StepDocument {
            action: self.action,
            rate_bps: self.rate_bps,
            rate_pps: self.rate_pps,
            redirect_to: self.redirect_to,
            dscp_mark: self.dscp_mark,
            targets: Vec::new(),
            ttl_seconds: self.ttl_seconds,
            require_confidence_at_least: None,
            require_persistence_seconds: None,
            on_allowed_ports: OnAllowedPorts::default(),
            on_unknown_ports: OnUnknownPorts::default(),
            on_too_many_ports: OnTooManyPorts::default(),
            fragments: FragmentsOption::default(),
            allowed_ports_rate_bps: self.allowed_ports_rate_bps,
            matches: self.matches.clone(),
        }
    }
}

/// An entry, ready to be asked.
#[derive(Clone, Debug, PartialEq)]
pub struct CarpetEntry {
    matches: CarpetMatchDocument,
    /// The length of IPv4 prefixes, bits; `None` = not for IPv4.
    length: Option<u8>,
    /// The length of IPv6 prefixes, bits; `None` = not for IPv6.
    length_v6: Option<u8>,
    /// So many different victims make a carpet.
    pub min_victims: u32,
    /// What its rule does.
    pub step: Step,
}

impl CarpetEntry {
    /// The length of its prefixes in bits.
    pub fn length(&self, family: Family) -> Option<u8> {
        match family {
            Family::Ipv4 => self.length,
            Family::Ipv6 => self.length_v6,
        }
    }

    /// Whether it is for attacks on this customer.
    pub fn is_of(&self, customer: &CustomerId) -> bool {
        self.matches.customer_id.as_ref().is_none_or(|wanted| wanted.contains(customer))
    }

    /// Whether it is for attacks of this vector on this customer.
    pub fn is_for(&self, vector: &VectorName, customer: &CustomerId) -> bool {
        self.matches.vector.contains(vector) && self.is_of(customer)
    }
}

impl Check<'_> {
    /// Checks the entries. They are there as far as they can be built.
    pub(super) fn carpets(&mut self, entries: &[CarpetDocument]) -> Vec<CarpetEntry> {
        let mut built = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            let at = KeyPath::from("carpet").index(index);
            self.attacks(&entry.matches.vector, entry.matches.customer_id.as_ref(), &at.key("match"));
            let [length, length_v6] = self.lengths(entry, &at);
            self.victims(entry, [length, length_v6], &at);
            let (step, at) = (entry.step.as_step(), at.key("step"));
            self.bounds(&step, &at);
            if step.action == ActionType::Rtbh {
                let text = "a black hole takes one host: a carpet polices, discards, redirects or marks";
                self.found.error(at.key("action"), text);
                continue;
            }
            for vector in entry.matches.vector.as_slice() {
                self.meets(vector, &step, &at);
            }
            let action = self.action(&step, &at);
            built.extend(action.map(|action| CarpetEntry {
                matches: entry.matches.clone(),
                length,
                length_v6,
                min_victims: entry.min_victims,
                step: Step { action, keys: step },
            }));
        }
        built
    }

    /// The lengths of both families. A family that is not named and that the guardrails forbid is left out, unless nothing
    /// is left; of an entry that names neither that is said.
    fn lengths(&mut self, entry: &CarpetDocument, at: &KeyPath) -> [Option<u8>; 2] {
        let both = [
            (Family::Ipv4, "prefix_length", entry.prefix_length, LENGTH),
            (Family::Ipv6, "prefix_length_v6", entry.prefix_length_v6, LENGTH_V6),
        ];
        let problems = both.map(|(family, key, written, default)| {
            forbidden(self.guardrails, family, key, written.unwrap_or(default))
        });
        let none_left = problems.iter().all(Option::is_some);
        let none_written = both.iter().all(|(_, _, written, _)| written.is_none());
        let mut lengths = [None; 2];
        for (place, ((family, key, written, default), problem)) in both.into_iter().zip(problems).enumerate()
        {
            let Some(problem) = problem else {
                lengths[place] = Some(written.unwrap_or(default));
                continue;
            };
            // of an entry that names no length, the one that most people mean
            let is_meant = none_left && none_written && place == 0;
            if written.is_some() || is_meant {
                let at = if is_meant { at.clone() } else { at.key(key) };
                self.found.error(at, format!("{problem}: every carpet would be refused"));
            } else if none_written && !none_left {
                self.found.warning(at.clone(), format!("{problem}: this entry is not for {family}"));
            }
        }
        lengths
    }

    fn victims(&mut self, entry: &CarpetDocument, lengths: [Option<u8>; 2], at: &KeyPath) {
        let at = at.key("min_victims");
        let least = entry.min_victims;
        if least < 2 {
            self.found.error(at, "min_victims must be at least 2: one victim has a rule of its own");
            return;
        }
        let sizes = [Family::Ipv4, Family::Ipv6].into_iter().zip(lengths).filter_map(|(family, length)| {
            let bits = u32::from(family.max_len().saturating_sub(length?));
            Some(2_u32.checked_pow(bits).unwrap_or(u32::MAX))
        });
        let most = sizes.min().unwrap_or(u32::MAX).min(u32::try_from(MOST_VICTIMS).unwrap_or(u32::MAX));
        if least > most {
            self.found
                .error(at, format!("min_victims {least} is never reached: a carpet holds at most {most}"));
        }
    }
}

/// Why no rule can have this length.
fn forbidden(guardrails: &Guardrails, family: Family, key: &str, length: u8) -> Option<String> {
    let (allowed, host) = (guardrails.dst_prefix(family), family.max_len());
    let suffix = if family == Family::Ipv6 { "_v6" } else { "" };
    if length >= host {
        return Some(format!("{key} {length} is no prefix of several hosts, it must be below {host}"));
    }
    if length < allowed.min {
        return Some(format!(
            "{key} {length} is wider than guardrails.dst_prefix_minlen{suffix} {} allows",
            allowed.min
        ));
    }
    (length > allowed.max).then(|| {
        format!("{key} {length} is longer than guardrails.dst_prefix_maxlen{suffix} {} allows", allowed.max)
    })
}
