//! Replicas that hold the endpoint's address themselves: who learns what, in which order.

use super::world::World;
use super::{is_before, shown};
use crate::cluster::{HoldView, Intent, NodeGroupIntent, ReplicaIntent, fixtures};

/// A cluster on machines that have nothing before them; the replicas have these suffixes (`""` for the first).
fn replicas(suffixes: &[&str]) -> Intent {
    let mut intent = fixtures::intent(&[("KUBERNETES_PROVIDER", "libvirt"), ("MULTIZONE", "true")]);
    intent.replicas = fixtures::replicas(suffixes).replicas;
    intent
}

fn changed(from: &[&str], to: &[&str]) -> World {
    let world = World::settled(replicas(from));
    let mut intent = replicas(to);
    intent.formed = true;
    world.with_intent(intent)
}

const MASTER: &str = "kubernetes-master";
const ABC: &str = "kubernetes-master-abc";
const DEF: &str = "kubernetes-master-def";

fn share(name: &str) -> String {
    format!("share-address/{name}")
}

fn release(name: &str) -> String {
    format!("release-address/{name}")
}

#[test]
fn a_new_cluster() {
    insta::assert_snapshot!(shown(&World::empty(replicas(&[""])).plan()));
}

#[test]
fn the_second_replica() {
    insta::assert_snapshot!(shown(&changed(&[""], &["", "abc"]).plan()));
}

#[test]
fn from_three_to_two() {
    insta::assert_snapshot!(shown(&changed(&["", "abc", "def"], &["", "abc"]).plan()));
}

#[test]
fn from_two_to_one() {
    insta::assert_snapshot!(shown(&changed(&["", "abc"], &["abc"]).plan()));
}

/// A newcomer that others don't know of would take the address beside them.
#[test]
fn those_that_share_it_learn_of_a_newcomer_before_it_begins() {
    let plan = changed(&["", "abc"], &["", "abc", "def"]).plan();
    for holder in [MASTER, ABC] {
        assert!(is_before(&plan, &share(holder), &share(DEF)));
        assert!(is_before(
            &plan,
            &format!("control-plane/{DEF}"),
            &share(holder)
        ));
    }
    assert!(is_before(&plan, &share(DEF), "await-endpoint"));
}

#[test]
fn one_that_leaves_lets_go_before_anybody_else_is_told() {
    for (from, to, leaves) in [
        (&["", "abc", "def"][..], &["", "abc"][..], DEF),
        (&["", "abc"], &["abc"], MASTER),
        (&[""], &["abc"], MASTER),
    ] {
        let plan = changed(from, to).plan();
        assert!(is_before(&plan, &release(leaves), &share(ABC)));
        assert!(is_before(&plan, &share(ABC), &format!("leave/{leaves}")));
    }
}

/// A machine that is off holds nothing, and can't be told so.
#[test]
fn one_that_is_off_is_not_told() {
    let mut world = changed(&["", "abc", "def"], &["", "abc"]);
    world.kill(DEF, false);
    let keys = world.keys();
    assert!(!keys.contains(&release(DEF)), "{keys:?}");
    assert!(keys.contains(&share(MASTER)) && keys.contains(&share(ABC)));
    world.converge(0);
}

/// It may have the address. The others take it when its machine is gone, and are told then.
#[test]
fn while_one_that_leaves_can_not_be_told_nobody_is() {
    let mut world = changed(&["", "abc"], &[""]);
    world.silence(ABC);
    let plan = world.plan();
    let told = |step: &&crate::plan::Step| step.key.contains("-address/");
    assert_eq!(plan.steps.iter().find(told), None);
    world.run(&plan, 0, plan.steps.len(), false);
    assert_eq!(world.keys(), [share(MASTER), "await-endpoint".to_owned()]);
    world.converge(0);
}

/// It would be waited for in vain: nobody is told to take the address by this plan.
#[test]
fn while_one_that_leaves_can_not_be_told_no_answer_is_waited_for() {
    let mut world = changed(&["", "abc"], &[""]);
    world.silence(ABC);
    let holds = &mut world.observed.holds;
    holds.insert(MASTER.to_owned(), HoldView::Nothing);
    world.observed.endpoint_ready = false;
    let keys = world.keys();
    assert!(!keys.contains(&"await-endpoint".to_owned()), "{keys:?}");
    assert!(keys.contains(&format!("leave/{ABC}")), "{keys:?}");
}

/// Whoever admits them may be gone before they ask, and the endpoint with it.
#[test]
fn while_one_that_leaves_can_not_be_told_no_nodes_are_made() {
    let mut world = changed(&["", "abc"], &[""]);
    world.silence(ABC);
    world.intent.nodes = vec![NodeGroupIntent {
        zone: world.intent.replicas[0].zone.clone(),
        size: 1,
    }];
    assert!(world.observed.endpoint_ready);
    let plan = world.plan();
    let of_nodes = |key: &String| key.contains("nodes");
    assert!(!world.keys().iter().any(of_nodes), "{:?}", world.keys());
    world.run(&plan, 0, plan.steps.len(), false);
    assert!(world.keys().iter().any(of_nodes), "{:?}", world.keys());
    world.converge(0);
}

/// What isn't known isn't put right, and is in nobody's way.
#[test]
fn one_that_can_not_be_asked_is_left_alone_until_something_changes_for_all() {
    let mut world = World::settled(replicas(&["", "abc", "def"]));
    world.silence(ABC);
    assert_eq!(world.keys(), [""; 0]);
    let mut intent = world.intent.clone();
    intent.replicas.push(ReplicaIntent {
        name: "kubernetes-master-ghi".to_owned(),
        zone: intent.replicas[0].zone.clone(),
    });
    let plan = world.with_intent(intent).plan();
    assert!(is_before(
        &plan,
        &share(ABC),
        &share("kubernetes-master-ghi")
    ));
}

#[test]
fn what_somebody_changed_by_hand_is_put_right() {
    for spoilt in [HoldView::Altered, HoldView::Nothing] {
        let mut world = World::settled(replicas(&["", "abc", "def"]));
        world.observed.holds.insert(ABC.to_owned(), spoilt.clone());
        assert_eq!(
            world.keys(),
            [share(ABC), "await-endpoint".to_owned()],
            "{spoilt:?}"
        );
    }
}

/// All others still go by the address that its last machine had.
#[test]
fn a_machine_made_anew_is_made_known_to_all() {
    let mut world = World::settled(replicas(&["", "abc", "def"]));
    world.kill(DEF, true);
    let plan = world.plan();
    for holder in [MASTER, ABC] {
        assert!(is_before(&plan, &format!("machine/{DEF}"), &share(holder)));
        assert!(is_before(&plan, &share(holder), &share(DEF)));
    }
    world.converge(0);
}

/// There is nothing to ask the provider for.
#[test]
fn no_firewall_balancer_or_outside_address_is_asked_for() {
    for (from, to) in [(&[""][..], &["", "abc"][..]), (&["", "abc"], &[""])] {
        let demand = changed(from, to).plan().demand();
        assert!(
            demand.firewalls.is_empty() && demand.balancers.is_empty() && demand.rules.is_empty()
        );
        for machine in demand.machines {
            assert_eq!(machine.external, hakube_provider::ExternalAddress::None);
        }
    }
}
