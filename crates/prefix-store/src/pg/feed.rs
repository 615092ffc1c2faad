//! The change feed. Each transaction notes what it changed under its transaction number; a reader remembers the
//! snapshot in which it looked last, and gets what was not visible in that one. So nothing is missed, whatever the
//! order in which concurrent transactions commit.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use diesel::prelude::QueryableByName;
use diesel::result::QueryResult;
use diesel::sql_types::{Array, BigInt, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use futures::FutureExt;
use prefix_core::id::InstanceId;
use prefix_core::name::Pop;
use prefix_core::ports::{ChangedRows, FeedCursor, RowChanges, StoreError};

use super::begin::begin;
use super::log::POPS;
use super::pool::Pool;
use crate::error::Failure;
use crate::sql_type::{Id, Instant, Micros, Uid};

/// So many cursors are remembered; a reader has one.
const REMEMBERED: usize = 64;

/// Only one instance prunes at a time.
const PRUNE_LOCK: i64 = 8_955_000_134;

/// What a reader saw last: every transaction below `high` that was not running.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    /// No transaction below this one was running.
    low: i64,
    /// The first number that was not given yet.
    high: i64,
    /// Which were running.
    running: Vec<i64>,
    /// When the server was started: another server may count transactions differently.
    server: Micros,
    /// The server's history: a new one begins when a standby takes over, or a backup is restored up to some moment.
    timeline: String,
    /// The newest number in the log of the pop, which only grows.
    version: i64,
}

impl Seen {
    /// From `low:high:running,running`, as PostgreSQL writes a snapshot.
    fn parse(news: &News) -> Option<Self> {
        let mut parts = news.snapshot.split(':');
        let (low, high) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let running = parts.next()?.split(',').filter(|number| !number.is_empty());
        let running = running.map(|number| number.parse().ok()).collect::<Option<_>>()?;
        let (server, timeline, version) = (news.server, news.timeline.clone(), news.version);
        Some(Self { low, high, running, server, timeline, version })
    }

    /// True if what was seen then may never have happened, as far as the database knows now.
    fn is_undone(&self, now: &Self) -> bool {
        now.version < self.version || now.high < self.high || now.timeline != self.timeline
    }

    /// True if every change since then is still in the feed.
    fn is_covered(&self, pruned: i64, now: &Self) -> bool {
        self.server == now.server && self.low > pruned && !self.is_undone(now)
    }
}

/// The cursors that this store has given.
#[derive(Debug, Default)]
pub(super) struct Cursors(Mutex<(u64, VecDeque<(u64, Seen)>)>);

impl Cursors {
    fn remember(&self, seen: Seen) -> FeedCursor {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.0 += 1;
        let number = kept.0;
        if kept.1.len() == REMEMBERED {
            kept.1.pop_front();
        }
        kept.1.push_back((number, seen));
        FeedCursor(number)
    }

    fn of(&self, cursor: FeedCursor) -> Option<Seen> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.1.iter().find(|(number, _)| *number == cursor.0).map(|(_, seen)| seen.clone())
    }
}

#[derive(QueryableByName)]
struct News {
    #[diesel(sql_type = Text)]
    snapshot: String,
    #[diesel(sql_type = Instant)]
    server: Micros,
    #[diesel(sql_type = Text)]
    timeline: String,
    #[diesel(sql_type = BigInt)]
    version: i64,
    #[diesel(sql_type = BigInt)]
    pruned: i64,
    #[diesel(sql_type = Array<Uid>)]
    ids: Vec<Id>,
}

const NEWS: &str = "SELECT pg_current_snapshot()::text AS snapshot, pg_postmaster_start_time() AS server,
    CASE WHEN pg_is_in_recovery() THEN '' ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END AS timeline,
    coalesce((SELECT l.version FROM pop_log AS l WHERE l.pop = $3 ORDER BY l.version DESC LIMIT 1), 0) AS version,
    (SELECT pruned FROM feed) AS pruned,
    ARRAY(SELECT DISTINCT id FROM changes AS c, UNNEST(c.ids) AS id
          WHERE (c.xid >= $1 OR c.xid = ANY ($2)) AND c.pop = $3 AND c.instance IS DISTINCT FROM $4) AS ids";

/// What others changed since the cursor.
pub(super) async fn changes(
    pool: &Pool,
    cursors: &Cursors,
    pop: &Pop,
    reader: InstanceId,
    since: Option<FeedCursor>,
) -> Result<RowChanges, StoreError> {
    let before = since.and_then(|cursor| cursors.of(cursor));
    // a look that failed loses nothing: the next one says whether it is still the same server
    let news = read(pool, pop, reader, before.as_ref()).await?;
    let problem = || format!("{} is no snapshot", news.snapshot);
    let now =
        Seen::parse(&news).ok_or_else(|| StoreError::Corrupt { table: "changes", problem: problem() })?;
    let is_covered = before.as_ref().is_some_and(|before| before.is_covered(news.pruned, &now));
    let changed = if before.is_some_and(|before| before.is_undone(&now)) {
        ChangedRows::Replaced
    } else if is_covered {
        ChangedRows::Only(news.ids.into_iter().map(|id| id.0.into()).collect())
    } else {
        ChangedRows::Anything
    };
    Ok(RowChanges { cursor: cursors.remember(now), changed })
}

async fn read(pool: &Pool, pop: &Pop, reader: InstanceId, before: Option<&Seen>) -> Result<News, StoreError> {
    // no number is as high as that, so a first look reads no rows
    let (high, running) = before.map_or((i64::MAX, Vec::new()), |seen| (seen.high, seen.running.clone()));
    let (pop, reader) = (pop.clone(), Id(reader.as_uuid()));
    let news = pool.run(move |client| {
        let work = async move {
            diesel::sql_query(NEWS)
                .bind::<BigInt, _>(high)
                .bind::<Array<BigInt>, _>(running)
                .bind::<Text, _>(pop.as_str())
                .bind::<Uid, _>(reader)
                .get_result(client)
                .await
        };
        work.boxed()
    });
    news.await
}

