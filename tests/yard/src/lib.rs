//! The yard: hosts to test on. Each is a systemd-nspawn machine with Debian, systemd as its first
//! process, sshd, a disk, a power button and a network cable. All are on one isolated network.
//!
//! ```no_run
//! # fn main() -> hakube_yard::Result<()> {
//! use std::time::Duration;
//! use hakube_yard::{HostSpec, Yard};
//!
//! let yard = Yard::open("example")?;
//! let hosts = yard.boot_all(&[HostSpec::new("a"), HostSpec::new("b")])?;
//! for host in &hosts {
//!     host.wait_booted(Duration::from_secs(60))?;
//! }
//! hosts[0].cut_power()?;
//! let output = yard.ssh(&hosts[1], "op")?.arg("uptime").output();
//! # Ok(())
//! # }
//! ```
//!
//! Nothing of a yard outlives it. If its owner is killed, the next process that opens a yard finds
//! and removes the leftovers. The program `yard` does all of this manually.

mod build;
mod cgroup;
mod device;
mod disk;
mod error;
mod freeze;
mod host;
mod layer;
mod namespace;
mod network;
mod place;
mod process;
mod spec;
mod until;
mod yard;

pub use error::{Error, Result};
pub use freeze::Which;
pub use host::{Host, Ran};
pub use network::ADDRESS;
pub use spec::{Device, HostSpec};
pub use until::{until, until_some};
pub use yard::{Yard, clean, cloud_layer};

/// Whether tests should run without hosts: `HAKUBE_TESTS_WITHOUT_HOSTS=1` is set where hosts can't
/// be created.
pub fn without_hosts() -> bool {
    std::env::var_os("HAKUBE_TESTS_WITHOUT_HOSTS").is_some_and(|value| value == "1")
}
