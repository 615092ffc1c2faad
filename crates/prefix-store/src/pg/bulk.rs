//! Many rows in one prepared statement: each column goes as one array, and `UNNEST` makes rows of them. The statement
//! is the same for one row and for a thousand, so it is planned once per connection.

use diesel::pg::Pg;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Nullable, SmallInt, Text};

use crate::row::{NewAudit, NewEvent, NewMitigation, NewPanic, NewReply, NewSafelistEntry, SealRow};
use crate::sql_type::{Id, Instant, Micros, Uid};
use crate::writes::{Counter, Tally, Update, Writes};

macro_rules! bulk {
    (
        $(#[$doc:meta])*
        $name:ident from $row:ty: $before:literal, $after:literal,
        { $first:ident: $first_sql:ty = $first_rust:ty $(, $column:ident: $sql:ty = $rust:ty)* $(,)? }
    ) => {
        $(#[$doc])*
        pub(in crate::pg) struct $name<'a> {
            $first: Vec<&'a $first_rust>,
            $($column: Vec<&'a $rust>),*
        }

        impl<'a> $name<'a> {
            /// The columns of these rows.
            pub(in crate::pg) fn new(rows: impl IntoIterator<Item = &'a $row>) -> Self {
                let rows = rows.into_iter();
                let (expected, _) = rows.size_hint();
                let mut bulk = Self {
                    $first: Vec::with_capacity(expected),
                    $($column: Vec::with_capacity(expected)),*
                };
                for row in rows {
                    bulk.$first.push(&row.$first);
                    $(bulk.$column.push(&row.$column);)*
                }
                bulk
            }

            /// True if there is nothing to write.
            pub(in crate::pg) fn is_empty(&self) -> bool {
                self.$first.is_empty()
            }
        }

        impl QueryFragment<Pg> for $name<'_> {
            fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
                out.push_sql($before);
                out.push_sql(" UNNEST(");
                out.push_bind_param::<Array<$first_sql>, _>(&self.$first)?;
                $(
                    out.push_sql(", ");
                    out.push_bind_param::<Array<$sql>, _>(&self.$column)?;
                )*
                out.push_sql(") ");
                out.push_sql($after);
                Ok(())
            }
        }

        impl QueryId for $name<'_> {
            type QueryId = $name<'static>;
            const HAS_STATIC_QUERY_ID: bool = true;
        }
    };
}

mod signals;

pub(super) use signals::{ChangedGroup, InsertGroups, PutCorroborations, UpdateGroups};

bulk!(
    /// New mitigations.
    InsertMitigations from NewMitigation<'a>:
    "INSERT INTO mitigations (mitigation_id, revision, pop, phase, status, queued_at, closed_as, closed_at, customer_id, \
     victim_ip, vector, route_kind, nlri, created_at, acknowledged, doc) SELECT * FROM", "",
    {
        mitigation_id: Uid = Id,
        revision: BigInt = i64,
        pop: Text = &'a str,
        phase: Text = &'a str,
        status: Text = &'a str,
        queued_at: Nullable<Instant> = Option<Micros>,
        closed_as: Nullable<Text> = Option<&'a str>,
        closed_at: Nullable<Instant> = Option<Micros>,
        customer_id: Nullable<Text> = Option<&'a str>,
        victim_ip: Text = String,
        vector: Text = &'a str,
        route_kind: Nullable<Text> = Option<&'a str>,
        nlri: Nullable<Binary> = Option<Vec<u8>>,
        created_at: Instant = Micros,
        acknowledged: Bool = bool,
        doc: Text = String,
    }
);

/// A changed mitigation, flat.
pub(super) struct Changed<'a> {
    mitigation_id: Id,
    expected: i64,
    revision: i64,
    phase: &'a str,
    status: &'a str,
    queued_at: Option<Micros>,
    closed_as: Option<&'a str>,
    closed_at: Option<Micros>,
    route_kind: Option<&'a str>,
    nlri: Option<&'a [u8]>,
    acknowledged: bool,
    doc: &'a str,
}

