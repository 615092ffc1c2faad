//! The facts of a unit of work. All queries are sent at once, behind `BEGIN`, and answered in one round trip.
//!
//! Many keys are looked up by one index probe each, whatever the planner believes about the table. A cached plan that was
//! made while few rows were unfinished would read all of them for each key when an attack has made thousands. So these
//! statements leave the planner no choice: `LIMIT` and `OFFSET` keep it from joining the tables as a whole, no condition
//! implies that of a partial index with other columns, and `|| ''` hides the columns by which no index shall be taken.

use diesel::result::QueryResult;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use prefix_core::name::{CustomerId, ExternalEventId, SourceName};
use prefix_core::ports::{MOST_CORROBORATIONS, ReadSet, Snapshot, StoreError};

use super::log::POPS;
use crate::cache::Cache;
use crate::error::Failure;
use crate::executor::Executor;
use crate::facts::{Admission, Counts, Facts};
use crate::key;
use crate::leadership::check_epoch;
use crate::queries::admission::Head;
use crate::queries::{self, NumberRow, access, admission, mitigations, signals};
use crate::row::define::record;
use crate::row::{GroupRow, MitigationRow, OperatorRow, route_kind};
use crate::sql::{Fetched, Record, Sql};
use crate::sql_type::{Id, Micros};
use crate::writes::{COMPANIONS, CUSTOMER};

/// Begins the transaction with `begin`, and reads what `reads` names; with an admission, what counts toward the quotas
/// comes besides.
pub(super) async fn read(
    client: &mut AsyncPgConnection,
    reads: &ReadSet,
    cache: &Cache,
    begin: &str,
) -> Result<(Snapshot, Option<Counts>), Failure> {
    let mut opener: &AsyncPgConnection = client;
    let pipe = Pipe { client };
    let pop = reads.pop.as_str();
    let (victims, routes, by_admission) =
        (!reads.victims.is_empty(), !reads.routes.is_empty(), reads.admission);
    let ids = || reads.mitigations.iter().map(|id| Id(id.as_uuid())).collect();
    let group_ids = || reads.groups.iter().map(|id| Id(id.as_uuid())).collect();
    let live = || signals::live_corroborations(pop, reads.now.into(), MOST_CORROBORATIONS.into());
    let (
        began,
        // read behind the lock that keeps it as it is until the transaction ends
        epoch,
        // before the rows: what changes in between makes the log longer
        counts,
        by_id,
        by_victim,
        closed_by_victim,
        by_route,
        queued,
        episodes,
        sightings,
        ends,
        replies,
        groups_by_victim,
        groups_by_id,
        open_groups,
        corroborations,
        access_revision,
        operators,
        tokens,
    ) = futures::join!(
        opener.batch_execute(begin),
        pipe.fetch_if(reads.leader.is_some(), || queries::epoch(pop)),
        pipe.fetch_if(by_admission, || counts_of(reads)),
        pipe.fetch_if(!reads.mitigations.is_empty(), || mitigations::by_ids(ids())),
        pipe.fetch_if(victims, || unfinished_of_victims(reads)),
        pipe.fetch_if(victims, || closed_of_victims(reads)),
        pipe.fetch_if(routes, || unfinished_of_routes(reads)),
        pipe.fetch_if(reads.queued > 0, || mitigations::queued(reads)),
        pipe.fetch_if(!reads.episodes.is_empty(), || known_episodes(reads)),
        pipe.fetch_if(!reads.sightings.is_empty(), || known_sightings(reads)),
        pipe.fetch_if(!reads.ends.is_empty(), || queries::events::ends(reads)),
        pipe.fetch_if(!reads.replies.is_empty(), || {
            admission::replies(reads.replies.iter().map(key::of_reply).collect(), reads)
        }),
        pipe.fetch_if(reads.victim_groups && victims, || open_groups_of_victims(reads)),
        pipe.fetch_if(!reads.groups.is_empty(), || signals::groups_by_ids(group_ids())),
        pipe.fetch_if(reads.open_groups, || signals::open_groups(pop, i64::MAX)),
        pipe.fetch_if(reads.corroborations, live),
        pipe.fetch_if(!reads.held.is_empty(), access::revision),
        pipe.fetch_if(reads.people || !reads.operators.is_empty(), || operators_of(reads)),
        pipe.fetch_if(reads.people, access::live_tokens),
    );
    began?;
    check_epoch(reads.leader, epoch?.first().map(|row| row.epoch))?;
    let mut facts = Facts {
        mitigations: by_id?,
        episodes: numbers(episodes?),
        sightings: numbers(sightings?),
        ends: ends?,
        replies: replies?,
        groups: groups_by_victim?,
        corroborations: corroborations?,
        admission: None,
        access_revision: access_revision?.first().map(|row| row.revision),
        operators: operators?,
        tokens: tokens?,
    };
    for more in [by_victim?, closed_by_victim?, by_route?, queued?] {
        facts.mitigations.extend(more);
    }
    for more in [groups_by_id?, open_groups?] {
        facts.groups.extend(more);
    }
    let mut known = None;
    if let Some(row) = counts?.pop() {
        let revisions = (row.safelist_revision, row.panic_revision);
        let counts = row.counts()?;
        known = Some(counts.clone());
        facts.admission = Some(Admission::read(client, cache, counts, revisions).await?);
    }
    Ok((facts.into_snapshot(client, reads).await?, known))
}

