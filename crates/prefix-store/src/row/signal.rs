//! The rows of a signal group and of a corroborating signal. The document holds the whole of it, except for the raw
//! details; the columns beside are what SQL has to see.

use prefix_core::mitigation::Mitigation;
use prefix_core::name::SourceName;
use prefix_core::ports::{SourceActivity, StoreError, WaitingCorroborations};
use prefix_core::signal::{Corroboration, GroupStatus, SignalGroup};

use super::define::{record, row};
use super::{Parsed, corrupt, json, readable, time, without_nul};
use crate::key;
use crate::page::Place;
use crate::queries::signals::{SourceActivityRow, SourceCountRow};
use crate::sql_type::{Id, Micros};

record! {
    /// What is needed to get a signal group back.
    GroupRow of signal_groups {
        group_id: Id,
        revision: i64,
        created_at: Micros,
        window_ends_at: Micros,
        doc: String,
    }
}

impl Parsed for GroupRow {
    type Value = SignalGroup;
    const TABLE: &'static str = "signal_groups";

    fn place(&self) -> Place {
        (self.created_at, self.group_id)
    }

    fn parse(self) -> Result<SignalGroup, StoreError> {
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
    readable(rows)
}

/// The groups that these mitigations stand on, as far as they are not final.
pub(crate) fn groups_of(mitigations: &[Mitigation]) -> impl Iterator<Item = Id> {
    let unfinished = mitigations.iter().filter(|row| !row.status.is_final());
    unfinished.filter_map(|row| Some(Id(row.correlation.as_ref()?.signal_group_id.as_uuid())))
}

/// The corroborating signals of these rows, oldest first, without those that cannot be read.
pub(crate) fn corroborations(mut rows: Vec<CorroborationRow>) -> Vec<Corroboration> {
    rows.sort_by_key(CorroborationRow::place);
    readable(rows)
}

/// How many wait, from the counts of each source.
pub(crate) fn waiting(rows: Vec<SourceCountRow>) -> Result<WaitingCorroborations, StoreError> {
    let mut waiting = WaitingCorroborations::default();
    for SourceCountRow { source, total } in rows {
        let count = u64::try_from(total).unwrap_or(0);
        waiting.total += count;
        waiting.by_source.insert(name(&source)?, count);
    }
    Ok(waiting)
}

/// The corroborating signals of these rows with their raw details, newest first, without those that cannot be read.
pub(crate) fn newest_first(mut rows: Vec<CorroborationRow>) -> Vec<Corroboration> {
    rows.sort_by_key(|row| std::cmp::Reverse(row.place()));
    readable(rows)
}

/// The activity of each source, sorted by name.
pub(crate) fn activity(rows: Vec<SourceActivityRow>) -> Result<Vec<SourceActivity>, StoreError> {
    let mut activity = Vec::with_capacity(rows.len());
    for SourceActivityRow { source, total, last_seen } in rows {
        let last_seen = time("corroborations", &source, last_seen)?;
        let count = u64::try_from(total).unwrap_or(0);
        activity.push(SourceActivity { source: name(&source)?, last_seen, count });
    }
    activity.sort_by(|a, b| a.source.cmp(&b.source));
    Ok(activity)
}

fn name(source: &str) -> Result<SourceName, StoreError> {
    source.parse().map_err(|error| corrupt("corroborations", source, error))
}

row! {
    /// A row to insert, or the new state of one.
    NewGroup<'a> of signal_groups {
        Key group_id: Id,
        Revision revision: i64,
        Once pop: &'a str,
        Once victim_ip: String,
        Once vector: &'a str,
        Indexed status: &'static str,
        Once created_at: Micros,
        Once window_ends_at: Micros,
        Always mitigation_id: Option<Id>,
        Always doc: String,
    }
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

record! {
    /// A corroborating signal. Most lists leave the raw details out, which can be a megabyte each.
    CorroborationRow of corroborations {
        signal_id: Id,
        received_at: Micros,
        expires_at: Micros,
        doc: String,
    } and { raw_details: Option<String> }
}

impl Parsed for CorroborationRow {
    type Value = Corroboration;
    const TABLE: &'static str = "corroborations";

    fn place(&self) -> Place {
        (self.received_at, self.signal_id)
    }

    fn parse(self) -> Result<Corroboration, StoreError> {
        let id = self.signal_id.0;
        let mut signal: Corroboration =
            serde_json::from_str(&self.doc).map_err(|error| corrupt("corroborations", id, error))?;
        signal.received_at = time("corroborations", id, self.received_at)?;
        signal.expires_at = time("corroborations", id, self.expires_at)?;
        signal.raw_details = self.raw_details;
        Ok(signal)
    }
}

row! {
    /// A corroborating signal to put. The raw details of one that is known stay as they are.
    NewCorroboration<'a> of corroborations put if ("", "") {
        Key signal_id: Id,
        Always received_by: &'a str,
        Always source: &'a str,
        Always source_key: i64,
        Always received_at: Micros,
        Always expires_at: Micros,
        Always is_attached: bool,
        Always doc: String,
        Once raw_details: Option<&'a str>,
    }
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
