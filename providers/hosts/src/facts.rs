//! What a host is like, and what of that keeps it from being a machine of a cluster: pure.

use std::collections::BTreeMap;

/// etcd, the API server and pods beside them: <https://etcd.io/docs/v3.6/op-guide/hardware/>
const LEAST_MEMORY_MIB: u64 = 1536;
/// Programs, images and etcd's data.
const LEAST_DISK_MIB: u64 = 4096;
/// Certificates are valid from a day before; but leases, tokens and logs go by the clock.
const WORST_SKEW: f64 = 60.0;
/// What NTP keeps any host within.
const USUAL_SKEW: f64 = 2.0;
/// <https://etcd.io/docs/v3.6/faq/#what-does-the-etcd-warning-failed-to-send-out-heartbeat-on-time-mean>
const USUAL_FSYNC_US: u64 = 10_000;

/// Facts of a host: of some names there are several.
#[derive(Debug, Default)]
pub(crate) struct Facts(BTreeMap<String, Vec<String>>);

/// From when to when, in seconds since 1970 by this host's clock, a host was asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    /// Before that, it didn't know.
    pub(crate) from: f64,
    /// Then its answer was here.
    pub(crate) until: f64,
}

/// What a host is to become.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// The architecture that programs are downloaded for, as `uname -m` prints it.
    pub(crate) architecture: &'static str,
    /// Whether etcd runs on it.
    pub(crate) is_replica: bool,
    /// Whether it may hold the endpoint's address.
    pub(crate) shares_endpoint: bool,
}

/// Something that is wrong, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// What is wrong.
    pub(crate) what: String,
    /// What to do.
    pub(crate) hint: String,
}

/// What is wrong with one host by itself.
#[derive(Debug, Default)]
pub(crate) struct Judgement {
    /// What keeps it from being a machine.
    pub(crate) obstacles: Vec<Finding>,
    /// What makes it a worse one.
    pub(crate) warnings: Vec<Finding>,
}

