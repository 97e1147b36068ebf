//! The yard: hosts boot and lose power and network, and nothing of them remains.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod happenings;
mod hosts;
mod remains;

use std::time::Duration;

use hakube_yard::{Host, HostSpec, Yard};

/// Other tests may load this machine.
const LIMIT: Duration = Duration::from_secs(90);

/// `None` if tests run without hosts.
fn open(name: &str) -> Option<Yard> {
    if hakube_yard::without_hosts() {
        eprintln!("skipped: HAKUBE_TESTS_WITHOUT_HOSTS=1");
        return None;
    }
    Some(Yard::open(name).unwrap())
}

fn boot(yard: &Yard, specs: &[HostSpec]) -> Vec<Host> {
    let hosts = yard.boot_all(specs).unwrap();
    for host in &hosts {
        host.wait_booted(LIMIT).unwrap();
    }
    hosts
}

/// Runs a shell script on a host. Panics if it fails.
fn sh(host: &Host, script: &str) -> String {
    let printed = host.run(&["sh", "-euc", script]).unwrap().checked();
    printed
        .unwrap_or_else(|error| panic!("{}: {error}", host.name()))
        .trim()
        .to_owned()
}

fn reaches(from: &Host, to: &Host) -> bool {
    let to = to.address().to_string();
    from.run(&["ping", "-c", "1", "-W", "0.3", &to])
        .unwrap()
        .status
        .success()
}
