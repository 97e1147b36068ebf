//! The process that runs an operation.

use std::fmt;

use nix::unistd::{User, geteuid, gethostname};
use serde::{Deserialize, Serialize};

/// A process and its user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The user's name on that host.
    pub user: String,
    /// The host's name.
    pub host: String,
    /// Its pid.
    pub pid: u32,
}

impl Actor {
    /// This process.
    pub fn current() -> Self {
        let uid = geteuid();
        let user = User::from_uid(uid).ok().flatten();
        Self {
            // A user without a name, as in containers, is shown by number.
            user: user.map_or_else(|| uid.to_string(), |user| user.name),
            host: gethostname().map_or_else(
                |_| "unknown".into(),
                |host| host.to_string_lossy().into_owned(),
            ),
            pid: std::process::id(),
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, host, pid } = self;
        write!(f, "{user}@{host}, pid {pid}")
    }
}
