//! Executes plans: observes, runs steps, observes again.

mod backend;
mod backup;
mod certificates;
mod connect;
mod drain;
mod execute;
mod gap;
mod hold;
mod letters;
mod live;
mod machines;
mod manifests;
mod means;
mod observe;
mod operation;
mod programs;
mod record;
mod releases;
mod request;
mod retry;
mod scheduler;
mod serving;
mod session;
mod stored;
mod trust;
mod wait;

#[cfg(test)]
mod tests;

pub use backend::{local_cloud, local_error, start_local};
pub use hakube_plan::RenewRequest;
pub use live::Live;
pub use means::{NewAddress, Turnover};
pub use observe::observe;
pub use operation::{
    Doomed, Keeping, NodesRequest, ReplaceRequest, ReplicateRequest, RestoreRequest, RotateUntil,
    SaveRequest, UpgradeRequest, abandon, admin_kubeconfig, adopt, certificates, clusters, down,
    keep, list_backups, nodes, program_sources, reconcile, remove_replica, renew, repair, replace,
    replicate, restore, rotate_ca, save, status, up, upgrade, verify_backup, watch,
};
pub use request::Request;
pub use session::Session;
pub use stored::Stored;

use means::Means;
use stored::Unfinished;
