//! The facts of a unit of work as rows, and the snapshot that they make.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use prefix_core::access::CredentialId;
use prefix_core::name::{CustomerId, ExternalEventId, SourceName};
use prefix_core::panic::PanicScope;
use prefix_core::ports::{People, QuotaCounts, ReadSet, RequestKey, Snapshot, StoreError};
use prefix_core::safelist::Safelist;

use crate::cache::Cache;
use crate::error::{Failure, from_diesel};
use crate::executor::Executor;
use crate::key;
use crate::queries;
use crate::queries::admission::Head;
use crate::row::{self, CorroborationRow, EndRow, GroupRow, MitigationRow, OperatorRow, ReplyRow, TokenRow};
use crate::sql_type::Id;

/// What was read. A mitigation or signal group can come several times.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// Only with `admission`.
    pub(crate) admission: Option<Admission>,
    pub(crate) mitigations: Vec<MitigationRow>,
    /// Which of the episodes are known: their positions.
    pub(crate) episodes: Vec<i64>,
    /// Which of the sightings are known: their positions.
    pub(crate) sightings: Vec<i64>,
    pub(crate) ends: Vec<EndRow>,
    pub(crate) replies: Vec<ReplyRow>,
    pub(crate) groups: Vec<GroupRow>,
    pub(crate) corroborations: Vec<CorroborationRow>,
    /// Only with `held`.
    pub(crate) access_revision: Option<i64>,
    pub(crate) operators: Vec<OperatorRow>,
    pub(crate) tokens: Vec<TokenRow>,
}

/// What only an admission needs.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) counts: Counts,
    pub(crate) safelist: Safelist,
    pub(crate) panic: Arc<Vec<PanicScope>>,
}

/// What counts toward the quotas.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// The newest row of the pop's log.
    pub(crate) head: Head,
    /// Rules of all pops.
    pub(crate) global: i64,
    /// What all pops hold of the global quota.
    pub(crate) granted: i64,
    /// Main rules by customer.
    pub(crate) customers: HashMap<String, i64>,
    /// Companions of the pop; `None` if they were never counted.
    pub(crate) companions: Option<i64>,
    /// New ones of the last minute.
    pub(crate) minute: i64,
}

impl Admission {
    /// With the safelist and the panic scopes, which are read if the cache does not have these revisions of them.
    pub(crate) async fn read(
        executor: &mut impl Executor,
        cache: &Cache,
        counts: Counts,
        (safelist_revision, panic_revision): (i64, i64),
    ) -> Result<Self, Failure> {
        let safelist = match cache.safelist(safelist_revision) {
            Some(list) => list,
            None => {
                let rows = executor.fetch_all(queries::safelist::entries()).await?;
                cache.put_safelist(safelist_revision, rows)?
            }
        };
        let panic = match cache.panic(panic_revision) {
            Some(scopes) => scopes,
            None => cache.put_panic(panic_revision, executor.fetch_all(queries::panic::active()).await?)?,
        };
        Ok(Self { counts, safelist, panic })
    }
}

