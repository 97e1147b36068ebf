//! Errors of machines, as seen from outside.

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
    /// The machine is paused and can't respond.
    #[error("the machine in {} is paused; resume it first", dir.display())]
    Paused {
        /// The machine's directory.
        dir: PathBuf,
    },
    /// The init process was started but never responded.
    #[error("the machine {name} did not boot: {reason}; its console is {}", console.display())]
    Boot {
        /// The machine's name.
        name: String,
        /// The cause.
        reason: String,
        /// The console's file.
        console: PathBuf,
    },
    /// The init process rejected the request or violated the protocol.
    #[error("the machine in {} could not {action}: {reason}", dir.display())]
    Refused {
        /// The machine's directory.
        dir: PathBuf,
        /// The requested action.
        action: &'static str,
        /// The machine's message.
        reason: String,
    },
    /// An operation of the operating system failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The action.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
}
