//! Playbooks: what is done about which attack, step by step. The first one that matches wins.

mod carpet;
mod check;
mod document;
mod never;
mod one_or_many;
mod precedes;

use prefix_core::event::Report;
use prefix_core::flowspec::Action;
use prefix_core::name::{PlaybookName, ServiceId};
use prefix_diagnostics::{Checked, Diagnostic, Diagnostics};

pub use carpet::{CarpetDocument, CarpetEntry, CarpetMatchDocument, CarpetStepDocument};
use check::Check;
pub use document::{
    CorrelationOverride, FragmentsOption, MatchDocument, OnAllowedPorts, OnTooManyPorts, OnUnknownPorts,
    PlaybookDocument, PlaybooksDocument, StepDocument,
};
pub use one_or_many::OneOrMany;

use crate::compose::Attack;
use crate::inventory::{CustomerMatch, Inventory};
use crate::settings::Guardrails;
use crate::vector::Vectors;

/// A step of a playbook, ready to be built into a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What is done with matching packets.
    pub action: Action,
    /// The step as it is written; TTL, confidence and persistence are those before the customer's profile scales them.
    pub keys: StepDocument,
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

impl Playbook {
    /// True if all keys of `match` hold.
    fn is_for(&self, report: &Report, attack: &Attack<'_>, owner: &CustomerMatch<'_>) -> bool {
        let keys = &self.matches;
        let protocol = keys.protocol.and_then(|protocol| protocol.number(report.victim_ip.family()));
        let fits_service = |wanted: &OneOrMany<ServiceId>| {
            owner.service_id().is_some_and(|service| wanted.contains(service))
        };
        keys.vector.contains(attack.vector)
            && keys.source.as_ref().is_none_or(|wanted| wanted.contains(&report.source))
            && keys.customer_id.as_ref().is_none_or(|wanted| wanted.contains(owner.customer_id()))
            && keys.service_id.as_ref().is_none_or(fits_service)
            && protocol.is_none_or(|number| attack.protocol() == Some(number))
            && (!keys.require_top_ports || !report.top_dst_ports.is_empty())
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
    carpets: Vec<CarpetEntry>,
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
        let (list, carpets) = (check.document(&self), check.carpets(&self.carpet));
        let found = check.found;
        let position =
            |name: &PlaybookName| self.playbooks.iter().position(|playbook| playbook.name == *name);
        let default_playbook = self.default_playbook.as_ref().and_then(position);
        found.finish(Playbooks { list, default_playbook, carpets, vectors, document: self })
    }
}

impl Playbooks {
    /// The first playbook that matches, else the default one.
    pub(crate) fn select(
        &self,
        report: &Report,
        attack: &Attack<'_>,
        owner: &CustomerMatch<'_>,
    ) -> Option<&Playbook> {
        let default = || self.default_playbook.and_then(|position| self.list.get(position));
        self.list.iter().find(|playbook| playbook.is_for(report, attack, owner)).or_else(default)
    }

    /// A playbook by its name.
    pub fn get(&self, name: &PlaybookName) -> Option<&Playbook> {
        self.list.iter().find(|playbook| playbook.name == *name)
    }

    /// The playbooks, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Playbook> {
        self.list.iter()
    }

    /// The entries for carpet bombing, in the order of the file.
    pub fn carpets(&self) -> &[CarpetEntry] {
        &self.carpets
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