impl Facts {
    /// The snapshot, but for the groups of its mitigations: only now it is known which they are.
    pub(crate) async fn into_snapshot(
        self,
        executor: &mut impl Executor,
        reads: &ReadSet,
    ) -> Result<Snapshot, StoreError> {
        let mut rows = self.mitigations;
        let mut seen = HashSet::new();
        rows.retain(|row| seen.insert(row.mitigation_id));
        let mut snapshot = Snapshot { mitigations: row::readable(rows), ..Snapshot::default() };
        if let Some(admission) = self.admission {
            snapshot.quota = quota(reads, &admission.counts);
            (snapshot.safelist, snapshot.panic) = (admission.safelist, admission.panic);
        }
        snapshot.episodes = picked(reads.episodes.iter(), &self.episodes).cloned().collect();
        snapshot.sightings = picked(reads.sightings.iter(), &self.sightings).cloned().collect();
        for row in self.ends {
            let is_of =
                |(source, id): &&(SourceName, ExternalEventId)| key::of_end(source, id) == row.end_key;
            if let Some(episode) = reads.ends.iter().find(is_of) {
                snapshot.ends.insert(episode.clone(), row::time("episode_ends", "", row.ended_at)?);
            }
        }
        for row in self.replies {
            let is_of = |key: &&RequestKey| key::of_reply(key) == row.reply_id;
            if let Some(key) = reads.replies.iter().find(is_of) {
                snapshot.replies.insert(key.clone(), row.parse()?);
            }
        }
        snapshot.people = People {
            operators: self.operators.into_iter().map(OperatorRow::parse).collect::<Result<_, _>>()?,
            tokens: self.tokens.into_iter().map(TokenRow::parse).collect::<Result<_, _>>()?,
        };
        if let Some(revision) = self.access_revision {
            snapshot.access_revision = revision;
            snapshot.ended = ended(executor, reads, revision).await?;
        }
        let mut groups = self.groups;
        let named: Vec<_> = row::groups_of(&snapshot.mitigations).filter(|_| reads.victim_groups).collect();
        if !named.is_empty() {
            // only while correlated mitigations live: one more round trip
            let rows = executor.fetch_all(queries::signals::groups_by_ids(named)).await;
            groups.extend(rows.map_err(|error| from_diesel(&error))?);
        }
        snapshot.groups = row::groups(groups);
        snapshot.corroborations = row::corroborations(self.corroborations);
        Ok(snapshot)
    }
}

/// Those of the held credentials that have ended. Where the revision is the one at which they were checked, none has.
async fn ended(
    executor: &mut impl Executor,
    reads: &ReadSet,
    revision: i64,
) -> Result<HashSet<CredentialId>, StoreError> {
    let older = || reads.held.iter().filter(|(_, checked_at)| **checked_at != revision).map(|(id, _)| *id);
    let tokens: Vec<Id> = older()
        .filter_map(|id| match id {
            CredentialId::Token(id) => Some(Id(id.as_uuid())),
            CredentialId::Session(_) => None,
        })
        .collect();
    let sessions: Vec<Id> = older()
        .filter_map(|id| match id {
            CredentialId::Session(id) => Some(Id(id.as_uuid())),
            CredentialId::Token(_) => None,
        })
        .collect();
    let mut live: HashSet<CredentialId> = HashSet::new();
    if !tokens.is_empty() {
        let rows = executor.fetch_all(queries::access::held_tokens(tokens)).await;
        let rows = rows.map_err(|error| from_diesel(&error))?;
        live.extend(rows.into_iter().map(|row| CredentialId::Token(row.id.0.into())));
    }
    if !sessions.is_empty() {
        let rows = executor.fetch_all(queries::access::held_sessions(sessions)).await;
        let rows = rows.map_err(|error| from_diesel(&error))?;
        live.extend(rows.into_iter().map(|row| CredentialId::Session(row.id.0.into())));
    }
    Ok(older().filter(|id| !live.contains(id)).collect())
}

fn picked<'a, T: 'a>(all: impl Iterator<Item = &'a T>, numbers: &[i64]) -> impl Iterator<Item = &'a T> {
    let numbers: HashSet<i64> = numbers.iter().copied().collect();
    (0..).zip(all).filter(move |(number, _)| numbers.contains(number)).map(|(_, item)| item)
}

fn quota(reads: &ReadSet, counts: &Counts) -> QuotaCounts {
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    let of_customer =
        |customer: &CustomerId| counts.customers.get(customer.as_str()).map_or(0, |active| count(*active));
    QuotaCounts {
        customers: reads.customers.iter().map(|customer| (customer.clone(), of_customer(customer))).collect(),
        pop: count(counts.head.active),
        companions: counts.companions.map_or(0, count),
        global: count(counts.global),
        new_last_minute: count(counts.minute),
    }
}
