//! What can go wrong on the way to a local cloud.

use std::path::PathBuf;

use crate::home::HomeError;

/// Why the cloud didn't do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// There is no daemon to ask.
    #[error("no local cloud runs in {}; start it first", home.display())]
    NotRunning {
        /// The home.
        home: PathBuf,
    },
    /// The connection broke, or the answer isn't one.
    #[error("the local cloud at {url} did not answer: {why}")]
    Connection {
        /// Where.
        url: String,
        /// What was seen.
        why: String,
    },
    /// It answered with an error.
    #[error("the local cloud refused ({status}): {message}")]
    Refused {
        /// HTTP status code.
        status: u16,
        /// Its words.
        message: String,
    },
    /// No machine has this name.
    #[error("the local cloud has no machine `{0}`; see `local machines`")]
    NoSuchMachine(String),
    /// Several have it.
    #[error("several machines are called `{name}`; name the zone, too: {}", candidates.join(", "))]
    Ambiguous {
        /// The name.
        name: String,
        /// `zone/name` of each.
        candidates: Vec<String>,
    },
    /// The daemon could not be started.
    #[error("the local cloud did not start: {why}. The end of {}:\n{log}", log_file.display())]
    Start {
        /// What was seen.
        why: String,
        /// Its log.
        log_file: PathBuf,
        /// The last lines of it.
        log: String,
    },
    /// The daemon did not stop.
    #[error("the local cloud (process {pid}) was told to stop and still runs after {seconds} s")]
    Stop {
        /// Its process.
        pid: u32,
        /// How long it was waited for.
        seconds: u64,
    },
    /// A file of the home.
    #[error(transparent)]
    Home(#[from] HomeError),
}
