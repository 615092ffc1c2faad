//! Signal groups and corroborating signals.

use diesel::pg::Pg;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text};

use crate::row::{NewCorroboration, NewGroup};
use crate::sql_type::{Id, Instant, Micros, Uid};
use crate::writes::GroupUpdate;

bulk!(
    /// New signal groups.
    InsertGroups from NewGroup<'a>:
    "INSERT INTO signal_groups (group_id, revision, pop, victim_ip, vector, status, created_at, window_ends_at, \
     mitigation_id, doc) SELECT * FROM", "",
    {
        group_id: Uid = Id,
        revision: BigInt = i64,
        pop: Text = &'a str,
        victim_ip: Text = String,
        vector: Text = &'a str,
        status: Text = &'a str,
        created_at: Instant = Micros,
        window_ends_at: Instant = Micros,
        mitigation_id: Nullable<Uid> = Option<Id>,
        doc: Text = String,
    }
);

/// A changed signal group, flat.
pub(in crate::pg) struct ChangedGroup<'a> {
    group_id: Id,
    expected: i64,
    revision: i64,
    status: &'a str,
    mitigation_id: Option<Id>,
    doc: &'a str,
}

impl<'a> ChangedGroup<'a> {
    pub(in crate::pg) fn of(update: &'a GroupUpdate<'_>) -> Self {
        let row = &update.row;
        Self {
            group_id: row.group_id,
            expected: update.revision,
            revision: row.revision,
            status: row.status,
            mitigation_id: row.mitigation_id,
            doc: &row.doc,
        }
    }
}

bulk!(
    /// Changed signal groups; those that are no longer at the expected revision are left alone, and missing in the count.
    UpdateGroups from ChangedGroup<'a>:
    "UPDATE signal_groups AS g SET revision = u.revision, status = u.status, mitigation_id = u.mitigation_id, doc = u.doc \
     FROM",
    "AS u (group_id, expected, revision, status, mitigation_id, doc) \
     WHERE g.group_id = u.group_id AND g.revision = u.expected",
    {
        group_id: Uid = Id,
        expected: BigInt = i64,
        revision: BigInt = i64,
        status: Text = &'a str,
        mitigation_id: Nullable<Uid> = Option<Id>,
        doc: Text = &'a str,
    }
);

bulk!(
    /// Corroborating signals. The raw details of one that is known stay as they are.
    PutCorroborations from NewCorroboration<'a>:
    "INSERT INTO corroborations (signal_id, received_by, source, source_key, received_at, expires_at, is_attached, doc, \
     raw_details) SELECT * FROM",
    "ON CONFLICT (signal_id) DO UPDATE SET received_by = EXCLUDED.received_by, source = EXCLUDED.source, \
     source_key = EXCLUDED.source_key, received_at = EXCLUDED.received_at, expires_at = EXCLUDED.expires_at, \
     is_attached = EXCLUDED.is_attached, doc = EXCLUDED.doc",
    {
        signal_id: Uid = Id,
        received_by: Text = &'a str,
        source: Text = &'a str,
        source_key: BigInt = i64,
        received_at: Instant = Micros,
        expires_at: Instant = Micros,
        is_attached: Bool = bool,
        doc: Text = String,
        raw_details: Nullable<Text> = Option<&'a str>,
    }
);
