//! Quotas are counted, shown and enforced.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{REGION, TestCloud, ZONE, instance};

async fn set(cloud: &TestCloud, quotas: Value) -> StatusCode {
    let url = format!("{}/local/v1/quotas", cloud.status.url);
    let request = cloud.http.put(url).bearer_auth(cloud.token()).json(&quotas);
    request.send().await.unwrap().status()
}

async fn quota(cloud: &TestCloud, metric: &str) -> (f64, f64) {
    let region = cloud.get(REGION).await.unwrap();
    let quotas = region["quotas"].as_array().unwrap();
    let found = quotas.iter().find(|quota| quota["metric"] == metric);
    let number = |field: &str| found.unwrap()[field].as_f64().unwrap();
    (number("limit"), number("usage"))
}

#[tokio::test]
async fn a_quota_is_enforced_and_a_stopped_machine_releases_its_cpus() {
    let cloud = TestCloud::start().await;
    let limits = json!({"regions/europe-west1": {"CPUS": 3, "STATIC_ADDRESSES": 0}});
    assert_eq!(set(&cloud, limits).await, StatusCode::OK);
    let instances = format!("{ZONE}/instances");
    cloud.make(&instances, instance("m1")).await;
    assert_eq!(quota(&cloud, "CPUS").await, (3.0, 2.0));
    assert_eq!(quota(&cloud, "DISKS_TOTAL_GB").await.1, 10.0);

    let refused = cloud.post(&instances, instance("m2")).await.unwrap_err();
    assert_eq!(
        (refused.status, refused.reason.as_str()),
        (403, "quotaExceeded")
    );
    let words = "Quota 'CPUS' exceeded.  Limit: 3.0 in region europe-west1.";
    assert_eq!(refused.message, words);
    assert_eq!(
        quota(&cloud, "INSTANCES").await.1,
        1.0,
        "the rejected insert has no side effects"
    );
    let address = cloud
        .post(&format!("{REGION}/addresses"), json!({"name": "a"}))
        .await;
    assert_eq!(address.unwrap_err().reason, "quotaExceeded");

    cloud.make(&format!("{instances}/m1/stop"), json!({})).await;
    assert_eq!(quota(&cloud, "CPUS").await.1, 0.0);
    cloud.make(&instances, instance("m2")).await;
    let start = cloud
        .post(&format!("{instances}/m1/start"), json!({}))
        .await;
    assert_eq!(start.unwrap_err().reason, "quotaExceeded");
}

#[tokio::test]
async fn pools_and_checks_of_all_kinds_count() {
    let cloud = TestCloud::start().await;
    let limits = json!({"global": {"TARGET_POOLS": 1, "HEALTH_CHECKS": 1}});
    assert_eq!(set(&cloud, limits).await, StatusCode::OK);
    let pools = format!("{REGION}/targetPools");
    cloud.make(&pools, json!({"name": "a"})).await;
    let pool = cloud.post(&pools, json!({"name": "b"})).await.unwrap_err();
    assert_eq!(pool.reason, "quotaExceeded");
    cloud
        .make("global/httpHealthChecks", json!({"name": "a"}))
        .await;
    let check = cloud.post("global/httpsHealthChecks", json!({"name": "b"}));
    assert_eq!(check.await.unwrap_err().reason, "quotaExceeded");
}

#[tokio::test]
async fn limits_of_unknown_metrics_are_rejected() {
    let cloud = TestCloud::start().await;
    for wrong in [
        json!({"global": {"GIRAFFES": 1}}),
        json!({"regions/nowhere": {"CPUS": 1}}),
        json!({"global": {"NETWORKS": -1}}),
        json!([]),
    ] {
        assert_eq!(
            set(&cloud, wrong.clone()).await,
            StatusCode::BAD_REQUEST,
            "{wrong}"
        );
    }
}
