//! The rows of a signal group and of a corroborating signal. The document holds the whole of it, except for the raw
//! details; the columns beside are what SQL has to see.

use diesel::prelude::{Insertable, Queryable, Selectable};
use prefix_core::mitigation::Mitigation;
use prefix_core::name::SourceName;
use prefix_core::signal::{Corroboration, GroupStatus, SignalGroup};
use prefix_core::store::{SourceActivity, StoreError, WaitingCorroborations};

use super::{corrupt, json, time, without_nul};
use crate::key;
use crate::queries::signals::ActivityRow;
use crate::schema::{corroborations, signal_groups};
use crate::sql_type::{Id, Micros};

/// What is needed to get a signal group back.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = signal_groups)]
pub(crate) struct GroupRow {
    pub(crate) group_id: Id,
    revision: i64,
    created_at: Micros,
    window_ends_at: Micros,
    doc: String,
}

impl GroupRow {
    /// Its place in lists.
    pub(crate) fn place(&self) -> (Micros, Id) {
        (self.created_at, self.group_id)
    }

    pub(crate) fn parse(self) -> Result<SignalGroup, StoreError> {
        let id = self.group_id.0;
        let mut group: SignalGroup =
            serde_json::from_str(&self.doc).map_err(|error| corrupt("signal_groups", id, error))?;
        group.revision = self.revision;
        group.created_at = time("signal_groups", id, self.created_at)?;
        group.window_ends_at = time("signal_groups", id, self.window_ends_at)?;
        Ok(group)
    }
}

/// The groups of these rows, each once, oldest first, without those that cannot be read.
pub(crate) fn groups(mut rows: Vec<GroupRow>) -> Vec<SignalGroup> {
    rows.sort_by_key(GroupRow::place);
    rows.dedup_by_key(|row| row.group_id);
    rows.into_iter().filter_map(super::group).collect()
}

/// The groups that these mitigations stand on, as far as they are not final.
pub(crate) fn groups_of(mitigations: &[Mitigation]) -> impl Iterator<Item = Id> {
    let unfinished = mitigations.iter().filter(|row| !row.status.is_final());
    unfinished.filter_map(|row| Some(Id(row.correlation.as_ref()?.signal_group_id.as_uuid())))
}

/// The corroborating signals of these rows, oldest first, without those that cannot be read.
pub(crate) fn corroborations(mut rows: Vec<ListedCorroboration>) -> Vec<Corroboration> {
    rows.sort_by_key(ListedCorroboration::place);
    rows.into_iter().filter_map(super::corroboration).collect()
}

/// How many wait, from the counts of each source.
pub(crate) fn waiting(rows: Vec<(String, i64)>) -> Result<WaitingCorroborations, StoreError> {
    let mut waiting = WaitingCorroborations::default();
    for (source, count) in rows {
        let count = u64::try_from(count).unwrap_or(0);
        waiting.total += count;
        waiting.by_source.insert(name(&source)?, count);
    }
    Ok(waiting)
}

/// The corroborating signals of these rows with their raw details, newest first, without those that cannot be read.
pub(crate) fn newest_first(mut rows: Vec<CorroborationRow>) -> Vec<Corroboration> {
    rows.sort_by_key(|row| std::cmp::Reverse(row.place()));
    rows.into_iter().filter_map(super::whole_corroboration).collect()
}

/// What was heard of each source, sorted by name.
pub(crate) fn activity(rows: Vec<ActivityRow>) -> Result<Vec<SourceActivity>, StoreError> {
    let mut activity = Vec::with_capacity(rows.len());
    for (source, last_seen, count) in rows {
        let Some(last_seen) = last_seen else { continue };
        let last_seen = time("corroborations", &source, last_seen)?;
        let count = u64::try_from(count).unwrap_or(0);
        activity.push(SourceActivity { source: name(&source)?, last_seen, count });
    }
    activity.sort_by(|a, b| a.source.cmp(&b.source));
    Ok(activity)
}

fn name(source: &str) -> Result<SourceName, StoreError> {
    source.parse().map_err(|error| corrupt("corroborations", source, error))
}

