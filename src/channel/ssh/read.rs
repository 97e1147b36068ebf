//! A file of a machine, read.

use crate::error::{Error, Result};
use hakube_ssh::{Session, as_root, word};
use std::time::Duration;
use tokio::time::timeout;

/// The files are small.
const PATIENCE: Duration = Duration::from_secs(20);

/// The status by which the script says that there is no such file: none of cat's, sudo's or the shell's.
const ABSENT: u32 = 44;

/// Reads the file on the machine of this name; `None` where there is none.
pub(super) async fn read(session: &Session, machine: &str, path: &str) -> Result<Option<Vec<u8>>> {
    let failed = || Error::failed(format!("could not read {path} on {machine}"));
    let script = format!("[ -e \"$1\" ] || exit {ABSENT}; cat -- \"$1\"");
    let command = format!("{} {}", as_root(&script, "hakube-read"), word(path));
    let output = match timeout(PATIENCE, session.run(&command, b"")).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(failed().because(error).transient()),
        Err(_) => {
            let why = format!("it took longer than {} s", PATIENCE.as_secs());
            return Err(failed().because(why).transient());
        }
    };
    match output.status {
        Some(0) => Ok(Some(output.out)),
        Some(ABSENT) => Ok(None),
        None => Err(failed().because("the connection broke").transient()),
        Some(status) => Err(failed().because(format!(
            "the machine's shell ended with {status}: {}",
            output.said.trim()
        ))),
    }
}
