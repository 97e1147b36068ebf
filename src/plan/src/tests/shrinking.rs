//! Removing replicas: on request, dead ones, and unfinished ones.

use super::world::World;
use super::{is_before, shown};
use hakube_model::{MemberRole, MemberView, NodeView};
use hakube_testing::fixtures::replicas;

const MASTER: &str = "kubernetes-master";
const ABC: &str = "kubernetes-master-abc";
const DEF: &str = "kubernetes-master-def";

fn shrunk(from: &[&str], to: &[&str]) -> World {
    World::settled(replicas(from)).with_intent(replicas(to))
}

fn lead(world: &mut World, name: &str) {
    use hakube_model::EtcdView::Known;
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

/// If pods can't leave, the operation stops while the whole cluster still serves.
#[test]
fn a_removed_replica_is_drained_first() {
    let mut world = shrunk(&["", "abc"], &[""]);
    register(&mut world, ABC, true);
    let plan = world.plan();
    for step in plan.steps.iter().filter(|step| step.key != "drain") {
        let first = ["point-endpoint", "leave/", "delete/machine-"];
        if first
            .iter()
            .any(|start| step.key.to_string().starts_with(start))
        {
            assert!(
                is_before(&plan, "drain", &step.key.to_string()),
                "{}",
                step.key
            );
        }
    }
    assert_eq!(plan.steps[0].key, "drain");
}

/// A kubelet that doesn't respond terminates no pods.
#[test]
fn an_unready_node_isnt_drained() {
    let mut world = shrunk(&["", "abc", "def"], &["", "abc"]);
    register(&mut world, DEF, false);
    assert!(!world.keys().contains(&"drain".to_owned()));
}

#[test]
fn back_to_one_replica() {
    insta::assert_snapshot!(shown(&shrunk(&["", "abc"], &[""]).plan()));
}

#[test]
fn the_leader_of_three_is_removed() {
    let mut world = shrunk(&["", "abc", "def"], &["", "abc"]);
    lead(&mut world, DEF);
    insta::assert_snapshot!(shown(&world.plan()));
}

#[test]
fn a_dead_one_of_three_is_removed() {
    let mut world = shrunk(&["", "abc", "def"], &["", "abc"]);
    world.kill(DEF, false);
    insta::assert_snapshot!(shown(&world.plan()));
}

#[test]
fn only_a_leader_hands_over() {
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

/// Clients are never sent to a replica that is about to stop.
#[test]
fn clients_move_before_the_member_and_the_member_before_the_machine() {
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
fn the_balancer_is_deleted_after_the_address_has_moved() {
    let plan = shrunk(&["", "abc"], &[""]).plan();
    let service = "delete/backend-service-kubernetes-master-lb-in-europe-west1";
    assert!(is_before(&plan, "point-endpoint", service));
    for part in plan.steps.iter().filter(|step| {
        step.key.to_string().contains("health-check") || step.key.to_string().contains("group")
    }) {
        assert!(
            is_before(&plan, service, &part.key.to_string()),
            "{}",
            part.key
        );
    }
}

/// Otherwise the new leader would be removed next, which stops writes.
#[test]
fn the_leader_is_removed_last() {
    let mut world = shrunk(&["", "abc", "def"], &[""]);
    lead(&mut world, ABC);
    assert!(is_before(
        &world.plan(),
        &format!("leave/{DEF}"),
        &format!("hand-leadership/{ABC}")
    ));
}

/// In the other order, etcd would have one healthy voter of two.
#[test]
fn the_dead_replica_is_removed_first() {
    let mut world = shrunk(&["", "abc", "def"], &[""]);
    world.kill(DEF, true);
    assert!(is_before(
        &world.plan(),
        &format!("leave/{DEF}"),
        &format!("leave/{ABC}")
    ));
}

#[test]
fn leftovers_of_a_replica_are_found_by_machine_member_or_disk() {
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

    // A learner that never started has no name. Without its machine, only its recorded URL shows that it is hakube's.
    let mut member = World::settled(replicas(&["", "abc"]));
    let hakube_model::EtcdView::Known(members) = &mut member.observed.etcd else {
        panic!("{member:#?}")
    };
    members.push(MemberView {
        id: 31,
        name: "member-1f".to_owned(),
        role: MemberRole::Learner,
        started: false,
        healthy: false,
        peer_urls: vec!["https://10.40.0.9:2380".to_owned()],
        version: None,
        database: None,
    });
    assert_eq!(member.keys(), [""; 0], "it may be someone else's");
    member
        .intent
        .joining
        .insert("https://10.40.0.9:2380".to_owned());
    assert_eq!(member.keys(), ["leave/member-1f"]);
}

/// etcd allows one learner at a time.
#[test]
fn an_unwanted_learner_leaves_before_another_joins() {
    let mut world = World::settled(replicas(&[""])).with_intent(replicas(&["", "abc"]));
    let plan = world.plan();
    let joined = 1 + plan
        .steps
        .iter()
        .position(|step| step.key.to_string() == format!("join/{ABC}"))
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

/// Its data is lost, so it joins as a new member.
#[test]
fn a_replica_without_a_machine_is_recreated() {
    let mut world = World::settled(replicas(&["", "abc", "def"]));
    world.kill(MASTER, true);
    insta::assert_snapshot!(shown(&world.plan()));
}
