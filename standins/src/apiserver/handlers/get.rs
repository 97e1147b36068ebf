//! GET of one object.

use serde_json::Value;

use super::Call;
use crate::apiserver::status::{ApiError, ApiResult};

/// The object as it is now: linearizable, whatever `resourceVersion` would have been content with.
pub(super) async fn get(call: &Call<'_>) -> ApiResult<Value> {
    match call.store.get(&call.key(&call.info.name)).await? {
        Some(stored) => Ok(stored.object),
        None => Err(ApiError::not_found(call.resource, &call.info.name)),
    }
}