fn operators_of(reads: &ReadSet) -> Sql<OperatorRow> {
    if reads.people {
        return access::all_operators();
    }
    access::operators_by_id(reads.operators.iter().map(|id| Id(id.as_uuid())).collect())
}

/// A connection on which statements follow each other without waiting for answers.
#[derive(Clone, Copy)]
struct Pipe<'a> {
    client: &'a AsyncPgConnection,
}

impl Pipe<'_> {
    async fn fetch_if<R: Fetched>(self, is_asked: bool, sql: impl FnOnce() -> Sql<R>) -> QueryResult<Vec<R>> {
        let mut client = self.client;
        if is_asked { client.fetch_all(sql()).await } else { Ok(Vec::new()) }
    }
}

fn numbers(rows: Vec<NumberRow>) -> Vec<i64> {
    rows.into_iter().map(|row| row.number).collect()
}

record! {
    /// All that counts toward the quotas, as of one moment.
    CountsRow {
        version: i64, standing: i64, active: i64, granted: i64,
        granted_in_all: i64, safelist_revision: i64, panic_revision: i64,
        global: i64, minute: i64, companions: Option<i64>, customers: String
    }
}

impl CountsRow {
    fn counts(&self) -> Result<Counts, StoreError> {
        let customers = serde_json::from_str(&self.customers)
            .map_err(|error| StoreError::Corrupt { table: "quota_counters", problem: error.to_string() })?;
        let &Self { version, standing, active, granted, .. } = self;
        Ok(Counts {
            head: Head { version, standing, active, granted },
            global: self.global,
            granted: self.granted_in_all,
            customers,
            companions: self.companions,
            minute: self.minute,
        })
    }
}

/// One statement, so that the numbers fit each other. The pops are found by one index probe each.
fn counts_of(reads: &ReadSet) -> Sql<CountsRow> {
    let customers: Vec<&str> = reads.customers.iter().map(CustomerId::as_str).collect();
    Sql::new(POPS)
        .push(
            "
        SELECT coalesce(h.version, 0) AS version, coalesce(h.standing, 0) AS standing,
            coalesce(h.active, 0) AS active, coalesce(h.granted, 0) AS granted,
            a.granted AS granted_in_all, a.safelist_revision, a.panic_revision,
            (SELECT coalesce(sum(e.active), 0)::bigint FROM pops AS p CROSS JOIN LATERAL (
                SELECT l.active FROM pop_log AS l WHERE l.pop = p.pop ORDER BY l.version DESC LIMIT 1
            ) AS e) AS global,
            (SELECT coalesce(sum(l.admitted), 0)::bigint FROM pop_log AS l
                WHERE l.pop = ? AND l.second >= ? AND l.admitted > 0) AS minute,
            (SELECT q.active FROM quota_counters AS q WHERE q.scope = ? AND q.name = ?) AS companions,
            (SELECT coalesce(json_object_agg(q.name, q.active), '{}')::text FROM quota_counters AS q
                WHERE q.scope = ? AND q.name = ANY (?)) AS customers
        FROM admission AS a LEFT JOIN LATERAL (
            SELECT version, standing, active, granted FROM pop_log WHERE pop = ? ORDER BY version DESC LIMIT 1
        ) AS h ON true",
        )
        .bind(reads.pop.as_str())
        .bind(admission::minute_ago(reads))
        .bind(COMPANIONS)
        .bind(reads.pop.as_str())
        .bind(CUSTOMER)
        .bind(customers)
        .bind(reads.pop.as_str())
}

