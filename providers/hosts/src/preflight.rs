//! What keeps hosts from being what a cluster needs: all of it, of all hosts, in one report.

use crate::remote::{QUICK, Remote};
use futures::future::join_all;
use hakube_provider::{ErrorKind, PreflightSpec, ProviderError};
use std::collections::BTreeMap;
use std::net::IpAddr;

const FACTS: &str = include_str!("facts.sh");

/// The architectures that programs are downloaded for.
const ARCHITECTURE: &str = "x86_64";
/// etcd, the API server and pods beside them: <https://etcd.io/docs/v3.6/op-guide/hardware/>
const LEAST_MEMORY_MIB: u64 = 1536;
/// Programs, images and etcd's data.
const LEAST_DISK_MIB: u64 = 4096;
/// Certificates are valid from a day before; but leases, tokens and logs go by the clock.
const SKEW_SECONDS: i64 = 60;

/// Facts of a host: of some names there are several.
pub(crate) struct Facts(BTreeMap<String, Vec<String>>);

impl Facts {
    fn parse(text: &str) -> Self {
        let mut facts: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
            facts
                .entry(name.to_owned())
                .or_default()
                .push(value.to_owned());
        }
        Self(facts)
    }

    fn all(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    fn one(&self, name: &str) -> &str {
        self.all(name).first().map_or("", String::as_str)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.one(name).parse().ok()
    }
}

/// A finding: what is wrong, and what to do.
pub(crate) type Finding = (String, &'static str);

/// What is wrong with one host by itself. `now` is this host's clock, in seconds since 1970.
pub(crate) fn judge(facts: &Facts, now: i64, shares_endpoint: bool) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    let mut add = |what: String, hint| found.push((what, hint));
    if facts.one("systemd") != "yes" {
        add(
            "it isn't run by systemd".to_owned(),
            "hakube's components are systemd's units: Debian 12, Ubuntu 22.04 or newer",
        );
    }
    let arch = facts.one("arch");
    if arch != ARCHITECTURE {
        add(
            format!("its architecture is {arch}, and programs are downloaded for {ARCHITECTURE}"),
            "leave it out of the inventory",
        );
    }
    if let Some(mib) = facts
        .number("memory_mib")
        .filter(|mib| *mib < LEAST_MEMORY_MIB)
    {
        add(
            format!("it has {mib} MiB of memory, and {LEAST_MEMORY_MIB} are needed"),
            "give it more, or leave it out",
        );
    }
    if let Some(mib) = facts.number("disk_mib").filter(|mib| *mib < LEAST_DISK_MIB) {
        add(
            format!("/var/lib has {mib} MiB free, and {LEAST_DISK_MIB} are needed"),
            "make room there",
        );
    }
    if let Ok(clock) = facts.one("clock").parse::<i64>() {
        let skew = clock - now;
        if skew.abs() > SKEW_SECONDS {
            let which = if skew > 0 { "ahead" } else { "behind" };
            add(
                format!("its clock is {} s {which} of this host's", skew.abs()),
                "set one of the two by NTP: timedatectl set-ntp true",
            );
        }
    }
    for program in facts.all("missing") {
        add(
            format!("{program} isn't installed"),
            "apt-get install python3 iproute2 iptables",
        );
    }
    if shares_endpoint {
        for program in facts.all("no_endpoint_program") {
            add(
                format!(
                    "{program} isn't installed, by which replicas share the endpoint's address"
                ),
                "apt-get install haproxy keepalived; or name a balancer of your own: --endpoint ADDRESS:PORT",
            );
        }
    }
    for module in facts.all("missing_module") {
        add(
            format!("its kernel has no {module}"),
            "install its modules: linux-modules-extra, or another kernel",
        );
    }
    for port in facts.all("port") {
        let mut words = port.split(' ');
        let (port, name, pid) = (words.next(), words.next(), words.next());
        add(
            format!(
                "port {} is taken by {} (process {})",
                port.unwrap_or_default(),
                name.unwrap_or("somebody"),
                pid.unwrap_or("?")
            ),
            "stop it, or leave the host out",
        );
    }
    for program in facts.all("runs") {
        add(
            format!("a {program} runs on it already"),
            "it belongs to another cluster: leave it out, or reset it (kubeadm reset)",
        );
    }
    for directory in facts.all("used") {
        add(
            format!("{directory} isn't empty"),
            "it belonged to a cluster: if nobody needs that, remove what is in it",
        );
    }
    found
}

