//! Properties of all calls.

use crate::support::{Cloud, GLOBAL, REGION, done, failure, missing, ok, query};
use hakube_gce::Patience;
use hakube_provider::{ErrorKind, NetworkSpec, Provider};
use serde_json::json;
use std::time::{Duration, Instant};

fn network() -> NetworkSpec {
    hakube_contract::network_spec("kubernetes", "net")
}

fn running(scope: serde_json::Value) -> serde_json::Value {
    let mut operation = json!({"name": "operation-7", "status": "RUNNING"});
    if let (Some(to), Some(from)) = (operation.as_object_mut(), scope.as_object()) {
        to.extend(from.clone());
    }
    operation
}

#[tokio::test]
async fn an_operation_is_polled_where_it_runs() {
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
    let spec = hakube_contract::address_spec("kubernetes", "ip");
    // The address can't be read afterwards: this mock doesn't store it.
    cloud.gce.ensure_address(&spec).await.unwrap_err();
    let waited = format!("{REGION}/operations/operation-7/wait");
    let requests = cloud.requests().await;
    assert!(requests.iter().any(|request| request.url.path() == waited));
}

#[tokio::test]
async fn a_failed_operation_is_an_error_of_the_right_kind() {
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
async fn a_change_with_a_lost_response_is_repeated_as_the_same_change() {
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
async fn an_exceeded_rate_limit_is_retried() {
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
async fn after_a_crash_a_change_has_the_same_id_and_is_in_doubt() {
    let cloud = Cloud::start().await;
    cloud.gce.ensure_network(&network()).await.unwrap();
    let next = cloud.resumed().await;
    // Compute Engine would report success without recreating what was deleted since.
    let error = next.ensure_network(&network()).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(error.message.contains("checked again"), "{error}");
    // Still missing, so the next insert is a new change.
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
async fn a_change_with_an_unknown_end_has_the_same_id_and_is_checked_again() {
    let cloud = Cloud::with(IMPATIENT).await;
    let inserted = ok(running(json!({})));
    let wait = format!("{GLOBAL}/operations/operation-7/wait");
    let networks = format!("{GLOBAL}/networks");
    cloud.answers("POST", &networks, inserted, 1).await;
    cloud.answers("POST", &wait, missing(), 1).await;
    cloud.gce.ensure_network(&network()).await.unwrap_err();
    let error = cloud.gce.ensure_network(&network()).await.unwrap_err();
    assert!(error.message.contains("checked again"), "{error}");
    cloud.gce.ensure_network(&network()).await.unwrap();
    let ids = request_ids(&cloud).await;
    assert_eq!(ids.len(), 3);
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[1], ids[2]);
}

#[tokio::test]
async fn every_call_has_the_token_and_is_counted() {
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
async fn a_resource_created_between_read_and_insert_is_transient() {
    let cloud = Cloud::start().await;
    let exists = failure(409, "alreadyExists", "The resource 'net' already exists");
    cloud
        .answers("POST", format!("{GLOBAL}/networks"), exists, 1)
        .await;
    let error = cloud.gce.ensure_network(&network()).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
}

#[tokio::test]
async fn a_forgotten_operation_is_transient() {
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
async fn a_wrong_token_is_reported() {
    let cloud = Cloud::start().await;
    let refused = failure(401, "authError", "Invalid Credentials");
    cloud
        .answers("GET", format!("{GLOBAL}/networks/net"), refused, 2)
        .await;
    let error = cloud.gce.ensure_network(&network()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
    assert!(error.hint.is_some_and(|hint| hint.contains("token file")));
    // The provider works once the token is right.
    cloud
        .answers("POST", format!("{GLOBAL}/networks"), done(), 1)
        .await;
    cloud.gce.ensure_network(&network()).await.unwrap();
}

/// Long enough for a response on a busy machine.
const IMPATIENT: Patience = Patience {
    attempt: Duration::from_secs(2),
    operation: Duration::from_secs(2),
};

/// Delays a response longer than any test takes.
fn never(answer: wiremock::ResponseTemplate) -> wiremock::ResponseTemplate {
    answer.set_delay(Duration::from_secs(3600))
}

#[tokio::test]
async fn a_change_that_times_out_is_repeated_as_the_same_change() {
    let cloud = Cloud::with(Patience {
        operation: Duration::from_secs(60),
        ..IMPATIENT
    })
    .await;
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
async fn a_wait_that_times_out_is_repeated() {
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
async fn an_operation_that_never_ends_is_reported_by_name() {
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
    assert_eq!(error.message, "operation operation-7 isn't done after 2 s");
}

#[tokio::test]
async fn a_truncated_response_is_retried() {
    let cloud = Cloud::start().await;
    let half = wiremock::ResponseTemplate::new(200).set_body_raw("{\"name\": ", "application/json");
    let networks = format!("{GLOBAL}/networks");
    cloud
        .answers("GET", format!("{networks}/net"), half.clone(), 1)
        .await;
    cloud.answers("POST", &networks, half, 1).await;
    cloud.gce.ensure_network(&network()).await.unwrap();
}

/// `--timeout` sets the operation's timeout, which includes its calls and their retries.
#[tokio::test]
async fn a_call_ends_within_its_operations_timeout() {
    let unavailable = failure(502, "backendError", "try again");
    for answer in [unavailable, never(done())] {
        let cloud = Cloud::with(IMPATIENT).await;
        let net = format!("{GLOBAL}/networks/net");
        cloud.answers("GET", net, answer, u64::MAX).await;
        let started = Instant::now();
        let error = cloud.gce.ensure_network(&network()).await.unwrap_err();
        assert!(error.is_transient(), "{error:?}");
        let took = started.elapsed();
        assert!(took < Duration::from_secs(10), "{took:?}: {error:?}");
    }
}
