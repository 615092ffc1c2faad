//! Where the columns of a table are written down: a `row!` is inserted and updated, a `record!` is read. The statements of
//! both databases follow from them.

use diesel::backend::Backend;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sqlite::Sqlite;

/// When a column is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// With the row. It names the row, and tells which one is in the way of a new one.
    Key,
    /// With the row, and never again.
    Once,
    /// By every update, which must find the number before.
    Revision,
    /// By every update.
    Always,
    /// By updates that change what an index sees. SQLite rewrites the index entries of every column that is named.
    Indexed,
    /// Added to what is there.
    Added,
}

/// A row to be written.
pub(crate) trait Row: Values<Sqlite> + Sync {
    /// Many of them, column by column.
    type Columns<'r>: Values<Pg> + Send
    where
        Self: 'r;

    /// The columns of these rows.
    fn columns<'r>(rows: impl Iterator<Item = &'r Self>) -> Self::Columns<'r>
    where
        Self: 'r;
}

/// What is known of a table, whether one row of it is at hand or many column by column.
pub(crate) trait Table {
    /// Tells statements apart in the cache of a connection.
    type Statement: 'static;
    const TABLE: &'static str;
    const COLUMNS: &'static [(&'static str, Written)];
    /// A row in the way of a new one is changed instead, if this is true of it (PostgreSQL, SQLite).
    const PUT: Option<(&'static str, &'static str)>;
}

/// The values of a row for one of the databases.
pub(crate) trait Values<DB: Backend>: Table {
    /// The values of the columns that are meant, with their names (`name = `) or without.
    fn push_values<'b>(&'b self, out: AstPass<'_, 'b, DB>, is_meant: IsMeant, named: bool)
    -> QueryResult<()>;
}

/// Whether a column is meant.
pub(crate) type IsMeant = fn(Written) -> bool;

impl<V: Table> Table for &V {
    type Statement = V::Statement;
    const TABLE: &'static str = V::TABLE;
    const COLUMNS: &'static [(&'static str, Written)] = V::COLUMNS;
    const PUT: Option<(&'static str, &'static str)> = V::PUT;
}

impl<DB: Backend, V: Values<DB>> Values<DB> for &V {
    fn push_values<'b>(
        &'b self,
        out: AstPass<'_, 'b, DB>,
        is_meant: IsMeant,
        named: bool,
    ) -> QueryResult<()> {
        (**self).push_values(out, is_meant, named)
    }
}

