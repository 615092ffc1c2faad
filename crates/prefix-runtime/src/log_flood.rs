//! The log stays readable, and the disk has room, whatever strangers cause: each place in the program writes only so many
//! lines in ten seconds. What was left out is counted and told.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::callsite::Identifier;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};

/// Lines of one place in the program within [`WINDOW`].
const MOST: u64 = 100;

/// After it a place may write again.
const WINDOW: Duration = Duration::from_secs(10);

/// Passes on so many lines of each place.
#[derive(Clone, Default)]
pub struct FloodFilter(Arc<Mutex<HashMap<Identifier, Place>>>);

struct Place {
    began: Instant,
    written: u64,
    left_out: u64,
    name: &'static str,
}

impl FloodFilter {
    fn may_write(&self, metadata: &'static Metadata<'static>) -> bool {
        let now = Instant::now();
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = match places.entry(metadata.callsite()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                new.insert(Place { began: now, written: 0, left_out: 0, name: metadata.name() })
            }
        };
        if now - place.began >= WINDOW {
            (place.began, place.written) = (now, 0);
        }
        let may_write = place.written < MOST;
        if may_write {
            place.written += 1;
        } else {
            place.left_out += 1;
        }
        may_write
    }

    /// Writes how many lines were left out since the last call, and where.
    pub fn report(&self) {
        let left_out: Vec<_> = {
            let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let flooded = places.values_mut().filter(|place| place.left_out > 0);
            flooded.map(|place| (place.name, std::mem::take(&mut place.left_out))).collect()
        };
        for (place, lines) in left_out {
            tracing::warn!(place, lines, "lines were left out of the log: too many of the same");
        }
    }

    /// Reports every ten seconds, for ever.
    pub async fn report_for_ever(self) {
        let mut ticks = tokio::time::interval(WINDOW);
        loop {
            ticks.tick().await;
            self.report();
        }
    }
}

impl<S: Subscriber> Filter<S> for FloodFilter {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &tracing::Event<'_>, _: &Context<'_, S>) -> bool {
        self.may_write(event.metadata())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use tracing_subscriber::layer::{Layer, SubscriberExt};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_from_one_place_is_cut_counted_and_told_and_other_places_go_on() {
        let (lines, filter) = (Lines::default(), FloodFilter::default());
        let writer = lines.clone();
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(layer.with_filter(filter.clone()));
        let count = |what: &str| {
            String::from_utf8(lines.0.lock().unwrap().clone())
                .unwrap()
                .lines()
                .filter(|l| l.contains(what))
                .count()
        };
        let guard = tracing::subscriber::set_default(subscriber);
        let flood = || (0..1_000).for_each(|n| tracing::warn!(n, "a stranger knocks"));
        flood();
        tracing::info!("another place");
        filter.report();
        filter.report();
        assert_eq!(count("a stranger knocks"), 100);
        assert_eq!((count("another place"), count("lines=900")), (1, 1));
        tokio::time::advance(WINDOW).await;
        flood();
        assert_eq!(count("a stranger knocks"), 200);
        drop(guard);
    }
}
