//! Credentials in memory, each with the access revision at which it was found.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::access::{Credential, CredentialDigest, CredentialId, HeldCredential};
use tokio::time::Instant;

use super::KnownCredential;

/// More than these are not kept: those that were not used for longest go.
const MOST: usize = 20_000;
/// The last use is written at most so often.
const NOTED_EVERY: TimeDelta = TimeDelta::minutes(1);

/// One of them.
struct Entry {
    credential: Arc<Credential>,
    revision: i64,
    used_at: Option<DateTime<Utc>>,
    noted_at: Option<DateTime<Utc>>,
}

impl Entry {
    fn is_live(&self, now: DateTime<Utc>, idle: TimeDelta) -> bool {
        match &*self.credential {
            Credential::Token(token) => token.is_live(now),
            Credential::Login(session, operator) => {
                let last = self.used_at.map_or(session.last_seen_at, |used| used.max(session.last_seen_at));
                operator.deleted_at.is_none() && now < session.expires_at && now - last < idle
            }
        }
    }
}

/// What is known of a credential.
#[derive(Debug)]
pub(super) enum Known {
    /// It is live as of the newest revision.
    Live(KnownCredential),
    /// It was found at an older revision.
    Outdated,
    /// Its time is over, or it was not used for too long.
    Over,
    /// Nothing.
    Unknown,
}

/// The credentials that were used here.
#[derive(Default)]
pub(super) struct KnownCredentials {
    entries: HashMap<CredentialDigest, Entry>,
    /// The newest access revision that was read.
    revision: i64,
}

impl KnownCredentials {
    /// A revision was read. Storage that went back in time is believed, too: everything is looked at again. `is_late`: a
    /// read that began later was answered before.
    pub(super) fn risen_to(&mut self, revision: i64, is_late: bool) {
        if revision < self.revision {
            if is_late {
                return;
            }
            self.entries.clear();
        }
        self.revision = revision;
    }

    /// What was found at an older revision.
    pub(super) fn outdated(&self) -> Vec<CredentialDigest> {
        let outdated = self.entries.iter().filter(|(_, entry)| entry.revision < self.revision);
        outdated.map(|(digest, _)| *digest).collect()
    }

    /// What storage says of these, as of this revision or later.
    pub(super) fn looked_at(
        &mut self,
        digests: &[CredentialDigest],
        (revision, found): (i64, Vec<Credential>),
    ) {
        let mut before: HashMap<_, _> =
            digests.iter().filter_map(|digest| Some((*digest, self.entries.remove(digest)?))).collect();
        for credential in found {
            let known = before.remove(&credential.digest());
            let stored = match &credential {
                Credential::Token(token) => token.last_used_at,
                Credential::Login(session, _) => Some(session.last_seen_at),
            };
            let entry = Entry {
                revision,
                used_at: known.as_ref().and_then(|known| known.used_at),
                noted_at: stored.max(known.and_then(|known| known.noted_at)),
                credential: Arc::new(credential),
            };
            self.entries.insert(entry.credential.digest(), entry);
        }
        if self.entries.len() > MOST {
            let mut uses: Vec<_> = self.entries.values().map(|entry| entry.used_at).collect();
            uses.sort_unstable();
            let oldest = uses[self.entries.len() - MOST];
            self.entries.retain(|_, entry| entry.used_at >= oldest);
        }
    }

    /// What is known of it; if it is live, it was used now.
    pub(super) fn use_of(&mut self, digest: CredentialDigest, now: DateTime<Utc>, idle: TimeDelta) -> Known {
        let revision = self.revision;
        let Some(entry) = self.entries.get_mut(&digest) else { return Known::Unknown };
        if entry.revision < revision {
            return Known::Outdated;
        }
        if !entry.is_live(now, idle) {
            return Known::Over;
        }
        entry.used_at = entry.used_at.max(Some(now));
        let held = HeldCredential { id: entry.credential.id(), revision: entry.revision };
        Known::Live(KnownCredential { credential: Arc::clone(&entry.credential), held })
    }

    /// The last uses that are to be written.
    pub(super) fn uses_to_note(&self) -> Vec<(CredentialId, DateTime<Utc>)> {
        let due = |entry: &&Entry| match (entry.used_at, entry.noted_at) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(used), Some(noted)) => used - noted >= NOTED_EVERY,
        };
        let due = self.entries.values().filter(due);
        due.filter_map(|entry| Some((entry.credential.id(), entry.used_at?))).collect()
    }

    /// They are written.
    pub(super) fn noted(&mut self, uses: &[(CredentialId, DateTime<Utc>)]) {
        let uses: HashMap<_, _> = uses.iter().copied().collect();
        for entry in self.entries.values_mut() {
            if let Some(at) = uses.get(&entry.credential.id()) {
                entry.noted_at = entry.noted_at.max(Some(*at));
            }
        }
    }
}

