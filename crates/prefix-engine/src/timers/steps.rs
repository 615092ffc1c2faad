//! Steps of playbooks that time alone makes due, and the gauges of what is there.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use prefix_core::Store;
use prefix_core::mitigation::Mitigation;
use prefix_policy::{CheckContext, StepVerdict};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::ROWS_AT_ONCE;
use crate::command::steps::Steps;
use crate::policy_in_force::{PolicyInForce, SafelistCache};
use crate::task_context::TaskContext;
use crate::telemetry;

/// Looks each second for steps that are due.
pub(crate) struct StepTimer {
    pub(crate) context: TaskContext,
    pub(crate) policy: Arc<PolicyInForce>,
    pub(crate) safelist: Arc<SafelistCache>,
    pub(crate) store: Arc<dyn Store>,
}

impl StepTimer {
    pub(crate) async fn run(self, stop: CancellationToken) {
        let TaskContext { settings, leadership, intents, commit_queue, .. } = &self.context;
        let withdraw_alarm = TimeDelta::from_std(settings.withdraw_alarm).unwrap_or_default();
        let mut tick = interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            let now = self.context.now();
            let policy = self.policy.get();
            let safelist = self.safelist.latest();
            let context = CheckContext { now, safelist: &safelist, frozen: &[] };
            let is_due = |row: &Mitigation| {
                row.lives()
                    && row.playbook.is_some()
                    && row.parent_id.is_none()
                    && !row.progress.manual
                    && row.progress.step_confirmed_at.is_some()
                    && !matches!(policy.next_step(row, context), StepVerdict::Stay)
            };
            let rows = intents.rows();
            let stuck = intents.counts(now - withdraw_alarm).withdraw_stuck;
            telemetry::state(&rows, stuck, self.store.pool(), settings.pop.as_str());
            let Some(epoch) = leadership.leading() else { continue };
            let ids: Vec<_> = rows.iter().filter(|row| is_due(row)).map(|row| row.mitigation_id).collect();
            for ids in ids.chunks(ROWS_AT_ONCE) {
                let steps = Steps { ids: ids.to_vec() };
                if commit_queue.led_by(epoch).submit_request(Box::new(steps)).await.is_err() {
                    return;
                }
            }
        }
    }
}
