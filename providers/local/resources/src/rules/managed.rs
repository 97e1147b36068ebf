//! What all resources have in common: how they are shown, created and deleted.

use serde_json::{Map, Value};

use crate::base::{ApiError, Key, Phase, Target, limits};
use crate::rules::defaults;
use crate::state::{State, Stored};

/// A resource that can be read and listed.
pub trait Seen: Stored {
    /// Adds fields that are computed from other resources (`users`, `size`) instead of stored.
    fn complete(&self, _state: &State, _view: &mut Map<String, Value>) {}
}

/// A resource that clients create and delete.
pub trait Managed: Seen {
    /// Validates a body, fills in defaults, and reserves what it needs. Runs in a transaction: an error
    /// leaves `state` unchanged. `meta` is already set.
    fn prepare(&mut self, state: &mut State, key: &Key) -> Result<(), ApiError>;

    /// Rejects a deletion that isn't allowed even when the resource is unused.
    fn deletable(&self, _state: &State) -> Result<(), ApiError> {
        Ok(())
    }

    /// The path of a resource that uses this one and so prevents its deletion.
    fn user(&self, state: &State, key: &Key) -> Option<String>;
}

/// A resource as the API returns it.
pub fn view<R: Seen>(resource: &R, state: &State) -> Map<String, Value> {
    let Ok(Value::Object(mut view)) = serde_json::to_value(resource) else {
        return Map::new();
    };
    resource.complete(state, &mut view);
    defaults::add(R::TYPE, &mut view);
    view
}

/// Validates and stores a new resource, which isn't ready yet.
pub fn put_new<R: Managed>(state: &mut State, key: &Key, mut resource: R) -> Result<(), ApiError> {
    limits::name("resource.name", &key.name)?;
    if R::table(state).get(key).is_some() {
        return Err(ApiError::exists(&state.path_of::<R>(key)));
    }
    resource.meta_mut().name.clone_from(&key.name);
    resource.meta_mut().stamp(state, &Target::of::<R>(key));
    resource.prepare(state, key)?;
    R::table_mut(state).put(key.clone(), Phase::Creating, resource);
    Ok(())
}

/// Marks a resource as being deleted, unless it is in use or an operation works on it.
pub fn start_delete<R: Managed>(state: &mut State, key: &Key) -> Result<Target, ApiError> {
    let target = Target::of::<R>(key);
    let resource = state.ready::<R>(key)?;
    state.idle(&target)?;
    resource.deletable(state)?;
    if let Some(user) = resource.user(state, key) {
        let path = state.path(&target);
        return Err(ApiError::in_use(R::TYPE.noun(), &path, &user));
    }
    state.table_mut(R::TYPE).set_phase(key, Phase::Deleting);
    Ok(target)
}
