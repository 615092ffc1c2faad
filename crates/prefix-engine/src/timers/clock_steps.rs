//! After a step of storage's clock the leader writes down what is left to each row. In memory that counts already: a row
//! says by which setting of the clock it is meant.

use std::time::Duration;

use prefix_core::id::MitigationId;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::ROWS_AT_ONCE;
use crate::command::shift::{RecordStep, ShiftDeadlines};
use crate::commit_queue::{CommitQueue, RETRY};
use crate::task_context::TaskContext;

/// Between two looks at whether there is something to write.
const PERIOD: Duration = Duration::from_millis(250);

/// Writes rows of other settings of the clock, until `stop`.
pub(crate) async fn clock_steps(context: TaskContext, stop: CancellationToken) {
    while stop.run_until_cancelled(sleep(PERIOD)).await.is_some() {
        let Some(epoch) = context.leadership.leading() else { continue };
        let commit_queue = context.commit_queue.led_by(epoch);
        if let Some(step) = context.clock.step_to_record()
            && commit_queue.submit(RecordStep(step)).is_err()
        {
            return;
        }
        // also those that another instance writes before it has taken the step itself
        let ids = context.intents.of_other_frames();
        match write(&ids, &commit_queue).await {
            Some(rows) => {
                context.intents.are_of_this_frame(&ids);
                if rows > 0 {
                    warn!(
                        rows,
                        "the clock of storage was set: every rule keeps the time that was left to it"
                    );
                }
            }
            None => {
                if stop.run_until_cancelled(sleep(RETRY)).await.is_none() {
                    return;
                }
            }
        }
    }
}

/// Returns how many rows were written; `None` if that is to be tried again.
async fn write(ids: &[MitigationId], commit_queue: &CommitQueue) -> Option<usize> {
    let mut rows = 0;
    for ids in ids.chunks(ROWS_AT_ONCE) {
        rows += commit_queue.submit(ShiftDeadlines(ids.to_vec())).ok()?.await.ok()?;
    }
    Some(rows)
}
