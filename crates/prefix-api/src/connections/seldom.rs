//! A log line that many strangers can cause is written seldom, with how often it was due.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// At most one line in this time.
const INTERVAL: Duration = Duration::from_mins(1);

/// Counts, and says now and then how often.
#[derive(Debug, Default)]
pub(crate) struct Seldom(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    times: u64,
}

impl Seldom {
    /// Nothing was noted yet.
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(State { last: None, times: 0 }))
    }

    /// It happened once more; `write` is called with how often since the last line, if it is time for one.
    pub(crate) fn note(&self, write: impl FnOnce(u64)) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.times += 1;
        let now = Instant::now();
        if state.last.is_none_or(|last| now - last >= INTERVAL) {
            let times = std::mem::take(&mut state.times);
            state.last = Some(now);
            drop(state);
            write(times);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_one_line_a_minute_with_its_size() {
        let (seldom, mut lines) = (Seldom::new(), Vec::new());
        for _ in 0..120 {
            for _ in 0..1_000 {
                seldom.note(|times| lines.push(times));
            }
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(lines, [1, 60_000]);
    }
}
