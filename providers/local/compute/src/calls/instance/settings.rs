//! Settings of an instance that can be changed, some only while it is stopped.

use axum::Router;
use axum::extract::Query;
use axum::routing::{patch, post};
use hakube_local_resources::rules::instance::{idle, machine_type};
use hakube_local_resources::rules::patch::check_fingerprint;
use hakube_local_resources::rules::service_account;
use hakube_local_resources::types::instance::Status;
use hakube_local_resources::types::{Instance, Metadata, Request, Tags, Work};
use hakube_local_resources::{ApiError, Key, State, fresh_fingerprint, limits};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::calls::crud::{self, Begun, begins};
use crate::cloud::Cloud;
use crate::place::Body;

/// `setMetadata`, `setTags` and the like.
pub fn routes() -> Router<Cloud> {
    let one = crud::one::<Instance>();
    let at = |method: &str| format!("{one}/{method}");
    Router::new()
        .route(&at("setMetadata"), post(begins(set_metadata)))
        .route(&at("setTags"), post(begins(set_tags)))
        .route(&at("setMachineType"), post(begins(set_machine_type)))
        .route(&at("setServiceAccount"), post(begins(set_service_account)))
        .route(&at("setMinCpuPlatform"), post(begins(set_min_cpu_platform)))
        .route(&at("setScheduling"), post(begins(set_scheduling)))
        .route(&at("setDeletionProtection"), post(begins(set_protection)))
        .route(
            &at("updateShieldedInstanceConfig"),
            patch(begins(update_shielded)),
        )
}

fn set_metadata(state: &mut State, key: &Key, Body(body): Body<Map<String, Value>>) -> Begun {
    let instance = state.ready_mut::<Instance>(key)?;
    check_fingerprint(&body, "fingerprint", &instance.metadata.fingerprint)?;
    instance.metadata = Metadata::checked(body)?;
    Ok(Request::update::<Instance>("setMetadata", key))
}

fn set_tags(state: &mut State, key: &Key, Body(body): Body<Map<String, Value>>) -> Begun {
    let instance = state.ready_mut::<Instance>(key)?;
    check_fingerprint(&body, "fingerprint", &instance.tags.fingerprint)?;
    let mut tags: Tags = serde_json::from_value(Value::Object(body))
        .map_err(|error| ApiError::invalid("tags", "", error))?;
    for tag in &tags.items {
        limits::name("tags.items", tag)?;
    }
    tags.fingerprint = fresh_fingerprint();
    instance.tags = tags;
    Ok(Request::update::<Instance>("setTags", key))
}

/// Rejects a change that a running instance doesn't allow.
fn stopped(instance: &Instance, what: &str) -> Result<(), ApiError> {
    if instance.status == Status::Terminated {
        return Ok(());
    }
    Err(ApiError::refused(format!(
        "{what} cannot be changed while the instance is running. Stop the instance first."
    )))
}

fn set_machine_type(state: &mut State, key: &Key, Body(body): Body<Map<String, Value>>) -> Begun {
    let wanted = body.get("machineType").and_then(Value::as_str);
    let wanted = machine_type(state, &key.scope, wanted.unwrap_or_default())?;
    let (target, instance) = idle(state, key)?;
    stopped(instance, "The machine type")?;
    instance.machine_type = wanted;
    Ok(Request::new("setMachineType", target, Work::Update))
}

fn set_service_account(
    state: &mut State,
    key: &Key,
    Body(account): Body<Map<String, Value>>,
) -> Begun {
    let (target, instance) = idle(state, key)?;
    stopped(instance, "The service account")?;
    let has_one = account.get("email").and_then(Value::as_str) != Some("");
    if has_one {
        let accounts = service_account::checked("serviceAccount", json!([account]))?;
        instance
            .rest
            .insert("serviceAccounts".into(), accounts.into());
    } else {
        instance.rest.remove("serviceAccounts");
    }
    Ok(Request::new("setServiceAccount", target, Work::Update))
}

fn set_min_cpu_platform(
    state: &mut State,
    key: &Key,
    Body(mut body): Body<Map<String, Value>>,
) -> Begun {
    let (target, instance) = idle(state, key)?;
    stopped(instance, "The minimum CPU platform")?;
    let wanted = body.remove("minCpuPlatform").unwrap_or_else(|| "".into());
    instance.rest.insert("minCpuPlatform".into(), wanted);
    Ok(Request::new("setMinCpuPlatform", target, Work::Update))
}

fn set_scheduling(state: &mut State, key: &Key, Body(body): Body<Map<String, Value>>) -> Begun {
    let (target, instance) = idle(state, key)?;
    let kept = instance.rest.entry("scheduling").or_insert(json!({}));
    if let Some(kept) = kept.as_object_mut() {
        kept.extend(body);
    }
    Ok(Request::new("setScheduling", target, Work::Update))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Protection {
    #[serde(default = "protected")]
    deletion_protection: String,
}

fn protected() -> String {
    "true".into()
}

fn set_protection(state: &mut State, key: &Key, Query(wanted): Query<Protection>) -> Begun {
    let (target, instance) = idle(state, key)?;
    // gcloud writes it as Python does.
    let wanted = wanted.deletion_protection.eq_ignore_ascii_case("true");
    let rest = &mut instance.rest;
    rest.insert("deletionProtection".into(), wanted.into());
    Ok(Request::new("setDeletionProtection", target, Work::Update))
}

fn update_shielded(state: &mut State, key: &Key, Body(body): Body<Map<String, Value>>) -> Begun {
    let (target, instance) = idle(state, key)?;
    stopped(instance, "The shielded VM configuration")?;
    let kept = instance.rest.entry("shieldedInstanceConfig");
    if let Some(kept) = kept.or_insert(json!({})).as_object_mut() {
        kept.extend(body);
    }
    Ok(Request::new(
        "updateShieldedInstanceConfig",
        target,
        Work::Update,
    ))
}
