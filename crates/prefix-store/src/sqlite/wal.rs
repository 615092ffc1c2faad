//! The write-ahead log begins anew only when nobody reads from it. While readers overlap there is no such moment, and it
//! would grow without end: so one is made when it has become long.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use tokio::time::timeout;

use super::readers::Readers;
use super::writer::Writer;

/// A longer log is written back, in bytes.
const LONG: u64 = 16 << 20;
/// So many commits come between two looks at its length.
const COMMITS: u32 = 64;
/// How long new readers wait at most for those that read already.
const PATIENCE: Duration = Duration::from_secs(1);

/// The log of a database.
pub(super) struct Wal {
    path: PathBuf,
    commits: AtomicU32,
    is_busy: Arc<AtomicBool>,
}

impl Wal {
    /// That of a database file.
    pub(super) fn of(database: &Path) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push("-wal");
        Self { path: path.into(), commits: AtomicU32::new(0), is_busy: Arc::default() }
    }

    /// Writes a long log back beside the caller, who does not wait for it.
    pub(super) fn after_commit(&self, readers: &Readers, writer: &Writer) {
        let is_due = self.commits.fetch_add(1, Ordering::Relaxed) % COMMITS == COMMITS - 1;
        let is_long = || std::fs::metadata(&self.path).is_ok_and(|file| file.len() > LONG);
        if !is_due || !is_long() || self.is_busy.swap(true, Ordering::AcqRel) {
            return;
        }
        let (gate, writer, is_busy) = (readers.gate(), writer.clone(), Arc::clone(&self.is_busy));
        tokio::spawn(async move {
            // whoever reads for longer is left alone: the next look comes soon
            if let Ok(_alone) = timeout(PATIENCE, gate.write_owned()).await {
                let truncate = writer.run(|slot| {
                    slot.outside(|connection| connection.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)"))
                });
                if let Err(error) = truncate.await.and_then(|done| done.map_err(|failure| failure.error)) {
                    tracing::debug!(%error, "the write-ahead log was not written back; tried again soon");
                }
            }
            is_busy.store(false, Ordering::Release);
        });
    }
}
