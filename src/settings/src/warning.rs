//! Warnings and notes about valid settings.

use serde::Serialize;
use std::fmt;

/// A warning's severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// For information: the setting works as intended.
    Note,
    /// The setting has no effect, or not the intended one.
    Warning,
}

/// A warning or note about a setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// Its severity.
    pub severity: Severity,
    /// The variable.
    pub variable: String,
    /// Sentences that name the variable.
    pub message: String,
}

impl Warning {
    /// The setting has no effect, or not the intended one.
    pub fn new(variable: impl Into<String>, message: String) -> Self {
        Self {
            severity: Severity::Warning,
            variable: variable.into(),
            message,
        }
    }

    /// For information.
    pub fn note(variable: impl Into<String>, message: String) -> Self {
        Self {
            severity: Severity::Note,
            ..Self::new(variable, message)
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
