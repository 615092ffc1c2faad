//! Waiting for a condition with a deadline.

use super::LabError;
use std::fmt::Display;
use std::time::{Duration, Instant};

/// The usual deadline: long enough on a machine that is busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The time between two probes; most conditions hold within milliseconds.
const PAUSE: Duration = Duration::from_millis(10);

/// Calls `probe` until the list fits, at most for [`PATIENCE`]; `whose` names the list in the error.
pub(super) async fn until_fits(
    whose: &str,
    fits: impl Fn(&[String]) -> bool,
    mut probe: impl AsyncFnMut() -> Result<Vec<String>, LabError>,
) -> Result<Vec<String>, LabError> {
    until(whose, PATIENCE, async || match probe().await {
        Ok(list) if fits(&list) => Ok(list),
        Ok(list) => Err(format!("{}: {}", list.len(), list.join("; "))),
        Err(error) => Err(error.to_string()),
    })
    .await
}

/// Calls `probe` until it returns a value, at most for `patience`.
///
/// While the condition does not hold the probe returns what it saw as `Err`; the last of these is in the error.
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
