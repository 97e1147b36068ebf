//! Facts about a host, and what in them rules it out as a machine. Pure.

use std::collections::BTreeMap;

/// etcd, the API server and pods: <https://etcd.io/docs/v3.6/op-guide/hardware/>
const LEAST_MEMORY_MIB: u64 = 1536;
/// Programs, images and etcd's data.
const LEAST_DISK_MIB: u64 = 4096;
/// Certificates are valid from one day earlier, but leases, tokens and logs depend on the clock.
const WORST_SKEW: f64 = 60.0;
/// NTP keeps hosts within this.
const USUAL_SKEW: f64 = 2.0;
/// <https://etcd.io/docs/v3.6/faq/#what-does-the-etcd-warning-failed-to-send-out-heartbeat-on-time-mean>
const USUAL_FSYNC_US: u64 = 10_000;

/// The remedy if hosts can't reach each other.
pub(super) const REACH_HINT: &str = "allow TCP 2379, 2380, 6443, 10250 and UDP 8472 between the hosts, in their own firewalls and in the network's";

/// Facts about a host. A name may have several values.
#[derive(Debug, Default)]
pub(super) struct Facts(BTreeMap<String, Vec<String>>);

/// When a host was queried, in seconds since 1970 by this machine's clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    /// The start of the query.
    pub(super) from: f64,
    /// The arrival of the response.
    pub(super) until: f64,
}

/// The purpose of a host.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    /// The architecture of the programs to download, as `uname -m` prints it.
    pub(super) architecture: &'static str,
    /// Whether etcd runs on it.
    pub(super) is_replica: bool,
    /// Whether it may hold the endpoint's address.
    pub(super) shares_endpoint: bool,
}

/// A problem and its remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// The problem.
    pub(super) what: String,
    /// The remedy.
    pub(super) hint: String,
}

/// The problems of one host on its own.
#[derive(Debug, Default)]
pub(super) struct Judgement {
    /// Problems that rule it out.
    pub(super) obstacles: Vec<Finding>,
    /// Problems that only make it a worse machine.
    pub(super) warnings: Vec<Finding>,
}

