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

/// Prints data on stdout. A reader that went away is not an error.
pub fn print(text: &str) {
    use std::io::Write as _;
    let mut stdout = std::io::stdout().lock();
    let _ = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
}

/// Tells on stderr what happened, where nothing else reports.
pub fn print_note(text: &str) {
    eprintln!("{text}");
}

/// Tells on stderr what is worth worrying about.
pub fn print_warning(text: &str) {
    eprintln!("warning: {text}");
}

/// Tells on stderr why a command ends.
pub fn print_error(error: &Error) {
    eprint!("{}", human::error_text(error));
}
