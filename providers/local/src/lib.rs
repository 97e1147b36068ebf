//! The local cloud: a Compute Engine API whose machines run on this one.
//!
//! [`serve()`] is the daemon: Compute Engine's v1 REST API ([`compute`]), operations that take time
//! ([`operation`]), external addresses and balancers as TCP listeners ([`net`]), and machines
//! ([`machine`]) as supervised processes with loopback addresses of their own. [`LocalCloud`] is
//! the way to it from other processes.
//!
//! It knows nothing of what people build on it, and shares no types with any client of the API.

pub mod client;
pub mod compute;
pub mod machine;
mod metadata;
pub mod net;
pub mod operation;
pub mod store;

mod admin;
mod batch;
mod cloud;
mod crowd;
mod exchanges;
mod faults;
mod guests;
mod home;
mod serve;
mod server;

pub use client::{ClientError, LocalCloud, MachineSummary, StartOptions, Status};
pub use serve::{ServeConfig, ServeError, serve};
