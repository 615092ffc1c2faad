//! Reading, making, withdrawing and acknowledging mitigations.

use crate::client::Client;
use crate::error::ApiError;
use crate::operation;
use crate::outcome::{Mode, Outcome};
use crate::page::Paged;
use crate::query::MitigationQuery;
use crate::reply::Reply;
use crate::transport::Call;
use prefix_api_types::{
    Acknowledge, Acknowledged, BulkWithdrawn, Mitigation, MitigationId, NewMitigation, Page, Withdraw,
    WithdrawMany,
};

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
        let body = Withdraw { reason: reason.to_owned(), operator_id: operator.map(str::to_owned) };
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
        let body = WithdrawMany {
            mitigation_ids: ids.to_vec(),
            reason: reason.to_owned(),
            operator_id: operator.map(str::to_owned),
        };
        self.change(keyed(Call::new(operation::MITIGATIONS_WITHDRAW_BULK).body(&body)?, mode), mode).await
    }

    /// Marks 1 to 100 mitigations as seen by a person.
    pub async fn acknowledge_mitigations(
        &self,
        ids: &[MitigationId],
        mode: Mode,
    ) -> Result<Reply<Outcome<Acknowledged>>, ApiError> {
        let body = Acknowledge { mitigation_ids: ids.to_vec() };
        self.change(keyed(Call::new(operation::MITIGATIONS_ACKNOWLEDGE).body(&body)?, mode), mode).await
    }
}
