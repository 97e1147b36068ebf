//! The release of programs in force on machines, read from them during an upgrade.

use super::machines::running;
use super::{Means, trust};
use futures::future::join_all;
use hakube_machine::RELEASE_IN_FORCE;
use hakube_model::{Intent, MarkView};
use hakube_provider::{Inventory, Machine, MachineRef, NodeGroup};
use std::collections::BTreeMap;

/// The releases in force on running replicas, and on nodes that are upgraded in place. Empty if no upgrade is in
/// progress.
pub async fn look(
    intent: &Intent,
    inventory: &Inventory,
    means: &Means,
) -> BTreeMap<String, MarkView> {
    if intent.upgrade.is_none() {
        return BTreeMap::new();
    }
    let replicas = running(inventory).filter(|one| intent.replica(&one.name).is_some());
    let mut machines: Vec<MachineRef> = replicas.map(Machine::machine_ref).collect();
    if intent.upgrades_nodes_in_place() {
        let groups = inventory.node_groups.iter();
        machines.extend(groups.flat_map(NodeGroup::machine_refs));
    }
    let views = machines.into_iter().map(async |machine| {
        let view = in_force(&machine, means).await;
        (machine.name, view)
    });
    join_all(views).await.into_iter().collect()
}

/// The release in force on a machine.
pub async fn in_force(machine: &MachineRef, means: &Means) -> MarkView {
    trust::mark_in(RELEASE_IN_FORCE, machine, means).await
}
