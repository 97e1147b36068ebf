//! Waits for a condition, with a timeout.

use hakube_error::{Error, Result};
use std::time::Duration;
use tokio::time::Instant;

/// Polls a condition until it holds. `look` returns `Err` with the reason while it doesn't.
///
/// # Errors
/// The timeout, with the last reason.
pub async fn until<T>(
    what: &str,
    timeout: Duration,
    pace: Duration,
    mut look: impl AsyncFnMut() -> Result<T, String>,
) -> Result<T> {
    let started = Instant::now();
    loop {
        let reason = match look().await {
            Ok(value) => return Ok(value),
            Err(reason) => reason,
        };
        if started.elapsed() >= timeout {
            let seconds = timeout.as_secs();
            return Err(
                Error::failed(format!("timed out after {seconds} s waiting for {what}"))
                    .because(reason),
            );
        }
        tokio::time::sleep(pace).await;
    }
}
