//! The cluster's DNS.

use super::images::Image;
use super::rbac::cluster_role;
use super::{SYSTEM, dns, object, tolerations};
use hakube_model::ClusterSpec;
use serde_json::{Value, json};

const NAME: &str = "coredns";
/// CoreDNS with two pods, on different machines if possible.
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

fn service(spec: &ClusterSpec) -> Value {
    let mut service = object("v1", "Service", Some(SYSTEM), "kube-dns");
    service["spec"] = json!({
        "clusterIP": spec.network.dns_address,
        "selector": dns::selector(),
        "ports": dns::ports(),
    });
    if spec.addons.has_node_local_dns() {
        let (field, value) = dns::traffic(&spec.versions.kubernetes);
        service["spec"]["selector"] = dns::cache_selector();
        service["spec"][field] = json!(value);
    }
    service
}

/// One pod keeps serving while the other's node is drained.
fn budget() -> Value {
    let mut budget = object("policy/v1", "PodDisruptionBudget", Some(SYSTEM), NAME);
    budget["spec"] = json!({"maxUnavailable": 1, "selector": {"matchLabels": dns::selector()}});
    budget
}

fn deployment(spec: &ClusterSpec) -> Value {
    let mut deployment = object("apps/v1", "Deployment", Some(SYSTEM), NAME);
    let spread = |key: &str| {
        json!({
            "topologyKey": key, "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": dns::selector()},
        })
    };
    deployment["spec"] = json!({
        "replicas": 2,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
        "selector": {"matchLabels": dns::selector()},
        "template": {
            "metadata": {"labels": dns::selector()},
            "spec": {
                "serviceAccountName": NAME,
                "priorityClassName": "system-cluster-critical",
                "nodeSelector": {"kubernetes.io/os": "linux"},
                "tolerations": tolerations(),
                "topologySpreadConstraints": [
                    spread("kubernetes.io/hostname"),
                    spread("topology.kubernetes.io/zone"),
                ],
                // It uses its machine's resolvers; otherwise it would query itself.
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

pub(super) fn container(spec: &ClusterSpec) -> Value {
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
