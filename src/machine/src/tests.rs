//! Tests of what boots on a machine: documents are parsed like cloud-init does, and checked against
//! the files delivered later.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod delivered;
mod flags;
mod release;

use super::*;
use hakube_model::{Artifact, ImageArchive, PodPrograms, Program, Programs};
use hakube_pki::{self as pki, Authorities, ReplicaIdentity};
use hakube_testing::fixtures::{self, ZONES};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 128, 0, 2));

/// cloud-config as its readers parse it. Values that aren't strings (unquoted `0644` is a number,
/// octal in YAML 1.1) aren't converted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    write_files: Vec<Written>,
    runcmd: Vec<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    path: String,
    permissions: String,
    encoding: Option<String>,
    content: String,
}

fn read(user_data: &str) -> Document {
    assert!(
        user_data.starts_with("#cloud-config\n"),
        "cloud-init checks the first line"
    );
    // Through JSON's types, so that a number isn't accepted as a string.
    let value: serde_json::Value = serde_saphyr::from_str(user_data).unwrap();
    serde_json::from_value(value).unwrap()
}

impl Document {
    fn file(&self, path: &str) -> &Written {
        self.write_files
            .iter()
            .find(|file| file.path == path)
            .unwrap_or_else(|| panic!("no {path}"))
    }

    fn units(&self) -> impl Iterator<Item = &Written> {
        self.write_files
            .iter()
            .filter(|file| file.path.starts_with("/etc/systemd/system/"))
    }

    /// The values of a key in all units.
    fn values(&self, key: &str) -> BTreeSet<&str> {
        let lines = self.units().flat_map(|unit| unit.content.lines());
        lines
            .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='))
            .collect()
    }

    /// All flags of all units.
    fn flags(&self) -> Vec<&str> {
        let lines = self.units().flat_map(|unit| unit.content.lines());
        lines
            .map(|line| line.trim().trim_end_matches(" \\"))
            .filter(|line| line.starts_with("--"))
            .collect()
    }
}

fn replica(variables: &[(&str, &str)]) -> Document {
    read(&replica_user_data(&fixtures::spec(variables)))
}

fn node(variables: &[(&str, &str)]) -> Document {
    read(&node_user_data(&fixtures::spec(variables), ZONES[0]))
}

/// A cluster whose replicas hold the endpoint's address themselves.
const ON_MACHINES: &[(&str, &str)] = &[("KUBERNETES_PROVIDER", "libvirt")];

#[test]
fn a_replica() {
    insta::assert_snapshot!(replica_user_data(&fixtures::spec(&[])));
}

#[test]
fn a_node() {
    insta::assert_snapshot!(node_user_data(&fixtures::spec(&[]), ZONES[0]));
}

#[test]
fn a_compute_engine_node_blocks_metadata_before_it_runs_pods() {
    let document = node(&[]);
    let kubelet = &document.file("/etc/systemd/system/kubelet.service").content;
    for needs in [
        "Requires=metadata-guard.service",
        "After=metadata-guard.service",
    ] {
        assert!(kubelet.contains(needs), "{kubelet}");
    }
    let unit = &document
        .file("/etc/systemd/system/metadata-guard.service")
        .content;
    let script = unit.split_once("ExecStart=/bin/sh ").unwrap().1;
    let script = document.file(script.trim_end());
    assert!(script.content.contains("169.254.169.254"));
    // Its rules don't survive a start or reload of the distribution's firewall.
    let nftables = document.file("/etc/systemd/system/nftables.service.d/hakube.conf");
    for again in ["ExecStartPost", "ExecReload"] {
        let line = format!("{again}=/bin/sh {}\n", script.path);
        assert!(nftables.content.contains(&line), "{}", nftables.content);
    }

    let local = node(&[("KUBERNETES_PROVIDER", "local")]);
    assert!(
        local
            .write_files
            .iter()
            .all(|file| !file.path.contains("metadata-guard"))
    );
}

/// A cluster that downloads all programs, including the kubelet.
fn downloading() -> ClusterSpec {
    let artifact = |name: &str, member: Option<&str>| {
        Program::Artifact(Artifact {
            url: format!("https://mirror.test/{name}"),
            sha256: "0".repeat(64),
            member: member.map(str::to_owned),
        })
    };
    let mut spec = fixtures::spec(&[("KUBE_GCE_ZONE", ZONES[0])]);
    spec.programs = Programs {
        etcd: artifact("etcd.tar.gz", Some("etcd-v3/etcd")),
        kube_apiserver: artifact("kube-apiserver", None),
        kube_controller_manager: artifact("kube-controller-manager", None),
        kube_scheduler: artifact("kube-scheduler", None),
        kubelet: artifact("kubelet", None),
        pods: Some(PodPrograms {
            kube_proxy: artifact("kube-proxy", None),
            containerd: artifact("containerd.tar.gz", Some("bin/")),
            runc: artifact("runc.amd64", None),
            cni_plugins: artifact("cni-plugins.tgz", Some("./")),
            images: vec![ImageArchive {
                image: "registry.k8s.io/pause:3.10.2".to_owned(),
                url: "https://mirror.test/images/pause.tar".to_owned(),
                sha256: "1".repeat(64),
            }],
            deferred_images: None,
        }),
    };
    spec
}

