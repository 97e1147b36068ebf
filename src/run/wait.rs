//! Waiting for a condition, bounded in time.

use crate::error::{Error, Result};
use std::time::Duration;
use tokio::time::Instant;

/// Looks at a condition until it holds.
///
/// `look` answers `Ok(value)` when it does, and `Err(why not yet)` while it doesn't.
///
/// # Errors
/// `timeout` is over: what was waited for, for how long, and the last reason.
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
            return Err(Error::failed(format!("waited {seconds} s for {what}")).because(reason));
        }
        tokio::time::sleep(pace).await;
    }
}
