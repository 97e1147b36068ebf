//! Members whose machine runs and whose data is gone, or no good.

use super::world::World;
use super::{is_before, shown};
use crate::cluster::fixtures::replicas;
use crate::cluster::{EtcdView, Intent};
use crate::error::{Error, Kind};
use crate::machine::EtcdConditionKind::{self, Damaged, Foreign, Gone, Inconsistent};
use crate::plan::plan;

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
    let error = plan(&world.intent, &world.observed).expect_err("this was planned");
    assert_eq!(error.kind, Kind::Refused, "{error}");
    error
}

#[test]
fn such_a_member_leaves_and_joins_anew_on_its_machine() {
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
            let others = plan
                .steps
                .iter()
                .filter(|step| step.key.starts_with("machine/") || step.key.starts_with("delete/"));
            assert_eq!(others.count(), 0, "{}", shown(&plan));
            for order in 0..8 {
                world.clone().converge(order);
            }
        }
    }
}

/// Its data is readable, and nobody knows whose is right.
#[test]
fn a_member_whose_data_differs_is_left_alone() {
    let mut world = formed(&["", "abc", "def"]);
    world.lose_data(ABC, Inconsistent);
    assert!(!world.keys().iter().any(|key| key.starts_with("leave/")));
}

#[test]
fn two_of_five_join_anew_one_after_the_other() {
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
fn where_the_others_have_no_quorum_nothing_leaves_and_the_ways_back_are_named() {
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
        for way in ["put it back", "Restoring etcd", "hakube down"] {
            assert!(
                error.hints.iter().any(|hint| hint.contains(way)),
                "{error:?}"
            );
        }
    }
}