impl<'a> Changed<'a> {
    pub(super) fn of(update: &'a Update<'_>) -> Self {
        let row = &update.row;
        Self {
            mitigation_id: row.mitigation_id,
            expected: update.revision,
            revision: row.revision,
            phase: row.phase,
            status: row.status,
            queued_at: row.queued_at,
            closed_as: row.closed_as,
            closed_at: row.closed_at,
            route_kind: row.route_kind,
            nlri: row.nlri.as_deref(),
            acknowledged: row.acknowledged,
            doc: &row.doc,
        }
    }
}

bulk!(
    /// Changed mitigations; those that are no longer at the expected revision are left alone, and missing in the count.
    UpdateMitigations from Changed<'a>:
    "UPDATE mitigations AS m SET revision = u.revision, phase = u.phase, status = u.status, \
     queued_at = u.queued_at, closed_as = u.closed_as, closed_at = u.closed_at, route_kind = u.route_kind, nlri = u.nlri, \
     acknowledged = u.acknowledged, doc = u.doc FROM",
    "AS u (mitigation_id, expected, revision, phase, status, queued_at, closed_as, closed_at, route_kind, nlri, \
     acknowledged, doc) WHERE m.mitigation_id = u.mitigation_id AND m.revision = u.expected",
    {
        mitigation_id: Uid = Id,
        expected: BigInt = i64,
        revision: BigInt = i64,
        phase: Text = &'a str,
        status: Text = &'a str,
        queued_at: Nullable<Instant> = Option<Micros>,
        closed_as: Nullable<Text> = Option<&'a str>,
        closed_at: Nullable<Instant> = Option<Micros>,
        route_kind: Nullable<Text> = Option<&'a str>,
        nlri: Nullable<Binary> = Option<&'a [u8]>,
        acknowledged: Bool = bool,
        doc: Text = &'a str,
    }
);

bulk!(
    /// New events.
    InsertEvents from NewEvent<'a>:
    "INSERT INTO events (event_id, ingested_at, source, source_key, external_event_id, episode_key, sighting_key, \
     victim_ip, vector, mitigation_id, doc, raw_details) SELECT * FROM", "",
    {
        event_id: Uid = Id,
        ingested_at: Instant = Micros,
        source: Text = &'a str,
        source_key: BigInt = i64,
        external_event_id: Nullable<Text> = Option<&'a str>,
        episode_key: Nullable<BigInt> = Option<i64>,
        sighting_key: Nullable<BigInt> = Option<i64>,
        victim_ip: Text = String,
        vector: Nullable<Text> = Option<&'a str>,
        mitigation_id: Nullable<Uid> = Option<Id>,
        doc: Text = String,
        raw_details: Nullable<Text> = Option<&'a str>,
    }
);

bulk!(
    /// New audit entries, and their places in the queue of those that wait for their seal.
    InsertAudit from NewAudit<'a>:
    "WITH new AS (INSERT INTO audit_entries (audit_id, at, pop, actor_type, actor_id, actor_key, action, target_type, target_id, \
     target_key, details) SELECT * FROM",
    "RETURNING pop, audit_id) INSERT INTO audit_queue (pop, audit_id) SELECT pop, audit_id FROM new",
    {
        audit_id: Uid = Id,
        at: Instant = Micros,
        pop: Text = &'a str,
        actor_type: Text = &'a str,
        actor_id: Nullable<Text> = Option<&'a str>,
        actor_key: Nullable<BigInt> = Option<i64>,
        action: Text = &'a str,
        target_type: Nullable<Text> = Option<&'a str>,
        target_id: Nullable<Text> = Option<&'a str>,
        target_key: Nullable<BigInt> = Option<i64>,
        details: Text = String,
    }
);

bulk!(
    /// The places of sealed entries.
    InsertSeals from SealRow:
    "INSERT INTO audit_seals (pop, seq, audit_id, prev_hash, hash) SELECT * FROM", "",
    {
        pop: Text = String,
        seq: BigInt = i64,
        audit_id: Uid = Id,
        prev_hash: Binary = Vec<u8>,
        hash: Binary = Vec<u8>,
    }
);

