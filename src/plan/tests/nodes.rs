//! More nodes, and fewer.

use super::is_before;
use super::world::World;
use crate::cluster::fixtures::{self, ZONES};
use crate::cluster::{Intent, NodeGroupIntent, NodeView};
use crate::plan::Action;
use hakube_provider::{ResourceKind, Scope};

const GROUP: &str = "kubernetes-minion-group-europe-west1-b";

fn nodes(count: &str) -> World {
    World::settled(fixtures::intent(&[("NUM_NODES", count)]))
}

fn sized(intent: &Intent, sizes: &[u32]) -> Intent {
    let groups = ZONES.iter().zip(sizes).filter(|(_, size)| **size > 0);
    Intent {
        nodes: groups
            .map(|(zone, &size)| NodeGroupIntent {
                zone: (*zone).to_owned(),
                size,
            })
            .collect(),
        ..intent.clone()
    }
}

/// The token in the old template may have expired, and a template can't be changed.
#[test]
fn a_group_of_another_size_gets_a_new_template_and_the_old_one_goes() {
    let world = nodes("3");
    let intent = sized(&world.intent, &[5]);
    let keys = world.with_intent(intent).keys();
    assert_eq!(
        keys,
        [
            "admit-nodes".to_owned(),
            format!("nodes/{GROUP}"),
            "delete/machine-template-kubernetes-minion-template-0".to_owned(),
            "await-nodes".to_owned(),
        ]
    );
}

#[test]
fn a_template_that_is_in_use_is_no_ones_to_change_or_delete() {
    let mut world = nodes("3");
    let intent = sized(&world.intent, &[3, 2]);
    world = world.with_intent(intent);
    world.converge(0);
    let groups = &world.observed.inventory.node_groups;
    let templates: Vec<&str> = groups.iter().map(|group| group.template.as_str()).collect();
    assert_eq!(
        templates,
        [
            "kubernetes-minion-template-0",
            "kubernetes-minion-template-1"
        ]
    );
}

#[test]
fn no_nodes_is_no_group_and_no_template() {
    let mut world = nodes("3");
    let intent = sized(&world.intent, &[]);
    world = world.with_intent(intent);
    world.converge(0);
    let left = world.observed.inventory.resources.iter();
    let left: Vec<_> = left
        .filter(|resource| {
            matches!(
                resource.kind,
                ResourceKind::NodeGroup | ResourceKind::MachineTemplate
            )
        })
        .collect();
    assert_eq!(left, Vec::<&hakube_provider::ResourceId>::new());
}

#[test]
fn nodes_that_may_be_late_are_not_waited_for() {
    let intent = fixtures::intent(&[("NUM_NODES", "3"), ("ALLOWED_NOTREADY_NODES", "1")]);
    let mut world = World::settled(intent);
    let lose = |world: &mut World, count: usize| {
        let nodes = world.observed.nodes.iter_mut().flatten();
        for node in nodes.take(count) {
            node.ready = false;
        }
    };
    lose(&mut world, 1);
    assert_eq!(world.keys(), [""; 0]);
    lose(&mut world, 2);
    assert_eq!(world.keys(), ["await-nodes"]);
}

/// What somebody else made with the cluster's mark, by another scheme of names, goes with the cluster only.
#[test]
fn a_template_that_isnt_of_nodes_stays() {
    let mut world = nodes("1");
    let resource = hakube_provider::ResourceId {
        kind: ResourceKind::MachineTemplate,
        scope: Scope::Global,
        name: "kubernetes-gpu".to_owned(),
    };
    world.observed.inventory.resources.push(resource);
    assert_eq!(world.keys(), Vec::<String>::new());
}

#[test]
fn nodes_whose_machines_are_gone_are_forgotten_and_others_are_not() {
    let mut world = nodes("1");
    world.observed.inventory.node_groups[0].machines = vec![format!("{GROUP}-here")];
    let node = |name: &str| NodeView {
        name: name.to_owned(),
        zone: ZONES[0].to_owned(),
        ready: true,
        control_plane: false,
        ..NodeView::default()
    };
    world.observed.nodes = Some(vec![
        node(&format!("{GROUP}-here")),
        node("a-machine-of-the-users"),
    ]);
    assert_eq!(world.keys(), Vec::<String>::new());
    let gone = node(&format!("{GROUP}-gone"));
    world.observed.nodes.as_mut().unwrap().push(gone);
    assert_eq!(world.keys(), ["forget-nodes"]);
}

