//! The dispatcher of a speaker makes each route there what the intent table says it should be.
//!
//! It works by level, not by edge. The queue only says that a route may differ; what is sent is decided when it is sent,
//! so changes of one route coalesce, and a rule that is taken over is never withdrawn in between. Changes go out in
//! bursts at a bounded pace, because speakers pack what comes faster into messages that routers refuse. No answer
//! means unknown: the route is read back before it is believed.

mod lease_uncertain;
mod read_first;
mod retry_queue;
mod route_queue;
mod send;
mod work_queue;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use prefix_core::Announcer;
use prefix_core::announcer::{AnnounceError, OwnPath};
use prefix_core::flowspec::RouteKey;
use prefix_core::mitigation::{Mitigation, Wanting};
use prefix_core::pacing::Burst;
use prefix_core::ports::Epoch;
use prefix_core::speakers::SpeakerId;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::command::settle::{Confirmed, Settle, is_news};
use crate::confirmation_waiters::awaits_speaker;
use crate::intent_table::{AnnouncedPath, DesiredPath, Rib, RouteChange};
use crate::leadership::LeaderState;
use crate::task_context::TaskContext;
use retry_queue::RetryQueue;
use route_queue::Enqueued;
pub(crate) use route_queue::{RouteQueue, RouteQueueReceiver};
use work_queue::WorkQueue;

const FIRST_RETRY: Duration = Duration::from_millis(100);
const LONGEST_RETRY: Duration = Duration::from_secs(5);
/// The longest wait for a change of the leadership.
const LEADERSHIP_WAIT: Duration = Duration::from_millis(100);
/// How long updates that must be read back wait for others: one look at the speaker's table serves them all.
const READ_BACK_WAIT: Duration = Duration::from_millis(200);

#[derive(Default)]
struct Attempt {
    failures: u32,
    /// An earlier update may still take effect: only a read-back tells what is there.
    unresolved: bool,
}

/// One route of a burst.
struct RouteUpdate {
    key: RouteKey,
    /// The path to announce, and for which mitigations; `None` = a withdrawal.
    path: Option<(Vec<Wanting>, OwnPath)>,
}

/// Sends what differs between the intent table and the speaker.
pub(crate) struct Dispatcher {
    context: TaskContext,
    speaker: SpeakerId,
    announcer: Arc<dyn Announcer>,
    waiting: WorkQueue,
    retries: RetryQueue,
    attempts: HashMap<RouteKey, Attempt>,
    /// Updates that the speaker took, on routes where an earlier one without an answer may have come in between.
    to_read_back: HashMap<RouteKey, RouteUpdate>,
    read_back_at: Instant,
    /// What the speaker held when it was last looked at, while it was not sure who leads.
    look: read_first::Look,
    next_burst: Instant,
    /// In which epoch a burst goes out: what comes of it is written as work of that leader.
    epoch: Epoch,
}

impl Dispatcher {
    pub(crate) fn new(context: TaskContext, speaker: SpeakerId, announcer: Arc<dyn Announcer>) -> Self {
        Self {
            context,
            speaker,
            announcer,
            waiting: WorkQueue::default(),
            retries: RetryQueue::default(),
            attempts: HashMap::new(),
            to_read_back: HashMap::new(),
            read_back_at: Instant::now(),
            look: read_first::Look::default(),
            next_burst: Instant::now(),
            epoch: Epoch(0),
        }
    }

    /// Works until `stop`; a burst that is under way is ended.
    pub(crate) async fn run(mut self, mut receiver: RouteQueueReceiver, stop: CancellationToken) {
        loop {
            while let Ok(enqueued) = receiver.0.try_recv() {
                self.take(enqueued);
            }
            self.take_due();
            if !self.to_read_back.is_empty()
                && (self.waiting.is_empty() || self.read_back_at <= Instant::now())
            {
                self.resolve().await;
                continue;
            }
            if self.waiting.is_empty() {
                let wake = self.retries.next();
                tokio::select! {
                    () = stop.cancelled() => return,
                    enqueued = receiver.0.recv() => match enqueued {
                        Some(enqueued) => self.take(enqueued),
                        None => return,
                    },
                    () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
                }
                continue;
            }
            if Instant::now() < self.next_burst
                && stop.run_until_cancelled(sleep_until(self.next_burst)).await.is_none()
            {
                return;
            }
            // right before each burst: a leader whose lease ran out sends nothing
            match self.context.leadership.state_at(self.speaker) {
                LeaderState::Leading(epoch) => self.burst(epoch, true).await,
                LeaderState::LeaseUncertain(epoch) => self.burst(epoch, false).await,
                LeaderState::Following => self.forget(),
                LeaderState::Waiting => {
                    let changed = self.context.leadership.changed(LEADERSHIP_WAIT);
                    if stop.run_until_cancelled(changed).await.is_none() {
                        return;
                    }
                }
            }
        }
    }

