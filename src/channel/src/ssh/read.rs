//! Reads a file of a machine.

use super::command::{self, ABSENT};
use hakube_error::{Error, Result};
use hakube_ssh::{Session, as_root, word};
use std::time::Duration;

/// The files are small.
const PATIENCE: Duration = Duration::from_secs(20);

/// Reads the file on the machine with this name; `None` if it doesn't exist.
pub(super) async fn read(session: &Session, machine: &str, path: &str) -> Result<Option<Vec<u8>>> {
    let failed = || Error::failed(format!("could not read {path} on {machine}"));
    let script = format!("[ -e \"$1\" ] || exit {ABSENT}; cat -- \"$1\"");
    let command = format!("{} {}", as_root(&script, "hakube-read"), word(path));
    command::find(session, &command, PATIENCE, failed).await
}
