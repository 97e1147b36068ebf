//! The authorities in force, read from the machines.

use super::Means;
use super::machines::running;
use futures::future::join_all;
use hakube_machine::TrustPart;
use hakube_model::{Intent, MarkView, Trust};
use hakube_provider::{Inventory, Machine, MachineRef, NodeGroup};

/// The authorities in force on replicas and, during a rotation, on the kubelets of nodes that hakube can log in on.
pub async fn look(intent: &Intent, inventory: &Inventory, means: &Means) -> Trust {
    let replicas: Vec<MachineRef> = running(inventory)
        .filter(|machine| intent.replica(&machine.name).is_some())
        .map(Machine::machine_ref)
        .collect();
    let mut kubelets = Vec::new();
    if intent.spec.replicas_are_nodes() {
        kubelets.extend(replicas.iter().cloned());
    }
    if intent.rotation.is_some() && intent.spec.logs_in_on_nodes() {
        let groups = inventory.node_groups.iter();
        kubelets.extend(groups.flat_map(NodeGroup::machine_refs));
    }
    let view = async |machine: MachineRef, part: TrustPart| {
        let view = in_force(&machine, part, means).await;
        (machine.name, view)
    };
    let views = replicas
        .into_iter()
        .map(|one| view(one, TrustPart::ControlPlane));
    let replicas = join_all(views).await;
    let views = kubelets
        .into_iter()
        .map(|one| view(one, TrustPart::Kubelet));
    let kubelets = join_all(views).await;
    Trust {
        wanted: means.authorities.mark(),
        replicas: replicas.into_iter().collect(),
        kubelets: kubelets.into_iter().collect(),
    }
}

/// The authorities in force in a part of a machine.
pub async fn in_force(machine: &MachineRef, part: TrustPart, means: &Means) -> MarkView {
    mark_in(&part.in_force(), machine, means).await
}

/// The mark in a file of a machine that says what is in force there.
pub async fn mark_in(path: &str, machine: &MachineRef, means: &Means) -> MarkView {
    match means.channel.read(machine, path).await {
        Ok(Some(mark)) => {
            let mark = String::from_utf8_lossy(&mark);
            MarkView::InForce(mark.trim().to_owned())
        }
        Ok(None) => MarkView::Fixed,
        Err(error) => MarkView::Unknown {
            why: error.to_string(),
        },
    }
}
