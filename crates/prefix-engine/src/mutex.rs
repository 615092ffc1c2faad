//! A mutex that is never poisoned: no state of the engine is left half written by a panic, every change of it is whole.

use std::sync::{MutexGuard, PoisonError};

/// Protects a `T` that several tasks use.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
