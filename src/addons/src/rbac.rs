//! Permissions of the cluster's components, in addition to Kubernetes' default roles.

use super::object;
use serde_json::{Value, json};

/// Bindings that nodes need to join and run. Source: Kubernetes' documentation of TLS bootstrapping.
pub fn objects() -> Vec<Value> {
    let signing = "system:certificates.k8s.io:certificatesigningrequests";
    vec![
        binding(
            "bootstrap",
            "system:node-bootstrapper",
            "Group",
            "system:bootstrappers",
        ),
        binding(
            "approve",
            &format!("{signing}:nodeclient"),
            "Group",
            "system:bootstrappers",
        ),
        binding(
            "renew",
            &format!("{signing}:selfnodeclient"),
            "Group",
            "system:nodes",
        ),
        binding(
            "kubelet-api",
            "system:kubelet-api-admin",
            "User",
            "kube-apiserver-kubelet-client",
        ),
        // kube-proxy is a unit of each machine, and uses the kubelet's identity.
        binding(
            "node-proxier",
            "system:node-proxier",
            "Group",
            "system:nodes",
        ),
    ]
}

fn binding(name: &str, role: &str, kind: &str, subject: &str) -> Value {
    let mut binding = object(
        "rbac.authorization.k8s.io/v1",
        "ClusterRoleBinding",
        None,
        &format!("hakube:{name}"),
    );
    binding["roleRef"] = role_ref("ClusterRole", role);
    binding["subjects"] = json!([
        {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": subject}
    ]);
    binding
}

/// A reference to a role.
pub(super) fn role_ref(kind: &str, name: &str) -> Value {
    json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name})
}

/// A service account as the subject of a binding.
pub(super) fn account(namespace: &str, name: &str) -> Value {
    json!([{"kind": "ServiceAccount", "name": name, "namespace": namespace}])
}

/// A cluster role with these rules, bound to a service account named like the role's last part.
pub(super) fn cluster_role(
    role: &str,
    rules: Value,
    namespace: &str,
    account_name: &str,
) -> [Value; 2] {
    const GROUP: &str = "rbac.authorization.k8s.io/v1";
    let mut made = object(GROUP, "ClusterRole", None, role);
    made["rules"] = rules;
    let mut bound = object(GROUP, "ClusterRoleBinding", None, role);
    bound["roleRef"] = role_ref("ClusterRole", role);
    bound["subjects"] = account(namespace, account_name);
    [made, bound]
}
