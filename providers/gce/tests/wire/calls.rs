//! What holds for every call.

use crate::support::{Cloud, GLOBAL, REGION, done, failure, missing, ok, query};
use hakube_gce::Patience;
use hakube_provider::{AddressSpec, ErrorKind, NetworkSpec, Provider};
use serde_json::json;
use std::time::Duration;

fn network() -> NetworkSpec {
    NetworkSpec {
        cluster: "kubernetes".into(),
        name: "net".into(),
        subnetwork: None,
    }
}

fn running(scope: serde_json::Value) -> serde_json::Value {
    let mut operation = json!({"name": "operation-7", "status": "RUNNING"});
    if let (Some(to), Some(from)) = (operation.as_object_mut(), scope.as_object()) {
        to.extend(from.clone());
    }
    operation
}

#[tokio::test]
async fn a_change_is_waited_for_where_its_operation_runs() {
    let cloud = Cloud::start().await;
    let wait = format!("{GLOBAL}/operations/operation-7/wait");
    let inserted = ok(running(json!({})));
    cloud
        .answers("POST", format!("{GLOBAL}/networks"), inserted, 1)
        .await;
    cloud
        .answers("POST", &wait, ok(running(json!({}))), 2)
        .await;
    cloud.gce.ensure_network(&network()).await.unwrap();
    let waits = cloud.requests().await;
    let waits = waits.iter().filter(|request| request.url.path() == wait);
    assert_eq!(
        waits.count(),
        3,
        "two come back unfinished, the third is done"
    );

    let regional = json!({"region": format!("https://www.googleapis.com{REGION}")});
    let inserted = ok(running(regional));
    cloud
        .answers("POST", format!("{REGION}/addresses"), inserted, 1)
        .await;
    let spec = AddressSpec {
        cluster: "kubernetes".into(),
        name: "ip".into(),
        reach: hakube_provider::Reach::Anywhere,
    };
    // The address can't be read afterwards: this Compute Engine forgets what it made.
    cloud.gce.ensure_address(&spec).await.unwrap_err();
    let waited = format!("{REGION}/operations/operation-7/wait");
    let requests = cloud.requests().await;
    assert!(requests.iter().any(|request| request.url.path() == waited));
}

#[tokio::test]
async fn an_operation_that_fails_is_an_error_of_the_right_kind() {
    let cloud = Cloud::start().await;
    let failed = ok(json!({
        "name": "operation-7",
        "status": "DONE",
        "httpErrorStatusCode": 403,
        "httpErrorMessage": "FORBIDDEN",
        "error": {"errors": [{"code": "QUOTA_EXCEEDED", "message": "Quota 'NETWORKS' exceeded."}]},
    }));
    cloud
        .answers("POST", format!("{GLOBAL}/networks"), failed, 1)
        .await;
    let error = cloud.gce.ensure_network(&network()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Quota);
    assert_eq!(
        error.to_string(),
        "could not create network net: Quota 'NETWORKS' exceeded. (QUOTA_EXCEEDED)"
    );
}

#[tokio::test]
async fn a_change_whose_answer_got_lost_is_sent_again_as_the_same_change() {
    let cloud = Cloud::start().await;
    let unavailable = failure(503, "backendError", "try again");
    cloud
        .answers("POST", format!("{GLOBAL}/networks"), unavailable, 1)
        .await;
    cloud.gce.ensure_network(&network()).await.unwrap();
    let ids: Vec<_> = cloud
        .changing()
        .await
        .iter()
        .map(|request| query(request, "requestId").unwrap())
        .collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1]);
    assert!(uuid::Uuid::parse_str(&ids[0]).is_ok_and(|id| !id.is_nil()));
}

#[tokio::test]
async fn a_caller_who_is_too_fast_tries_again() {
    let cloud = Cloud::start().await;
    let too_fast = failure(403, "rateLimitExceeded", "Rate Limit Exceeded");
    cloud
        .answers("POST", format!("{GLOBAL}/networks"), too_fast, 1)
        .await;
    cloud.gce.ensure_network(&network()).await.unwrap();
}

async fn request_ids(cloud: &Cloud) -> Vec<Option<String>> {
    let requests = cloud.changing().await;
    requests
        .iter()
        .map(|request| query(request, "requestId"))
        .collect()
}

#[tokio::test]
async fn another_insert_of_the_same_name_is_another_change() {
    let cloud = Cloud::start().await;
    cloud.gce.ensure_network(&network()).await.unwrap();
    cloud.gce.ensure_network(&network()).await.unwrap();
    let ids = request_ids(&cloud).await;
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn after_a_crash_a_change_is_the_same_call_and_its_end_proves_nothing() {
    let cloud = Cloud::start().await;
    cloud.gce.ensure_network(&network()).await.unwrap();
    let next = cloud.resumed().await;
    // Compute Engine would say that it is done, and have made nothing of what was deleted since.
    let error = next.ensure_network(&network()).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(error.message.contains("looking again"), "{error}");
    // Still not there: that is another insert.
    let error = next.ensure_network(&network()).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    let ids = request_ids(&cloud).await;
    assert_eq!(ids.len(), 3);
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[1], ids[2]);
    cloud
        .has(
            format!("{GLOBAL}/networks/net"),
            json!({"name": "net", "description": "hakube-cluster=kubernetes"}),
        )
        .await;
    next.ensure_network(&network()).await.unwrap();
    assert_eq!(request_ids(&cloud).await.len(), 3);
}

