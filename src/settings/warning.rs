//! What an operator should know about settings that are nevertheless valid.

use serde::Serialize;
use std::fmt;

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know: the wish is met.
    Note,
    /// What was set has no effect, or not the one that was meant.
    Warning,
}

/// Something to know about one setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// How much it matters.
    pub severity: Severity,
    /// The variable that it is about.
    pub variable: String,
    /// What there is to know, as sentences that name the variable.
    pub message: String,
}

impl Warning {
    /// What was set has no effect, or not the one that was meant.
    pub fn new(variable: impl Into<String>, message: String) -> Self {
        Self {
            severity: Severity::Warning,
            variable: variable.into(),
            message,
        }
    }

    /// Good to know.
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
