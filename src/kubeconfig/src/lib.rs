//! Renders kubeconfigs, and merges entries into files that other programs use too.
//!
//! The rules are kubectl's (client-go, `tools/clientcmd`): which of several files in `$KUBECONFIG`
//! is written, the `.lock` file next to it, and that the first file with a current context takes
//! precedence. Everything that kubectl reads is supported: duplicate keys, anchors, JSON, UTF-16.
//! Unlike kubectl, this preserves all text outside hakube's entries.

mod atomic;
mod document;
mod edit;
mod error;
mod file;
mod owner;
mod paths;
mod render;
mod yaml;

#[cfg(test)]
mod dialects;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

pub use error::KubeconfigError;
pub use owner::{context_of, is_owned};
pub use paths::{
    CurrentContext, Paths, check, client_certificate, has_current, install, reaches, uninstall,
};
pub use render::{Access, Credentials, render, server_url};

/// The result type of this module.
pub type Result<T, E = KubeconfigError> = std::result::Result<T, E>;
