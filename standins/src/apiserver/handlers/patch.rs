//! PATCH: merge patches, strategic merge patches, and server-side apply in its simplest form.

use hyper::StatusCode;
use serde_json::{Map, Value};

use super::{Call, strategic, write};
use crate::apiserver::body;
use crate::apiserver::object;
use crate::apiserver::status::{ApiError, ApiResult};

/// Patches an object; apply also creates it.
pub(super) async fn patch(
    call: &Call<'_>,
    media_type: &str,
    content: &[u8],
) -> ApiResult<(StatusCode, Value)> {
    let merge: fn(&mut Value, &Value) = match media_type {
        "application/merge-patch+json" => merge_patch,
        "application/strategic-merge-patch+json" => strategic::merge,
        // Without field ownership: what is applied wins, and what an earlier apply no longer mentions
        // stays. Enough for objects that one program owns.
        "application/apply-patch+yaml" => strategic::merge,
        other => return Err(ApiError::unsupported_media_type(other)),
    };
    let patch = body::decode(media_type, content)?;
    if !patch.is_object() {
        return Err(ApiError::bad_request("the patch must be an object"));
    }
    let patched = write::modify(call, |current| {
        let mut new = current.clone();
        merge(&mut new, &patch);
        Ok(new)
    })
    .await;
    let applying = media_type == "application/apply-patch+yaml";
    match patched {
        Err(error) if error.code == StatusCode::NOT_FOUND && applying && !call.about_status() => {
            let mut new = patch;
            object::conform(call.resource, &call.info.namespace, &mut new)?;
            new["metadata"]["name"] = call.info.name.as_str().into();
            Ok((StatusCode::CREATED, write::create(call, new).await?))
        }
        patched => Ok((StatusCode::OK, patched?)),
    }
}

/// RFC 7386.
pub(super) fn merge_patch(target: &mut Value, patch: &Value) {
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
        } else {
            merge_patch(target.entry(key.as_str()).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn merge_patch_follows_the_rfc() {
        let mut target = json!({"a": {"b": 1, "c": 2}, "d": [1]});
        merge_patch(
            &mut target,
            &json!({"a": {"b": null, "e": {"f": null}}, "d": [2]}),
        );
        assert_eq!(target, json!({"a": {"c": 2, "e": {}}, "d": [2]}));
    }
}
