//! Addons, which the operator would otherwise have to install: converts the cluster's specification
//! into Kubernetes objects. Pure, without I/O.

mod coredns;
mod dns;
mod flannel;
mod identity;
mod images;
mod manifests;
mod metrics_server;
mod node_local_dns;
mod rbac;

#[cfg(test)]
mod tests;

pub use flannel::VXLAN_PORT;
pub use images::Image;
pub use manifests::{LIMIT as MANIFESTS_LIMIT, parse as parse_manifests};

use hakube_model::PodNetwork;
use hakube_model::{Addons, ClusterSpec, Manifest, Program};
use serde_json::{Value, json};

/// The manager of objects, in their label and as the owner of their fields.
pub const MANAGER: &str = "hakube";
/// The label with the manager.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The label with the object's addon, to find objects that are no longer wanted.
pub const LABEL: &str = "hakube.io/addon";
/// The annotation of pods with the CAs that they were started with.
const AUTHORITIES: &str = "hakube.io/authorities";
/// The namespace of most objects.
pub const SYSTEM: &str = "kube-system";

/// The cluster's identity.
pub const IDENTITY: &str = "identity";
/// Bindings that nodes need to join.
pub const RBAC: &str = "rbac";
/// The pod network.
pub const FLANNEL: &str = "flannel";
/// The cluster's DNS.
pub const COREDNS: &str = "coredns";
/// A DNS cache on every node.
pub const NODE_LOCAL_DNS: &str = "node-local-dns";
/// metrics-server.
pub const METRICS_SERVER: &str = "metrics-server";
/// The operator's own objects.
pub const MANIFESTS: &str = "manifests";

/// Objects that are applied, awaited and removed together.
#[derive(Debug, Clone, PartialEq)]
pub struct Addon {
    /// Its name, which is the value of the objects' label.
    pub name: String,
    /// Its objects, in the order in which they were written.
    pub objects: Vec<Object>,
}

/// An object in its wanted state.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// The content to apply.
    pub content: Value,
    /// Its position in the operator's files: file, document, line. `None` for hakube's own.
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

    /// Its namespace, if set.
    pub fn namespace(&self) -> Option<&str> {
        self.content["metadata"]["namespace"].as_str()
    }

    /// `Deployment kube-system/coredns`, with its position in the operator's files.
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

    /// The order of application: objects that others depend on come first, those that depend on
    /// running pods last.
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
            // Custom resources.
            _ => 5,
        }
    }
}

/// The names of the addons that a cluster should have. A stand-in's API server has none: it
/// supports too few kinds.
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
        (IDENTITY, spec.identity.is_some()),
        (RBAC, true),
        (FLANNEL, *pod_network == PodNetwork::Flannel),
        (NODE_LOCAL_DNS, spec.addons.has_node_local_dns()),
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

/// The CA data that addons need.
#[derive(Debug, Clone, Copy)]
pub struct Anchors<'a> {
    /// The CA certificates (PEM) for kubelets' serving certificates.
    pub kubelet_ca: &'a str,
    /// The digest of the CAs, once they have been rotated: pods read the cluster's CA at startup.
    pub mark: Option<&'a str>,
}

/// The addons that a cluster should have.
pub fn all(spec: &ClusterSpec, anchors: Anchors<'_>) -> Vec<Addon> {
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
                IDENTITY => own(identity::objects(spec)),
                RBAC => own(rbac::objects()),
                FLANNEL => own(flannel::objects(spec)),
                NODE_LOCAL_DNS => own(node_local_dns::objects(spec)),
                COREDNS => own(coredns::objects(spec)),
                METRICS_SERVER => own(metrics_server::objects(spec, anchors.kubelet_ca)),
                _ => spec.addons.manifests.clone(),
            };
            let objects = manifests.into_iter().map(|made| {
                let mut object = labelled(made, name);
                if let (Some(mark), None) = (anchors.mark, &object.origin) {
                    restarted_for(mark, &mut object.content);
                }
                object
            });
            Addon {
                name: name.to_owned(),
                objects: objects.collect(),
            }
        })
        .collect()
}

/// Annotates pod templates, so that pods are recreated when the digest changes.
fn restarted_for(mark: &str, content: &mut Value) {
    if matches!(content["kind"].as_str(), Some("Deployment" | "DaemonSet")) {
        content["spec"]["template"]["metadata"]["annotations"][AUTHORITIES] = json!(mark);
    }
}

/// The bindings that nodes need to join, for clusters without addons.
pub fn node_bindings() -> Vec<Value> {
    rbac::objects()
}

/// Adds the labels to an object.
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

/// The skeleton of an object.
fn object(api_version: &str, kind: &str, namespace: Option<&str>, name: &str) -> Value {
    let mut metadata = json!({"name": name});
    if let Some(namespace) = namespace {
        metadata["namespace"] = json!(namespace);
    }
    metadata["labels"] = json!({});
    json!({"apiVersion": api_version, "kind": kind, "metadata": metadata})
}

/// Addons that the cluster needs also run on replicas, if there are no nodes or they are full.
fn tolerations() -> Value {
    json!([
        {"key": "CriticalAddonsOnly", "operator": "Exists"},
        {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule"},
    ])
}
