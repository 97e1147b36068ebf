//! What can go wrong, in words that say what to do next.

use std::io;
use std::process::{Command, Output};
use std::time::Duration;

/// Why the yard can't do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Namespaces, mounts and cgroups are root's.
    #[error("hosts can't be made here: that takes root")]
    NotRoot,
    /// A program that the yard calls isn't installed.
    #[error(
        "hosts can't be made here: there is no `{program}`. Install the Debian package {package}."
    )]
    NoProgram {
        /// Its name.
        program: &'static str,
        /// The package that has it.
        package: &'static str,
    },
    /// The kernel lacks something.
    #[error("hosts can't be made here: {0}")]
    Unfit(String),
    /// What the caller asked for makes no sense.
    #[error("{0}")]
    Asked(String),
    /// A system call failed.
    #[error("{what}: {source}")]
    Io {
        /// What the yard was doing.
        what: String,
        /// The system's answer.
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
    /// A condition didn't come about in time.
    #[error("waited {waited:?} in vain until {what}{detail}")]
    Late {
        /// The condition.
        what: String,
        /// How long.
        waited: Duration,
        /// What is known of the reason; empty, or begins with `: ` or a line break.
        detail: String,
    },
}

/// The result of anything here.
pub type Result<T> = std::result::Result<T, Error>;

/// Says what was being done when a system call failed.
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

/// Runs a program to its end; a failure is an error that has what it printed. Returns its stdout.
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
    let said = [text(&output.stderr), text(&output.stdout)].join("");
    Error::Program {
        what,
        output: format!("{}: {}", output.status, said.trim()),
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
