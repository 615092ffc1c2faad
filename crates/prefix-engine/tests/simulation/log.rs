//! The log of a schedule, for people: who did what, when, and what is wrong with it.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

struct Line {
    at: Duration,
    who: Cow<'static, str>,
    what: String,
}

struct State {
    began: Instant,
    lines: Vec<Line>,
    wrong: Option<String>,
}

/// The log; clones write to the same one.
#[derive(Clone)]
pub(crate) struct Log {
    state: Arc<Mutex<State>>,
}

impl Log {
    /// Begins now, by tokio's time.
    pub(crate) fn new() -> Self {
        let state = State { began: Instant::now(), lines: Vec::new(), wrong: None };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody did something.
    pub(crate) fn add(&self, who: impl Into<Cow<'static, str>>, what: impl Into<String>) {
        let mut state = self.lock();
        let at = state.began.elapsed();
        state.lines.push(Line { at, who: who.into(), what: what.into() });
    }

    /// Something is broken that must hold. The first finding counts, later ones are mostly its consequences.
    pub(crate) fn wrong(&self, what: impl Into<String>) {
        let what = what.into();
        self.add("WRONG", what.clone());
        self.lock().wrong.get_or_insert(what);
    }

    /// What is wrong, if anything is.
    pub(crate) fn finding(&self) -> Option<String> {
        self.lock().wrong.clone()
    }

    /// The whole log up to the first finding, for people.
    pub(crate) fn text(&self) -> String {
        let state = self.lock();
        let mut text = String::new();
        for line in &state.lines {
            let (minutes, seconds) = (line.at.as_secs() / 60, line.at.as_secs() % 60);
            let millis = line.at.subsec_millis();
            // writing to a text cannot fail
            let _ = writeln!(text, "  {minutes:>3}:{seconds:02}.{millis:03}  {:<10} {}", line.who, line.what);
            if line.who == "WRONG" {
                break;
            }
        }
        text
    }
}
