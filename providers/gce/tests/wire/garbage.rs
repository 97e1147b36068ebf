//! A server that isn't Compute Engine, or a proxy in between: what it answers is no JSON, or half of it.

use crate::support::{CLUSTER, Cloud, GLOBAL, REGION};
use hakube_gce::Patience;
use hakube_provider::{AddressSpec, Provider, Result};
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

/// Impatient: whether it is worth another try, a proxy's page doesn't tell.
async fn cloud() -> Cloud {
    Cloud::with(Patience {
        attempt: Duration::from_millis(300),
        ..Patience::default()
    })
    .await
}

fn is_told<T: std::fmt::Debug>(answer: Result<T>, action: &str, resource: &str) {
    let error = answer.expect_err("garbage was taken for an answer");
    let told = error.action.contains(action) && error.resource.contains(resource);
    assert!(told && !error.message.is_empty(), "{error:?}");
}

#[tokio::test]
async fn an_answer_to_a_read_that_is_none_is_an_error_and_never_an_empty_inventory() {
    for answer in garbage() {
        let cloud = cloud().await;
        cloud
            .answers("GET", format!("{GLOBAL}/firewalls"), answer, 1000)
            .await;
        is_told(cloud.gce.inspect(CLUSTER).await, "list", "firewalls");
    }
}

#[tokio::test]
async fn an_answer_to_a_change_that_is_none_is_an_error() {
    for answer in garbage() {
        let cloud = cloud().await;
        cloud
            .answers("POST", format!("{REGION}/addresses"), answer, 1000)
            .await;
        let spec = AddressSpec {
            cluster: CLUSTER.into(),
            name: "kubernetes-master-ip".into(),
            reach: hakube_provider::Reach::Anywhere,
        };
        is_told(
            cloud.gce.ensure_address(&spec).await,
            "reserve",
            "kubernetes-master-ip",
        );
    }
}