bulk!(
    /// Panic scopes.
    PutPanic from NewPanic:
    "INSERT INTO panic_scopes (panic_id, started_at, is_thawed, doc) SELECT * FROM",
    "ON CONFLICT (panic_id) DO UPDATE SET is_thawed = EXCLUDED.is_thawed, doc = EXCLUDED.doc",
    { panic_id: Uid = Id, started_at: Instant = Micros, is_thawed: Bool = bool, doc: Text = String }
);

/// What a transaction changed, for the feed: one row per pop.
pub(super) struct NoteChanges<'a> {
    instance: Option<Id>,
    pops: Vec<&'a str>,
    ids: Vec<Id>,
}

impl<'a> NoteChanges<'a> {
    pub(super) fn new(writes: &'a Writes<'_>) -> Self {
        let (pops, ids) = writes.changed().map(|row| (row.pop, row.mitigation_id)).unzip();
        Self { instance: writes.instance, pops, ids }
    }

    /// True if there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

impl QueryFragment<Pg> for NoteChanges<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("INSERT INTO changes (pop, instance, ids) SELECT c.pop, ");
        out.push_bind_param::<Nullable<Uid>, _>(&self.instance)?;
        out.push_sql(", array_agg(c.id) FROM UNNEST(");
        out.push_bind_param::<Array<Text>, _>(&self.pops)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Uid>, _>(&self.ids)?;
        out.push_sql(") AS c (pop, id) GROUP BY c.pop");
        Ok(())
    }
}

impl QueryId for NoteChanges<'_> {
    type QueryId = NoteChanges<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

bulk!(
    /// New replies. One that still counts is left alone, and missing in the count.
    InsertReplies from NewReply<'a>:
    "INSERT INTO replies (reply_id, body_hash, reply, created_at) SELECT * FROM",
    "ON CONFLICT (reply_id) DO UPDATE SET body_hash = EXCLUDED.body_hash, reply = EXCLUDED.reply, \
     created_at = EXCLUDED.created_at WHERE replies.created_at <= EXCLUDED.created_at - INTERVAL '24 hours'",
    {
        reply_id: Binary = Vec<u8>,
        body_hash: Binary = &'a [u8],
        reply: Text = &'a str,
        created_at: Instant = Micros,
    }
);

bulk!(
    /// Entries of the safelist.
    PutSafelist from NewSafelistEntry:
    "INSERT INTO safelist (prefix, doc) SELECT * FROM",
    "ON CONFLICT (prefix) DO UPDATE SET doc = EXCLUDED.doc",
    { prefix: Text = String, doc: Text = String }
);

bulk!(
    /// Changes of quota counters.
    AddToCounters from Counter<'a>:
    "INSERT INTO quota_counters (scope, name, active) SELECT * FROM",
    "ON CONFLICT (scope, name) DO UPDATE SET active = quota_counters.active + EXCLUDED.active",
    { scope: Text = &'a str, name: Text = &'a str, by: BigInt = i64 }
);

/// A tally and its shard.
pub(super) struct Sharded<'a> {
    kind: &'a str,
    name: &'a str,
    shard: i16,
    by: i64,
}

impl<'a> Sharded<'a> {
    pub(super) fn of(tally: &'a Tally<'_>, shard: i16) -> Self {
        Self { kind: tally.kind, name: tally.name, shard, by: tally.by }
    }
}

bulk!(
    /// Changes of tallies.
    AddToTallies from Sharded<'a>:
    "INSERT INTO tallies (kind, name, shard, total) SELECT * FROM",
    "ON CONFLICT (kind, name, shard) DO UPDATE SET total = tallies.total + EXCLUDED.total",
    { kind: Text = &'a str, name: Text = &'a str, shard: SmallInt = i16, by: BigInt = i64 }
);
