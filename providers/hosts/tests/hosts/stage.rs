//! Hosts for tests, and their contents.

use hakube_contract::{group_spec, machine_spec};
use hakube_hosts::{Downloads, Host, Hosts, HostsConfig, Role};
use hakube_provider::{MachineSpec, NodeGroupSpec, SshServer};
use hakube_ssh::{Key, Login};
use hakube_yard::{HostSpec, Yard};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Other tests may load this machine.
const LIMIT: Duration = Duration::from_secs(120);
pub const ENDPOINT: &str = "10.77.0.200";

/// A yard's hosts.
pub struct Stage {
    pub yard: Yard,
    pub hosts: Vec<hakube_yard::Host>,
}

/// `None` if tests run without hosts.
pub fn stage(name: &str, hosts: &[&str]) -> Option<Stage> {
    if hakube_yard::without_hosts() {
        eprintln!("skipped: HAKUBE_TESTS_WITHOUT_HOSTS=1");
        return None;
    }
    let yard = Yard::open(name).unwrap();
    let specs: Vec<HostSpec> = hosts.iter().map(|name| HostSpec::new(*name)).collect();
    let hosts = yard.boot_all(&specs).unwrap();
    for host in &hosts {
        host.wait_booted(LIMIT).unwrap();
    }
    Some(Stage { yard, hosts })
}

impl Stage {
    /// The hosts as an inventory has them: alternating between two zones, with a login that isn't root.
    pub fn config(&self) -> HostsConfig {
        let key = Key::read(&self.yard.ssh_key()).unwrap();
        let hosts = self
            .hosts
            .iter()
            .zip(["rack-a", "rack-a", "rack-b"].iter().cycle());
        HostsConfig {
            limit: std::time::Duration::from_secs(300),
            hosts: hosts
                .map(|(host, zone)| Host {
                    name: host.name().to_owned(),
                    address: host.address().into(),
                    zone: (*zone).to_owned(),
                    role: Role::Any,
                    labels: BTreeMap::from([("disk".to_owned(), "ssd".to_owned())]),
                    server: SshServer {
                        address: host.address().into(),
                        port: 22,
                        host_keys: vec![host.ssh_host_key().unwrap()],
                    },
                    login: Login {
                        user: "op".to_owned(),
                        key: key.clone(),
                    },
                    through: None,
                })
                .collect(),
            vxlan: true,
            downloads: Downloads::default(),
            endpoint: Some(ENDPOINT.parse::<IpAddr>().unwrap()),
            offered: Vec::new(),
            architecture: std::env::consts::ARCH,
        }
    }

    /// Runs a test in the yard's network, with a provider of all hosts.
    pub fn run<T: Send + 'static>(
        &self,
        test: impl AsyncFnOnce(Arc<Hosts>) -> T + Send + 'static,
    ) -> T {
        self.run_with(self.config(), test)
    }

    /// Does the same with this configuration.
    pub fn run_with<T: Send + 'static>(
        &self,
        config: HostsConfig,
        test: impl AsyncFnOnce(Arc<Hosts>) -> T + Send + 'static,
    ) -> T {
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build().unwrap();
            runtime.block_on(test(Arc::new(Hosts::new(config))))
        };
        self.yard.inside(run).unwrap()
    }
}

/// Runs a shell script on a host. Panics if it fails.
pub fn sh(host: &hakube_yard::Host, script: &str) -> String {
    let printed = host.run(&["sh", "-euc", script]).unwrap().checked();
    printed
        .unwrap_or_else(|error| panic!("{}: {error}", host.name()))
        .trim()
        .to_owned()
}

/// A document with a service that runs, one that waits for a file, and a file that replaces one of
/// the host's own.
pub const DOCUMENT: &str = r"#cloud-config
write_files:
- path: /usr/local/bin/kubelet
  permissions: '0755'
  content: |
    #!/bin/sh
    . /etc/hakube/machine.env
    mkdir -p /run/hakube; echo $NODE $NODE_ADDRESS >/run/hakube/said
    exec sleep 1000000
- path: /etc/systemd/system/kubelet.service
  permissions: '0644'
  content: |
    [Service]
    ExecStart=/usr/local/bin/kubelet
    [Install]
    WantedBy=multi-user.target
- path: /etc/systemd/system/etcd.service
  permissions: '0644'
  content: |
    [Service]
    ExecStart=/usr/bin/sleep 1000000
