//! Bootstrap tokens with an expiry: creates, lists and extends them.

use super::BootstrapToken;
use super::call::in_time;
use hakube_error::{Error, Result};
use hakube_model::TokenView;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::json;
use std::collections::BTreeMap;

const NAMESPACE: &str = "kube-system";
const TYPE: &str = "bootstrap.kubernetes.io/token";
/// The description that identifies hakube's tokens.
const DESCRIPTION: &str = "hakube: nodes join with it";
/// The prefix of the name of the token's template.
const TEMPLATE: &str = "template.hakube.io/";

/// The token's secret.
pub(super) fn secret(token: &BootstrapToken) -> Secret {
    let data = [
        ("token-id", token.id.clone()),
        ("token-secret", token.secret.expose().to_owned()),
        ("expiration", expiration(token.expires)),
        ("usage-bootstrap-authentication", "true".to_owned()),
        ("description", DESCRIPTION.to_owned()),
    ];
    Secret {
        metadata: kube::api::ObjectMeta {
            name: Some(name(&token.id)),
            namespace: Some(NAMESPACE.into()),
            annotations: Some(BTreeMap::from([(
                format!("{TEMPLATE}{}", token.template),
                String::new(),
            )])),
            ..Default::default()
        },
        type_: Some(TYPE.into()),
        string_data: Some(BTreeMap::from(
            data.map(|(key, value)| (key.to_owned(), value)),
        )),
        ..Secret::default()
    }
}

/// Lists hakube's tokens.
pub(super) async fn list(client: Client) -> Result<Vec<TokenView>> {
    let secrets: Api<Secret> = Api::namespaced(client, NAMESPACE);
    let of_type = ListParams::default().fields(&format!("type={TYPE}"));
    let list = in_time(async { secrets.list(&of_type).await }).await;
    let list = list.map_err(|error| {
        Error::failed("could not list the bootstrap tokens")
            .because(error)
            .transient()
    })?;
    Ok(list.items.into_iter().filter_map(view).collect())
}

/// Extends the token's expiry.
pub(super) async fn extend(client: Client, id: &str, until: Timestamp) -> Result<()> {
    let expiration = k8s_openapi::ByteString(expiration(until).into_bytes());
    let patch = json!({"data": {"expiration": expiration}});
    let secrets: Api<Secret> = Api::namespaced(client, NAMESPACE);
    let params = PatchParams::default();
    let changed = in_time(async {
        secrets
            .patch(&name(id), &params, &Patch::Merge(&patch))
            .await
            .map(drop)
    });
    changed.await.map_err(|error| {
        Error::failed(format!("could not change the bootstrap token {id}"))
            .because(error)
            .transient()
    })
}

fn view(secret: Secret) -> Option<TokenView> {
    let data = secret.data.unwrap_or_default();
    let field = |name: &str| {
        let value = data.get(name)?.0.clone();
        String::from_utf8(value).ok()
    };
    if field("description")? != DESCRIPTION {
        return None;
    }
    let annotations = secret.metadata.annotations.unwrap_or_default();
    Some(TokenView {
        id: field("token-id")?,
        templates: annotations
            .keys()
            .filter_map(|key| key.strip_prefix(TEMPLATE))
            .map(str::to_owned)
            .collect(),
        expires: field("expiration").and_then(|text| text.trim().parse().ok()),
    })
}

fn name(id: &str) -> String {
    format!("bootstrap-token-{id}")
}

fn expiration(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
