//! What came out of a document or of all of them.

use prefix_diagnostics::{Checked, Diagnostic, Kind};

/// A value, or why there is none.
#[derive(Debug)]
pub struct Loaded<T> {
    /// Present if no diagnostic is an error.
    pub value: Option<T>,
    /// Everything that was found, warnings included.
    pub diagnostics: Vec<Diagnostic>,
}

impl<T> Loaded<T> {
    pub(super) fn new(value: Option<T>, diagnostics: Vec<Diagnostic>) -> Self {
        let is_sound = !diagnostics.iter().any(Diagnostic::is_error);
        Self { value: value.filter(|_| is_sound), diagnostics }
    }

    /// The value with its warnings, or the errors.
    pub fn checked(self) -> Result<Checked<T>, Vec<Diagnostic>> {
        let (errors, warnings) = self.diagnostics.into_iter().partition(Diagnostic::is_error);
        self.value.map(|value| Checked { value, warnings }).ok_or(errors)
    }
}

/// Whether one of these errors says that a document has not the form that it must have.
pub fn is_malformed(errors: &[Diagnostic]) -> bool {
    errors.iter().any(|error| error.is_error() && error.kind == Kind::Shape)
}
