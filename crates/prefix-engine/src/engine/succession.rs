//! Before this instance leads its pop: the intent table is read, and every stored intent is checked.

use std::sync::Arc;

use prefix_core::audit::{Actor, AuditAction, AuditEntry};
use prefix_core::id::MitigationId;
use prefix_core::ports::Epoch;
use serde_json::json;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::command::record::Record;
use crate::command::revalidate::Revalidate;
use crate::command::safelist::{ChangeSafelist, SafelistChange};
use crate::commit_queue::{self, CommitQueue};
use crate::error::EngineError;
use crate::shared::Shared;

/// What came of a check of the stored intents.
#[derive(Clone, Copy)]
pub(super) struct Checked {
    pub(super) rules: usize,
    pub(super) withdrawn: usize,
}

/// Takes over whenever this instance is elected later than at its start.
pub(super) async fn succession(shared: Arc<Shared>, commit_queue: CommitQueue, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = shared.leadership.elected.notified() => {}
        }
        while let Some(epoch) = shared.leadership.to_prepare() {
            let prepared = tokio::select! {
                () = stop.cancelled() => return,
                prepared = prepare(&shared, &commit_queue, epoch) => prepared,
            };
            match prepared {
                Ok(checked) => {
                    info!(rules = checked.rules, withdrawn = checked.withdrawn, "rules taken over");
                }
                Err(error) => {
                    warn!(%error, "rules cannot be taken over yet");
                    sleep(commit_queue::RETRY).await;
                }
            }
        }
    }
}

/// Makes ready to lead: the intent table is as storage has it, and no stored intent is announced before it has passed today's
/// policy.
pub(super) async fn prepare(
    shared: &Arc<Shared>,
    commit_queue: &CommitQueue,
    epoch: Epoch,
) -> Result<Checked, EngineError> {
    shared.intents.begin_to_lead();
    // no route is looked at before the speaker's table: what stands there already is not sent again
    commit_queue.reload().await?;
    let rules = shared.intents.rows().len();
    let withdrawn = check_intents(shared, &commit_queue.led_by(epoch)).await?;
    if !shared.enforced() {
        // with nothing to compare, only a look at each route tells what has left the speaker by itself
        shared.route_queue.enqueue(shared.intents.keys());
    }
    shared.leadership.rows_checked(epoch);
    Ok(Checked { rules, withdrawn })
}

async fn check_intents(shared: &Arc<Shared>, commit_queue: &CommitQueue) -> Result<usize, EngineError> {
    let change = SafelistChange::Configure(shared.settings.safelist.clone());
    commit_queue.submit(ChangeSafelist::new(change))?.await??;
    let mut ids: Vec<MitigationId> = shared.intents.rows().iter().map(|row| row.mitigation_id).collect();
    ids.sort();
    let mut withdrawn = 0;
    for ids in ids.chunks(512) {
        withdrawn += commit_queue.submit(Revalidate::new(ids.to_vec()))?.await?.len();
    }
    if withdrawn > 0 {
        warn!(withdrawn, "stored rules no longer pass and are withdrawn");
    }
    Ok(withdrawn)
}

pub(super) async fn record_start(
    shared: &Arc<Shared>,
    commit_queue: &CommitQueue,
    checked: Checked,
) -> Result<(), EngineError> {
    let Checked { rules, withdrawn } = checked;
    let details = json!({ "mode": shared.settings.mode.as_str(), "rules": rules, "withdrawn": withdrawn });
    let entry = AuditEntry::new(shared.now(), Actor::SYSTEM, AuditAction::Start, details);
    commit_queue.submit(Record(vec![entry]))?.await
}
