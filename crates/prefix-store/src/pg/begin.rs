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

/// An instance that is stopped in the middle of a transaction holds its pop up for so long, and its successor.
const IDLE: Duration = Duration::from_millis(750);

/// The lock of a pop's leadership: transactions of a leader share it, and whoever takes over has it alone. So none of
/// a deposed leader's transactions can be committed once the next epoch has begun. It ends with its transaction.
pub(super) fn leadership_lock(pop: &Pop) -> i64 {
    key::of_leadership(pop)
}

/// A transaction that gives up by itself, is durable even where the server's default is not, and plans each of its
/// statements once: none of them has a choice of plans that depends on its values.
pub(super) fn begin(session: Session, timeout: Duration) -> String {
    let preamble = session.preamble();
    let (statement, idle) = (timeout.as_millis(), IDLE.as_millis());
    format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED; {preamble}SELECT set_config('statement_timeout', '{statement}', true), \
         set_config('idle_in_transaction_session_timeout', '{idle}', true), \
         set_config('plan_cache_mode', 'force_generic_plan', true), set_config('synchronous_commit', \
         replace(current_setting('synchronous_commit'), 'off', 'on'), true)"
    )
}

/// The same, with a share of the leadership's lock for the work of a leader.
pub(super) fn begin_as(session: Session, timeout: Duration, pop: &Pop, leader: Option<Epoch>) -> String {
    let begin = begin(session, timeout);
    if leader.is_none() {
        return begin;
    }
    format!("{begin}; SELECT pg_advisory_xact_lock_shared({})", leadership_lock(pop))
}

/// Behind one of these: waits for the lock of those that change operators and tokens.
pub(super) fn and_lock_people(begin: &str) -> String {
    format!("{begin}; SELECT pg_advisory_xact_lock({})", key::of_people())
}

/// Behind one of these: waits for the lock of those that change which rules there are at a pop.
pub(super) fn and_lock_admission(begin: &str, pop: &str) -> String {
    format!("{begin}; SELECT pg_advisory_xact_lock({})", key::of_admission(pop))
}
