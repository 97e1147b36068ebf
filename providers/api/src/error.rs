//! Errors, with a kind that the caller acts on.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The result of every provider call.
pub type Result<T> = std::result::Result<T, ProviderError>;

/// What a failure means for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// A resource of that name exists and isn't the cluster's, or it changed during the call.
    Conflict,
    /// A quota is exhausted. The same call fails until it is raised.
    Quota,
    /// The zone has no capacity at the moment. Another zone may.
    NoCapacity,
    /// Credentials are missing, expired, or not allowed to do this.
    Denied,
    /// The same call may succeed later, but not before `retry_after` if the provider gave one.
    Transient {
        /// How long the provider asked to wait.
        retry_after: Option<Duration>,
    },
    /// The request itself is wrong: the provider rejects a zone, a size or a name.
    Invalid,
    /// Anything else. A retry won't help.
    Fatal,
}

/// A provider call that failed: the action, the resource, the reason and a hint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not {action} {resource}: {message}")]
pub struct ProviderError {
    /// What the failure means.
    pub kind: ErrorKind,
    /// The action, as an infinitive: `create`, `delete`, `read`.
    pub action: String,
    /// The resource and its scope: `machine kubernetes-master in europe-west1-b`.
    pub resource: String,
    /// The provider's own message, with its code or reason if it has one.
    pub message: String,
    /// What the operator can do about it.
    pub hint: Option<String>,
}

impl ErrorKind {
    /// The same call may succeed later, and the provider gave no pause.
    pub const TRANSIENT: Self = Self::Transient { retry_after: None };
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

    /// Adds a hint.
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
