//! Waiting for a condition, with a deadline.

use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// The interval between checks of a condition.
const PERIOD: Duration = Duration::from_millis(15);

/// Waits until `look` returns something. `what` completes the message "timed out waiting until ...".
pub fn until_some<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let begin = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if begin.elapsed() >= limit {
            return Err(Error::Late {
                what: what.to_owned(),
                waited: limit,
                detail: String::new(),
            });
        }
        std::thread::sleep(PERIOD);
    }
}

/// Waits until a condition holds. `what` completes the message "timed out waiting until ...".
pub fn until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) -> Result<()> {
    until_some(what, limit, || Ok(holds().then_some(())))
}
