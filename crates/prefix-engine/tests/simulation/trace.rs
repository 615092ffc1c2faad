//! The trace of a schedule, in the words of an operator: who did what, when, and what is wrong with it.

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

struct Record {
    began: Instant,
    lines: Vec<Line>,
    wrong: Option<String>,
}

/// What happened in a schedule; clones write the same trace.
#[derive(Clone)]
pub(crate) struct Trace {
    record: Arc<Mutex<Record>>,
}

impl Trace {
    /// Begins now, by tokio's time.
    pub(crate) fn new() -> Self {
        let record = Record { began: Instant::now(), lines: Vec::new(), wrong: None };
        Self { record: Arc::new(Mutex::new(record)) }
    }

    fn open(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody did something.
    pub(crate) fn tell(&self, who: impl Into<Cow<'static, str>>, what: impl Into<String>) {
        let mut record = self.open();
        let at = record.began.elapsed();
        record.lines.push(Line { at, who: who.into(), what: what.into() });
    }

    /// Something is broken that must hold. The first finding counts, later ones are mostly its consequences.
    pub(crate) fn wrong(&self, what: impl Into<String>) {
        let what = what.into();
        self.tell("WRONG", what.clone());
        self.open().wrong.get_or_insert(what);
    }

    /// What is wrong, if anything is.
    pub(crate) fn finding(&self) -> Option<String> {
        self.open().wrong.clone()
    }

    /// The whole trace up to the first finding, for people.
    pub(crate) fn text(&self) -> String {
        let record = self.open();
        let mut text = String::new();
        for line in &record.lines {
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

/// What a speaker is called.
pub(crate) fn speaker_name(which: usize) -> &'static str {
    if which == 0 { "speaker" } else { "second speaker" }
}
