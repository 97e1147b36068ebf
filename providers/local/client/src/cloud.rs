//! The handle.

use std::path::PathBuf;

use crate::home::Home;

/// A local cloud, identified by its home directory. It need not be running.
#[derive(Debug, Clone)]
pub struct LocalCloud {
    pub(crate) home: Home,
}

impl LocalCloud {
    /// The cloud in this directory, which need not exist yet.
    pub fn at(home: impl Into<PathBuf>) -> Self {
        Self {
            home: Home::at(home),
        }
    }
}
