//! Nodes: a group of identical machines for each zone.

use super::endpoint::AWAIT;
use super::step::{Action, Draft, Key, key};
use crate::cluster::{Intent, NodeGroupIntent, Observed};
use crate::machine;
use hakube_provider::{ExternalAddress, MachineRef, MachineSpec, NodeGroupSpec};
use std::collections::BTreeMap;

pub(super) fn plan(intent: &Intent, observed: &Observed, draft: &mut Draft) {
    let names = &intent.spec.names;
    let short: Vec<&NodeGroupIntent> = intent
        .nodes
        .iter()
        .filter(|group| {
            let name = names.node_group(&group.zone);
            let found = observed
                .inventory
                .node_groups
                .iter()
                .find(|found| found.name == name);
            found.is_none_or(|found| found.size != group.size)
        })
        .collect();
    let mut ready: Vec<Key> = vec![AWAIT.to_owned()];
    if !short.is_empty() {
        let admit = draft.add(
            "admit-nodes",
            "let nodes join, with a token that expires",
            Action::AdmitNodes,
            &ready,
        );
        for group in short {
            let spec = group_spec(intent, group);
            ready.push(draft.add(
                key("nodes", &spec.name),
                format!("make {} nodes in {}", group.size, group.zone),
                Action::EnsureNodeGroup(spec),
                std::slice::from_ref(&admit),
            ));
        }
    }
    let count = intent.node_count();
    let up = observed
        .nodes
        .as_ref()
        .map_or(0, |nodes| nodes.iter().filter(|node| node.ready).count());
    if count > 0 && (up as u64) < u64::from(count) {
        draft.add(
            "await-nodes",
            format!("wait until {count} nodes are ready"),
            Action::AwaitNodes { count },
            &ready,
        );
    }
}

fn group_spec(intent: &Intent, group: &NodeGroupIntent) -> NodeGroupSpec {
    let spec = &intent.spec;
    let nodes = &spec.node_machines;
    let user_data = machine::node_user_data(spec, &group.zone);
    let name = spec.names.node_group(&group.zone);
    NodeGroupSpec {
        name: name.clone(),
        // A template can't be changed: named for its content, another content is another template.
        template: spec
            .names
            .node_template(&machine::digest(&(&user_data, nodes))),
        size: group.size,
        machine: MachineSpec {
            cluster: spec.cluster.clone(),
            machine: MachineRef {
                name,
                zone: group.zone.clone(),
            },
            machine_type: nodes.machine_type.clone(),
            image: spec.replica_machines.image.clone(),
            boot_disk_gb: nodes.disk_gb,
            boot_disk_kind: "pd-standard".to_owned(),
            data_disk: None,
            network: spec.network.name.clone(),
            subnetwork: spec.network.subnetwork.clone(),
            external: ExternalAddress::Ephemeral,
            tags: vec![spec.names.minion()],
            labels: BTreeMap::from([("hakube-role".to_owned(), "node".to_owned())]),
            preemptible: false,
            user_data,
        },
    }
}
