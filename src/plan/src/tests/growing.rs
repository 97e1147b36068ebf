//! `replicate`: adds replicas, and moves the endpoint to the balancer.

use super::world::World;
use super::{is_before, shown};
use hakube_provider::{BackendGroup, MachineState};
use hakube_testing::fixtures::replicas;

fn grown(from: &[&str], to: &[&str]) -> World {
    World::settled(replicas(from)).with_intent(replicas(to))
}

#[test]
fn the_second_replica() {
    insta::assert_snapshot!(shown(&grown(&[""], &["", "abc"]).plan()));
}

#[test]
fn the_second_replica_of_a_private_cluster() {
    let private = |suffixes| {
        let mut intent = replicas(suffixes);
        intent.spec.network.private = true;
        intent
    };
    let world = World::settled(private(&[""])).with_intent(private(&["", "abc"]));
    insta::assert_snapshot!(shown(&world.plan()));
}

#[test]
fn the_third_replica() {
    insta::assert_snapshot!(shown(&grown(&["", "abc"], &["", "abc", "def"]).plan()));
}

/// The swap's last call gives the machine that held the address another one. Without it, it reaches nothing outside of
/// its network.
#[test]
fn a_machine_without_an_external_address_after_the_swap_gets_one() {
    let settled = World::settled(replicas(&["", "abc"]));
    let bare = |mut world: World| {
        world.observed.inventory.machines[0].external_address = None;
        world
    };
    let mut world = bare(settled.clone());
    assert_eq!(world.keys(), ["external-address/kubernetes-master"]);
    world.converge(0);
    assert!(world.keys().is_empty());

    // Where replicas have no external addresses, nothing is missing.
    let mut private = replicas(&["", "abc"]);
    private.spec.network.private = true;
    assert!(bare(World::settled(private)).keys().is_empty());
    // A machine that is off has none until it starts.
    let mut off = bare(settled);
    off.observed.inventory.machines[0].state = MachineState::Stopped;
    assert!(
        !off.keys()
            .contains(&"external-address/kubernetes-master".to_owned())
    );
}

/// Moving the endpoint is two calls, because everything else is done before.
#[test]
fn the_balancer_is_created_early_and_gets_the_address_once_the_replica_is_ready() {
    let plan = grown(&[""], &["", "abc"]).plan();
    assert!(is_before(
        &plan,
        "machine/kubernetes-master-abc",
        "balancer"
    ));
    assert!(!is_before(
        &plan,
        "secrets/kubernetes-master-abc",
        "balancer"
    ));
    assert!(is_before(&plan, "balancer", "point-endpoint"));
    assert!(is_before(
        &plan,
        "control-plane/kubernetes-master-abc",
        "point-endpoint"
    ));
    assert!(is_before(&plan, "point-endpoint", "await-endpoint"));
}

/// It gets traffic at once.
#[test]
fn a_live_balancer_only_gets_ready_backends() {
    let plan = grown(&["", "abc"], &["", "abc", "def"]).plan();
    assert!(is_before(
        &plan,
        "control-plane/kubernetes-master-def",
        "balancer"
    ));
    assert!(
        !plan.steps.iter().any(|step| step.key == "point-endpoint"),
        "the address stays where it is"
    );
}

/// It was created for a replica whose machine couldn't be.
#[test]
fn a_group_in_a_zone_without_a_replica_is_removed() {
    let mut world = World::settled(replicas(&["", "abc"]));
    let balancer = &mut world.observed.inventory.balancer;
    balancer.groups.push(BackendGroup {
        name: "kubernetes-master-lb-europe-west1-f".to_owned(),
        zone: "europe-west1-f".to_owned(),
        machines: Vec::new(),
    });
    assert_eq!(world.keys(), ["balancer"]);
}

#[test]
fn machines_are_created_together_and_members_join_one_by_one() {
    let plan = grown(&[""], &["", "abc", "def"]).plan();
    assert!(!is_before(
        &plan,
        "machine/kubernetes-master-abc",
        "machine/kubernetes-master-def"
    ));
    assert!(!is_before(
        &plan,
        "control-plane/kubernetes-master-abc",
        "join/kubernetes-master-def"
    ));
    assert!(is_before(
        &plan,
        "promote/kubernetes-master-abc",
        "join/kubernetes-master-def"
    ));
    let votes: Vec<usize> = plan
        .steps
        .iter()
        .filter_map(|step| Some(step.quorum?.after.voters))
        .collect();
    assert_eq!(votes, [1, 2, 2, 3], "a learner has no vote");
}

/// Its successor votes before it is removed, and the endpoint moves.
#[test]
fn the_only_replica_is_replaced_by_another() {
    let plan = grown(&[""], &["abc"]).plan();
    assert!(is_before(
        &plan,
        "control-plane/kubernetes-master-abc",
        "point-endpoint"
    ));
    assert!(is_before(
        &plan,
        "point-endpoint",
        "hand-leadership/kubernetes-master"
    ));
    assert!(is_before(
        &plan,
        "hand-leadership/kubernetes-master",
        "leave/kubernetes-master"
    ));
}
