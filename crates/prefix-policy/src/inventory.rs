//! Whose address is it: exact assets first, then the longest prefix, in less than a microsecond at any size.

mod assets;
mod check;
mod customer;

use ipnetwork::IpNetwork;
use prefix_core::address::{Prefix, VictimIp};
use prefix_trie::joint::JointPrefixMap;
use serde::{Deserialize, Serialize};

pub use customer::{Asset, Customer, Service, ServicePorts};

use crate::finding::{Checked, Finding, Findings};
use crate::settings::Guardrails;
use assets::AssetIndex;

/// inventory.yaml, typed but not yet checked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InventoryDocument {
    /// The customers.
    #[serde(default)]
    pub customers: Vec<Customer>,
}

impl InventoryDocument {
    /// Checks the rules of configuration.md §3 and builds the index. The guardrails' `max_ports` is only warned about.
    pub fn build(self, guardrails: &Guardrails) -> Result<Checked<Inventory>, Vec<Finding>> {
        let mut findings = Findings::default();
        check::customers(&self.customers, guardrails, &mut findings);
        let prefixes = check::prefixes(&self.customers, &mut findings);
        let assets = check::assets(&self.customers, &mut findings);
        findings.finish(Inventory { customers: self.customers, prefixes, assets })
    }
}

/// What is known of an address.
#[derive(Clone, Copy, Debug)]
pub struct Ownership<'a> {
    /// The customer.
    pub customer: &'a Customer,
    /// The service, where an asset names the address.
    pub service: Option<&'a Service>,
    /// That asset.
    pub asset: Option<&'a Asset>,
}

/// The customers and where their addresses are. Never empty-handed about order: an asset beats every prefix, a longer
/// prefix beats a shorter one.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    customers: Vec<Customer>,
    prefixes: JointPrefixMap<IpNetwork, u32>,
    assets: AssetIndex,
}

impl Inventory {
    /// Whose address it is; `None` = not ours.
    pub fn lookup(&self, victim: VictimIp) -> Option<Ownership<'_>> {
        if let Some(place) = self.assets.find(victim) {
            let customer = self.customers.get(place.customer as usize)?;
            let service = customer.services.get(place.service as usize);
            let asset = service.and_then(|service| service.assets.get(place.asset as usize));
            return Some(Ownership { customer, service, asset });
        }
        self.owner(victim.host_prefix()).map(|customer| Ownership { customer, service: None, asset: None })
    }

    /// The customer whose prefix covers this one, the longest first; `None` if no customer's does.
    pub fn owner(&self, prefix: Prefix) -> Option<&Customer> {
        let (_, index) = self.prefixes.get_lpm(&prefix.as_network())?;
        self.customers.get(*index as usize)
    }

    /// The customers, in the order of the file.
    pub fn customers(&self) -> &[Customer] {
        &self.customers
    }

    /// The document it was built from.
    pub fn document(&self) -> InventoryDocument {
        InventoryDocument { customers: self.customers.clone() }
    }
}