/// Looks at the hosts that will be leased; of others nothing is asked.
pub(crate) async fn preflight(
    remotes: &[Remote],
    endpoint: Option<IpAddr>,
    spec: &PreflightSpec,
) -> Vec<ProviderError> {
    let what = "use";
    let names: Vec<&str> = spec
        .machines
        .iter()
        .map(|machine| machine.machine.name.as_str())
        .collect();
    let zones: Vec<&str> = spec
        .node_groups
        .iter()
        .map(|group| group.machine.machine.zone.as_str())
        .collect();
    let wanted = remotes.iter().filter(|remote| {
        names.contains(&remote.host.name.as_str()) || zones.contains(&remote.host.zone.as_str())
    });
    let asked = join_all(wanted.map(async |remote| {
        let answer = remote.run(what, FACTS, &[], b"", (QUICK, &[])).await;
        (remote, answer)
    }))
    .await;
    let now = jiff::Timestamp::now().as_second();
    let mut findings = Vec::new();
    let mut seen: BTreeMap<(&str, String), &str> = BTreeMap::new();
    for (remote, answer) in asked {
        let facts = match answer {
            Ok((_, text)) => Facts::parse(&text),
            Err(error) => {
                findings.push(error);
                continue;
            }
        };
        // What it has is this cluster's own, or is refused when it is leased.
        if !facts.one("lease").is_empty() {
            continue;
        }
        let is_replica = names.contains(&remote.host.name.as_str());
        let invalid = |(message, hint): Finding| {
            remote
                .error(what, ErrorKind::Invalid, message)
                .with_hint(hint)
        };
        let own = judge(&facts, now, is_replica && endpoint.is_some());
        findings.extend(own.into_iter().map(invalid));
        for kind in ["hostname", "machine_id", "mac"] {
            for value in facts.all(kind).iter().filter(|value| !value.is_empty()) {
                let other = seen.insert((kind, value.clone()), &remote.host.name);
                if let Some(other) = other.filter(|other| *other != remote.host.name) {
                    let word = kind.replace('_', " ");
                    findings.push(invalid((
                        format!("its {word} {value} is that of {other} too"),
                        "hosts that were cloned need their own: hostnamectl, systemd-machine-id-setup, the hypervisor",
                    )));
                }
            }
        }
    }
    findings
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    const GOOD: &str = "os=debian 12\narch=x86_64\ncpus=2\nmemory_mib=4096\ndisk_mib=20000\nclock=1000\nsystemd=yes\n";

    #[test]
    fn a_plain_host_will_do() {
        assert!(judge(&Facts::parse(GOOD), 1000, true).is_empty());
    }

    #[test]
    fn each_obstacle_is_named_with_its_number() {
        let table = [
            ("arch=aarch64", "aarch64"),
            ("memory_mib=512", "512 MiB of memory"),
            ("disk_mib=100", "100 MiB free"),
            ("clock=700", "300 s behind"),
            ("clock=1400", "400 s ahead"),
            ("missing=python3", "python3 isn't installed"),
            (
                "no_endpoint_program=keepalived",
                "keepalived isn't installed",
            ),
            (
                "port=6443 kube-apiserver 42",
                "port 6443 is taken by kube-apiserver (process 42)",
            ),
            ("runs=kubelet", "a kubelet runs on it"),
            ("used=/var/lib/etcd", "/var/lib/etcd isn't empty"),
            ("systemd=", "systemd"),
        ];
        for (line, words) in table {
            let (name, _) = line.split_once('=').unwrap();
            let rest: String = GOOD
                .lines()
                .filter(|good| !good.starts_with(&format!("{name}=")))
                .map(|good| format!("{good}\n"))
                .collect();
            let found = judge(&Facts::parse(&format!("{rest}{line}\n")), 1000, true);
            assert_eq!(found.len(), 1, "{line}: {found:?}");
            assert!(found[0].0.contains(words), "{line}: {}", found[0].0);
        }
    }
}
