//! How a transaction begins.

use std::time::Duration;

use prefix_core::name::Pop;
use prefix_core::ports::Epoch;

use crate::key;

/// Every query here finds its rows by an index. A plan that was made while a table was empty must not read all of it
/// later, and compiling a query takes longer than running it.
pub(super) const PLANNER: [&str; 4] = ["enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit"];

/// What a connection keeps from one transaction to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Session {
    /// Everything: settings and prepared statements.
    Kept,
    /// Nothing, because a pooler gives each transaction another server connection.
    Pooled,
}

impl Session {
    /// What a transaction has to do first. Statements that another client of the pooler left behind may have the names
    /// that ours will get.
    pub(super) fn preamble(self) -> String {
        match self {
            Self::Kept => String::new(),
            Self::Pooled => {
                let off = |name: &str| format!("SET LOCAL {name} = off; ");
                format!("DEALLOCATE ALL; {}", PLANNER.map(off).concat())
            }
        }
    }
}

/// A leader that is stopped in the middle of a transaction holds nobody up for longer than its lease.
const LEADER_IDLE: Duration = Duration::from_secs(3);

/// The lock of a pop's leadership: transactions of a leader share it, and whoever takes over has it alone. So none of
/// a deposed leader's transactions can be committed once the next epoch has begun. It ends with its transaction.
pub(super) fn leadership_lock(pop: &Pop) -> i64 {
    key::of_leadership(pop)
}

/// A transaction that gives up by itself, is durable even where the server's default is not, and plans each of its
/// statements once: none of them has a choice of plans that depends on its values.
pub(super) fn begin(session: Session, timeout: Duration) -> String {
    with_idle(session, timeout, timeout * 2)
}

/// The same, with a share of the leadership's lock for the work of a leader.
pub(super) fn begin_as(session: Session, timeout: Duration, pop: &Pop, leader: Option<Epoch>) -> String {
    if leader.is_none() {
        return begin(session, timeout);
    }
    let begin = with_idle(session, timeout, LEADER_IDLE.min(timeout * 2));
    format!("{begin}; SELECT pg_advisory_xact_lock_shared({})", leadership_lock(pop))
}

fn with_idle(session: Session, timeout: Duration, idle: Duration) -> String {
    let preamble = session.preamble();
    let (statement, idle) = (timeout.as_millis(), idle.as_millis());
    format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED; {preamble}SELECT set_config('statement_timeout', '{statement}', true), \
         set_config('idle_in_transaction_session_timeout', '{idle}', true), \
         set_config('plan_cache_mode', 'force_generic_plan', true), set_config('synchronous_commit', \
         replace(current_setting('synchronous_commit'), 'off', 'on'), true)"
    )
}
