//! The endpoint's address on the replicas themselves: keepalived says who holds it, haproxy forwards to every
//! API server that is ready.
//!
//! haproxy runs on each of them, on the address whether it is there or not, so that who takes it over
//! serves at once. The API servers listen on the machines' own addresses only.

mod haproxy;
mod keepalived;
#[cfg(test)]
mod tests;
mod units;

pub(super) use units::{ENABLED, files as documents};

use crate::cluster::Arrangement;
use crate::pki::{Secret, SecretFile};

/// What is in force on a machine: a copy of the [`Arrangement`] that is made last, once programs have been told.
pub const IN_FORCE: &str = "/run/hakube/endpoint.json";
/// keepalived's configuration.
pub const KEEPALIVED: &str = "/etc/hakube/endpoint/keepalived.conf";
/// haproxy's configuration.
pub const HAPROXY: &str = "/etc/hakube/endpoint/haproxy.cfg";
/// When this file changes, the machine does what it and those beside it say.
pub const ARRANGEMENT: &str = "/etc/hakube/endpoint/arrangement.json";
/// The cluster's CA, for checks that aren't root's.
const CA: &str = "/etc/hakube/endpoint/ca.crt";
/// keepalived's configuration with the machine's own network interface in it.
const RENDERED: &str = "/run/hakube/keepalived.conf";
/// What stands in the configuration for that interface: only the machine knows what it is called.
const INTERFACE: &str = "@INTERFACE@";
/// Where haproxy answers 200 while the machine's own API server is ready: it asks that anyway.
const ALIVE: &str = "/run/hakube/haproxy.sock";
/// The check of a machine that shares the address.
const CHECK: &str = "/usr/local/lib/hakube/endpoint-check";

/// keepalived's and haproxy's configuration on the machine of this name; both are empty where it shares nothing.
pub fn configuration(arrangement: &Arrangement, machine: &str) -> (String, String) {
    match arrangement.sharer(machine) {
        None => (String::new(), String::new()),
        Some((place, own)) => (
            keepalived::render(arrangement, place, own),
            haproxy::render(arrangement, own),
        ),
    }
}

/// The files by which the machine of this name shares the address so, the one that makes it do so last.
pub fn files(arrangement: &Arrangement, machine: &str, ca: &str) -> Vec<SecretFile> {
    let (keepalived, haproxy) = configuration(arrangement, machine);
    // It is text, numbers and addresses, which JSON can hold.
    let json = serde_json::to_string(arrangement).unwrap_or_default();
    [
        (CA, ca.to_owned()),
        (HAPROXY, haproxy),
        (KEEPALIVED, keepalived),
        (ARRANGEMENT, format!("{json}\n")),
    ]
    .map(|(path, content)| SecretFile {
        path: path.to_owned(),
        mode: 0o644,
        content: Secret::new(content),
    })
    .into()
}
