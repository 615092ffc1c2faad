//! The facts of a unit of work: one small prepared query per key, which costs microseconds inside the process.

use std::collections::{BTreeSet, HashMap};

use diesel::result::QueryResult;
use diesel::sqlite::SqliteConnection;
use futures::executor::block_on;
use prefix_core::ports::{MOST_CORROBORATIONS, ReadSet, Snapshot};

use super::{fetch_all, fetch_one};
use crate::cache::Cache;
use crate::error::Failure;
use crate::facts::{Admission, Counts, Facts};
use crate::key;
use crate::leadership::check_epoch;
use crate::queries::admission::{CounterRow, Head};
use crate::queries::{self, NumberRow, access, admission, mitigations, signals};
use crate::row::{GroupRow, MitigationRow, route_kind};
use crate::sql::Sql;
use crate::sql_type::{Id, Micros};
use crate::writes::{COMPANIONS, CUSTOMER};

/// Reads what `reads` names.
pub(super) fn read(
    connection: &mut SqliteConnection,
    reads: &ReadSet,
    cache: &Cache,
) -> Result<Snapshot, Failure> {
    let pop = reads.pop.as_str();
    if reads.leader.is_some() {
        check_epoch(reads.leader, fetch_one(connection, queries::epoch(pop))?.map(|row| row.epoch))?;
    }
    let mut facts = Facts { mitigations: find_mitigations(connection, reads)?, ..Facts::default() };
    if reads.admission {
        facts.admission = find_admission(connection, reads, cache)?;
    }
    for (number, (source, id)) in (0..).zip(&reads.episodes) {
        let known: Sql<NumberRow> = Sql::new(
            "SELECT ? AS number FROM events WHERE episode_key = ? AND source = ? AND external_event_id = ? LIMIT 1",
        );
        let known = known.bind(number).bind(key::of_episode(source, id)).bind(source.as_str());
        facts.episodes.extend(fetch_one(connection, known.bind(id.as_str()))?.map(|row| row.number));
    }
    for (number, (source, victim)) in (0..).zip(&reads.sightings) {
        let known: Sql<NumberRow> = Sql::new(
            "SELECT ? AS number FROM events WHERE sighting_key = ? AND source = ? AND victim_ip = ? LIMIT 1",
        );
        let known = known.bind(number).bind(key::of_sighting(source, *victim)).bind(source.as_str());
        facts.sightings.extend(fetch_one(connection, known.bind(victim.to_string()))?.map(|row| row.number));
    }
    for (source, id) in &reads.ends {
        facts.ends.extend(fetch_one(connection, queries::events::end(source, id))?);
    }
    for key in &reads.replies {
        facts.replies.extend(fetch_one(connection, admission::reply(key::of_reply(key), reads))?);
    }
    facts.groups = find_groups(connection, reads)?;
    if reads.corroborations {
        let live = signals::live_corroborations(pop, reads.now.into(), MOST_CORROBORATIONS.into());
        facts.corroborations = fetch_all(connection, live)?;
    }
    if !reads.held.is_empty() {
        facts.access_revision = fetch_one(connection, access::revision())?.map(|row| row.revision);
    }
    if reads.people {
        facts.operators = fetch_all(connection, access::all_operators())?;
        facts.tokens = fetch_all(connection, access::live_tokens())?;
    } else if !reads.operators.is_empty() {
        let ids = reads.operators.iter().map(|id| Id(id.as_uuid())).collect();
        facts.operators = fetch_all(connection, access::operators_by_id(ids))?;
    }
    Ok(block_on(facts.into_snapshot(connection, reads))?)
}

