//! Machines that are off, missing or unreachable; nodes without machines; machines without nodes.

use super::{REPAIR, about, of_replica};
use hakube_model::{ConditionKind, Intent, Observed, ReplicaIntent};
use hakube_output::ConditionStatus;
use hakube_plan::nodes_without_machine;
use hakube_provider::MachineState;

pub(super) fn replicas<'a>(
    intent: &'a Intent,
    observed: &'a Observed,
) -> impl Iterator<Item = ConditionStatus> + 'a {
    let replicas = intent.replicas.iter().filter(|_| intent.formed);
    replicas.filter_map(|replica| of(intent, observed, replica))
}

fn of(intent: &Intent, observed: &Observed, replica: &ReplicaIntent) -> Option<ConditionStatus> {
    let ReplicaIntent { name, zone } = replica;
    let inventory = &observed.inventory;
    let unreachable = inventory.unreachable_machines.get(name);
    if let Some(why) = unreachable.or_else(|| inventory.unreachable.get(zone)) {
        let host = if unreachable.is_some() { name } else { zone };
        let message = format!("its host is unreachable: {why}; hakube can't switch it on");
        let bring_back = format!("switch {host} on, or restore the network to it; then: {REPAIR}");
        let condition = of_replica(ConditionKind::MachineUnreachable, name, message);
        return Some(condition.fixed_by([bring_back]));
    }
    match inventory.machine(name).map(|machine| machine.state) {
        Some(MachineState::Running | MachineState::Starting) => None,
        Some(MachineState::Stopped | MachineState::Stopping) => Some(of_replica(
            ConditionKind::MachineStopped,
            name,
            "its machine is off".to_owned(),
        )),
        None if observed.is_hidden(intent, name) => None,
        None => Some(of_replica(
            ConditionKind::MachineMissing,
            name,
            "its machine is missing".to_owned(),
        )),
    }
}

pub(super) fn nodes(intent: &Intent, observed: &Observed) -> Vec<ConditionStatus> {
    let Some(registered) = &observed.nodes else {
        return Vec::new();
    };
    let gone = nodes_without_machine(intent, observed)
        .into_iter()
        .map(|node| {
            let message = "it is registered as a node, but its machine is missing".to_owned();
            about(ConditionKind::NodeWithoutMachine, &node.name, message)
        });
    let groups = observed.inventory.node_groups.iter();
    let machines = groups.flat_map(|group| &group.machines);
    let silent = machines.filter(|name| registered.iter().all(|node| node.name != **name));
    let silent = silent.map(|name| {
        let message = "its machine exists, but isn't registered as a node".to_owned();
        about(ConditionKind::MachineWithoutNode, name, message).fixed_by([
            format!("check the kubelet's logs on {name}: journalctl -u kubelet"),
            format!("if it hangs, restart its kubelet, or delete the machine; then: {REPAIR}"),
        ])
    });
    gone.chain(silent).collect()
}
