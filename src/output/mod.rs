//! Everything that a person or a script reads. Nothing else prints.
//!
//! stdout is data, stderr is talk: with `-o json` a changing command puts one event a line on stdout;
//! people get plain lines on stderr, and progress bars where that is a terminal.

mod certificates;
mod event;
mod human;
mod json;
mod prompt;
mod status;
mod table;

pub use certificates::{CertificateList, ClockStatus, ExpiryStatus};
pub use event::{Event, StepEvent, Summary};
pub use human::Human;
pub use json::JsonLines;
pub use prompt::ask;
pub use status::{
    AddonStatus, ConditionStatus, EndpointStatus, NodeStatus, ReplicaStatus, ServingStatus, Status,
    UnfinishedStatus,
};
pub use table::Table;

use crate::error::Error;
use clap::ValueEnum;
use std::io::{ErrorKind, Write as _};
use std::sync::OnceLock;

/// How a command's output is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON document, or one JSON event a line from commands that change something.
    Json,
    /// One YAML document.
    Yaml,
}

/// Takes events as they happen.
pub trait Reporter: Send + Sync {
    /// Something happened.
    fn event(&self, event: &Event);
}

/// Writes a whole value in a machine's format.
///
/// # Errors
/// None that a serialisable plain value can cause; reported all the same.
pub fn document(value: &impl serde::Serialize, format: Format) -> crate::error::Result<String> {
    let broken =
        |error: &dyn std::fmt::Display| Error::failed("could not write the answer").because(error);
    match format {
        Format::Yaml => serde_saphyr::to_string(value).map_err(|error| broken(&error)),
        Format::Text | Format::Json => serde_json::to_string_pretty(value)
            .map(|json| json + "\n")
            .map_err(|error| broken(&error)),
    }
}

/// Whether something that was printed on stdout got lost.
static LOST: OnceLock<String> = OnceLock::new();

/// Prints data on stdout. A reader that went away is not an error; another failure is the command's, at its end: see
/// [`check_printed`].
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

/// All that was printed is written.
///
/// # Errors
/// It isn't: what was to be read is cut off.
pub fn check_printed() -> crate::error::Result<()> {
    match LOST.get() {
        None => Ok(()),
        Some(why) => Err(Error::failed("could not write the output to stdout")
            .because(why)
            .hint("make room where it goes, then run this again")),
    }
}

/// Tells on stderr what happened, where nothing else reports.
pub fn print_note(text: &str) {
    tell(&format!("{text}\n"));
}

/// Tells on stderr what is worth worrying about.
pub fn print_warning(text: &str) {
    tell(&format!("warning: {text}\n"));
}

/// Tells on stderr why a command ends.
pub fn print_error(error: &Error) {
    tell(&human::error_text(error));
}

/// Nobody can be told that stderr is closed.
fn tell(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
