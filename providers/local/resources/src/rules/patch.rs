//! Patches: a body merged into a resource, guarded by a fingerprint if it has one.

use serde_json::{Map, Value};

use crate::base::{ApiError, Key, Resource};
use crate::rules::managed::Managed;
use crate::state::State;

/// A resource that can be patched.
pub trait Patchable: Managed {
    /// The fingerprint that a patch must repeat, which prevents lost updates.
    fn fingerprint(&self) -> Option<&str> {
        None
    }

    /// Validates what must hold after a patch as well as after an insert.
    fn recheck(&mut self, state: &State, key: &Key) -> Result<(), ApiError>;
}

/// Merges `body` into `before`. Fields that the server sets are kept.
pub fn merge<R: Resource>(before: &R, body: Map<String, Value>) -> Result<R, ApiError> {
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

/// Rejects a body with a stale fingerprint.
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
