//! Where plans become true: observe, run steps, observe again.

mod backend;
mod certificates;
mod connect;
mod drain;
mod execute;
mod gap;
mod hold;
mod letters;
mod manifests;
mod means;
mod observe;
mod operation;
mod programs;
mod retry;
mod scheduler;
mod serving;
mod session;
mod stored;
mod wait;

#[cfg(test)]
mod tests;

pub use crate::plan::RenewRequest;
pub use backend::{local_cloud, local_error, start_local};
pub use connect::Live;
pub use means::Means;
pub use observe::observe;
pub use operation::{
    Keeping, NodesRequest, ReplaceRequest, ReplicateRequest, abandon, admin_kubeconfig,
    certificates, down, keep, nodes, reconcile, remove_replica, renew, repair, replace, replicate,
    status, up, watch,
};
pub use session::Session;
pub use stored::{Stored, Unfinished};
