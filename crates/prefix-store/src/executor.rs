//! A connection that runs statements. Query functions that need several of them are written once, over this trait; on
//! SQLite their futures never wait.

use diesel::result::QueryResult;
use diesel::sqlite::SqliteConnection;
use diesel_async::AsyncPgConnection;

use crate::row::define::{Insert, Row};
use crate::sql::{Fetched, Sql};

/// Runs statements, one after the other.
pub(crate) trait Executor: Send {
    /// Every row.
    fn fetch_all<R: Fetched>(&mut self, sql: Sql<R>) -> impl Future<Output = QueryResult<Vec<R>>> + Send;

    /// Changes rows; returns how many.
    fn execute(&mut self, sql: Sql) -> impl Future<Output = QueryResult<usize>> + Send;

    /// Inserts rows, or puts them in the place of those with their keys; returns how many.
    fn insert<R: Row>(&mut self, rows: &[R]) -> impl Future<Output = QueryResult<usize>> + Send;

    /// The first row.
    fn fetch_one<R: Fetched>(&mut self, sql: Sql<R>) -> impl Future<Output = QueryResult<Option<R>>> + Send {
        async { Ok(self.fetch_all(sql).await?.into_iter().next()) }
    }
}

impl Executor for AsyncPgConnection {
    async fn fetch_all<R: Fetched>(&mut self, sql: Sql<R>) -> QueryResult<Vec<R>> {
        (&*self).fetch_all(sql).await
    }

    async fn execute(&mut self, sql: Sql) -> QueryResult<usize> {
        (&*self).execute(sql).await
    }

    async fn insert<R: Row>(&mut self, rows: &[R]) -> QueryResult<usize> {
        (&*self).insert(rows).await
    }
}

/// What is sent on it while earlier statements are not answered yet follows them in one round trip.
impl Executor for &AsyncPgConnection {
    async fn fetch_all<R: Fetched>(&mut self, sql: Sql<R>) -> QueryResult<Vec<R>> {
        diesel_async::RunQueryDsl::load(sql, self).await
    }

    async fn execute(&mut self, sql: Sql) -> QueryResult<usize> {
        diesel_async::RunQueryDsl::execute(sql, self).await
    }

    async fn insert<R: Row>(&mut self, rows: &[R]) -> QueryResult<usize> {
        if rows.is_empty() {
            return Ok(0);
        }
        diesel_async::RunQueryDsl::execute(Insert(R::columns(rows.iter())), self).await
    }
}

impl Executor for SqliteConnection {
    async fn fetch_all<R: Fetched>(&mut self, sql: Sql<R>) -> QueryResult<Vec<R>> {
        diesel::RunQueryDsl::load(sql, self)
    }

    async fn execute(&mut self, sql: Sql) -> QueryResult<usize> {
        diesel::RunQueryDsl::execute(sql, self)
    }

    async fn insert<R: Row>(&mut self, rows: &[R]) -> QueryResult<usize> {
        let mut count = 0;
        for row in rows {
            count += diesel::RunQueryDsl::execute(Insert(row), self)?;
        }
        Ok(count)
    }
}
