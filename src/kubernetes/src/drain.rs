//! Draining of nodes: which pods must leave, and what prevents it.

use super::call::in_time;
use hakube_error::{Error, Result};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, DeleteParams, EvictParams, ListParams, Patch, PatchParams, PostParams};

/// The annotation of pods that a kubelet runs from local files: the API only mirrors them.
const MIRROR: &str = "kubernetes.io/config.mirror";
/// Part of an eviction's refusal if a PodDisruptionBudget is the reason.
const BUDGET: &str = "DisruptionBudget";

/// A pod that must leave before its node is removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodOnNode {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its node.
    pub node: String,
    /// Whether a controller recreates it elsewhere.
    pub managed: bool,
    /// Whether it is already being deleted.
    pub terminating: bool,
}

impl std::fmt::Display for PodOnNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{} on {}", self.namespace, self.name, self.node)
    }
}

/// How to make a pod leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eviction {
    /// Only check whether it could be evicted now.
    Check,
    /// Evict it, if its PodDisruptionBudget allows that now.
    Evict,
    /// Delete it, regardless of budgets.
    Delete,
}

/// The result of an eviction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evicted {
    /// It is leaving, or already gone.
    Leaves,
    /// A PodDisruptionBudget doesn't allow it now, with the API server's message.
    Blocked {
        /// The message, which names the budget.
        why: String,
    },
}

/// Whether new pods are placed on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cordon {
    /// They aren't.
    Closed,
    /// They are.
    Open,
}

/// Cordons or uncordons the node. An unregistered node is not an error.
pub(super) async fn cordon(client: kube::Client, node: &str, cordon: Cordon) -> Result<()> {
    let nodes: Api<Node> = Api::all(client);
    let patch =
        Patch::Merge(serde_json::json!({"spec": {"unschedulable": cordon == Cordon::Closed}}));
    let patched = in_time(async {
        match nodes.patch(node, &PatchParams::default(), &patch).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            answer => answer.map(drop),
        }
    });
    patched.await.map_err(|error| {
        let verb = match cordon {
            Cordon::Closed => "cordon",
            Cordon::Open => "uncordon",
        };
        Error::failed(format!("could not {verb} the node {node}"))
            .because(error)
            .transient()
    })
}

/// Lists the pods that must leave this node. A stand-in's API server has none.
pub(super) async fn pods(client: kube::Client, node: &str) -> Result<Vec<PodOnNode>> {
    let pods: Api<Pod> = Api::all(client);
    let on_node = ListParams::default().fields(&format!("spec.nodeName={node}"));
    let list = in_time(async {
        match pods.list(&on_node).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
            answer => answer.map(|list| list.items),
        }
    });
    let list = list.await.map_err(|error| {
        Error::failed(format!("could not list the pods on {node}"))
            .because(error)
            .transient()
    })?;
    Ok(list.iter().filter_map(|pod| displaced(pod, node)).collect())
}

/// The pod, if it must leave. Pods of DaemonSets and of the kubelet itself stay with the node;
/// finished pods don't run.
fn displaced(pod: &Pod, node: &str) -> Option<PodOnNode> {
    let meta = &pod.metadata;
    let is_mirror = meta
        .annotations
        .as_ref()
        .is_some_and(|annotations| annotations.contains_key(MIRROR));
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    let mut owners = meta.owner_references.iter().flatten();
    let controller = owners.find(|owner| owner.controller == Some(true));
    let is_daemon = controller.is_some_and(|owner| owner.kind == "DaemonSet");
    if is_mirror || is_daemon || matches!(phase, Some("Succeeded" | "Failed")) {
        return None;
    }
    Some(PodOnNode {
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
        node: node.to_owned(),
        managed: controller.is_some(),
        terminating: meta.deletion_timestamp.is_some(),
    })
}

/// Makes the pod leave, or checks whether it could.
pub(super) async fn evict(client: kube::Client, pod: &PodOnNode, how: Eviction) -> Result<Evicted> {
    let pods: Api<Pod> = Api::namespaced(client, &pod.namespace);
    let answered = in_time(async {
        let answer = match how {
            Eviction::Delete => pods
                .delete(&pod.name, &DeleteParams::default())
                .await
                .map(drop),
            Eviction::Check | Eviction::Evict => {
                let params = EvictParams {
                    post_options: PostParams {
                        dry_run: how == Eviction::Check,
                        ..PostParams::default()
                    },
                    ..EvictParams::default()
                };
                pods.evict(&pod.name, &params).await.map(drop)
            }
        };
        match answer {
            Ok(()) => Ok(Evicted::Leaves),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(Evicted::Leaves),
            Err(kube::Error::Api(status)) => match budget(&status) {
                Some(why) => Ok(Evicted::Blocked { why }),
                None => Err(kube::Error::Api(status)),
            },
            Err(error) => Err(error),
        }
    });
    answered.await.map_err(|error| {
        Error::failed(format!("could not evict pod {pod}"))
            .because(error)
            .transient()
    })
}

/// A PodDisruptionBudget's message in an eviction's refusal, if that is the reason.
fn budget(status: &kube::core::Status) -> Option<String> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let mut budgets = causes.filter(|cause| cause.reason == BUDGET);
    budgets.next().map(|cause| cause.message.clone())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(metadata: &serde_json::Value, phase: &str) -> Pod {
        let pod = json!({"metadata": metadata, "status": {"phase": phase}});
        serde_json::from_value(pod).unwrap()
    }

    fn owned_by(kind: &str) -> serde_json::Value {
        json!({"namespace": "shop", "name": "web-1", "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": kind, "name": "web", "uid": "1", "controller": true}
        ]})
    }

    #[test]
    fn pods_bound_to_the_node_and_finished_pods_stay() {
        let mirror = json!({"name": "p", "annotations": {MIRROR: "1"}});
        assert_eq!(displaced(&pod(&mirror, "Running"), "n1"), None);
        assert_eq!(
            displaced(&pod(&owned_by("DaemonSet"), "Running"), "n1"),
            None
        );
        assert_eq!(displaced(&pod(&owned_by("Job"), "Succeeded"), "n1"), None);
        assert_eq!(displaced(&pod(&owned_by("Job"), "Failed"), "n1"), None);
    }

    #[test]
    fn other_pods_leave_and_those_without_a_controller_are_identified() {
        let web = displaced(&pod(&owned_by("ReplicaSet"), "Running"), "n1").unwrap();
        assert_eq!(web.to_string(), "shop/web-1 on n1");
        assert!(web.managed && !web.terminating);
        let bare = json!({"namespace": "shop", "name": "debug", "deletionTimestamp": "2026-01-01T00:00:00Z"});
        let bare = displaced(&pod(&bare, "Pending"), "n1").unwrap();
        assert!(!bare.managed && bare.terminating);
    }
}
