//! SQL text with its values: what every query function returns, the same for both databases. The text is prepared once
//! per connection.

use std::marker::PhantomData;

use diesel::backend::Backend;
use diesel::deserialize::QueryableByName;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::serialize::ToSql;
use diesel::sql_types::{Array, BigInt, Binary, Bool, HasSqlType, Nullable, Text, Untyped};
use diesel::sqlite::Sqlite;
use prefix_core::page::PageRequest;

use crate::sql_type::{Id, Instant, Micros, Uid};

/// So many values of a list go into one statement: SQLite takes no more than 32,766.
pub(crate) const VALUES_AT_ONCE: usize = 10_000;

/// A row that both databases can give back.
pub(crate) trait Fetched: QueryableByName<Pg> + QueryableByName<Sqlite> + Send + 'static {}

impl<R: QueryableByName<Pg> + QueryableByName<Sqlite> + Send + 'static> Fetched for R {}

/// A row of one table.
pub(crate) trait Record: Fetched {
    /// Its columns, with the name of the table, as they stand behind `SELECT`.
    const COLUMNS: &'static str;
}

/// A statement that gives rows of `R`, or none.
#[derive(Debug)]
pub(crate) struct Sql<R = ()> {
    text: Vec<Piece>,
    values: Vec<Value>,
    has_condition: bool,
    row: PhantomData<fn() -> R>,
}

/// A piece of text between two values.
#[derive(Clone, Copy, Debug)]
struct Piece {
    pg: &'static str,
    sqlite: &'static str,
    follows_value: bool,
}

/// A value. A list is one array for PostgreSQL, and one value per item for SQLite.
#[derive(Debug)]
pub(crate) enum Value {
    Text(String),
    Int(i64),
    Bool(bool),
    Bytes(Vec<u8>),
    Time(Micros),
    Id(Option<Id>),
    Texts(Vec<String>),
    Ints(Vec<i64>),
    Blobs(Vec<Vec<u8>>),
    Ids(Vec<Id>),
}

macro_rules! values {
    ($($type:ty: |$value:ident| $as:expr),* $(,)?) => {
        $(impl From<$type> for Value {
            fn from($value: $type) -> Self {
                $as
            }
        })*
    };
}

values!(
    &str: |text| Self::Text(text.to_owned()),
    String: |text| Self::Text(text),
    i64: |number| Self::Int(number),
    bool: |value| Self::Bool(value),
    Vec<u8>: |bytes| Self::Bytes(bytes),
    Micros: |time| Self::Time(time),
    Id: |id| Self::Id(Some(id)),
    Option<Id>: |id| Self::Id(id),
    Vec<String>: |texts| Self::Texts(texts),
    Vec<&str>: |texts| Self::Texts(texts.into_iter().map(str::to_owned).collect()),
    Vec<i64>: |numbers| Self::Ints(numbers),
    Vec<Vec<u8>>: |blobs| Self::Blobs(blobs),
    Vec<Id>: |ids| Self::Ids(ids),
);

impl<R> Sql<R> {
    /// A whole statement, or its beginning.
    pub(crate) fn new(text: &'static str) -> Self {
        Self::by_dialect(text, text)
    }

    /// The same where the two databases differ.
    pub(crate) fn by_dialect(pg: &'static str, sqlite: &'static str) -> Self {
        let sql = Self { text: Vec::new(), values: Vec::new(), has_condition: false, row: PhantomData };
        sql.push_by_dialect(pg, sqlite)
    }

    /// More text.
    pub(crate) fn push(self, text: &'static str) -> Self {
        self.push_by_dialect(text, text)
    }

    /// More text where the two databases differ. Each has as many question marks as the other.
    pub(crate) fn push_by_dialect(mut self, pg: &'static str, sqlite: &'static str) -> Self {
        for (number, (pg, sqlite)) in pg.split('?').zip(sqlite.split('?')).enumerate() {
            self.text.push(Piece { pg, sqlite, follows_value: number > 0 });
        }
        self
    }

    /// The value of the next question mark.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// A condition, after those that were named before.
    pub(crate) fn only(mut self, condition: &'static str) -> Self {
        let link = if self.has_condition { " AND " } else { " WHERE " };
        self.has_condition = true;
        self.push(link).push(condition)
    }

    /// A condition with one value.
    pub(crate) fn filter(self, condition: &'static str, value: impl Into<Value>) -> Self {
        self.only(condition).bind(value)
    }

