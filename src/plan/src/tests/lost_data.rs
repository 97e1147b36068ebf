//! Members with a running machine whose data is lost or damaged.

use super::world::World;
use super::{is_before, shown};
use crate::plan;
use hakube_error::{Error, Kind};
use hakube_model::EtcdConditionKind::{self, Damaged, Foreign, Gone, Inconsistent};
use hakube_model::{EtcdView, Intent};
use hakube_testing::fixtures::replicas;

const MASTER: &str = "kubernetes-master";
const ABC: &str = "kubernetes-master-abc";
const DEF: &str = "kubernetes-master-def";

fn formed(suffixes: &[&str]) -> World {
    World::settled(replicas(suffixes)).with_intent(Intent {
        formed: true,
        ..replicas(suffixes)
    })
}

fn refusal(world: &World) -> Error {
    let error = plan(&world.intent, &world.observed).expect_err("expected a refusal");
    assert_eq!(error.kind, Kind::Refused, "{error}");
    error
}

#[test]
fn such_a_member_leaves_and_rejoins_on_its_machine() {
    for kind in [Gone, Foreign, Damaged] {
        for name in [MASTER, ABC] {
            let mut world = formed(&["", "abc", "def"]);
            world.lose_data(name, kind);
            let plan = world.plan();
            let steps =
                ["leave", "join", "promote", "control-plane"].map(|verb| format!("{verb}/{name}"));
            for pair in steps.windows(2) {
                assert!(is_before(&plan, &pair[0], &pair[1]), "{}", shown(&plan));
            }
            let others = plan.steps.iter().filter(|step| {
                step.key.to_string().starts_with("machine/")
                    || step.key.to_string().starts_with("delete/")
            });
            assert_eq!(others.count(), 0, "{}", shown(&plan));
            for order in 0..8 {
                world.clone().converge(order);
            }
        }
    }
}

/// Its data is readable, and which member's data is right is unknown.
#[test]
fn a_member_whose_data_differs_is_left_alone() {
    let mut world = formed(&["", "abc", "def"]);
    world.lose_data(ABC, Inconsistent);
    assert!(!world.keys().iter().any(|key| key.starts_with("leave/")));
}

#[test]
fn two_of_five_rejoin_one_by_one() {
    let mut world = formed(&["", "abc", "def", "ghi", "jkl"]);
    world.lose_data(ABC, Gone);
    world.lose_data(DEF, Damaged);
    let plan = world.plan();
    let (first, second) = (format!("promote/{ABC}"), format!("join/{DEF}"));
    assert!(
        is_before(&plan, &first, &second)
            || is_before(&plan, &format!("promote/{DEF}"), &format!("join/{ABC}")),
        "{}",
        shown(&plan)
    );
    for order in 0..8 {
        world.clone().converge(order);
    }
}

#[test]
fn without_quorum_no_member_leaves_and_the_options_are_listed() {
    let lost = |suffixes: &[&str], names: &[&str], kind: EtcdConditionKind| {
        let mut world = formed(suffixes);
        for name in names {
            world.lose_data(name, kind);
        }
        world
    };
    let mut only = lost(&[""], &[MASTER], Gone);
    only.observed.etcd = EtcdView::Unknown {
        why: "connection refused".to_owned(),
    };
    let worlds = [
        only,
        lost(&["", "abc"], &[ABC], Gone),
        lost(&["", "abc", "def"], &[ABC, DEF], Damaged),
    ];
    for world in worlds {
        let error = refusal(&world);
        assert!(error.to_string().contains("its data is no good"), "{error}");
        assert!(error.message.contains("no quorum"), "{error}");
        for option in ["restore it", "hakube restore", "hakube down"] {
            assert!(
                error.hints.iter().any(|hint| hint.contains(option)),
                "{error:?}"
            );
        }
    }
}
