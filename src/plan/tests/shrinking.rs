//! Replicas that go: asked to, dead, or never finished.

use super::world::World;
use super::{is_before, shown};
use crate::cluster::fixtures::replicas;
use crate::cluster::{MemberRole, MemberView, NodeView};

const MASTER: &str = "kubernetes-master";
const ABC: &str = "kubernetes-master-abc";
const DEF: &str = "kubernetes-master-def";

fn shrunk(from: &[&str], to: &[&str]) -> World {
    World::settled(replicas(from)).with_intent(replicas(to))
}

fn lead(world: &mut World, name: &str) {
    use crate::cluster::EtcdView::Known;
    let Known(members) = &mut world.observed.etcd else {
        panic!("{world:#?}")
    };
    for member in members {
        member.role = if member.name == name {
            MemberRole::Leader
        } else {
            MemberRole::Voter
        };
    }
}

fn register(world: &mut World, name: &str, ready: bool) {
    let nodes = world.observed.nodes.get_or_insert_with(Vec::new);
    nodes.push(NodeView {
        name: name.to_owned(),
        zone: String::new(),
        ready,
        control_plane: true,
        ..NodeView::default()
    });
}

/// Pods that can't leave stop the operation while all of the cluster still serves.
#[test]
fn a_replica_that_goes_is_drained_before_anything_else_of_it_goes() {
    let mut world = shrunk(&["", "abc"], &[""]);
    register(&mut world, ABC, true);
    let plan = world.plan();
    for step in plan.steps.iter().filter(|step| step.key != "drain") {
        let first = ["point-endpoint", "leave/", "delete/machine-"];
        if first.iter().any(|start| step.key.starts_with(start)) {
            assert!(is_before(&plan, "drain", &step.key), "{}", step.key);
        }
    }
    assert_eq!(plan.steps[0].key, "drain");
}

/// A kubelet that doesn't answer ends no pod.
#[test]
fn a_replica_whose_node_is_not_ready_is_not_drained() {
    let mut world = shrunk(&["", "abc", "def"], &["", "abc"]);
    register(&mut world, DEF, false);
    assert!(!world.keys().contains(&"drain".to_owned()));
}

#[test]
fn back_to_one_replica() {
    insta::assert_snapshot!(shown(&shrunk(&["", "abc"], &[""]).plan()));
}

#[test]
fn the_leader_of_three_goes() {
    let mut world = shrunk(&["", "abc", "def"], &["", "abc"]);
    lead(&mut world, DEF);
    insta::assert_snapshot!(shown(&world.plan()));
}

#[test]
fn one_of_three_that_is_dead_goes() {
    let mut world = shrunk(&["", "abc", "def"], &["", "abc"]);
    world.kill(DEF, false);
    insta::assert_snapshot!(shown(&world.plan()));
}

#[test]
fn one_that_does_not_lead_hands_nothing_over() {
    let keys = shrunk(&["", "abc", "def"], &["", "abc"]).keys();
    assert_eq!(
        keys,
        [
            "balancer".to_owned(),
            format!("leave/{DEF}"),
            format!("delete/machine-{DEF}-in-europe-west1-d"),
            format!("delete/disk-{DEF}-pd-in-europe-west1-d"),
        ]
    );
}

/// No client is sent to what is about to stop.
#[test]
fn clients_go_before_the_member_and_the_member_before_the_machine() {
    for (world, clients) in [
        (shrunk(&["", "abc", "def"], &["", "abc"]), "balancer"),
        (shrunk(&["", "def"], &[""]), "point-endpoint"),
    ] {
        let name = world.observed.inventory.machines.last().unwrap().clone();
        let (leave, delete) = (
            format!("leave/{}", name.name),
            format!("delete/machine-{}-in-{}", name.name, name.zone),
        );
        let plan = world.plan();
        assert!(is_before(&plan, clients, &leave));
        assert!(is_before(&plan, &leave, &delete));
    }
}

