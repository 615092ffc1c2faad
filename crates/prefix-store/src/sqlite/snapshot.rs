//! The facts of a unit of work: one small prepared query per key, which costs microseconds inside the process.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use diesel::dsl::exists;
use diesel::prelude::*;
use diesel::result::QueryResult;
use diesel::sqlite::SqliteConnection;
use prefix_core::address::VictimIp;
use prefix_core::flowspec::RouteKey;
use prefix_core::mitigation::{Mitigation, Status};
use prefix_core::safelist::Safelist;
use prefix_core::signal::SignalGroup;
use prefix_core::store::{MOST_CORROBORATIONS, QuotaCounts, ReadSet, Snapshot, StoreError, StoredReply};

use super::{queries, signals};
use crate::cache::Cache;
use crate::error::{Failure, from_diesel};
use crate::key;
use crate::leadership::check_epoch;
use crate::predicate::Open;
use crate::row::{self, GroupRow, MitigationRow, ReplyRow, route_kind};
use crate::schema::{admission, admissions, events, mitigations, quota_counters, replies, signal_groups};
use crate::sql_type::{Id, Micros};
use crate::writes::scope;

/// Reads what `reads` names.
pub(super) fn read(
    connection: &mut SqliteConnection,
    reads: &ReadSet,
    cache: &Cache,
) -> Result<Snapshot, Failure> {
    if reads.leader.is_some() {
        check_epoch(reads.leader, queries::epoch(connection, reads.pop.as_str())?)?;
    }
    let mut snapshot = Snapshot { mitigations: find_mitigations(connection, reads)?, ..Snapshot::default() };
    if reads.admission {
        let columns = (admission::active, admission::safelist_revision, admission::panic_revision);
        let (active, of_safelist, of_panic): (i64, i64, i64) =
            admission::table.select(columns).first(connection)?;
        snapshot.quota = quota(connection, reads, active)?;
        snapshot.safelist = safelist(connection, cache, of_safelist)?;
        snapshot.panic = match cache.panic(of_panic) {
            Some(scopes) => scopes,
            None => cache.put_panic(of_panic, queries::panic_scopes(connection)?)?,
        };
    }
    for (source, id) in &reads.episodes {
        let known = events::table
            .filter(events::episode_key.eq(key::of_episode(source, id)))
            .filter(events::source.eq(source.as_str()))
            .filter(events::external_event_id.eq(id.as_str()));
        if diesel::select(exists(known)).get_result(connection)? {
            snapshot.episodes.insert((source.clone(), id.clone()));
        }
    }
    for (source, victim) in &reads.sightings {
        let known = events::table
            .filter(events::sighting_key.eq(key::of_sighting(source, *victim)))
            .filter(events::source.eq(source.as_str()))
            .filter(events::victim_ip.eq(victim.to_string()));
        if diesel::select(exists(known)).get_result(connection)? {
            snapshot.sightings.insert((source.clone(), *victim));
        }
    }
    for reply_key in &reads.replies {
        let row: Option<ReplyRow> = replies::table
            .find(key::of_reply(reply_key))
            .filter(replies::created_at.gt(Micros::from(reads.now - StoredReply::KEPT)))
            .select(ReplyRow::as_select())
            .first(connection)
            .optional()?;
        if let Some(row) = row {
            snapshot.replies.insert(reply_key.clone(), row.parse()?);
        }
    }
    snapshot.groups = find_groups(connection, reads, &snapshot.mitigations)?;
    if reads.corroborations {
        let (pop, most) = (reads.pop.as_str(), i64::from(MOST_CORROBORATIONS));
        let rows = signals::live_corroborations(connection, pop, reads.now.into(), most)?;
        snapshot.corroborations = row::corroborations(rows);
    }
    Ok(snapshot)
}

fn find_groups(
    connection: &mut SqliteConnection,
    reads: &ReadSet,
    mitigations: &[Mitigation],
) -> QueryResult<Vec<SignalGroup>> {
    let mut rows = Vec::new();
    let mut ids: BTreeSet<Id> = reads.groups.iter().map(|id| Id(id.as_uuid())).collect();
    if reads.victim_groups {
        ids.extend(row::groups_of(mitigations));
        for victim in &reads.victims {
            let open = signal_groups::table
                .filter(Open)
                .filter(signal_groups::pop.eq(reads.pop.as_str()))
                .filter(signal_groups::victim_ip.eq(victim.to_string()))
                .select(GroupRow::as_select());
            rows.extend(open.load(connection)?);
        }
    }
    for id in ids {
        rows.extend(signals::group(connection, id)?);
    }
    if reads.open_groups {
        rows.extend(signals::open_groups(connection, reads.pop.as_str(), i64::MAX)?);
    }
    Ok(row::groups(rows))
}

