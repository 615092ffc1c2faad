//! Connections to the server. A dead one is noticed before it is handed out, and one in an unknown state is closed,
//! which makes the server roll back.

use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Manager, Metrics, PoolError, RecycleError, RecycleResult};
use diesel::connection::CacheSize;
use diesel::result::QueryResult;
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use futures::FutureExt;
use futures::future::BoxFuture;
use prefix_core::ports::{PoolState, StoreError};
use tokio::task::JoinHandle;
use tokio_postgres::config::{Config, Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::begin::{PLANNER, Session, begin};
use super::{pooler, tls};
use crate::error::Failure;
use crate::executor::Executor;
use crate::sql::{Fetched, Sql};
use crate::{OpenError, Options, PostgresUrl};

/// What was sent and not acknowledged for so long ends a connection, at both ends: a server that cannot get rid of an
/// answer holds the locks of its transaction meanwhile, whatever its other time-outs are.
const UNACKNOWLEDGED: Duration = Duration::from_secs(2);

/// How often a server looks whether the client of a running statement is still there.
const LOOK_AT_CLIENT: Duration = Duration::from_secs(1);

/// A connection and the task that serves its socket.
pub(super) struct Connection {
    client: AsyncPgConnection,
    session: Session,
    socket: JoinHandle<()>,
}

/// Makes connections.
struct Connector {
    config: Config,
    tls: MakeRustlsConnect,
    timeout: Duration,
    statement_timeout: Duration,
}

impl Manager for Connector {
    type Type = Connection;
    type Error = String;

    async fn create(&self) -> Result<Connection, String> {
        let open = async {
            let (client, connection) =
                self.config.connect(self.tls.clone()).await.map_err(|error| with_causes(&error))?;
            let socket = tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(error = %with_causes(&error), "a connection to the database ended");
                }
            });
            let is_pooled = pooler::stands_between(&client).await.map_err(|error| with_causes(&error))?;
            let session = if is_pooled { Session::Pooled } else { Session::Kept };
            let client = prepare(client, session, self.statement_timeout).await?;
            Ok(Connection { client, session, socket })
        };
        let timeout = self.timeout;
        tokio::time::timeout(timeout, open)
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {timeout:?}")))
    }

    async fn recycle(&self, connection: &mut Connection, _: &Metrics) -> RecycleResult<String> {
        if connection.socket.is_finished() {
            return Err(RecycleError::message("the connection is closed"));
        }
        Ok(())
    }
}

/// Makes the connection ready for transactions.
async fn prepare(
    client: tokio_postgres::Client,
    session: Session,
    statement_timeout: Duration,
) -> Result<AsyncPgConnection, String> {
    match session {
        Session::Kept => {
            let mut client = AsyncPgConnection::try_from(client).await.map_err(|error| error.to_string())?;
            let settings = PLANNER.map(|name| format!("SET {name} = off; ")).concat();
            // the server gives up by itself, also when nobody is left to wait for the answer
            let settings = format!("{settings}SET statement_timeout = {}", statement_timeout.as_millis());
            client.batch_execute(&settings).await.map_err(|error| error.to_string())?;
            // not every version and platform has these
            for (name, value) in
                [("client_connection_check_interval", LOOK_AT_CLIENT), ("tcp_user_timeout", UNACKNOWLEDGED)]
            {
                let set = format!("SET {name} = {}", value.as_millis());
                if let Err(error) = client.batch_execute(&set).await {
                    tracing::debug!(%error, name, "the database does not have this setting");
                }
            }
            Ok(client)
        }
        Session::Pooled => {
            // what Diesel sets and prepares for itself stays in this transaction
            let begin = format!("BEGIN; {}", session.preamble());
            client.batch_execute(&begin).await.map_err(|error| with_causes(&error))?;
            let mut client = AsyncPgConnection::try_from(client).await.map_err(|error| error.to_string())?;
            client.set_prepared_statement_cache_size(CacheSize::Disabled);
            client.batch_execute("ROLLBACK").await.map_err(|error| error.to_string())?;
            Ok(client)
        }
    }
}

/// The client's errors say what failed, their sources why.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// The connections.
#[derive(Clone)]
pub(super) struct Pool {
    inner: managed::Pool<Connector>,
    options: Options,
}

