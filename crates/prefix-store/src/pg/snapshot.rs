//! The facts of a unit of work. All queries are sent at once, behind `BEGIN` and the lock, and answered in one round
//! trip.

use std::collections::HashSet;

use diesel::prelude::*;
use diesel::result::QueryResult;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use prefix_core::mitigation::Mitigation;
use prefix_core::name::CustomerId;
use prefix_core::store::{QuotaCounts, ReadSet, ReplyKey, Snapshot, StoredReply};

use super::lookup::{
    ClosedOfVictims, KnownEpisodes, KnownSightings, UnfinishedOfRoutes, UnfinishedOfVictims,
};
use super::{groups, queries};
use crate::cache::Cache;
use crate::error::Failure;
use crate::key;
use crate::leadership::check_epoch;
use crate::row::{self, MitigationRow, ReplyRow, SafelistRow, route_kind};
use crate::schema::{admission, admissions, leadership, mitigations, quota_counters, replies};
use crate::sql_type::{Id, Micros};
use crate::writes::scope;

/// Begins the transaction with `begin`, and reads what `reads` names.
pub(super) async fn read(
    client: &mut AsyncPgConnection,
    reads: &ReadSet,
    cache: &Cache,
    begin: &str,
) -> Result<Snapshot, Failure> {
    let client_ref: &AsyncPgConnection = client;
    let mut opener = client_ref;
    let (began, epoch, lock, counters, minute, rows, episodes, sightings, stored, groups, corroborations) = futures::join!(
        opener.batch_execute(begin),
        epoch(client_ref, reads),
        lock(client_ref, reads),
        counters(client_ref, reads),
        last_minute(client_ref, reads),
        find_mitigations(client_ref, reads),
        known_episodes(client_ref, reads),
        known_sightings(client_ref, reads),
        stored_replies(client_ref, reads),
        groups::find(client_ref, reads),
        groups::corroborations(client_ref, reads),
    );
    began?;
    check_epoch(reads.leader, epoch?)?;
    let lock = lock?;
    let mut snapshot = Snapshot { mitigations: parse(rows?), ..Snapshot::default() };
    if let Some((active, of_safelist, of_panic)) = lock {
        snapshot.quota = quota(reads, active, counters?, &minute?);
        snapshot.safelist = match cache.safelist(of_safelist) {
            Some(list) => list,
            None => cache.put_safelist(of_safelist, queries::safelist(client).await?)?,
        };
        snapshot.panic = match cache.panic(of_panic) {
            Some(scopes) => scopes,
            None => cache.put_panic(of_panic, queries::panic_scopes(client).await?)?,
        };
    }
    let pick = |numbers: Vec<i64>| numbers.into_iter().filter_map(|number| usize::try_from(number).ok());
    let all: Vec<_> = reads.episodes.iter().collect();
    snapshot.episodes = pick(episodes?).filter_map(|number| all.get(number).map(|e| (*e).clone())).collect();
    let all: Vec<_> = reads.sightings.iter().collect();
    snapshot.sightings =
        pick(sightings?).filter_map(|number| all.get(number).map(|s| (*s).clone())).collect();
    for row in stored? {
        let is_of = |key: &&ReplyKey| key::of_reply(key) == row.reply_id;
        if let Some(key) = reads.replies.iter().find(is_of) {
            snapshot.replies.insert(key.clone(), row.parse()?);
        }
    }
    let mut groups = groups?;
    if reads.victim_groups {
        // known only now, and only while correlated mitigations live: one more round trip
        let named = row::groups_of(&snapshot.mitigations).collect();
        groups.extend(groups::by_id(client, named).await?);
    }
    snapshot.groups = row::groups(groups);
    snapshot.corroborations = row::corroborations(corroborations?);
    Ok(snapshot)
}

