//! Errors and their remedies.

use std::io;
use std::process::{Command, Output};
use std::time::Duration;

/// Why the yard can't do what was requested.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Namespaces, mounts and cgroups require root.
    #[error("can't create hosts here: root is required")]
    NotRoot,
    /// A program that the yard needs isn't installed.
    #[error(
        "can't create hosts here: `{program}` is not installed. Install the Debian package {package}."
    )]
    NoProgram {
        /// The program.
        program: &'static str,
        /// The package that contains it.
        package: &'static str,
    },
    /// This machine is unsuitable.
    #[error("can't create hosts here: {0}")]
    Unfit(String),
    /// The request is invalid.
    #[error("{0}")]
    Asked(String),
    /// A system call failed.
    #[error("{what}: {source}")]
    Io {
        /// What the yard was doing.
        what: String,
        /// The system's error.
        source: io::Error,
    },
    /// A program failed.
    #[error("{what} failed: {output}")]
    Program {
        /// The command.
        what: String,
        /// Its exit status and what it printed.
        output: String,
    },
    /// A condition didn't hold in time.
    #[error("timed out after {waited:?} waiting until {what}{detail}")]
    Late {
        /// The condition.
        what: String,
        /// The time limit.
        waited: Duration,
        /// Further information; empty, or begins with `: ` or a line break.
        detail: String,
    },
}

/// The result of the yard's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// Adds what was being done to a failed system call's error.
pub(crate) trait While<T> {
    fn while_(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<io::Error>> While<T> for std::result::Result<T, E> {
    fn while_(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Error::Io {
            what: what(),
            source: error.into(),
        })
    }
}

/// Runs a program to its end and returns its stdout. A failure is an error with the program's output.
pub(crate) fn checked(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .while_(|| format!("starting {}", words(command)))?;
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    Err(failed(words(command), &output))
}

pub(crate) fn failed(what: String, output: &Output) -> Error {
    let printed = [text(&output.stderr), text(&output.stdout)].join("");
    Error::Program {
        what,
        output: format!("{}: {}", output.status, printed.trim()),
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn words(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}
