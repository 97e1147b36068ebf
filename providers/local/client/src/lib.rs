//! The client of a local cloud: finds its daemon, starts it, and calls its admin API.

mod calls;
mod cloud;
mod error;
mod faults;
pub mod home;
pub mod identity;
mod process;
mod rule;
mod types;
mod wire;

pub use cloud::LocalCloud;
pub use error::ClientError;
pub use hakube_local_machine::{DiskSpace, NewFile};
pub use rule::{Act, FaultReport, FaultReports, FaultRule, LoggedRequest, LoggedRequests, Moment};
pub use types::{FileContent, MachineSummary, StartOptions, Status};
