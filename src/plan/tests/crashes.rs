//! What is left to do after a crash at each point of `up` and `replicate`: no more than that, and none
//! of it lost.

use super::world::World;
use crate::cluster::Intent;
use crate::cluster::fixtures::{self, replicas};

const ABC: &str = "kubernetes-master-abc";

/// The world after a crash that came when the steps up to and including this one were done; with
/// `half`, in the middle of the step after it.
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

/// The keys of what is planned. Where the endpoint doesn't answer, it isn't seen that addons are there, and they are
/// applied again.
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
        // Secrets are delivered again until etcd and the API server run: nobody can see whether they are there.
        ("secrets/kubernetes-master", false, rest(0)),
        // etcd runs, but the crash came before the intent learnt of it.
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
            "a health check, and no more of the balancer",
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
            "the address on nobody",
            &"balancer".to_owned(),
            true,
            swap.to_vec(),
        ),
        (
            "all but the proof",
            &"point-endpoint".to_owned(),
            false,
            vec![],
        ),
    ];
    for (what, key, half, left) in table {
        assert_eq!(without_addons(&replicate(key, half)), left, "{what}");
    }
}

/// The intent goes back to one replica, and the same loop that makes things removes them.
#[test]
fn of_replicate_turned_back() {
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
