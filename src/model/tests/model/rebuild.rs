//! Rebuilding an intent from what runs.

use hakube_model::replica_names;
use hakube_model::*;
use hakube_provider::NodeGroup;
use hakube_testing::fixtures::{machine, member, replicas};

fn observed(members: &[(&str, MemberRole)]) -> Observed {
    let mut observed = Observed {
        etcd: EtcdView::Known(
            members
                .iter()
                .map(|(name, role)| member(name, *role))
                .collect(),
        ),
        ..Observed::default()
    };
    observed.inventory.machines = members
        .iter()
        .map(|(name, _)| machine(name, "europe-west1-c"))
        .collect();
    observed
}

#[test]
fn the_intent_has_the_replicas_and_nodes_that_exist() {
    let known = replicas(&["", "old"]);
    let mut observed = self::observed(&[
        ("kubernetes-master", MemberRole::Leader),
        ("kubernetes-master-new", MemberRole::Voter),
        ("kubernetes-master-lrn", MemberRole::Learner),
    ]);
    observed.inventory.node_groups = vec![NodeGroup {
        name: "kubernetes-minion-group".to_owned(),
        zone: "europe-west1-c".to_owned(),
        size: 3,
        template: String::new(),
        machines: Vec::new(),
        origins: [].into(),
    }];
    let intent = rebuilt(&known, &observed).unwrap();
    assert_eq!(
        replica_names(&intent),
        "kubernetes-master, kubernetes-master-new"
    );
    assert_eq!(intent.replicas[1].zone, "europe-west1-c");
    assert_eq!(intent.node_count(), 3);
}

#[test]
fn a_replica_in_an_unreachable_zone_is_kept() {
    let known = replicas(&["", "far"]);
    let mut observed = self::observed(&[("kubernetes-master", MemberRole::Leader)]);
    let zone = known.replicas[1].zone.clone();
    observed.inventory.unreachable = [(zone, "no route".to_owned())].into();
    assert_eq!(rebuilt(&known, &observed).unwrap().replicas, known.replicas);
}

#[test]
fn nothing_is_rebuilt_from_an_unreachable_etcd() {
    let observed = Observed {
        etcd: EtcdView::Unknown {
            why: "no route".to_owned(),
        },
        ..Observed::default()
    };
    rebuilt(&replicas(&[""]), &observed).unwrap_err();
    rebuilt(&replicas(&[""]), &Observed::default()).unwrap_err();
}
