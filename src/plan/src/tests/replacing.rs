//! Replacing a replica.

use super::world::World;
use super::{is_before, shown};
use hakube_testing::fixtures::replicas;

const MASTER: &str = "kubernetes-master";
const DEF: &str = "kubernetes-master-def";
const NEW: &str = "kubernetes-master-new";

/// etcd accepts no new member while a voter is down.
#[test]
fn a_dead_one_of_three_leaves_before_its_successor_joins() {
    let mut world =
        World::settled(replicas(&["", "abc", "def"])).with_intent(replicas(&["", "abc", "new"]));
    world.kill(DEF, false);
    let plan = world.plan();
    assert!(is_before(
        &plan,
        &format!("leave/{DEF}"),
        &format!("join/{NEW}")
    ));
    insta::assert_snapshot!(shown(&plan));
}

/// Redundancy is never lower than before.
#[test]
fn a_healthy_one_leaves_after_its_successor_votes() {
    let plan = World::settled(replicas(&["", "abc", "def"]))
        .with_intent(replicas(&["", "abc", "new"]))
        .plan();
    assert!(is_before(
        &plan,
        &format!("promote/{NEW}"),
        &format!("leave/{DEF}")
    ));
    assert!(is_before(&plan, "balancer", &format!("leave/{DEF}")));
}

#[test]
fn the_only_one_hands_address_and_leadership_over() {
    let plan = World::settled(replicas(&[""]))
        .with_intent(replicas(&["new"]))
        .plan();
    let leave = format!("leave/{MASTER}");
    for first in [
        format!("control-plane/{NEW}"),
        "point-endpoint".to_owned(),
        format!("hand-leadership/{MASTER}"),
    ] {
        assert!(
            is_before(&plan, &first, &leave),
            "{first} must precede {leave}"
        );
    }
}
