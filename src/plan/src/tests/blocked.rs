//! Refusals of the planner.

use super::world::World;
use crate::{Action, Step, plan};
use hakube_error::{Error, Kind};
use hakube_model::{EtcdView, Observed};
use hakube_provider::MachineState;
use hakube_testing::fixtures::{self, replicas};

const ABC: &str = "kubernetes-master-abc";

fn refusal(world: &World) -> Error {
    let error = plan(&world.intent, &world.observed).expect_err("expected a refusal");
    assert_eq!(error.kind, Kind::Refused, "{error}");
    error
}

fn unknown() -> EtcdView {
    EtcdView::Unknown {
        why: "10.0.0.2:2379: connection refused".to_owned(),
    }
}

#[test]
fn an_unreachable_etcd_blocks_every_change() {
    for to in [&[""][..], &["", "abc"], &["", "abc", "def"]] {
        let mut world = World::settled(replicas(&["", "abc"])).with_intent(replicas(to));
        world.observed.etcd = unknown();
        assert!(refusal(&world).to_string().contains("connection refused"));
    }
}

/// There is no data to lose yet.
#[test]
fn before_it_is_formed_an_unreachable_etcd_blocks_nothing() {
    let mut world = World::empty(fixtures::intent(&[]));
    let plan = world.plan();
    world.run(&plan, 0, 6, false);
    world.observed.etcd = unknown();
    assert!(world.keys().contains(&"form/kubernetes-master".to_owned()));
}

/// Only its machine shows whether etcd has been formed.
#[test]
fn before_it_is_formed_an_unreachable_host_is_named_with_the_reason() {
    let mut world = World::empty(fixtures::intent(&[]));
    let unreachable = &mut world.observed.inventory.unreachable_machines;
    unreachable.insert(
        "kubernetes-master".to_owned(),
        "no route to host".to_owned(),
    );
    let error = refusal(&world);
    assert_eq!(error.message, "host kubernetes-master is unreachable");
    assert_eq!(error.causes, ["no route to host"]);
}

#[test]
fn a_lost_etcd_is_never_recreated() {
    let mut world = World::settled(replicas(&[""]));
    world.observed = Observed::default();
    let error = refusal(&world);
    assert!(error.message.contains("etcd's data"), "{error}");
    assert!(
        error.hints.iter().any(|hint| hint.contains("hakube down")),
        "{error:?}"
    );
}

/// An unknown or lost etcd is no reason to keep resources.
#[test]
fn a_teardown_is_never_blocked() {
    for etcd in [unknown(), EtcdView::Absent] {
        let mut world = World::settled(replicas(&["", "abc"]));
        world.observed.etcd = etcd;
        world.intent = hakube_model::begin_teardown(&world.intent);
        world.converge(0);
    }
}

#[test]
fn a_removal_that_would_cost_the_quorum_is_refused() {
    let mut world =
        World::settled(replicas(&["", "abc", "def"])).with_intent(replicas(&["", "abc"]));
    let EtcdView::Known(members) = &mut world.observed.etcd else {
        panic!("{world:#?}")
    };
    // Its member is down, but its API server is up, so no step repairs it.
    members
        .iter_mut()
        .find(|member| member.name == ABC)
        .unwrap()
        .healthy = false;
    let error = refusal(&world);
    assert_eq!(
        error.message,
        "remove kubernetes-master-def from etcd would cost etcd its quorum"
    );
    assert_eq!(
        error.causes,
        ["before: 2 of 3 voters healthy, 2 needed; after: 1 of 2 voters healthy, 2 needed"]
    );
}

/// etcd couldn't commit the change.
#[test]
fn without_quorum_members_dont_change() {
    for to in [&["", "abc", "def"][..], &[""]] {
        let mut world = World::settled(replicas(&["", "abc"])).with_intent(replicas(to));
        world.kill(ABC, true);
        let error = refusal(&world);
        assert!(error.message.starts_with("etcd has no quorum"), "{error}");
        assert_eq!(error.causes, ["now: 1 of 2 voters healthy, 2 needed"]);
    }
}

/// Two replicas survive no failure, but a stopped machine still has its data.
#[test]
fn without_quorum_a_stopped_machine_is_started() {
    let mut world = World::settled(replicas(&["", "abc"]));
    world.kill(ABC, false);
    assert_eq!(
        world.keys(),
        [
            format!("machine/{ABC}"),
            format!("secrets/{ABC}"),
            format!("control-plane/{ABC}")
        ]
    );
    world.converge(0);
}

/// Its vote counts, and its purpose is unknown.
#[test]
fn with_an_unknown_member_members_dont_change() {
    for to in [&["", "abc", "def", "ghi"][..], &["", "abc"]] {
        let mut world = World::settled(replicas(&["", "abc", "def"]));
        let EtcdView::Known(members) = &mut world.observed.etcd else {
            panic!("{world:#?}")
        };
        let mut unknown = members[1].clone();
        (unknown.id, unknown.name) = (0xbeef, "backup".to_owned());
        members.push(unknown);
        assert_eq!(world.keys(), [""; 0]);
        let error = refusal(&world.with_intent(replicas(to)));
        assert!(error.message.contains("the member backup"), "{error}");
        assert!(error.hints[0].contains("member remove beef"), "{error:?}");
    }
}

/// A machine that is off may never have joined etcd, in which case its API server must not start.
#[test]
fn machines_that_are_off_are_started_without_assuming_that_they_joined() {
    let mut world = World::settled(replicas(&["", "abc"]));
    world.observed.etcd = unknown();
    for machine in &mut world.observed.inventory.machines {
        machine.state = MachineState::Stopped;
    }
    let plan = plan(&world.intent, &world.observed).unwrap();
    let control_planes = |step: &&Step| matches!(step.action, Action::StartControlPlane(_));
    assert_eq!(plan.steps.iter().find(control_planes), None);
    let last = plan.steps.last().unwrap();
    assert!(matches!(&last.action, Action::AwaitServing { replicas } if replicas.len() == 2));
}
