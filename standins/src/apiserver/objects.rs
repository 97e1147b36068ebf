//! What each verb does.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use serde_json::{Map, Value, json};

use super::protobuf;
use super::request::{Call, Resource, Verb};
use super::status::{ApiError, ApiResult, deleted};
use super::store::{Store, revision};

/// How often a write without a version is retried after a conflict.
const MAX_TRIES: usize = 16;

/// Handles a request after authentication and authorization.
pub async fn answer(
    store: &Store,
    call: &Call,
    media_type: &str,
    body: &[u8],
) -> ApiResult<(StatusCode, Value)> {
    let answer = match call.verb {
        Verb::Get => get(store, call).await?,
        Verb::List => list(store, call).await?,
        Verb::Create => {
            let new = create(store, call, decode(media_type, body)?).await?;
            return Ok((StatusCode::CREATED, new));
        }
        Verb::Update => {
            let new = decode(media_type, body)?;
            modify(store, call, |current| *current = new.clone()).await?
        }
        Verb::Patch => {
            let patch = decode_patch(media_type, body)?;
            modify(store, call, |current| merge(current, &patch)).await?
        }
        Verb::Delete => delete(store, call).await?,
    };
    Ok((StatusCode::OK, answer))
}

fn decode(media_type: &str, body: &[u8]) -> ApiResult<Value> {
    let is_protobuf = media_type.starts_with(protobuf::MEDIA_TYPE);
    let object = if is_protobuf {
        protobuf::decode(body).map_err(ApiError::unsupported_media_type)?
    } else {
        serde_json::from_slice(body).map_err(|error| ApiError::bad_request(error.to_string()))?
    };
    if !object["metadata"].is_object() {
        return Err(ApiError::bad_request("an object needs metadata"));
    }
    Ok(object)
}

/// All patches are merged as JSON merge patches. The difference is in lists, and in fields that an earlier
/// server-side apply set: hakube's labels of nodes, and most of kubectl's patches, have neither.
fn decode_patch(media_type: &str, body: &[u8]) -> ApiResult<Value> {
    let (kind, _) = media_type.split_once(';').unwrap_or((media_type, ""));
    let is_merged = matches!(
        kind,
        "application/merge-patch+json"
            | "application/strategic-merge-patch+json"
            | "application/apply-patch+yaml"
    );
    if !is_merged {
        let message = format!("hakube's stand-in doesn't support patches of type {media_type:?}");
        return Err(ApiError::unsupported_media_type(message));
    }
    serde_json::from_slice(body).map_err(|error| ApiError::bad_request(error.to_string()))
}

/// RFC 7386, without the directives of strategic merge patches.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(target) = target.as_object_mut() else {
        return;
    };
    for (key, value) in patch {
        if value.is_null() {
            target.shift_remove(key);
        } else if !key.starts_with('$') {
            merge(target.entry(key.as_str()).or_insert(Value::Null), value);
        }
    }
}

async fn get(store: &Store, call: &Call) -> ApiResult<Value> {
    let object = store.get(&call.key(&call.name)).await?;
    object.ok_or_else(|| ApiError::not_found(call.resource, &call.name))
}

/// Everything at once, whatever `limit` the client sets.
async fn list(store: &Store, call: &Call) -> ApiResult<Value> {
    let (mut items, revision) = store.list(&call.key("")).await?;
    items.retain(|object| call.selects(object));
    Ok(json!({
        "kind": format!("{}List", call.resource.kind),
        "apiVersion": call.resource.api_version(),
        "metadata": {"resourceVersion": revision.to_string()},
        "items": items,
    }))
}

async fn create(store: &Store, call: &Call, mut new: Value) -> ApiResult<Value> {
    let metadata = &mut new["metadata"];
    let name = metadata["name"].as_str().unwrap_or_default().to_owned();
    if name.is_empty() || name.contains('/') {
        return Err(ApiError::bad_request(format!(
            "metadata.name: {name:?} can't be a name"
        )));
    }
    metadata["uid"] = uuid::Uuid::new_v4().to_string().into();
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
    metadata["creationTimestamp"] = now.to_string().into();
    if !call.namespace.is_empty() {
        metadata["namespace"] = call.namespace.as_str().into();
    }
    complete(call.resource, &mut new);
    if store.put(&call.key(&name), &mut new, 0).await? {
        Ok(new)
    } else {
        Err(ApiError::already_exists(call.resource, &name))
    }
}

/// Sets the object's type, and merges a secret's write-only `stringData` into its data.
fn complete(resource: &Resource, object: &mut Value) {
    object["apiVersion"] = resource.api_version().into();
    object["kind"] = resource.kind.into();
    let Some(fields) = object.as_object_mut() else {
        return;
    };
    if let Some(Value::Object(plain)) = fields.shift_remove("stringData") {
        for (key, value) in plain {
            let encoded = STANDARD.encode(value.as_str().unwrap_or_default());
            object["data"][key] = encoded.into();
        }
    }
}

/// Reads and changes an object, and stores it if it didn't change in between; otherwise retries. The changed
/// object may have the version and UID that it expects to replace.
async fn modify(store: &Store, call: &Call, change: impl Fn(&mut Value)) -> ApiResult<Value> {
    for _ in 0..MAX_TRIES {
        let current = get(store, call).await?;
        let mut new = current.clone();
        change(&mut new);
        let (is, was) = (&mut new["metadata"], &current["metadata"]);
        for field in ["resourceVersion", "uid"] {
            if is[field]
                .as_str()
                .is_some_and(|expected| was[field] != expected)
            {
                return Err(ApiError::conflict(call.resource, &call.name));
            }
        }
        for field in [
            "name",
            "namespace",
            "uid",
            "creationTimestamp",
            "resourceVersion",
        ] {
            if !was[field].is_null() {
                is[field] = was[field].clone();
            }
        }
        complete(call.resource, &mut new);
        // As in Kubernetes, an unchanged object causes no revision.
        let key = call.key(&call.name);
        if new == current || store.put(&key, &mut new, revision(&current)).await? {
            return Ok(new);
        }
    }
    Err(ApiError::conflict(call.resource, &call.name))
}

async fn delete(store: &Store, call: &Call) -> ApiResult<Value> {
    for _ in 0..MAX_TRIES {
        let current = get(store, call).await?;
        let key = call.key(&call.name);
        if store.delete(&key, revision(&current)).await? {
            let uid = &current["metadata"]["uid"];
            return Ok(deleted(call.resource, &call.name, uid));
        }
    }
    Err(ApiError::conflict(call.resource, &call.name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::apiserver::request::RESOURCES;

    #[test]
    fn a_merge_follows_the_rfc_and_directives_leave_no_trace() {
        let mut target = json!({"a": {"b": 1, "c": 2}, "d": [1]});
        let patch = json!({"a": {"b": null, "e": {"f": null}, "$setElementOrder/d": []}, "d": [2]});
        merge(&mut target, &patch);
        assert_eq!(target, json!({"a": {"c": 2, "e": {}}, "d": [2]}));
    }

    #[test]
    fn string_data_is_folded_into_data() {
        let mut secret = json!({"metadata": {"name": "s"}, "stringData": {"k": "v"}});
        complete(&RESOURCES[1], &mut secret);
        assert_eq!(
            secret,
            json!({"metadata": {"name": "s"}, "apiVersion": "v1", "kind": "Secret", "data": {"k": "dg=="}})
        );
    }
}