impl Pool {
    /// At most `most` connections, and none yet.
    pub(super) fn new(url: &PostgresUrl, options: Options, most: u32) -> Result<Self, OpenError> {
        let mut config = (*url.config).clone();
        config.connect_timeout(options.connect_timeout);
        // A server that vanished without a word is noticed in seconds, not hours.
        config.keepalives_idle(Duration::from_secs(10));
        config.tcp_user_timeout(UNACKNOWLEDGED);
        if config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_))) {
            config.ssl_mode(SslMode::Disable);
        }
        let connector = Connector {
            config,
            tls: tls::connector(&url.tls)?,
            timeout: options.connect_timeout,
            statement_timeout: options.statement_timeout,
        };
        let most = usize::try_from(most).unwrap_or(usize::MAX).max(1);
        let inner = managed::Pool::builder(connector)
            .max_size(most)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(options.statement_timeout))
            .build()
            .map_err(|error| OpenError::Unavailable { url: url.to_string(), problem: error.to_string() })?;
        Ok(Self { inner, options })
    }

    /// A connection that is not known to be dead, in no transaction.
    pub(super) async fn get(&self) -> Result<Lease, StoreError> {
        match self.inner.get().await {
            Ok(connection) => Ok(Lease { connection: Some(connection) }),
            Err(PoolError::Timeout(_)) => {
                Err(StoreError::Unavailable("every connection to the database is in use".into()))
            }
            Err(PoolError::Backend(problem)) => {
                Err(StoreError::Unavailable(format!("cannot connect to the database: {problem}")))
            }
            Err(other) => Err(StoreError::Unavailable(other.to_string())),
        }
    }

    /// How long a caller waits for an answer: the server gives up on a statement earlier.
    pub(super) fn patience(&self) -> Duration {
        self.options.statement_timeout + Duration::from_secs(1)
    }

    /// Runs a query that changes nothing but itself. If its caller is gone, the connection is not free before the
    /// server is done with it: the pool never has more of the server's processes at work than connections.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        query: impl for<'c> FnOnce(&'c mut AsyncPgConnection) -> BoxFuture<'c, QueryResult<T>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (pool, lease) = (self.clone(), self.get().await?);
        let work = tokio::spawn(async move { pool.run_on(lease, query).await });
        work.await.unwrap_or_else(|error| Err(StoreError::Unavailable(format!("the query ended: {error}"))))
    }

    async fn run_on<T: Send>(
        &self,
        mut lease: Lease,
        query: impl for<'c> FnOnce(&'c mut AsyncPgConnection) -> BoxFuture<'c, QueryResult<T>> + Send,
    ) -> Result<T, StoreError> {
        if lease.session() == Session::Kept {
            let result = self.within(async { Ok(query(lease.client()).await?) }).await;
            if result.as_ref().is_err_and(Failure::is_outage) {
                // a late answer must not be what the next user of this connection waits for
                lease.discard();
            }
            return result.map_err(|failure| failure.error);
        }
        let begin = begin(lease.session(), self.statement_timeout());
        let mut transaction = lease.begin();
        let work = async {
            transaction.client().batch_execute(&begin).await?;
            let answer = query(transaction.client()).await?;
            transaction.client().batch_execute("COMMIT").await?;
            Ok(answer)
        };
        let result = self.within(work).await;
        match &result {
            Ok(_) => transaction.ended(),
            Err(_) => transaction.roll_back(self.patience()).await,
        }
        result.map_err(|failure| failure.error)
    }

    /// Every row of a query.
    pub(super) async fn fetch_all<R: Fetched>(&self, sql: Sql<R>) -> Result<Vec<R>, Failure> {
        Ok(self.run(move |client| client.fetch_all(sql).boxed()).await?)
    }

    /// The first row of a query.
    pub(super) async fn fetch<R: Fetched>(&self, sql: Sql<R>) -> Result<Option<R>, Failure> {
        Ok(self.fetch_all(sql).await?.into_iter().next())
    }

    /// The server's own timeout comes first; this one is for a server that says nothing at all.
    pub(super) async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let late = || Err(Failure::unavailable("the database did not answer in time"));
        tokio::time::timeout(self.patience(), work).await.unwrap_or_else(|_| late())
    }

    /// How long a statement may take on the server.
    pub(super) fn statement_timeout(&self) -> Duration {
        self.options.statement_timeout
    }

    /// Connections in use, and waiting ones.
    pub(super) fn state(&self) -> PoolState {
        let status = self.inner.status();
        PoolState { active: status.size.saturating_sub(status.available), idle: status.available }
    }
}

/// A connection that goes back to the pool when it is dropped.
pub(super) struct Lease {
    connection: Option<managed::Object<Connector>>,
}

impl Lease {
    /// The connection.
    pub(super) fn client(&mut self) -> &mut AsyncPgConnection {
        match &mut self.connection {
            Some(connection) => &mut connection.client,
            None => unreachable!("a lease has a connection until it is consumed"),
        }
    }

    /// What the connection keeps from one transaction to the next.
    pub(super) fn session(&self) -> Session {
        self.connection.as_ref().map_or(Session::Pooled, |connection| connection.session)
    }

    /// Closes the connection. The server rolls back what was open on it.
    pub(super) fn discard(mut self) {
        self.connection.take().map(managed::Object::take);
    }

    /// As long as the guard lives, the connection is in a transaction: dropped in that state, it is closed.
    pub(super) fn begin(self) -> InTransaction {
        InTransaction { lease: Some(self) }
    }
}

/// A connection in a transaction.
pub(super) struct InTransaction {
    lease: Option<Lease>,
}

impl InTransaction {
    /// The connection.
    pub(super) fn client(&mut self) -> &mut AsyncPgConnection {
        match &mut self.lease {
            Some(lease) => lease.client(),
            None => unreachable!("a transaction has a connection until it has ended"),
        }
    }

    /// What the connection keeps from one transaction to the next.
    pub(super) fn session(&self) -> Session {
        self.lease.as_ref().map_or(Session::Pooled, Lease::session)
    }

    /// Ends a transaction that came to nothing. If that does not work at once, the connection is closed.
    pub(super) async fn roll_back(mut self, patience: Duration) {
        let rolled_back = tokio::time::timeout(patience, self.client().batch_execute("ROLLBACK")).await;
        if matches!(rolled_back, Ok(Ok(()))) {
            self.ended();
        }
    }

    /// The transaction is committed or rolled back for sure.
    pub(super) fn ended(mut self) {
        self.lease = None;
    }
}

impl Drop for InTransaction {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.discard();
        }
    }
}
