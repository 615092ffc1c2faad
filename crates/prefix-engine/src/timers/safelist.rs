//! A safelist that another instance changed: the leader ends what it covers, as it does for a change of its own.

use std::time::Duration;

use prefix_core::guardrail::Guardrail;
use prefix_core::id::MitigationId;
use prefix_core::safelist::Safelist;
use prefix_policy::CheckContext;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::ROWS_AT_ONCE;
use crate::command::revalidate::Revalidate;
use crate::task_context::TaskContext;

/// Between two reads of the list.
const PERIOD: Duration = Duration::from_secs(2);
/// Rows are checked so often against a changed list: one that another instance admitted just before may be followed
/// just after.
const CHECKS: u32 = 2;

/// Follows the safelist until `stop`.
pub(crate) async fn safelist(context: TaskContext, stop: CancellationToken) {
    if !context.store.is_shared() {
        // nobody else changes it
        return stop.cancelled().await;
    }
    let (mut revision, mut checks) = (None, 0);
    while stop.run_until_cancelled(sleep(PERIOD)).await.is_some() {
        let Some(epoch) = context.leadership.leading() else { continue };
        let list = match context.store.safelist().await {
            Ok(list) => list,
            Err(error) => {
                debug!(%error, "the safelist cannot be read");
                continue;
            }
        };
        if revision.replace(list.revision) != Some(list.revision) {
            checks = CHECKS;
        }
        if checks == 0 {
            continue;
        }
        checks -= 1;
        for ids in covered(&context, &list).chunks(ROWS_AT_ONCE) {
            let command = Revalidate::new(ids.to_vec());
            let Ok(answer) = context.commit_queue.led_by(epoch).submit(command) else { return };
            if let Ok(withdrawn) = answer.await
                && !withdrawn.is_empty()
            {
                warn!(withdrawn = withdrawn.len(), "rules are safelisted now and are withdrawn");
            }
        }
    }
}

/// The rules of this pop that the list covers, oldest first.
fn covered(context: &TaskContext, list: &Safelist) -> Vec<MitigationId> {
    let (policy, safelist) = (context.policy.get(), context.policy.safelist_index(list));
    let check = CheckContext { now: context.now(), safelist: &safelist, frozen: &[] };
    let mut rows = context.intents.rows();
    rows.retain(|row| {
        let verdict = policy.revalidate(row, check);
        row.status.claims_rule() && verdict.is_err_and(|refusal| refusal.guardrail == Guardrail::Safelisted)
    });
    let mut ids: Vec<MitigationId> = rows.iter().map(|row| row.mitigation_id).collect();
    ids.sort();
    ids
}
