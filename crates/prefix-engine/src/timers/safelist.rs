//! A safelist that another instance changed: the leader ends what it covers, as it does for a change of its own.

use std::sync::Arc;
use std::time::Duration;

use prefix_core::guardrail::Guardrail;
use prefix_core::id::MitigationId;
use prefix_core::store::StoreError;
use prefix_policy::CheckContext;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::command::revalidate::Revalidate;
use crate::commit_queue::CommitQueue;
use crate::shared::Shared;

/// Between two looks at the list.
const LOOK: Duration = Duration::from_secs(2);
/// Rows checked in one transaction.
const AT_ONCE: usize = 512;
/// A changed list is looked at so often: rows that another instance let in just before may be heard of just after.
const LOOKS: u32 = 2;

/// Follows the safelist until it is told to stop.
pub(crate) async fn safelist(shared: Arc<Shared>, commit_queue: CommitQueue, stop: CancellationToken) {
    if !shared.store.is_shared() {
        // nobody else changes it
        return stop.cancelled().await;
    }
    let (mut revision, mut looks) = (None, 0);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(LOOK) => {}
        }
        let Some(epoch) = shared.leadership.leading() else { continue };
        match covered(&shared, &mut revision, &mut looks).await {
            Ok(ids) => {
                for ids in ids.chunks(AT_ONCE) {
                    let command = Revalidate::new(ids.to_vec());
                    let Ok(answer) = commit_queue.led_by(epoch).submit(command) else { return };
                    if let Ok(withdrawn) = answer.await
                        && !withdrawn.is_empty()
                    {
                        warn!(withdrawn = withdrawn.len(), "rules are safelisted now and are withdrawn");
                    }
                }
            }
            Err(error) => debug!(%error, "the safelist cannot be read"),
        }
    }
}

/// The rules of this pop that the list covers, if it changed lately.
async fn covered(
    shared: &Shared,
    revision: &mut Option<i64>,
    looks: &mut u32,
) -> Result<Vec<MitigationId>, StoreError> {
    let list = shared.store.safelist().await?;
    if *revision != Some(list.revision) {
        *revision = Some(list.revision);
        *looks = LOOKS;
    }
    if *looks == 0 {
        return Ok(Vec::new());
    }
    *looks -= 1;
    let (policy, safelist) = (shared.policy(), shared.safelist_index(&list));
    let context = CheckContext { now: shared.now(), safelist: &safelist, frozen: &[] };
    let mut rows = shared.intents.rows();
    rows.retain(|row| {
        let verdict = policy.revalidate(row, context);
        row.status.claims_rule() && verdict.is_err_and(|refusal| refusal.guardrail == Guardrail::Safelisted)
    });
    let mut ids: Vec<MitigationId> = rows.iter().map(|row| row.mitigation_id).collect();
    ids.sort();
    Ok(ids)
}