impl Facts {
    /// From what the script printed.
    pub(crate) fn parse(text: &str) -> Self {
        let mut facts: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
            let values = facts.entry(name.to_owned()).or_default();
            values.push(value.trim().to_owned());
        }
        Self(facts)
    }

    /// All of a name.
    pub(crate) fn all(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// The only one of a name, or nothing.
    pub(crate) fn one(&self, name: &str) -> &str {
        self.all(name).first().map_or("", String::as_str)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.one(name).parse().ok()
    }

    /// By how many seconds the clock is ahead of this host's, at least; negative: behind.
    fn skew(&self, asked: Asked) -> f64 {
        match self.one("clock").parse::<f64>() {
            Ok(clock) if clock < asked.from => clock - asked.from,
            Ok(clock) if clock > asked.until => clock - asked.until,
            _ => 0.0,
        }
    }

    /// What is wrong. Whoever shares the endpoint's address needs programs for that.
    pub(crate) fn judge(&self, asked: Asked, wanted: Wanted) -> Judgement {
        let mut judgement = Judgement::default();
        self.judge_system(wanted.architecture, &mut judgement);
        self.judge_size(&mut judgement);
        self.judge_clock(asked, &mut judgement);
        self.judge_programs(wanted.shares_endpoint, &mut judgement);
        self.judge_use(&mut judgement);
        let slow = self.number("fsync_us").filter(|us| *us > USUAL_FSYNC_US);
        if let Some(us) = slow.filter(|_| wanted.is_replica) {
            let what = format!(
                "its disk takes {} ms to have a write for good; etcd wants 10 ms or less",
                us / 1000
            );
            judgement.warn(
                what,
                "put /var/lib/etcd on a faster disk, an SSD of its own",
            );
        }
        judgement
    }

    fn judge_system(&self, architecture: &str, judgement: &mut Judgement) {
        if self.one("systemd") != "yes" {
            judgement.refuse(
                "it isn't run by systemd",
                "hakube's components are systemd's units: take Debian 12, Ubuntu 22.04 or newer",
            );
        }
        let os = self.one("os");
        if !os
            .split_whitespace()
            .any(|word| matches!(word, "debian" | "ubuntu"))
        {
            judgement.warn(
                format!("its operating system is {os:?}, which hakube wasn't tried with"),
                "Debian 12 and Ubuntu 22.04 or newer are",
            );
        }
        let arch = self.one("arch");
        if arch != architecture {
            judgement.refuse(
                format!("its architecture is {arch}, and programs are downloaded for {architecture}"),
                "leave it out of the inventory; for a cluster of the other architecture, set --node-arch amd64 or arm64",
            );
        }
        for module in self.all("missing_module") {
            judgement.refuse(
                format!("its kernel has no module {module}"),
                "install the kernel's modules (linux-modules-extra-$(uname -r)), or another kernel",
            );
        }
        for controller in self.all("missing_controller") {
            judgement.refuse(
                format!("its kernel doesn't count {controller} by cgroup"),
                "take cgroup_disable off the kernel's command line, and boot it again",
            );
        }
    }

    fn judge_size(&self, judgement: &mut Judgement) {
        let below = |name, least| self.number(name).filter(move |number| *number < least);
        if below("cpus", 2).is_some() {
            judgement.warn(
                "it has one processor",
                "give it two: Kubernetes' components and pods share it",
            );
        }
        if let Some(mib) = below("memory_mib", LEAST_MEMORY_MIB) {
            judgement.refuse(
                format!("it has {mib} MiB of memory, and {LEAST_MEMORY_MIB} are needed"),
                "give it more, or leave it out of the inventory",
            );
        }
        if let Some(mib) = below("disk_mib", LEAST_DISK_MIB) {
            judgement.refuse(
                format!("/var/lib has {mib} MiB free, and {LEAST_DISK_MIB} are needed"),
                "make room there: du -xm /var/lib | sort -n | tail",
            );
        }
    }

    fn judge_clock(&self, asked: Asked, judgement: &mut Judgement) {
        let skew = self.skew(asked);
        let which = if skew > 0.0 { "ahead" } else { "behind" };
        let what = format!("its clock is {:.0} s {which} of this host's", skew.abs());
        let hint = "set the wrong one of the two by NTP: timedatectl set-ntp true";
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
                format!("it hasn't got {}", missing.join(", ")),
                "apt-get install python3-minimal iproute2 iptables diffutils util-linux",
            );
        }
        let missing = self.all("no_endpoint_program");
        if shares_endpoint && !missing.is_empty() {
            judgement.refuse(
                format!(
                    "it hasn't got {}, by which replicas share the endpoint's address",
                    missing.join(", ")
                ),
                "apt-get install haproxy keepalived curl; or name a balancer of your own: --endpoint ADDRESS:PORT",
            );
        }
    }

    fn judge_use(&self, judgement: &mut Judgement) {
        for runs in self.all("runs") {
            let (program, pid) = runs.split_once(' ').unwrap_or((runs, "?"));
            let hint = match program {
                "containerd" | "dockerd" | "crio" => {
                    "a host's containers and a cluster's can't share it: leave it out of the inventory, or stop them"
                }
                _ => {
                    "it belongs to another cluster: leave it out of the inventory, or take it out of that one (kubeadm reset)"
                }
            };
            judgement.refuse(
                format!("{program} runs on it already (process {pid})"),
                hint,
            );
        }
        for port in self.all("port") {
            let mut words = port.split(' ');
            let (port, name, pid) = (words.next(), words.next(), words.next());
            let name = name.unwrap_or("a program").replace('_', " ");
            let (port, pid) = (port.unwrap_or_default(), pid.unwrap_or("?"));
            judgement.refuse(
                format!("port {port} is taken by {name} (process {pid})"),
                "stop it, or leave the host out of the inventory",
            );
        }
        let has = self.all("has");
        if !has.is_empty() {
            judgement.refuse(
                format!(
                    "it has {} already, which hakube would put others in the place of",
                    has.join(", ")
                ),
                "if nobody needs them, remove them; or leave the host out of the inventory",
            );
        }
        for directory in self.all("used") {
            judgement.refuse(
                format!("{directory} isn't empty: another cluster has used it"),
                "if nobody needs what is there, remove it; or leave the host out of the inventory",
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

/// What two hosts have that should be each one's own, in words, by the second host's name. A host is its name and facts.
pub(crate) fn shared_identities(hosts: &[(&str, &Facts)]) -> Vec<(String, Finding)> {
    let mut seen: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    let mut found = Vec::new();
    let kinds = [
        ("hostname", "host name", "hostnamectl set-hostname NAME"),
        (
            "machine_id",
            "machine-id",
            "rm /etc/machine-id; systemd-machine-id-setup; reboot",
        ),
        (
            "mac",
            "MAC address",
            "the hypervisor that made them sets it",
        ),
    ];
    for (name, facts) in hosts {
        for (kind, word, remedy) in kinds {
            for value in facts.all(kind).iter().filter(|value| !value.is_empty()) {
                let other = seen.insert((kind, value), name);
                if let Some(other) = other.filter(|other| other != name) {
                    let what = format!("its {word} {value} is that of {other} too");
                    let hint = format!("hosts that were copied need their own: {remedy}");
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

    /// A good host, but for this line.
    fn but(line: &str) -> Judgement {
        let (name, _) = line.split_once('=').unwrap();
        let rest = GOOD
            .lines()
            .filter(|good| !good.starts_with(&format!("{name}=")));
        let rest: String = rest.map(|good| format!("{good}\n")).collect();
        judge(&format!("{rest}{line}\n"))
    }

    #[test]
    fn a_plain_host_will_do() {
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
            ("missing=python3", "hasn't got python3"),
            ("no_endpoint_program=keepalived", "hasn't got keepalived"),
            (
                "port=6443 kube-apiserver 42",
                "port 6443 is taken by kube-apiserver (process 42)",
            ),
            (
                "port=6443 a_program ?",
                "port 6443 is taken by a program (process ?)",
            ),
            ("runs=kubelet 7", "kubelet runs on it already (process 7)"),
            ("runs=dockerd 7", "dockerd runs"),
            ("used=/var/lib/etcd", "/var/lib/etcd isn't empty"),
            (
                "has=/usr/local/bin/runc",
                "it has /usr/local/bin/runc already",
            ),
            ("missing_module=overlay", "no module overlay"),
            ("missing_controller=memory", "memory by cgroup"),
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
    fn a_host_must_have_the_architecture_that_programs_are_downloaded_for() {
        let arm = Wanted {
            architecture: "aarch64",
            ..REPLICA
        };
        let found = Facts::parse(GOOD).judge(ASKED, arm).obstacles;
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(
            found[0].what,
            "its architecture is x86_64, and programs are downloaded for aarch64"
        );
        let good = GOOD.replace("x86_64", "aarch64");
        assert_eq!(Facts::parse(&good).judge(ASKED, arm).obstacles, []);
    }

    #[test]
    fn what_is_only_worse_is_a_warning() {
        let table = [
            ("clock=990", "10 s behind"),
            ("fsync_us=25000", "25 ms"),
            ("cpus=1", "one processor"),
            ("os=alpine", "alpine"),
        ];
        for (line, words) in table {
            let judgement = but(line);
            assert_eq!(judgement.obstacles, [], "{line}");
            assert_eq!(judgement.warnings.len(), 1, "{line}");
            let what = &judgement.warnings[0].what;
            assert!(what.contains(words), "{line}: {what}");
        }
        // A node runs no etcd, and shares no address.
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
    fn a_host_that_says_nothing_is_refused_rather_than_trusted() {
        let judgement = judge("");
        assert_eq!(judgement.obstacles.len(), 2, "systemd and its architecture");
    }

    #[test]
    fn hosts_that_were_copied_are_told_apart_from_those_that_were_not() {
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
                "b: its machine-id 1 is that of a too",
                "c: its host name a is that of a too"
            ]
        );
    }
}
