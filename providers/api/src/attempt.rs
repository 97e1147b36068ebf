//! What a provider is doing, for the errors that may come of it.

use crate::{ErrorKind, ProviderError};
use std::borrow::Cow;
use std::fmt::Display;

/// What is being done, to which resource: the first half of every error's sentence.
#[derive(Debug, Clone)]
pub struct Attempt {
    action: &'static str,
    resource: String,
}

/// A failure, as a provider's own service tells it.
pub trait Failure {
    /// What it means.
    fn kind(&self) -> ErrorKind;

    /// The service's words, with its code or reason where there is one.
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

    /// The same resource, another action.
    #[must_use]
    pub fn to(&self, action: &'static str) -> Self {
        Self {
            action,
            resource: self.resource.clone(),
        }
    }

    /// What is done to which resource: the same words for the same change.
    pub fn words(&self) -> String {
        format!("{} {}", self.action, self.resource)
    }

    /// The error of this attempt, in our words.
    pub fn error(&self, kind: ErrorKind, message: impl Into<String>) -> ProviderError {
        ProviderError::new(kind, self.action, self.resource.as_str(), message)
    }

    /// The error of this attempt, in the service's words.
    pub fn failed(&self, failure: &impl Failure) -> ProviderError {
        let error = self.error(failure.kind(), failure.words());
        match failure.hint() {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}
