//! The emulator of Compute Engine's v1 API: its calls, operations that take time, fault rules, and the state on disk.
//! Instances are machines of a runtime ([`hakube_local_machine::Runtime`]), addresses are listeners
//! ([`hakube_local_net`]).

mod calls;
mod cloud;
mod disks;
mod faults;
mod guests;
mod operation;
mod place;
mod plane;
mod store;

pub use calls::routes;
pub use cloud::Cloud;
pub use faults::{Faults, OperationFault};
pub use guests::Guests;
pub use operation::carry_on;
pub use plane::forwarded_addresses;
pub use store::{LoadError, Store, load};