/// At whatever step a command stops, and in whatever order it went, the next one ends where it should.
#[test]
fn a_change_that_stopped_anywhere_is_finished() {
    let sizes: [&[u32]; 5] = [&[3], &[1], &[0, 2], &[2, 2, 2], &[]];
    for from in sizes {
        for to in sizes {
            for steps in 0..6 {
                for (order, half) in [(0, false), (1, true), (2, true)] {
                    let intent = fixtures::intent(&[("MULTIZONE", "true")]);
                    let mut world = World::settled(sized(&intent, from));
                    let intent = sized(&world.intent, to);
                    world = world.with_intent(intent);
                    let plan = world.plan();
                    world.run(&plan, order, steps, half);
                    world.converge(order);
                    let groups = &world.observed.inventory.node_groups;
                    let mut found: Vec<u32> = groups.iter().map(|group| group.size).collect();
                    found.sort_unstable();
                    let mut wanted: Vec<u32> = to.iter().copied().filter(|&n| n > 0).collect();
                    wanted.sort_unstable();
                    assert_eq!(found, wanted, "from {from:?}, stopped after {steps}");
                }
            }
        }
    }
}

/// A new cluster whose replicas are nodes.
fn with_pods() -> Intent {
    let mut intent = fixtures::intent(&[]);
    intent.spec.programs.pods = Some(fixtures::pods());
    intent
}

#[test]
fn a_replica_registers_once_its_control_plane_runs_and_clients_have_an_answer() {
    let plan = World::empty(with_pods()).plan();
    for before in ["control-plane/kubernetes-master", "await-endpoint"] {
        assert!(is_before(&plan, before, "register/kubernetes-master"));
    }
    assert!(is_before(
        &plan,
        "register/kubernetes-master",
        "await-replica-nodes"
    ));
}

#[test]
fn replicas_that_are_no_nodes_are_never_waited_for() {
    let mut intent = with_pods();
    intent.spec.replica_machines.register = false;
    let keys = World::empty(intent).keys();
    assert!(!keys.iter().any(|key| key.contains("register")), "{keys:?}");
}

/// Nobody else takes a removed replica's node off the list.
#[test]
fn the_node_of_a_replica_that_leaves_goes_after_its_machine() {
    let mut two = with_pods();
    two.replicas = fixtures::replicas(&["", "two"]).replicas;
    two.formed = true;
    let world = World::settled(two.clone());
    let one = Intent {
        replicas: two.replicas[..1].to_vec(),
        ..two
    };
    let plan = world.with_intent(one).plan();
    assert!(is_before(
        &plan,
        "delete/machine-kubernetes-master-two-in-europe-west1-c",
        "forget-replicas"
    ));
}

/// The one that was meant to go does, and its pods leave it first.
#[test]
fn fewer_nodes_are_the_sick_and_the_cordoned_ones_first_and_they_are_drained() {
    let mut world = nodes("4");
    let name = |number: usize| format!("{GROUP}-{number}");
    world.observed.inventory.node_groups[0].machines = (0..4).map(name).collect();
    let node = |number: usize| NodeView {
        name: name(number),
        zone: ZONES[0].to_owned(),
        ready: number != 1,
        control_plane: false,
        cordoned: number == 0,
        ..NodeView::default()
    };
    world.observed.nodes = Some((0..4).map(node).collect());
    let group = |world: &World| {
        let steps = world.plan().steps;
        let spec = steps.into_iter().find_map(|step| match step.action {
            Action::EnsureNodeGroup(spec) => Some(spec),
            _ => None,
        });
        spec.unwrap()
    };
    let drained = |world: &World| {
        let steps = world.plan().steps;
        let nodes = steps.into_iter().find_map(|step| match step.action {
            Action::DrainNodes { nodes } => Some(nodes),
            _ => None,
        });
        nodes.unwrap_or_default()
    };
    let all = world.intent.clone();
    let three = world.clone().with_intent(sized(&all, &[3]));
    assert_eq!(group(&three).leaving, [name(1)]);
    assert_eq!(drained(&three), [""; 0], "its kubelet would end no pod");
    let two = world.clone().with_intent(sized(&all, &[2]));
    assert_eq!(group(&two).leaving, [name(1), name(0)]);
    assert_eq!(drained(&two), [name(0)]);
    let one = world.clone().with_intent(sized(&all, &[1]));
    assert_eq!(group(&one).leaving, [name(1), name(0), name(3)]);
    let none = world.with_intent(sized(&all, &[]));
    assert_eq!(drained(&none), [name(0), name(2), name(3)]);
}
