//! Guest attributes: what a machine publishes to clients that may read its instance.

use axum::extract::{Query, State as Shared};
use axum::routing::get;
use axum::{Json, Router};
use hakube_local_resources::ApiError;
use hakube_local_resources::types::Instance;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::calls::crud::{self, Answer};
use crate::cloud::Cloud;
use crate::place::Place;

/// `getGuestAttributes`.
pub fn routes() -> Router<Cloud> {
    let path = format!("{}/getGuestAttributes", crud::one::<Instance>());
    Router::new().route(&path, get(get_attributes))
}

/// The parameters of `getGuestAttributes`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Asked {
    query_path: Option<String>,
    variable_key: Option<String>,
}

/// `getGuestAttributes`: a namespace (`hostkeys/`), one key (`hostkeys/ssh-ed25519`), or everything. The
/// error texts are Compute Engine's, as gcloud shows them.
async fn get_attributes(
    Shared(cloud): Shared<Cloud>,
    place: Place,
    Query(asked): Query<Asked>,
) -> Answer {
    let key = place.key()?;
    let (link, enabled) = cloud.store().read(|state| {
        let instance = state.get::<Instance>(&key)?;
        Ok::<_, ApiError>((
            instance.meta.self_link.clone(),
            instance.has_guest_attributes(state),
        ))
    })?;
    if !enabled {
        return Err(ApiError::precondition(
            "Guest attributes endpoint access is disabled.",
        ));
    }
    let path = asked.query_path.unwrap_or_default();
    let (namespace, name) = path.split_once('/').unwrap_or((&path, ""));
    let attributes = cloud.guest(&key).guest_attributes().await;
    let attributes = attributes.map_err(|error| ApiError::backend(error.to_string()))?;
    let items: Vec<Value> = attributes
        .iter()
        .filter(|(known, _)| namespace.is_empty() || *known == namespace)
        .flat_map(|(namespace, values)| {
            values
                .iter()
                .map(move |(key, value)| (namespace, key, value))
        })
        .filter(|(_, key, _)| name.is_empty() || *key == name)
        .map(|(namespace, key, value)| json!({"namespace": namespace, "key": key, "value": value}))
        .collect();
    let variable = asked.variable_key.and_then(|key| {
        let (namespace, name) = key.split_once('/')?;
        let value = attributes.get(namespace)?.get(name)?.clone();
        Some((key, value))
    });
    if items.is_empty() && variable.is_none() {
        return Err(ApiError::unknown(format!(
            "The resource '{path}' of type 'Guest Attribute' was not found."
        )));
    }
    let mut answer = json!({
        "kind": "compute#guestAttributes",
        "selfLink": format!("{link}/getGuestAttributes"),
        "queryPath": path,
        "queryValue": {"items": items},
    });
    if let Some((key, value)) = variable {
        answer["variableKey"] = key.into();
        answer["variableValue"] = value.into();
    }
    Ok(Json(answer))
}