impl Facts {
    /// Parses the script's output.
    pub(super) fn parse(text: &str) -> Self {
        let mut facts: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
            let values = facts.entry(name.to_owned()).or_default();
            values.push(value.trim().to_owned());
        }
        Self(facts)
    }

    /// All values of a name.
    pub(super) fn all(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// The first value of a name, or an empty string.
    pub(super) fn one(&self, name: &str) -> &str {
        self.all(name).first().map_or("", String::as_str)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.one(name).parse().ok()
    }

    /// How many seconds the clock is at least ahead of this machine's; negative if behind.
    fn skew(&self, asked: Asked) -> f64 {
        match self.one("clock").parse::<f64>() {
            Ok(clock) if clock < asked.from => clock - asked.from,
            Ok(clock) if clock > asked.until => clock - asked.until,
            _ => 0.0,
        }
    }

    /// The host's problems.
    pub(super) fn judge(&self, asked: Asked, wanted: Wanted) -> Judgement {
        let mut judgement = Judgement::default();
        self.judge_system(wanted.architecture, &mut judgement);
        self.judge_size(&mut judgement);
        self.judge_clock(asked, &mut judgement);
        self.judge_programs(wanted.shares_endpoint, &mut judgement);
        self.judge_use(&mut judgement);
        let slow = self.number("fsync_us").filter(|us| *us > USUAL_FSYNC_US);
        if let Some(us) = slow.filter(|_| wanted.is_replica) {
            let what = format!(
                "its disk takes {} ms to sync a write; 10 ms or less is recommended for etcd",
                us / 1000
            );
            judgement.warn(
                what,
                "put /var/lib/etcd on a faster disk, such as a dedicated SSD",
            );
        }
        judgement
    }

    fn judge_system(&self, architecture: &str, judgement: &mut Judgement) {
        if self.one("systemd") != "yes" {
            judgement.refuse(
                "it doesn't run systemd",
                "hakube's components are systemd units: use Debian 12, Ubuntu 22.04 or newer",
            );
        }
        let os = self.one("os");
        if !os
            .split_whitespace()
            .any(|word| matches!(word, "debian" | "ubuntu"))
        {
            judgement.warn(
                format!("its operating system is {os:?}, which hakube isn't tested with"),
                "use Debian 12, Ubuntu 22.04 or newer",
            );
        }
        let arch = self.one("arch");
        if arch != architecture {
            judgement.refuse(
                format!("its architecture is {arch}, but the cluster's is {architecture}"),
                "leave it out of the inventory; to change the cluster's architecture, set --node-arch amd64 or arm64",
            );
        }
        for module in self.all("missing_module") {
            judgement.refuse(
                format!("its kernel has no module {module}"),
                "install linux-modules-extra-$(uname -r), or another kernel",
            );
        }
        for controller in self.all("missing_controller") {
            judgement.refuse(
                format!("its kernel has no {controller} cgroup controller"),
                "remove cgroup_disable from the kernel's command line, and reboot",
            );
        }
    }

    fn judge_size(&self, judgement: &mut Judgement) {
        let below = |name, least| self.number(name).filter(move |number| *number < least);
        if below("cpus", 2).is_some() {
            judgement.warn(
                "it has only one CPU",
                "use two or more: Kubernetes' components and pods share them",
            );
        }
        if let Some(mib) = below("memory_mib", LEAST_MEMORY_MIB) {
            judgement.refuse(
                format!("it has {mib} MiB of memory; at least {LEAST_MEMORY_MIB} MiB are required"),
                "add memory, or remove the host from the inventory",
            );
        }
        if let Some(mib) = below("disk_mib", LEAST_DISK_MIB) {
            judgement.refuse(
                format!("/var/lib has {mib} MiB free; at least {LEAST_DISK_MIB} MiB are required"),
                "free some space there: du -xm /var/lib | sort -n | tail",
            );
        }
    }

    fn judge_clock(&self, asked: Asked, judgement: &mut Judgement) {
        let skew = self.skew(asked);
        let which = if skew > 0.0 { "ahead" } else { "behind" };
        let what = format!("its clock is {:.0} s {which} of this machine's", skew.abs());
        let hint = "turn on NTP on both: timedatectl set-ntp true";
        if skew.abs() > WORST_SKEW {
            judgement.refuse(what, hint);
        } else if skew.abs() > USUAL_SKEW {
            judgement.warn(what, hint);
        }
    }

    fn judge_programs(&self, shares_endpoint: bool, judgement: &mut Judgement) {
        let missing = self.all("missing");
        if !missing.is_empty() {
            judgement.refuse(
                format!("it is missing {}", missing.join(", ")),
                "apt-get install python3-minimal iproute2 iptables diffutils util-linux",
            );
        }
        let missing = self.all("no_endpoint_program");
        if shares_endpoint && !missing.is_empty() {
            judgement.refuse(
                format!(
                    "it is missing {}, which replicas need to share the endpoint's address",
                    missing.join(", ")
                ),
                "apt-get install haproxy keepalived curl; or use your own balancer: --endpoint ADDRESS:PORT",
            );
        }
    }

    fn judge_use(&self, judgement: &mut Judgement) {
        for runs in self.all("runs") {
            let (program, pid) = runs.split_once(' ').unwrap_or((runs, "?"));
            let hint = match program {
                "containerd" | "dockerd" | "crio" => {
                    "hakube runs its own container runtime: stop this one, or remove the host from the inventory"
                }
                _ => {
                    "the host is in another cluster: remove it from the inventory, or from that cluster (kubeadm reset)"
                }
            };
            judgement.refuse(
                format!("{program} already runs on it (process {pid})"),
                hint,
            );
        }
        for port in self.all("port") {
            let mut words = port.split(' ');
            let (port, name, pid) = (words.next(), words.next(), words.next());
            let name = name.unwrap_or("a program").replace('_', " ");
            let (port, pid) = (port.unwrap_or_default(), pid.unwrap_or("?"));
            judgement.refuse(
                format!("port {port} is in use by {name} (process {pid})"),
                "stop it, or remove the host from the inventory",
            );
        }
        let has = self.all("has");
        if !has.is_empty() {
            judgement.refuse(
                format!(
                    "it already has {}, which hakube would overwrite",
                    has.join(", ")
                ),
                "remove them if they aren't needed, or remove the host from the inventory",
            );
        }
        for directory in self.all("used") {
            judgement.refuse(
                format!("{directory} isn't empty: another cluster has used it"),
                "remove its contents if they aren't needed, or remove the host from the inventory",
            );
        }
    }
}

impl Judgement {
    fn refuse(&mut self, what: impl Into<String>, hint: &str) {
        self.obstacles.push(finding(what, hint));
    }

    fn warn(&mut self, what: impl Into<String>, hint: &str) {
        self.warnings.push(finding(what, hint));
    }
}

fn finding(what: impl Into<String>, hint: &str) -> Finding {
    Finding {
        what: what.into(),
        hint: hint.to_owned(),
    }
}

