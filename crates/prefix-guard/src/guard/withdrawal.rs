//! Withdrawals: what is overdue is read back, withdrawn, and read back again, unless somebody else looks after it.

use std::collections::HashSet;
use std::time::Duration;

use prefix_core::announcer::AnnounceError;
use prefix_core::flowspec::RouteKey;
use prefix_core::guard::GuardWithdrawal;
use tokio::time::Instant;
use tracing::info;

use super::{CHECK_INTERVAL, Guard};
use crate::heartbeat_monitor::Liveness;
use crate::path_tracker::{TrackedPath, is_overdue};
use crate::withdraw::withdraw;

/// How long the result of a read-back may be acted on.
const READ_BACK_VALID: Duration = Duration::from_secs(2);
/// How long a guard waits for the time of storage beside a daemon that lives.
const FIRST_ANCHOR: Duration = Duration::from_secs(30);

impl Guard {
    /// A path that was withdrawn and seen to be gone is there again: whoever announced it lives, and takes it for due.
    pub(super) fn note_return(&mut self, key: &RouteKey) {
        let Some(Some(_)) = self.gone.get(key) else { return };
        self.gone.remove(key);
        let (now, clock, grace) = (Instant::now(), self.clock.now(), self.settings.grace);
        if self.tracker.get(key).is_some_and(|path| is_overdue(path.not_after, grace, clock)) {
            self.contested(now);
        }
    }

    fn contested(&mut self, now: Instant) {
        self.probe.came_back(now);
        self.report_problem(
            "a path that looked overdue came back when it was withdrawn: another instance of this pop leads, and its \
             clock or the one here is wrong. Paths are left to it; see to the time synchronisation of this machine"
                .to_owned(),
        );
    }

    /// Withdraws what is overdue now. True if anything was tried, so that more may be due.
    pub(super) async fn withdraw_overdue(&mut self) -> bool {
        let (now, clock) = (Instant::now(), self.clock.now());
        let mut keys: Vec<RouteKey> = self
            .tracker
            .overdue(clock, self.settings.grace)
            .filter(|key| self.attempts.retry_at(key).is_none_or(|at| at <= now))
            .cloned()
            .collect();
        if !keys.is_empty() && self.is_held(keys.len()) {
            self.held_until = Some(now + CHECK_INTERVAL);
            return false;
        }
        self.held_until = None;
        if !keys.is_empty() {
            keys = self.probe.choose(keys, self.clock.is_of_storage(), now);
            if keys.is_empty() {
                self.held_until = Some(self.probe.waits_until().unwrap_or(now + CHECK_INTERVAL));
            }
        }
        keys.extend(self.attempts.due_and_absent(&self.tracker, now));
        if keys.is_empty() {
            return false;
        }
        let until = Instant::now() + READ_BACK_VALID;
        let Some(overdue) = self.read_back(keys).await else { return true };
        if overdue.is_empty() {
            return true;
        }
        let per_second = self.settings.max_changes_per_second;
        let answers = withdraw(self.announcer.as_ref(), &overdue, per_second, Some(until)).await;
        let mut sent = Vec::with_capacity(answers.len());
        let mut confirmed = HashSet::new();
        for (key, answer) in overdue.into_iter().zip(answers) {
            match answer {
                Ok(()) | Err(AnnounceError::Unknown(_)) => {
                    self.gone.insert(key.clone(), None);
                    if answer.is_ok() {
                        confirmed.insert(key.clone());
                    }
                    if let Some(tracked) = self.tracker.get(&key) {
                        self.attempts.sent(&key, tracked);
                    }
                    sent.push(key);
                }
                Err(error) => self.failed(&key, &error),
            }
        }
        for key in self.read_back(sent).await.unwrap_or_default() {
            if confirmed.contains(&key) {
                // the speaker took it away, and somebody has put it back already
                self.contested(Instant::now());
            }
            self.failed(&key, &AnnounceError::Unknown("it is still in the table".to_owned()));
        }
        true
    }

    /// Reads these routes back and settles what is gone or was renewed. Returns what is still overdue; `None` if it
    /// could not be read.
    pub(super) async fn read_back(&mut self, keys: Vec<RouteKey>) -> Option<Vec<RouteKey>> {
        if keys.is_empty() {
            return Some(keys);
        }
        let found = match self.announcer.find(&keys).await {
            Ok(found) => found,
            Err(error) => {
                keys.iter().for_each(|key| self.failed(key, &error));
                return None;
            }
        };
        let clock = self.clock.now();
        let mut overdue = Vec::new();
        let mut gone = Vec::new();
        for (key, found) in keys.into_iter().zip(found) {
            // what is there may be another path than the one that was known
            self.tracker.remove(&key);
            found.iter().for_each(|path| self.tracker.update(path));
            match self.tracker.get(&key) {
                Some(path) if is_overdue(path.not_after, self.settings.grace, clock) => overdue.push(key),
                Some(_) => drop(self.attempts.settled(&key)),
                None => {
                    if let Some(TrackedPath { not_after, mitigation }) = self.attempts.settled(&key) {
                        gone.push(GuardWithdrawal { at: clock, key, speaker: None, not_after, mitigation });
                    }
                }
            }
        }
        self.withdrawn(&gone);
        if self.attempts.is_empty() && !self.probe.is_contested(Instant::now()) {
            self.state.problem = None;
        }
        Some(overdue)
    }

    fn withdrawn(&mut self, gone: &[GuardWithdrawal]) {
        if gone.is_empty() {
            return;
        }
        let now = Instant::now();
        for path in gone {
            self.gone.insert(path.key.clone(), Some(now));
            let (rule, not_after) = (path.key.flow(), path.not_after.time());
            info!(rule, %not_after, "withdrew an overdue path");
        }
        self.state.withdrawn += gone.len() as u64;
        self.host.record_withdrawals(gone);
    }

    fn failed(&mut self, key: &RouteKey, error: &AnnounceError) {
        self.attempts.failed(key, Instant::now());
        self.report_problem(format!("an overdue path cannot be withdrawn: {error}"));
    }

    /// While the daemon is alive and its clock differs, nobody knows which clock is right: that is reported, and
    /// nothing is withdrawn.
    fn is_held(&mut self, overdue: usize) -> bool {
        let now = Instant::now();
        match self.monitor.liveness(now) {
            Liveness::Unknown => true,
            Liveness::Alive { .. } if self.clock.has_just_stepped(now) => {
                self.report_problem(format!(
                    "storage's clock was set a moment ago: {overdue} paths that look overdue are left to the daemon"
                ));
                true
            }
            // it may know the time of storage soon
            Liveness::Alive { .. } if !self.clock.is_of_storage() && now - self.began < FIRST_ANCHOR => true,
            Liveness::Alive { behind }
                if !self.clock.is_of_storage()
                    && behind.abs().to_std().unwrap_or(Duration::MAX) > self.settings.grace =>
            {
                let seconds = behind.num_seconds();
                self.report_problem(format!(
                    "the daemon is alive, and its clock is {seconds} s behind this one: {overdue} paths that look \
                     overdue are left to it"
                ));
                true
            }
            Liveness::Alive { .. } | Liveness::Silent { .. } | Liveness::Ended => false,
        }
    }
}