    /// A condition that is left out if there is no value.
    pub(crate) fn filter_some(self, condition: &'static str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.filter(condition, value),
            None => self,
        }
    }

    /// The column has one of these values.
    pub(crate) fn any(self, column: &'static str, values: impl Into<Value>) -> Self {
        self.only(column).push_by_dialect(" = ANY (?)", " IN (?)").bind(values)
    }

    /// One page of a list that begins with the newest, and one row more, which says whether there is a next page.
    pub(crate) fn page(mut self, page: &PageRequest, at: &'static str, id: &'static str) -> Self {
        if let Some(start) = page.start {
            self = self.only(at).push(" >= ?").bind(Micros::from(start));
        }
        if let Some(end) = page.end {
            self = self.only(at).push(" < ?").bind(Micros::from(end));
        }
        if let Some(cursor) = page.cursor {
            // a comparison of whole keys, which one range of the index answers
            self = self.only("(").push(at).push(", ").push(id).push(") < (?, ?)");
            self = self.bind(Micros::from(cursor.at)).bind(Id(cursor.id));
        }
        self = self.push(" ORDER BY ").push(at).push(" DESC, ").push(id).push(" DESC LIMIT ?");
        self.bind(i64::from(page.limit) + 1)
    }

    fn walk<'b, DB: Backend>(
        &'b self,
        mut out: AstPass<'_, 'b, DB>,
        dialect: fn(&Piece) -> &'static str,
        push: fn(&'b Value, &mut AstPass<'_, 'b, DB>) -> QueryResult<()>,
    ) -> QueryResult<()> {
        let mut values = self.values.iter();
        for piece in &self.text {
            if piece.follows_value
                && let Some(value) = values.next()
            {
                push(value, &mut out)?;
            }
            out.push_sql(dialect(piece));
        }
        Ok(())
    }
}

impl<R: Record> Sql<R> {
    /// The columns of the row; `text` begins with `FROM`.
    pub(crate) fn select(text: &'static str) -> Self {
        Self::new("SELECT ").push(R::COLUMNS).push(" ").push(text)
    }

    /// The same with a column that not every list has.
    pub(crate) fn select_and(column: &'static str, text: &'static str) -> Self {
        Self::new("SELECT ").push(R::COLUMNS).push(", ").push(column).push(" ").push(text)
    }
}

impl<R> QueryFragment<Pg> for Sql<R> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.walk(
            out,
            |text| text.pg,
            |value, out| match value {
                Value::Texts(list) => out.push_bind_param::<Array<Text>, _>(list),
                Value::Ints(list) => out.push_bind_param::<Array<BigInt>, _>(list),
                Value::Blobs(list) => out.push_bind_param::<Array<Binary>, _>(list),
                Value::Ids(list) => out.push_bind_param::<Array<Uid>, _>(list),
                single => push_single(single, out),
            },
        )
    }
}

impl<R> QueryFragment<Sqlite> for Sql<R> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        self.walk(
            out,
            |text| text.sqlite,
            |value, out| match value {
                Value::Texts(list) => push_each::<Text, _>(list, out),
                Value::Ints(list) => push_each::<BigInt, _>(list, out),
                Value::Blobs(list) => push_each::<Binary, _>(list, out),
                Value::Ids(list) => push_each::<Uid, _>(list, out),
                single => push_single(single, out),
            },
        )
    }
}

fn push_single<'b, DB>(value: &'b Value, out: &mut AstPass<'_, 'b, DB>) -> QueryResult<()>
where
    DB: Backend + HasSqlType<Bool> + HasSqlType<Uid> + HasSqlType<Instant>,
    String: ToSql<Text, DB>,
    i64: ToSql<BigInt, DB>,
    bool: ToSql<Bool, DB>,
    Vec<u8>: ToSql<Binary, DB>,
    Micros: ToSql<Instant, DB>,
    Option<Id>: ToSql<Nullable<Uid>, DB>,
{
    match value {
        Value::Text(text) => out.push_bind_param::<Text, _>(text),
        Value::Int(number) => out.push_bind_param::<BigInt, _>(number),
        Value::Bool(value) => out.push_bind_param::<Bool, _>(value),
        Value::Bytes(bytes) => out.push_bind_param::<Binary, _>(bytes),
        Value::Time(time) => out.push_bind_param::<Instant, _>(time),
        Value::Id(id) => out.push_bind_param::<Nullable<Uid>, _>(id),
        Value::Texts(_) | Value::Ints(_) | Value::Blobs(_) | Value::Ids(_) => Ok(()),
    }
}

fn push_each<'b, ST, T>(list: &'b [T], out: &mut AstPass<'_, 'b, Sqlite>) -> QueryResult<()>
where
    Sqlite: HasSqlType<ST>,
    T: ToSql<ST, Sqlite>,
{
    // the text depends on how many there are
    out.unsafe_to_cache_prepared();
    for (number, item) in list.iter().enumerate() {
        if number > 0 {
            out.push_sql(", ");
        }
        out.push_bind_param::<ST, _>(item)?;
    }
    Ok(())
}

impl<R> Query for Sql<R> {
    type SqlType = Untyped;
}

impl<R> QueryId for Sql<R> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<R, Connection> diesel::RunQueryDsl<Connection> for Sql<R> {}
