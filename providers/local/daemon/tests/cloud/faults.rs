//! Fault injection.

use std::io::ErrorKind;
use std::time::Duration;

use hakube_local_client::{Act, FaultRule, Moment};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{REGION, TestCloud, ZONE, instance, until};

const ADDRESSES: &str = "regions/europe-west1/addresses$";

impl TestCloud {
    async fn fail(&self, rule: FaultRule) {
        self.local.set_faults(&[rule]).await.unwrap();
    }

    async fn has_address(&self, name: &str) -> bool {
        self.get(&format!("{REGION}/addresses/{name}"))
            .await
            .is_ok()
    }
}

#[tokio::test]
async fn an_error_is_injected_the_given_number_of_times() {
    let cloud = TestCloud::start().await;
    let act = Act::refuse(403, "rateLimitExceeded");
    cloud
        .fail(FaultRule::on("POST", ADDRESSES, act).times(1))
        .await;
    let path = format!("{REGION}/addresses");
    let refusal = cloud.post(&path, json!({"name": "a"})).await.unwrap_err();
    assert_eq!(
        (refusal.status, refusal.reason.as_str()),
        (403, "rateLimitExceeded")
    );
    assert!(!cloud.has_address("a").await);
    cloud.reserve("a").await;
    let report = cloud.local.faults().await.unwrap();
    assert_eq!((report[0].seen, report[0].acted), (2, 1));
    cloud.local.clear_faults().await.unwrap();
    assert_eq!(cloud.local.faults().await.unwrap(), []);
}

#[tokio::test]
async fn a_retry_after_an_attempt_that_succeeded_is_a_conflict() {
    let cloud = TestCloud::start().await;
    let act = Act::refuse_after(409, "alreadyExists");
    cloud.fail(FaultRule::on("POST", ADDRESSES, act)).await;
    let path = format!("{REGION}/addresses");
    let refusal = cloud.post(&path, json!({"name": "a"})).await.unwrap_err();
    assert_eq!(refusal.status, 409);
    assert!(cloud.has_address("a").await);
}

#[tokio::test]
async fn a_connection_ends_before_or_after_the_request_is_carried_out() {
    let cloud = TestCloud::start().await;
    for (name, when, made) in [("a", Moment::Before, false), ("b", Moment::After, true)] {
        let request = reservation(&cloud, name, Act::drop(when)).await;
        let error = request.send().await.unwrap_err();
        assert!(!error.is_timeout() && error.status().is_none(), "{error:?}");
        assert_eq!(cloud.has_address(name).await, made, "{when:?}");
    }
}

/// A request that reserves an address, and meets this fault.
async fn reservation(cloud: &TestCloud, name: &str, act: Act) -> reqwest::RequestBuilder {
    cloud.fail(FaultRule::on("POST", ADDRESSES, act)).await;
    cloud
        .request(Method::POST, &format!("{REGION}/addresses"))
        .json(&json!({"name": name}))
}

#[tokio::test]
async fn a_connection_is_reset_before_or_after_the_request_is_carried_out() {
    let cloud = TestCloud::start().await;
    for (name, when, made) in [("a", Moment::Before, false), ("b", Moment::After, true)] {
        let request = reservation(&cloud, name, Act::reset(when)).await;
        let error = request.send().await.unwrap_err();
        let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| {
            error.source()
        });
        let kinds: Vec<_> = causes
            .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
            .map(std::io::Error::kind)
            .collect();
        assert!(kinds.contains(&ErrorKind::ConnectionReset), "{error:?}");
        assert_eq!(cloud.has_address(name).await, made, "{when:?}");
    }
}

#[tokio::test]
async fn a_response_never_arrives_before_or_after_the_request_is_carried_out() {
    let cloud = TestCloud::start().await;
    for (name, when, made) in [("a", Moment::Before, false), ("b", Moment::After, true)] {
        let request = reservation(&cloud, name, Act::no_answer(when)).await;
        let unanswered = tokio::spawn(request.send());
        until("the request arrives", async || {
            cloud.local.faults().await.unwrap()[0].acted == 1
        })
        .await;
        if made {
            until("it is carried out", async || cloud.has_address(name).await).await;
        }
        assert!(!unanswered.is_finished());
        unanswered.abort();
        assert_eq!(cloud.has_address(name).await, made, "{when:?}");
    }
}

