//! How far retention has come. A clock that is set must delete nothing: the horizon, which is stored, follows time by at
//! most a day per step, and a step that is due for longer waits long enough for somebody to look.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::Store;
use prefix_core::name::Pop;
use prefix_core::page::PageRequest;
use prefix_core::ports::{AuditQuery, StoreError};

use crate::mutex::Mutex;

/// The farthest that the horizon moves at once.
const DAY: TimeDelta = TimeDelta::days(1);
/// How long it stands before it moves by a day, if more than a day is missing.
const WAIT: Duration = Duration::from_hours(1);

#[derive(Default)]
struct State {
    /// A horizon that lags, and since when it was seen where it is, in time since boot.
    lagging: Option<(DateTime<Utc>, Duration)>,
    /// How much it lags.
    by: TimeDelta,
    /// When something was last stored before this start.
    begin: Option<DateTime<Utc>>,
}

/// What an instance knows of the horizon.
#[derive(Default)]
pub(crate) struct RetentionState(Mutex<State>);

impl RetentionState {
    /// Where the horizon begins, if none is stored: when something was last stored before this start.
    pub(crate) fn begin_at(&self, last_written: Option<DateTime<Utc>>) {
        self.0.lock().begin = last_written;
    }

    /// Where the horizon may move to now; `None` if retention waits. Without a horizon it begins at what was stored before
    /// this start, or now.
    pub(crate) fn next(
        &self,
        horizon: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
        since_boot: Duration,
    ) -> Option<DateTime<Utc>> {
        let mut state = self.0.lock();
        let Some(horizon) = horizon.or(state.begin) else { return Some(now) };
        let lag = now - horizon;
        if lag <= DAY {
            state.lagging = None;
            // a clock that was set back waits until it has come here again
            return Some(horizon.max(now));
        }
        state.by = lag;
        match state.lagging {
            Some((seen, since)) if seen == horizon => {
                (since_boot.saturating_sub(since) >= WAIT).then(|| horizon + DAY)
            }
            _ => {
                state.lagging = Some((horizon, since_boot));
                None
            }
        }
    }

    /// Why nothing is deleted, for people.
    pub(crate) fn problem(&self) -> Option<String> {
        let state = self.0.lock();
        let (horizon, _) = state.lagging?;
        Some(format!(
            "retention waits: it was last at {}, and the clock is {} days ahead of that. If the clock is wrong, set it right: nothing is lost. If prefixd was away for so long, there is nothing to do: retention goes on by a day per hour",
            horizon.format("%Y-%m-%d"),
            state.by.num_days()
        ))
    }
}

/// When the audit log of a pop was last written to, in the order of its commits: after a clock was set back, the latest
/// time is that of an older entry. `None` for an empty log.
pub(crate) async fn last_written(store: &dyn Store, pop: &Pop) -> Result<Option<DateTime<Utc>>, StoreError> {
    let page = PageRequest { limit: 1, ..PageRequest::default() };
    let newest = store.audit(&AuditQuery { page, ..AuditQuery::default() }).await?.items.into_iter().next();
    // what is not sealed yet was written after everything that is
    let last = match newest.filter(|entry| entry.seal.is_none()) {
        Some(entry) => Some(entry),
        None => {
            let Some(head) = store.audit_chain_head(pop).await? else { return Ok(None) };
            store.audit_chain(pop, head.seq, 1).await?.into_iter().next()
        }
    };
    Ok(last.map(|entry| entry.timestamp))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + day * 86_400, 0).unwrap()
    }

    fn hours(hours: u64) -> Duration {
        Duration::from_hours(hours)
    }

    #[test]
    fn the_horizon_follows_time_and_begins_with_it() {
        let state = RetentionState::default();
        assert_eq!(state.next(None, day(0), hours(0)), Some(day(0)));
        assert_eq!(state.next(Some(day(0)), day(1), hours(24)), Some(day(1)));
        assert_eq!(state.next(Some(day(1)), day(0), hours(25)), Some(day(1)), "never back");
        assert_eq!(state.problem(), None);
    }

    #[test]
    fn a_clock_that_is_400_days_ahead_moves_it_by_a_day_per_hour_and_says_so() {
        let state = RetentionState::default();
        let ahead = day(400);
        assert_eq!(state.next(Some(day(0)), ahead, hours(0)), None);
        assert!(state.problem().unwrap().contains("400 days ahead"), "{:?}", state.problem());
        assert_eq!(state.next(Some(day(0)), ahead, Duration::from_secs(3599)), None);
        assert_eq!(state.next(Some(day(0)), ahead, hours(1)), Some(day(1)));
        assert_eq!(state.next(Some(day(1)), ahead, hours(1)), None, "each day has its own hour");
        // another of twenty instances was faster: whoever is second begins its hour anew
        assert_eq!(state.next(Some(day(2)), ahead, hours(2)), None);
        assert_eq!(state.next(Some(day(2)), ahead, hours(3)), Some(day(3)));
    }

    #[test]
    fn a_clock_that_is_set_right_again_ends_the_waiting() {
        let state = RetentionState::default();
        assert_eq!(state.next(Some(day(0)), day(400), hours(0)), None);
        assert_eq!(state.next(Some(day(0)), day(0), hours(0)), Some(day(0)));
        assert_eq!(state.problem(), None);
    }
}
