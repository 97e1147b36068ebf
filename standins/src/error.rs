//! Why a stand-in could not start, or had to stop.

use std::path::PathBuf;

use thiserror::Error;

/// A reason to exit with status 1. Printed once, on the last line of the log.
#[derive(Debug, Error)]
pub enum StartError {
    /// The command line; the wording is pflag's, so that what a real component refuses reads the same here.
    #[error("{0}")]
    Usage(String),

    /// A flag names a file that can't be read.
    #[error("--{flag}: can't read {}: {source}", path.display())]
    File {
        /// Flag, without dashes.
        flag: String,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },

    /// A flag names a file whose content isn't what the flag needs.
    #[error("--{flag}: {} is not usable: {reason}", path.display())]
    Content {
        /// Flag, without dashes.
        flag: String,
        /// The file.
        path: PathBuf,
        /// What is wrong with it. Never quotes the content: it may be a key.
        reason: String,
    },

    /// The address is taken, or isn't this machine's.
    #[error(
        "can't listen on {address}: {source}; change --bind-address or --secure-port, or stop what holds it"
    )]
    Listen {
        /// Address and port asked for.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },

    /// TLS material that is readable but doesn't fit together.
    #[error("TLS set-up failed: {0}")]
    Tls(String),

    /// The operating system refused something that can't be done without.
    #[error("{what}: {source}")]
    System {
        /// What was being done.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },

    /// Another instance took the lease, or it couldn't be renewed in time. Real components exit here too,
    /// and leave it to their supervisor to start them again as a follower.
    #[error("leaderelection lost: {0}")]
    LeadershipLost(String),
}

/// Result of everything that happens before a stand-in serves.
pub type Result<T, E = StartError> = std::result::Result<T, E>;
