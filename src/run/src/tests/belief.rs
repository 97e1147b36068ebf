//! Old and damaged documents: they never delete healthy resources, and `state adopt` replaces them.

use super::converged::has_replicas;
use super::scenarios::{remove, replicas, replicate};
use super::site::{Command, Fate, Site};
use hakube_error::{Error, Kind};
use hakube_model::{ConditionKind, replica_names};

/// Three replicas, with the document from when there was one.
fn rolled_back() -> Site {
    let mut site = replicas(1);
    let old = site.document();
    site.does(&replicate(None, 2));
    site.put_back(old);
    site
}

fn refusal(site: &mut Site, command: &Command) -> Error {
    let result = site.run(command, Fate::default()).result.unwrap();
    result.expect_err("an old document was accepted")
}

#[test]
fn an_old_intent_is_refused_by_every_command_and_nothing_changes() {
    let commands = [
        Command::Repair,
        Command::Reconcile,
        Command::Up,
        replicate(None, 1),
        remove("kubernetes-master", false),
        Command::Replace("kubernetes-master".to_owned()),
    ];
    for command in commands {
        let mut site = rolled_back();
        let (document, machines) = (site.document(), site.world.cloud.machines.len());
        let error = refusal(&mut site, &command);
        assert_eq!(error.kind, Kind::Refused, "{command:?}: {error}");
        assert!(
            error.hints.iter().any(|hint| hint.contains("state adopt")),
            "{command:?}: {error:?}"
        );
        assert_eq!(site.world.cloud.machines.len(), machines, "{command:?}");
        assert_eq!(site.world.etcd.members.len(), 3, "{command:?}");
        let generation = |document: &[u8]| -> serde_json::Value {
            let document: serde_json::Value = serde_json::from_slice(document).unwrap();
            document["revision"].clone()
        };
        // Only the lock's fencing token changes.
        assert_eq!(
            generation(&site.document()),
            generation(&document),
            "{command:?} wrote over it"
        );
    }
}

#[test]
fn status_reports_an_old_intent_first() {
    let status = rolled_back().status();
    assert_eq!(status.conditions[0].kind, ConditionKind::IntentNotBelieved);
    assert!(
        status.conditions[0]
            .fix
            .iter()
            .any(|fix| fix.contains("hakube state adopt"))
    );
}

#[test]
fn adopt_restores_the_clusters_own_record() {
    let mut site = rolled_back();
    site.does(&Command::Adopt);
    let intent = site.stored().unwrap().intent;
    assert_eq!(intent.replicas.len(), 3, "{}", replica_names(&intent));
    site.does(&Command::Repair);
    has_replicas(&site, 3).unwrap();
    // It is the newest document again, so the next edit is accepted.
    site.does(&replicate(None, 1));
    has_replicas(&site, 4).unwrap();
}

#[test]
fn an_unreadable_document_is_rebuilt_from_the_cluster() {
    for damage in [
        "{\"format\": 3",
        "{\"format\": 3, \"revision\": 2, \"intent\": {}}",
    ] {
        let mut site = replicas(2);
        let zone = site.stored().unwrap().intent.replicas[1].zone.clone();
        site.put_back(damage.into());
        let error = refusal(&mut site, &Command::Repair);
        assert!(error.to_string().contains("hakube state adopt"), "{error}");
        site.does(&Command::Adopt);
        let intent = site.stored().unwrap().intent;
        assert_eq!(intent.replicas.len(), 2);
        assert_eq!(intent.replicas[1].zone, zone);
        site.does(&Command::Repair);
        has_replicas(&site, 2).unwrap();
    }
}

#[test]
fn without_the_clusters_record_nothing_healthy_is_deleted() {
    let mut site = rolled_back();
    site.world.etcd.keys.clear();
    let error = refusal(&mut site, &Command::Repair);
    assert_eq!(error.kind, Kind::Refused, "{error}");
    assert!(
        error.message.contains("replica kubernetes-master-"),
        "{error}"
    );
    assert_eq!(site.world.cloud.machines.len(), 3);
    site.does(&Command::Adopt);
    has_replicas(&site, 3).unwrap();
}

#[test]
fn a_cluster_from_before_ids_gets_one_and_keeps_its_labels() {
    let mut site = replicas(1);
    let mut document: serde_json::Value = serde_json::from_slice(&site.document()).unwrap();
    document["format"] = 2.into();
    let members = document.as_object_mut().unwrap();
    members.remove("revision");
    members.remove("sha256");
    let spec = document["intent"]["spec"].as_object_mut().unwrap();
    spec.remove("identity");
    site.put_back(serde_json::to_vec(&document).unwrap());
    site.world.etcd.keys.clear();

    site.does(&Command::Repair);
    let spec = site.stored().unwrap().intent.spec;
    assert_eq!(spec.id().unwrap().len(), 10);
    assert_eq!(spec.mark(), spec.cluster);
    let id = spec.id().unwrap().to_owned();
    site.does(&replicate(None, 1));
    assert_eq!(site.stored().unwrap().intent.spec.id(), Some(id.as_str()));
}
