//! What runs in a cluster that its operator would otherwise have to install: from the cluster's specification to
//! Kubernetes objects. Pure: nothing here asks or tells anybody.

mod coredns;
mod flannel;
mod images;
mod manifests;
mod metrics_server;
mod rbac;
mod settings;

#[cfg(test)]
mod tests;

pub use images::Image;
pub use manifests::{LIMIT as MANIFESTS_LIMIT, Manifest, parse as parse_manifests};
pub use settings::Addons;

use crate::cluster::ClusterSpec;
use crate::machine::Program;
use crate::settings::PodNetwork;
use serde_json::{Value, json};

/// Whom objects are managed by, as a label and as the owner of their fields.
pub const MANAGER: &str = "hakube";
/// The label that says so.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The label that says which addon an object is of: what it is found by when it is no longer wanted.
pub const LABEL: &str = "hakube.io/addon";
/// Where most of them are.
pub const SYSTEM: &str = "kube-system";

/// Bindings that nodes join by.
pub const RBAC: &str = "rbac";
/// The pod network.
pub const FLANNEL: &str = "flannel";
/// The cluster's DNS.
pub const COREDNS: &str = "coredns";
/// What `kubectl top` asks.
pub const METRICS_SERVER: &str = "metrics-server";
/// The operator's own.
pub const MANIFESTS: &str = "manifests";

/// Objects that belong together: applied, waited for and removed as one.
#[derive(Debug, Clone, PartialEq)]
pub struct Addon {
    /// Its name, and the value of the objects' label.
    pub name: String,
    /// Its objects, in the order in which they were written.
    pub objects: Vec<Object>,
}

/// An object as it should be.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// What is applied.
    pub content: Value,
    /// Where the operator wrote it: file, document, line. `None`: it is hakube's own.
    pub origin: Option<String>,
}

impl Object {
    /// `apps/v1`.
    pub fn api_version(&self) -> &str {
        self.content["apiVersion"].as_str().unwrap_or_default()
    }

    /// `Deployment`.
    pub fn kind(&self) -> &str {
        self.content["kind"].as_str().unwrap_or_default()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.content["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
    }

    /// Its namespace, if it says one.
    pub fn namespace(&self) -> Option<&str> {
        self.content["metadata"]["namespace"].as_str()
    }

    /// `Deployment kube-system/coredns`, and where the operator wrote it.
    pub fn describe(&self) -> String {
        let (kind, name) = (self.kind(), self.name());
        let what = match self.namespace() {
            Some(namespace) => format!("{kind} {namespace}/{name}"),
            None => format!("{kind} {name}"),
        };
        match &self.origin {
            Some(origin) => format!("{what} ({origin})"),
            None => what,
        }
    }

    /// When it is applied: what others are in or of goes first, what needs them to run goes last.
    pub fn rank(&self) -> u8 {
        let group = self
            .api_version()
            .split_once('/')
            .map_or("", |(group, _)| group);
        match self.kind() {
            "Namespace" => 0,
            "CustomResourceDefinition" => 1,
            "Deployment" | "DaemonSet" | "StatefulSet" | "ReplicaSet" | "Job" | "CronJob"
            | "Pod" => 3,
            "APIService" | "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration" => 4,
            _ if group.is_empty() || !group.contains('.') || group.ends_with(".k8s.io") => 2,
            // Of kinds that somebody defines.
            _ => 5,
        }
    }
}

/// The names of the addons that a cluster should have. Where the API server is hakube's stand-in there are none: it
/// keeps too few kinds of objects.
pub fn names(spec: &ClusterSpec) -> Vec<&'static str> {
    if !is_kubernetes(spec) {
        return Vec::new();
    }
    let Addons {
        pod_network,
        cluster_dns,
        metrics_server,
        manifests,
        ..
    } = &spec.addons;
    let wanted = [
        (RBAC, true),
        (FLANNEL, *pod_network == PodNetwork::Flannel),
        (COREDNS, *cluster_dns),
        (METRICS_SERVER, *metrics_server),
        (MANIFESTS, !manifests.is_empty()),
    ];
    wanted
        .into_iter()
        .filter(|(_, wanted)| *wanted)
        .map(|(name, _)| name)
        .collect()
}

/// Whether the API server is Kubernetes' own.
pub fn is_kubernetes(spec: &ClusterSpec) -> bool {
    !matches!(spec.programs.kube_apiserver, Program::StandIn { .. })
}

/// The addons that a cluster should have. `kubelet_ca` is the certificate, in PEM, of the authority that kubelets'
/// serving certificates are signed by.
pub fn all(spec: &ClusterSpec, kubelet_ca: &str, runs_pods: bool) -> Vec<Addon> {
    let names = names(spec);
    names
        .into_iter()
        .map(|name| {
            let own = |objects: Vec<Value>| -> Vec<Manifest> {
                let manifest = |content| Manifest {
                    origin: None,
                    content,
                };
                objects.into_iter().map(manifest).collect()
            };
            let manifests = match name {
                RBAC => own(rbac::objects()),
                FLANNEL => own(flannel::objects(spec)),
                COREDNS => own(coredns::objects(spec)),
                METRICS_SERVER => own(metrics_server::objects(spec, kubelet_ca, runs_pods)),
                _ => spec.addons.manifests.clone(),
            };
            Addon {
                name: name.to_owned(),
                objects: manifests
                    .into_iter()
                    .map(|made| labelled(made, name))
                    .collect(),
            }
        })
        .collect()
}

/// Bindings that nodes need to join, where nobody applies addons.
pub fn node_bindings() -> Vec<Value> {
    rbac::objects()
}

/// The same with the labels that it is found by.
fn labelled(manifest: Manifest, addon: &str) -> Object {
    let Manifest {
        mut content,
        origin,
    } = manifest;
    let metadata = &mut content["metadata"];
    if !metadata["labels"].is_object() {
        metadata["labels"] = json!({});
    }
    metadata["labels"][MANAGED_BY] = json!(MANAGER);
    metadata["labels"][LABEL] = json!(addon);
    Object { content, origin }
}

/// The head of an object.
fn object(api_version: &str, kind: &str, namespace: Option<&str>, name: &str) -> Value {
    let mut metadata = json!({"name": name});
    if let Some(namespace) = namespace {
        metadata["namespace"] = json!(namespace);
    }
    metadata["labels"] = json!({});
    json!({"apiVersion": api_version, "kind": kind, "metadata": metadata})
}

/// What the cluster needs runs on replicas too: on a cluster without nodes, or one whose nodes are full.
fn tolerations() -> Value {
    json!([
        {"key": "CriticalAddonsOnly", "operator": "Exists"},
        {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule"},
    ])
}
