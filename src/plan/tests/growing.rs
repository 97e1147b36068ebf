//! `replicate`: more replicas, and the endpoint's way to the balancer.

use super::world::World;
use super::{is_before, shown};
use crate::cluster::fixtures::replicas;
use hakube_provider::BackendGroup;

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

/// The swap is two calls, so everything else is done by then.
#[test]
fn the_balancer_is_made_while_the_machine_boots_and_gets_the_address_when_the_replica_is_ready() {
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

/// Clients would meet it at once.
#[test]
fn behind_a_live_balancer_a_backend_is_ready_first() {
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

/// Made for a replica that couldn't be: no machine was ever put into it.
#[test]
fn a_group_in_a_zone_without_a_replica_goes() {
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
fn machines_are_made_together_and_members_join_one_after_another() {
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

/// Its successor votes before it goes, and clients follow.
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