fn find_admission(
    connection: &mut SqliteConnection,
    reads: &ReadSet,
    cache: &Cache,
) -> Result<Option<Admission>, Failure> {
    let Some(row) = fetch_one(connection, admission::row())? else { return Ok(None) };
    let mut counter = |scope: &'static str, name: &str| -> QueryResult<Option<CounterRow>> {
        let counter = Sql::select("FROM quota_counters WHERE scope = ? AND name = ?");
        fetch_one(connection, counter.bind(scope).bind(name))
    };
    let mut customers = HashMap::new();
    for customer in &reads.customers {
        customers.extend(counter(CUSTOMER, customer.as_str())?.map(|row| (row.name, row.active)));
    }
    let companions = counter(COMPANIONS, reads.pop.as_str())?.map(|row| row.active);
    let minute = fetch_all(connection, admission::last_minute(reads))?;
    let counts = Counts {
        head: head(connection, reads.pop.as_str())?,
        // there is one writer, and every pop is granted what it has
        global: row.granted,
        granted: row.granted,
        customers,
        companions,
        minute: minute.iter().map(|row| row.admitted).sum(),
    };
    let revisions = (row.safelist_revision, row.panic_revision);
    block_on(Admission::read(connection, cache, counts, revisions)).map(Some)
}

/// The newest row of a pop's log.
pub(super) fn head(connection: &mut SqliteConnection, pop: &str) -> QueryResult<Head> {
    Ok(fetch_one(connection, admission::head(pop))?.map_or_else(Head::default, Head::from))
}

fn find_groups(connection: &mut SqliteConnection, reads: &ReadSet) -> QueryResult<Vec<GroupRow>> {
    let pop = reads.pop.as_str();
    let mut rows = Vec::new();
    for victim in reads.victims.iter().filter(|_| reads.victim_groups) {
        let open = Sql::select("FROM signal_groups WHERE status = 'open' AND pop = ? AND victim_ip = ?");
        rows.extend(fetch_all(connection, open.bind(pop).bind(victim.to_string()))?);
    }
    let ids: BTreeSet<Id> = reads.groups.iter().map(|id| Id(id.as_uuid())).collect();
    for id in ids {
        rows.extend(fetch_one(connection, signals::group(id))?);
    }
    if reads.open_groups {
        rows.extend(fetch_all(connection, signals::open_groups(pop, i64::MAX))?);
    }
    Ok(rows)
}

fn find_mitigations(connection: &mut SqliteConnection, reads: &ReadSet) -> QueryResult<Vec<MitigationRow>> {
    let pop = reads.pop.as_str();
    let mut rows = Vec::new();
    for id in &reads.mitigations {
        rows.extend(fetch_one(connection, mitigations::by_id(Id(id.as_uuid())))?);
    }
    for victim in &reads.victims {
        let victim = victim.to_string();
        let unfinished =
            Sql::select("FROM mitigations WHERE pop = ? AND victim_ip = ? AND closed_at IS NULL");
        rows.extend(fetch_all(connection, unfinished.bind(pop).bind(victim.as_str()))?);
        let (recent, rejected) = (reads.recent_since, reads.rejected_since);
        let closed = Sql::select(
            "FROM mitigations WHERE victim_ip = ? AND closed_at >= ? AND pop = ? AND \
             (closed_as = 'rejected' AND closed_at >= ? OR closed_as <> 'rejected' AND closed_at >= ?)",
        );
        let closed = closed.bind(victim).bind(Micros::from(recent.min(rejected))).bind(pop);
        let closed = closed.bind(Micros::from(rejected)).bind(Micros::from(recent));
        rows.extend(fetch_all(connection, closed)?);
    }
    for key in &reads.routes {
        let of_route = Sql::select(
            "FROM mitigations WHERE pop = ? AND nlri = ? AND route_kind = ? AND closed_at IS NULL",
        );
        let of_route = of_route.bind(pop).bind(key.nlri().as_bytes().to_vec()).bind(route_kind(key.kind()));
        rows.extend(fetch_all(connection, of_route)?);
    }
    if reads.queued > 0 {
        rows.extend(fetch_all(connection, mitigations::queued(reads))?);
    }
    Ok(rows)
}
