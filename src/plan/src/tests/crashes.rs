//! The remaining steps after a crash at each point of `up` and `replicate`: complete, and without repetition.

use super::world::World;
use hakube_model::Intent;
use hakube_testing::fixtures::{self, replicas};

const ABC: &str = "kubernetes-master-abc";

/// The world after a crash that follows this step or, if `half`, happens in the middle of the next one.
fn crashed_after(from: World, to: Intent, key: &str, half: bool) -> World {
    let mut world = from.with_intent(to);
    let plan = world.plan();
    let done = plan
        .steps
        .iter()
        .position(|step| step.key == key)
        .unwrap_or_else(|| panic!("no {key}: {plan:#?}"));
    world.run(&plan, 0, done + 1, half);
    world
}

fn up(key: &str, half: bool) -> World {
    let intent = fixtures::intent(&[]);
    crashed_after(World::empty(intent.clone()), intent, key, half)
}

fn replicate(key: &str, half: bool) -> World {
    crashed_after(
        World::settled(replicas(&[""])),
        replicas(&["", "abc"]),
        key,
        half,
    )
}

/// The planned keys, without addons. While the endpoint is down, addons aren't observed, so all are planned.
fn without_addons(world: &World) -> Vec<String> {
    let keys = world.keys().into_iter();
    keys.filter(|key| !key.starts_with("addon/")).collect()
}

#[test]
fn of_up() {
    let rest = |from: usize| {
        let all = [
            "secrets/kubernetes-master",
            "form/kubernetes-master",
            "control-plane/kubernetes-master",
            "write-kubeconfig",
            "await-endpoint",
            "addon/rbac",
            "addon/flannel",
            "addon/coredns",
            "addon/metrics-server",
        ];
        all[from..].to_vec()
    };
    let table = [
        ("machine/kubernetes-master", false, rest(0)),
        // Secrets are delivered until etcd and the API server run, because before that they can't be observed.
        ("secrets/kubernetes-master", false, rest(0)),
        // etcd runs, but the crash happened before the intent recorded it.
        ("secrets/kubernetes-master", true, rest(0)),
        (
            "form/kubernetes-master",
            false,
            [&rest(0)[..1], &rest(2)[..]].concat(),
        ),
        (
            "control-plane/kubernetes-master",
            false,
            [&rest(3)[..1], &rest(5)[..]].concat(),
        ),
        ("write-kubeconfig", false, rest(5)),
        ("addon/flannel", false, rest(7)),
    ];
    for (key, half, left) in table {
        assert_eq!(
            up(key, half).keys(),
            left,
            "after {key}, half of the next: {half}"
        );
    }
}

#[test]
fn of_replicate() {
    let [machine, secrets, join, promote, control_plane] =
        ["machine", "secrets", "join", "promote", "control-plane"]
            .map(|verb| format!("{verb}/{ABC}"));
    let member = [
        secrets.as_str(),
        join.as_str(),
        promote.as_str(),
        control_plane.as_str(),
    ];
    let swap = ["point-endpoint", "await-endpoint"];
    let with_balancer = ["balancer", "point-endpoint", "await-endpoint"];
    let table = [
        (
            "a machine without a member",
            &machine,
            false,
            [&member[..], &with_balancer].concat(),
        ),
        (
            "a learner that never started",
            &secrets,
            true,
            [&member[..], &with_balancer].concat(),
        ),
        (
            "a learner that runs",
            &join,
            false,
            [
                &[secrets.as_str(), promote.as_str(), control_plane.as_str()][..],
                &with_balancer,
            ]
            .concat(),
        ),
        (
            "a voter without an API server",
            &promote,
            false,
            [
                &[secrets.as_str(), control_plane.as_str()][..],
                &with_balancer,
            ]
            .concat(),
        ),
        (
            "a replica without a balancer",
            &control_plane,
            false,
            with_balancer.to_vec(),
        ),
        (
            "only the balancer's health check",
            &control_plane,
            true,
            with_balancer.to_vec(),
        ),
        (
            "a balancer without a rule",
            &"balancer".to_owned(),
            false,
            swap.to_vec(),
        ),
        (
            "an unassigned address",
            &"balancer".to_owned(),
            true,
            swap.to_vec(),
        ),
        (
            "all but the last check",
            &"point-endpoint".to_owned(),
            false,
            vec![],
        ),
    ];
    for (what, key, half, left) in table {
        assert_eq!(without_addons(&replicate(key, half)), left, "{what}");
    }
}

/// The intent has one replica again, and the same loop removes the other.
#[test]
fn of_replicate_rolled_back() {
    let abc_gone = [
        "delete/machine-kubernetes-master-abc-in-europe-west1-c",
        "delete/disk-kubernetes-master-abc-pd-in-europe-west1-c",
    ];
    let leave = ["leave/kubernetes-master-abc"];
    let balancer_gone = [
        "delete/backend-service-kubernetes-master-lb-in-europe-west1",
        "delete/health-check-kubernetes-master-lb-in-europe-west1",
        "delete/backend-group-kubernetes-master-lb-europe-west1-b-in-europe-west1-b",
        "delete/backend-group-kubernetes-master-lb-europe-west1-c-in-europe-west1-c",
    ];
    let swap_back = ["point-endpoint", "await-endpoint"];
    let table = [
        (format!("machine/{ABC}"), false, abc_gone.to_vec()),
        (
            format!("secrets/{ABC}"),
            true,
            [&leave[..], &abc_gone].concat(),
        ),
        (
            format!("join/{ABC}"),
            false,
            [&leave[..], &abc_gone].concat(),
        ),
        (
            format!("promote/{ABC}"),
            false,
            [&leave[..], &abc_gone].concat(),
        ),
        (
            "balancer".to_owned(),
            false,
            [&balancer_gone[..], &leave, &abc_gone].concat(),
        ),
        (
            "balancer".to_owned(),
            true,
            [&swap_back[..], &balancer_gone, &leave, &abc_gone].concat(),
        ),
        (
            "point-endpoint".to_owned(),
            false,
            [&swap_back[..], &balancer_gone, &leave, &abc_gone].concat(),
        ),
    ];
    for (key, half, left) in table {
        let world = replicate(&key, half).with_intent(replicas(&[""]));
        let keys = without_addons(&world);
        assert_eq!(keys, left, "after {key}, half of the next: {half}");
    }
}
