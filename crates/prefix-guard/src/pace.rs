//! The pace of withdrawals: speakers pack what comes faster into messages that routers refuse.

use std::time::Duration;

use prefix_core::Announcer;
use prefix_core::announcer::AnnounceError;
use prefix_core::flowspec::RouteKey;
use tokio::time::{Instant, sleep_until};

/// The most withdrawals that go out at once.
const BURST: usize = 200;
/// The most octets of NLRI that go out at once: FRR 8.4 resets the session when one UPDATE withdraws 4095 octets or
/// more, and a busy speaker may pack two bursts into one.
const BURST_OCTETS: usize = 2000;
/// Octets of NLRI that take as long as a burst of [`BURST`].
const PACED_OCTETS: usize = 3500;

fn octets(keys: &[RouteKey]) -> usize {
    keys.iter().map(|key| key.nlri().as_bytes().len()).sum()
}

/// How many of these go out together: at least one.
fn burst(keys: &[RouteKey]) -> usize {
    let mut octets = 0;
    let fitting = keys.iter().take(BURST).take_while(|key| {
        octets += key.nlri().as_bytes().len();
        octets <= BURST_OCTETS
    });
    fitting.count().max(1)
}

fn duration(burst: &[RouteKey], per_second: u32) -> Duration {
    let as_changes = burst.len().max((octets(burst) * BURST).div_ceil(PACED_OCTETS));
    Duration::from_secs(1) * u32::try_from(as_changes).unwrap_or(u32::MAX) / per_second.max(1)
}

/// Withdraws at a bounded pace. The answers are those of the first keys: it ends early when the speaker does not
/// answer, and at `until`.
pub(crate) async fn withdraw(
    announcer: &dyn Announcer,
    keys: &[RouteKey],
    per_second: u32,
    until: Option<Instant>,
) -> Vec<Result<(), AnnounceError>> {
    let mut results = Vec::with_capacity(keys.len());
    while results.len() < keys.len() && until.is_none_or(|until| Instant::now() < until) {
        let rest = &keys[results.len()..];
        let burst = &rest[..burst(rest)];
        let pace = duration(burst, per_second);
        let next = Instant::now() + pace;
        let answers = announcer.withdraw(burst).await;
        let lost = answers
            .iter()
            .any(|answer| matches!(answer, Err(AnnounceError::Unreachable(_) | AnnounceError::Unknown(_))));
        results.extend(answers);
        if lost {
            break;
        }
        // a speaker that answers late is busy: it gets time to pass on what it has
        sleep_until(next.max(Instant::now() + pace / 2)).await;
    }
    results
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::tests::world::{key, long_key};

    #[test]
    fn bursts_are_bounded_by_number_and_by_octets() {
        let short: Vec<RouteKey> = (0..1000).map(key).collect();
        assert_eq!(burst(&short), BURST);
        assert_eq!(duration(&short[..BURST], 10_000), Duration::from_millis(20));
        let long: Vec<RouteKey> = (0..1000).map(long_key).collect();
        let size = long[0].nlri().as_bytes().len();
        assert!(size > 20, "{size}");
        assert_eq!(burst(&long), BURST_OCTETS / size);
        assert!(duration(&long[..burst(&long)], 10_000) > Duration::from_millis(10));
        assert_eq!(burst(&long[..1]), 1);
    }
}
