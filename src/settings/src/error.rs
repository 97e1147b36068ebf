//! Errors of settings, reported all at once.

use super::origin::Origin;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// An error of a setting.
#[derive(Debug, thiserror::Error)]
pub enum SettingError {
    /// An invalid value.
    #[error("{setting} is {value:?}, {origin}: {problem}. Expected {valid}.")]
    Invalid {
        /// The canonical variable.
        setting: &'static str,
        /// The value as given.
        value: String,
        /// Its origin.
        origin: Origin,
        /// The problem.
        problem: String,
        /// The valid form.
        valid: String,
    },
    /// Two names of one setting, from one source, disagree.
    #[error(
        "{setting} has two values: {first:?}, {first_origin}, and {second:?}, {second_origin}. Both are \
         names of one setting: unset one of them."
    )]
    Conflict {
        /// The canonical variable.
        setting: &'static str,
        /// One value.
        first: String,
        /// Its origin.
        first_origin: Origin,
        /// The other value.
        second: String,
        /// Its origin.
        second_origin: Origin,
    },
    /// A required value without default.
    #[error("{setting} isn't set, and {why}. Set {how} to {valid}.")]
    Missing {
        /// The canonical variable.
        setting: &'static str,
        /// What requires it.
        why: String,
        /// The names that set it.
        how: String,
        /// The valid form.
        valid: String,
    },
    /// An unknown flag.
    #[error("{flag} isn't a flag of any setting; see `hakube --help`.")]
    UnknownFlag {
        /// The flag.
        flag: String,
    },
    /// The env file can't be read.
    #[error("cannot read env file {}, from --env-file: {source}. Expected a text file of NAME=value lines.", path.display())]
    UnreadableFile {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A malformed line of the env file.
    #[error("env file {} line {line}: {problem}. Expected NAME=value, NAME='value' or # comment.", path.display())]
    MalformedLine {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The problem.
        problem: String,
    },
}

/// All errors of the settings; never empty.
#[derive(Debug)]
pub struct SettingErrors(pub Vec<SettingError>);

impl fmt::Display for SettingErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.0.as_slice() {
            return only.fmt(f);
        }
        write!(f, "{} settings are invalid:", self.0.len())?;
        self.0.iter().try_for_each(|error| write!(f, "\n  {error}"))
    }
}

impl std::error::Error for SettingErrors {}