/// `Name<'a> of table { when column: type, ... }`: the row as a struct, and many of them as one array per column. With
/// `put if ("", "")` before the columns, a row takes the place of one with the same key.
macro_rules! row {
    (
        $(#[$doc:meta])*
        $name:ident $(<$life:lifetime>)? of $table:ident $(put if ($pg:literal, $sqlite:literal))? {
            $($written:ident $column:ident: $type:ty),* $(,)?
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name $(<$life>)? {
            $(pub(crate) $column: $type),*
        }

        const _: () = {
            #[derive(Debug)]
            #[allow(clippy::ref_option_ref, reason = "references to columns, some of which borrow")]
            pub(crate) struct Columns<'r $(, $life)?> {
                $($column: Vec<&'r $type>),*
            }

            impl $(<$life>)? $crate::row::define::Row for $name $(<$life>)? {
                type Columns<'r> = Columns<'r $(, $life)?> where Self: 'r;

                fn columns<'r>(rows: impl Iterator<Item = &'r Self>) -> Self::Columns<'r>
                where
                    Self: 'r,
                {
                    let (expected, _) = rows.size_hint();
                    let mut columns = Columns { $($column: Vec::with_capacity(expected)),* };
                    for row in rows {
                        $(columns.$column.push(&row.$column);)*
                    }
                    columns
                }
            }

            $crate::row::define::row!(describe [$name $(<$life>)?] [$($life)?] $table ($($pg, $sqlite)?)
                $($written $column),*);
            $crate::row::define::row!(describe [Columns<'r $(, $life)?>] ['r $(, $life)?] $table ($($pg, $sqlite)?)
                $($written $column),*);
            $crate::row::define::row!(values diesel::sqlite::Sqlite, [$name $(<$life>)?] [$($life)?]
                $($written $column: $crate::sql_type::SqlOf<$type>),*);
            $crate::row::define::row!(values diesel::pg::Pg, [Columns<'r $(, $life)?>] ['r $(, $life)?]
                $($written $column: diesel::sql_types::Array<$crate::sql_type::SqlOf<$type>>),*);
        };
    };
    (describe [$($type:tt)*] [$($lives:tt)*] $table:ident ($($pg:literal, $sqlite:literal)?)
        $($written:ident $column:ident),*) => {
        const _: () = {
            /// In the place of the type, which need not be `'static`.
            pub(crate) struct Statement;

            impl<$($lives)*> $crate::row::define::Table for $($type)* {
                type Statement = Statement;
                const TABLE: &'static str = stringify!($table);
                const COLUMNS: &'static [(&'static str, $crate::row::define::Written)] =
                    &[$((stringify!($column), $crate::row::define::Written::$written)),*];
                const PUT: Option<(&'static str, &'static str)> =
                    $crate::row::define::row!(put $($pg, $sqlite)?);
            }
        };
    };
    (put) => { None };
    (put $pg:literal, $sqlite:literal) => { Some(($pg, $sqlite)) };
    (values $backend:ty, [$($type:tt)*] [$($lives:tt)*] $($written:ident $column:ident: $sql:ty),*) => {
        impl<$($lives)*> $crate::row::define::Values<$backend> for $($type)* {
            fn push_values<'b>(
                &'b self,
                mut out: diesel::query_builder::AstPass<'_, 'b, $backend>,
                is_meant: $crate::row::define::IsMeant,
                named: bool,
            ) -> diesel::result::QueryResult<()> {
                let mut is_first = true;
                $(if is_meant($crate::row::define::Written::$written) {
                    out.push_sql(if is_first { "" } else { ", " });
                    is_first = false;
                    if named {
                        out.push_sql(concat!(stringify!($column), " = "));
                    }
                    out.push_bind_param::<$sql, _>(&self.$column)?;
                })*
                let _ = is_first;
                Ok(())
            }
        }
    };
}

