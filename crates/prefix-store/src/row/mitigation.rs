//! The row of a mitigation. The document holds the whole of it; the columns beside are what SQL has to see.

use prefix_core::mitigation::{Mitigation, Status};
use prefix_core::name::CustomerId;
use prefix_core::ports::StoreError;

use super::define::{record, row};
use super::{Parsed, corrupt, json, time};
use crate::page::Place;
use crate::sql_type::{Id, Micros};

/// The part of a status that indexes see: it changes less often than the status itself.
pub(crate) mod phase {
    /// Waits, and claims its rule.
    pub(crate) const QUEUED: &str = "queued";
    /// Pending, active or escalated: claims its rule.
    pub(crate) const LIVING: &str = "living";
    /// Withdrawing.
    pub(crate) const ENDING: &str = "ending";
    /// Withdrawn, expired or rejected.
    pub(crate) const FINAL: &str = "final";
}

/// The phase of a status.
pub(crate) fn phase_of(status: Status) -> &'static str {
    match status {
        Status::Queued => phase::QUEUED,
        Status::Pending | Status::Active | Status::Escalated => phase::LIVING,
        Status::Withdrawing => phase::ENDING,
        Status::Withdrawn | Status::Expired | Status::Rejected => phase::FINAL,
    }
}

record! {
    /// What is needed to get a mitigation back.
    MitigationRow of mitigations { mitigation_id: Id, revision: i64, created_at: Micros, doc: String }
}

impl Parsed for MitigationRow {
    type Value = Mitigation;
    const TABLE: &'static str = "mitigations";

    fn place(&self) -> Place {
        (self.created_at, self.mitigation_id)
    }

    fn parse(self) -> Result<Mitigation, StoreError> {
        let id = self.mitigation_id.0;
        let mut mitigation: Mitigation =
            serde_json::from_str(&self.doc).map_err(|error| corrupt("mitigations", id, error))?;
        mitigation.revision = self.revision;
        mitigation.created_at = time("mitigations", id, self.created_at)?;
        mitigation.restore_route();
        Ok(mitigation)
    }
}

row! {
    /// A row to insert, or the new state of one.
    NewMitigation<'a> of mitigations {
        Key mitigation_id: Id,
        Revision revision: i64,
        Once pop: &'a str,
        Indexed phase: &'static str,
        Always status: &'static str,
        Indexed queued_at: Option<Micros>,
        Indexed closed_as: Option<&'static str>,
        Indexed closed_at: Option<Micros>,
        Once customer_id: Option<&'a str>,
        Once victim_ip: String,
        Once vector: &'a str,
        Indexed route_kind: Option<&'static str>,
        Indexed nlri: Option<Vec<u8>>,
        Once created_at: Micros,
        Indexed acknowledged: bool,
        Always doc: String,
    }
}

impl<'a> NewMitigation<'a> {
    pub(crate) fn new(mitigation: &'a Mitigation, revision: i64) -> Result<Self, StoreError> {
        let status = mitigation.status;
        let phase = phase_of(status);
        let key = mitigation.key();
        if key.is_none() && status != Status::Rejected {
            return Err(StoreError::Invalid(format!(
                "mitigation {} is {status} and has no rule",
                mitigation.mitigation_id
            )));
        }
        let closed_at = match status {
            Status::Rejected => Some(mitigation.updated_at),
            Status::Withdrawn | Status::Expired => Some(mitigation.ended_at.unwrap_or(mitigation.updated_at)),
            _ => None,
        };
        Ok(Self {
            mitigation_id: Id(mitigation.mitigation_id.as_uuid()),
            revision,
            pop: mitigation.pop.as_str(),
            phase,
            status: status.as_str(),
            queued_at: (status == Status::Queued).then(|| mitigation.created_at.into()),
            closed_as: status.is_final().then(|| status.as_str()),
            closed_at: closed_at.map(Micros::from),
            customer_id: mitigation.customer_id.as_ref().map(CustomerId::as_str),
            victim_ip: mitigation.victim_ip.to_string(),
            vector: mitigation.vector.as_str(),
            route_kind: key.as_ref().map(|key| route_kind(key.kind())),
            nlri: key.as_ref().map(|key| key.nlri().as_bytes().to_vec()),
            created_at: mitigation.created_at.into(),
            acknowledged: mitigation.acknowledged_at.is_some(),
            doc: json("mitigation", mitigation)?,
        })
    }

    /// True if the row keeps others from having its rule.
    pub(crate) fn claims_rule(&self) -> bool {
        self.phase == phase::QUEUED || self.phase == phase::LIVING
    }
}

/// The word of a table.
pub(crate) fn route_kind(kind: prefix_core::flowspec::RouteKind) -> &'static str {
    use prefix_core::flowspec::RouteKind;
    match kind {
        RouteKind::FlowSpecV4 => "flowspec_v4",
        RouteKind::FlowSpecV6 => "flowspec_v6",
        RouteKind::UnicastV4 => "unicast_v4",
        RouteKind::UnicastV6 => "unicast_v6",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phases_that_claim_a_rule_are_those_of_the_domain() {
        for status in Status::ALL {
            let phase = phase_of(status);
            assert_eq!(status.claims_rule(), phase == phase::QUEUED || phase == phase::LIVING);
            assert_eq!(status.lives(), phase == phase::LIVING);
            assert_eq!(status.is_final(), phase == phase::FINAL);
        }
    }
}
