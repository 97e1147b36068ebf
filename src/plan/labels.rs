//! Labels that the inventory gives hosts: on their nodes, and no longer once they are out of the inventory.
//!
//! The API server keeps which labels are hakube's, so that others' stay. A kubelet may not set all of them on its own
//! node, and none later on.

use super::step::{Action, Draft, key};
use crate::cluster::{Intent, Observed};
use crate::settings::{Host, HostRole};
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
        Some(one) if nodes.len() == 1 => format!("label the node {one} as the inventory says"),
        Some(_) => "label nodes as the inventory says".to_owned(),
    };
    let mut needs = draft.keys("register/");
    needs.extend(draft.keys("nodes/"));
    needs.extend(draft.keys("await-nodes"));
    draft.add("label-nodes", says, Action::LabelNodes { nodes }, &needs);
}

/// Whether its node has other labels, or comes by this plan and has none yet.
fn differs(host: &Host, observed: &Observed, draft: &Draft) -> bool {
    let mut nodes = observed.nodes.iter().flatten();
    match nodes.find(|node| node.name == host.name) {
        Some(node) => match &node.inventory_labels {
            Some(there) => *there != host.labels,
            // A stand-in, which doesn't keep whose they are.
            None => false,
        },
        None => !host.labels.is_empty() && may_come(host, draft),
    }
}

/// Which free host a group takes is the provider's to choose.
fn may_come(host: &Host, draft: &Draft) -> bool {
    let of_group = |step: &super::Step| match &step.action {
        Action::EnsureNodeGroup(group) => group.machine.machine.zone == host.zone.name(),
        Action::AwaitNodes { .. } => true,
        _ => false,
    };
    draft.has(&key("register", &host.name))
        || (host.role != HostRole::Replica && draft.any(of_group))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::cluster::{NodeView, fixtures};
    use crate::plan::tests::world::World;
    use crate::settings::Hosts;

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

    /// A cluster that is as it should be, with one replica that is a node.
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
    fn labels_that_differ_are_set_and_those_out_of_the_inventory_removed() {
        let labels = [("disk", "ssd")];
        let mut world = settled(vec![host("kubernetes-master", HostRole::Any, &labels)]);
        let wanted = world.intent.spec.hosts.as_ref().unwrap().hosts[0]
            .labels
            .clone();
        for (there, differs) in [
            (Some(BTreeMap::new()), true),
            (
                Some(BTreeMap::from([("disk".to_owned(), "hdd".to_owned())])),
                true,
            ),
            (Some(wanted.clone()), false),
            (None, false),
        ] {
            replica(&mut world).inventory_labels = there.clone();
            let has_step = world.keys().contains(&"label-nodes".to_owned());
            assert_eq!(has_step, differs, "{there:?}");
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
    fn hosts_that_may_become_nodes_by_the_plan_are_labelled_after_they_are_there() {
        let labels = [("disk", "ssd")];
        let mut world = settled(vec![
            host("kubernetes-master", HostRole::Replica, &[]),
            host("n1", HostRole::Node, &labels),
            host("n2", HostRole::Node, &[]),
            host("r2", HostRole::Replica, &labels),
        ]);
        assert_eq!(world.keys(), [""; 0], "nothing comes");
        world.intent.nodes = vec![crate::cluster::NodeGroupIntent {
            zone: fixtures::ZONES[0].to_owned(),
            size: 1,
        }];
        let plan = world.plan();
        let step = plan.steps.iter().find(|step| step.key == "label-nodes");
        let step = step.unwrap();
        assert!(step.needs.contains(&"await-nodes".to_owned()), "{step:?}");
        let Action::LabelNodes { nodes } = &step.action else {
            panic!("{step:?}")
        };
        assert_eq!(nodes.keys().collect::<Vec<_>>(), ["n1"]);
    }
}
