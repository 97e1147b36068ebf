//! The yard: hosts to test on. Each is a machine of systemd-nspawn with Debian, systemd as its first process, sshd,
//! a disk, a power button and a network cable; all are on one network without a way out.
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
//! let answer = yard.ssh(&hosts[1], "op")?.arg("uptime").output();
//! # Ok(())
//! # }
//! ```
//!
//! Nothing of a yard outlives it. If its owner is killed, the next one that opens finds what is left, and removes
//! it. The program `yard` does all of this by hand.

mod build;
mod cgroup;
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
pub use spec::HostSpec;
pub use until::{until, until_some};
pub use yard::{Yard, clean};

/// Are tests to do without hosts? `HAKUBE_TESTS_WITHOUT_HOSTS=1` says so, where hosts can't be made.
pub fn without_hosts() -> bool {
    std::env::var_os("HAKUBE_TESTS_WITHOUT_HOSTS").is_some_and(|value| value == "1")
}
