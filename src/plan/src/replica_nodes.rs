//! Replicas that are nodes: registered by their kubelets, labelled here, deleted when they leave.

use super::addons;
use super::id::{StepId, Verb};
use super::step::{Action, Draft};
use hakube_model::{Intent, Observed, ReplicaIntent};
use hakube_provider::{MachineRef, ResourceKind};

pub(super) fn plan(intent: &Intent, observed: &Observed, draft: &mut Draft) {
    if intent.spec.replicas_are_nodes() {
        register(intent, observed, draft);
    }
    forget(intent, observed, draft);
}

/// Registers and labels nodes. A kubelet may taint its own node, but can't set the control plane's label.
fn register(intent: &Intent, observed: &Observed, draft: &mut Draft) {
    let is_registered = |replica: &&ReplicaIntent| {
        observed
            .node(&replica.name)
            .is_some_and(|node| node.control_plane)
    };
    let replicas = intent.replicas.iter();
    let new: Vec<MachineRef> = replicas
        .filter(|replica| !observed.is_hidden(intent, &replica.name))
        .filter(|replica| !is_registered(replica))
        .map(|replica| replica.machine_ref())
        .collect();
    let mut registered: Vec<StepId> = Vec::new();
    for machine in &new {
        let name = &machine.name;
        registered.push(draft.add(
            Verb::RegisterReplica.of(name),
            format!("register {name} as a node of the control plane"),
            Action::RegisterReplica(machine.clone()),
            &[
                Verb::ControlPlane.of(name),
                Verb::AwaitEndpoint.into(),
                addons::before_nodes(),
            ],
        ));
    }
    // Only when new: a node that becomes unready later appears in status, and doesn't block other steps.
    if !new.is_empty() && intent.spec.nodes_become_ready() {
        draft.add(
            Verb::AwaitReplicaNodes,
            match new.as_slice() {
                [one] => format!("wait until node {} is ready", one.name),
                _ => format!("wait until the nodes of {} replicas are ready", new.len()),
            },
            Action::AwaitReplicaNodes { replicas: new },
            &registered,
        );
    }
}

/// Deletes nodes of replicas whose machines are missing, or removed by this plan.
fn forget(intent: &Intent, observed: &Observed, draft: &mut Draft) {
    if !observed.inventory.unreachable.is_empty() {
        return;
    }
    let gone: Vec<MachineRef> = observed
        .nodes
        .iter()
        .flatten()
        .filter(|node| node.control_plane && intent.replica(&node.name).is_none())
        .map(|node| node.machine_ref())
        .collect();
    if gone.is_empty() {
        return;
    }
    draft.add(
        Verb::ForgetReplicas,
        match gone.as_slice() {
            [one] => format!("remove node {} from the cluster", one.name),
            _ => format!(
                "remove the nodes of {} replicas from the cluster",
                gone.len()
            ),
        },
        Action::ForgetNodes { nodes: gone },
        &draft.ids(|id| {
            id.deleted()
                .is_some_and(|one| one.kind == ResourceKind::Machine)
        }),
    );
}
