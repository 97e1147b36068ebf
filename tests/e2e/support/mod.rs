//! Helpers for tests: homes, and clients independent of hakube.

mod aging;
mod api;
mod cluster;
mod emulator;
mod etcd;
mod home;
mod outcome;
mod processes;
mod wait;
mod writer;

pub use api::Api;
pub use cluster::{
    assert_agreement, assert_api_works, assert_gone, replica, replica_names, replicas_in,
    replicas_that_are,
};
pub use emulator::{Emulator, Inventory};
pub use etcd::{Etcd, text};
pub use home::{HAKUBE, Home, Running, find_in_path};
pub use outcome::Outcome;
pub use processes::Process;
pub use wait::{eventually, eventually_within};
pub use writer::Writer;
