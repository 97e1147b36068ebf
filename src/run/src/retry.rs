//! Retries of transient failures, bounded in time.

use backon::{BackoffBuilder as _, ExponentialBuilder};
use hakube_error::{Error, Result};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The longest wait between two attempts.
const LONGEST: Duration = Duration::from_secs(10);

/// How much longer than its limit an observation may take, so that it can report its own timeout.
const GRACE: Duration = Duration::from_secs(2);

const PASSES: &str =
    "this may be temporary: run the command again later, or allow more time with --timeout";

/// Retries until it succeeds, fails permanently, `limit` has passed or `stop` is cancelled. `tell` is called for each
/// failure that is retried.
///
/// # Errors
/// The last attempt's.
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
            return Err(error.hint(PASSES));
        }
        tell(&error);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => return Err(error),
        }
    }
}

/// Retries an observation, without reporting failures. Since it changes nothing, it is cut off at `limit`.
///
/// # Errors
/// The last attempt's, or a timeout.
pub async fn looked<T>(limit: Duration, mut look: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let stop = CancellationToken::new();
    let mut last = None;
    let looking = retried(
        limit,
        &stop,
        |error| {
            tracing::debug!(%error, "retrying");
            last = Some(error.clone());
        },
        &mut look,
    );
    // The provider's own timeouts have better messages, so they get a little time to fire first.
    match tokio::time::timeout(limit.saturating_add(GRACE), looking).await {
        Ok(looked) => looked,
        Err(_) => Err(last.unwrap_or_else(|| silence(limit)).hint(PASSES)),
    }
}

/// Runs one observation, cut off at `limit`.
///
/// # Errors
/// The observation's, or a timeout.
pub async fn bounded<T>(limit: Duration, look: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(limit.saturating_add(GRACE), look).await {
        Ok(looked) => looked,
        Err(_) => Err(silence(limit).hint(PASSES)),
    }
}

fn silence(limit: Duration) -> Error {
    Error::failed(format!("no response within {} s", limit.as_secs())).transient()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn a_transient_failure_hints_at_the_timeout() {
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

    #[tokio::test(start_paused = true)]
    async fn an_observation_without_a_response_times_out() {
        let started = Instant::now();
        let silent = looked(Duration::from_secs(3), async || {
            std::future::pending::<Result<()>>().await
        });
        let error = silent.await.unwrap_err();
        assert!(
            error.to_string().contains("no response within 3 s"),
            "{error}"
        );
        assert!(error.hints.iter().any(|hint| hint.contains("--timeout")));
        assert!(started.elapsed() < Duration::from_secs(6));
    }

    #[tokio::test(start_paused = true)]
    async fn a_timeout_reports_the_last_failure() {
        let mut looks = 0;
        let ended = looked(Duration::from_secs(3), async || {
            looks += 1;
            if looks > 2 {
                std::future::pending::<()>().await;
            }
            Err::<(), _>(Error::failed("backendError").transient())
        });
        let error = ended.await.unwrap_err();
        assert!(error.to_string().contains("backendError"), "{error}");
    }
}
