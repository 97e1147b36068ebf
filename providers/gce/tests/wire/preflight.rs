//! What can't work, found before anything is made.

use crate::support::{Cloud, PROJECT, ZONE, failure};
use hakube_provider::{ErrorKind, PreflightSpec, Provider};
use serde_json::json;

#[tokio::test]
async fn preflight_finds_everything_at_once() {
    let cloud = Cloud::start().await;
    let url = "https://www.googleapis.com/compute/v1/projects/p/regions";
    for (zone, region, status) in [
        ("europe-west1-b", "europe-west1", "UP"),
        ("europe-west1-c", "europe-west1", "DOWN"),
        ("us-central1-a", "us-central1", "UP"),
    ] {
        let resource = json!({"name": zone, "region": format!("{url}/{region}"), "status": status});
        cloud.has(format!("{PROJECT}/zones/{zone}"), resource).await;
    }
    let good = json!({"name": "e2-standard-2"});
    cloud
        .has(format!("{ZONE}/machineTypes/e2-standard-2"), good)
        .await;
    let spec = |zones: &[&str], types: &[&str]| PreflightSpec {
        zones: zones.iter().map(ToString::to_string).collect(),
        machine_types: types.iter().map(ToString::to_string).collect(),
    };
    let fine = spec(&["europe-west1-b"], &["e2-standard-2"]);
    assert_eq!(cloud.gce.preflight(&fine).await.unwrap(), []);

    let zones = [
        "europe-west1-b",
        "europe-west1-c",
        "us-central1-a",
        "mars-1",
    ];
    let findings = cloud
        .gce
        .preflight(&spec(&zones, &["e2-giant"]))
        .await
        .unwrap();
    let findings: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        findings,
        [
            "could not use zone europe-west1-c: Compute Engine says that it is down",
            "could not use zone us-central1-a: it is in region us-central1, and the cluster is in europe-west1",
            "could not use zone mars-1: there is no such zone",
            "could not use machine type e2-giant in europe-west1-b: the zone has no such machine type",
        ]
    );
}

#[tokio::test]
async fn a_wrong_token_is_found_once() {
    let cloud = Cloud::start().await;
    for at in [
        ZONE.to_owned(),
        format!("{ZONE}/machineTypes/e2-standard-2"),
    ] {
        let refused = failure(401, "authError", "Invalid Credentials");
        cloud.answers("GET", at, refused, 1).await;
    }
    let spec = PreflightSpec {
        zones: vec!["europe-west1-b".into()],
        machine_types: vec!["e2-standard-2".into()],
    };
    let findings = cloud.gce.preflight(&spec).await.unwrap();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].kind, ErrorKind::Denied);
}
