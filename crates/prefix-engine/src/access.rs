//! The stored credentials that this instance knows, checked from memory: a request asks storage only for one that nobody
//! has used here before. The access revision is read several times a second, and whatever was found at an older one is
//! looked at again; what is stored looks at it once more inside its transaction.

mod known;
mod lookups;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use prefix_access::{Hasher, HashingError, LoginThrottle};
use prefix_core::access::{ApiToken, Credential, CredentialDigest, HeldCredential};
use prefix_core::ports::StoreError;
use prefix_core::{Clock, Store};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::error::EngineError;
use crate::storage_clock::StorageClock;
use known::{Known, KnownCredentials};
use lookups::Lookup;

/// Between two reads of the access revision: reads follow a revocation within a second.
const PERIOD: Duration = Duration::from_millis(400);
/// How long a read of it may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// An instance that could not read it for so long does not know whom it may serve.
const FRESH: Duration = Duration::from_secs(3);
/// A credential is looked at so often while others end.
const LOOKS: u32 = 4;
/// Every so many reads it is noted which credentials were used.
const NOTE_EVERY: u32 = 25;
/// Every so many reads sessions that are over are forgotten, and tokens that end soon are looked for.
const CARE_EVERY: u32 = 150;
/// A token that ends within this time is a problem to be told.
const ENDS_SOON: TimeDelta = TimeDelta::days(7);

/// What the configuration says of credentials.
#[derive(Clone, Copy, Debug)]
pub struct AccessSettings {
    /// A session that is not used for so long is over (`http.auth.session_idle_seconds`).
    pub session_idle: TimeDelta,
    /// The longest life of a token (`http.auth.token_max_age_days`); `None` = any.
    pub token_max_age: Option<TimeDelta>,
    /// The shortest password, in characters (`http.auth.password_min_length`).
    pub password_min_length: usize,
    /// Threads that hash passwords.
    pub hashing_threads: usize,
    /// Logins that may wait for them.
    pub hashing_queue: usize,
}

impl Default for AccessSettings {
    fn default() -> Self {
        Self {
            session_idle: TimeDelta::hours(8),
            token_max_age: None,
            password_min_length: 12,
            hashing_threads: 2,
            hashing_queue: 32,
        }
    }
}

/// A credential that is live, and how its caller holds it.
#[derive(Clone, Debug)]
pub struct KnownCredential {
    /// The credential.
    pub credential: Arc<Credential>,
    /// For everything that is done on its behalf.
    pub held: HeldCredential,
}

/// Everything about stored credentials.
pub(crate) struct AccessControl {
    store: Arc<dyn Store>,
    clock: Arc<StorageClock>,
    settings: Mutex<AccessSettings>,
    state: Mutex<State>,
    lookups: Mutex<Option<mpsc::Sender<Lookup>>>,
    hasher: Mutex<Option<Hasher>>,
    pub(crate) throttle: LoginThrottle,
    pub(crate) failures: crate::access::known::FailureLog,
}

#[derive(Default)]
struct State {
    known: KnownCredentials,
    /// Whether storage holds an admin, as it was last read.
    has_admin: bool,
    /// When the revision was read last.
    read_at: Option<Instant>,
    ending: Vec<ApiToken>,
}

impl State {
    /// A revision was read by a read that began then. An older one counts only if it was read later: then storage went
    /// back in time.
    fn read_revision(&mut self, revision: i64, began: Instant) {
        let is_late = self.read_at.is_some_and(|at| began < at);
        self.known.risen_to(revision, is_late);
        self.read_at = self.read_at.max(Some(began));
    }
}

