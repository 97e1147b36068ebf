//! Restoring a backup.

use super::world::World;
use super::{is_before, shown};
use crate::plan;
use hakube_error::Kind;
use hakube_model::{EtcdConditionKind, Intent, Restoring};
use hakube_testing::fixtures::replicas;
use std::collections::BTreeSet;

const MASTER: &str = "kubernetes-master";
const ABC: &str = "kubernetes-master-abc";
const DEF: &str = "kubernetes-master-def";

/// Three replicas whose backup is to be restored.
fn restoring() -> World {
    let intent = replicas(&["", "abc", "def"]);
    let from = Restoring {
        backup: "20261129T070000Z".to_owned(),
        location: "file:///backups".to_owned(),
        sha256: "00".to_owned(),
        revision: 7,
        attempt: 1,
        without: BTreeSet::new(),
    };
    World::settled(intent.clone()).with_intent(Intent {
        formed: false,
        restoring: Some(from),
        ..intent
    })
}

fn finishes(world: &World) {
    for order in 0..8 {
        let mut world = world.clone();
        let first = world.plan();
        world.run(&first, order, first.steps.len(), false);
        // Certificates expire no sooner, and addons are there: the rest is ordinary growth.
        world.converge(order);
        assert_eq!(world.observed.etcd.quorum().healthy, 3, "order {order}");
    }
}

#[test]
fn all_other_members_stop_before_the_first_starts_with_the_backups_data() {
    let mut world = restoring();
    for name in [MASTER, ABC] {
        world.lose_data(name, EtcdConditionKind::Gone);
    }
    let plan = world.plan();
    for other in [ABC, DEF] {
        let (hold, restore) = (format!("hold/{other}"), format!("restore/{MASTER}"));
        assert!(is_before(&plan, &hold, &restore), "{}", shown(&plan));
    }
    assert!(is_before(
        &plan,
        &format!("secrets/{MASTER}"),
        &format!("restore/{MASTER}")
    ));
    finishes(&world);
}

#[test]
fn missing_machines_are_created_and_stopped_ones_started_first() {
    let mut world = restoring();
    world.kill(MASTER, true);
    world.kill(ABC, false);
    world.kill(DEF, true);
    let plan = world.plan();
    let restore = format!("restore/{MASTER}");
    for machine in [MASTER, ABC, DEF] {
        let creates = format!("machine/{machine}");
        assert!(is_before(&plan, &creates, &restore), "{}", shown(&plan));
    }
    assert!(is_before(&plan, &format!("hold/{ABC}"), &restore));
    finishes(&world);
}

/// Its members may have a quorum that this operator can't see.
#[test]
fn an_unreachable_replica_is_a_refusal() {
    let mut world = restoring();
    let zone = world.intent.replicas[2].zone.clone();
    let unreachable = &mut world.observed.inventory.unreachable;
    unreachable.insert(zone, "connection timed out".to_owned());
    let machines = &mut world.observed.inventory.machines;
    machines.retain(|machine| machine.name != DEF);
    let error = plan(&world.intent, &world.observed).expect_err("a refusal");
    assert_eq!(error.kind, Kind::Refused);
    assert!(error.to_string().contains("unreachable"), "{error}");
}

/// Without an etcd that responds, it isn't known that a host has none of its members.
#[test]
fn an_unreachable_host_is_a_refusal_unless_it_is_given_up() {
    let mut world = restoring();
    let hosts = &mut world.observed.inventory.unreachable_machines;
    hosts.insert("other".to_owned(), "no route to host".to_owned());
    let error = plan(&world.intent, &world.observed).expect_err("a refusal");
    assert!(
        error.hints.iter().any(|hint| hint.contains("--without")),
        "{error:?}"
    );
    let restoring = world.intent.restoring.as_mut().unwrap();
    restoring.without.insert("other".to_owned());
    plan(&world.intent, &world.observed).expect("a plan");
}

/// Members stop only once all machines run: a machine that can't be created must not cost a working etcd.
#[test]
fn no_member_stops_before_all_machines_run() {
    let mut world = restoring();
    world.kill(MASTER, true);
    let plan = world.plan();
    for other in [ABC, DEF] {
        let (creates, holds) = (format!("machine/{MASTER}"), format!("hold/{other}"));
        assert!(is_before(&plan, &creates, &holds), "{}", shown(&plan));
    }
}

/// Killed anywhere, the same intent leads to the same end.
#[test]
fn a_restore_that_is_interrupted_anywhere_finishes() {
    let mut world = restoring();
    world.kill(ABC, false);
    let steps = world.plan().steps.len();
    for count in 0..=steps {
        for order in 0..4 {
            let mut world = world.clone();
            let plan = world.plan();
            world.run(&plan, order, count, true);
            if world.intent.restoring.is_some() {
                let plan = world.plan();
                world.run(&plan, order, plan.steps.len(), false);
            }
            world.converge(order);
            assert_eq!(
                world.observed.etcd.quorum().healthy,
                3,
                "{count} of {steps}"
            );
        }
    }
}
