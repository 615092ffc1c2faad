//! Waiting for a condition with a deadline, never for a time that happens to suffice.

use super::LabError;
use std::fmt::Display;
use std::time::{Duration, Instant};

/// Long enough for a part on a machine that is busy with other tests; a good run never waits this long.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The pause between two looks, short because most conditions come true within milliseconds.
const PAUSE: Duration = Duration::from_millis(10);

/// Asks `probe` until it gives a value, at most for `patience`.
///
/// The probe answers `Err(what it saw)` while the condition is not true; the last of these is in the error.
///
/// # Errors
/// [`LabError::Deadline`] when the condition did not come true in time.
pub async fn until<T, E: Display>(
    condition: impl Display,
    patience: Duration,
    mut probe: impl AsyncFnMut() -> Result<T, E>,
) -> Result<T, LabError> {
    let start = Instant::now();
    loop {
        let seen = match probe().await {
            Ok(value) => return Ok(value),
            Err(seen) => seen,
        };
        let waited = start.elapsed();
        if waited >= patience {
            let (condition, last_seen) = (condition.to_string(), seen.to_string());
            return Err(LabError::Deadline { condition, waited, last_seen });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_condition_that_stays_false_is_an_error_that_says_what_was_seen() {
        let never = until("rain", Duration::from_millis(1), async || Err::<(), _>("sunshine")).await;
        let message = never.unwrap_err().to_string();
        assert!(message.contains("for rain") && message.ends_with("last seen: sunshine"), "{message}");
    }
}
