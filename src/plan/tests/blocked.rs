//! Where planning stops, and what it says.

use super::world::World;
use crate::cluster::fixtures::{self, replicas};
use crate::cluster::{EtcdView, Observed};
use crate::error::{Error, Kind};
use crate::plan::plan;

const ABC: &str = "kubernetes-master-abc";

fn refusal(world: &World) -> Error {
    let error = plan(&world.intent, &world.observed).expect_err("this was planned");
    assert_eq!(error.kind, Kind::Refused, "{error}");
    error
}

fn unknown() -> EtcdView {
    EtcdView::Unknown {
        why: "10.0.0.2:2379: connection refused".to_owned(),
    }
}

#[test]
fn an_etcd_that_cannot_be_asked_blocks_every_change() {
    for to in [&[""][..], &["", "abc"], &["", "abc", "def"]] {
        let mut world = World::settled(replicas(&["", "abc"])).with_intent(replicas(to));
        world.observed.etcd = unknown();
        assert!(refusal(&world).to_string().contains("connection refused"));
    }
}

/// Nothing is there to lose yet.
#[test]
fn before_etcd_is_formed_an_etcd_that_cannot_be_asked_blocks_nothing() {
    let mut world = World::empty(fixtures::intent(&[]));
    let plan = world.plan();
    world.run(&plan, 0, 6, false);
    world.observed.etcd = unknown();
    assert!(world.keys().contains(&"form/kubernetes-master".to_owned()));
}

#[test]
fn an_etcd_that_was_formed_and_is_gone_is_never_made_anew() {
    let mut world = World::settled(replicas(&[""]));
    world.observed = Observed::default();
    let error = refusal(&world);
    assert!(error.message.contains("etcd's data with them"), "{error}");
    assert!(
        error.hints.iter().any(|hint| hint.contains("hakube down")),
        "{error:?}"
    );
}

/// What isn't known, or gone, is no reason to keep anything that should go.
#[test]
fn a_teardown_is_never_blocked() {
    for etcd in [unknown(), EtcdView::Absent] {
        let mut world = World::settled(replicas(&["", "abc"]));
        world.observed.etcd = etcd;
        world.intent = crate::cluster::begin_teardown(&world.intent);
        world.converge(0);
    }
}

#[test]
fn a_removal_that_would_cost_the_quorum_is_refused_with_the_arithmetic() {
    let mut world =
        World::settled(replicas(&["", "abc", "def"])).with_intent(replicas(&["", "abc"]));
    let EtcdView::Known(members) = &mut world.observed.etcd else {
        panic!("{world:#?}")
    };
    // It doesn't answer, but its API server does: nothing brings it back.
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
fn without_quorum_no_member_joins_or_leaves() {
    for to in [&["", "abc", "def"][..], &[""]] {
        let mut world = World::settled(replicas(&["", "abc"])).with_intent(replicas(to));
        world.kill(ABC, true);
        let error = refusal(&world);
        assert!(error.message.starts_with("etcd has no quorum"), "{error}");
        assert_eq!(error.causes, ["now: 1 of 2 voters healthy, 2 needed"]);
    }
}

/// Two replicas survive no failure, but a machine that stopped brings its data back.
#[test]
fn without_quorum_a_machine_that_stopped_is_started_again() {
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

/// Its vote counts, and what it is for isn't known.
#[test]
fn beside_a_member_that_hakube_never_made_no_member_joins_or_leaves() {
    for to in [&["", "abc", "def", "ghi"][..], &["", "abc"]] {
        let mut world = World::settled(replicas(&["", "abc", "def"]));
        let EtcdView::Known(members) = &mut world.observed.etcd else {
            panic!("{world:#?}")
        };
        let mut stranger = members[1].clone();
        (stranger.id, stranger.name) = (0xbeef, "backup".to_owned());
        members.push(stranger);
        assert_eq!(world.keys(), [""; 0]);
        let error = refusal(&world.with_intent(replicas(to)));
        assert!(error.message.contains("the member backup"), "{error}");
        assert!(error.hints[0].contains("member remove beef"), "{error:?}");
    }
}
