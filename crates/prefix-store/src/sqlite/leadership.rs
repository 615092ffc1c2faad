//! Leadership on SQLite: one instance per file, so whoever asks gets it. Only the epoch is kept.

use chrono::Utc;
use diesel::prelude::*;
use diesel::result::QueryResult;
use diesel::sqlite::SqliteConnection;
use prefix_core::id::InstanceId;
use prefix_core::name::Pop;
use prefix_core::ports::{Candidacy, Election, Epoch, Leader};

use super::writer::{End, Slot};
use crate::error::Failure;
use crate::schema::{instances, leadership};
use crate::sql_type::{Id, Micros};

/// Who led a pop last: epoch, instance, speaker, mode, and the end of the lease.
type LeaderRow = (i64, Id, String, String, Micros);

/// Who leads, as it stands.
fn current(connection: &mut SqliteConnection, pop: &str) -> QueryResult<Option<LeaderRow>> {
    let columns = (
        leadership::epoch,
        leadership::instance,
        leadership::speaker,
        leadership::mode,
        leadership::lease_until,
    );
    leadership::table.find(pop).select(columns).first(connection).optional()
}

/// The election of a leader that goes on, which writes nothing; `None` if something has to be written.
pub(super) fn renewed(
    connection: &mut SqliteConnection,
    candidacy: &Candidacy,
) -> QueryResult<Option<Election>> {
    let row = current(connection, candidacy.pop.as_str())?;
    let row = row.filter(|row| !candidacy.wants_to_lead || goes_on(candidacy, row));
    Ok(row.map(|row| election(candidacy, Some(row))))
}

/// True if the candidate goes on as the leader of this row.
fn goes_on(candidacy: &Candidacy, row: &LeaderRow) -> bool {
    let is_same = row.1.0 == candidacy.instance.as_uuid() && candidacy.held == Some(Epoch(row.0));
    is_same && row.4 != RESIGNED
}

fn election(candidacy: &Candidacy, row: Option<LeaderRow>) -> Election {
    Election {
        leader: row.filter(|row| row.4 != RESIGNED).map(|(epoch, instance, speaker, mode, _)| Leader {
            instance: instance.0.into(),
            epoch: Epoch(epoch),
            speaker,
            mode,
        }),
        others: Vec::new(),
        clock_ahead: candidacy.clock - Utc::now(),
    }
}

/// The end of a lease that was given back.
const RESIGNED: Micros = Micros::from_micros(0);

/// Of any other lease.
const ENDLESS: Micros = Micros::from_micros(i64::MAX);

/// Begins a new epoch.
pub(super) fn claim(slot: &mut Slot, candidacy: &Candidacy) -> Result<Election, Failure> {
    slot.transaction(|connection| {
        let pop = candidacy.pop.as_str();
        let before = current(connection, pop)?;
        if !candidacy.wants_to_lead || before.as_ref().is_some_and(|row| goes_on(candidacy, row)) {
            return Ok((election(candidacy, before), End::Rollback));
        }
        let row: LeaderRow = (
            before.map_or(0, |row| row.0) + 1,
            Id(candidacy.instance.as_uuid()),
            candidacy.speaker.clone(),
            candidacy.mode.clone(),
            ENDLESS,
        );
        let values = (
            leadership::pop.eq(pop),
            leadership::epoch.eq(row.0),
            leadership::instance.eq(row.1),
            leadership::speaker.eq(&row.2),
            leadership::mode.eq(&row.3),
            leadership::lease_until.eq(row.4),
        );
        diesel::replace_into(leadership::table).values(values).execute(connection)?;
        let now = Utc::now();
        let ahead = (candidacy.clock - now).num_microseconds().unwrap_or(i64::MAX);
        let values = (
            instances::pop.eq(pop),
            instances::instance.eq(row.1),
            instances::configuration.eq(&candidacy.configuration),
            instances::clock_ahead.eq(ahead),
            instances::seen.eq(Micros::from(now)),
        );
        diesel::delete(instances::table.filter(instances::pop.eq(pop))).execute(connection)?;
        diesel::insert_into(instances::table).values(values).execute(connection)?;
        Ok((election(candidacy, Some(row)), End::Commit))
    })
}

/// Nobody leads any more; the epoch stays.
pub(super) fn resign(
    slot: &mut Slot,
    pop: &Pop,
    instance: InstanceId,
    epoch: Option<i64>,
) -> Result<(), Failure> {
    let instance = Id(instance.as_uuid());
    slot.transaction(|connection| {
        diesel::delete(instances::table.find((pop.as_str(), instance))).execute(connection)?;
        let held = leadership::table
            .find(pop.as_str())
            .filter(leadership::instance.eq(instance))
            .filter(leadership::epoch.eq(epoch.unwrap_or(-1)));
        diesel::update(held).set(leadership::lease_until.eq(RESIGNED)).execute(connection)?;
        Ok(((), End::Commit))
    })
}
