//! The endpoint's address on the replicas themselves: keepalived decides who holds it, and haproxy
//! forwards to all ready API servers.
//!
//! haproxy runs on all replicas, and binds the address even where it isn't present, so that a new
//! holder serves immediately. The API servers listen only on the machines' own addresses.

mod haproxy;
mod keepalived;
#[cfg(test)]
mod tests;
mod units;

pub(super) use units::{ENABLED, files as documents};

use hakube_model::Arrangement;
use hakube_secret::{Secret, SecretFile};

/// The configuration in force on a machine: a copy of the [`Arrangement`], written last, once the
/// programs have been reloaded.
pub const IN_FORCE: &str = "/run/hakube/endpoint.json";
/// keepalived's configuration.
pub const KEEPALIVED: &str = "/etc/hakube/endpoint/keepalived.conf";
/// haproxy's configuration.
pub const HAPROXY: &str = "/etc/hakube/endpoint/haproxy.cfg";
/// When this file changes, the machine applies it and the files next to it.
pub const ARRANGEMENT: &str = "/etc/hakube/endpoint/arrangement.json";
/// The cluster's CA, for checks that don't run as root.
pub const CA: &str = "/etc/hakube/endpoint/ca.crt";
/// keepalived's configuration with the machine's network interface filled in.
const RENDERED: &str = "/run/hakube/keepalived.conf";
/// The placeholder of that interface: only the machine knows its name.
const INTERFACE: &str = "@INTERFACE@";
/// haproxy responds 200 here while the machine's own API server is ready.
const ALIVE: &str = "/run/hakube/haproxy.sock";
/// The check of a machine that shares the address.
const CHECK: &str = "/usr/local/lib/hakube/endpoint-check";

/// keepalived's and haproxy's configuration for the machine with this name; both are empty if it
/// isn't listed.
pub fn configuration(arrangement: &Arrangement, machine: &str) -> (String, String) {
    match arrangement.sharer(machine) {
        None => (String::new(), String::new()),
        Some((place, own)) => (
            keepalived::render(arrangement, place, own),
            haproxy::render(arrangement, own),
        ),
    }
}

/// The files that configure the machine with this name, ending with the one that triggers the change.
pub fn files(arrangement: &Arrangement, machine: &str, ca: &str) -> Vec<SecretFile> {
    let (keepalived, haproxy) = configuration(arrangement, machine);
    // JSON can represent text, numbers and addresses.
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
