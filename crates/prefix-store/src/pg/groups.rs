//! The facts about signals, sent and answered together with all others.

use diesel::prelude::*;
use diesel::result::QueryResult;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use prefix_core::store::{MOST_CORROBORATIONS, ReadSet};

use super::lookup::OpenGroupsOfVictims;
use super::signals;
use crate::row::{GroupRow, ListedCorroboration};
use crate::schema::signal_groups;
use crate::sql_type::Id;

/// The groups that can be named beforehand: by victim, id and pop. A row can come several times.
pub(super) async fn find(client: &AsyncPgConnection, reads: &ReadSet) -> QueryResult<Vec<GroupRow>> {
    let ids = reads.groups.iter().map(|id| Id(id.as_uuid())).collect();
    let (by_victim, by_id, open) =
        futures::join!(by_victim(client, reads), by_id(client, ids), open(client, reads));
    let mut rows = by_victim?;
    rows.extend(by_id?);
    rows.extend(open?);
    Ok(rows)
}

/// The groups with these ids.
pub(super) async fn by_id(mut client: &AsyncPgConnection, ids: Vec<Id>) -> QueryResult<Vec<GroupRow>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let found = signal_groups::table.filter(signal_groups::group_id.eq_any(ids));
    found.select(GroupRow::as_select()).load(&mut client).await
}

async fn by_victim(mut client: &AsyncPgConnection, reads: &ReadSet) -> QueryResult<Vec<GroupRow>> {
    if !reads.victim_groups || reads.victims.is_empty() {
        return Ok(Vec::new());
    }
    let victims = reads.victims.iter().map(ToString::to_string).collect();
    OpenGroupsOfVictims { pop: reads.pop.as_str(), victims }.load(&mut client).await
}

async fn open(mut client: &AsyncPgConnection, reads: &ReadSet) -> QueryResult<Vec<GroupRow>> {
    if !reads.open_groups {
        return Ok(Vec::new());
    }
    signals::open_groups(&mut client, reads.pop.as_str(), i64::MAX).await
}

/// The newest corroborating signals that are not over.
pub(super) async fn corroborations(
    mut client: &AsyncPgConnection,
    reads: &ReadSet,
) -> QueryResult<Vec<ListedCorroboration>> {
    if !reads.corroborations {
        return Ok(Vec::new());
    }
    let (pop, most) = (reads.pop.as_str(), i64::from(MOST_CORROBORATIONS));
    signals::live_corroborations(&mut client, pop, reads.now.into(), most).await
}
