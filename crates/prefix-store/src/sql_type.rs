//! The SQL types of columns. Two of them each database stores in its own best way: ids (`uuid`, 16-byte blob) and times (`timestamptz`,
//! microseconds since 1970). They are what lets one schema serve both.

use chrono::{DateTime, Utc};
use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::query_builder::QueryId;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, SmallInt, SqlOrd, SqlType, Text};
use diesel::sqlite::Sqlite;
use uuid::Uuid;

/// A UUID.
#[derive(Clone, Copy, Debug, Default, SqlType, QueryId)]
#[diesel(postgres_type(oid = 2950, array_oid = 2951))]
#[diesel(sqlite_type(name = "Binary"))]
pub struct Uid;

/// A moment in UTC, in whole microseconds.
#[derive(Clone, Copy, Debug, Default, SqlType, QueryId)]
#[diesel(postgres_type(oid = 1184, array_oid = 1185))]
#[diesel(sqlite_type(name = "Long"))]
pub struct Instant;

impl SqlOrd for Instant {}

/// A Rust type that a column can have, and its SQL type.
pub(crate) trait Stored {
    type Sql;
}

/// The SQL type of a Rust type.
pub(crate) type SqlOf<T> = <T as Stored>::Sql;

macro_rules! stored {
    ($($type:ty => $sql:ty),* $(,)?) => {
        $(impl Stored for $type {
            type Sql = $sql;
        })*
    };
}

stored!(
    Id => Uid,
    Micros => Instant,
    bool => Bool,
    i16 => SmallInt,
    i64 => BigInt,
    String => Text,
    &str => Text,
    Vec<u8> => Binary,
    &[u8] => Binary,
);

impl<T: Stored> Stored for Option<T>
where
    T::Sql: SqlType,
{
    type Sql = Nullable<T::Sql>;
}

/// The Rust side of [`Uid`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, AsExpression, FromSqlRow)]
#[diesel(sql_type = Uid)]
pub(crate) struct Id(pub(crate) Uuid);

/// The Rust side of [`Instant`]: microseconds since 1970. What is finer is cut off, so that a stored time is never
/// later than the real one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, AsExpression, FromSqlRow)]
#[diesel(sql_type = Instant)]
pub(crate) struct Micros(i64);

/// Microseconds from 1970 to the epoch of PostgreSQL, 2000-01-01.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

impl Micros {
    pub(crate) fn get(self) -> i64 {
        self.0
    }

    pub(crate) const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// As a time; beyond what a calendar holds only if another program wrote the row.
    pub(crate) fn time(self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_micros(self.0)
    }
}

impl From<DateTime<Utc>> for Micros {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time.timestamp_micros())
    }
}

impl ToSql<Uid, Pg> for Id {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        std::io::Write::write_all(out, self.0.as_bytes())?;
        Ok(IsNull::No)
    }
}

impl FromSql<Uid, Pg> for Id {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(Uuid::from_slice(value.as_bytes())?))
    }
}

impl ToSql<Uid, Sqlite> for Id {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.as_bytes().as_slice());
        Ok(IsNull::No)
    }
}

impl FromSql<Uid, Sqlite> for Id {
    fn from_sql(value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let bytes = <Vec<u8> as FromSql<Binary, Sqlite>>::from_sql(value)?;
        Ok(Self(Uuid::from_slice(&bytes)?))
    }
}

impl ToSql<Instant, Pg> for Micros {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let since_2000 = self.0.saturating_sub(POSTGRES_EPOCH);
        <i64 as ToSql<BigInt, Pg>>::to_sql(&since_2000, &mut out.reborrow())
    }
}

impl FromSql<Instant, Pg> for Micros {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        // The type of the value is a timestamp, which the check of `i64` for its own type would refuse.
        let since_2000 = i64::from_be_bytes(value.as_bytes().try_into()?);
        Ok(Self(since_2000.saturating_add(POSTGRES_EPOCH)))
    }
}

impl ToSql<Instant, Sqlite> for Micros {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0);
        Ok(IsNull::No)
    }
}

impl FromSql<Instant, Sqlite> for Micros {
    fn from_sql(value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        <i64 as FromSql<BigInt, Sqlite>>::from_sql(value).map(Self)
    }
}