/// A row to insert, or the new state of one.
#[derive(Debug, Insertable)]
#[diesel(table_name = signal_groups, treat_none_as_default_value = false)]
pub(crate) struct NewGroup<'a> {
    pub(crate) group_id: Id,
    pub(crate) revision: i64,
    pub(crate) pop: &'a str,
    pub(crate) victim_ip: String,
    pub(crate) vector: &'a str,
    pub(crate) status: &'static str,
    pub(crate) created_at: Micros,
    pub(crate) window_ends_at: Micros,
    pub(crate) mitigation_id: Option<Id>,
    pub(crate) doc: String,
}

impl<'a> NewGroup<'a> {
    pub(crate) fn new(group: &'a SignalGroup, revision: i64) -> Result<Self, StoreError> {
        Ok(Self {
            group_id: Id(group.group_id.as_uuid()),
            revision,
            pop: group.pop.as_str(),
            victim_ip: group.victim_ip.to_string(),
            vector: group.vector.as_str(),
            status: group.status.as_str(),
            created_at: group.created_at.into(),
            window_ends_at: group.window_ends_at.into(),
            mitigation_id: group.mitigation_id.map(|id| Id(id.as_uuid())),
            doc: json("signal group", group)?,
        })
    }

    /// True if the row keeps others of its pop, victim and vector from being open.
    pub(crate) fn is_open(&self) -> bool {
        self.status == GroupStatus::Open.as_str()
    }
}

/// A corroborating signal without its raw details, which can be a megabyte each.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = corroborations)]
pub(crate) struct ListedCorroboration {
    pub(crate) signal_id: Id,
    received_at: Micros,
    expires_at: Micros,
    doc: String,
}

/// A whole corroborating signal.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = corroborations)]
pub(crate) struct CorroborationRow {
    #[diesel(embed)]
    pub(crate) listed: ListedCorroboration,
    raw_details: Option<String>,
}

impl ListedCorroboration {
    /// Its place in lists.
    pub(crate) fn place(&self) -> (Micros, Id) {
        (self.received_at, self.signal_id)
    }

    pub(crate) fn parse(self) -> Result<Corroboration, StoreError> {
        let id = self.signal_id.0;
        let mut signal: Corroboration =
            serde_json::from_str(&self.doc).map_err(|error| corrupt("corroborations", id, error))?;
        signal.received_at = time("corroborations", id, self.received_at)?;
        signal.expires_at = time("corroborations", id, self.expires_at)?;
        Ok(signal)
    }
}

impl CorroborationRow {
    /// Its place in lists.
    pub(crate) fn place(&self) -> (Micros, Id) {
        self.listed.place()
    }

    pub(crate) fn parse(self) -> Result<Corroboration, StoreError> {
        let mut signal = self.listed.parse()?;
        signal.raw_details = self.raw_details;
        Ok(signal)
    }
}

/// A corroborating signal to put.
#[derive(Debug, Insertable)]
#[diesel(table_name = corroborations, treat_none_as_default_value = false)]
pub(crate) struct NewCorroboration<'a> {
    pub(crate) signal_id: Id,
    pub(crate) received_by: &'a str,
    pub(crate) source: &'a str,
    pub(crate) source_key: i64,
    pub(crate) received_at: Micros,
    pub(crate) expires_at: Micros,
    pub(crate) is_attached: bool,
    pub(crate) doc: String,
    pub(crate) raw_details: Option<&'a str>,
}

impl<'a> NewCorroboration<'a> {
    pub(crate) fn new(signal: &'a Corroboration) -> Result<Self, StoreError> {
        Ok(Self {
            signal_id: Id(signal.signal_id.as_uuid()),
            received_by: signal.received_by.as_str(),
            source: signal.source.as_str(),
            source_key: key::of_text(signal.source.as_str()),
            received_at: signal.received_at.into(),
            expires_at: signal.expires_at.into(),
            is_attached: !signal.attached.is_empty(),
            doc: json("corroborating signal", signal)?,
            raw_details: signal
                .raw_details
                .as_deref()
                .map(|text| without_nul("raw_details", text))
                .transpose()?,
        })
    }
}
