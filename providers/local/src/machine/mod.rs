//! Machines of the local cloud: a directory, an `init` process and its units.

use std::{path::Path, process::ExitCode};

mod cloud_config;
mod error;
mod guest;
mod paths;
mod spec;
mod unit;

pub use error::GuestError;
pub use guest::Guest;
pub use spec::{GuestSpec, UnitState, UnitStatus};

/// The body of a machine's init process: runs the machine in `dir` until it is shut down.
///
/// The caller's `main` hands over before it has started any thread or runtime.
pub fn init(dir: &Path) -> ExitCode {
    let _ = dir;
    ExitCode::FAILURE
}
