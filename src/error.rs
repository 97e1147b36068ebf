//! What a command that didn't work tells its user: what happened, why, what to do next, and with which
//! code the process ends.

use hakube_provider::{ErrorKind, ProviderError};

/// Why a command ends without having done what it was asked. Each kind has an exit code of its own,
/// which scripts rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Something failed on the way.
    Failed,
    /// A setting or an argument is wrong; nothing was made.
    BadInput,
    /// A safety rule refused it; nothing was changed.
    Refused,
    /// Another operation holds the cluster's lock.
    Locked,
    /// The provider said no, or there are no credentials for it.
    Provider,
    /// Something is left that should be gone.
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

/// An error as a person reads it: one sentence, its causes, and what to do about it.
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
    /// Whether trying again may work without anything else changing.
    pub transient: bool,
}

/// The result of everything that a command does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of some kind, without cause or hint.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            causes: Vec::new(),
            hints: Vec::new(),
            transient: false,
        }
    }

    /// Something failed on the way.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    /// A setting or an argument is wrong.
    pub fn bad_input(message: impl Into<String>) -> Self {
        Self::new(Kind::BadInput, message)
    }

    /// A safety rule refused it.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(Kind::Refused, message)
    }

    /// Adds why it happened.
    #[must_use]
    pub fn because(mut self, cause: impl ToString) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Marks it as worth another try.
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

impl From<crate::kubeconfig::KubeconfigError> for Error {
    fn from(error: crate::kubeconfig::KubeconfigError) -> Self {
        Self::bad_input("could not use the kubeconfig").because(error)
    }
}

impl From<crate::pki::PkiError> for Error {
    fn from(error: crate::pki::PkiError) -> Self {
        Self::failed("could not use the cluster's keys and certificates").because(error)
    }
}

impl From<crate::state::StateError> for Error {
    fn from(error: crate::state::StateError) -> Self {
        Self::bad_input("could not use the state store").because(error)
    }
}

impl From<crate::state::LockError> for Error {
    fn from(error: crate::state::LockError) -> Self {
        match error {
            crate::state::LockError::State(error) => error.into(),
            error => Self::new(Kind::Locked, error.to_string()),
        }
    }
}

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
