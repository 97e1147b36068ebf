//! Errors with a kind that the caller acts on.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The result of every provider call.
pub type Result<T> = std::result::Result<T, ProviderError>;

/// What a failure means for whoever called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// Something of that name is there and isn't ours, or changed under us.
    Conflict,
    /// A quota is used up: the same call will fail until it is raised.
    Quota,
    /// The zone has no room at the moment: another zone may.
    NoCapacity,
    /// Credentials are missing, expired, or not allowed to do this.
    Denied,
    /// The same call may succeed later, not before `retry_after` when the provider named a time.
    Transient {
        /// How long the provider asked to wait.
        retry_after: Option<Duration>,
    },
    /// The request itself is wrong: a zone, a size or a name that the provider refuses.
    Invalid,
    /// Anything else; calling again won't help.
    Fatal,
}

/// A provider call that failed: what was tried, on which resource, in whose words, what to do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not {action} {resource}: {message}")]
pub struct ProviderError {
    /// What the failure means.
    pub kind: ErrorKind,
    /// What was being done, as an infinitive: `create`, `delete`, `read`.
    pub action: String,
    /// The resource, with its scope: `machine kubernetes-master in europe-west1-b`.
    pub resource: String,
    /// The provider's own words, with its code or reason where there is one.
    pub message: String,
    /// What the user can do about it.
    pub hint: Option<String>,
}

impl ProviderError {
    /// An error without a hint.
    pub fn new(
        kind: ErrorKind,
        action: impl Into<String>,
        resource: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            action: action.into(),
            resource: resource.into(),
            message: message.into(),
            hint: None,
        }
    }

    /// The same error with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, ErrorKind::Transient { .. })
    }
}
