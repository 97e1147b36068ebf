//! Intents for tests, created from variables through the settings.

use hakube_model::{
    ClusterSpec, Host, HostRole, HostSsh, Intent, MemberRole, MemberView, PodPrograms, Program,
    Programs, ReplicaIntent,
};
use hakube_provider::{Machine, MachineState};
use hakube_settings::{Settings, Sources, resolve};
use std::collections::BTreeMap;

/// A region's zones.
pub const ZONES: [&str; 3] = ["europe-west1-b", "europe-west1-c", "europe-west1-d"];

/// The same zones, as libvirt hosts.
pub const HOSTS: &str =
    "europe-west1-b=qemu:///system,europe-west1-c=qemu:///system,europe-west1-d=qemu:///system";

/// What these variables make of an operator's settings, without a file or a flag.
pub fn settings(variables: &[(&str, &str)]) -> Settings {
    let env = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let sources = Sources {
        env: env.collect(),
        home_dir: Some("/home/ada".into()),
        working_dir: "/work".into(),
        ..Sources::default()
    };
    let resolved = resolve(&sources).unwrap_or_else(|errors| panic!("{variables:?}: {errors}"));
    resolved.settings
}

/// The specification of a cluster in zone b, with these variables in addition.
pub fn spec(variables: &[(&str, &str)]) -> ClusterSpec {
    let base = [
        ("KUBERNETES_PROVIDER", "gce"),
        ("PROJECT", "demo-project"),
        ("KUBE_GCE_ZONE", ZONES[0]),
        ("NUM_NODES", "0"),
        ("HAKUBE_LIBVIRT_ZONES", HOSTS),
    ];
    settings(&[&base, variables].concat()).spec(programs())
}

/// A new cluster's intent.
pub fn intent(variables: &[(&str, &str)]) -> Intent {
    Intent::new(spec(variables))
}

/// The intent of a multi-zone cluster whose replicas have these suffixes (`""` for the first), one in each zone.
pub fn replicas(suffixes: &[&str]) -> Intent {
    let mut intent = intent(&[("MULTIZONE", "true")]);
    let names = intent.spec.names.clone();
    let zones = ZONES.iter().cycle();
    intent.replicas = suffixes
        .iter()
        .zip(zones)
        .map(|(suffix, zone)| ReplicaIntent {
            name: if suffix.is_empty() {
                names.master()
            } else {
                names.replica(suffix)
            },
            zone: (*zone).to_owned(),
        })
        .collect();
    intent.formed = true;
    intent
}

/// A healthy etcd member on the replica of this name.
pub fn member(name: &str, role: MemberRole) -> MemberView {
    MemberView {
        id: 1,
        name: name.to_owned(),
        role,
        started: true,
        healthy: true,
        peer_urls: Vec::new(),
        version: None,
        database: None,
    }
}

/// A running machine in this zone.
pub fn machine(name: &str, zone: &str) -> Machine {
    Machine {
        name: name.to_owned(),
        zone: zone.to_owned(),
        state: MachineState::Running,
        internal_address: None,
        external_address: None,
        alias_addresses: Vec::new(),
        labels: BTreeMap::new(),
    }
}

/// An existing host in the first zone.
pub fn host(name: &str, address: &str) -> Host {
    Host {
        name: name.to_owned(),
        address: address.parse().unwrap(),
        zone: ZONES[0].parse().unwrap(),
        role: HostRole::Any,
        labels: BTreeMap::new(),
        ssh: HostSsh {
            user: "root".to_owned(),
            port: 22,
            key: None,
            host_key: "ssh-ed25519 AAAA".to_owned(),
            jump: None,
        },
    }
}

/// Preinstalled programs that run pods.
pub fn pods() -> PodPrograms {
    let image = |name: &str| Program::Installed(format!("/opt/kubernetes/{name}").into());
    PodPrograms {
        kube_proxy: image("kube-proxy"),
        containerd: image("containerd"),
        runc: image("runc"),
        cni_plugins: image("cni-plugins"),
        images: Vec::new(),
        deferred_images: None,
    }
}

/// Preinstalled programs, and a stand-in for the kubelet.
pub fn programs() -> Programs {
    let host = |name: &str| Program::Installed(format!("/opt/kubernetes/{name}").into());
    Programs {
        etcd: Program::Installed("/usr/bin/etcd".into()),
        kube_apiserver: host("kube-apiserver"),
        kube_controller_manager: host("kube-controller-manager"),
        kube_scheduler: host("kube-scheduler"),
        kubelet: Program::StandIn {
            hakube: "/usr/local/bin/hakube".into(),
        },
        pods: None,
    }
}
