//! A server that isn't Compute Engine, or a proxy: the response isn't JSON, or is truncated.

use crate::support::{CLUSTER, Cloud, GLOBAL, REGION};
use hakube_gce::Patience;
use hakube_provider::{Provider, Result};
use std::time::Duration;
use wiremock::ResponseTemplate;

fn garbage() -> [ResponseTemplate; 5] {
    let text = |body: &str, kind: &str| {
        ResponseTemplate::new(200).set_body_raw(body.as_bytes().to_vec(), kind)
    };
    [
        text("<html><body>Please log in</body></html>", "text/html"),
        text(r#"{"items": [{"name": "kubern"#, "application/json"),
        text("", "application/json"),
        text("[1, 2]", "application/json"),
        text("\u{1}\u{0}\u{fffd}", "application/json"),
    ]
}

/// With a short timeout, because garbled responses are retried.
async fn cloud() -> Cloud {
    Cloud::with(Patience {
        attempt: Duration::from_millis(300),
        ..Patience::default()
    })
    .await
}

fn is_reported<T: std::fmt::Debug>(result: Result<T>, action: &str, resource: &str) {
    let error = result.expect_err("garbage was taken for a response");
    let reported = error.action.contains(action) && error.resource.contains(resource);
    assert!(reported && !error.message.is_empty(), "{error:?}");
}

#[tokio::test]
async fn a_garbled_list_is_an_error_and_not_an_empty_inventory() {
    for answer in garbage() {
        let cloud = cloud().await;
        cloud
            .answers("GET", format!("{GLOBAL}/firewalls"), answer, 1000)
            .await;
        is_reported(cloud.gce.inspect(CLUSTER).await, "list", "firewalls");
    }
}

#[tokio::test]
async fn a_garbled_response_to_a_change_is_an_error() {
    for answer in garbage() {
        let cloud = cloud().await;
        cloud
            .answers("POST", format!("{REGION}/addresses"), answer, 1000)
            .await;
        let spec = hakube_contract::address_spec(CLUSTER, "kubernetes-master-ip");
        is_reported(
            cloud.gce.ensure_address(&spec).await,
            "reserve",
            "kubernetes-master-ip",
        );
    }
}
