//! POST and PUT, and what PATCH shares with them.

use serde_json::Value;

use super::{Call, MAX_TRIES, contended, uid};
use crate::apiserver::authz;
use crate::apiserver::object;
use crate::apiserver::resources::NAMESPACES;
use crate::apiserver::status::{ApiError, ApiResult};
use crate::apiserver::storage::{self, Stored, Written};
use crate::apiserver::strategy;

/// Creates an object.
pub(super) async fn create(call: &Call<'_>, mut new: Value) -> ApiResult<Value> {
    object::conform(call.resource, &call.info.namespace, &mut new)?;
    if !object::metadata(&new, "resourceVersion").is_empty() {
        return Err(ApiError::bad_request(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    let generated = object::metadata(&new, "name").is_empty();
    for _ in 0..MAX_TRIES {
        let mut object = new.clone();
        object::initialise(&mut object);
        let name = object::metadata(&object, "name").to_owned();
        if name.is_empty() {
            return Err(ApiError::invalid(
                call.resource,
                "",
                &[(
                    "metadata.name".to_owned(),
                    "Required value: name or generateName is required".to_owned(),
                )],
            ));
        }
        strategy::prepare_create(call.resource, &mut object)?;
        authz::admit(call.user, &call.info, &name)?;
        let guard = namespace_guard(call, &name).await?;
        let guard = guard
            .as_ref()
            .map(|(key, revision)| (key.as_str(), *revision));
        let key = call.key(&name);
        if call.dry_run() {
            return match call.store.get(&key).await? {
                Some(_) => Err(ApiError::already_exists(call.resource, &name)),
                None => Ok(object),
            };
        }
        match call.store.create(&key, &object, guard).await? {
            Written::At(revision) => {
                storage::set_version(&mut object, revision);
                return Ok(object);
            }
            // Either the name is taken, or the namespace changed in between: look again.
            Written::Lost if !generated && call.store.get(&key).await?.is_some() => {
                return Err(ApiError::already_exists(call.resource, &name));
            }
            Written::Lost => {}
        }
    }
    Err(contended(call.resource, object::metadata(&new, "name")))
}

/// The namespace that an object is to live in must exist, and must stay as it is until the object is
/// stored: else something could slip into a namespace while it is being emptied.
async fn namespace_guard(call: &Call<'_>, name: &str) -> ApiResult<Option<(String, i64)>> {
    if !call.resource.namespaced {
        return Ok(None);
    }
    let namespace = &call.info.namespace;
    let key = call.store.key(&[NAMESPACES.plural, namespace]);
    let stored = call
        .store
        .get(&key)
        .await?
        .ok_or_else(|| ApiError::not_found(&NAMESPACES, namespace))?;
    if stored.object["status"]["phase"] == "Terminating" {
        let why = format!(
            "unable to create new content in namespace {namespace} because it is being terminated"
        );
        return Err(ApiError::forbidden_object(call.resource, name, &why));
    }
    Ok(Some((key, stored.revision)))
}

/// Replaces an object.
pub(super) async fn update(call: &Call<'_>, mut new: Value) -> ApiResult<Value> {
    object::conform(call.resource, &call.info.namespace, &mut new)?;
    let unversioned = object::metadata(&new, "resourceVersion").is_empty();
    if unversioned && call.resource.needs_version {
        return Err(ApiError::invalid(
            call.resource,
            &call.info.name,
            &[(
                "metadata.resourceVersion".to_owned(),
                "Invalid value: 0: must be specified for an update".to_owned(),
            )],
        ));
    }
    modify(call, |_| Ok(new.clone())).await
}

/// Reads, changes, and stores an object if it is still what was read; otherwise starts again. What
/// `change` returns may name the version and uid that it expects to replace.
pub(super) async fn modify(
    call: &Call<'_>,
    change: impl Fn(&Value) -> ApiResult<Value>,
) -> ApiResult<Value> {
    let (resource, name) = (call.resource, call.info.name.as_str());
    let key = call.key(name);
    for _ in 0..MAX_TRIES {
        let Some(current) = call.store.get(&key).await? else {
            return Err(ApiError::not_found(resource, name));
        };
        let mut new = change(&current.object)?;
        object::conform(resource, &call.info.namespace, &mut new)?;
        check_expectations(call, &new, &current)?;
        object::keep_identity(&mut new, &current.object);
        strategy::prepare_update(resource, &mut new, &current.object, call.about_status())?;
        storage::set_version(&mut new, current.revision);
        // Nothing changed: no revision, no event, as in Kubernetes.
        if new == current.object || call.dry_run() {
            return Ok(new);
        }
        let finished = object::is_terminating(&new) && !object::has_finalizers(&new);
        let written = if finished {
            call.store.delete(&key, current.revision).await?
        } else {
            call.store.replace(&key, &new, current.revision).await?
        };
        if let Written::At(revision) = written {
            storage::set_version(&mut new, revision);
            return Ok(new);
        }
    }
    Err(contended(resource, name))
}

fn check_expectations(call: &Call<'_>, new: &Value, current: &Stored) -> ApiResult<()> {
    let (resource, name) = (call.resource, call.info.name.as_str());
    let given = object::metadata(new, "name");
    if given != name {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({given}) does not match the name on the URL ({name})"
        )));
    }
    let expected = object::metadata(new, "resourceVersion");
    if !expected.is_empty() && expected != current.revision.to_string() {
        return Err(ApiError::conflict(resource, name));
    }
    check_uid(call, object::metadata(new, "uid"), &current.object)
}

/// An object that was deleted and made again is another object.
pub(super) fn check_uid(call: &Call<'_>, expected: &str, current: &Value) -> ApiResult<()> {
    if expected.is_empty() || uid(current) == expected {
        return Ok(());
    }
    let actual = uid(current).as_str().unwrap_or_default();
    Err(ApiError::conflict_because(
        call.resource,
        &call.info.name,
        &format!(
            "Precondition failed: UID in precondition: {expected}, UID in object meta: {actual}"
        ),
    ))
}
