//! Statements that change rows, prepared once per connection: Diesel prepares its own updates and upserts each time.

use diesel::pg::Pg;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text};
use diesel::sqlite::Sqlite;

use crate::sql_type::{Id, Instant, Micros, Uid};

macro_rules! fragment {
    ($backend:ty, $name:ident, |$this:ident, $out:ident| $walk:block) => {
        impl QueryFragment<$backend> for $name<'_> {
            fn walk_ast<'b>(&'b self, mut $out: AstPass<'_, 'b, $backend>) -> QueryResult<()> {
                let $this = self;
                $walk
                Ok(())
            }
        }
    };
}

macro_rules! statement {
    (
        $(#[$doc:meta])*
        $name:ident for $($backend:ty),+ { $($field:ident: $rust:ty),* $(,)? }
        |$this:ident, $out:ident| $walk:block
    ) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name<'a> {
            $(pub(crate) $field: $rust),*
        }

        impl QueryId for $name<'_> {
            type QueryId = $name<'static>;
            const HAS_STATIC_QUERY_ID: bool = true;
        }

        impl<Conn> diesel::RunQueryDsl<Conn> for $name<'_> {}

        $(fragment!($backend, $name, |$this, $out| $walk);)+
    };
}

statement!(
    /// Changes the row of the admission.
    TouchAdmission for Pg, Sqlite { global: i64, safelist: &'a i64, panic: &'a i64 }
    |this, out| {
        out.push_sql("UPDATE admission SET active = active + ");
        out.push_bind_param::<BigInt, _>(&this.global)?;
        out.push_sql(", safelist_revision = safelist_revision + ");
        out.push_bind_param::<BigInt, _>(this.safelist)?;
        out.push_sql(", panic_revision = panic_revision + ");
        out.push_bind_param::<BigInt, _>(this.panic)?;
    }
);

