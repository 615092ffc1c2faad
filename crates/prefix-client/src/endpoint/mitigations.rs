//! Reading, making, withdrawing and acknowledging mitigations.

use crate::client::Client;
use crate::error::ApiError;
use crate::id::MitigationId;
use crate::model::mitigation::{Acknowledged, BulkWithdrawn, Mitigation, MitigationQuery, NewMitigation};
use crate::operation;
use crate::outcome::{Mode, Outcome};
use crate::page::{Page, Paged};
use crate::reply::Reply;
use crate::transport::Call;
use serde::Serialize;

#[derive(Serialize)]
struct Withdrawal<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    mitigation_ids: Option<&'a [MitigationId]>,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    operator_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Acknowledgement<'a> {
    mitigation_ids: &'a [MitigationId],
}

/// A key belongs to what is stored; a rehearsal stores nothing.
fn keyed(call: Call, mode: Mode) -> Call {
    match mode {
        Mode::Apply => call.idempotent(None),
        Mode::DryRun => call,
    }
}

impl Client {
    /// The first page of mitigations.
    pub async fn mitigations(&self, query: &MitigationQuery) -> Result<Reply<Page<Mitigation>>, ApiError> {
        self.call(Call::new(operation::MITIGATIONS_LIST).query(query.pairs())).await
    }

    /// All mitigations, page by page.
    pub fn all_mitigations(&self, query: &MitigationQuery) -> Paged<Mitigation> {
        Paged::new(self, operation::MITIGATIONS_LIST, query.pairs())
    }

    /// One mitigation with its decision.
    pub async fn mitigation(&self, id: MitigationId) -> Result<Reply<Mitigation>, ApiError> {
        self.call(Call::new(operation::MITIGATIONS_GET).argument(&id)).await
    }

    /// Makes a rule by hand: 201 for a new one, 200 if the same match was there and was changed in place.
    pub async fn create_mitigation(
        &self,
        rule: &NewMitigation,
        mode: Mode,
    ) -> Result<Reply<Outcome<Mitigation>>, ApiError> {
        self.change(keyed(Call::new(operation::MITIGATIONS_CREATE).body(rule)?, mode), mode).await
    }

    /// Takes one rule away. `operator` is only a remark: the identity is the caller's.
    pub async fn withdraw_mitigation(
        &self,
        id: MitigationId,
        reason: &str,
        operator: Option<&str>,
        mode: Mode,
    ) -> Result<Reply<Outcome<Mitigation>>, ApiError> {
        let body = Withdrawal { mitigation_ids: None, reason, operator_id: operator };
        let call = Call::new(operation::MITIGATIONS_WITHDRAW).argument(&id).body(&body)?;
        self.change(keyed(call, mode), mode).await
    }

    /// Takes 1 to 100 rules away.
    pub async fn withdraw_mitigations(
        &self,
        ids: &[MitigationId],
        reason: &str,
        operator: Option<&str>,
        mode: Mode,
    ) -> Result<Reply<Outcome<BulkWithdrawn>>, ApiError> {
        let body = Withdrawal { mitigation_ids: Some(ids), reason, operator_id: operator };
        self.change(keyed(Call::new(operation::MITIGATIONS_WITHDRAW_BULK).body(&body)?, mode), mode).await
    }

    /// Marks 1 to 100 mitigations as seen by a person.
    pub async fn acknowledge_mitigations(
        &self,
        ids: &[MitigationId],
        mode: Mode,
    ) -> Result<Reply<Outcome<Acknowledged>>, ApiError> {
        let body = Acknowledgement { mitigation_ids: ids };
        self.change(keyed(Call::new(operation::MITIGATIONS_ACKNOWLEDGE).body(&body)?, mode), mode).await
    }
}
