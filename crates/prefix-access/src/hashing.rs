//! Hashing passwords takes time and memory on purpose (argon2id, 19 MiB, 2 passes), so it is done on threads of its own,
//! and only so many wait for them: a storm of logins delays nothing but logins.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;

use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use prefix_core::access::PasswordHash;
use thiserror::Error;
use tokio::sync::oneshot;

use crate::password::Password;

/// Why there is no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HashingError {
    /// So many wait already that this one would wait too long.
    #[error("too many logins at once; try again in a moment")]
    Busy,
    /// The system has no random bits, or no thread.
    #[error("a password cannot be hashed on this system")]
    Failed,
}

/// Hashes a password. It takes tens of milliseconds, so it is for commands; the daemon has a [`Hasher`].
pub fn hash(password: &Password) -> Result<PasswordHash, HashingError> {
    // the defaults are argon2id, version 0x13, 19 MiB, 2 passes, one lane
    let hash = Argon2::default().hash_password(password.expose().as_bytes());
    hash.map(|phc| PasswordHash::new(phc.to_string())).map_err(|_| HashingError::Failed)
}

fn verify(password: &Password, hash: &PasswordHash) -> bool {
    let Ok(phc) = Phc::new(hash.expose()) else { return false };
    Argon2::default().verify_password(password.expose().as_bytes(), &phc).is_ok()
}

/// Of a password that nobody has: who has no account waits as long as who has one.
static NOBODY: LazyLock<Option<PasswordHash>> =
    LazyLock::new(|| hash(&Password::given(&uuid::Uuid::new_v4().to_string())).ok());

type Job = Box<dyn FnOnce() + Send>;

/// The threads that hash, and the queue in front of them.
#[derive(Clone, Debug)]
pub struct Hasher {
    jobs: SyncSender<Job>,
}

impl Hasher {
    /// So many threads, and so many jobs that may wait for them. The threads end with the last handle.
    pub fn start(threads: usize, waiting: usize) -> Result<Self, HashingError> {
        let (jobs, receiver) = sync_channel::<Job>(waiting);
        let receiver = Arc::new(Mutex::new(receiver));
        for number in 0..threads.max(1) {
            let receiver = Arc::clone(&receiver);
            let work = move || {
                while let Some(job) = next(&receiver) {
                    job();
                }
            };
            let thread = thread::Builder::new().name(format!("password-{number}")).spawn(work);
            thread.map_err(|_| HashingError::Failed)?;
        }
        Ok(Self { jobs })
    }

    /// Hashes a new password.
    pub async fn hash(&self, password: Password) -> Result<PasswordHash, HashingError> {
        self.run(move || hash(&password)).await?
    }

    /// Whether this is the password; without a hash it takes as long and is not.
    pub async fn verify(&self, password: Password, hash: Option<PasswordHash>) -> Result<bool, HashingError> {
        self.run(move || match (&hash, &*NOBODY) {
            (Some(hash), _) => verify(&password, hash),
            (None, Some(nobody)) => {
                verify(&password, nobody);
                false
            }
            (None, None) => false,
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashingError> {
        let (sender, result) = oneshot::channel();
        let job: Job = Box::new(move || {
            // nobody waits any more for a request that was given up
            if !sender.is_closed() {
                let _ = sender.send(work());
            }
        });
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => HashingError::Busy,
            TrySendError::Disconnected(_) => HashingError::Failed,
        })?;
        result.await.map_err(|_| HashingError::Failed)
    }
}

fn next(receiver: &Mutex<Receiver<Job>>) -> Option<Job> {
    receiver.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[tokio::test]
    async fn the_right_password_and_only_that_is_verified() {
        let hasher = Hasher::start(1, 8).unwrap();
        let stored = hasher.hash(Password::given("correct horse")).await.unwrap();
        assert!(
            stored.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "the parameters of the contract"
        );
        assert!(hasher.verify(Password::given("correct horse"), Some(stored.clone())).await.unwrap());
        assert!(!hasher.verify(Password::given("wrong horse"), Some(stored)).await.unwrap());
        assert!(!hasher.verify(Password::given("correct horse"), None).await.unwrap());
        let broken = Some(PasswordHash::new("no hash".into()));
        assert!(!hasher.verify(Password::given("correct horse"), broken).await.unwrap());
    }

    /// One runtime thread, a storm of logins: timers go on, and what is too much is refused at once.
    #[tokio::test]
    async fn a_storm_of_logins_holds_up_nothing_but_logins() {
        let hasher = Hasher::start(1, 4).unwrap();
        let stored = hasher.hash(Password::given("x")).await.unwrap();
        let attempts: Vec<_> = (0..50)
            .map(|_| {
                let (hasher, stored) = (hasher.clone(), Some(stored.clone()));
                tokio::spawn(async move { hasher.verify(Password::given("y"), stored).await })
            })
            .collect();
        let storm = tokio::spawn(async move {
            let mut busy = 0;
            for attempt in attempts {
                busy += usize::from(attempt.await.unwrap() == Err(HashingError::Busy));
            }
            busy
        });
        let mut longest = Duration::ZERO;
        while !storm.is_finished() {
            let began = Instant::now();
            tokio::time::sleep(Duration::from_millis(1)).await;
            longest = longest.max(began.elapsed());
        }
        let busy = storm.await.unwrap();
        assert!(busy >= 40, "a bounded queue: {busy} of 50 were refused");
        assert!(longest < Duration::from_millis(250), "the runtime was held up for {longest:?}");
    }
}
