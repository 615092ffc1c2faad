//! How a transaction begins.

use std::time::Duration;

use prefix_core::name::Pop;
use prefix_core::store::Epoch;

use crate::key;

/// A leader that is stopped in the middle of a transaction holds nobody up for longer than its lease.
const LEADER_IDLE: Duration = Duration::from_secs(3);

/// The lock of a pop's leadership: transactions of a leader share it, and whoever takes over has it alone. So none of
/// a deposed leader's transactions can be committed once the next epoch has begun. It ends with its transaction.
pub(super) fn leadership_lock(pop: &Pop) -> i64 {
    key::of_leadership(pop)
}

/// A transaction that gives up by itself, is durable even where the server's default is not, and plans each of its
/// statements once: none of them has a choice of plans that depends on its values.
pub(super) fn begin(timeout: Duration) -> String {
    with_idle(timeout, timeout * 2)
}

/// The same, with a share of the leadership's lock for the work of a leader.
pub(super) fn begin_as(timeout: Duration, pop: &Pop, leader: Option<Epoch>) -> String {
    if leader.is_none() {
        return begin(timeout);
    }
    let begin = with_idle(timeout, LEADER_IDLE.min(timeout * 2));
    format!("{begin}; SELECT pg_advisory_xact_lock_shared({})", leadership_lock(pop))
}

fn with_idle(timeout: Duration, idle: Duration) -> String {
    let (statement, idle) = (timeout.as_millis(), idle.as_millis());
    format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT set_config('statement_timeout', '{statement}', true), \
         set_config('idle_in_transaction_session_timeout', '{idle}', true), \
         set_config('plan_cache_mode', 'force_generic_plan', true), set_config('synchronous_commit', \
         replace(current_setting('synchronous_commit'), 'off', 'on'), true)"
    )
}
