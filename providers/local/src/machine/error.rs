//! What can go wrong with a machine, seen from outside it.

use std::{io, path::PathBuf};

/// Why an operation on a machine failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuestError {
    /// The operation needs a running machine.
    #[error("the machine in {} is not running; start it first", dir.display())]
    NotRunning {
        /// The machine's directory.
        dir: PathBuf,
    },
    /// The machine is paused and cannot answer.
    #[error("the machine in {} is paused; resume it first", dir.display())]
    Paused {
        /// The machine's directory.
        dir: PathBuf,
    },
    /// The init process was started but never answered.
    #[error("the machine {name} did not boot: {reason}; its console is {}", console.display())]
    Boot {
        /// The machine's name.
        name: String,
        /// What was seen of the init process.
        reason: String,
        /// Where its last words are.
        console: PathBuf,
    },
    /// The init process refused the request or answered out of protocol.
    #[error("the machine in {} could not {action}: {reason}", dir.display())]
    Refused {
        /// The machine's directory.
        dir: PathBuf,
        /// What it was asked to do.
        action: &'static str,
        /// The machine's own words.
        reason: String,
    },
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
}
