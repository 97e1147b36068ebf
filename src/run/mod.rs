//! Where plans become true: observe, run steps, observe again.

mod execute;
mod gap;
mod means;
mod observe;
// mod operation;
// mod programs;
mod scheduler;
// mod session;
// mod stored;
mod wait;

pub use means::{Means, Reach};
pub use observe::observe;
// pub use operation::{DownRequest, ReplicateRequest, down, plan_only, reconcile, remove_replica, replicate, up};
// pub use session::Session;
// pub use stored::{Stored, Unfinished};