impl AccessControl {
    pub(crate) fn new(store: Arc<dyn Store>, clock: Arc<StorageClock>) -> Self {
        Self {
            store,
            clock,
            settings: Mutex::default(),
            state: Mutex::default(),
            lookups: Mutex::default(),
            hasher: Mutex::default(),
            throttle: LoginThrottle::default(),
            failures: known::FailureLog::default(),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn settings(&self) -> AccessSettings {
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to follow storage, until `stop`. Without it no stored credential is known.
    pub(crate) fn follow(self: &Arc<Self>, settings: AccessSettings, stop: CancellationToken) {
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = settings;
        let (sender, receiver) = mpsc::channel(lookups::WAITING);
        *self.lookups.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        let looks = lookups::run(Arc::clone(self), receiver);
        let (follows, ended) = (Arc::clone(self), stop.clone());
        tokio::spawn(async move { ended.run_until_cancelled(looks).await });
        tokio::spawn(async move { stop.run_until_cancelled(follows.run()).await });
    }

    /// The threads that hash passwords, started when the first one is to be hashed.
    pub(crate) fn hasher(&self) -> Result<Hasher, HashingError> {
        let settings = self.settings();
        let mut hasher = self.hasher.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hasher) = &*hasher {
            return Ok(hasher.clone());
        }
        let started = Hasher::start(settings.hashing_threads, settings.hashing_queue)?;
        *hasher = Some(started.clone());
        Ok(started)
    }

    async fn run(self: Arc<Self>) {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut count: u32 = 0;
        loop {
            ticks.tick().await;
            if let Err(error) = self.refresh().await {
                debug!(%error, "the access revision cannot be read");
            }
            if count.is_multiple_of(NOTE_EVERY) && count > 0 {
                self.note_uses().await;
            }
            if count.is_multiple_of(CARE_EVERY) {
                self.care().await;
            }
            count = count.wrapping_add(1);
        }
    }

    /// Reads the revision, and looks again at what was found at an older one.
    pub(crate) async fn refresh(&self) -> Result<(), StoreError> {
        let slow = || StoreError::Unavailable("the access revision was not read in time".to_owned());
        let began = Instant::now();
        let read = timeout(PATIENCE, self.store.access_state()).await.map_err(|_| slow())??;
        let outdated = {
            let mut state = self.state();
            state.has_admin = read.has_admin;
            state.read_revision(read.revision, began);
            state.known.outdated()
        };
        if !outdated.is_empty() {
            let found = timeout(PATIENCE, self.store.credentials(&outdated)).await.map_err(|_| slow())??;
            self.state().known.looked_at(&outdated, found);
        }
        Ok(())
    }

    /// Whether storage holds an admin, as far as is known.
    pub(crate) fn has_admin(&self) -> bool {
        self.state().has_admin
    }

    /// Tokens that end soon, and are not replaced by another one of their name.
    pub(crate) fn problems(&self) -> Vec<String> {
        let now = self.clock.now();
        let state = self.state();
        let told = state.ending.iter().filter_map(|token| {
            let end = token.expires_at?;
            let when = if end <= now { "has expired" } else { "expires" };
            Some(format!(
                "token {} ({}) {when} at {}: make another one of the same name, and give it to its holder",
                token.name,
                token.prefix,
                end.format("%Y-%m-%dT%H:%M:%SZ")
            ))
        });
        told.collect()
    }

    /// The credential of this digest, if it is live.
    pub(crate) async fn find(
        &self,
        digest: CredentialDigest,
    ) -> Result<Option<KnownCredential>, EngineError> {
        let unknown = |why: &str| EngineError::CredentialsUnknown(why.to_owned());
        let (now, idle) = (self.clock.now(), self.settings().session_idle);
        {
            let mut state = self.state();
            let is_fresh = state.read_at.is_some_and(|at| at.elapsed() < FRESH);
            if !is_fresh && state.read_at.is_some() {
                return Err(unknown("the access revision could not be read for three seconds"));
            }
            // what is not live here may have been used elsewhere meanwhile
            if is_fresh && let Known::Live(found) = state.known.use_of(digest, now, idle) {
                return Ok(Some(found));
            }
        }
        let lookups = self.lookups.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(lookups) = lookups else { return Err(unknown("stored credentials are not followed")) };
        for _ in 0..LOOKS {
            let (lookup, answer) = Lookup::new(digest);
            lookups.try_send(lookup).map_err(|_| unknown("too many unknown credentials wait"))?;
            let looked = answer.await.unwrap_or(Err(StoreError::Unavailable("the look was given up".into())));
            looked.map_err(|error| unknown(&error.to_string()))?;
            match self.state().known.use_of(digest, now, idle) {
                Known::Live(found) => return Ok(Some(found)),
                Known::Unknown | Known::Over => return Ok(None),
                // something has ended while it was looked at
                Known::Outdated => {}
            }
        }
        Err(unknown("credentials end faster than they can be looked at"))
    }

    /// Looks at several credentials at once.
    async fn look(&self, digests: &[CredentialDigest]) -> Result<(), StoreError> {
        let began = Instant::now();
        let found = self.store.credentials(digests);
        let found = timeout(PATIENCE, found)
            .await
            .map_err(|_| StoreError::Unavailable("storage does not answer".to_owned()))??;
        let mut state = self.state();
        state.read_revision(found.0, began);
        state.known.looked_at(digests, found);
        Ok(())
    }

    async fn note_uses(&self) {
        let uses = self.state().known.uses_to_note();
        if uses.is_empty() {
            return;
        }
        match self.store.note_uses(&uses).await {
            Ok(()) => self.state().known.noted(&uses),
            Err(error) => debug!(%error, "the last use of credentials is noted later"),
        }
    }

    async fn care(&self) {
        let (now, idle) = (self.clock.now(), self.settings().session_idle);
        if !self.clock.is_valid() {
            return;
        }
        // an hour more: what other instances have not noted yet is not forgotten
        if let Err(error) = self.store.prune_sessions(now - idle - TimeDelta::hours(1), now).await {
            debug!(%error, "sessions that are over are forgotten later");
        }
        match self.store.tokens().await {
            Ok(tokens) => self.state().ending = ending(&tokens, now),
            Err(error) => warn!(%error, "it is not known which tokens end soon"),
        }
    }
}

/// Those that end within a week, or did within the last one, while no other token of their name is live for longer.
fn ending(tokens: &[ApiToken], now: DateTime<Utc>) -> Vec<ApiToken> {
    let usable = || tokens.iter().filter(|token| token.revoked_at.is_none());
    let is_replaced = |token: &ApiToken| {
        usable()
            .any(|other| other.name == token.name && other.expires_at.is_none_or(|end| end > now + ENDS_SOON))
    };
    let is_near = |end: DateTime<Utc>| end - now < ENDS_SOON && now - end < ENDS_SOON;
    usable().filter(|token| token.expires_at.is_some_and(is_near) && !is_replaced(token)).cloned().collect()
}
