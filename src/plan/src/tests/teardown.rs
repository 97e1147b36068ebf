//! `down`: deletes users before what they use, and the address last of what clients use.

use super::world::World;
use super::{is_before, shown};
use crate::{Action, Plan};
use hakube_model::{ReplicaIntent, begin_teardown};
use hakube_provider::ResourceKind;
use hakube_testing::fixtures::{self, ZONES};

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

fn deletes(plan: &Plan, kind: ResourceKind) -> Vec<String> {
    let of_kind = plan
        .steps
        .iter()
        .filter(|step| matches!(&step.action, Action::Delete(found) if found.kind == kind));
    of_kind.map(|step| step.key.to_string()).collect()
}

#[test]
fn a_cluster_of_two_with_nodes() {
    insta::assert_snapshot!(shown(&whole_cluster(&[]).plan()));
}

#[test]
fn the_address_goes_after_everything_that_can_hold_it() {
    let plan = whole_cluster(&[]).plan();
    let [address] = &deletes(&plan, ResourceKind::Address)[..] else {
        panic!("{plan:#?}")
    };
    for kind in [ResourceKind::Machine, ResourceKind::ForwardingRule] {
        let holders = deletes(&plan, kind);
        assert!(!holders.is_empty());
        for holder in holders {
            assert!(is_before(&plan, &holder, address), "{holder}");
        }
    }
}

/// The kubeconfig is kept until the cluster is gone.
#[test]
fn the_check_follows_all_deletions_and_the_kubeconfig_is_last() {
    let plan = whole_cluster(&[]).plan();
    for step in plan
        .steps
        .iter()
        .filter(|step| matches!(step.action, Action::Delete(_)))
    {
        assert!(
            is_before(&plan, &step.key.to_string(), "prove-empty"),
            "{}",
            step.key
        );
    }
    assert!(is_before(&plan, "prove-empty", "remove-kubeconfig"));
}

/// The inventory only has a network that hakube created: the user's own has no ownership label.
#[test]
fn the_network_is_only_kept_on_request() {
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
fn an_empty_cluster_is_checked_anyway() {
    let world = World::empty(begin_teardown(&fixtures::intent(&[])));
    assert_eq!(world.keys(), ["prove-empty", "remove-kubeconfig"]);
}
