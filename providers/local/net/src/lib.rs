//! The local cloud's network: external addresses and load balancers as TCP listeners on loopback addresses, or
//! as [`Wiring`] of machines that have a network of their own.
//!
//! [`Plane`] opens the listeners and runs the health checks that a [`Desired`] names. [`Doors`] limits the
//! connections of all listeners, those of the daemon's own servers too. Nothing here knows what an instance or a
//! forwarding rule is: resources are paths.

mod connection;
mod desired;
mod doors;
mod health;
mod listener;
mod plane;
mod probe;
mod wiring;

pub use connection::{Connection, Stream};
pub use desired::{BackendId, Desired, Probe, Protocol, Route, Upstream};
pub use doors::{Busy, Door, Doors, Limits, Ticket};
pub use plane::{Failure, Plane};
pub use wiring::{Balancer, Ingress, IpProtocol, Wire, Wires, Wiring};
