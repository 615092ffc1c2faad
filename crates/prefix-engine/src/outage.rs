//! Storage that takes no changes: said when it begins, now and then while it lasts, and when it is over. An outage of an
//! hour fills no disk.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prefix_core::store::StoreError;
use tokio::time::Instant;
use tracing::{error, info};

/// Between two reminders.
const REMINDER: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Default)]
pub(crate) struct Outage(Mutex<Option<Lasting>>);

struct Lasting {
    failure: StoreError,
    began: Instant,
    told: Instant,
    /// Commands that came to nothing since it began.
    commands: usize,
}

impl Outage {
    fn open(&self) -> MutexGuard<'_, Option<Lasting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many commands came to nothing. Returns true if that was said.
    pub(crate) fn failed(&self, failure: &StoreError, commands: usize) -> bool {
        let (mut lasting, now) = (self.open(), Instant::now());
        let Some(known) = lasting.as_mut() else {
            error!(error = %failure, "storage takes no changes: events are answered with 503, rules leave on time all the same");
            *lasting = Some(Lasting { failure: failure.clone(), began: now, told: now, commands });
            return true;
        };
        known.failure = failure.clone();
        known.commands += commands;
        let is_due = now - known.told >= REMINDER;
        if is_due {
            known.told = now;
            let (seconds, commands) = ((now - known.began).as_secs(), known.commands);
            error!(error = %failure, seconds, commands, "storage still takes no changes");
        }
        is_due
    }

    /// A change was taken.
    pub(crate) fn is_over(&self) {
        if let Some(Lasting { began, commands, .. }) = self.open().take() {
            let seconds = began.elapsed().as_secs();
            info!(seconds, commands, "storage takes changes again");
        }
    }

    /// What keeps storage from taking changes, as far as is known.
    pub(crate) fn failure(&self) -> Option<StoreError> {
        self.open().as_ref().map(|lasting| lasting.failure.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_outage_of_an_hour_is_said_twice_a_minute_and_not_at_each_attempt() {
        let outage = Outage::default();
        let failure = StoreError::Unavailable("no route to host".into());
        let mut said = 0;
        for _ in 0..7200 {
            said += u32::from(outage.failed(&failure, 1));
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        assert_eq!((said, outage.failure()), (120, Some(failure.clone())));
        outage.is_over();
        assert_eq!(outage.failure(), None);
        assert!(outage.failed(&failure, 1), "another one is said again");
    }
}
