//! Withdraws every own path, overdue or not: `prefixdctl panic --direct`, which needs neither daemon nor database.
//! Paths of others stay.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use futures::TryStreamExt;
use prefix_core::Announcer;
use prefix_core::announcer::AnnounceError;
use prefix_core::flowspec::RouteKey;
use tokio::time::{Instant, sleep};

use crate::withdraw::withdraw;

/// The time between two reads of the table.
const PAUSE: Duration = Duration::from_millis(250);

/// How the sweep works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweepSettings {
    /// The rate of withdrawals: `bgp.max_changes_per_second`.
    pub max_changes_per_second: u32,
    /// For how long the table is read again after the first withdrawals, because a daemon may still announce; `None` =
    /// until the sweep is stopped.
    pub watch_for: Option<Duration>,
}

/// The result of a sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SweepResult {
    /// Routes whose own path was read, and then read to be gone.
    pub withdrawn: BTreeSet<RouteKey>,
    /// The number of paths of others, other pops included, in the last read.
    pub foreign: usize,
    /// Routes with an own path in the last read.
    pub left: BTreeSet<RouteKey>,
}

/// Withdraws every own path until its time is over or `stop` completes. `report` is called for every route that is
/// gone, and for every new error. `before` are routes with an own path a moment ago: those gone since count as
/// withdrawn.
///
/// # Errors
/// The table was not once read to its end.
pub async fn sweep(
    announcer: &dyn Announcer,
    settings: SweepSettings,
    before: BTreeSet<RouteKey>,
    stop: impl Future<Output = ()>,
    mut report: impl FnMut(Result<&RouteKey, &AnnounceError>),
) -> Result<SweepResult, AnnounceError> {
    let swept = SweepResult { left: before, ..SweepResult::default() };
    let mut sweeper = Sweeper { swept, has_read: false, error: None };
    tokio::select! {
        () = stop => {}
        () = sweeper.work(announcer, settings, &mut report) => {}
    }
    match sweeper.error {
        Some(error) if !sweeper.has_read => Err(error),
        _ => Ok(sweeper.swept),
    }
}

struct Sweeper {
    swept: SweepResult,
    has_read: bool,
    error: Option<AnnounceError>,
}

impl Sweeper {
    async fn work(
        &mut self,
        announcer: &dyn Announcer,
        settings: SweepSettings,
        report: &mut impl FnMut(Result<&RouteKey, &AnnounceError>),
    ) {
        let end = |now: Instant| settings.watch_for.map(|watch_for| now + watch_for);
        let mut until = end(Instant::now());
        let mut first = true;
        loop {
            let now = Instant::now();
            if let Err(error) = self.read(announcer, report).await {
                self.failed(error, report);
            }
            // the last step is always a read, never a change whose effect is unknown
            if until.is_some_and(|until| now >= until) {
                return;
            }
            if !self.swept.left.is_empty() {
                let keys: Vec<RouteKey> = self.swept.left.iter().cloned().collect();
                let pace = settings.max_changes_per_second;
                let answers = withdraw(announcer, &keys, pace, None).await;
                if let Some(error) = answers.into_iter().find_map(Result::err) {
                    self.failed(error, report);
                }
            }
            if first && self.has_read {
                // however long the first withdrawals took, the table is watched after them
                (first, until) = (false, end(Instant::now()));
            }
            sleep(PAUSE).await;
        }
    }

    /// A table that broke off changes nothing.
    async fn read(
        &mut self,
        announcer: &dyn Announcer,
        report: &mut impl FnMut(Result<&RouteKey, &AnnounceError>),
    ) -> Result<(), AnnounceError> {
        let (mut own, mut foreign) = (BTreeSet::new(), 0);
        let mut paths = announcer.table().await?;
        while let Some(path) = paths.try_next().await? {
            if path.ownership.is_own() && path.local {
                own.insert(path.key);
            } else {
                foreign += 1;
            }
        }
        for key in std::mem::take(&mut self.swept.left) {
            if !own.contains(&key) && !self.swept.withdrawn.contains(&key) {
                report(Ok(&key));
                self.swept.withdrawn.insert(key);
            }
        }
        (self.swept.left, self.swept.foreign, self.has_read) = (own, foreign, true);
        Ok(())
    }

