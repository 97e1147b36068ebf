//! When a phase of a change of authorities begins.

use hakube_model::*;
use hakube_model::{ApiView, EtcdView, MemberRole};
use hakube_provider::NodeGroup;
use hakube_testing::fixtures;

const PHASES: [RotationPhase; 3] = [
    RotationPhase::Trust,
    RotationPhase::Sign,
    RotationPhase::Drop,
];

fn rotation(phase: RotationPhase) -> Rotation {
    Rotation {
        phase,
        stale_templates: ["old".to_owned()].into(),
    }
}

/// One replica and one node, both with the current authorities.
fn settled() -> (Intent, Observed) {
    let intent = Intent::new(fixtures::spec(&[]));
    let name = intent.replicas[0].name.clone();
    let etcd = EtcdView::Known(vec![fixtures::member(&name, MemberRole::Leader)]);
    let mut observed = Observed {
        etcd,
        ..Observed::default()
    };
    let ready = ApiView {
        ready: true,
        stand_in: None,
        version: None,
    };
    observed.apis.insert(name.clone(), ready);
    observed.inventory.node_groups.push(NodeGroup {
        name: "group".to_owned(),
        zone: "zone".to_owned(),
        size: 1,
        template: "new".to_owned(),
        machines: vec!["node".to_owned()],
        origins: [].into(),
    });
    let in_force = || MarkView::InForce("new".to_owned());
    observed.trust = Trust {
        wanted: "new".to_owned(),
        replicas: [(name, in_force())].into(),
        kubelets: [("node".to_owned(), in_force())].into(),
    };
    (intent, observed)
}

fn waits_for(intent: &Intent, observed: &Observed) -> Vec<String> {
    let next = PHASES.map(|phase| next_phase(&rotation(phase), intent, observed));
    let [first, ..] = &next;
    assert!(next.iter().all(|other| other == first), "{next:?}");
    match first {
        NextPhase::Wait(behind) => behind.iter().map(|(name, _)| name.clone()).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_phase_starts_when_all_machines_have_finished_the_previous_one() {
    let (intent, observed) = settled();
    let next = PHASES.map(|phase| next_phase(&rotation(phase), &intent, &observed));
    let wanted = [
        NextPhase::Begin(RotationPhase::Sign),
        NextPhase::Begin(RotationPhase::Drop),
        NextPhase::Done,
    ];
    assert_eq!(next, wanted);
    assert_eq!(obstacles(&intent, &observed), []);
}

#[test]
fn a_machine_that_is_behind_is_listed_and_blocks_every_phase() {
    let views = [
        (MarkView::InForce("old".to_owned()), false),
        (MarkView::Fixed, true),
        (
            MarkView::Unknown {
                why: "it is off".to_owned(),
            },
            true,
        ),
    ];
    for (view, is_obstacle) in views {
        let (intent, mut observed) = settled();
        let replica = intent.replicas[0].name.clone();
        observed
            .trust
            .replicas
            .insert(replica.clone(), view.clone());
        assert_eq!(waits_for(&intent, &observed), [replica]);
        assert_eq!(
            !obstacles(&intent, &observed).is_empty(),
            is_obstacle,
            "{view:?}"
        );

        let (intent, mut observed) = settled();
        observed
            .trust
            .kubelets
            .insert("node".to_owned(), view.clone());
        assert_eq!(waits_for(&intent, &observed), ["the kubelet of node"]);
        assert_eq!(
            !obstacles(&intent, &observed).is_empty(),
            is_obstacle,
            "{view:?}"
        );
    }
    let (intent, mut observed) = settled();
    observed.trust.replicas.clear();
    assert_eq!(
        waits_for(&intent, &observed),
        [intent.replicas[0].name.clone()]
    );
}

#[test]
fn unhealthy_replicas_and_stale_templates_block_every_phase() {
    let (intent, mut observed) = settled();
    observed.apis.clear();
    assert_eq!(
        waits_for(&intent, &observed),
        [intent.replicas[0].name.clone()]
    );
    let (intent, mut observed) = settled();
    observed.inventory.node_groups[0].template = "old".to_owned();
    assert_eq!(waits_for(&intent, &observed), ["group"]);
    assert_eq!(obstacles(&intent, &observed), []);
}
