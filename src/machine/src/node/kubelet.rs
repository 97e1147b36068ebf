//! The kubelet: its unit, flags and configuration.

use super::containerd::SOCKET;
use super::{File, IMAGES, NODE_FILES, Service, unit};
use crate::flags::{PKI, pairs};
use crate::metadata_guard;
use crate::runtime_files::REPLICA_ENV;
use hakube_model::{CONTROL_PLANE_LABEL, ClusterSpec};
use std::net::IpAddr;

const CONFIG: &str = "/etc/kubernetes/kubelet.yaml";
/// The kubelet's `--config-dir`, where an operator overrides settings of one machine in `*.conf` files.
const CONFIG_DIRECTORY: &str = "/etc/kubernetes/kubelet.conf.d";
const BOOTSTRAP: &str = "/etc/kubernetes/bootstrap-kubeconfig";
const KUBECONFIG: &str = "/var/lib/kubelet/kubeconfig";
/// Facts from a provider about a machine whose host name isn't the node's name.
const MACHINE_ENV: &str = "/etc/hakube/machine.env";

/// How a machine's kubelet registers as a node.
pub(crate) enum Registration<'a> {
    /// With a bootstrap token.
    Node {
        /// The machine's zone.
        zone: &'a str,
    },
    /// With the replica's certificate from hakube.
    Replica,
}

impl Registration<'_> {
    /// The kubeconfig that it uses.
    pub(super) fn kubeconfig(&self) -> &'static str {
        match self {
            Self::Node { .. } => KUBECONFIG,
            Self::Replica => NODE_FILES.kubeconfig,
        }
    }

    /// The node's name, as a variable of its unit.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Node { .. } => "${NODE}",
            Self::Replica => "${REPLICA}",
        }
    }

    /// The files that units read variables from. Those that start with `-` are optional.
    pub(super) fn environment(&self) -> Vec<String> {
        match self {
            Self::Node { .. } => vec![format!("-{MACHINE_ENV}")],
            Self::Replica => vec![REPLICA_ENV.to_owned()],
        }
    }

    /// Variables that these files may override.
    pub(super) fn variables(&self) -> Vec<String> {
        match self {
            Self::Node { .. } => vec!["NODE=%H".to_owned(), "NODE_ADDRESS=".to_owned()],
            Self::Replica => Vec::new(),
        }
    }
}

pub(super) fn files(
    spec: &ClusterSpec,
    registration: &Registration<'_>,
    downloads: Option<&str>,
) -> Vec<File> {
    let runs_pods = spec.programs.pods.is_some();
    let is_node = matches!(registration, Registration::Node { .. });
    let guard = is_node && metadata_guard::is_needed(spec);
    let containerd = runs_pods.then_some("containerd.service");
    let images = (!spec.programs.images().is_empty()).then_some(IMAGES);
    // Pods that could read the node's metadata must not run.
    let guard_unit = guard.then_some(metadata_guard::UNIT);
    let before = match registration {
        Registration::Node { .. } => Vec::new(),
        // The kubelet maintains a link to its current certificate. It points to hakube's if that is
        // newer: the first one, or one that hakube renewed because the kubelet's may have expired
        // while the machine was off.
        Registration::Replica => vec![format!(
            "/bin/sh -c '[ {current} -nt {first} ] || ln -sf {first} {current}'",
            first = NODE_FILES.first,
            current = NODE_FILES.current,
        )],
    };
    let service = Service {
        requires: [downloads, guard_unit, containerd, images]
            .into_iter()
            .flatten()
            .collect(),
        environment: registration.environment(),
        variables: registration.variables(),
        before,
        ..Service::new("kubelet", flags(spec, registration))
    };
    let mut files = vec![
        File::text(CONFIG, 0o600, configuration(spec)),
        unit("kubelet.service", &service.render()),
    ];
    if runs_pods {
        // The kubelet exits if the directory is missing.
        files.push(File::text(
            format!("{CONFIG_DIRECTORY}/00-hakube.conf"),
            0o600,
            "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n",
        ));
    }
    if guard {
        files.extend(metadata_guard::files());
    }
    files
}

