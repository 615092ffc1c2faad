//! Playbooks: what is done about which attack, step by step. The first one that matches wins.

mod check;
mod document;
mod one_or_many;

use prefix_core::address::Family;
use prefix_core::confidence::Confidence;
use prefix_core::flowspec::Action;
use prefix_core::name::{CustomerId, PlaybookName, ServiceId, SourceName, VectorName};
use prefix_core::rate::BitsPerSecond;
use prefix_core::ttl::Ttl;
use prefix_diagnostics::{Checked, Diagnostic, Diagnostics};

use check::Check;
pub use document::{
    CorrelationOverride, FragmentsOption, MatchDocument, OnAllowedPorts, OnUnknownPorts, PlaybookDocument,
    PlaybooksDocument, StepDocument, StepMatch,
};
pub use one_or_many::OneOrMany;

use crate::inventory::Inventory;
use crate::settings::Guardrails;
use crate::vector::Vectors;

/// A step of a playbook, ready to be built into a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What is done with matching packets.
    pub action: Action,
    /// The TTL before the customer's profile scales it.
    pub ttl: Ttl,
    /// The confidence it needs, before the profile.
    pub require_confidence_at_least: Option<Confidence>,
    /// How many seconds the step before it must have been confirmed, before the profile.
    pub require_persistence_seconds: Option<u32>,
    /// When only ports that the service serves are attacked.
    pub on_allowed_ports: OnAllowedPorts,
    /// When the report names no port and the service serves some.
    pub on_unknown_ports: OnUnknownPorts,
    /// The companion rule for fragments.
    pub fragments: FragmentsOption,
    /// The rate where ports that the service serves are policed.
    pub allowed_ports_rate: Option<BitsPerSecond>,
    /// Narrows the vector.
    pub matches: StepMatch,
}

/// A playbook.
#[derive(Clone, Debug, PartialEq)]
pub struct Playbook {
    /// Its name, unique.
    pub name: PlaybookName,
    /// Which attacks it is for.
    pub matches: MatchDocument,
    /// Its own terms of correlation.
    pub correlation: Option<CorrelationOverride>,
    /// What it does, in order; never empty.
    pub steps: Vec<Step>,
}

/// What a playbook is chosen by.
#[derive(Clone, Copy, Debug)]
pub struct AttackFacts<'a> {
    /// The vector of the report.
    pub vector: &'a VectorName,
    /// Who reports.
    pub source: &'a SourceName,
    /// Whose address it is.
    pub customer_id: &'a CustomerId,
    /// The service, if an asset names the address.
    pub service_id: Option<&'a ServiceId>,
    /// The protocol of the vector, else of the report; `None` = any.
    pub protocol: Option<u8>,
    /// The family of the victim.
    pub family: Family,
    /// Whether the report names destination ports.
    pub has_ports: bool,
}

impl Playbook {
    /// True if all keys of `match` hold.
    pub fn is_for(&self, attack: &AttackFacts<'_>) -> bool {
        let keys = &self.matches;
        let fits_protocol = keys
            .protocol
            .and_then(|protocol| protocol.number(attack.family))
            .is_none_or(|number| attack.protocol == Some(number));
        let fits_service = keys
            .service_id
            .as_ref()
            .is_none_or(|wanted| attack.service_id.is_some_and(|service| wanted.contains(service)));
        keys.vector.contains(attack.vector)
            && keys.source.as_ref().is_none_or(|wanted| wanted.contains(attack.source))
            && keys.customer_id.as_ref().is_none_or(|wanted| wanted.contains(attack.customer_id))
            && fits_service
            && fits_protocol
            && (!keys.require_top_ports || attack.has_ports)
    }

    /// A step by its number.
    pub fn step(&self, number: u16) -> Option<&Step> {
        self.steps.get(usize::from(number))
    }
}

/// All playbooks and the vectors they speak of.
#[derive(Clone, Debug, Default)]
pub struct Playbooks {
    list: Vec<Playbook>,
    default_playbook: Option<usize>,
    vectors: Vectors,
    document: PlaybooksDocument,
}

impl PlaybooksDocument {
    /// Checks the rules of configuration.md §4 and what the guardrails and the inventory say about them.
    ///
    /// The inventory is only asked whether customers and services exist, which is a warning.
    pub fn build(
        self,
        guardrails: &Guardrails,
        inventory: Option<&Inventory>,
    ) -> Result<Checked<Playbooks>, Vec<Diagnostic>> {
        let vectors = Vectors::with_own(self.vectors.clone());
        let mut check = Check { vectors: &vectors, guardrails, inventory, found: Diagnostics::default() };
        let (list, found) = (check.document(&self), check.found);
        let position =
            |name: &PlaybookName| self.playbooks.iter().position(|playbook| playbook.name == *name);
        let default_playbook = self.default_playbook.as_ref().and_then(position);
        found.finish(Playbooks { list, default_playbook, vectors, document: self })
    }
}

impl Playbooks {
    /// The first playbook that matches, else the default one.
    pub fn select(&self, attack: &AttackFacts<'_>) -> Option<&Playbook> {
        let default = || self.default_playbook.and_then(|position| self.list.get(position));
        self.list.iter().find(|playbook| playbook.is_for(attack)).or_else(default)
    }

    /// A playbook by its name.
    pub fn get(&self, name: &PlaybookName) -> Option<&Playbook> {
        self.list.iter().find(|playbook| playbook.name == *name)
    }

    /// The playbooks, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Playbook> {
        self.list.iter()
    }

    /// The vectors, built-in and own.
    pub fn vectors(&self) -> &Vectors {
        &self.vectors
    }

    /// The document it was built from.
    pub fn document(&self) -> &PlaybooksDocument {
        &self.document
    }
}
