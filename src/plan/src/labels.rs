//! The inventory's labels: set on hosts' nodes, and removed again when they leave the inventory.
//!
//! The API server tracks which labels are hakube's, so others are kept. hakube sets them because a kubelet may not set
//! all of them on its own node, and can't change them later.

use super::id::Verb;
use super::step::{Action, Draft};
use hakube_model::{Host, HostRole};
use hakube_model::{Intent, Observed};
use std::collections::BTreeMap;

pub(super) fn plan(intent: &Intent, observed: &Observed, draft: &mut Draft) {
    let Some(inventory) = &intent.spec.hosts else {
        return;
    };
    let hosts = inventory.hosts.iter();
    let nodes: BTreeMap<String, BTreeMap<String, String>> = hosts
        .filter(|host| differs(host, observed, draft))
        .map(|host| (host.name.clone(), host.labels.clone()))
        .collect();
    let says = match nodes.keys().next() {
        None => return,
        Some(one) if nodes.len() == 1 => format!("set the inventory's labels on node {one}"),
        Some(_) => "set the inventory's labels on nodes".to_owned(),
    };
    let mut needs = draft.all(Verb::RegisterReplica);
    needs.extend(draft.all(Verb::Nodes));
    needs.extend(draft.all(Verb::AwaitNodes));
    draft.add(Verb::LabelNodes, says, Action::LabelNodes { nodes }, &needs);
}

/// Whether the node's labels differ, or the plan may create the node.
fn differs(host: &Host, observed: &Observed, draft: &Draft) -> bool {
    match observed.node(&host.name) {
        Some(node) => match &node.inventory_labels {
            Some(found) => *found != host.labels,
            // A stand-in doesn't track field managers.
            None => false,
        },
        None => !host.labels.is_empty() && may_become_node(host, draft),
    }
}

/// The provider chooses which free host a group gets.
fn may_become_node(host: &Host, draft: &Draft) -> bool {
    let of_group = |step: &super::Step| match &step.action {
        Action::EnsureNodeGroup(group) => group.machine.machine.zone == host.zone.name(),
        Action::AwaitNodes { .. } => true,
        _ => false,
    };
    draft.has(&Verb::RegisterReplica.of(&host.name))
        || (host.role != HostRole::Replica && draft.any(of_group))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::tests::world::World;
    use hakube_model::Hosts;
    use hakube_model::NodeView;
    use hakube_testing::fixtures;

    fn host(name: &str, role: HostRole, labels: &[(&str, &str)]) -> Host {
        let labels = labels.iter();
        Host {
            role,
            labels: labels
                .map(|&(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            ..fixtures::host(name, "10.77.0.11")
        }
    }

    /// A cluster that matches its intent, with one replica that is a node.
    fn settled(hosts: Vec<Host>) -> World {
        let mut intent = fixtures::intent(&[]);
        intent.spec.programs.pods = Some(fixtures::pods());
        let mut world = World::settled(intent);
        world.intent.spec.hosts = Some(Hosts {
            hosts,
            endpoint: None,
        });
        world
    }

    fn replica(world: &mut World) -> &mut NodeView {
        let nodes = world.observed.nodes.as_mut().unwrap();
        let mut nodes = nodes.iter_mut();
        nodes.find(|node| node.name == "kubernetes-master").unwrap()
    }

    #[test]
    fn different_labels_are_set_and_dropped_ones_removed() {
        let labels = [("disk", "ssd")];
        let mut world = settled(vec![host("kubernetes-master", HostRole::Any, &labels)]);
        let wanted = world.intent.spec.hosts.as_ref().unwrap().hosts[0]
            .labels
            .clone();
        for (found, differs) in [
            (Some(BTreeMap::new()), true),
            (
                Some(BTreeMap::from([("disk".to_owned(), "hdd".to_owned())])),
                true,
            ),
            (Some(wanted.clone()), false),
            (None, false),
        ] {
            replica(&mut world).inventory_labels = found.clone();
            let has_step = world.keys().contains(&"label-nodes".to_owned());
            assert_eq!(has_step, differs, "{found:?}");
        }
        world.intent.spec.hosts.as_mut().unwrap().hosts[0]
            .labels
            .clear();
        replica(&mut world).inventory_labels = Some(wanted);
        let plan = world.plan();
        let step = plan.steps.iter().find(|step| step.key == "label-nodes");
        let Action::LabelNodes { nodes } = &step.unwrap().action else {
            panic!("{step:?}")
        };
        assert!(nodes["kubernetes-master"].is_empty());
    }

    #[test]
    fn hosts_that_may_become_nodes_are_labelled_once_they_exist() {
        let labels = [("disk", "ssd")];
        let mut world = settled(vec![
            host("kubernetes-master", HostRole::Replica, &[]),
            host("n1", HostRole::Node, &labels),
            host("n2", HostRole::Node, &[]),
            host("r2", HostRole::Replica, &labels),
        ]);
        assert_eq!(world.keys(), [""; 0], "nothing comes");
        world.intent.nodes = vec![hakube_model::NodeGroupIntent {
            zone: fixtures::ZONES[0].to_owned(),
            size: 1,
        }];
        let plan = world.plan();
        let step = plan.steps.iter().find(|step| step.key == "label-nodes");
        let step = step.unwrap();
        assert!(step.needs.contains(&Verb::AwaitNodes.into()), "{step:?}");
        let Action::LabelNodes { nodes } = &step.action else {
            panic!("{step:?}")
        };
        assert_eq!(nodes.keys().collect::<Vec<_>>(), ["n1"]);
    }
}
