//! Addons, and the certificates that kubelets serve with.

use super::is_before;
use super::world::World;
use crate::cluster::{AddonState, Intent, ServingView, fixtures};
use crate::machine::Program;
use crate::settings::PodNetwork;

fn settled() -> World {
    World::settled(fixtures::intent(&[]))
}

fn with(name: &str, state: AddonState) -> World {
    let mut world = settled();
    let addons = world.observed.addons.as_mut().unwrap();
    addons.insert(name.to_owned(), state);
    world
}

fn pods(variables: &[(&str, &str)]) -> Intent {
    let mut intent = fixtures::intent(variables);
    intent.spec.programs.pods = Some(fixtures::pods());
    intent
}

#[test]
fn what_is_as_it_should_be_is_left_alone() {
    assert_eq!(settled().keys(), [] as [&str; 0]);
    // Nothing is known of it: a look that failed is no reason to change things.
    let why = "the API server didn't answer within 10 s".to_owned();
    let world = with("coredns", AddonState::Unknown { why });
    assert_eq!(world.keys(), [] as [&str; 0]);
}

#[test]
fn what_is_missing_or_was_changed_is_applied() {
    assert_eq!(
        with("coredns", AddonState::Missing).keys(),
        ["addon/coredns"]
    );
    let changed = "ConfigMap kube-system/coredns was changed: data.Corefile".to_owned();
    let what = vec![
        changed,
        "Deployment kube-system/coredns is missing".to_owned(),
    ];
    let plan = with("coredns", AddonState::Differs { what }).plan();
    assert_eq!(
        plan.steps[0].says,
        "apply addon coredns again: ConfigMap kube-system/coredns was changed: data.Corefile, and 1 more"
    );
}

#[test]
fn what_is_switched_off_is_removed() {
    let world = settled();
    let mut off = world.intent.clone();
    off.spec.addons.metrics_server = false;
    off.spec.addons.pod_network = PodNetwork::None;
    let mut world = world.with_intent(off);
    assert_eq!(
        world.keys(),
        ["remove-addon/flannel", "remove-addon/metrics-server"]
    );
    world.converge(0);
}

#[test]
fn stand_ins_have_none() {
    let mut intent = fixtures::intent(&[]);
    intent.spec.programs.kube_apiserver = Program::StandIn {
        hakube: "/usr/bin/hakube".into(),
    };
    let keys = World::empty(intent).keys();
    assert!(!keys.iter().any(|key| key.contains("addon")), "{keys:?}");
}

#[test]
fn nodes_join_when_they_may_and_addons_are_awaited_when_nodes_are_ready() {
    let plan = World::empty(pods(&[("NUM_NODES", "2")])).plan();
    assert!(is_before(&plan, "addon/rbac", "admit-nodes"));
    assert!(is_before(&plan, "addon/rbac", "register/kubernetes-master"));
    for name in ["flannel", "coredns", "metrics-server"] {
        let ready = format!("ready-addon/{name}");
        for before in [
            "await-nodes",
            "await-replica-nodes",
            &format!("addon/{name}"),
        ] {
            assert!(is_before(&plan, before, &ready), "{before}, {ready}");
        }
    }
    // Nodes need the pod network to be ready, so it doesn't wait for them.
    assert!(!is_before(&plan, "await-nodes", "addon/flannel"));
}

#[test]
fn nobody_waits_for_pods_where_none_run() {
    let late = |intent: Intent| {
        let keys = World::empty(intent).keys();
        keys.iter().any(|key| key.starts_with("ready-addon/"))
    };
    assert!(late(pods(&[])));
    // Hollow nodes; replicas that aren't nodes, and no others; nodes without a pod network.
    assert!(!late(fixtures::intent(&[("NUM_NODES", "3")])));
    assert!(!late(pods(&[("REGISTER_MASTER", "false")])));
    assert!(!late(pods(&[("NETWORK_PROVIDER", "none")])));
}

#[test]
fn what_runs_no_more_stops_nothing_else() {
    let mut world = World::settled(pods(&[]));
    let why = "Deployment kube-system/coredns has 1 of 2 pods ready".to_owned();
    let addons = world.observed.addons.as_mut().unwrap();
    addons.insert("coredns".to_owned(), AddonState::NotReady { why });
    assert_eq!(world.keys(), [] as [&str; 0]);
}

#[test]
fn kubelets_get_certificates_for_what_is_their_own() {
    let mut world = settled();
    let asked = |refused: Option<&str>| ServingView {
        request: "csr-1".to_owned(),
        by: "system:node:kubernetes-master".to_owned(),
        refused: refused.map(str::to_owned),
    };
    world.observed.serving = vec![asked(Some("10.0.0.1 isn't an address of it"))];
    assert_eq!(world.keys(), [] as [&str; 0]);
    world.observed.serving.push(asked(None));
    assert_eq!(world.keys(), ["approve-serving"]);
}
