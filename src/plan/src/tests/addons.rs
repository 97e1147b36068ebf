//! Addons and kubelets' serving certificates.

use super::is_before;
use super::world::World;
use hakube_model::PodNetwork;
use hakube_model::Program;
use hakube_model::{AddonState, Intent, ServingView};
use hakube_testing::fixtures;

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
fn addons_that_match_are_left_alone() {
    assert_eq!(settled().keys(), [] as [&str; 0]);
    // A failed observation is no reason to change anything.
    let why = "the API server didn't respond within 10 s".to_owned();
    let world = with("coredns", AddonState::Unknown { why });
    assert_eq!(world.keys(), [] as [&str; 0]);
}

#[test]
fn missing_and_changed_addons_are_applied() {
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
        "reapply addon coredns: ConfigMap kube-system/coredns was changed: data.Corefile, and 1 more"
    );
}

#[test]
fn addons_that_are_switched_off_are_removed() {
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

/// Pods must never query a cache that isn't running.
#[test]
fn dns_caches_run_while_pods_query_them() {
    let world = World::settled(pods(&[]));
    let mut on = world.intent.clone();
    on.spec.addons.node_local_dns = true;
    let mut world = world.with_intent(on);
    let differs = |what: &str| AddonState::Differs {
        what: vec![what.to_owned()],
    };
    let selector = "Service kube-system/kube-dns was changed: spec.selector";
    let addons = world.observed.addons.as_mut().unwrap();
    addons.insert("node-local-dns".to_owned(), AddonState::Missing);
    addons.insert("coredns".to_owned(), differs(selector));
    let plan = world.plan();
    for (before, after) in [
        ("addon/node-local-dns", "ready-addon/node-local-dns"),
        ("ready-addon/node-local-dns", "addon/coredns"),
        ("addon/coredns", "ready-addon/coredns"),
    ] {
        assert!(is_before(&plan, before, after), "{before}, {after}");
    }
    world.converge(0);
    let mut off = world.intent.clone();
    off.spec.addons.node_local_dns = false;
    let mut world = world.with_intent(off);
    let addons = world.observed.addons.as_mut().unwrap();
    addons.insert("coredns".to_owned(), differs(selector));
    let plan = world.plan();
    assert!(is_before(
        &plan,
        "addon/coredns",
        "remove-addon/node-local-dns"
    ));
    world.converge(0);
    // A new cluster waits for nodes first, and one without CoreDNS has no caches.
    let plan = World::empty(pods(&[("KUBE_ENABLE_NODELOCAL_DNS", "true")])).plan();
    assert!(is_before(
        &plan,
        "await-replica-nodes",
        "ready-addon/node-local-dns"
    ));
    let mut none = pods(&[("KUBE_ENABLE_NODELOCAL_DNS", "true")]);
    none.spec.addons.cluster_dns = false;
    let keys = World::empty(none).keys();
    assert!(!keys.iter().any(|key| key.contains("dns")), "{keys:?}");
}

#[test]
fn stand_ins_have_no_addons() {
    let mut intent = fixtures::intent(&[]);
    intent.spec.programs.kube_apiserver = Program::StandIn {
        hakube: "/usr/bin/hakube".into(),
    };
    let keys = World::empty(intent).keys();
    assert!(!keys.iter().any(|key| key.contains("addon")), "{keys:?}");
}

#[test]
fn nodes_join_after_rbac_and_addons_are_awaited_after_nodes() {
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
fn pods_arent_awaited_if_none_can_run() {
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
fn a_failed_addon_doesnt_block_other_steps() {
    let mut world = World::settled(pods(&[]));
    let why = "Deployment kube-system/coredns has 1 of 2 pods ready".to_owned();
    let addons = world.observed.addons.as_mut().unwrap();
    addons.insert("coredns".to_owned(), AddonState::NotReady { why });
    assert_eq!(world.keys(), [] as [&str; 0]);
}

#[test]
fn kubelets_get_certificates_for_their_own_addresses() {
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
