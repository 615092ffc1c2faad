//! Whose address is it: exact assets first, then the longest prefix, in less than a microsecond at any size.

mod check;
mod customer;
mod index;
mod spans;

use ipnetwork::IpNetwork;
use prefix_core::address::{Prefix, VictimIp};
use prefix_core::name::{CustomerId, ServiceId};
use prefix_diagnostics::{Checked, Diagnostic, Diagnostics};
use prefix_trie::joint::JointPrefixMap;
use serde::{Deserialize, Serialize};

pub use customer::{Asset, Capacity, Customer, Service, ServicePorts};

use crate::settings::Guardrails;
use index::AddressIndex;

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
    pub fn build(self, guardrails: &Guardrails) -> Result<Checked<Inventory>, Vec<Diagnostic>> {
        let mut found = Diagnostics::default();
        check::customers(&self.customers, guardrails, &mut found);
        let prefixes = check::prefixes(&self.customers, &mut found);
        let assets = check::assets(&self.customers, &mut found);
        let addresses = AddressIndex::new(&prefixes, &assets);
        found.finish(Inventory { customers: self.customers, prefixes, addresses })
    }
}

/// What is known of an address.
#[derive(Clone, Copy, Debug)]
pub struct CustomerMatch<'a> {
    /// The customer.
    pub customer: &'a Customer,
    /// The service, where an asset names the address.
    pub service: Option<&'a Service>,
    asset: Option<u32>,
}

impl<'a> CustomerMatch<'a> {
    /// The customer's identifier.
    pub fn customer_id(&self) -> &'a CustomerId {
        &self.customer.customer_id
    }

    /// The service's identifier, if an asset names the address.
    pub fn service_id(&self) -> Option<&'a ServiceId> {
        self.service.map(|service| &service.service_id)
    }

    /// The asset that names the address.
    pub fn asset(&self) -> Option<&'a Asset> {
        self.service?.assets.get(self.asset? as usize)
    }
}

/// The customers and where their addresses are: an asset beats every prefix, a longer prefix beats a shorter one.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    customers: Vec<Customer>,
    prefixes: JointPrefixMap<IpNetwork, u32>,
    addresses: AddressIndex,
}

impl Inventory {
    /// Whose address it is; `None` = not ours.
    pub fn lookup(&self, victim: VictimIp) -> Option<CustomerMatch<'_>> {
        let place = self.addresses.find(victim)?;
        let customer = self.customers.get(place.customer as usize)?;
        let service = place.asset.and_then(|(service, _)| customer.services.get(service as usize));
        Some(CustomerMatch { customer, service, asset: place.asset.map(|(_, asset)| asset) })
    }

    /// The customer whose prefix covers this one, the longest first; `None` if no customer's does.
    pub fn owner(&self, prefix: Prefix) -> Option<&Customer> {
        let (_, index) = self.prefixes.get_lpm(&prefix.as_network())?;
        self.customers.get(*index as usize)
    }

    /// The services of a customer that have an address within a prefix, in the order of the file.
    pub fn services_within<'a>(
        &self,
        customer: &'a Customer,
        prefix: Prefix,
    ) -> impl Iterator<Item = &'a Service> + use<'a> {
        let services = customer.services.iter();
        services.filter(move |service| service.assets.iter().any(|asset| asset.meets(prefix)))
    }

    /// The customer whose every address of a prefix is, so that nobody else has one of them.
    pub fn whole_owner(&self, prefix: Prefix) -> Option<&Customer> {
        let owner = self.owner(prefix)?;
        let is_within = |other: &Customer| {
            other.prefixes.iter().any(|theirs| prefix.covers(theirs))
                || self.services_within(other, prefix).next().is_some()
        };
        let mut others = self.customers.iter().filter(|other| other.customer_id != owner.customer_id);
        (!others.any(is_within)).then_some(owner)
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