/// The epoch of the pop, read behind the lock that keeps it as it is until the transaction ends.
async fn epoch(mut client: &AsyncPgConnection, reads: &ReadSet) -> QueryResult<Option<i64>> {
    if reads.leader.is_none() {
        return Ok(None);
    }
    let row = leadership::table.find(reads.pop.as_str()).select(leadership::epoch);
    row.first(&mut client).await.optional()
}

/// Locks the row of the admission: whoever holds it is alone until the transaction ends.
async fn lock(mut client: &AsyncPgConnection, reads: &ReadSet) -> QueryResult<Option<(i64, i64, i64)>> {
    if !reads.admission {
        return Ok(None);
    }
    let columns = (admission::active, admission::safelist_revision, admission::panic_revision);
    admission::table.select(columns).for_update().first(&mut client).await.map(Some)
}

async fn counters(
    mut client: &AsyncPgConnection,
    reads: &ReadSet,
) -> QueryResult<Vec<(String, String, i64)>> {
    if !reads.admission {
        return Ok(Vec::new());
    }
    let customers: Vec<&str> = reads.customers.iter().map(CustomerId::as_str).collect();
    let of_pop = quota_counters::scope.eq(scope::POP).and(quota_counters::name.eq(reads.pop.as_str()));
    let of_customers = quota_counters::scope.eq(scope::CUSTOMER).and(quota_counters::name.eq_any(customers));
    quota_counters::table
        .filter(of_pop.or(of_customers))
        .select((quota_counters::scope, quota_counters::name, quota_counters::active))
        .load(&mut client)
        .await
}

async fn last_minute(mut client: &AsyncPgConnection, reads: &ReadSet) -> QueryResult<Vec<i64>> {
    if !reads.admission {
        return Ok(Vec::new());
    }
    // the second of a minute ago counts whole: rather one too many than one too few
    admissions::table
        .filter(admissions::pop.eq(reads.pop.as_str()))
        .filter(admissions::second.ge(reads.now.timestamp() - 60))
        .select(admissions::total)
        .load(&mut client)
        .await
}

fn quota(reads: &ReadSet, active: i64, counters: Vec<(String, String, i64)>, minute: &[i64]) -> QuotaCounts {
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    let customers = reads.customers.iter().map(|customer| (customer.clone(), 0)).collect();
    let minute = count(minute.iter().sum());
    let mut quota = QuotaCounts { customers, pop: 0, global: count(active), new_last_minute: minute };
    for (counter, name, active) in counters {
        if counter == scope::POP {
            quota.pop = count(active);
        } else if let Some(of_customer) = quota.customers.get_mut(name.as_str()) {
            *of_customer = count(active);
        }
    }
    quota
}

/// What was asked for by id, victim, rule and queue. A row can come several times.
async fn find_mitigations(client: &AsyncPgConnection, reads: &ReadSet) -> QueryResult<Vec<MitigationRow>> {
    let (by_id, by_victim, closed, by_route, queued) = futures::join!(
        by_id(client, reads),
        by_victim(client, reads),
        closed_by_victim(client, reads),
        by_route(client, reads),
        queued(client, reads),
    );
    let mut rows = by_id?;
    for more in [by_victim?, closed?, by_route?, queued?] {
        rows.extend(more);
    }
    Ok(rows)
}

async fn by_id(mut client: &AsyncPgConnection, reads: &ReadSet) -> QueryResult<Vec<MitigationRow>> {
    if reads.mitigations.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Id> = reads.mitigations.iter().map(|id| Id(id.as_uuid())).collect();
    mitigations::table
        .filter(mitigations::mitigation_id.eq_any(ids))
        .select(MitigationRow::as_select())
        .load(&mut client)
        .await
}

async fn by_victim(mut client: &AsyncPgConnection, reads: &ReadSet) -> QueryResult<Vec<MitigationRow>> {
    if reads.victims.is_empty() {
        return Ok(Vec::new());
    }
    let victims = reads.victims.iter().map(ToString::to_string).collect();
    UnfinishedOfVictims { pop: reads.pop.as_str(), victims }.load(&mut client).await
}