/// Identities that should be unique but that two hosts share, by the second host's name. Each host
/// is given by its name and facts.
pub(super) fn shared_identities(hosts: &[(&str, &Facts)]) -> Vec<(String, Finding)> {
    let mut seen: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    let mut found = Vec::new();
    let kinds = [
        ("hostname", "host name", "hostnamectl set-hostname NAME"),
        (
            "machine_id",
            "machine-id",
            "rm /etc/machine-id; systemd-machine-id-setup; reboot",
        ),
        ("mac", "MAC address", "set it in the hypervisor"),
    ];
    for (name, facts) in hosts {
        for (kind, word, remedy) in kinds {
            for value in facts.all(kind).iter().filter(|value| !value.is_empty()) {
                let other = seen.insert((kind, value), name);
                if let Some(other) = other.filter(|other| other != name) {
                    let what = format!("its {word} {value} is also that of {other}");
                    let hint = format!("cloned hosts each need their own: {remedy}");
                    found.push(((*name).to_owned(), Finding { what, hint }));
                }
            }
        }
    }
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    const GOOD: &str = "os=debian\narch=x86_64\ncpus=2\nmemory_mib=4096\ndisk_mib=20000\nclock=1000.5\nsystemd=yes\n\
                        fsync_us=900\n";
    const ASKED: Asked = Asked {
        from: 1000.0,
        until: 1001.0,
    };

    const REPLICA: Wanted = Wanted {
        architecture: "x86_64",
        is_replica: true,
        shares_endpoint: true,
    };

    fn judge(text: &str) -> Judgement {
        Facts::parse(text).judge(ASKED, REPLICA)
    }

    /// A good host, except for this line.
    fn but(line: &str) -> Judgement {
        let (name, _) = line.split_once('=').unwrap();
        let rest = GOOD
            .lines()
            .filter(|good| !good.starts_with(&format!("{name}=")));
        let rest: String = rest.map(|good| format!("{good}\n")).collect();
        judge(&format!("{rest}{line}\n"))
    }

    #[test]
    fn a_good_host_passes() {
        let judgement = judge(GOOD);
        assert_eq!(judgement.obstacles, []);
        assert_eq!(judgement.warnings, []);
    }

    #[test]
    fn each_obstacle_is_named_with_its_number() {
        let table = [
            ("arch=aarch64", "aarch64"),
            ("memory_mib=512", "512 MiB of memory"),
            ("disk_mib=100", "100 MiB free"),
            ("clock=700", "300 s behind"),
            ("clock=1400", "399 s ahead"),
            ("missing=python3", "is missing python3"),
            ("no_endpoint_program=keepalived", "is missing keepalived"),
            (
                "port=6443 kube-apiserver 42",
                "port 6443 is in use by kube-apiserver (process 42)",
            ),
            (
                "port=6443 a_program ?",
                "port 6443 is in use by a program (process ?)",
            ),
            ("runs=kubelet 7", "kubelet already runs on it (process 7)"),
            ("runs=dockerd 7", "dockerd already runs"),
            ("used=/var/lib/etcd", "/var/lib/etcd isn't empty"),
            (
                "has=/usr/local/bin/runc",
                "it already has /usr/local/bin/runc",
            ),
            ("missing_module=overlay", "no module overlay"),
            ("missing_controller=memory", "no memory cgroup controller"),
            ("systemd=", "systemd"),
        ];
        for (line, words) in table {
            let found = but(line).obstacles;
            assert_eq!(found.len(), 1, "{line}: {found:?}");
            assert!(found[0].what.contains(words), "{line}: {found:?}");
            assert!(!found[0].hint.is_empty());
        }
    }

    #[test]
    fn a_host_must_have_the_clusters_architecture() {
        let arm = Wanted {
            architecture: "aarch64",
            ..REPLICA
        };
        let found = Facts::parse(GOOD).judge(ASKED, arm).obstacles;
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(
            found[0].what,
            "its architecture is x86_64, but the cluster's is aarch64"
        );
        let good = GOOD.replace("x86_64", "aarch64");
        assert_eq!(Facts::parse(&good).judge(ASKED, arm).obstacles, []);
    }

    #[test]
    fn minor_problems_are_warnings() {
        let table = [
            ("clock=990", "10 s behind"),
            ("fsync_us=25000", "25 ms"),
            ("cpus=1", "one CPU"),
            ("os=alpine", "alpine"),
        ];
        for (line, words) in table {
            let judgement = but(line);
            assert_eq!(judgement.obstacles, [], "{line}");
            assert_eq!(judgement.warnings.len(), 1, "{line}");
            let what = &judgement.warnings[0].what;
            assert!(what.contains(words), "{line}: {what}");
        }
        // A node runs no etcd and shares no address.
        let node = Facts::parse(&format!("{GOOD}no_endpoint_program=haproxy\n"));
        let node = node.judge(
            ASKED,
            Wanted {
                is_replica: false,
                shares_endpoint: false,
                ..REPLICA
            },
        );
        assert_eq!((node.obstacles, node.warnings), (vec![], vec![]));
    }

    #[test]
    fn a_host_without_facts_is_refused() {
        let judgement = judge("");
        assert_eq!(judgement.obstacles.len(), 2, "systemd and its architecture");
    }

    #[test]
    fn cloned_hosts_are_found_by_their_shared_identities() {
        let host = |text: &str| Facts::parse(text);
        let (a, b, c) = (
            host("hostname=a\nmachine_id=1\nmac=52:54:00:00:00:01\n"),
            host("hostname=b\nmachine_id=1\nmac=52:54:00:00:00:02\n"),
            host("hostname=a\nmachine_id=\nmac=52:54:00:00:00:03\n"),
        );
        let found = shared_identities(&[("a", &a), ("b", &b), ("c", &c)]);
        let words: Vec<String> = found
            .iter()
            .map(|(host, finding)| format!("{host}: {}", finding.what))
            .collect();
        assert_eq!(
            words,
            [
                "b: its machine-id 1 is also that of a",
                "c: its host name a is also that of a"
            ]
        );
    }
}
