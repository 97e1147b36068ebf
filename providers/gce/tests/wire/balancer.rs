//! The balancer is created and changed.

use crate::support::{CLUSTER, Cloud, MARK, PROJECT, REGION, aggregated, ok};
use hakube_provider::{BalancerSpec, MachineRef, Provider};
use serde_json::json;

pub fn balancer(backends: &[(&str, &str)]) -> BalancerSpec {
    let backend = |(name, zone): &(&str, &str)| MachineRef {
        name: (*name).into(),
        zone: (*zone).into(),
    };
    BalancerSpec {
        cluster: CLUSTER.into(),
        name: "master".into(),
        network: "default".into(),
        reach: hakube_provider::Reach::Anywhere,
        port: 6443,
        health_path: "/readyz".into(),
        backends: backends.iter().map(backend).collect(),
    }
}

#[tokio::test]
async fn a_balancers_service_is_created_last() {
    let cloud = Cloud::start().await;
    let spec = balancer(&[("m-1", "europe-west1-b"), ("m-2", "europe-west1-c")]);
    cloud.gce.ensure_balancer(&spec).await.unwrap();
    let changes = cloud.changes().await;
    assert_eq!(changes.len(), 6, "{changes:?}");
    assert!(changes.contains(&"POST /regions/europe-west1/healthChecks".to_owned()));
    assert_eq!(changes[5], "POST /regions/europe-west1/backendServices");
    let add = "/zones/europe-west1-c/instanceGroups/master-europe-west1-c/addInstances";
    assert_eq!(
        cloud.body(add).await,
        json!({"instances": [{"instance": "projects/p/zones/europe-west1-c/instances/m-2"}]})
    );
    assert_eq!(
        cloud.body("/healthChecks").await,
        json!({
            "name": "master",
            "description": MARK,
            "type": "HTTPS",
            "checkIntervalSec": 1,
            "timeoutSec": 1,
            "healthyThreshold": 1,
            "unhealthyThreshold": 2,
            "httpsHealthCheck": {"port": 6443, "requestPath": "/readyz"},
        })
    );
    let group = |zone| {
        json!({
            "group": format!("projects/p/zones/{zone}/instanceGroups/master-{zone}"),
            "balancingMode": "CONNECTION",
        })
    };
    assert_eq!(
        cloud.body("/backendServices").await,
        json!({
            "name": "master",
            "description": MARK,
            "loadBalancingScheme": "EXTERNAL",
            "protocol": "TCP",
            "sessionAffinity": "NONE",
            "connectionDraining": {"drainingTimeoutSec": 10},
            "healthChecks": ["projects/p/regions/europe-west1/healthChecks/master"],
            "backends": [group("europe-west1-b"), group("europe-west1-c")],
        })
    );
}

/// A balancer with one backend in each of two zones.
async fn balanced() -> Cloud {
    let cloud = Cloud::start().await;
    let check = json!({
        "name": "master",
        "description": MARK,
        "type": "HTTPS",
        "httpsHealthCheck": {"port": 6443, "requestPath": "/readyz"},
    });
    cloud
        .has(format!("{REGION}/healthChecks/master"), check)
        .await;
    let mut groups = Vec::new();
    let mut backends = Vec::new();
    for (machine, zone) in [("m-1", "europe-west1-b"), ("m-2", "europe-west1-c")] {
        let group = format!("{PROJECT}/zones/{zone}/instanceGroups/master-{zone}");
        let resource = json!({
            "name": format!("master-{zone}"),
            "zone": format!("https://www.googleapis.com{PROJECT}/zones/{zone}"),
            "description": MARK,
        });
        cloud.has(&group, resource.clone()).await;
        groups.push(resource);
        backends.push(json!({"group": format!("https://www.googleapis.com{group}")}));
        let member = format!("https://x/zones/{zone}/instances/{machine}");
        let members = ok(json!({"items": [{"instance": member}]}));
        cloud
            .answers("POST", format!("{group}/listInstances"), members, 9)
            .await;
    }
    let list = aggregated("instanceGroups", json!(groups));
    cloud
        .has(format!("{PROJECT}/aggregated/instanceGroups"), list)
        .await;
    let service = json!({
        "name": "master",
        "description": MARK,
        "fingerprint": "Zm9v",
        "backends": backends,
    });
    cloud
        .has(format!("{REGION}/backendServices/master"), service)
        .await;
    cloud
}

#[tokio::test]
async fn a_correct_balancer_is_not_changed() {
    let cloud = balanced().await;
    let spec = balancer(&[("m-2", "europe-west1-c"), ("m-1", "europe-west1-b")]);
    cloud.gce.ensure_balancer(&spec).await.unwrap();
    cloud.is_untouched().await;
}

#[tokio::test]
async fn an_empty_zone_is_removed_from_the_service_before_its_group_is_deleted() {
    let cloud = balanced().await;
    let spec = balancer(&[("m-1", "europe-west1-b")]);
    cloud.gce.ensure_balancer(&spec).await.unwrap();
    let group = "/zones/europe-west1-c/instanceGroups/master-europe-west1-c";
    assert_eq!(
        cloud.changes().await,
        [
            format!("POST {group}/removeInstances"),
            "PATCH /regions/europe-west1/backendServices/master".to_owned(),
            format!("DELETE {group}"),
        ]
    );
    let patch = cloud.body("/backendServices/master").await;
    assert_eq!(patch["fingerprint"], "Zm9v");
    assert_eq!(patch["backends"].as_array().unwrap().len(), 1);
}
