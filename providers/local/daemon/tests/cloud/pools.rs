//! Target pools behind forwarding rules, with legacy health checks and real members.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{REGION, TestCloud, ZONE, fetch, until};

const POOL: &str = "regions/europe-west1/targetPools/pool";

async fn patch(
    cloud: &TestCloud,
    path: &str,
    body: Value,
) -> Result<Value, crate::support::Refusal> {
    let request = cloud.request(reqwest::Method::PATCH, path).json(&body);
    cloud.send(request).await
}

fn reference(name: &str) -> Value {
    json!({"instance": format!("{ZONE}/instances/{name}")})
}

async fn health(cloud: &TestCloud, name: &str) -> Value {
    let path = format!("{POOL}/getHealth");
    let answer = cloud.post(&path, reference(name)).await.unwrap();
    answer["healthStatus"][0]["healthState"].clone()
}

/// The members that respond, in eight tries.
async fn answers(address: &str) -> BTreeSet<String> {
    let mut answers = BTreeSet::new();
    for _ in 0..8 {
        answers.extend(fetch(address).await);
    }
    answers
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn a_rule_forwards_to_the_healthy_instances_of_its_pool() {
    let cloud = TestCloud::start().await;
    cloud.open_port(18230).await;
    cloud.web_machine(ZONE, "m1", 18230, json!([])).await;
    let check = json!({
        "name": "hc",
        "port": 18230,
        "requestPath": "/name",
        "checkIntervalSec": 1,
        "timeoutSec": 1,
        "healthyThreshold": 1,
        "unhealthyThreshold": 1,
    });
    cloud.make("global/httpHealthChecks", check).await;
    // m2 doesn't exist yet.
    let members = ["m1", "m2"].map(|name| format!("{ZONE}/instances/{name}"));
    let pool = json!({
        "name": "pool",
        "instances": members,
        "healthChecks": ["global/httpHealthChecks/hc"],
    });
    cloud.make(&format!("{REGION}/targetPools"), pool).await;
    let ip = cloud.reserve("front").await;
    let rule = json!({"name": "rule", "IPAddress": ip, "portRange": "18230", "target": POOL});
    let rules = format!("{REGION}/forwardingRules");
    cloud.make(&rules, rule).await;
    let front = format!("{ip}:18230");
    let rule = cloud.get(&format!("{rules}/rule")).await.unwrap();
    assert_eq!(rule["portRange"], "18230-18230");
    assert_eq!(rule["backendService"], Value::Null);

    assert_eq!(health(&cloud, "m1").await, "HEALTHY");
    let said = cloud
        .post(&format!("{POOL}/getHealth"), reference("m1"))
        .await
        .unwrap();
    assert_eq!(said["healthStatus"][0]["ipAddress"], ip.as_str());
    assert_eq!(said["healthStatus"].as_array().unwrap().len(), 1);
    assert_eq!(answers(&front).await, names(&["m1"]));
    cloud.web_machine(ZONE, "m2", 18230, json!([])).await;
    until("both answer", async || {
        answers(&front).await == names(&["m1", "m2"])
    })
    .await;

    cloud.local.kill("m1").await.unwrap();
    until("m1 is not used", async || {
        health(&cloud, "m1").await == "UNHEALTHY" && answers(&front).await == names(&["m2"])
    })
    .await;

    let leaves = json!({"instances": [reference("m2")]});
    cloud
        .make(&format!("{POOL}/removeInstance"), leaves.clone())
        .await;
    assert_eq!(answers(&front).await, names(&[]));
    let again = cloud.post(&format!("{POOL}/removeInstance"), leaves).await;
    let again = again.unwrap_err();
    assert_eq!((again.status, again.reason.as_str()), (400, "invalid"));
    assert!(
        again
            .message
            .ends_with("Instance is not currently attached to this target pool."),
        "{again:?}"
    );
}

#[tokio::test]
async fn resources_used_by_a_pool_or_a_rule_are_not_deleted() {
    let cloud = TestCloud::start().await;
    cloud
        .make("global/httpHealthChecks", json!({"name": "hc"}))
        .await;
    cloud
        .make("global/httpsHealthChecks", json!({"name": "tls"}))
        .await;
    let pools = format!("{REGION}/targetPools");
    for name in ["pool", "other"] {
        cloud.make(&pools, json!({"name": name})).await;
    }
    let adds = |check: &str| json!({"healthChecks": [{"healthCheck": check}]});
    let add = format!("{POOL}/addHealthCheck");
    cloud.make(&add, adds("global/httpHealthChecks/hc")).await;
    for refused in ["global/httpsHealthChecks/tls", "global/httpHealthChecks/hc"] {
        let refused = cloud.post(&add, adds(refused)).await.unwrap_err();
        assert_eq!((refused.status, refused.reason.as_str()), (400, "invalid"));
    }
    let in_use = cloud.delete("global/httpHealthChecks/hc").await;
    assert_eq!(in_use.unwrap_err().reason, "resourceInUseByAnotherResource");

    let rules = format!("{REGION}/forwardingRules");
    let rule = json!({"name": "rule", "target": POOL, "portRange": "18231"});
    cloud.make(&rules, rule).await;
    let in_use = cloud.delete(POOL).await.unwrap_err();
    assert_eq!(in_use.reason, "resourceInUseByAnotherResource");

    // The target can be another pool, but not a backend service.
    let set_target = format!("{rules}/rule/setTarget");
    let other = json!({"target": format!("{pools}/other")});
    cloud.make(&set_target, other).await;
    cloud.delete(POOL).await.unwrap();
    let service = json!({"target": format!("{REGION}/backendServices/bs")});
    let refused = cloud.post(&set_target, service).await.unwrap_err();
    assert_eq!((refused.status, refused.reason.as_str()), (400, "invalid"));

    let one = format!("{rules}/rule");
    patch(&cloud, &one, json!({"networkTier": "PREMIUM"}))
        .await
        .unwrap();
    let stale = json!({"networkTier": "PREMIUM", "fingerprint": "AAAA"});
    assert_eq!(patch(&cloud, &one, stale).await.unwrap_err().status, 412);
    let ports = json!({"portRange": "18232"});
    assert_eq!(patch(&cloud, &one, ports).await.unwrap_err().status, 400);

    let backup = cloud
        .post(&format!("{pools}/other/setBackup"), json!({"target": POOL}))
        .await;
    assert_eq!(backup.unwrap_err().reason, "notImplemented");
    cloud.delete(&one).await.unwrap();
    cloud.delete(&format!("{pools}/other")).await.unwrap();
    cloud.delete("global/httpHealthChecks/hc").await.unwrap();
}

#[tokio::test]
async fn health_checks_are_regional_or_global() {
    let cloud = TestCloud::start().await;
    let check = json!({"name": "hc", "type": "TCP", "tcpHealthCheck": {"port": 80}});
    cloud.make("global/healthChecks", check.clone()).await;
    cloud.make(&format!("{REGION}/healthChecks"), check).await;
    let all = cloud.get("aggregated/healthChecks").await.unwrap();
    for scope in ["global", REGION] {
        assert_eq!(all["items"][scope]["healthChecks"][0]["name"], "hc");
    }
    let services = format!("{REGION}/backendServices");
    let service = |scheme: &str| json!({"name": "bs", "loadBalancingScheme": scheme, "healthChecks": ["global/healthChecks/hc"]});
    let refused = cloud.post(&services, service("EXTERNAL")).await;
    assert_eq!(refused.unwrap_err().reason, "invalid");
    cloud.make(&services, service("INTERNAL")).await;
    let in_use = cloud.delete("global/healthChecks/hc").await.unwrap_err();
    assert_eq!(in_use.reason, "resourceInUseByAnotherResource");
}
