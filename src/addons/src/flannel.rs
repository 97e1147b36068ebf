//! The pod network: flannel over vxlan, with the CNI project's plugins.

use super::images::Image;
use super::object;
use super::rbac::cluster_role;
use hakube_model::ClusterSpec;
use hakube_model::ProxyMode;
use serde_json::{Value, json};

/// The UDP port that machines exchange pods' packets on: the kernel's default for VXLAN, which flannel keeps.
/// <https://github.com/flannel-io/flannel/blob/master/Documentation/backends.md#vxlan>
pub const VXLAN_PORT: u16 = 8472;
const NAMESPACE: &str = "kube-flannel";
const NAME: &str = "flannel";
/// Writes the container runtime's configuration of a node's pod network.
const WRITE_CONFLIST: &str = include_str!("write-conflist.sh");

/// flannel on every machine.
pub fn objects(spec: &ClusterSpec) -> Vec<Value> {
    let mut namespace = object("v1", "Namespace", None, NAMESPACE);
    // It configures the machine's own network.
    namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = json!("privileged");
    let [role, binding] = cluster_role(
        NAME,
        json!([
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
            {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]},
            {"apiGroups": [""], "resources": ["nodes/status"], "verbs": ["patch"]},
        ]),
        NAMESPACE,
        NAME,
    );
    let mut settings = object("v1", "ConfigMap", Some(NAMESPACE), "kube-flannel-cfg");
    settings["data"] = json!({
        "net-conf.json": format!("{:#}\n", network(spec)),
        "write-conflist.sh": WRITE_CONFLIST,
    });
    vec![
        namespace,
        object("v1", "ServiceAccount", Some(NAMESPACE), NAME),
        role,
        binding,
        settings,
        daemon_set(spec),
    ]
}

fn network(spec: &ClusterSpec) -> Value {
    let pods = spec.network.cluster_range;
    let mut network = if pods.addr().is_ipv6() {
        json!({"EnableIPv4": false, "EnableIPv6": true, "IPv6Network": pods})
    } else {
        json!({"Network": pods})
    };
    network["EnableNFTables"] = json!(spec.network.proxy_mode == ProxyMode::Nftables);
    network["Backend"] = json!({"Type": "vxlan"});
    network
}

fn daemon_set(spec: &ClusterSpec) -> Value {
    let image = Image::Flannel.reference(spec.addons.image_repository.as_deref());
    let labels = json!({"k8s-app": NAME});
    let mut set = object("apps/v1", "DaemonSet", Some(NAMESPACE), "kube-flannel-ds");
    set["spec"] = json!({
        "selector": {"matchLabels": labels},
        "updateStrategy": {"type": "RollingUpdate"},
        "template": {
            "metadata": {"labels": labels},
            "spec": {
                "serviceAccountName": NAME,
                "priorityClassName": "system-node-critical",
                "hostNetwork": true,
                "nodeSelector": {"kubernetes.io/os": "linux"},
                // Nodes aren't ready without it, so it tolerates all taints.
                "tolerations": [{"operator": "Exists"}],
                "containers": [daemon(&image), writer(&image)],
                "volumes": [
                    {"name": "run", "hostPath": {"path": "/run/flannel", "type": "DirectoryOrCreate"}},
                    {"name": "cni", "hostPath": {"path": "/etc/cni/net.d", "type": "DirectoryOrCreate"}},
                    {"name": "xtables-lock", "hostPath": {"path": "/run/xtables.lock", "type": "FileOrCreate"}},
                    {"name": "config", "configMap": {"name": "kube-flannel-cfg"}},
                ],
            },
        },
    });
    set
}

fn daemon(image: &str) -> Value {
    let field = |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
    json!({
        "name": NAME,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/opt/bin/flanneld"],
        "args": ["--ip-masq", "--kube-subnet-mgr"],
        "env": [
            field("POD_NAME", "metadata.name"),
            field("POD_NAMESPACE", "metadata.namespace"),
            {"name": "EVENT_QUEUE_DEPTH", "value": "5000"},
        ],
        "resources": {"requests": {"cpu": "100m", "memory": "50Mi"}},
        "securityContext": {
            "privileged": false,
            "capabilities": {"add": ["NET_ADMIN", "NET_RAW"]},
        },
        "volumeMounts": [
            {"name": "run", "mountPath": "/run/flannel"},
            {"name": "xtables-lock", "mountPath": "/run/xtables.lock"},
            {"name": "config", "mountPath": "/etc/kube-flannel"},
        ],
    })
}

/// flannel's own CNI plugin would do the same, but is another program on each machine.
fn writer(image: &str) -> Value {
    json!({
        "name": "cni",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/sh", "/etc/kube-flannel/write-conflist.sh"],
        "resources": {"requests": {"cpu": "5m", "memory": "8Mi"}},
        "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"], "add": ["DAC_OVERRIDE"]}},
        "volumeMounts": [
            {"name": "run", "mountPath": "/run/flannel", "readOnly": true},
            {"name": "cni", "mountPath": "/etc/cni/net.d"},
            {"name": "config", "mountPath": "/etc/kube-flannel", "readOnly": true},
        ],
    })
}
