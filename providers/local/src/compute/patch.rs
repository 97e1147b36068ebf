//! Patches: a body merged into a resource, guarded by a fingerprint where it has one.

use axum::Router;
use axum::extract::{Query, State as Shared};
use axum::http::Method;
use axum::routing::patch;
use serde_json::{Map, Value};

use super::crud::{self, Answer};
use super::error::ApiError;
use super::place::{Body, Place};
use super::resource::{Managed, Resource, Target};
use super::scope::Key;
use crate::cloud::Cloud;
use crate::operation::{Request, RequestId, Work};
use crate::store::State;

/// A resource that can be changed.
pub trait Patchable: Managed {
    /// What a patch must repeat, so that nobody overwrites what they haven't seen.
    fn fingerprint(&self) -> Option<&str> {
        None
    }

    /// What must hold after an insert as after a patch.
    fn recheck(&mut self, state: &State, key: &Key) -> Result<(), ApiError>;
}

/// Insert, list, get, delete, patch and update. An update, too, leaves alone what it doesn't name.
pub fn routes<R: Patchable>() -> Router<Cloud> {
    crud::collections::<R>().fold(crud::routes::<R>(), |router, many| {
        let one = format!("{many}/{{name}}");
        router.route(&one, patch(change::<R>).put(change::<R>))
    })
}

async fn change<R: Patchable>(
    Shared(cloud): Shared<Cloud>,
    place: Place,
    Query(id): Query<RequestId>,
    method: Method,
    Body(body): Body<Map<String, Value>>,
) -> Answer {
    let key = place.key()?;
    cloud
        .begin(id, &key, |state| {
            let before = state.ready::<R>(&key)?;
            if let Some(current) = before.fingerprint() {
                check_fingerprint(&body, "fingerprint", current)?;
            }
            let mut after = merge(before, body)?;
            after.recheck(state, &key)?;
            *state.ready_mut::<R>(&key)? = after;
            let verb = if method == Method::PUT {
                "update"
            } else {
                "patch"
            };
            Ok(Request::new(verb, Target::of::<R>(&key), Work::Update))
        })
        .await
}

/// `before`, with the fields of `body` in place of its own. What the server decides stays.
fn merge<R: Resource>(before: &R, body: Map<String, Value>) -> Result<R, ApiError> {
    let mut merged = match serde_json::to_value(before) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) => Map::new(),
        Err(error) => return Err(ApiError::backend(error.to_string())),
    };
    for (field, value) in body {
        if value.is_null() {
            merged.remove(&field);
        } else {
            merged.insert(field, value);
        }
    }
    let mut after: R = serde_json::from_value(Value::Object(merged)).map_err(|error| {
        ApiError::refused(format!("Invalid value for field 'resource': {error}"))
    })?;
    let description = after.meta_mut().description.take();
    *after.meta_mut() = before.meta().clone();
    after.meta_mut().description = description;
    Ok(after)
}

/// Refuses a body whose fingerprint isn't the one that the resource has now.
pub fn check_fingerprint(
    body: &Map<String, Value>,
    field: &str,
    current: &str,
) -> Result<(), ApiError> {
    if body.get(field).and_then(Value::as_str) == Some(current) {
        Ok(())
    } else {
        Err(ApiError::fingerprint())
    }
}
