//! Errors of the client.

use std::path::PathBuf;

use crate::home::HomeError;

/// Why a call to the local cloud failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No daemon runs.
    #[error("no local cloud runs in {}; start it first", home.display())]
    NotRunning {
        /// The cloud's home directory.
        home: PathBuf,
    },
    /// The program that listens at the daemon's address doesn't prove that it has the cloud's token.
    #[error(
        "the program listening at {url} isn't the local cloud of this directory, so the cloud's token wasn't sent: find it \
         with ss -ltnp and stop it; stop a daemon of an older hakube with `kill`"
    )]
    Unproven {
        /// The URL.
        url: String,
    },
    /// The connection broke, or the response is malformed.
    #[error("the local cloud at {url} did not answer: {why}")]
    Connection {
        /// The daemon's URL.
        url: String,
        /// The cause.
        why: String,
    },
    /// The daemon runs but doesn't respond.
    #[error(
        "the local cloud (process {pid}) did not respond within {seconds} s; check whether the process is stopped \
         (kill -CONT {pid}) or the host overloaded"
    )]
    Silent {
        /// The daemon's process ID.
        pid: u32,
        /// The timeout, in seconds.
        seconds: u64,
    },
    /// The daemon responded with an error.
    #[error("the local cloud rejected the request ({status}): {message}")]
    Refused {
        /// HTTP status code.
        status: u16,
        /// The error's message.
        message: String,
    },
    /// No machine has this name.
    #[error("the local cloud has no machine `{0}`; see `local machines`")]
    NoSuchMachine(String),
    /// Several machines have this name.
    #[error("several machines are named `{name}`; add the zone: {}", candidates.join(", "))]
    Ambiguous {
        /// The name.
        name: String,
        /// `zone/name` of each.
        candidates: Vec<String>,
    },
    /// The daemon could not be started.
    #[error("the local cloud did not start: {why}. The end of {}:\n{log}", log_file.display())]
    Start {
        /// The cause.
        why: String,
        /// The daemon's log file.
        log_file: PathBuf,
        /// The last lines of the log.
        log: String,
    },
    /// The daemon did not stop.
    #[error("the local cloud (process {pid}) still runs {seconds} s after it was told to stop")]
    Stop {
        /// The daemon's process ID.
        pid: u32,
        /// The timeout, in seconds.
        seconds: u64,
    },
    /// A file of the home directory can't be read or written.
    #[error(transparent)]
    Home(#[from] HomeError),
}
