//! The cluster's DNS.

use super::images::Image;
use super::rbac::cluster_role;
use super::{SYSTEM, object, tolerations};
use crate::cluster::ClusterSpec;
use serde_json::{Value, json};

const NAME: &str = "coredns";
/// What pods of the cluster's DNS are known by, to Kubernetes' own tests as well.
const LABELS: (&str, &str) = ("k8s-app", "kube-dns");

/// CoreDNS, two of it, on different machines where there are two.
pub fn objects(spec: &ClusterSpec) -> Vec<Value> {
    let [role, binding] = cluster_role(
        "system:coredns",
        json!([
            {"apiGroups": [""], "resources": ["endpoints", "services", "pods", "namespaces"],
             "verbs": ["list", "watch"]},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"],
             "verbs": ["list", "watch"]},
        ]),
        SYSTEM,
        NAME,
    );
    let mut settings = object("v1", "ConfigMap", Some(SYSTEM), NAME);
    settings["data"] = json!({"Corefile": corefile(&spec.network.dns_domain)});
    vec![
        object("v1", "ServiceAccount", Some(SYSTEM), NAME),
        role,
        binding,
        settings,
        service(spec),
        budget(),
        deployment(spec),
    ]
}

fn corefile(domain: &str) -> String {
    format!(
        ".:53 {{
    errors
    health {{
        lameduck 5s
    }}
    ready
    kubernetes {domain} in-addr.arpa ip6.arpa {{
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }}
    prometheus :9153
    forward . /etc/resolv.conf {{
        max_concurrent 1000
    }}
    cache 30
    loop
    reload
    loadbalance
}}
"
    )
}

fn selector() -> Value {
    let (key, value) = LABELS;
    json!({key: value})
}

fn service(spec: &ClusterSpec) -> Value {
    let mut service = object("v1", "Service", Some(SYSTEM), "kube-dns");
    service["spec"] = json!({
        "clusterIP": spec.network.dns_address,
        "selector": selector(),
        "ports": [
            {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
            {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
            {"name": "metrics", "port": 9153, "protocol": "TCP", "targetPort": 9153},
        ],
    });
    service
}

/// One answers while the other's node is drained.
fn budget() -> Value {
    let mut budget = object("policy/v1", "PodDisruptionBudget", Some(SYSTEM), NAME);
    budget["spec"] = json!({"maxUnavailable": 1, "selector": {"matchLabels": selector()}});
    budget
}

fn deployment(spec: &ClusterSpec) -> Value {
    let mut deployment = object("apps/v1", "Deployment", Some(SYSTEM), NAME);
    let spread = |key: &str| {
        json!({
            "topologyKey": key, "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": selector()},
        })
    };
    deployment["spec"] = json!({
        "replicas": 2,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
        "selector": {"matchLabels": selector()},
        "template": {
            "metadata": {"labels": selector()},
            "spec": {
                "serviceAccountName": NAME,
                "priorityClassName": "system-cluster-critical",
                "nodeSelector": {"kubernetes.io/os": "linux"},
                "tolerations": tolerations(),
                "topologySpreadConstraints": [
                    spread("kubernetes.io/hostname"),
                    spread("topology.kubernetes.io/zone"),
                ],
                // It asks whom its machine asks, and nobody asks itself.
                "dnsPolicy": "Default",
                "containers": [container(spec)],
                "volumes": [{
                    "name": "config",
                    "configMap": {"name": NAME, "items": [{"key": "Corefile", "path": "Corefile"}]},
                }],
            },
        },
    });
    deployment
}

fn container(spec: &ClusterSpec) -> Value {
    json!({
        "name": NAME,
        "image": Image::CoreDns.reference(spec.addons.image_repository.as_deref()),
        "imagePullPolicy": "IfNotPresent",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "ports": [
            {"name": "dns", "containerPort": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
            {"name": "metrics", "containerPort": 9153, "protocol": "TCP"},
        ],
        "resources": {
            "requests": {"cpu": "100m", "memory": "70Mi"},
            "limits": {"memory": "170Mi"},
        },
        "livenessProbe": {
            "httpGet": {"path": "/health", "port": 8080},
            "initialDelaySeconds": 60, "timeoutSeconds": 5, "failureThreshold": 5,
        },
        "readinessProbe": {
            "httpGet": {"path": "/ready", "port": 8181},
            "periodSeconds": 3,
        },
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": true}],
    })
}