/// The kubelet's flags; other settings are in its configuration.
fn flags(spec: &ClusterSpec, registration: &Registration<'_>) -> Vec<String> {
    let mut flags = vec![
        format!("--config={CONFIG}"),
        format!("--kubeconfig={}", registration.kubeconfig()),
        format!("--hostname-override={}", registration.name()),
    ];
    if spec.programs.pods.is_some() {
        flags.push(format!("--config-dir={CONFIG_DIRECTORY}"));
    }
    let (zone, labels, taints) = match registration {
        Registration::Node { zone } => {
            flags.push(format!("--bootstrap-kubeconfig={BOOTSTRAP}"));
            // Empty: the address of the interface with the default route.
            flags.push("--node-ip=${NODE_ADDRESS}".to_owned());
            let nodes = &spec.node_machines;
            let taints = nodes.taints.iter().map(ToString::to_string).collect();
            (*zone, &nodes.labels, taints)
        }
        Registration::Replica => {
            flags.push("--node-ip=${ADDRESS}".to_owned());
            let taint = format!("{CONTROL_PLANE_LABEL}=:NoSchedule");
            ("${ZONE}", &spec.replica_machines.labels, vec![taint])
        }
    };
    let mut all = vec![
        format!("topology.kubernetes.io/zone={zone}"),
        format!("topology.kubernetes.io/region={}", spec.zone.region()),
    ];
    all.extend(pairs(labels));
    flags.push(format!("--node-labels={}", all.join(",")));
    if !taints.is_empty() {
        flags.push(format!("--register-with-taints={}", taints.join(",")));
    }
    flags
}

/// The kubelet's configuration file, `kubelet.config.k8s.io/v1beta1`. JSON is valid YAML.
fn configuration(spec: &ClusterSpec) -> String {
    let dns: IpAddr = spec.network.dns_address;
    let mut config = serde_json::json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": format!("{PKI}/ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "clusterDNS": [dns],
        "clusterDomain": spec.network.dns_domain,
        "rotateCertificates": true,
        "maxPods": spec.network.pods_per_node,
    });
    if spec.programs.pods.is_some() {
        let more = serde_json::json!({
            "containerRuntimeEndpoint": SOCKET,
            // The cluster signs its serving certificate: hakube approves it, and the API server verifies it.
            "serverTLSBootstrap": true,
            "tlsMinVersion": "VersionTLS12",
            // Used if the runtime doesn't report its driver. containerd 2 does.
            "cgroupDriver": "systemd",
            // Older hosts still use cgroup v1, which kubelets from 1.35 on refuse by default.
            "failCgroupV1": false,
            // A host may have swap. Pods don't get any: that is memorySwap's default.
            "failSwapOn": false,
            "resolvConf": "/run/hakube/resolv.conf",
            "systemReserved": {"cpu": "100m", "memory": "200Mi"},
            "kubeReserved": {"cpu": "100m", "memory": "300Mi"},
            "imageMinimumGCAge": "2m",
            "imageGCHighThresholdPercent": 85,
            "imageGCLowThresholdPercent": 80,
            "containerLogMaxSize": "10Mi",
            "containerLogMaxFiles": 5,
            "serializeImagePulls": false,
            "maxParallelImagePulls": 5,
            "seccompDefault": true,
        });
        if let (Some(config), serde_json::Value::Object(more)) = (config.as_object_mut(), more) {
            config.extend(more);
        }
    } else {
        config["cgroupDriver"] = "systemd".into();
    }
    let thresholds = &spec.node_machines.eviction_hard;
    if !thresholds.is_empty() {
        config["evictionHard"] = serde_json::json!(thresholds);
    }
    format!("{config:#}\n")
}