fn find_mitigations(connection: &mut SqliteConnection, reads: &ReadSet) -> Result<Vec<Mitigation>, Failure> {
    let mut rows = Vec::new();
    for id in &reads.mitigations {
        rows.extend(queries::mitigation(connection, Id(id.as_uuid()))?);
    }
    for victim in &reads.victims {
        of_victim(connection, reads, *victim, &mut rows)?;
    }
    for key in &reads.routes {
        of_route(connection, reads, key, &mut rows)?;
    }
    if reads.queued > 0 {
        let oldest = mitigations::table
            .filter(mitigations::pop.eq(reads.pop.as_str()))
            .filter(mitigations::queued_at.is_not_null())
            .order((mitigations::queued_at, mitigations::mitigation_id))
            .limit(reads.queued.into())
            .select(MitigationRow::as_select());
        rows.extend(oldest.load(connection)?);
    }
    let mut seen = HashSet::new();
    rows.retain(|row| seen.insert(row.mitigation_id));
    Ok(row::readable(rows))
}

fn of_victim(
    connection: &mut SqliteConnection,
    reads: &ReadSet,
    victim: VictimIp,
    rows: &mut Vec<MitigationRow>,
) -> QueryResult<()> {
    let victim = victim.to_string();
    let unfinished = mitigations::table
        .filter(mitigations::pop.eq(reads.pop.as_str()))
        .filter(mitigations::victim_ip.eq(&victim))
        .filter(mitigations::closed_at.is_null())
        .select(MitigationRow::as_select());
    rows.extend(unfinished.load(connection)?);
    let since = |time: DateTime<Utc>| mitigations::closed_at.ge(Micros::from(time));
    let rejected = mitigations::closed_as.eq(Status::Rejected.as_str());
    let closed = mitigations::table
        .filter(mitigations::victim_ip.eq(&victim))
        .filter(since(reads.recent_since.min(reads.rejected_since)))
        .filter(mitigations::pop.eq(reads.pop.as_str()))
        .filter(
            rejected
                .and(since(reads.rejected_since))
                .or(mitigations::closed_as.ne(Status::Rejected.as_str()).and(since(reads.recent_since))),
        )
        .select(MitigationRow::as_select());
    rows.extend(closed.load(connection)?);
    Ok(())
}

fn of_route(
    connection: &mut SqliteConnection,
    reads: &ReadSet,
    key: &RouteKey,
    rows: &mut Vec<MitigationRow>,
) -> QueryResult<()> {
    let of_rule = mitigations::table
        .filter(mitigations::pop.eq(reads.pop.as_str()))
        .filter(mitigations::nlri.eq(key.nlri().as_bytes()))
        .filter(mitigations::route_kind.eq(route_kind(key.kind())))
        .filter(mitigations::closed_at.is_null())
        .select(MitigationRow::as_select());
    rows.extend(of_rule.load(connection)?);
    Ok(())
}

fn quota(connection: &mut SqliteConnection, reads: &ReadSet, active: i64) -> QueryResult<QuotaCounts> {
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    let mut counter = |scope: &str, name: &str| -> QueryResult<u64> {
        let row = quota_counters::table.find((scope, name)).select(quota_counters::active);
        Ok(count(row.first(connection).optional()?.unwrap_or(0)))
    };
    let pop = counter(scope::POP, reads.pop.as_str())?;
    let mut quota = QuotaCounts { pop, global: count(active), ..QuotaCounts::default() };
    for customer in &reads.customers {
        quota.customers.insert(customer.clone(), counter(scope::CUSTOMER, customer.as_str())?);
    }
    // the second of a minute ago counts whole: rather one too many than one too few
    let minute: Vec<i64> = admissions::table
        .filter(admissions::pop.eq(reads.pop.as_str()))
        .filter(admissions::second.ge(reads.now.timestamp() - 60))
        .select(admissions::total)
        .load(connection)?;
    quota.new_last_minute = count(minute.iter().sum());
    Ok(quota)
}

fn safelist(connection: &mut SqliteConnection, cache: &Cache, revision: i64) -> Result<Safelist, StoreError> {
    if let Some(list) = cache.safelist(revision) {
        return Ok(list);
    }
    let rows = queries::safelist(connection).map_err(|error| from_diesel(&error))?;
    cache.put_safelist(revision, rows)
}

/// Revision and entries as of one moment.
pub(super) fn safelist_in_transaction(
    connection: &mut SqliteConnection,
    cache: &Cache,
) -> Result<Safelist, StoreError> {
    let read = |connection: &mut SqliteConnection| {
        let revision = queries::safelist_revision(connection)?;
        if let Some(list) = cache.safelist(revision) {
            return Ok(Ok(list));
        }
        queries::safelist(connection).map(|rows| cache.put_safelist(revision, rows))
    };
    let result = connection.transaction(read);
    result.map_err(|error: diesel::result::Error| from_diesel(&error))?
}
