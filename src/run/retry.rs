//! Trying again what may pass, for as long as there is time.

use crate::error::{Error, Result};
use backon::{BackoffBuilder as _, ExponentialBuilder};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The longest wait between two tries.
const LONGEST: Duration = Duration::from_secs(10);

/// Tries until it works, fails for good, `limit` is over or `stop` is cancelled. `tell` hears of each
/// failure that is followed by another try.
///
/// # Errors
/// The last try's.
pub async fn retried<T>(
    limit: Duration,
    stop: &CancellationToken,
    mut tell: impl FnMut(&Error),
    mut attempt: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let started = Instant::now();
    let mut waits = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(LONGEST)
        .with_jitter()
        .without_max_times()
        .build();
    loop {
        let error = match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let wait = waits.next().unwrap_or(LONGEST);
        if !error.transient || stop.is_cancelled() {
            return Err(error);
        }
        if started.elapsed() + wait > limit {
            return Err(error.hint(
                "it may pass by itself: do the same again later, or give it longer with --timeout",
            ));
        }
        tell(&error);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => return Err(error),
        }
    }
}

/// The same for what only looks: nobody needs to hear of it.
///
/// # Errors
/// The last try's.
pub async fn looked<T>(limit: Duration, look: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let stop = CancellationToken::new();
    retried(
        limit,
        &stop,
        |error| tracing::debug!(%error, "looking again"),
        look,
    )
    .await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn what_did_not_pass_in_time_may_yet_and_the_error_says_so() {
        let failed = looked(Duration::ZERO, async || {
            Err::<(), _>(Error::failed("busy").transient())
        });
        let error = failed.await.unwrap_err();
        assert!(
            error.hints.iter().any(|hint| hint.contains("--timeout")),
            "{error:?}"
        );
        let failed = looked(Duration::ZERO, async || {
            Err::<(), _>(Error::failed("refused"))
        });
        assert_eq!(failed.await.unwrap_err().hints, Vec::<String>::new());
    }
}
