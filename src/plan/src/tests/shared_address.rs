//! Replicas that hold the endpoint's address themselves: the order of their updates.

use super::world::World;
use super::{is_before, shown};
use hakube_model::{EtcdView, HoldView, Intent, MemberRole, NodeGroupIntent, ReplicaIntent};
use hakube_testing::fixtures;

/// A cluster without a balancer. The replicas have these suffixes (`""` for the first).
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

/// If the others didn't know of a new replica, two could hold the address at once.
#[test]
fn replicas_that_share_it_are_updated_before_a_new_one_starts() {
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
fn a_leaving_replica_releases_it_before_the_others_are_updated() {
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

/// Its machine has an arrangement from when it was a voter, and may take the address with it when it starts.
#[test]
fn a_stopped_machine_whose_member_is_a_learner_again_is_updated_before_new_replicas_share() {
    let mut world = changed(&["", "abc"], &["", "abc", "def"]);
    world.kill(ABC, false);
    if let EtcdView::Known(members) = &mut world.observed.etcd {
        let member = members.iter_mut().find(|member| member.name == ABC);
        member.unwrap().role = MemberRole::Learner;
    }
    let plan = world.plan();
    assert!(is_before(&plan, &share(ABC), &share(DEF)));
}

/// A stopped machine holds nothing, and can't be updated.
#[test]
fn a_stopped_machine_isnt_updated() {
    let mut world = changed(&["", "abc", "def"], &["", "abc"]);
    world.kill(DEF, false);
    let keys = world.keys();
    assert!(!keys.contains(&release(DEF)), "{keys:?}");
    assert!(keys.contains(&share(MASTER)) && keys.contains(&share(ABC)));
    world.converge(0);
}

/// It may hold the address. The others are updated once its machine is deleted.
#[test]
fn while_a_leaving_replica_is_unreachable_no_other_is_updated() {
    let mut world = changed(&["", "abc"], &[""]);
    world.silence(ABC);
    let plan = world.plan();
    let told = |step: &&crate::Step| step.key.to_string().contains("-address/");
    assert_eq!(plan.steps.iter().find(told), None);
    world.run(&plan, 0, plan.steps.len(), false);
    assert_eq!(world.keys(), [share(MASTER), "await-endpoint".to_owned()]);
    world.converge(0);
}

/// The wait would time out, because this plan moves no address.
#[test]
fn while_a_leaving_replica_is_unreachable_the_endpoint_isnt_awaited() {
    let mut world = changed(&["", "abc"], &[""]);
    world.silence(ABC);
    let holds = &mut world.observed.holds;
    holds.insert(MASTER.to_owned(), HoldView::Nothing);
    world.observed.endpoint_ready = false;
    let keys = world.keys();
    assert!(!keys.contains(&"await-endpoint".to_owned()), "{keys:?}");
    assert!(keys.contains(&format!("leave/{ABC}")), "{keys:?}");
}

/// The endpoint may be lost before the nodes join.
#[test]
fn while_a_leaving_replica_is_unreachable_no_nodes_are_created() {
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

/// An unknown state isn't repaired, and doesn't block other steps.
#[test]
fn an_unreachable_replica_is_left_alone_until_the_arrangement_changes() {
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

/// Clients would be without the endpoint until the next run.
#[test]
fn the_only_holder_keeps_it_while_its_successor_is_unreachable() {
    let mut world = changed(&[""], &["abc"]);
    let plan = world.plan();
    let steps = plan.steps.iter();
    let before = steps.take_while(|step| step.key != *release(MASTER));
    world.run(&plan, 0, before.count(), false);
    world.silence(ABC);
    let plan = world.plan();
    assert!(is_before(
        &plan,
        &format!("secrets/{ABC}"),
        &release(MASTER)
    ));
    assert!(is_before(&plan, &share(ABC), "await-endpoint"));
    world.run(&plan, 0, plan.steps.len(), false);
    assert!(world.observed.endpoint_ready, "{:#?}", world.observed.holds);
    world.converge(0);
}

#[test]
fn manual_changes_are_repaired() {
    for changed in [HoldView::Altered, HoldView::Nothing] {
        let mut world = World::settled(replicas(&["", "abc", "def"]));
        world.observed.holds.insert(ABC.to_owned(), changed.clone());
        assert_eq!(
            world.keys(),
            [share(ABC), "await-endpoint".to_owned()],
            "{changed:?}"
        );
    }
}

/// The others still have its previous machine's address.
#[test]
fn a_recreated_machine_is_announced_to_all() {
    let mut world = World::settled(replicas(&["", "abc", "def"]));
    world.kill(DEF, true);
    let plan = world.plan();
    for holder in [MASTER, ABC] {
        assert!(is_before(&plan, &format!("machine/{DEF}"), &share(holder)));
        assert!(is_before(&plan, &share(holder), &share(DEF)));
    }
    world.converge(0);
}

/// The provider has none of these.
#[test]
fn no_firewall_balancer_or_external_address_is_required() {
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