- path: /etc/systemd/system/etcd.path
  permissions: '0644'
  content: |
    [Path]
    PathExists=/etc/etcd/join.env
    [Install]
    WantedBy=multi-user.target
- path: /etc/kubernetes/secret
  permissions: '0600'
  encoding: b64
  content: aGVsbG8=
- path: /etc/modules-load.d/modules.conf
  permissions: '0644'
  content: |
    overlay
runcmd:
- [sync]
- [systemctl, daemon-reload]
- [systemctl, enable, --now, kubelet.service, etcd.path]
";

pub fn machine(cluster: &str, name: &str, zone: &str) -> MachineSpec {
    MachineSpec {
        labels: BTreeMap::from([("hakube-role".to_owned(), "replica".to_owned())]),
        user_data: DOCUMENT.to_owned(),
        ..machine_spec(cluster, name, zone)
    }
}

pub fn group(cluster: &str, zone: &str, size: u32) -> NodeGroupSpec {
    let machine = machine(cluster, &format!("{cluster}-minion-group-{zone}"), zone);
    group_spec(machine, &format!("{cluster}-minion-template-0"), size)
}

/// Everything on a host that a cluster could change, one item per line.
pub fn state_of(host: &hakube_yard::Host) -> Vec<String> {
    let printed = sh(
        host,
        r"
        find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /var/tmp -o -path /var/log/journal \
            -o -path /var/lib/systemd -o -path /var/lib/sudo -o -path /run/sudo -o -path /var/cache -o -path /run/motd.dynamic -o -path '/var/log/[wb]tmp' -o -path /var/log/lastlog -o -path /etc/ld.so.cache \) -prune \
            -o ! -type f -printf 'file %p %y %m %U:%G %l\n' -o -type f -printf 'file %p %y %m %U:%G %s %T@\n'
        find /var/lib /run -xdev -maxdepth 2 \( -path /var/lib/systemd -o -path '/run/systemd/*' -o -path '/run/log*' -o -path '/run/sudo*' \
            -o -path '/run/user*' -o -path '/run/lock*' -o -path '/run/motd.dynamic' -o -path '/var/lib/sudo*' \) -prune -o -printf 'file %p %y %m\n'
        find /etc/systemd/system /usr/local /etc/containerd /etc/modules-load.d -type f -exec sha256sum {} + | sed 's/^/sum /'
        systemctl list-unit-files --no-legend --plain | grep -v '\.scope' | sed 's/^/unit /'
        systemctl list-units --all --type=service,path,timer,socket --no-legend --plain |
            grep -v 'user@\|user-runtime-dir@\|systemd-tmpfiles-clean\|systemd-logind\|session\|not-found' | sed 's/^/loaded /'
        ip -o link | sed 's/^[0-9]*: /link /; s/ state .*//; s/@if[0-9]*//'
        ip -o address | grep -v ' fe80:' | sed 's/^[0-9]*: /address /; s/ valid_lft.*//'
        ip route show table all | grep -v 'fe80:\|^multicast\|^anycast' | sed 's/^/route /'
        nft list ruleset | sed 's/^/nft /; s/ counter packets [0-9]* bytes [0-9]*//'
        cut -d ' ' -f 1-3 /proc/mounts | grep -v '/run/user' | sed 's,^/dev/loop[0-9]*,disk,; s/^/mount /'
        find /sys/fs/cgroup -maxdepth 3 -type d | grep -v 'user\.slice\|session\|init\.scope' | grep kube || true
        for process in /proc/[0-9]*; do readlink $process/exe || true; done | grep -v 'sshd\|sftp\|/sh$\|dash\|bash\|sudo\|systemd' |
            grep -v 'find\|readlink\|grep\|/sed$\|sort' | sort | sed 's/^/process /'
        for setting in net/ipv4/ip_forward fs/inotify/max_user_instances; do echo setting $setting $(cat /proc/sys/$setting); done
        ",
    );
    let mut lines: Vec<String> = printed.lines().map(str::to_owned).collect();
    lines.sort();
    lines.dedup();
    lines
}

/// The lines of only one of the two, with + and -.
pub fn difference(before: &[String], after: &[String]) -> Vec<String> {
    let gone = before.iter().filter(|line| !after.contains(line));
    let new = after.iter().filter(|line| !before.contains(line));
    gone.map(|line| format!("- {line}"))
        .chain(new.map(|line| format!("+ {line}")))
        .collect()
}
