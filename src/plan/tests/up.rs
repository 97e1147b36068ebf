//! `up`: from nothing to one replica.

use super::world::World;
use super::{is_before, shown};
use crate::cluster::fixtures;
use crate::plan::{Action, Plan};
use hakube_provider::ExternalAddress;

fn up(variables: &[(&str, &str)]) -> Plan {
    World::empty(fixtures::intent(variables)).plan()
}

#[test]
fn a_new_cluster() {
    insta::assert_snapshot!(shown(&up(&[])));
}

#[test]
fn a_new_cluster_behind_a_balancer_with_nodes() {
    insta::assert_snapshot!(shown(&up(&[
        ("HAKUBE_LOAD_BALANCER", "always"),
        ("NUM_NODES", "3")
    ])));
}

#[test]
fn the_first_machine_is_born_with_the_endpoints_address_unless_a_balancer_gets_it() {
    for (mode, external) in [
        (
            "auto",
            ExternalAddress::Reserved("kubernetes-master-ip".to_owned()),
        ),
        ("always", ExternalAddress::Ephemeral),
    ] {
        let plan = up(&[("HAKUBE_LOAD_BALANCER", mode)]);
        let machine = plan.steps.iter().find_map(|step| match &step.action {
            Action::EnsureMachine(spec) => Some(spec.external.clone()),
            _ => None,
        });
        assert_eq!(machine, Some(external), "{mode}");
    }
}

/// What can be made at the same time is.
#[test]
fn address_and_network_wait_for_nothing() {
    let plan = up(&[]);
    let free: Vec<&str> = plan
        .steps
        .iter()
        .filter(|step| step.needs.is_empty())
        .map(|step| step.key.as_str())
        .collect();
    assert_eq!(free, ["reserve-address", "network"]);
}

#[test]
fn nodes_are_let_in_when_the_endpoint_answers() {
    let plan = up(&[("NUM_NODES", "3")]);
    assert!(is_before(&plan, "await-endpoint", "admit-nodes"));
    assert!(is_before(&plan, "admit-nodes", "await-nodes"));
}

#[test]
fn up_again_does_nothing() {
    for variables in [
        &[][..],
        &[("NUM_NODES", "3")],
        &[("HAKUBE_LOAD_BALANCER", "always")],
    ] {
        let world = World::settled(fixtures::intent(variables));
        assert_eq!(world.keys(), Vec::<String>::new(), "{variables:?}");
    }
}

/// A balancer's data plane may start long after its rule is there.
#[test]
fn an_endpoint_that_does_not_answer_yet_is_waited_for() {
    let mut world = World::settled(fixtures::intent(&[]));
    world.observed.endpoint_ready = false;
    assert_eq!(world.keys(), ["await-endpoint"]);
}