#[test]
fn the_balancer_goes_only_when_the_address_has_left_it() {
    let plan = shrunk(&["", "abc"], &[""]).plan();
    let service = "delete/backend-service-kubernetes-master-lb-in-europe-west1";
    assert!(is_before(&plan, "point-endpoint", service));
    for part in plan
        .steps
        .iter()
        .filter(|step| step.key.contains("health-check") || step.key.contains("group"))
    {
        assert!(is_before(&plan, service, &part.key), "{}", part.key);
    }
}

/// Handing leadership to one that goes next would stop writes a moment later.
#[test]
fn of_two_that_go_the_leader_goes_last() {
    let mut world = shrunk(&["", "abc", "def"], &[""]);
    lead(&mut world, ABC);
    assert!(is_before(
        &world.plan(),
        &format!("leave/{DEF}"),
        &format!("hand-leadership/{ABC}")
    ));
}

/// The other way round etcd would be left with one healthy voter of two.
#[test]
fn of_two_that_go_the_dead_one_goes_first() {
    let mut world = shrunk(&["", "abc", "def"], &[""]);
    world.kill(DEF, true);
    assert!(is_before(
        &world.plan(),
        &format!("leave/{DEF}"),
        &format!("leave/{ABC}")
    ));
}

#[test]
fn what_is_left_of_a_replica_nobody_wants_is_found_by_machine_member_or_disk() {
    let whole = shrunk(&["", "abc", "def"], &["", "abc"]);
    let delete_disk = format!("delete/disk-{DEF}-pd-in-europe-west1-d");
    let delete_machine = format!("delete/machine-{DEF}-in-europe-west1-d");

    let mut machine = World::settled(replicas(&["", "abc"]));
    let stray = whole.observed.inventory.machine(DEF).unwrap().clone();
    machine.observed.inventory.machines.push(stray);
    assert_eq!(machine.keys(), [delete_machine]);

    let mut disk = World::settled(replicas(&["", "abc"]));
    disk.observed.inventory.disks = whole.observed.inventory.disks.clone();
    assert_eq!(disk.keys(), [delete_disk]);

    // A learner that never started has no name, and without its machine only its URL says that it is ours.
    let mut member = World::settled(replicas(&["", "abc"]));
    let crate::cluster::EtcdView::Known(members) = &mut member.observed.etcd else {
        panic!("{member:#?}")
    };
    members.push(MemberView {
        id: 31,
        name: "member-1f".to_owned(),
        role: MemberRole::Learner,
        started: false,
        healthy: false,
        peer_urls: vec!["https://10.40.0.9:2380".to_owned()],
    });
    assert_eq!(member.keys(), [""; 0], "it may be somebody's");
    member
        .intent
        .joining
        .insert("https://10.40.0.9:2380".to_owned());
    assert_eq!(member.keys(), ["leave/member-1f"]);
}

/// etcd takes one learner at a time: the one of a replicate that was given up makes room.
#[test]
fn a_learner_nobody_wants_leaves_before_another_joins() {
    let mut world = World::settled(replicas(&[""])).with_intent(replicas(&["", "abc"]));
    let plan = world.plan();
    let joined = 1 + plan
        .steps
        .iter()
        .position(|step| step.key == format!("join/{ABC}"))
        .unwrap();
    world.run(&plan, 0, joined, false);
    let mut intent = replicas(&["", "abc", "def"]);
    intent.replicas.remove(1);
    let world = world.with_intent(intent);
    assert!(is_before(
        &world.plan(),
        &format!("leave/{ABC}"),
        &format!("join/{DEF}")
    ));
}

/// Its data is gone, so its member never comes back: it joins as a new one.
#[test]
fn a_replica_whose_machine_is_gone_is_made_anew() {
    let mut world = World::settled(replicas(&["", "abc", "def"]));
    world.kill(MASTER, true);
    insta::assert_snapshot!(shown(&world.plan()));
}
