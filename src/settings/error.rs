//! What is wrong with the settings: all of it at once.

use super::origin::Origin;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// One thing that is wrong.
#[derive(Debug, thiserror::Error)]
pub enum SettingError {
    /// A value that can't be used.
    #[error("{setting} is {value:?}, {origin}: {problem}. Valid is {valid}.")]
    Invalid {
        /// The canonical variable.
        setting: &'static str,
        /// The value as it was given.
        value: String,
        /// Who gave it.
        origin: Origin,
        /// What is wrong with it.
        problem: String,
        /// What would be right.
        valid: String,
    },
    /// Two names of one setting, from one source, disagree.
    #[error(
        "{setting} has two values: {first:?}, {first_origin}, and {second:?}, {second_origin}. They are \
         names of one setting: unset one of them."
    )]
    Conflict {
        /// The canonical variable.
        setting: &'static str,
        /// One value.
        first: String,
        /// Who gave it.
        first_origin: Origin,
        /// The other value.
        second: String,
        /// Who gave that.
        second_origin: Origin,
    },
    /// A value that can't be done without and has no default.
    #[error("{setting} isn't set, and {why}. Set it by {how}; valid is {valid}.")]
    Missing {
        /// The canonical variable.
        setting: &'static str,
        /// Who needs it.
        why: String,
        /// The names by which it can be set.
        how: String,
        /// What would be right.
        valid: String,
    },
    /// A flag that sets nothing.
    #[error("{flag} is no flag of any setting; `hakube --help` lists them.")]
    UnknownFlag {
        /// The flag.
        flag: String,
    },
    /// The env file can't be read.
    #[error("cannot read env file {}, from --env-file: {source}. It must be a readable text file of NAME=value lines.", path.display())]
    UnreadableFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A line of the env file that isn't one.
    #[error("env file {} line {line}: {problem}. Valid is NAME=value, NAME='value' or # comment.", path.display())]
    MalformedLine {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
}

/// Everything that is wrong with the settings; never empty.
#[derive(Debug)]
pub struct SettingErrors(pub Vec<SettingError>);

impl fmt::Display for SettingErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.0.as_slice() {
            return only.fmt(f);
        }
        write!(f, "{} settings are wrong:", self.0.len())?;
        self.0.iter().try_for_each(|error| write!(f, "\n  {error}"))
    }
}

impl std::error::Error for SettingErrors {}
