//! Units, as in systemd.unit(5), systemd.service(5) and systemd.path(5).

mod command_line;
mod expand;
mod file;
mod parse;
pub mod settings;
mod transaction;
mod types;
mod words;

pub use expand::{Environment, environment_file, expand_argv};
pub use parse::parse;
pub use transaction::{Job, start_order, stop_order};
pub use types::{Command, Kind, PathUnit, RestartPolicy, Service, ServiceType, StartLimit, Unit};
