//! Making, withdrawing and acknowledging mitigations.

use crate::client::Client;
use crate::endpoint::Changed;
use crate::operation;
use crate::outcome::Mode;
use crate::transport::Call;
use prefix_api_types::{
    Acknowledge, Acknowledged, BulkWithdrawn, Mitigation, MitigationId, NewMitigation, Withdraw, WithdrawMany,
};

/// A key belongs to what is stored; a rehearsal stores nothing.
fn keyed(call: Call, mode: Mode) -> Call {
    match mode {
        Mode::Apply => call.idempotent(),
        Mode::DryRun => call,
    }
}

impl Client {
    /// Makes a rule by hand: 201 for a new one, 200 if the same match was there and was changed in place.
    pub async fn create_mitigation(&self, rule: &NewMitigation, mode: Mode) -> Changed<Mitigation> {
        self.change(keyed(Call::new(operation::MITIGATIONS_CREATE).body(rule)?, mode), mode).await
    }

    /// Takes one rule away. `operator` is only a remark: the identity is the caller's.
    pub async fn withdraw_mitigation(
        &self,
        id: MitigationId,
        reason: &str,
        operator: Option<&str>,
        mode: Mode,
    ) -> Changed<Mitigation> {
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
    ) -> Changed<BulkWithdrawn> {
        let (mitigation_ids, operator_id) = (ids.to_vec(), operator.map(str::to_owned));
        let body = WithdrawMany { mitigation_ids, reason: reason.to_owned(), operator_id };
        self.change(keyed(Call::new(operation::MITIGATIONS_WITHDRAW_BULK).body(&body)?, mode), mode).await
    }

    /// Marks 1 to 100 mitigations as seen by a person.
    pub async fn acknowledge_mitigations(&self, ids: &[MitigationId], mode: Mode) -> Changed<Acknowledged> {
        let body = Acknowledge { mitigation_ids: ids.to_vec() };
        self.change(keyed(Call::new(operation::MITIGATIONS_ACKNOWLEDGE).body(&body)?, mode), mode).await
    }
}
