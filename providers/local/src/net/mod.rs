//! External addresses and balancers: real TCP listeners on loopback addresses.
//!
//! `desired` says, from the state alone, who should listen where and forward what to whom;
//! [`Plane`] makes it so.

mod backends;
mod desired;
mod health;
mod listener;
mod plane;
mod probe;

pub use desired::BackendId;
pub use plane::{Failure, Plane};
