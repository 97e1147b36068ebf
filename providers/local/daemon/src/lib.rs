//! The local cloud: a Compute Engine API whose machines are processes of this host.
//!
//! [`serve()`] is the daemon. It serves Compute Engine's v1 REST API (`hakube-local-compute`), an admin API, and
//! metadata to the machines. [`init`] is what a machine's first process runs. Other processes use
//! `hakube-local-client`.
//!
//! It shares no types with any client of Compute Engine's API.

mod admin;
mod admin_faults;
mod batch;
mod crowd;
mod exchanges;
mod http;
mod identity;
mod inject;
mod metadata;
mod serve;
mod server;

pub use hakube_local_machine::init;
pub use serve::{Machines, ServeConfig, ServeError, serve};
