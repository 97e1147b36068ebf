//! All output of hakube. No other module prints.
//!
//! Data goes to stdout, messages to stderr. With `-o json`, a command that changes a cluster prints one event
//! a line on stdout. For people, it prints plain lines on stderr, and progress bars if that is a terminal.

mod backups;
mod certificates;
mod clusters;
mod event;
mod human;
mod json;
mod prompt;
mod status;
mod table;

pub use backups::{BackupLine, BackupList};
pub use certificates::{CertificateList, ClockStatus, ExpiryStatus};
pub use clusters::{ClusterLine, ClusterList};
pub use event::{Event, StepEvent, Summary};
pub use human::Human;
pub use json::JsonLines;
pub use prompt::{ask, ask_for_name};
pub use status::{
    AddonStatus, ConditionStatus, EndpointStatus, NodeStatus, ReplicaStatus, ServingStatus, Status,
    UnfinishedStatus, VersionStatus, VersionsStatus,
};
pub use table::Table;

use clap::ValueEnum;
use hakube_error::Error;
use std::io::{ErrorKind, Write as _};
use std::sync::OnceLock;

/// The output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON document; commands that change a cluster print one JSON event a line.
    Json,
    /// One YAML document.
    Yaml,
}

/// Handles events as they happen.
pub trait Reporter: Send + Sync {
    /// Handles an event.
    fn event(&self, event: &Event);
}

/// Serializes a whole value in a format for programs.
///
/// # Errors
/// None that a serialisable plain value can cause; reported all the same.
pub fn document(value: &impl serde::Serialize, format: Format) -> hakube_error::Result<String> {
    let broken = |error: &dyn std::fmt::Display| {
        Error::failed("could not serialize the output").because(error)
    };
    match format {
        Format::Yaml => serde_saphyr::to_string(value).map_err(|error| broken(&error)),
        Format::Text | Format::Json => serde_json::to_string_pretty(value)
            .map(|json| json + "\n")
            .map_err(|error| broken(&error)),
    }
}

/// Whether writing to stdout failed.
static LOST: OnceLock<String> = OnceLock::new();

/// Prints data on stdout. A reader that closed the pipe is not an error. Other failures are
/// reported at the end of the command: see [`check_printed`].
pub fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let printed = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    if let Err(error) = printed
        && error.kind() != ErrorKind::BrokenPipe
    {
        LOST.get_or_init(|| error.to_string());
    }
}

/// Checks that all output was written.
///
/// # Errors
/// It isn't: what was to be read is cut off.
pub fn check_printed() -> hakube_error::Result<()> {
    match LOST.get() {
        None => Ok(()),
        Some(why) => Err(Error::failed("could not write the output to stdout")
            .because(why)
            .hint("free some space where it is written, then retry")),
    }
}

/// Prints a note on stderr, without an event.
pub fn print_note(text: &str) {
    eprint(&format!("{text}\n"));
}

/// Prints a warning on stderr, without an event.
pub fn print_warning(text: &str) {
    eprint(&format!("warning: {text}\n"));
}

/// Prints the error that ends a command on stderr.
pub fn print_error(error: &Error) {
    eprint(&human::error_text(error));
}

/// Errors are ignored: if stderr is closed, they can't be reported.
fn eprint(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
