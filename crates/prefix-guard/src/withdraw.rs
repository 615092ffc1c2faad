//! Withdrawals in paced bursts ([`prefix_core::pacing`]).

use prefix_core::Announcer;
use prefix_core::announcer::AnnounceError;
use prefix_core::flowspec::RouteKey;
use prefix_core::pacing::Burst;
use tokio::time::{Instant, sleep};

/// Withdraws `keys` at `per_second` changes per second. The answers are those of the first keys: it ends early when the
/// speaker does not answer, and at `until`.
pub(crate) async fn withdraw(
    announcer: &dyn Announcer,
    keys: &[RouteKey],
    per_second: u32,
    until: Option<Instant>,
) -> Vec<Result<(), AnnounceError>> {
    let mut results = Vec::with_capacity(keys.len());
    while results.len() < keys.len() && until.is_none_or(|until| Instant::now() < until) {
        let rest = &keys[results.len()..];
        let burst = Burst::of_withdrawals(rest);
        let began = Instant::now();
        let answers = announcer.withdraw(&rest[..burst.len()]).await;
        let lost = answers
            .iter()
            .any(|answer| matches!(answer, Err(AnnounceError::Unreachable(_) | AnnounceError::Unknown(_))));
        results.extend(answers);
        if lost {
            break;
        }
        sleep(burst.pause(per_second, began.elapsed())).await;
    }
    results
}