/// Which failed logins were written down: one entry per name and minute, with the count of those before it.
#[derive(Default)]
pub(crate) struct FailureLog(Mutex<HashMap<String, (Option<Instant>, u64)>>);

impl FailureLog {
    const EVERY: Duration = Duration::from_mins(1);
    const MOST: usize = 10_000;

    /// How many failures an entry stands for that is to be written now; none if one was written within a minute.
    pub(crate) fn failed(&self, name: &str) -> Option<u64> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if log.len() >= Self::MOST {
            log.retain(|_, (at, _)| at.is_some_and(|at| at.elapsed() < Self::EVERY));
        }
        if log.len() >= Self::MOST {
            return None;
        }
        let (at, unwritten) = log.entry(name.to_lowercase()).or_default();
        *unwritten += 1;
        if at.is_some_and(|at| at.elapsed() < Self::EVERY) {
            return None;
        }
        *at = Some(Instant::now());
        Some(std::mem::take(unwritten))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prefix_core::access::{ApiToken, Role};
    use prefix_core::id::TokenId;

    use super::*;

    fn token() -> Credential {
        let token_id = TokenId::generate();
        Credential::Token(Box::new(ApiToken {
            token_id,
            name: "fnm".parse().unwrap(),
            role: Role::Detector,
            sources: BTreeSet::from(["fnm".parse().unwrap()]),
            allowed_cidrs: Vec::new(),
            digest: CredentialDigest::of(token_id.to_string().as_bytes()),
            prefix: "pfx_abcd".into(),
            created_at: DateTime::UNIX_EPOCH,
            created_by: "ada".into(),
            creator: None,
            expires_at: None,
            last_used_at: None,
            revoked_at: None,
        }))
    }

    fn revision(known: Known) -> Option<i64> {
        match known {
            Known::Live(found) => Some(found.held.revision),
            _ => None,
        }
    }

    #[test]
    fn what_was_found_at_an_older_revision_counts_no_more_until_it_is_found_again() {
        let (mut known, token) = (KnownCredentials::default(), token());
        let (digest, now, idle) = (token.digest(), DateTime::UNIX_EPOCH, TimeDelta::hours(8));
        known.looked_at(&[digest], (0, vec![token.clone()]));
        assert_eq!(revision(known.use_of(digest, now, idle)), Some(0));
        known.risen_to(1, false);
        assert!(matches!(known.use_of(digest, now, idle), Known::Outdated));
        assert_eq!(known.outdated(), [digest]);
        known.looked_at(&[digest], (1, vec![token.clone()]));
        assert_eq!(revision(known.use_of(digest, now, idle)), Some(1));
        known.risen_to(0, true);
        assert_eq!(revision(known.use_of(digest, now, idle)), Some(1), "a late answer says nothing");
        known.risen_to(2, false);
        known.looked_at(&[digest], (2, Vec::new()));
        assert!(matches!(known.use_of(digest, now, idle), Known::Unknown) && known.outdated().is_empty());
        known.looked_at(&[digest], (2, vec![token]));
        known.risen_to(0, false);
        assert!(matches!(known.use_of(digest, now, idle), Known::Unknown), "storage went back in time");
    }

    #[test]
    fn a_use_is_written_once_a_minute() {
        let (mut known, token) = (KnownCredentials::default(), token());
        let (digest, start, idle) = (token.digest(), DateTime::UNIX_EPOCH, TimeDelta::hours(8));
        known.looked_at(&[digest], (0, vec![token]));
        assert!(known.uses_to_note().is_empty());
        for (second, due) in [(0, 1), (1, 0), (59, 0), (60, 1)] {
            let used = known.use_of(digest, start + TimeDelta::seconds(second), idle);
            assert!(matches!(used, Known::Live(_)));
            let uses = known.uses_to_note();
            assert_eq!(uses.len(), due, "{second}");
            known.noted(&uses);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn failed_logins_are_written_once_a_minute_with_their_count() {
        let log = FailureLog::default();
        assert_eq!(log.failed("Ada"), Some(1));
        for _ in 0..9 {
            assert_eq!(log.failed("ada"), None);
        }
        assert_eq!(log.failed("bob"), Some(1));
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!(log.failed("ada"), Some(10));
    }
}