/// Deletes what every reader that is still there has read: older than half a minute, and of transactions that ended
/// before any that still runs began. At most some ten thousand at once: it must not take longer than a statement may.
const PRUNE: &str = "WITH bound AS (
        SELECT least(pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
            (SELECT xid FROM changes WHERE at >= clock_timestamp() - INTERVAL '30 seconds' ORDER BY xid LIMIT 1),
            (SELECT xid FROM changes ORDER BY xid OFFSET 50000 LIMIT 1)) AS low
    ), gone AS (
        DELETE FROM changes WHERE xid < (SELECT low FROM bound) RETURNING xid
    )
    UPDATE feed SET pruned = greatest(pruned, (SELECT max(xid) FROM gone)) WHERE EXISTS (SELECT FROM gone)";

/// Numbers that this server has not given yet: the feed came with a restored database.
const PRUNE_FOREIGN: &str =
    "DELETE FROM changes WHERE xid > pg_snapshot_xmax(pg_current_snapshot())::text::bigint";

/// Adds up the counts of rows that were only noted.
const FOLD: &str = "WITH gone AS (DELETE FROM tally_log RETURNING kind, name, total)
    INSERT INTO tallies (kind, name, shard, total)
    SELECT kind, name, 0, sum(total)::bigint FROM gone GROUP BY kind, name ORDER BY kind, name
    ON CONFLICT (kind, name, shard) DO UPDATE SET total = tallies.total + EXCLUDED.total";

/// The old rows of the pops' logs: no decision is so old, and the rate of new rules looks back a minute.
const SHORTEN: &str = ", old AS (
        SELECT p.pop, least(h.version, (
            SELECT l.version FROM pop_log AS l WHERE l.pop = p.pop AND l.at >= clock_timestamp() - INTERVAL '3 minutes'
            ORDER BY l.version LIMIT 1)) AS until
        FROM pops AS p CROSS JOIN LATERAL (
            SELECT l.version FROM pop_log AS l WHERE l.pop = p.pop ORDER BY l.version DESC LIMIT 1) AS h
    )
    DELETE FROM pop_log AS l USING old WHERE l.pop = old.pop AND l.version < old.until";

/// Deletes what is old and adds up what was noted, unless another instance does it right now.
pub(super) async fn prune(pool: &Pool) -> Result<(), StoreError> {
    let mut transaction = pool.get().await?.begin();
    let begin = begin(transaction.session(), pool.statement_timeout());
    let work = async {
        let client = transaction.client();
        client.batch_execute(&begin).await?;
        if try_lock(client).await? {
            client.batch_execute(PRUNE).await?;
            client.batch_execute(PRUNE_FOREIGN).await?;
            client.batch_execute(FOLD).await?;
            client.batch_execute(&format!("{POPS}{SHORTEN}")).await?;
        }
        client.batch_execute("COMMIT").await?;
        Ok(())
    };
    let pruned = pool.within(work).await;
    if pruned.is_ok() {
        transaction.ended();
    }
    pruned.map_err(|failure: Failure| failure.error)
}

async fn try_lock(client: &mut AsyncPgConnection) -> QueryResult<bool> {
    use diesel::dsl::sql;
    use diesel::sql_types::Bool;

    let lock = format!("pg_try_advisory_xact_lock({PRUNE_LOCK})");
    diesel::select(sql::<Bool>(&lock)).get_result(client).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(snapshot: &str, server: i64) -> News {
        News {
            snapshot: snapshot.to_owned(),
            server: Micros::from_micros(server),
            timeline: "00000001".to_owned(),
            version: 7,
            pruned: 0,
            ids: Vec::new(),
        }
    }

    fn seen(snapshot: &str, server: i64) -> Seen {
        Seen::parse(&news(snapshot, server)).unwrap()
    }

    #[test]
    fn a_snapshot_of_the_server_is_understood() {
        let quiet = seen("748:748:", 1);
        assert_eq!((quiet.low, quiet.high, quiet.running), (748, 748, vec![]));
        let busy = seen("748:752:748,750", 1);
        assert_eq!((busy.low, busy.high, busy.running), (748, 752, vec![748, 750]));
        assert_eq!(Seen::parse(&news("748", 1)), None);
    }

    #[test]
    fn a_cursor_is_good_as_long_as_nothing_behind_it_was_pruned() {
        let now = seen("900:900:", 1);
        assert!(seen("748:752:748", 1).is_covered(747, &now));
        assert!(!seen("748:752:748", 1).is_covered(748, &now));
        assert!(!seen("748:752:748", 2).is_covered(0, &now), "another start of the server");
        assert!(!seen("990:990:", 1).is_covered(0, &now), "a restored database");
    }

    #[test]
    fn a_database_that_went_back_is_told_from_one_that_was_restarted() {
        let before = seen("748:752:748", 1);
        assert!(!before.is_undone(&seen("900:900:", 2)), "only restarted");
        assert!(before.is_undone(&seen("700:700:", 2)), "fewer transactions");
        assert!(before.is_undone(&Seen { version: 6, ..seen("900:900:", 2) }), "fewer changes of the pop");
        assert!(
            before.is_undone(&Seen { timeline: "00000002".into(), ..seen("900:900:", 2) }),
            "another history"
        );
        assert!(!before.is_undone(&Seen { version: 8, ..seen("900:900:", 1) }));
    }
}
