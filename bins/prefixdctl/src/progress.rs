//! A bar on stderr for work that takes longer than half a second.

use crate::session::Session;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::{Duration, Instant};

/// Shorter work shows no bar: it would only flicker.
const PATIENCE: Duration = Duration::from_millis(500);

/// How often a bar without a count looks at the clock.
const TICK: Duration = Duration::from_millis(100);

/// The bar of one piece of work. It vanishes with the work.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    begun: Instant,
    wanted: bool,
    shown: bool,
}

impl Progress {
    /// A bar for `total` items of `what`; without a total only the number so far is shown.
    pub(crate) fn new(session: &Session, what: &str, total: Option<usize>) -> Self {
        let template = match total {
            Some(_) => "{msg} {wide_bar} {human_pos}/{human_len} {eta}",
            None => "{spinner} {msg} {human_pos}",
        };
        Self::shaped(session, what, total, template)
    }

    /// Shows a bar while one piece of work goes on of which nothing is known until it is done.
    pub(crate) async fn during<T>(session: &Session, what: &str, work: impl Future<Output = T>) -> T {
        let mut progress = Self::shaped(session, what, None, "{spinner} {msg}");
        let mut work = std::pin::pin!(work);
        loop {
            match tokio::time::timeout(TICK, &mut work).await {
                Ok(done) => return done,
                Err(_) => progress.advance(0),
            }
        }
    }

    fn shaped(session: &Session, what: &str, total: Option<usize>, template: &str) -> Self {
        let bar =
            ProgressBar::with_draw_target(total.map(|total| total as u64), ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what.to_owned());
        Self { bar, begun: Instant::now(), wanted: session.shows_progress(), shown: false }
    }

    /// `count` more items are done.
    pub(crate) fn advance(&mut self, count: usize) {
        if self.wanted && !self.shown && self.begun.elapsed() > PATIENCE {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            self.bar.enable_steady_tick(Duration::from_millis(100));
            self.shown = true;
        }
        self.bar.inc(count as u64);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
