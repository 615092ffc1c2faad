//! Steps of playbooks that time alone makes due, and the gauges of what is there.

use std::time::Duration;

use chrono::TimeDelta;
use prefix_core::mitigation::Mitigation;
use prefix_policy::{CheckContext, StepVerdict};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::ROWS_AT_ONCE;
use crate::command::steps::Steps;
use crate::task_context::TaskContext;
use crate::telemetry;

/// Takes the steps that are due each second, until `stop`.
pub(crate) async fn steps(context: TaskContext, stop: CancellationToken) {
    let TaskContext { settings, store, policy, leadership, intents, commit_queue, .. } = &context;
    let withdraw_alarm = TimeDelta::from_std(settings.withdraw_alarm).unwrap_or_default();
    let mut tick = interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        let now = context.now();
        let (policy, safelist) = (policy.get(), policy.latest_safelist());
        let check = CheckContext { now, safelist: &safelist, frozen: &[] };
        let is_due = |row: &Mitigation| {
            row.lives()
                && row.playbook.is_some()
                && row.parent_id.is_none()
                && !row.progress.manual
                && row.progress.step_confirmed_at.is_some()
                && !matches!(policy.next_step(row, check), StepVerdict::Stay)
        };
        let rows = intents.rows();
        let stuck = intents.counts(now - withdraw_alarm).withdraw_stuck;
        telemetry::state(&rows, stuck, store.pool(), settings.pop.as_str());
        let Some(epoch) = leadership.leading() else { continue };
        let ids: Vec<_> = rows.iter().filter(|row| is_due(row)).map(|row| row.mitigation_id).collect();
        for ids in ids.chunks(ROWS_AT_ONCE) {
            if commit_queue.led_by(epoch).submit_request(Steps(ids.to_vec())).await.is_err() {
                return;
            }
        }
    }
}
