//! Customers, their services and the addresses these have.

use prefix_core::address::{Prefix, VictimIp};
use prefix_core::flowspec::{Action, ActionError};
use prefix_core::name::{CustomerId, ServiceId};
use prefix_core::port::PortSet;
use prefix_core::protocol::number::{TCP, UDP};
use prefix_core::rate::{BitsPerSecond, PacketsPerSecond};
use serde::{Deserialize, Serialize};

use crate::profile::Profile;

/// A customer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Customer {
    /// Its identifier, unique.
    pub customer_id: CustomerId,
    /// Its name for people.
    #[serde(default)]
    pub name: Box<str>,
    /// Its prefixes.
    #[serde(default)]
    pub prefixes: Box<[Prefix]>,
    /// How eagerly it is protected.
    #[serde(default)]
    pub policy_profile: Profile,
    /// What it serves.
    #[serde(default)]
    pub services: Box<[Service]>,
}

/// A service of a customer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Its identifier, unique within the customer.
    pub service_id: ServiceId,
    /// Its name for people.
    #[serde(default)]
    pub name: Box<str>,
    /// Its addresses.
    #[serde(default)]
    pub assets: Box<[Asset]>,
    /// The ports it serves: no automatic discard touches them.
    #[serde(default)]
    pub allowed_ports: ServicePorts,
    /// The ports of others that it asks: their answers are policed, never discarded.
    #[serde(default)]
    pub allowed_source_ports: ServicePorts,
    /// What one address of it can take on its served ports, above its normal peak; per rule and per router.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Capacity>,
    /// The same for the answers that it asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers_capacity: Option<Capacity>,
}

/// How much a service can take: at least one of the two rates, and with both each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capacity {
    /// Bits per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bps: Option<BitsPerSecond>,
    /// Packets per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pps: Option<PacketsPerSecond>,
}

impl Capacity {
    /// Policing at it.
    ///
    /// # Errors
    /// It names no rate, or one that the encoding rounds to 0, which would discard.
    pub fn action(self) -> Result<Action, ActionError> {
        Action::police(self.bps, self.pps)
    }
}

/// An address, or a range of addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asset {
    /// The address, or the first of the range.
    pub ip: VictimIp,
    /// The last address of the range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range_end: Option<VictimIp>,
    /// What it is, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Box<str>>,
    /// Where it is attached, for correlation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<Box<str>>,
}

impl Asset {
    /// Whether one of its addresses lies in a prefix.
    pub fn meets(&self, prefix: Prefix) -> bool {
        let (first, last) = super::check::span(&prefix);
        let end = self.range_end.unwrap_or(self.ip);
        let (from, to) = (super::check::number(self.ip.ip()), super::check::number(end.ip()));
        self.ip.family() == prefix.family() && from <= last && first <= to
    }
}

/// Ports by protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServicePorts {
    /// Of UDP.
    #[serde(default)]
    pub udp: PortSet,
    /// Of TCP.
    #[serde(default)]
    pub tcp: PortSet,
}

impl ServicePorts {
    /// The ports of a protocol number; none for protocols without ports.
    pub fn of(&self, protocol: u8) -> Option<&PortSet> {
        match protocol {
            UDP => Some(&self.udp),
            TCP => Some(&self.tcp),
            _ => None,
        }
    }

    /// True if no port is named.
    pub fn is_empty(&self) -> bool {
        self.udp.is_empty() && self.tcp.is_empty()
    }
}