    /// Another instance sends: it compares every route itself. What an earlier call may still do stays known.
    fn forget(&mut self) {
        self.waiting = WorkQueue::default();
        self.to_read_back.clear();
        self.retries = RetryQueue::default();
        self.look = read_first::Look::default();
        self.attempts.retain(|_, attempt| {
            attempt.failures = 0;
            attempt.unresolved
        });
    }

    fn take(&mut self, enqueued: Enqueued) {
        match enqueued {
            Enqueued::Now(keys) => keys.into_iter().for_each(|key| self.list(key)),
            Enqueued::Later(keys, after) => {
                let at = Instant::now() + after;
                keys.into_iter().for_each(|key| self.retries.put(at, key));
            }
            Enqueued::Reconnected => {
                for attempt in self.attempts.values_mut() {
                    attempt.failures = 0;
                }
                self.retries.take_all().into_iter().for_each(|key| self.list(key));
            }
        }
    }

    fn rib(&self) -> Rib<'_> {
        self.context.intents.rib(self.speaker)
    }

    fn list(&mut self, key: RouteKey) {
        if !self.waiting.contains(&key) {
            let change = self.rib().route_change(&key, self.context.now());
            self.waiting.push(key, matches!(change, RouteChange::Announce(_)));
        }
    }

    fn take_due(&mut self) {
        self.retries.take_due(Instant::now()).into_iter().for_each(|key| self.list(key));
    }

    /// Sends what is to be sent of the next routes; `surely` = this instance leads.
    async fn burst(&mut self, epoch: Epoch, surely: bool) {
        self.epoch = epoch;
        let now = self.context.now();
        let mut announce = Vec::new();
        let mut withdraw = Vec::new();
        let mut known = Settle::by(self.speaker);
        let mut burst = Burst::default();
        while !burst.is_full() {
            let Some(key) = self.waiting.pop() else { break };
            match self.rib().route_change(&key, now) {
                RouteChange::Announce(DesiredPath::Path { wanted_by, path }) => {
                    burst.add_announcement();
                    announce.push(RouteUpdate { key, path: Some((wanted_by, *path)) });
                }
                RouteChange::Withdraw if burst.add_withdrawal(&key) => {
                    withdraw.push(RouteUpdate { key, path: None });
                }
                RouteChange::Withdraw => {
                    self.waiting.put_back_withdrawal(key);
                    break;
                }
                RouteChange::Confirmed { wanted_by, path } => {
                    self.note_confirmed(&mut known, &wanted_by, &key, path);
                }
                RouteChange::NotOurs => {
                    self.rib().gone(&key);
                    known.gone.push(key);
                }
                RouteChange::Gone => known.gone.push(key),
                RouteChange::Announce(_) | RouteChange::Nothing => {}
            }
        }
        self.settle(known);
        if burst.is_empty() {
            return;
        }
        let began = Instant::now();
        self.next_burst = began + burst.duration(self.context.settings.max_changes_per_second);
        if self.context.settings.enforced() {
            if surely && self.read_first(&announce, &withdraw).await {
                return;
            }
            let (announce, withdraw) =
                if surely { (announce, withdraw) } else { self.keep_safe(announce, withdraw).await };
            if announce.len() + withdraw.len() > 0 {
                self.send(announce, withdraw, burst, began).await;
            }
        } else {
            // dry-run changes nothing at the speaker, but what left it at its not-after time is written
            self.read_back(withdraw).await;
        }
    }

    fn is_unresolved(&self, key: &RouteKey) -> bool {
        self.attempts.get(key).is_some_and(|attempt| attempt.unresolved)
    }

    /// The speaker has just what was sent.
    fn confirm(&mut self, update: RouteUpdate, settle: &mut Settle) {
        self.attempts.remove(&update.key);
        match update.path {
            Some((wanted_by, path)) => {
                let path = AnnouncedPath::new(path.action, path.tags, self.context.now());
                self.rib().confirmed(&update.key, path);
                self.note_confirmed(settle, &wanted_by, &update.key, path);
            }
            None => {
                self.rib().gone(&update.key);
                settle.gone.push(update.key);
            }
        }
    }

    /// Notes a confirmation for each mitigation that wants the path, unless its row says all of it already.
    fn note_confirmed(
        &self,
        settle: &mut Settle,
        wanted_by: &[Wanting],
        key: &RouteKey,
        path: AnnouncedPath,
    ) {
        let (intents, speaker) = (&self.context.intents, self.speaker);
        let not_after = path.tags.not_after;
        let has_news = |wanting: &&Wanting| {
            intents.get(wanting.id).is_some_and(|row| is_news(&row, key, intents, speaker))
        };
        for Wanting { id, step, action } in wanted_by.iter().filter(has_news).copied() {
            let (at, frame) = self.context.clock.reading();
            let key = key.clone();
            settle.confirmed.push(Confirmed { id, speaker, key, step, action, not_after, at, frame });
        }
    }

    fn failed(&mut self, key: &RouteKey, error: &AnnounceError) {
        let attempt = self.attempts.entry(key.clone()).or_default();
        attempt.failures += 1;
        attempt.unresolved |= matches!(error, AnnounceError::Unknown(_));
        let wait = (FIRST_RETRY * 2_u32.saturating_pow(attempt.failures.min(10) - 1)).min(LONGEST_RETRY);
        // routes that failed together need not come back together
        let spread =
            key.nlri().as_bytes().iter().fold(0_u32, |sum, byte| sum.wrapping_mul(31) + u32::from(*byte));
        let wait = wait + wait * (spread % 256) / 512;
        self.rib().failed(key, &error.to_string());
        self.retries.put(Instant::now() + wait, key.clone());
    }

    /// The table could not be read and nothing was sent: that stays different from an update without an answer.
    fn failed_to_read<'a>(&mut self, keys: impl IntoIterator<Item = &'a RouteKey>, error: &AnnounceError) {
        let error = AnnounceError::Unreachable(format!("its table cannot be read: {error}"));
        keys.into_iter().for_each(|key| self.failed(key, &error));
    }

    fn settle(&self, settle: Settle) {
        if settle.confirmed.is_empty() && settle.gone.is_empty() {
            return;
        }
        let TaskContext { intents, leadership, commit_queue, .. } = &self.context;
        let commit_queue = commit_queue.led_by(self.epoch);
        let mut answered = Vec::new();
        if leadership.leading() == Some(self.epoch) {
            let now = self.context.now();
            let confirmed = settle.confirmed.iter();
            answered.extend(confirmed.filter_map(|confirmed| intents.confirm_ahead(confirmed, now)));
        }
        // what another speaker confirms after the first is waited for by nobody
        let is_more = |confirmed: &&Confirmed| {
            let goes_on =
                |row: &Mitigation| !awaits_speaker(row.status) && row.progress.step_confirmed_at.is_some();
            intents.speakers.are_several() && intents.get(confirmed.id).is_some_and(|row| goes_on(&row))
        };
        // whoever waits at another instance learns it from the row
        let can_wait = settle.gone.is_empty()
            && answered.len() + settle.confirmed.iter().filter(is_more).count() == settle.confirmed.len()
            && answered.iter().all(|row| intents.is_awaited_here_only(row.mitigation_id));
        let queued =
            if can_wait { commit_queue.submit_to_follow(settle) } else { commit_queue.submit(settle) };
        // the commit queue ends only with the engine
        if queued.is_ok() {
            answered.iter().for_each(|row| intents.confirmation_waiters.reached(row));
        }
    }
}

fn keys_of(updates: &[RouteUpdate]) -> Vec<RouteKey> {
    updates.iter().map(|update| update.key.clone()).collect()
}
