//! `up`: from nothing to one replica.

use super::world::World;
use super::{is_before, shown};
use crate::cluster::fixtures;
use crate::plan::{Action, Plan};
use hakube_provider::{ExternalAddress, FirewallSource};

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

/// Nobody may come by ssh but who is named, and nobody is by default.
#[test]
fn ssh_is_open_to_those_who_are_named() {
    for (source, ranges) in [
        ("", None),
        ("none", None),
        (
            "203.0.113.7/32,35.235.240.0/20",
            Some(vec!["203.0.113.7/32", "35.235.240.0/20"]),
        ),
    ] {
        let plan = up(&[("HAKUBE_SSH_SOURCE", source)]);
        let open = plan.steps.iter().find_map(|step| match &step.action {
            Action::EnsureFirewall(spec) if spec.tcp_ports == ["22"] => Some(spec.clone()),
            _ => None,
        });
        let sources = open.map(|spec| spec.source);
        let expected = ranges.map(|ranges| {
            let ranges = ranges.iter().map(|range| range.parse().unwrap());
            FirewallSource::Ranges(ranges.collect())
        });
        assert_eq!(sources, expected, "{source}");
    }
}