/// `keys` makes the rows `k` of the keys, `condition` finds the rows of a key.
fn lookup<R: Record>(keys: &'static str, from: &'static str) -> Sql<R> {
    Sql::new("SELECT found.* FROM UNNEST")
        .push(keys)
        .push(" CROSS JOIN LATERAL (SELECT ")
        .push(R::COLUMNS)
        .push(from)
}

fn victims(reads: &ReadSet) -> Vec<String> {
    reads.victims.iter().map(ToString::to_string).collect()
}

fn unfinished_of_victims(reads: &ReadSet) -> Sql<MitigationRow> {
    lookup(
        "(?) AS k (victim)",
        " FROM mitigations WHERE victim_ip = k.victim AND closed_at IS NULL AND pop || '' = ? OFFSET 0) AS found",
    )
    .bind(victims(reads))
    .bind(reads.pop.as_str())
}

/// The final mitigations of these victims that ended, or were rejected, late enough.
fn closed_of_victims(reads: &ReadSet) -> Sql<MitigationRow> {
    lookup(
        "(?) AS k (victim)",
        " FROM mitigations WHERE victim_ip = k.victim AND closed_at >= ? AND pop || '' = ? \
         AND closed_at >= CASE closed_as WHEN 'rejected' THEN ? ELSE ? END OFFSET 0) AS found",
    )
    .bind(victims(reads))
    .bind(Micros::from(reads.recent_since.min(reads.rejected_since)))
    .bind(reads.pop.as_str())
    .bind(Micros::from(reads.rejected_since))
    .bind(Micros::from(reads.recent_since))
}

fn unfinished_of_routes(reads: &ReadSet) -> Sql<MitigationRow> {
    let kinds: Vec<&str> = reads.routes.iter().map(|key| route_kind(key.kind())).collect();
    let nlri: Vec<Vec<u8>> = reads.routes.iter().map(|key| key.nlri().as_bytes().to_vec()).collect();
    lookup(
        "(?, ?) AS k (kind, nlri)",
        " FROM mitigations WHERE nlri = k.nlri AND closed_at IS NULL AND route_kind = k.kind AND pop || '' = ? \
         OFFSET 0) AS found",
    )
    .bind(kinds)
    .bind(nlri)
    .bind(reads.pop.as_str())
}

fn open_groups_of_victims(reads: &ReadSet) -> Sql<GroupRow> {
    lookup(
        "(?) AS k (victim)",
        " FROM signal_groups WHERE victim_ip = k.victim AND status = 'open' AND pop = ? OFFSET 0) AS found",
    )
    .bind(victims(reads))
    .bind(reads.pop.as_str())
}

/// The positions of the episodes that were reported.
fn known_episodes(reads: &ReadSet) -> Sql<NumberRow> {
    let key = |(source, id): &(SourceName, ExternalEventId)| key::of_episode(source, id);
    let sql = Sql::new(
        "SELECT k.number FROM UNNEST(?, ?, ?, ?) AS k (number, key, source, id) CROSS JOIN LATERAL (SELECT 1 \
         FROM events AS e WHERE e.episode_key = k.key AND e.source = k.source AND e.external_event_id || '' = k.id \
         LIMIT 1) AS found",
    );
    of_sources(sql, reads.episodes.iter().map(|episode| (key(episode), &episode.0, episode.1.to_string())))
}

/// The positions of the victims that a source reported.
fn known_sightings(reads: &ReadSet) -> Sql<NumberRow> {
    let sql = Sql::new(
        "SELECT k.number FROM UNNEST(?, ?, ?, ?) AS k (number, key, source, victim) CROSS JOIN LATERAL (SELECT 1 \
         FROM events AS e WHERE e.sighting_key = k.key AND e.source = k.source AND e.victim_ip || '' = k.victim \
         LIMIT 1) AS found",
    );
    let sightings = reads.sightings.iter();
    of_sources(
        sql,
        sightings.map(|(source, victim)| (key::of_sighting(source, *victim), source, victim.to_string())),
    )
}

fn of_sources<'a>(
    sql: Sql<NumberRow>,
    sought: impl Iterator<Item = (i64, &'a SourceName, String)>,
) -> Sql<NumberRow> {
    let (mut numbers, mut keys, mut sources, mut texts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (number, (key, source, text)) in (0_i64..).zip(sought) {
        numbers.push(number);
        keys.push(key);
        sources.push(source.to_string());
        texts.push(text);
    }
    sql.bind(numbers).bind(keys).bind(sources).bind(texts)
}
