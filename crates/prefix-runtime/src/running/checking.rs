//! Checks of documents and files: on threads that may block, outside every lock, and with a deadline. A check that does
//! not end, whatever the reason, keeps its thread and nothing else: the next change finds the way free.

use std::sync::Arc;
use std::time::Duration;

use prefix_api::{EditError, ReloadError};
use prefix_diagnostics::{Diagnostic, KeyPath};
use prefix_engine::EngineError;
use thiserror::Error;
use tokio::sync::{MutexGuard, Semaphore};
use tokio::time::timeout;

use super::{Running, ended};

/// How long one check may take: some ten times what the largest inventory takes.
const CHECK_PATIENCE: Duration = Duration::from_mins(1);
/// How long a change waits for others.
const TURN_PATIENCE: Duration = Duration::from_secs(10);
/// The most checks at a time, given up ones included.
const MOST_CHECKS: usize = 4;

/// Why a change was not even tried.
#[derive(Debug, Error)]
pub(super) enum GivenUp {
    /// Others are at work.
    #[error(
        "other changes of the configuration are under way; nothing was changed, send this one again in a moment"
    )]
    Busy,
    /// The check took too long.
    #[error(
        "the check took longer than {} s and was given up; nothing was changed: are the files on a disk that answers?",
        .0.as_secs()
    )]
    TooLong(Duration),
    /// The check panicked.
    #[error(transparent)]
    Ended(EngineError),
}

impl From<GivenUp> for EditError {
    fn from(given_up: GivenUp) -> Self {
        match given_up {
            GivenUp::Busy => Self::NotAllowed(given_up.to_string(), Vec::new()),
            GivenUp::TooLong(_) => {
                Self::Invalid(vec![Diagnostic::error(KeyPath::root(), given_up.to_string())])
            }
            GivenUp::Ended(error) => Self::Engine(error),
        }
    }
}

impl From<GivenUp> for ReloadError {
    fn from(given_up: GivenUp) -> Self {
        match given_up {
            GivenUp::Busy => Self::Engine(EngineError::NotAllowed(given_up.to_string())),
            GivenUp::TooLong(_) => {
                Self::Invalid(vec![Diagnostic::error(KeyPath::root(), given_up.to_string())])
            }
            GivenUp::Ended(error) => Self::Engine(error),
        }
    }
}

/// Runs checks.
#[derive(Debug)]
pub(super) struct Checker {
    free: Arc<Semaphore>,
    check_patience: Duration,
    turn_patience: Duration,
}

impl Default for Checker {
    fn default() -> Self {
        Self {
            free: Arc::new(Semaphore::new(MOST_CHECKS)),
            check_patience: CHECK_PATIENCE,
            turn_patience: TURN_PATIENCE,
        }
    }
}

impl Checker {
    /// Runs a check that changes nothing.
    async fn run<T: Send + 'static>(&self, check: impl FnOnce() -> T + Send + 'static) -> Result<T, GivenUp> {
        let free = Arc::clone(&self.free).acquire_owned();
        let Ok(Ok(permit)) = timeout(self.turn_patience, free).await else { return Err(GivenUp::Busy) };
        let running = tokio::task::spawn_blocking(move || {
            let result = check();
            drop(permit);
            result
        });
        match timeout(self.check_patience, running).await {
            Ok(done) => done.map_err(|panic| GivenUp::Ended(ended(&panic))),
            Err(_) => {
                tracing::error!("a check of the configuration took too long and was given up");
                Err(GivenUp::TooLong(self.check_patience))
            }
        }
    }
}

impl Running {
    /// Checks, then waits for the turn of this change. If another change came first, the check runs once more: it has
    /// just ended in time, so that it holds up nobody.
    pub(super) async fn checked_in_turn<T, E>(
        &self,
        check: impl Fn() -> Result<T, E> + Clone + Send + 'static,
    ) -> Result<(T, MutexGuard<'_, ()>), E>
    where
        T: Send + 'static,
        E: From<GivenUp> + Send + 'static,
    {
        let seen = self.state().changes;
        let first = self.checker.run(check.clone()).await??;
        let turn = timeout(self.checker.turn_patience, self.reload.lock()).await;
        let turn = turn.map_err(|_| GivenUp::Busy)?;
        if self.state().changes == seen {
            return Ok((first, turn));
        }
        Ok((self.checker.run(check).await??, turn))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_check_that_hangs_is_given_up_and_only_so_many_can_hang() {
        let checker = Checker {
            check_patience: Duration::from_millis(20),
            turn_patience: Duration::from_millis(20),
            ..Checker::default()
        };
        let (release, hang) = mpsc::channel::<()>();
        let hang = Arc::new(std::sync::Mutex::new(hang));
        for _ in 0..MOST_CHECKS {
            let hang = Arc::clone(&hang);
            let hangs = move || hang.lock().unwrap().recv().is_ok();
            assert!(matches!(checker.run(hangs).await, Err(GivenUp::TooLong(_))));
        }
        assert!(matches!(checker.run(|| ()).await, Err(GivenUp::Busy)), "no more threads are lost");
        // the sender's end lets all of them go
        drop(release);
        let patient = Checker { turn_patience: Duration::from_mins(1), ..checker };
        assert_eq!(patient.run(|| 5).await.unwrap(), 5);
    }

    #[test]
    fn what_was_given_up_says_that_nothing_was_changed() {
        let refused = [GivenUp::Busy, GivenUp::TooLong(CHECK_PATIENCE)];
        for said in refused.map(|given_up| given_up.to_string()) {
            assert!(said.contains("nothing was changed"), "{said}");
        }
        assert!(matches!(EditError::from(GivenUp::Busy), EditError::NotAllowed(..)));
        assert!(matches!(ReloadError::from(GivenUp::TooLong(CHECK_PATIENCE)), ReloadError::Invalid(_)));
    }
}