    fn failed(&mut self, error: AnnounceError, report: &mut impl FnMut(Result<&RouteKey, &AnnounceError>)) {
        // a speaker that stays unreachable is reported once
        if self.error.as_ref() != Some(&error) {
            report(Err(&error));
        }
        self.error = Some(error);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use prefix_core::announcer::RibPath;
    use prefix_core::ownership::Ownership;
    use prefix_testkit::fakes::MemoryAnnouncer;
    use prefix_testkit::fakes::announcer::AnnounceFault;

    use super::*;
    use crate::guard::tests::world::{key, path};

    const FIVE_SECONDS: SweepSettings =
        SweepSettings { max_changes_per_second: 10_000, watch_for: Some(Duration::from_secs(5)) };

    fn never() -> impl Future<Output = ()> {
        std::future::pending()
    }

    #[tokio::test(start_paused = true)]
    async fn everything_of_ours_goes_and_nothing_else() {
        let speaker = MemoryAnnouncer::new();
        (0..1000).for_each(|number| speaker.put(path(number, u32::MAX)));
        speaker.put(RibPath {
            ownership: Ownership::Own { not_after: None, mitigation: None },
            ..path(1000, 1)
        });
        speaker.put(RibPath { ownership: Ownership::Foreign, ..path(1001, 1) });
        speaker.put(RibPath { ownership: Ownership::OtherPop { owner: 7 }, ..path(1002, 1) });
        let mut told = Vec::new();
        let swept =
            sweep(&speaker, FIVE_SECONDS, BTreeSet::new(), never(), |event| told.extend(event.ok().cloned()))
                .await
                .unwrap();
        assert_eq!((swept.withdrawn.len(), swept.foreign, swept.left.len()), (1001, 2, 0));
        assert_eq!(told.len(), 1001);
        let kept: Vec<RouteKey> = speaker.paths().into_iter().map(|path| path.key).collect();
        assert_eq!(kept.len(), 2);
        assert!(kept.contains(&key(1001)) && kept.contains(&key(1002)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_announced_meanwhile_goes_too_and_what_never_goes_is_left() {
        let speaker = Arc::new(MemoryAnnouncer::new());
        speaker.put(path(1, u32::MAX));
        let stubborn = Arc::clone(&speaker);
        let daemon = tokio::spawn(async move {
            for round in 0..3 {
                sleep(Duration::from_secs(1)).await;
                stubborn.put(path(2 + round, u32::MAX));
            }
            stubborn.fail_withdraws(usize::from(u16::MAX), AnnounceFault::Refused);
            sleep(Duration::from_secs(1)).await;
            stubborn.put(path(9, u32::MAX));
        });
        let swept = sweep(speaker.as_ref(), FIVE_SECONDS, BTreeSet::new(), never(), |_| {}).await.unwrap();
        daemon.await.unwrap();
        assert_eq!(swept.withdrawn.len(), 3);
        assert_eq!(swept.left.into_iter().collect::<Vec<_>>(), [key(4), key(9)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_speaker_that_is_away_is_waited_for_and_then_said() {
        let speaker = Arc::new(MemoryAnnouncer::new());
        speaker.put(path(1, 1));
        speaker.disconnect("it is away");
        let error =
            sweep(speaker.as_ref(), FIVE_SECONDS, BTreeSet::new(), never(), |_| {}).await.unwrap_err();
        assert!(error.to_string().contains("it is away"), "{error}");

        let back = Arc::clone(&speaker);
        tokio::spawn(async move {
            sleep(Duration::from_secs(3)).await;
            back.connect();
        });
        let swept = sweep(speaker.as_ref(), FIVE_SECONDS, BTreeSet::new(), never(), |_| {}).await.unwrap();
        assert_eq!((swept.withdrawn.len(), swept.left.len()), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_daemon_took_away_meanwhile_is_told_too() {
        let speaker = MemoryAnnouncer::new();
        speaker.put(path(2, u32::MAX));
        let before = BTreeSet::from([key(1), key(2)]);
        let mut told = Vec::new();
        let swept = sweep(&speaker, FIVE_SECONDS, before, never(), |event| told.extend(event.ok().cloned()))
            .await
            .unwrap();
        assert_eq!((swept.withdrawn.len(), swept.left.len()), (2, 0));
        assert_eq!(told, [key(1), key(2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn holding_goes_on_until_it_is_stopped() {
        let speaker = Arc::new(MemoryAnnouncer::new());
        let held = Arc::clone(&speaker);
        tokio::spawn(async move {
            sleep(Duration::from_mins(10)).await;
            held.put(path(1, u32::MAX));
        });
        let hold = SweepSettings { watch_for: None, ..FIVE_SECONDS };
        let swept = sweep(speaker.as_ref(), hold, BTreeSet::new(), sleep(Duration::from_mins(20)), |_| {})
            .await
            .unwrap();
        assert_eq!((swept.withdrawn.len(), swept.left.len()), (1, 0));
    }
}
