//! Leadership on SQLite: one instance per file, so whoever asks gets it. Only the epoch is kept.

use chrono::{SubsecRound, Utc};
use diesel::result::QueryResult;
use diesel::sqlite::SqliteConnection;
use prefix_core::clock::ClockFrame;
use prefix_core::id::InstanceId;
use prefix_core::name::Pop;
use prefix_core::ports::{Candidacy, ClockReading, Election, Epoch, HeldLease, Leader};

use super::writer::{End, Slot};
use super::{execute, fetch_one};
use crate::error::Failure;
use crate::row::define::record;
use crate::sql::Sql;
use crate::sql_type::{Id, Micros};

record! {
    /// Who led a pop last.
    LeaderRow of leadership { epoch: i64, instance: Id, speaker: String, mode: String, lease_until: Micros, frame: i64 }
}

/// Who leads, as it stands.
fn current(connection: &mut SqliteConnection, pop: &str) -> QueryResult<Option<LeaderRow>> {
    fetch_one(connection, Sql::select("FROM leadership WHERE pop = ?").bind(pop))
}

/// The election of a leader that goes on, which writes nothing; `None` if something has to be written.
pub(super) fn renewed(
    connection: &mut SqliteConnection,
    candidacy: &Candidacy,
) -> QueryResult<Option<Election>> {
    let row = current(connection, candidacy.pop.as_str())?;
    let is_framed = |row: &LeaderRow| candidacy.frame.is_none_or(|frame| frame.0 == row.frame);
    let row = row.filter(|row| !candidacy.wants_to_lead || (goes_on(candidacy, row) && is_framed(row)));
    Ok(row.map(|row| election(candidacy, Some(row))))
}

/// True if the candidate goes on as the leader of this row.
fn goes_on(candidacy: &Candidacy, row: &LeaderRow) -> bool {
    let is_same = row.instance.0 == candidacy.instance.as_uuid() && candidacy.held == Some(Epoch(row.epoch));
    is_same && row.lease_until != RESIGNED
}

fn election(candidacy: &Candidacy, row: Option<LeaderRow>) -> Election {
    let now = Utc::now().trunc_subsecs(6);
    let lasting = row.as_ref().filter(|row| row.lease_until != RESIGNED);
    Election {
        lease: lasting
            .and_then(|row| Some(HeldLease { epoch: Epoch(row.epoch), until: row.lease_until.time()? })),
        frame: ClockFrame(row.as_ref().map_or(0, |row| row.frame)),
        clock: ClockReading::at_some_time(now),
        leader: row.filter(|row| row.lease_until != RESIGNED).map(|row| Leader {
            instance: row.instance.0.into(),
            epoch: Epoch(row.epoch),
            speaker: row.speaker,
            mode: row.mode,
        }),
        others: Vec::new(),
        clock_ahead: candidacy.clock - now,
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
        if let (Some(frame), Some(row)) = (candidacy.frame, &before)
            && candidacy.wants_to_lead
            && goes_on(candidacy, row)
            && frame.0 != row.frame
        {
            let set = Sql::new("UPDATE leadership SET frame = ? WHERE pop = ?").bind(frame.0).bind(pop);
            execute(connection, set)?;
            let after = current(connection, pop)?;
            return Ok((election(candidacy, after), End::Commit));
        }
        if !candidacy.wants_to_lead || before.as_ref().is_some_and(|row| goes_on(candidacy, row)) {
            return Ok((election(candidacy, before), End::Rollback));
        }
        let instance = Id(candidacy.instance.as_uuid());
        let lead = Sql::new(
            "INSERT OR REPLACE INTO leadership (pop, epoch, instance, speaker, mode, lease_until, frame) \
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        );
        let frame = before.as_ref().map_or(0, |row| row.frame);
        let frame = candidacy.frame.map_or(frame, |frame| frame.0);
        let epoch = before.map_or(0, |row| row.epoch) + 1;
        let lead = lead.bind(pop).bind(epoch).bind(instance);
        let lead =
            lead.bind(candidacy.speaker.as_str()).bind(candidacy.mode.as_str()).bind(ENDLESS).bind(frame);
        execute(connection, lead)?;
        execute(connection, Sql::new("DELETE FROM instances WHERE pop = ?").bind(pop))?;
        let report = Sql::new(
            "INSERT INTO instances (pop, instance, configuration, clock_ahead, seen) VALUES (?, ?, ?, ?, ?)",
        );
        let now = Utc::now();
        let ahead = (candidacy.clock - now).num_microseconds().unwrap_or(i64::MAX);
        let report = report.bind(pop).bind(instance).bind(candidacy.configuration.as_str());
        execute(connection, report.bind(ahead).bind(Micros::from(now)))?;
        let after = current(connection, pop)?;
        Ok((election(candidacy, after), End::Commit))
    })
}

/// Nobody leads any more; the epoch stays.
pub(super) fn resign(
    slot: &mut Slot,
    pop: &Pop,
    instance: InstanceId,
    epoch: Option<i64>,
) -> Result<(), Failure> {
    let (pop, instance) = (pop.as_str(), Id(instance.as_uuid()));
    slot.transaction(|connection| {
        let gone = Sql::new("DELETE FROM instances WHERE pop = ? AND instance = ?");
        execute(connection, gone.bind(pop).bind(instance))?;
        let end = "UPDATE leadership SET lease_until = ? WHERE pop = ? AND instance = ? AND epoch = ?";
        let end = Sql::new(end).bind(RESIGNED).bind(pop).bind(instance);
        execute(connection, end.bind(epoch.unwrap_or(-1)))?;
        Ok(((), End::Commit))
    })
}