#[tokio::test]
async fn a_failed_operation_leaves_nothing_and_reports_the_cause() {
    let cloud = TestCloud::start().await;
    let act = Act::operation_error("ZONE_RESOURCE_POOL_EXHAUSTED");
    cloud
        .fail(FaultRule::on("POST", "/instances$", act).times(1))
        .await;
    let path = format!("{ZONE}/instances");
    let operation = cloud.post(&path, instance("m1")).await.unwrap();
    let operation = cloud.done(operation).await;
    assert_eq!(
        operation["error"]["errors"][0]["code"],
        "ZONE_RESOURCE_POOL_EXHAUSTED"
    );
    assert_eq!(operation["httpErrorStatusCode"], 503);
    assert_eq!(cloud.get(&path).await.unwrap()["items"], Value::Null);
    let disks = cloud.get(&format!("{ZONE}/disks")).await.unwrap();
    assert_eq!(disks["items"], Value::Null);
    cloud.make(&path, instance("m1")).await;

    let act = Act::operation_error("INTERNAL_ERROR");
    cloud
        .fail(FaultRule::on("DELETE", "/instances/m1$", act).times(1))
        .await;
    let failed = cloud.delete(&format!("{path}/m1")).await.unwrap();
    assert_eq!(failed["error"]["errors"][0]["code"], "INTERNAL_ERROR");
    let kept = cloud.get(&format!("{path}/m1")).await.unwrap();
    assert_eq!(kept["status"], "RUNNING");
    cloud.delete(&format!("{path}/m1")).await.unwrap();
}

#[tokio::test]
async fn an_operation_is_stuck_until_the_rules_change() {
    let cloud = TestCloud::start().await;
    cloud
        .fail(FaultRule::on("POST", ADDRESSES, Act::operation_stuck()))
        .await;
    let path = format!("{REGION}/addresses");
    let operation = cloud.post(&path, json!({"name": "a"})).await.unwrap();
    assert_ne!(operation["status"], "DONE");
    let name = operation["name"].as_str().unwrap();
    let place = format!("{REGION}/operations/{name}");
    until("it runs", async || {
        cloud.get(&place).await.unwrap()["status"] == "RUNNING"
    })
    .await;
    let busy = cloud.delete(&format!("{path}/a")).await.unwrap_err();
    assert_eq!(busy.reason, "resourceNotReady");
    cloud.local.clear_faults().await.unwrap();
    assert_eq!(cloud.done(operation).await["error"], Value::Null);
    cloud.delete(&format!("{path}/a")).await.unwrap();
}

#[tokio::test]
async fn delays_and_literal_responses() {
    let cloud = TestCloud::start().await;
    let html = Act::Answer {
        status: 502,
        content_type: "text/html".into(),
        body: "<html>Bad Gateway</html>".into(),
    };
    let rules = [
        FaultRule::on("GET", "/zones$", html).times(1),
        FaultRule::on("GET", "/zones$", Act::delay_ms(50)),
    ];
    cloud.local.set_faults(&rules).await.unwrap();
    let answer = cloud.request(Method::GET, "zones").send().await.unwrap();
    assert_eq!(answer.status(), 502);
    assert_eq!(answer.headers()["content-type"], "text/html");
    assert_eq!(answer.text().await.unwrap(), "<html>Bad Gateway</html>");
    let asked = tokio::time::Instant::now();
    cloud.get("zones").await.unwrap();
    assert!(asked.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn requests_are_logged_and_invalid_rules_are_rejected() {
    let cloud = TestCloud::start().await;
    cloud
        .fail(FaultRule::on("POST", ADDRESSES, Act::drop(Moment::Before)).times(1))
        .await;
    let path = format!("{REGION}/addresses");
    let lost = cloud
        .request(Method::POST, &path)
        .json(&json!({"name": "a"}));
    lost.send().await.unwrap_err();
    cloud.reserve("a").await;
    let log = cloud.local.requests(0).await.unwrap();
    let posts: Vec<_> = log
        .iter()
        .filter(|request| request.method == "POST")
        .collect();
    assert_eq!((posts[0].status, posts[0].rule), (None, Some(0)));
    assert_eq!((posts[1].status, posts[1].rule), (Some(200), None));
    assert!(posts[0].path.ends_with("/regions/europe-west1/addresses"));
    let newest = log.last().unwrap().ordinal;
    assert_eq!(cloud.local.requests(newest).await.unwrap(), []);

    let url = format!("{}/local/v1/faults", cloud.status.url);
    let put = cloud.http.put(url).bearer_auth(cloud.token());
    let bad = put.body(r#"{"rules": [{"path": "x", "akt": {}}]}"#);
    let refusal = cloud.send(bad).await.unwrap_err();
    assert_eq!(refusal.status, 400);
    assert!(refusal.message.contains("akt"), "{refusal:?}");
    assert_eq!(cloud.local.faults().await.unwrap().len(), 1);
}