statement!(
    /// Counts admissions in their second.
    CountAdmissions for Pg, Sqlite { pop: &'a str, second: i64, total: i64 }
    |this, out| {
        out.push_sql("INSERT INTO admissions (pop, second, total) VALUES (");
        out.push_bind_param::<Text, _>(this.pop)?;
        out.push_sql(", ");
        out.push_bind_param::<BigInt, _>(&this.second)?;
        out.push_sql(", ");
        out.push_bind_param::<BigInt, _>(&this.total)?;
        out.push_sql(") ON CONFLICT (pop, second) DO UPDATE SET total = admissions.total + EXCLUDED.total");
    }
);

statement!(
    /// Changes a quota counter.
    AddToCounter for Sqlite { scope: &'a str, name: &'a str, by: i64 }
    |this, out| {
        out.push_sql("INSERT INTO quota_counters (scope, name, active) VALUES (");
        out.push_bind_param::<Text, _>(this.scope)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(this.name)?;
        out.push_sql(", ");
        out.push_bind_param::<BigInt, _>(&this.by)?;
        out.push_sql(") ON CONFLICT (scope, name) DO UPDATE SET active = quota_counters.active + EXCLUDED.active");
    }
);

statement!(
    /// Changes a tally.
    AddToTally for Sqlite { kind: &'a str, name: &'a str, by: i64 }
    |this, out| {
        out.push_sql("INSERT INTO tallies (kind, name, shard, total) VALUES (");
        out.push_bind_param::<Text, _>(this.kind)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(this.name)?;
        out.push_sql(", 0, ");
        out.push_bind_param::<BigInt, _>(&this.by)?;
        out.push_sql(") ON CONFLICT (kind, name, shard) DO UPDATE SET total = tallies.total + EXCLUDED.total");
    }
);

statement!(
    /// Changes what no index of mitigations sees. SQLite rewrites the index entries of every column that is named,
    /// whether it changes or not.
    UpdateInner for Sqlite { id: Id, expected: i64, revision: i64, status: &'a str, doc: &'a str }
    |this, out| {
        out.push_sql("UPDATE mitigations SET revision = ");
        out.push_bind_param::<BigInt, _>(&this.revision)?;
        out.push_sql(", status = ");
        out.push_bind_param::<Text, _>(this.status)?;
        out.push_sql(", doc = ");
        out.push_bind_param::<Text, _>(this.doc)?;
        out.push_sql(" WHERE mitigation_id = ");
        out.push_bind_param::<Uid, _>(&this.id)?;
        out.push_sql(" AND revision = ");
        out.push_bind_param::<BigInt, _>(&this.expected)?;
    }
);

statement!(
    /// Changes what indexes of mitigations see, and what [`UpdateInner`] changes.
    UpdateOuter for Sqlite {
        inner: UpdateInner<'a>,
        phase: &'a str,
        queued_at: Option<Micros>,
        closed_as: Option<&'a str>,
        closed_at: Option<Micros>,
        route_kind: Option<&'a str>,
        nlri: Option<&'a [u8]>,
        acknowledged: bool,
    }
    |this, out| {
        out.push_sql("UPDATE mitigations SET phase = ");
        out.push_bind_param::<Text, _>(this.phase)?;
        out.push_sql(", queued_at = ");
        out.push_bind_param::<Nullable<Instant>, _>(&this.queued_at)?;
        out.push_sql(", closed_as = ");
        out.push_bind_param::<Nullable<Text>, _>(&this.closed_as)?;
        out.push_sql(", closed_at = ");
        out.push_bind_param::<Nullable<Instant>, _>(&this.closed_at)?;
        out.push_sql(", route_kind = ");
        out.push_bind_param::<Nullable<Text>, _>(&this.route_kind)?;
        out.push_sql(", nlri = ");
        out.push_bind_param::<Nullable<Binary>, _>(&this.nlri)?;
        out.push_sql(", acknowledged = ");
        out.push_bind_param::<Bool, _>(&this.acknowledged)?;
        out.push_sql(", revision = ");
        out.push_bind_param::<BigInt, _>(&this.inner.revision)?;
        out.push_sql(", status = ");
        out.push_bind_param::<Text, _>(this.inner.status)?;
        out.push_sql(", doc = ");
        out.push_bind_param::<Text, _>(this.inner.doc)?;
        out.push_sql(" WHERE mitigation_id = ");
        out.push_bind_param::<Uid, _>(&this.inner.id)?;
        out.push_sql(" AND revision = ");
        out.push_bind_param::<BigInt, _>(&this.inner.expected)?;
    }
);

statement!(
    /// Changes what no index of signal groups sees.
    UpdateGroup for Sqlite {
        id: Id,
        expected: i64,
        revision: i64,
        mitigation: Option<Id>,
        doc: &'a str,
    }
    |this, out| {
        out.push_sql("UPDATE signal_groups SET revision = ");
        out.push_bind_param::<BigInt, _>(&this.revision)?;
        out.push_sql(", mitigation_id = ");
        out.push_bind_param::<Nullable<Uid>, _>(&this.mitigation)?;
        out.push_sql(", doc = ");
        out.push_bind_param::<Text, _>(this.doc)?;
        out.push_sql(" WHERE group_id = ");
        out.push_bind_param::<Uid, _>(&this.id)?;
        out.push_sql(" AND revision = ");
        out.push_bind_param::<BigInt, _>(&this.expected)?;
    }
);

statement!(
    /// Changes the status of a signal group, and what [`UpdateGroup`] changes.
    UpdateGroupStatus for Sqlite { inner: UpdateGroup<'a>, status: &'a str }
    |this, out| {
        out.push_sql("UPDATE signal_groups SET status = ");
        out.push_bind_param::<Text, _>(this.status)?;
        out.push_sql(", revision = ");
        out.push_bind_param::<BigInt, _>(&this.inner.revision)?;
        out.push_sql(", mitigation_id = ");
        out.push_bind_param::<Nullable<Uid>, _>(&this.inner.mitigation)?;
        out.push_sql(", doc = ");
        out.push_bind_param::<Text, _>(this.inner.doc)?;
        out.push_sql(" WHERE group_id = ");
        out.push_bind_param::<Uid, _>(&this.inner.id)?;
        out.push_sql(" AND revision = ");
        out.push_bind_param::<BigInt, _>(&this.inner.expected)?;
    }
);