#[test]
fn every_download_is_installed_before_a_unit_runs_it() {
    let spec = downloading();
    for document in [
        read(&replica_user_data(&spec)),
        read(&node_user_data(&spec, ZONES[0])),
    ] {
        let list = &document.file("/etc/hakube/artifacts.json").content;
        let list: Vec<serde_json::Value> = serde_json::from_str(list).unwrap();
        let listed: BTreeSet<&str> = list
            .iter()
            .map(|artifact| artifact["name"].as_str().unwrap())
            .collect();
        let mut run = BTreeSet::new();
        for unit in document.units() {
            let starts = unit.content.split_once("ExecStart=/usr/local/bin/");
            let Some((_, program)) = starts else { continue };
            run.insert(program.split_whitespace().next().unwrap());
            for needs in ["Requires=artifacts.service", "After=artifacts.service"] {
                assert!(unit.content.contains(needs), "{}", unit.content);
            }
        }
        let not_run: BTreeSet<&str> = listed.difference(&run).copied().collect();
        // These are not run by units.
        assert_eq!(
            not_run,
            BTreeSet::from(["cni-plugins", "registry.k8s.io_pause_3.10.2.tar", "runc"])
        );
        assert!(run.is_subset(&listed), "{run:?}");
        let enabled = document.runcmd.last().unwrap();
        assert!(enabled.contains(&"artifacts.service".to_owned()));
    }
}

#[test]
fn a_node_that_runs_pods() {
    insta::assert_snapshot!(node_user_data(&downloading(), ZONES[0]));
}

/// kubelet, containerd and kube-proxy also run on replicas, unless REGISTER_MASTER is false.
#[test]
fn a_replica_is_a_node_with_the_control_plane_taint() {
    let mut spec = downloading();
    let document = read(&replica_user_data(&spec));
    let kubelet = &document.file("/etc/systemd/system/kubelet.service").content;
    for part in [
        "--register-with-taints=node-role.kubernetes.io/control-plane=:NoSchedule",
        "--node-labels=topology.kubernetes.io/zone=${ZONE},",
        "--kubeconfig=/etc/kubernetes/kubelet.kubeconfig",
        "--hostname-override=${REPLICA}",
        "Requires=containerd.service",
    ] {
        assert!(kubelet.contains(part), "{part}: {kubelet}");
    }
    let target = &document
        .file("/etc/systemd/system/control-plane.target")
        .content;
    assert!(target.contains("kubelet.service kube-proxy.service"));

    spec.replica_machines.register = false;
    let document = read(&replica_user_data(&spec));
    for file in &document.write_files {
        for program in ["kubelet", "containerd", "kube-proxy"] {
            assert!(!file.path.contains(program), "{}", file.path);
        }
    }
}

/// The API server verifies kubelets, so that `logs` and `exec` reach only the real ones.
#[test]
fn the_api_server_verifies_kubelets_against_their_ca() {
    let flags = replica(&[]);
    let flags = flags.flags();
    assert!(
        flags.contains(&"--kubelet-certificate-authority=/etc/kubernetes/pki/kubelet-trust-ca.crt")
    );
    assert!(flags.contains(&"--cluster-signing-cert-file=/etc/kubernetes/pki/kubelet-ca.crt"));
}

#[test]
fn kube_proxy_runs_in_the_configured_mode() {
    let mut spec = downloading();
    for (mode, name) in [
        (hakube_model::ProxyMode::Iptables, "iptables"),
        (hakube_model::ProxyMode::Nftables, "nftables"),
    ] {
        spec.network.proxy_mode = mode;
        let document = read(&node_user_data(&spec, ZONES[0]));
        let config = &document.file("/etc/kubernetes/kube-proxy.yaml").content;
        let config: serde_json::Value = serde_json::from_str(config).unwrap();
        assert_eq!(config["mode"], name);
        assert_eq!(
            config["clusterCIDR"],
            spec.network.cluster_range.to_string()
        );
    }
}

