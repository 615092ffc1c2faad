//! Carried out, or only tried: every change of the API can be rehearsed with `?dry_run=true`.

use prefix_api_types::DryRun;

/// Whether a change happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// The change happens.
    #[default]
    Apply,
    /// All checks run, nothing is stored, announced or audited.
    DryRun,
}

/// What a change came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome<T> {
    /// It happened.
    Done(T),
    /// It would happen like this.
    Rehearsed(DryRun<T>),
}

impl<T> Outcome<T> {
    /// The result, real or rehearsed; `None` if the rehearsal has no result to show.
    pub fn result(&self) -> Option<&T> {
        match self {
            Self::Done(value) => Some(value),
            Self::Rehearsed(dry_run) => dry_run.result.as_ref(),
        }
    }

    /// True if nothing was changed.
    pub fn is_rehearsal(&self) -> bool {
        matches!(self, Self::Rehearsed(_))
    }
}
