//! DELETE of an object, of a collection, and of everything in a namespace.

use serde_json::{Value, json};

use super::{Call, MAX_TRIES, contended, list, uid, write};
use crate::apiserver::namespaces::IMMORTAL;
use crate::apiserver::object;
use crate::apiserver::resources::RESOURCES;
use crate::apiserver::status::{ApiError, ApiResult, deleted};
use crate::apiserver::storage::{self, Store, Stored, Written};

/// Deletes an object. `options` are `DeleteOptions`, or null.
pub(super) async fn delete(call: &Call<'_>, options: &Value) -> ApiResult<Value> {
    let (resource, name) = (call.resource, call.info.name.as_str());
    if resource.is_core("namespaces") && IMMORTAL.contains(&name) {
        return Err(ApiError::forbidden_object(
            resource,
            name,
            "this namespace may not be deleted",
        ));
    }
    let key = call.key(name);
    for _ in 0..MAX_TRIES {
        let Some(current) = call.store.get(&key).await? else {
            return Err(ApiError::not_found(resource, name));
        };
        check_preconditions(call, options, &current)?;
        let dry_run = call.dry_run()
            || options["dryRun"]
                .as_array()
                .is_some_and(|list| !list.is_empty());
        if dry_run {
            return Ok(deleted(resource, name, uid(&current.object)));
        }
        match remove(call, &current).await? {
            Removed::Gone => return Ok(deleted(resource, name, uid(&current.object))),
            Removed::Waiting(object) => return Ok(object),
            Removed::Lost => {}
        }
    }
    Err(contended(resource, name))
}

/// Deletes what a list with the same selectors would have returned, and returns it.
pub(super) async fn collection(call: &Call<'_>) -> ApiResult<Value> {
    let mut items = Vec::new();
    for stored in list::gather(call).await?.items {
        let name = object::metadata(&stored.object, "name").to_owned();
        if call.resource.is_core("namespaces") && IMMORTAL.contains(&name.as_str()) {
            return Err(ApiError::forbidden_object(
                call.resource,
                &name,
                "this namespace may not be deleted",
            ));
        }
        let mut current = Some(stored);
        while let Some(stored) = current.take() {
            if !call.dry_run() && matches!(remove(call, &stored).await?, Removed::Lost) {
                current = call.store.get(&stored.key).await?;
            } else {
                items.push(stored.object);
            }
        }
    }
    Ok(json!({
        "kind": format!("{}List", call.resource.kind),
        "apiVersion": call.resource.api_version(),
        "metadata": {},
        "items": items,
    }))
}

enum Removed {
    Gone,
    /// Marked; goes when the last finalizer does.
    Waiting(Value),
    /// Somebody changed it in between.
    Lost,
}

async fn remove(call: &Call<'_>, current: &Stored) -> ApiResult<Removed> {
    let store = call.store;
    if object::has_finalizers(&current.object) {
        if object::is_terminating(&current.object) {
            return Ok(Removed::Waiting(current.object.clone()));
        }
        return Ok(match mark(store, current, |_| ()).await? {
            Some(marked) => Removed::Waiting(marked.object),
            None => Removed::Lost,
        });
    }
    let revision = if call.resource.is_core("namespaces") {
        let Some(marked) = mark(store, current, |namespace| {
            namespace["status"]["phase"] = "Terminating".into();
        })
        .await?
        else {
            return Ok(Removed::Lost);
        };
        empty_namespace(store, object::metadata(&current.object, "name")).await?;
        marked.revision
    } else {
        current.revision
    };
    Ok(match store.delete(&current.key, revision).await? {
        Written::At(_) => Removed::Gone,
        Written::Lost => Removed::Lost,
    })
}

/// Marks an object as being deleted; `None` if it changed in between.
async fn mark(
    store: &Store,
    current: &Stored,
    also: impl Fn(&mut Value),
) -> ApiResult<Option<Stored>> {
    let mut marked = current.clone();
    marked.object["metadata"]["deletionTimestamp"] = object::now().into();
    also(&mut marked.object);
    Ok(
        match store
            .replace(&marked.key, &marked.object, current.revision)
            .await?
        {
            Written::At(revision) => {
                marked.revision = revision;
                storage::set_version(&mut marked.object, revision);
                Some(marked)
            }
            Written::Lost => None,
        },
    )
}

/// Deletes everything in a namespace that is already marked, so that nothing new can come. At once and
/// without asking finalizers, which in Kubernetes a controller would wait for.
async fn empty_namespace(store: &Store, namespace: &str) -> ApiResult<()> {
    for resource in RESOURCES.iter().filter(|resource| resource.namespaced) {
        let prefix = store.key(&[resource.plural, namespace]) + "/";
        loop {
            let page = store.list(&prefix, None, 500, 0).await?;
            if page.items.is_empty() {
                break;
            }
            for stored in page.items {
                // Lost: it changed, and comes again with the next page.
                store.delete(&stored.key, stored.revision).await?;
            }
        }
    }
    Ok(())
}

fn check_preconditions(call: &Call<'_>, options: &Value, current: &Stored) -> ApiResult<()> {
    let preconditions = &options["preconditions"];
    write::check_uid(
        call,
        preconditions["uid"].as_str().unwrap_or_default(),
        &current.object,
    )?;
    match preconditions["resourceVersion"].as_str() {
        Some(expected) if expected != current.revision.to_string() => {
            let why = format!(
                "Precondition failed: ResourceVersion in precondition: {expected}, ResourceVersion in object meta: {}",
                current.revision
            );
            Err(ApiError::conflict_because(
                call.resource,
                &call.info.name,
                &why,
            ))
        }
        _ => Ok(()),
    }
}
