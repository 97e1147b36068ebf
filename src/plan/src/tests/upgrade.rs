//! Upgrades: the order of replicas and nodes.

use super::is_before;
use super::world::World;
use crate::{Action, Plan};
use hakube_model::{Endpoint, Hosts, Intent, MemberRole, Versions};
use hakube_testing::fixtures;
use semver::Version;

const MASTER: &str = "kubernetes-master";

/// A cluster with an upgrade in its intent, whose machines have the release before it.
fn outdated(mut intent: Intent) -> World {
    intent.formed = true;
    let mut world = World::settled(intent);
    let intent = world.intent.clone();
    let versions = Versions {
        kubernetes: Version::new(1, 36, 9),
        ..intent.spec.versions.clone()
    };
    let programs = intent.spec.programs.clone();
    let intent = intent.upgraded(versions, programs, &world.observed);
    for replica in &intent.replicas {
        world.has_release(&replica.name, "old".to_owned());
    }
    world.nodes_register("v1.36.3");
    let groups = world.observed.inventory.node_groups.iter();
    let nodes: Vec<String> = groups.flat_map(|group| group.machines.clone()).collect();
    for name in nodes {
        world.has_release(&name, "old".to_owned());
    }
    world.with_intent(intent)
}

fn upgrades(plan: &Plan) -> Vec<String> {
    let keys = plan.steps.iter().map(|step| step.key.to_string());
    keys.filter(|key| key.starts_with("upgrade/")).collect()
}

#[test]
fn replicas_follow_one_another_and_the_leader_is_last() {
    let mut world = outdated(fixtures::replicas(&["", "abc", "def"]));
    let plan = world.plan();
    let upgrades = upgrades(&plan);
    assert_eq!(upgrades.len(), 3);
    for pair in upgrades.windows(2) {
        assert!(is_before(&plan, &pair[0], &pair[1]), "{pair:?}");
    }
    let members = world.observed.etcd.members();
    let leader = members
        .iter()
        .find(|member| member.role == MemberRole::Leader);
    assert_eq!(upgrades[2], format!("upgrade/{}", leader.unwrap().name));
    world.run(&plan, 0, plan.steps.len(), false);
    assert_eq!(
        world.keys(),
        Vec::<String>::new(),
        "then nothing is left to do"
    );
}

/// With one voter down, the restart of another would cost etcd its quorum.
#[test]
fn while_a_replica_is_down_only_that_one_is_upgraded() {
    let mut world = outdated(fixtures::replicas(&["", "abc", "def"]));
    world.kill("kubernetes-master-abc", false);
    let plan = world.plan();
    let healthy = ["upgrade/kubernetes-master", "upgrade/kubernetes-master-def"];
    let found = upgrades(&plan);
    assert!(
        !found.iter().any(|key| healthy.contains(&key.as_str())),
        "{found:?}"
    );
}

#[test]
fn hosts_that_are_nodes_follow_the_replicas_one_by_one() {
    let mut intent = fixtures::intent(&[("NUM_NODES", "2")]);
    intent.spec.hosts = Some(Hosts {
        hosts: Vec::new(),
        endpoint: None,
    });
    let world = outdated(intent);
    let plan = world.plan();
    let found = upgrades(&plan);
    assert_eq!(found.len(), 3, "{found:?}");
    assert_eq!(found[0], format!("upgrade/{MASTER}"));
    assert!(is_before(&plan, &found[0], &found[1]));
    assert!(is_before(&plan, &found[1], &found[2]));
}

/// hakube doesn't log in on machines of groups.
#[test]
fn groups_get_a_new_template_from_which_their_nodes_are_recreated_one_by_one() {
    let mut world = outdated(fixtures::intent(&[("NUM_NODES", "2")]));
    let plan = world.plan();
    assert_eq!(upgrades(&plan), [format!("upgrade/{MASTER}")]);
    let keys = world.keys();
    let group = "nodes/kubernetes-minion-group-europe-west1-b".to_owned();
    assert!(keys.contains(&group), "{keys:?}");
    let replica = format!("upgrade/{MASTER}");
    assert!(
        is_before(&plan, &replica, &group),
        "a kubelet isn't newer than the API server"
    );
    let recreated: Vec<String> = keys
        .into_iter()
        .filter(|key| key.starts_with("recreate/"))
        .collect();
    assert_eq!(recreated.len(), 2, "{recreated:?}");
    assert!(is_before(&plan, &group, &recreated[0]));
    assert!(is_before(&plan, &recreated[0], &recreated[1]));
    world.run(&plan, 0, plan.steps.len(), false);
    assert_eq!(world.keys(), Vec::<String>::new());
    assert_eq!(world.intent.spec.endpoint, Endpoint::Provider);
}

/// An interrupted run has left the group with a machine more. The old one goes.
#[test]
fn a_group_that_is_one_too_large_loses_an_old_node() {
    let mut world = outdated(fixtures::intent(&[("NUM_NODES", "2")]));
    let plan = world.plan();
    let upto = plan
        .steps
        .iter()
        .position(|step| step.key.to_string().starts_with("recreate/"));
    world.run(&plan, 0, upto.unwrap(), false);
    let new = world.grow_group("v1.36.9");
    let plan = world.plan();
    let drained = plan.steps.iter().find_map(|step| match &step.action {
        Action::DrainNodes { nodes } => Some(nodes.clone()),
        _ => None,
    });
    let drained = drained.unwrap();
    assert_eq!(drained.len(), 1, "{drained:?}");
    assert_ne!(drained[0], new);
    let recreates = plan
        .steps
        .iter()
        .filter(|step| step.key.to_string().starts_with("recreate/"));
    assert_eq!(recreates.count(), 1, "the other old node");
}
