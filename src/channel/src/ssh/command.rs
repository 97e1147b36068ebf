//! Runs commands on a machine, with uniform errors.

use hakube_error::{Error, Result};
use hakube_ssh::{Output, Session};
use std::time::Duration;
use tokio::time::timeout;

/// The exit status of scripts whose subject doesn't exist; not used by cat, df, sudo or the shell.
pub(super) const ABSENT: u32 = 44;

/// Runs the command and returns its output. `failed` creates the error to extend.
///
/// # Errors
/// The connection broke, the machine's shell failed, or `patience` ran out. All but the shell's
/// errors are transient.
pub(super) async fn run(
    session: &Session,
    command: &str,
    input: &[u8],
    patience: Duration,
    failed: impl Fn() -> Error,
) -> Result<Vec<u8>> {
    let output = ended(session, command, input, patience, &failed).await?;
    printed(output, failed)
}

/// The same, but returns `None` if the command exits with [`ABSENT`].
///
/// # Errors
/// The errors of [`run`].
pub(super) async fn find(
    session: &Session,
    command: &str,
    patience: Duration,
    failed: impl Fn() -> Error,
) -> Result<Option<Vec<u8>>> {
    let output = ended(session, command, b"", patience, &failed).await?;
    match output.status {
        Some(ABSENT) => Ok(None),
        _ => printed(output, failed).map(Some),
    }
}

async fn ended(
    session: &Session,
    command: &str,
    input: &[u8],
    patience: Duration,
    failed: impl Fn() -> Error,
) -> Result<Output> {
    match timeout(patience, session.run(command, input)).await {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(error)) => Err(failed().because(error).transient()),
        Err(_) => {
            let why = format!("it took longer than {} s", patience.as_secs());
            Err(failed().because(why).transient())
        }
    }
}

fn printed(output: Output, failed: impl Fn() -> Error) -> Result<Vec<u8>> {
    match output.status {
        Some(0) => Ok(output.out),
        None => Err(failed().because("the connection broke").transient()),
        Some(status) => Err(failed().because(format!(
            "the machine's shell ended with {status}: {}",
            output.said.trim()
        ))),
    }
}
