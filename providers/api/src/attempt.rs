//! The operation a provider is performing, for its error messages.

use crate::{ErrorKind, ProviderError};
use std::borrow::Cow;
use std::fmt::Display;

/// An action and its resource: the first half of every error message.
#[derive(Debug, Clone)]
pub struct Attempt {
    action: &'static str,
    resource: String,
}

/// A failure as the provider's service reports it.
pub trait Failure {
    /// The kind that the caller acts on.
    fn kind(&self) -> ErrorKind;

    /// The service's message, with its code or reason if it has one.
    fn words(&self) -> String;

    /// What the user can do about it.
    fn hint(&self) -> Option<Cow<'static, str>>;
}

impl Attempt {
    /// An action, as an infinitive, on a resource.
    pub fn new(action: &'static str, resource: impl Display) -> Self {
        Self {
            action,
            resource: resource.to_string(),
        }
    }

    /// Another action on the same resource.
    #[must_use]
    pub fn to(&self, action: &'static str) -> Self {
        Self {
            action,
            resource: self.resource.clone(),
        }
    }

    /// The action and the resource. Stable: the same change has the same words.
    pub fn words(&self) -> String {
        format!("{} {}", self.action, self.resource)
    }

    /// An error of this attempt with hakube's own message.
    pub fn error(&self, kind: ErrorKind, message: impl Into<String>) -> ProviderError {
        ProviderError::new(kind, self.action, self.resource.as_str(), message)
    }

    /// An error of this attempt with the service's message.
    pub fn failed(&self, failure: &impl Failure) -> ProviderError {
        let error = self.error(failure.kind(), failure.words());
        match failure.hint() {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}