async fn closed_by_victim(
    mut client: &AsyncPgConnection,
    reads: &ReadSet,
) -> QueryResult<Vec<MitigationRow>> {
    if reads.victims.is_empty() {
        return Ok(Vec::new());
    }
    let closed = ClosedOfVictims {
        pop: reads.pop.as_str(),
        victims: reads.victims.iter().map(ToString::to_string).collect(),
        since: reads.recent_since.min(reads.rejected_since).into(),
        recent_since: reads.recent_since.into(),
        rejected_since: reads.rejected_since.into(),
    };
    closed.load(&mut client).await
}

async fn by_route(mut client: &AsyncPgConnection, reads: &ReadSet) -> QueryResult<Vec<MitigationRow>> {
    if reads.routes.is_empty() {
        return Ok(Vec::new());
    }
    let routes = UnfinishedOfRoutes {
        pop: reads.pop.as_str(),
        kinds: reads.routes.iter().map(|key| route_kind(key.kind())).collect(),
        nlri: reads.routes.iter().map(|key| key.nlri().as_bytes()).collect(),
    };
    routes.load(&mut client).await
}

async fn queued(mut client: &AsyncPgConnection, reads: &ReadSet) -> QueryResult<Vec<MitigationRow>> {
    if reads.queued == 0 {
        return Ok(Vec::new());
    }
    mitigations::table
        .filter(mitigations::pop.eq(reads.pop.as_str()))
        .filter(mitigations::queued_at.is_not_null())
        .order((mitigations::queued_at, mitigations::mitigation_id))
        .limit(reads.queued.into())
        .select(MitigationRow::as_select())
        .load(&mut client)
        .await
}

fn parse(mut rows: Vec<MitigationRow>) -> Vec<Mitigation> {
    let mut seen = HashSet::new();
    rows.retain(|row| seen.insert(row.mitigation_id));
    row::readable(rows)
}

async fn known_episodes(mut client: &AsyncPgConnection, reads: &ReadSet) -> QueryResult<Vec<i64>> {
    if reads.episodes.is_empty() {
        return Ok(Vec::new());
    }
    let mut lookup = KnownEpisodes::default();
    for (number, (source, id)) in (0..).zip(&reads.episodes) {
        lookup.numbers.push(number);
        lookup.keys.push(key::of_episode(source, id));
        lookup.sources.push(source.to_string());
        lookup.seconds.push(id.to_string());
    }
    lookup.load(&mut client).await
}

async fn known_sightings(mut client: &AsyncPgConnection, reads: &ReadSet) -> QueryResult<Vec<i64>> {
    if reads.sightings.is_empty() {
        return Ok(Vec::new());
    }
    let mut lookup = KnownSightings::default();
    for (number, (source, victim)) in (0..).zip(&reads.sightings) {
        lookup.numbers.push(number);
        lookup.keys.push(key::of_sighting(source, *victim));
        lookup.sources.push(source.to_string());
        lookup.seconds.push(victim.to_string());
    }
    lookup.load(&mut client).await
}

async fn stored_replies(mut client: &AsyncPgConnection, reads: &ReadSet) -> QueryResult<Vec<ReplyRow>> {
    if reads.replies.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Vec<u8>> = reads.replies.iter().map(key::of_reply).collect();
    replies::table
        .filter(replies::reply_id.eq_any(ids))
        .filter(replies::created_at.gt(Micros::from(reads.now - StoredReply::KEPT)))
        .select(ReplyRow::as_select())
        .load(&mut client)
        .await
}

/// Revision and entries as of one moment.
pub(super) async fn safelist(client: &mut AsyncPgConnection) -> QueryResult<(i64, Vec<SafelistRow>)> {
    loop {
        let revision = queries::safelist_revision(client).await?;
        let rows = queries::safelist(client).await?;
        if queries::safelist_revision(client).await? == revision {
            return Ok((revision, rows));
        }
    }
}
