//! Storage that takes no changes: logged when it begins, now and then while it lasts, and when it is over. An outage of
//! an hour fills no disk.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use prefix_core::ports::StoreError;
use tokio::time::Instant;
use tracing::{error, info};

use crate::mutex::Mutex;

/// Between two reminders.
const REMINDER: Duration = Duration::from_secs(30);

/// So long people are told that storage was replaced.
const TOLD: Duration = Duration::from_hours(1);

/// The outage of storage that lasts, if there is one.
#[derive(Default)]
pub(crate) struct StorageOutage(Mutex<Option<Outage>>, Mutex<Option<Replaced>>);

/// Storage was replaced by another or an older one.
struct Replaced {
    at: DateTime<Utc>,
    told_until: Instant,
}

struct Outage {
    failure: StoreError,
    began: Instant,
    logged: Instant,
    /// Commands that failed since it began.
    commands: usize,
}

impl StorageOutage {
    /// So many commands failed. Returns true if that was logged.
    pub(crate) fn failed(&self, failure: &StoreError, commands: usize) -> bool {
        let (mut outage, now) = (self.0.lock(), Instant::now());
        let Some(known) = outage.as_mut() else {
            error!(error = %failure, "storage takes no changes: events are answered with 503, rules leave on time all the same");
            *outage = Some(Outage { failure: failure.clone(), began: now, logged: now, commands });
            return true;
        };
        known.failure = failure.clone();
        known.commands += commands;
        let is_due = now - known.logged >= REMINDER;
        if is_due {
            known.logged = now;
            let (seconds, commands) = ((now - known.began).as_secs(), known.commands);
            error!(error = %failure, seconds, commands, "storage still takes no changes");
        }
        is_due
    }

    /// A change was taken.
    pub(crate) fn ended(&self) {
        if let Some(Outage { began, commands, .. }) = self.0.lock().take() {
            let seconds = began.elapsed().as_secs();
            info!(seconds, commands, "storage takes changes again");
        }
    }

    /// Storage is not the one that was read before, or went back in time.
    pub(crate) fn was_replaced(&self, now: DateTime<Utc>) {
        error!(
            "the database went back in time, or is another one: everything is read anew; what was answered in the moments before may be lost"
        );
        *self.1.lock() = Some(Replaced { at: now, told_until: Instant::now() + TOLD });
    }

    /// That it was, for people.
    pub(crate) fn problem(&self) -> Option<String> {
        let replaced = self.1.lock();
        let replaced = replaced.as_ref().filter(|replaced| Instant::now() < replaced.told_until)?;
        Some(format!(
            "the database went back in time, or is another one, at {}: everything was read anew; compare the events and mitigations of the moments before with what detectors and operators sent",
            replaced.at.to_rfc3339_opts(SecondsFormat::Secs, true)
        ))
    }

    /// What keeps storage from taking changes, as far as is known.
    pub(crate) fn failure(&self) -> Option<StoreError> {
        self.0.lock().as_ref().map(|outage| outage.failure.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_outage_of_an_hour_is_logged_twice_a_minute_and_not_at_each_attempt() {
        let outage = StorageOutage::default();
        let failure = StoreError::Unavailable("no route to host".into());
        let mut logged = 0;
        for _ in 0..7200 {
            logged += u32::from(outage.failed(&failure, 1));
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        assert_eq!((logged, outage.failure()), (120, Some(failure.clone())));
        outage.ended();
        assert_eq!(outage.failure(), None);
        assert!(outage.failed(&failure, 1), "another one is logged again");
    }
}
