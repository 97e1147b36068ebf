//! metrics-server, for `kubectl top` and horizontal autoscalers.

use super::images::Image;
use super::rbac::{account, cluster_role, role_ref};
use super::{SYSTEM, object, tolerations};
use hakube_model::ClusterSpec;
use serde_json::{Value, json};

const NAME: &str = "metrics-server";
/// The path of the CA that signs kubelets' serving certificates.
const KUBELET_CA: &str = "/etc/kubelet-ca";
const PORT: u16 = 10250;
const RBAC: &str = "rbac.authorization.k8s.io/v1";

/// metrics-server, which verifies kubelets. If API servers can't reach its pod, its API isn't registered: it
/// would never be available, and part of every client's discovery would fail.
pub fn objects(spec: &ClusterSpec, kubelet_ca: &str) -> Vec<Value> {
    let [role, binding] = cluster_role(
        "system:metrics-server",
        json!([
            {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
            {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]},
        ]),
        SYSTEM,
        NAME,
    );
    let mut authority = object("v1", "ConfigMap", Some(SYSTEM), "kubelet-ca");
    authority["data"] = json!({"ca.crt": kubelet_ca});
    let mut objects = vec![
        object("v1", "ServiceAccount", Some(SYSTEM), NAME),
        reader(),
        role,
        binding,
        delegator(),
        authentication_reader(),
        authority,
        service(),
        deployment(spec),
    ];
    if spec.api_servers_reach_pods() {
        objects.push(api_service());
    }
    objects
}

/// Users who may view may also view metrics.
fn reader() -> Value {
    let mut role = object(
        RBAC,
        "ClusterRole",
        None,
        "system:aggregated-metrics-reader",
    );
    for who in ["admin", "edit", "view"] {
        role["metadata"]["labels"]
            [format!("rbac.authorization.k8s.io/aggregate-to-{who}").as_str()] = json!("true");
    }
    role["rules"] = json!([
        {"apiGroups": ["metrics.k8s.io"], "resources": ["pods", "nodes"],
         "verbs": ["get", "list", "watch"]},
    ]);
    role
}

fn delegator() -> Value {
    let name = "metrics-server:system:auth-delegator";
    let mut binding = object(RBAC, "ClusterRoleBinding", None, name);
    binding["roleRef"] = role_ref("ClusterRole", "system:auth-delegator");
    binding["subjects"] = account(SYSTEM, NAME);
    binding
}

fn authentication_reader() -> Value {
    let name = "metrics-server-auth-reader";
    let mut binding = object(RBAC, "RoleBinding", Some(SYSTEM), name);
    binding["roleRef"] = role_ref("Role", "extension-apiserver-authentication-reader");
    binding["subjects"] = account(SYSTEM, NAME);
    binding
}

fn service() -> Value {
    let mut service = object("v1", "Service", Some(SYSTEM), NAME);
    service["spec"] = json!({
        "selector": {"k8s-app": NAME},
        "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": "https"}],
    });
    service
}

/// metrics-server generates its certificate at startup, so the API server can't verify it; this is
/// also how it is published. Only a program in the pod network could impersonate it, and it would
/// learn no more than who requests metrics.
fn api_service() -> Value {
    let mut api = object(
        "apiregistration.k8s.io/v1",
        "APIService",
        None,
        "v1beta1.metrics.k8s.io",
    );
    api["spec"] = json!({
        "group": "metrics.k8s.io",
        "version": "v1beta1",
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
        "insecureSkipTLSVerify": true,
        "service": {"name": NAME, "namespace": SYSTEM, "port": 443},
    });
    api
}

fn deployment(spec: &ClusterSpec) -> Value {
    let mut deployment = object("apps/v1", "Deployment", Some(SYSTEM), NAME);
    deployment["spec"] = json!({
        "replicas": 1,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0}},
        "selector": {"matchLabels": {"k8s-app": NAME}},
        "template": {
            "metadata": {"labels": {"k8s-app": NAME}},
            "spec": {
                "serviceAccountName": NAME,
                "priorityClassName": "system-cluster-critical",
                "nodeSelector": {"kubernetes.io/os": "linux"},
                "tolerations": tolerations(),
                "containers": [container(spec)],
                "volumes": [
                    {"name": "tmp", "emptyDir": {}},
                    {"name": "kubelet-ca", "configMap": {"name": "kubelet-ca"}},
                ],
            },
        },
    });
    deployment
}

fn container(spec: &ClusterSpec) -> Value {
    json!({
        "name": NAME,
        "image": Image::MetricsServer.reference(spec.addons.image_repository.as_deref()),
        "imagePullPolicy": "IfNotPresent",
        "args": [
            "--cert-dir=/tmp",
            format!("--secure-port={PORT}"),
            format!("--kubelet-certificate-authority={KUBELET_CA}/ca.crt"),
            "--kubelet-preferred-address-types=InternalIP",
            "--kubelet-use-node-status-port",
            "--metric-resolution=15s",
        ],
        "ports": [{"name": "https", "containerPort": PORT, "protocol": "TCP"}],
        "resources": {"requests": {"cpu": "100m", "memory": "200Mi"}},
        "livenessProbe": {
            "httpGet": {"path": "/livez", "port": "https", "scheme": "HTTPS"},
            "periodSeconds": 10, "failureThreshold": 3,
        },
        "readinessProbe": {
            "httpGet": {"path": "/readyz", "port": "https", "scheme": "HTTPS"},
            "initialDelaySeconds": 20, "periodSeconds": 10, "failureThreshold": 3,
        },
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": 1000,
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "kubelet-ca", "mountPath": KUBELET_CA, "readOnly": true},
        ],
    })
}
