//! kubeconfig files: rendering one, and merging entries into files that others use too.
//!
//! The rules are kubectl's (client-go, `tools/clientcmd`): which of several files in `$KUBECONFIG` is
//! written, the `.lock` file beside it, the first file to name a current context wins. Like kubectl,
//! this keeps everything in a file except its comments; unlike kubectl, it keeps the order too.

mod atomic;
mod document;
mod error;
mod file;
mod paths;
mod render;

#[cfg(test)]
mod tests;

pub use error::KubeconfigError;
pub use paths::{Paths, check, client_certificate, install, reaches, uninstall};
pub use render::{Access, Credentials, render, server_url};

/// Result of this module.
pub type Result<T, E = KubeconfigError> = std::result::Result<T, E>;
