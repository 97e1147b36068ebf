//! `down`: nothing before what holds it, the address last of what clients know.

use super::world::World;
use super::{is_before, shown};
use crate::cluster::fixtures::{self, ZONES};
use crate::cluster::{ReplicaIntent, begin_teardown};
use crate::plan::{Action, Plan};
use hakube_provider::ResourceKind;

fn whole_cluster(variables: &[(&str, &str)]) -> World {
    let mut all = vec![("MULTIZONE", "true"), ("NUM_NODES", "2")];
    all.extend(variables);
    let mut intent = fixtures::intent(&all);
    intent.replicas.push(ReplicaIntent {
        name: intent.spec.names.replica("abc"),
        zone: ZONES[1].to_owned(),
    });
    let world = World::settled(intent);
    let absent = begin_teardown(&world.intent);
    world.with_intent(absent)
}

fn deletes(plan: &Plan, kind: ResourceKind) -> Vec<&str> {
    let of_kind = plan
        .steps
        .iter()
        .filter(|step| matches!(&step.action, Action::Delete(found) if found.kind == kind));
    of_kind.map(|step| step.key.as_str()).collect()
}

#[test]
fn a_cluster_of_two_with_nodes() {
    insta::assert_snapshot!(shown(&whole_cluster(&[]).plan()));
}

#[test]
fn the_address_goes_after_everything_that_can_hold_it() {
    let plan = whole_cluster(&[]).plan();
    let [address] = deletes(&plan, ResourceKind::Address)[..] else {
        panic!("{plan:#?}")
    };
    for kind in [ResourceKind::Machine, ResourceKind::ForwardingRule] {
        let holders = deletes(&plan, kind);
        assert!(!holders.is_empty());
        for holder in holders {
            assert!(is_before(&plan, holder, address), "{holder}");
        }
    }
}

/// The kubeconfig is needed no more only when there is nothing that it reaches.
#[test]
fn the_proof_comes_after_every_deletion_and_the_kubeconfig_goes_after_the_proof() {
    let plan = whole_cluster(&[]).plan();
    for step in plan
        .steps
        .iter()
        .filter(|step| matches!(step.action, Action::Delete(_)))
    {
        assert!(is_before(&plan, &step.key, "prove-empty"), "{}", step.key);
    }
    assert!(is_before(&plan, "prove-empty", "remove-kubeconfig"));
}

/// The world has the network only if hakube made it: one of the user's own bears no mark.
#[test]
fn the_network_stays_only_when_the_operator_says_so() {
    for (variables, goes) in [
        (&[][..], true),
        (&[("KUBE_DELETE_NETWORK", "true")], true),
        (&[("KUBE_DELETE_NETWORK", "false")], false),
    ] {
        let plan = whole_cluster(variables).plan();
        assert_eq!(
            !deletes(&plan, ResourceKind::Network).is_empty(),
            goes,
            "{variables:?}"
        );
        assert!(
            !deletes(&plan, ResourceKind::Firewall).is_empty(),
            "firewalls are the cluster's own"
        );
    }
}

#[test]
fn with_nothing_there_it_is_proven_all_the_same() {
    let world = World::empty(begin_teardown(&fixtures::intent(&[])));
    assert_eq!(world.keys(), ["prove-empty", "remove-kubeconfig"]);
}