/// Only for providers with separate disks; the local cloud uses a directory.
#[test]
fn etcd_starts_once_its_disk_is_mounted() {
    let etcd = |provider: &str| {
        let document = replica(&[("KUBERNETES_PROVIDER", provider)]);
        document
            .file("/etc/systemd/system/etcd.service")
            .content
            .clone()
    };
    for (provider, has_disk) in [("gce", true), ("libvirt", true), ("local", false)] {
        assert_eq!(
            etcd(provider).contains("RequiresMountsFor=/var/lib/etcd\n"),
            has_disk,
            "{provider}"
        );
    }
    let document = replica(&[]);
    let mount = &document
        .file("/etc/systemd/system/var-lib-etcd.mount")
        .content;
    assert!(
        mount.contains("What=/dev/disk/by-id/google-master-pd\nWhere=/var/lib/etcd\n"),
        "{mount}"
    );
}

#[test]
fn modes_are_text_and_files_are_writable_only_by_root() {
    for document in [replica(&[]), replica(ON_MACHINES), node(&[])] {
        for Written {
            path, permissions, ..
        } in &document.write_files
        {
            let mode = u32::from_str_radix(permissions, 8).unwrap();
            assert!(
                permissions.len() == 4 && mode & 0o022 == 0,
                "{path} has mode {permissions}"
            );
        }
    }
}

#[test]
fn every_program_that_a_unit_starts_exists_and_is_executable() {
    for document in [replica(&[]), replica(ON_MACHINES), node(&[])] {
        let mut programs = document.values("ExecStart");
        assert!(!programs.is_empty());
        programs.extend(document.values("ExecStopPost"));
        for command in programs {
            let mut words = command.split_whitespace();
            let program = words.next().unwrap();
            if program == "/bin/sh" {
                document.file(words.next().unwrap());
                continue;
            }
            let theirs = ["/usr/lib/systemd/", "/usr/sbin/", "/bin/"];
            if theirs.iter().any(|place| program.starts_with(place)) {
                continue; // systemd's own, and Debian's
            }
            assert_eq!(document.file(program).permissions, "0755", "{program}");
        }
    }
}

#[test]
fn enabled_units_exist() {
    for document in [replica(&[]), replica(ON_MACHINES), node(&[])] {
        let [sync, reload, enable] = &document.runcmd[..] else {
            panic!("{:?}", document.runcmd)
        };
        // Otherwise a power cut soon after the first boot leaves empty files.
        assert_eq!(sync, &["sync"]);
        assert_eq!(reload.join(" "), "systemctl daemon-reload");
        assert_eq!(enable[..3], ["systemctl", "enable", "--now"]);
        for unit in &enable[3..] {
            document.file(&format!("/etc/systemd/system/{unit}"));
        }
    }
}

#[test]
fn a_replica_gets_its_identity_and_whom_it_joins() {
    let facts = ReplicaFacts {
        name: "m".to_owned(),
        zone: ZONES[0].to_owned(),
        address: ADDRESS,
        bind: Ipv4Addr::UNSPECIFIED.into(),
    };
    assert_eq!(
        replica_env(&facts).content.expose(),
        "REPLICA=m\nZONE=europe-west1-b\nADDRESS=10.128.0.2\nBIND_ADDRESS=0.0.0.0\n"
    );
    let members = [
        ("m", "https://10.128.0.2:2380"),
        ("n", "https://10.128.0.3:2380"),
    ];
    let members = members.map(|(name, url)| (name.to_owned(), url.to_owned()));
    for (kind, state) in [
        (ClusterState::Existing, "existing"),
        (ClusterState::New, "new"),
    ] {
        assert_eq!(
            join_env("prod", &membership("prod", 0xbeef), &members, kind)
                .content
                .expose(),
            format!(
                "ETCD_INITIAL_CLUSTER=m=https://10.128.0.2:2380,n=https://10.128.0.3:2380\n\
                 ETCD_INITIAL_CLUSTER_STATE={state}\nETCD_INITIAL_CLUSTER_TOKEN=prod\n\
                 HAKUBE_MEMBER=prod/beef\n"
            )
        );
    }
    for file in [replica_env(&facts), start_marker()] {
        assert_eq!(file.mode, 0o600);
    }
}

/// Otherwise a member that lost its data would start empty.
#[test]
fn etcd_passes_the_gate_before_each_start_on_every_provider() {
    for provider in ["gce", "local", "libvirt", "hosts"] {
        let document = replica(&[("KUBERNETES_PROVIDER", provider)]);
        let unit = &document.file("/etc/systemd/system/etcd.service").content;
        let last = unit
            .lines()
            .rfind(|line| line.starts_with("ExecStartPre="))
            .unwrap();
        assert_eq!(
            last, "ExecStartPre=/bin/sh /etc/hakube/etcd-gate.sh /var/lib/etcd /etc/etcd",
            "{provider}"
        );
        assert!(
            document
                .file("/etc/hakube/etcd-gate.sh")
                .content
                .contains("HAKUBE_MEMBER")
        );
        assert!(
            unit.contains("EnvironmentFile=/etc/etcd/join.env"),
            "{unit}"
        );
    }
}
