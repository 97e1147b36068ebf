//! Replicas that are nodes: registered by their kubelets, labelled here, forgotten when they leave.

use super::addons;
use super::endpoint::AWAIT;
use super::step::{Action, Draft, Key, key};
use crate::cluster::{Intent, NodeView, Observed, ReplicaIntent};
use hakube_provider::MachineRef;

/// The key of the step after which new replicas' nodes are ready for pods.
const AWAIT_NODES: &str = "await-replica-nodes";

pub(super) fn plan(intent: &Intent, observed: &Observed, draft: &mut Draft) {
    if intent.spec.replicas_are_nodes() {
        register(intent, observed, draft);
    }
    forget(intent, observed, draft);
}

/// A kubelet may taint its own node, but not label it as a control plane's: hakube does.
fn register(intent: &Intent, observed: &Observed, draft: &mut Draft) {
    let is_registered = |replica: &&ReplicaIntent| {
        node(observed, &replica.name).is_some_and(|node| node.control_plane)
    };
    let replicas = intent.replicas.iter();
    let new: Vec<MachineRef> = replicas
        .filter(|replica| !observed.is_hidden(intent, &replica.name))
        .filter(|replica| !is_registered(replica))
        .map(|replica| MachineRef {
            name: replica.name.clone(),
            zone: replica.zone.clone(),
        })
        .collect();
    let mut registered: Vec<Key> = Vec::new();
    for machine in &new {
        let name = &machine.name;
        registered.push(draft.add(
            key("register", name),
            format!("register {name} as a node of the control plane"),
            Action::RegisterReplica(machine.clone()),
            &[
                key("control-plane", name),
                AWAIT.to_owned(),
                addons::before_nodes(),
            ],
        ));
    }
    // Once is enough: a node that isn't ready later is the status' to tell, and stops nothing else.
    if !new.is_empty() && intent.spec.nodes_become_ready() {
        draft.add(
            AWAIT_NODES,
            match new.as_slice() {
                [one] => format!("wait until the node {} is ready", one.name),
                _ => format!("wait until the nodes of {} replicas are ready", new.len()),
            },
            Action::AwaitReplicaNodes { replicas: new },
            &registered,
        );
    }
}

/// Nodes of replicas whose machines are gone, or go by this plan.
fn forget(intent: &Intent, observed: &Observed, draft: &mut Draft) {
    if !observed.inventory.unreachable.is_empty() {
        return;
    }
    let gone: Vec<MachineRef> = observed
        .nodes
        .iter()
        .flatten()
        .filter(|node| node.control_plane && intent.replica(&node.name).is_none())
        .map(|node| MachineRef {
            name: node.name.clone(),
            zone: node.zone.clone(),
        })
        .collect();
    if gone.is_empty() {
        return;
    }
    draft.add(
        "forget-replicas",
        match gone.as_slice() {
            [one] => format!("remove the node {} from the cluster", one.name),
            _ => format!(
                "remove the nodes of {} replicas from the cluster",
                gone.len()
            ),
        },
        Action::ForgetNodes { nodes: gone },
        &draft.keys("delete/machine-"),
    );
}

fn node<'a>(observed: &'a Observed, name: &str) -> Option<&'a NodeView> {
    let nodes = observed.nodes.as_ref()?;
    nodes.iter().find(|node| node.name == name)
}
