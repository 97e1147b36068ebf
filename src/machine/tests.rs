//! What boots on a machine: read back as cloud-init would, and checked against what is delivered later.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::cluster::fixtures::{self, ZONES};
use crate::pki::{self, Authorities, ReplicaIdentity};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 128, 0, 2));

/// cloud-config as its readers have it. What isn't text here (`0644` without quotes is a number, and in
/// YAML 1.1 an octal one) doesn't become text.
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
        "cloud-init goes by the first line"
    );
    // Through JSON's types: a number stays one, and then isn't a string.
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

    /// All flags of all units, one each.
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
fn a_node_of_compute_engine_runs_no_pod_before_its_metadata_is_closed_to_pods() {
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
    // Its rules don't survive a start or a reload of the distribution's firewall.
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

/// Programs that are downloaded, the kubelet too.
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
        }),
    };
    spec
}

#[test]
fn every_program_that_is_downloaded_is_there_before_a_unit_runs_it() {
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
        // These are run by others than units.
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

/// Kubelet, containerd and kube-proxy run on replicas too, unless REGISTER_MASTER says otherwise.
#[test]
fn a_replica_is_a_node_with_the_taint_of_a_control_plane() {
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

/// The API server verifies kubelets, so that `logs` and `exec` go to nobody else.
#[test]
fn the_api_server_verifies_kubelets_by_the_authority_that_signs_for_them() {
    let flags = replica(&[]);
    let flags = flags.flags();
    assert!(flags.contains(&"--kubelet-certificate-authority=/etc/kubernetes/pki/kubelet-ca.crt"));
    assert!(flags.contains(&"--cluster-signing-cert-file=/etc/kubernetes/pki/kubelet-ca.crt"));
}

#[test]
fn kube_proxy_works_in_the_mode_that_was_asked_for() {
    let mut spec = downloading();
    for (mode, name) in [
        (crate::settings::ProxyMode::Iptables, "iptables"),
        (crate::settings::ProxyMode::Nftables, "nftables"),
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

/// Where a provider has disks of their own; a directory does on the local cloud.
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
fn modes_are_text_and_files_are_no_ones_to_change() {
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
fn every_program_that_a_unit_starts_is_there_and_executable() {
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
fn the_units_that_are_enabled_are_there() {
    for document in [replica(&[]), replica(ON_MACHINES), node(&[])] {
        let [sync, reload, enable] = &document.runcmd[..] else {
            panic!("{:?}", document.runcmd)
        };
        // Else a power cut soon after the first boot leaves empty files.
        assert_eq!(sync, &["sync"]);
        assert_eq!(reload.join(" "), "systemctl daemon-reload");
        assert_eq!(enable[..3], ["systemctl", "enable", "--now"]);
        for unit in &enable[3..] {
            document.file(&format!("/etc/systemd/system/{unit}"));
        }
    }
}

fn delivered() -> BTreeSet<String> {
    let spec = fixtures::spec(&[]);
    let now = jiff::Timestamp::now();
    let authorities = Authorities::generate(spec.pki, now).unwrap();
    let identity = ReplicaIdentity {
        name: spec.names.master(),
        addresses: vec![ADDRESS],
        endpoint: ADDRESS,
        api_port: spec.api.port,
        service_ip: spec.network.service_address(),
        dns_domain: spec.network.dns_domain.clone(),
        node: None,
        extra_sans: Vec::new(),
    };
    let mut files = pki::replica_files(&authorities, &identity, spec.pki, now).unwrap();
    let facts = ReplicaFacts {
        name: spec.names.master(),
        zone: ZONES[0].to_owned(),
        address: ADDRESS,
        bind: ADDRESS,
    };
    files.extend([
        replica_env(&facts),
        join_env("kubernetes", "kubernetes/1", &[], true),
        start_marker(),
    ]);
    files.into_iter().map(|file| file.path).collect()
}

/// The channel puts what units and flags name: a path that differs by a letter is a replica that waits
/// for ever.
#[test]
fn every_file_that_a_replica_waits_for_or_reads_is_delivered() {
    let delivered = delivered();
    let document = replica(&[]);
    let mut named = document.values("EnvironmentFile");
    named.extend(document.values("PathExists"));
    let values = document
        .flags()
        .into_iter()
        .filter_map(|flag| Some(flag.split_once('=')?.1));
    named.extend(values.filter(|value| value.starts_with("/etc/")));
    assert!(named.len() > 20, "{named:?}");
    for path in named {
        assert!(
            delivered.contains(path),
            "{path} is in no file that is delivered: {delivered:#?}"
        );
    }
}

/// Anything on a machine can read its user data.
#[test]
fn nothing_that_is_delivered_as_a_secret_is_in_the_user_data() {
    let delivered = delivered();
    let document = replica(&[]);
    for file in &document.write_files {
        assert!(!delivered.contains(&file.path), "{} is a secret", file.path);
    }
    let node = node(&[]);
    let kubeconfig = node.file("/etc/kubernetes/bootstrap-kubeconfig");
    assert_eq!(
        kubeconfig.content, BOOTSTRAP_KUBECONFIG,
        "the plan holds no token"
    );
    assert_eq!(
        (
            kubeconfig.encoding.as_deref(),
            kubeconfig.permissions.as_str()
        ),
        (Some("b64"), "0600")
    );
    for text in document
        .write_files
        .iter()
        .chain(&node.write_files)
        .map(|file| &file.content)
    {
        assert!(!text.contains("-----BEGIN"), "{text}");
    }
}

/// Each is `unknown flag` to the versions that are supported, and a component that never starts.
#[test]
fn no_flag_that_was_removed_is_given_to_any_supported_version() {
    const REMOVED: [&str; 11] = [
        "--cloud-config",
        "--cloud-provider",
        "--container-runtime",
        "--enable-v2",
        "--etcd-quorum-read",
        "--experimental-",
        "--insecure-bind-address",
        "--insecure-port",
        "--pod-eviction-timeout",
        "--pod-infra-container-image",
        "--port",
    ];
    for minor in 31..=36 {
        for wish in ["true", "false"] {
            let variables = [
                ("KUBE_VERSION", &*format!("1.{minor}.0")),
                ("ENABLE_ETCD_QUORUM_READ", wish),
            ];
            for document in [replica(&variables), node(&variables)] {
                for flag in document.flags() {
                    let name = flag.split('=').next().unwrap();
                    let removed = REMOVED.iter().find(|removed| {
                        name == **removed || removed.ends_with('-') && name.starts_with(**removed)
                    });
                    assert_eq!(removed, None, "1.{minor} gets {flag}");
                }
            }
        }
    }
}

#[test]
fn what_the_operator_asked_of_the_components_is_in_their_flags() {
    let document = replica(&[
        ("ETCD_QUOTA_BACKEND_BYTES", "8589934592"),
        (
            "ETCD_EXTRA_ARGS",
            "--heartbeat-interval=200 --election-timeout=2000",
        ),
        ("KUBE_FEATURE_GATES", "AllAlpha=true"),
        ("KUBE_RUNTIME_CONFIG", "api/all=true"),
        ("SERVICE_CLUSTER_IP_RANGE", "10.3.0.0/16"),
        ("MAX_PODS_PER_NODE", "250"),
        ("RUN_CONTROLLERS", "*,-ttl"),
        ("CLUSTER_SIGNING_DURATION", "24h"),
        ("ETCD_COMPACTION_INTERVAL_SEC", "150"),
        ("KUBE_APISERVER_REQUEST_TIMEOUT_SEC", "300"),
    ]);
    let flags = document.flags();
    for flag in [
        "--quota-backend-bytes=8589934592",
        "--heartbeat-interval=200",
        "--election-timeout=2000",
        "--feature-gates=AllAlpha=true",
        "--runtime-config=api/all=true",
        "--service-cluster-ip-range=10.3.0.0/16",
        "--node-cidr-mask-size=23",
        "--controllers=*,-ttl,bootstrapsigner,tokencleaner",
        "--cluster-signing-duration=86400s",
        "--etcd-compaction-interval=150s",
        "--request-timeout=300s",
    ] {
        assert!(flags.contains(&flag), "no {flag} in {flags:#?}");
    }
}

#[test]
fn what_the_operator_asked_of_kubelets_is_in_their_configuration() {
    let document = node(&[
        ("MAX_PODS_PER_NODE", "250"),
        (
            "EVICTION_HARD",
            "memory.available<250Mi,nodefs.available<10%",
        ),
    ]);
    let configuration = &document.file("/etc/kubernetes/kubelet.yaml").content;
    let configuration: serde_json::Value = serde_json::from_str(configuration).unwrap();
    assert_eq!(configuration["maxPods"], 250);
    let thresholds = serde_json::json!({"memory.available": "250Mi", "nodefs.available": "10%"});
    assert_eq!(configuration["evictionHard"], thresholds);
}

/// etcd refuses a variable that says what a flag says too.
#[test]
fn etcd_is_told_how_often_to_report_progress_under_the_name_that_its_version_has() {
    let variables = |variables: &[(&str, &str)]| -> Vec<String> {
        let document = replica(variables);
        let values = document.values("Environment");
        let values = values
            .into_iter()
            .filter(|value| value.contains("PROGRESS"));
        values.map(str::to_owned).collect()
    };
    const OLD: &str = "ETCD_EXPERIMENTAL_WATCH_PROGRESS_NOTIFY_INTERVAL";
    const NEW: &str = "ETCD_WATCH_PROGRESS_NOTIFY_INTERVAL";
    // etcd 3.6 refuses to start with both.
    for (version, name) in [
        ("3.4.23", OLD),
        ("3.5.26", OLD),
        ("3.6.16", NEW),
        ("3.7.0", NEW),
    ] {
        let version = ("ETCD_VERSION", version);
        assert_eq!(variables(&[version]), [format!("{name}=5s")]);
        assert_eq!(
            variables(&[version, ("ETCD_PROGRESS_NOTIFY_INTERVAL", "1.5s")]),
            [format!("{name}=1500ms")]
        );
    }
    let own = (
        "ETCD_EXTRA_ARGS",
        "--experimental-watch-progress-notify-interval=1m",
    );
    assert_eq!(variables(&[own]), [""; 0]);
}

/// etcd refuses a variable that says what a flag says too.
#[test]
fn etcd_looks_for_corruption_under_the_names_that_its_version_has() {
    let variables = |version: &str, arguments: &str| -> Vec<String> {
        let document = replica(&[("ETCD_VERSION", version), ("ETCD_EXTRA_ARGS", arguments)]);
        let values = document.values("Environment");
        let values = values
            .into_iter()
            .filter(|value| !value.contains("PROGRESS"));
        values.map(str::to_owned).collect()
    };
    const TIME: &str = "ETCD_EXPERIMENTAL_CORRUPT_CHECK_TIME=12h";
    const INITIAL: &str = "ETCD_EXPERIMENTAL_INITIAL_CORRUPT_CHECK=true";
    const COMPACTION: &str = "ETCD_EXPERIMENTAL_COMPACT_HASH_CHECK_ENABLED=true";
    const NEW_TIME: &str = "ETCD_CORRUPT_CHECK_TIME=12h";
    const GATES: &str = "ETCD_FEATURE_GATES=InitialCorruptCheck=true,CompactHashCheck=true";
    let none = "--max-txn-ops=256";
    for (version, arguments, expected) in [
        ("3.4.23", none, vec![TIME, INITIAL]),
        ("3.5.26", none, vec![COMPACTION, TIME, INITIAL]),
        ("3.6.16", none, vec![NEW_TIME, GATES]),
        ("3.7.0", none, vec![NEW_TIME, GATES]),
        (
            "3.4.23",
            "--experimental-corrupt-check-time=1h",
            vec![INITIAL],
        ),
        (
            "3.6.16",
            "--corrupt-check-time=1h --feature-gates=LeaseCheckpoint=true",
            vec![],
        ),
        (
            "3.6.16",
            "--experimental-compact-hash-check-enabled=false",
            vec![NEW_TIME, "ETCD_FEATURE_GATES=InitialCorruptCheck=true"],
        ),
    ] {
        assert_eq!(
            variables(version, arguments),
            expected,
            "{version} {arguments}"
        );
    }
}

/// Its replicas go on as they were.
#[test]
fn a_cluster_from_before_a_setting_was_known_has_what_its_programs_do_by_themselves() {
    let mut stored = serde_json::to_value(fixtures::spec(&[])).unwrap();
    for (part, field) in [
        ("etcd", "progress_notify"),
        ("api", "request_timeout_seconds"),
        ("api", "compaction_seconds"),
        ("network", "pods_per_node"),
        ("node_machines", "eviction_hard"),
        ("node_machines", "allowed_unready"),
    ] {
        let removed = stored[part].as_object_mut().unwrap().remove(field);
        assert!(removed.is_some(), "{part}.{field}");
    }
    stored
        .as_object_mut()
        .unwrap()
        .remove("controller_manager")
        .unwrap();
    let spec: ClusterSpec = serde_json::from_value(stored).unwrap();
    let document = read(&replica_user_data(&spec));
    let mut variables = document.values("Environment").into_iter();
    assert!(variables.all(|variable| variable.contains("_CHECK") || variable.contains("Check")));
    let flags = document.flags();
    for flag in [
        "--controllers=*,bootstrapsigner,tokencleaner",
        "--node-cidr-mask-size=24",
    ] {
        assert!(flags.contains(&flag), "no {flag} in {flags:#?}");
    }
    let unset = [
        "--request-timeout",
        "--etcd-compaction-interval",
        "--cluster-signing-duration",
    ];
    for name in unset {
        assert!(!flags.iter().any(|flag| flag.starts_with(name)), "{name}");
    }
}

#[test]
fn a_replica_is_told_who_it_is_and_whom_it_joins() {
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
    for (existing, state) in [(true, "existing"), (false, "new")] {
        assert_eq!(
            join_env("prod", &membership("prod", 0xbeef), &members, existing)
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

/// Else a member that lost its data would start without, and be empty.
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
