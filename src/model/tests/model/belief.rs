//! Which documents are believed.

use hakube_model::*;
use hakube_model::{EtcdView, Identity};
use hakube_testing::fixtures::{machine, member, replicas};

fn version(generation: u64, checksum: &str) -> Version {
    Version {
        generation,
        checksum: checksum.to_owned(),
    }
}

fn with_record(record: RecordView) -> Observed {
    Observed {
        record,
        ..Observed::default()
    }
}

fn known(id: &str, generation: u64, checksum: &str) -> Observed {
    with_record(RecordView::Known {
        id: Some(id.to_owned()),
        version: version(generation, checksum),
    })
}

/// Healthy voters with machines.
fn running(names: &[&str]) -> Observed {
    let voters = names.iter().map(|name| member(name, MemberRole::Voter));
    let mut observed = with_record(RecordView::Absent);
    observed.etcd = EtcdView::Known(voters.collect());
    let machine = |name: &&str| machine(name, "europe-west1-b");
    observed.inventory.machines = names.iter().map(machine).collect();
    observed
}

fn intent() -> Intent {
    let mut intent = replicas(&["", "bbb"]);
    intent.spec.identity = Some(Identity::new("mine".to_owned()));
    intent
}

fn refusal(document: &Version, observed: &Observed) -> String {
    check_belief(&intent(), None, document, observed)
        .unwrap_err()
        .message
}

#[test]
fn the_recorded_document_and_a_newer_one_are_accepted() {
    for document in [version(4, "a"), version(5, "b")] {
        check_belief(&intent(), None, &document, &known("mine", 4, "a")).unwrap();
    }
}

#[test]
fn an_older_document_is_refused_with_both_generations() {
    let message = refusal(&version(3, "a"), &known("mine", 7, "b"));
    assert!(
        message.contains("revision 3") && message.contains('7'),
        "{message}"
    );
}

#[test]
fn another_document_of_the_same_generation_is_refused() {
    refusal(&version(4, "a"), &known("mine", 4, "b"));
}

#[test]
fn another_clusters_record_is_refused_at_any_generation() {
    let message = refusal(&version(9, "a"), &known("theirs", 1, "b"));
    assert!(
        message.contains("mine") && message.contains("theirs"),
        "{message}"
    );
}

#[test]
fn without_a_record_a_healthy_replica_isnt_deleted() {
    let [first, second] = ["kubernetes-master", "kubernetes-master-bbb"];
    let third = "kubernetes-master-ccc";
    let old = Version::default();
    check_belief(&intent(), None, &old, &running(&[first, second])).unwrap();
    let all = running(&[first, second, third]);
    assert!(refusal(&old, &all).contains(third));
    // An unfinished operation removes it.
    let mut before = intent().replicas;
    before.push(ReplicaIntent {
        name: third.to_owned(),
        zone: "europe-west1-d".to_owned(),
    });
    check_belief(&intent(), Some(&before), &old, &all).unwrap();
    // A replica that is down may be a leftover.
    let mut down = all.clone();
    if let EtcdView::Known(members) = &mut down.etcd {
        members[2].healthy = false;
    }
    check_belief(&intent(), None, &old, &down).unwrap();
}
