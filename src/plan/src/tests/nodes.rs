//! Scaling of nodes.

use super::is_before;
use super::world::World;
use crate::Action;
use hakube_model::{Intent, NodeGroupIntent, NodeView};
use hakube_provider::{ResourceKind, Scope};
use hakube_testing::fixtures::{self, ZONES};

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
fn a_resized_group_gets_a_new_template_and_the_old_one_is_deleted() {
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
fn a_template_in_use_is_kept() {
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
fn without_nodes_there_is_no_group_and_no_template() {
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
fn nodes_that_may_be_unready_arent_awaited() {
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

/// A resource with the cluster's ownership label, but another naming scheme, is only deleted with the cluster.
#[test]
fn an_unrelated_template_is_kept() {
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
fn only_nodes_without_machines_are_deleted() {
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

/// Wherever and in whatever order a command stops, the next one finishes.
#[test]
fn an_interrupted_change_is_finished() {
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
fn a_replica_registers_once_its_control_plane_and_the_endpoint_are_ready() {
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
fn replicas_that_arent_nodes_arent_awaited() {
    let mut intent = with_pods();
    intent.spec.replica_machines.register = false;
    let keys = World::empty(intent).keys();
    assert!(!keys.iter().any(|key| key.contains("register")), "{keys:?}");
}

/// No other program deletes a removed replica's node.
#[test]
fn a_removed_replicas_node_is_deleted_after_its_machine() {
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

/// A cordoned node was meant to be removed. Its pods leave it first.
#[test]
fn unready_and_cordoned_nodes_are_removed_first_after_a_drain() {
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
    assert_eq!(drained(&three), [""; 0], "its kubelet terminates no pods");
    let two = world.clone().with_intent(sized(&all, &[2]));
    assert_eq!(group(&two).leaving, [name(1), name(0)]);
    assert_eq!(drained(&two), [name(0)]);
    let one = world.clone().with_intent(sized(&all, &[1]));
    assert_eq!(group(&one).leaving, [name(1), name(0), name(3)]);
    let none = world.with_intent(sized(&all, &[]));
    assert_eq!(drained(&none), [name(0), name(2), name(3)]);
}
