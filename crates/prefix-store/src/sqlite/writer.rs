//! The thread that writes. It owns the only connection that does, so writers queue here and not in the busy handler,
//! and a job that began runs to its end whatever becomes of the future that asked for it.

use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::result::QueryResult;
use diesel::sqlite::SqliteConnection;
use prefix_core::ports::StoreError;
use tokio::sync::oneshot;

use super::connect;
use crate::error::Failure;

type Job = Box<dyn FnOnce(&mut Slot) + Send>;

/// The way to the thread. It ends when the last one is dropped.
#[derive(Clone)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
}

/// The connection, or none after it broke: the next job opens a new one.
pub(super) struct Slot {
    connection: Option<SqliteConnection>,
    path: PathBuf,
    patience: Duration,
}

impl Slot {
    fn connection(&mut self) -> Result<&mut SqliteConnection, Failure> {
        if self.connection.is_none() {
            let opened = connect::writer(&self.path, self.patience);
            self.connection = Some(opened.map_err(Failure::unavailable)?);
        }
        self.connection.as_mut().ok_or_else(|| Failure::unavailable("no connection"))
    }

    /// Runs `work` outside of a transaction.
    pub(super) fn outside<T>(
        &mut self,
        work: impl FnOnce(&mut SqliteConnection) -> QueryResult<T>,
    ) -> Result<T, Failure> {
        Ok(work(self.connection()?)?)
    }

    /// Runs `work` in a transaction: committed if it says so, rolled back otherwise.
    pub(super) fn transaction<T>(
        &mut self,
        work: impl FnOnce(&mut SqliteConnection) -> Result<(T, End), Failure>,
    ) -> Result<T, Failure> {
        let connection = self.connection()?;
        if let Err(error) = connection.batch_execute("BEGIN IMMEDIATE") {
            // a connection that cannot begin may be stuck in a transaction or have lost its file
            self.connection = None;
            return Err(error.into());
        }
        let result = work(connection).and_then(|(value, end)| {
            if matches!(end, End::Commit) {
                connection.batch_execute("COMMIT")?;
            }
            Ok((value, end))
        });
        let committed = matches!(result, Ok((_, End::Commit)));
        let rolled_back = committed || connection.batch_execute("ROLLBACK").is_ok();
        // some errors have rolled back already: a fresh connection is in no transaction for sure. And one that was opened
        // while the files could not be written stays unable to write.
        if !rolled_back || result.as_ref().is_err_and(Failure::is_outage) {
            self.connection = None;
        }
        result.map(|(value, _)| value)
    }
}

/// How a transaction ends that did not fail.
pub(super) enum End {
    /// It changed something.
    Commit,
    /// It changed nothing.
    Rollback,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(connection: SqliteConnection, path: PathBuf, patience: Duration) -> Self {
        let (jobs, queue) = mpsc::channel::<Job>();
        let mut slot = Slot { connection: Some(connection), path, patience };
        let work = move || {
            while let Ok(job) = queue.recv() {
                job(&mut slot);
            }
        };
        // Without a thread the queue is dropped, and every job finds that out.
        if let Err(error) = thread::Builder::new().name("sqlite-writer".into()).spawn(work) {
            tracing::error!(%error, "cannot start the thread that writes to the database");
        }
        Self { jobs }
    }

    /// Hands a job to the thread.
    pub(super) fn submit(&self, job: impl FnOnce(&mut Slot) + Send + 'static) {
        // If the thread is gone, the job and its channels are dropped, which its caller notices.
        drop(self.jobs.send(Box::new(job)));
    }

    /// Runs a job and waits for its result.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Slot) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, receiver) = oneshot::channel();
        self.submit(move |slot| drop(sender.send(job(slot))));
        receiver.await.map_err(|_| StoreError::Unavailable("the database writer has stopped".into()))
    }
}