/// `Name of table { column: type, ... }`: a row as it is read, by the names of its columns. Behind `and` stand those that
/// a query names itself, because not every list has them; without a table it names all of them.
macro_rules! record {
    ($(#[$doc:meta])* $name:ident { $($column:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, diesel::QueryableByName)]
        pub(crate) struct $name {
            $(#[diesel(sql_type = $crate::sql_type::SqlOf<$type>)] pub(crate) $column: $type),*
        }
    };
    (
        $(#[$doc:meta])*
        $name:ident of $table:ident { $first:ident: $first_type:ty $(, $column:ident: $type:ty)* $(,)? }
        $(and { $($more:ident: $more_type:ty),* $(,)? })?
    ) => {
        $crate::row::define::record! {
            $(#[$doc])*
            $name { $first: $first_type $(, $column: $type)* $($(, $more: $more_type)*)? }
        }

        impl $crate::sql::Record for $name {
            const COLUMNS: &'static str = concat!(
                stringify!($table), ".", stringify!($first)
                $(, ", ", stringify!($table), ".", stringify!($column))*
            );
        }
    };
}

pub(crate) use {record, row};

fn push_list<DB: Backend>(
    out: &mut AstPass<'_, '_, DB>,
    columns: &[(&'static str, Written)],
    is_meant: IsMeant,
    mut push: impl FnMut(&mut AstPass<'_, '_, DB>, &'static str, Written),
) {
    let meant = columns.iter().filter(|(_, written)| is_meant(*written));
    for (number, (name, written)) in meant.enumerate() {
        out.push_sql(if number > 0 { ", " } else { "" });
        push(out, name, *written);
    }
}

fn push_names<DB: Backend, V: Table>(out: &mut AstPass<'_, '_, DB>, is_meant: IsMeant) {
    push_list(out, V::COLUMNS, is_meant, |out, name, _| out.push_sql(name));
}

fn is_key(written: Written) -> bool {
    written == Written::Key
}

/// New rows: one in SQLite, any number in PostgreSQL, where the statement is the same for one row and for a thousand.
#[derive(Debug)]
pub(crate) struct Insert<V>(pub(crate) V);

impl<V: Table> QueryId for Insert<V> {
    type QueryId = Insert<V::Statement>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<V, Connection> diesel::RunQueryDsl<Connection> for Insert<V> {}

impl<V: Table> Insert<V> {
    fn push_head<DB: Backend>(out: &mut AstPass<'_, '_, DB>) {
        out.push_sql("INSERT INTO ");
        out.push_sql(V::TABLE);
        out.push_sql(" (");
        push_names::<DB, V>(out, |_| true);
        out.push_sql(") ");
    }

    fn push_conflict<DB: Backend>(out: &mut AstPass<'_, '_, DB>, condition: &str) {
        out.push_sql(" ON CONFLICT (");
        push_names::<DB, V>(out, is_key);
        out.push_sql(") DO UPDATE SET ");
        let is_changed = |written| matches!(written, Written::Always | Written::Indexed | Written::Added);
        push_list(out, V::COLUMNS, is_changed, |out, name, written| {
            out.push_sql(name);
            out.push_sql(" = ");
            if written == Written::Added {
                out.push_sql(V::TABLE);
                out.push_sql(".");
                out.push_sql(name);
                out.push_sql(" + ");
            }
            out.push_sql("EXCLUDED.");
            out.push_sql(name);
        });
        out.push_sql(condition);
    }
}

impl<V: Values<Pg>> QueryFragment<Pg> for Insert<V> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        Self::push_head(&mut out);
        out.push_sql("SELECT * FROM UNNEST(");
        self.0.push_values(out.reborrow(), |_| true, false)?;
        out.push_sql(")");
        if let Some((condition, _)) = V::PUT {
            Self::push_conflict(&mut out, condition);
        }
        Ok(())
    }
}

impl<V: Values<Sqlite>> QueryFragment<Sqlite> for Insert<V> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        Self::push_head(&mut out);
        out.push_sql("VALUES (");
        self.0.push_values(out.reborrow(), |_| true, false)?;
        out.push_sql(")");
        if let Some((_, condition)) = V::PUT {
            Self::push_conflict(&mut out, condition);
        }
        Ok(())
    }
}

/// New states of rows. One that is no longer at the revision before is left alone, and missing in the count.
#[derive(Debug)]
pub(crate) struct Update<V, const INDEXED: bool>(pub(crate) V);

impl<V: Table, const INDEXED: bool> QueryId for Update<V, INDEXED> {
    type QueryId = Update<V::Statement, INDEXED>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<V, const INDEXED: bool, Connection> diesel::RunQueryDsl<Connection> for Update<V, INDEXED> {}

impl<V, const INDEXED: bool> Update<V, INDEXED> {
    fn is_set(written: Written) -> bool {
        matches!(written, Written::Revision | Written::Always) || INDEXED && written == Written::Indexed
    }
}

impl<V: Values<Pg>, const INDEXED: bool> QueryFragment<Pg> for Update<V, INDEXED> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let is_sent: IsMeant = |written| is_key(written) || Self::is_set(written);
        out.push_sql("UPDATE ");
        out.push_sql(V::TABLE);
        out.push_sql(" AS t SET ");
        push_list(&mut out, V::COLUMNS, Self::is_set, |out, name, _| {
            out.push_sql(name);
            out.push_sql(" = u.");
            out.push_sql(name);
        });
        out.push_sql(" FROM UNNEST(");
        self.0.push_values(out.reborrow(), is_sent, false)?;
        out.push_sql(") AS u (");
        push_names::<Pg, V>(&mut out, is_sent);
        out.push_sql(") WHERE ");
        push_list(&mut out, V::COLUMNS, is_key, |out, name, _| {
            out.push_sql("t.");
            out.push_sql(name);
            out.push_sql(" = u.");
            out.push_sql(name);
        });
        out.push_sql(" AND t.revision = u.revision - 1");
        Ok(())
    }
}

impl<V: Values<Sqlite>, const INDEXED: bool> QueryFragment<Sqlite> for Update<V, INDEXED> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("UPDATE ");
        out.push_sql(V::TABLE);
        out.push_sql(" SET ");
        self.0.push_values(out.reborrow(), Self::is_set, true)?;
        out.push_sql(" WHERE ");
        self.0.push_values(out.reborrow(), is_key, true)?;
        out.push_sql(" AND ");
        self.0.push_values(out.reborrow(), |written| written == Written::Revision, true)?;
        out.push_sql(" - 1");
        Ok(())
    }
}
