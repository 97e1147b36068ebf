//! Errors as users see them: what happened, why, what to do next, and the exit code.

use hakube_provider::{ErrorKind, ProviderError};

/// The kind of a failure. Each has its own exit code, which scripts rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The operation failed.
    Failed,
    /// A setting or an argument is invalid; nothing was created.
    BadInput,
    /// A safety rule refused the operation; nothing was changed.
    Refused,
    /// Another operation holds the cluster's lock.
    Locked,
    /// The provider refused, or its credentials are missing.
    Provider,
    /// Resources remain that should have been deleted.
    LeftBehind,
}

impl Kind {
    /// The process's exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::BadInput => 2,
            Self::Refused => 3,
            Self::Locked => 4,
            Self::Provider => 5,
            Self::LeftBehind => 6,
        }
    }
}

/// An error as printed: one sentence, its causes, and hints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Decides the exit code.
    pub kind: Kind,
    /// What happened, to which resource.
    pub message: String,
    /// Why, outermost first.
    pub causes: Vec<String>,
    /// What to do next, one command or sentence each.
    pub hints: Vec<String>,
    /// Whether a retry may succeed with nothing else changed.
    pub transient: bool,
}

/// The result type of commands.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error without causes or hints.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            causes: Vec::new(),
            hints: Vec::new(),
            transient: false,
        }
    }

    /// The operation failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    /// A setting or an argument is invalid.
    pub fn bad_input(message: impl Into<String>) -> Self {
        Self::new(Kind::BadInput, message)
    }

    /// A safety rule refused the operation.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(Kind::Refused, message)
    }

    /// Adds a cause.
    #[must_use]
    pub fn because(mut self, cause: impl ToString) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    /// Adds a hint: what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Marks the error as transient.
    #[must_use]
    pub fn transient(mut self) -> Self {
        self.transient = true;
        self
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        for cause in &self.causes {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl From<ProviderError> for Error {
    fn from(error: ProviderError) -> Self {
        let kind = match error.kind {
            ErrorKind::Transient { .. } => Kind::Failed,
            ErrorKind::Invalid => Kind::BadInput,
            ErrorKind::Conflict
            | ErrorKind::Quota
            | ErrorKind::NoCapacity
            | ErrorKind::Denied
            | ErrorKind::Fatal => Kind::Provider,
        };
        let transient = error.is_transient();
        let mut out = Self::new(
            kind,
            format!("could not {} {}", error.action, error.resource),
        )
        .because(error.message);
        out.hints.extend(error.hint);
        out.transient = transient;
        out
    }
}