#[tokio::test]
async fn a_change_whose_end_was_not_seen_is_the_same_call_and_looked_at_again() {
    let cloud = Cloud::with(IMPATIENT).await;
    let inserted = ok(running(json!({})));
    let wait = format!("{GLOBAL}/operations/operation-7/wait");
    let networks = format!("{GLOBAL}/networks");
    cloud.answers("POST", &networks, inserted, 1).await;
    cloud.answers("POST", &wait, missing(), 1).await;
    cloud.gce.ensure_network(&network()).await.unwrap_err();
    let error = cloud.gce.ensure_network(&network()).await.unwrap_err();
    assert!(error.message.contains("looking again"), "{error}");
    cloud.gce.ensure_network(&network()).await.unwrap();
    let ids = request_ids(&cloud).await;
    assert_eq!(ids.len(), 3);
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[1], ids[2]);
}

#[tokio::test]
async fn every_call_bears_the_token_and_is_counted() {
    let cloud = Cloud::start().await;
    let inserted = ok(running(json!({})));
    cloud
        .answers("POST", format!("{GLOBAL}/networks"), inserted, 1)
        .await;
    let unavailable = failure(503, "backendError", "try again");
    let wait = format!("{GLOBAL}/operations/operation-7/wait");
    cloud.answers("POST", wait, unavailable, 1).await;
    cloud.gce.ensure_network(&network()).await.unwrap();
    let requests = cloud.requests().await;
    assert_eq!(requests.len(), 4, "get, insert, wait, wait again");
    assert_eq!(cloud.gce.calls(), 4);
    for request in requests {
        assert_eq!(request.headers["authorization"], "Bearer secret");
    }
}

#[tokio::test]
async fn what_appears_between_the_look_and_the_insert_is_looked_at_again() {
    let cloud = Cloud::start().await;
    let exists = failure(409, "alreadyExists", "The resource 'net' already exists");
    cloud
        .answers("POST", format!("{GLOBAL}/networks"), exists, 1)
        .await;
    let error = cloud.gce.ensure_network(&network()).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
}

#[tokio::test]
async fn an_operation_that_nobody_remembers_is_worth_another_look() {
    let cloud = Cloud::start().await;
    let inserted = ok(running(json!({})));
    cloud
        .answers("POST", format!("{GLOBAL}/networks"), inserted, 1)
        .await;
    let wait = format!("{GLOBAL}/operations/operation-7/wait");
    cloud.answers("POST", wait, missing(), 1).await;
    let error = cloud.gce.ensure_network(&network()).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
}

#[tokio::test]
async fn a_wrong_token_is_said_to_be_one() {
    let cloud = Cloud::start().await;
    let refused = failure(401, "authError", "Invalid Credentials");
    cloud
        .answers("GET", format!("{GLOBAL}/networks/net"), refused, 2)
        .await;
    let error = cloud.gce.ensure_network(&network()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
    assert!(error.hint.is_some_and(|hint| hint.contains("token file")));
    // Still one that works, once the token is right.
    cloud
        .answers("POST", format!("{GLOBAL}/networks"), done(), 1)
        .await;
    cloud.gce.ensure_network(&network()).await.unwrap();
}

/// Long enough for an answer of this machine, however busy it is.
const IMPATIENT: Patience = Patience {
    attempt: Duration::from_secs(2),
    operation: Duration::from_secs(2),
};

/// Longer than any test takes.
fn never(answer: wiremock::ResponseTemplate) -> wiremock::ResponseTemplate {
    answer.set_delay(Duration::from_secs(3600))
}

#[tokio::test]
async fn a_call_that_is_never_answered_is_sent_again_as_the_same_change() {
    let cloud = Cloud::with(IMPATIENT).await;
    let networks = format!("{GLOBAL}/networks");
    cloud.answers("POST", &networks, never(done()), 1).await;
    cloud.gce.ensure_network(&network()).await.unwrap();
    let requests = cloud.changing().await;
    let ids: Vec<_> = requests
        .iter()
        .map(|request| query(request, "requestId"))
        .collect();
    assert!(ids.len() >= 2, "{ids:?}");
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[tokio::test]
async fn a_wait_that_is_never_answered_is_asked_again() {
    let cloud = Cloud::with(Patience {
        operation: Duration::from_secs(60),
        ..IMPATIENT
    })
    .await;
    let inserted = ok(running(json!({})));
    let wait = format!("{GLOBAL}/operations/operation-7/wait");
    cloud
        .answers("POST", format!("{GLOBAL}/networks"), inserted, 1)
        .await;
    cloud.answers("POST", &wait, never(done()), 1).await;
    cloud.gce.ensure_network(&network()).await.unwrap();
}

#[tokio::test]
async fn an_operation_that_never_ends_is_told_of_by_name() {
    let cloud = Cloud::with(IMPATIENT).await;
    let inserted = ok(running(json!({})));
    let wait = format!("{GLOBAL}/operations/operation-7/wait");
    cloud
        .answers("POST", format!("{GLOBAL}/networks"), inserted, 1)
        .await;
    cloud
        .answers("POST", &wait, ok(running(json!({}))), u64::MAX)
        .await;
    let error = cloud.gce.ensure_network(&network()).await.unwrap_err();
    assert!(error.is_transient());
    assert_eq!(
        error.message,
        "operation operation-7 is still not done after 2 s"
    );
}

#[tokio::test]
async fn half_an_answer_is_asked_for_again() {
    let cloud = Cloud::start().await;
    let half = wiremock::ResponseTemplate::new(200).set_body_raw("{\"name\": ", "application/json");
    let networks = format!("{GLOBAL}/networks");
    cloud
        .answers("GET", format!("{networks}/net"), half.clone(), 1)
        .await;
    cloud.answers("POST", &networks, half, 1).await;
    cloud.gce.ensure_network(&network()).await.unwrap();
}
