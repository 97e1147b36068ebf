//! The admin API: what Compute Engine has no call for.

use std::collections::HashMap;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State as Shared};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::{FileContent, MachineSummary};
use crate::cloud::Cloud;
use crate::compute::error::ApiError;
use crate::compute::instance::Instance;
use crate::compute::quota::{self, Limits};
use crate::compute::scope::Key;
use crate::crowd;
use crate::machine::{Guest, GuestError};

/// Large enough for any program that is put on a machine.
const LARGEST_FILE: usize = 512 * 1024 * 1024;

/// Everything below `/local/v1`.
pub fn routes() -> Router<Cloud> {
    let machine = "/local/v1/machines/{zone}/{name}";
    Router::new()
        .route("/local/v1/status", get(status))
        .route("/local/v1/machines", get(machines))
        .route("/local/v1/quotas", get(quotas).put(set_quotas))
        .route(
            &format!("{machine}/file"),
            get(read_file)
                .put(put_file)
                .layer(DefaultBodyLimit::max(LARGEST_FILE)),
        )
        .route(&format!("{machine}/kill"), post(kill))
        .route(&format!("{machine}/pause"), post(pause))
        .route(&format!("{machine}/resume"), post(resume))
        .route(&format!("{machine}/logs"), get(logs))
        .route("/local/v1/crowd", post(crowd::gather))
        .route("/local/v1/stop", post(stop))
}

async fn status(Shared(cloud): Shared<Cloud>) -> Json<Value> {
    let machines = cloud.store().read(|state| state.instances.len());
    Json(json!({
        "pid": std::process::id(),
        "url": cloud.url(),
        "project": cloud.project(),
        "machines": machines,
        "time_scale": cloud.time_scale(),
    }))
}

/// The limits that were set; all others are as high as anybody could want.
async fn quotas(Shared(cloud): Shared<Cloud>) -> Json<Limits> {
    Json(cloud.store().read(|state| state.quotas.clone()))
}

async fn set_quotas(
    Shared(cloud): Shared<Cloud>,
    content: Bytes,
) -> Result<Json<Limits>, ApiError> {
    let limits: Limits = serde_json::from_slice(&content)
        .map_err(|error| ApiError::refused(format!("These are no quotas: {error}")))?;
    quota::check_limits(&limits)?;
    let set = cloud.store().transact(|state| {
        state.quotas.clone_from(&limits);
        Ok(())
    });
    set.await?;
    Ok(Json(limits))
}

async fn machines(Shared(cloud): Shared<Cloud>) -> Json<Vec<MachineSummary>> {
    let mut summaries: Vec<(Key, MachineSummary)> = cloud.store().read(|state| {
        let instances = state.instances.iter();
        let summaries = instances.map(|(key, instance)| {
            let status = serde_json::to_value(instance.status);
            let status = status
                .ok()
                .and_then(|status| status.as_str().map(str::to_owned));
            let summary = MachineSummary {
                name: key.name.clone(),
                zone: key
                    .scope
                    .to_string()
                    .trim_start_matches("zones/")
                    .to_owned(),
                status: status.unwrap_or_default(),
                internal: instance.internal_ip(),
                external: instance.external_ip(),
                units: Vec::new(),
            };
            (key.clone(), summary)
        });
        summaries.collect()
    });
    for (key, summary) in &mut summaries {
        // A machine that is off or paused has no units to tell of.
        summary.units = cloud.guest(key).units().await.unwrap_or_default();
    }
    Json(summaries.into_iter().map(|(_, summary)| summary).collect())
}

/// The machine that a path names.
fn machine(cloud: &Cloud, path: &HashMap<String, String>) -> Result<(Key, Guest), ApiError> {
    let part = |name: &str| path.get(name).map_or("", String::as_str);
    let key = Key::zonal(part("zone"), part("name"));
    cloud
        .store()
        .read(|state| state.get::<Instance>(&key).map(|_| ()))?;
    let guest = cloud.guest(&key);
    Ok((key, guest))
}

#[derive(Deserialize)]
struct FileQuery {
    path: String,
    mode: String,
}

async fn put_file(
    Shared(cloud): Shared<Cloud>,
    Path(path): Path<HashMap<String, String>>,
    Query(file): Query<FileQuery>,
    content: Bytes,
) -> Result<(), ApiError> {
    let (_, guest) = machine(&cloud, &path)?;
    let mode = u32::from_str_radix(&file.mode, 8)
        .ok()
        .filter(|mode| *mode <= 0o7777)
        .ok_or_else(|| ApiError::invalid("mode", &file.mode, "Must be octal, like 600."))?;
    guest
        .put_file(&file.path, mode, &content)
        .await
        .map_err(|error| failed(&error))
}

#[derive(Deserialize)]
struct PathQuery {
    path: String,
}

async fn read_file(
    Shared(cloud): Shared<Cloud>,
    Path(path): Path<HashMap<String, String>>,
    Query(file): Query<PathQuery>,
) -> Result<Json<FileContent>, ApiError> {
    let (_, guest) = machine(&cloud, &path)?;
    let found = guest
        .read_file(&file.path)
        .await
        .map_err(|error| failed(&error))?;
    Ok(Json(FileContent::of(found.as_deref())))
}

async fn kill(
    Shared(cloud): Shared<Cloud>,
    Path(path): Path<HashMap<String, String>>,
) -> Result<(), ApiError> {
    let (key, _) = machine(&cloud, &path)?;
    cloud.guests().kill(&key).await?;
    cloud.terminated(&key, "The machine was killed.").await;
    Ok(())
}

async fn pause(
    Shared(cloud): Shared<Cloud>,
    Path(path): Path<HashMap<String, String>>,
) -> Result<(), ApiError> {
    let (_, guest) = machine(&cloud, &path)?;
    guest.pause().await.map_err(|error| failed(&error))
}

async fn resume(
    Shared(cloud): Shared<Cloud>,
    Path(path): Path<HashMap<String, String>>,
) -> Result<(), ApiError> {
    let (_, guest) = machine(&cloud, &path)?;
    guest.resume().await.map_err(|error| failed(&error))
}

#[derive(Deserialize)]
struct LogQuery {
    unit: Option<String>,
}

async fn logs(
    Shared(cloud): Shared<Cloud>,
    Path(path): Path<HashMap<String, String>>,
    Query(query): Query<LogQuery>,
) -> Result<Vec<u8>, ApiError> {
    let (key, guest) = machine(&cloud, &path)?;
    let file = match query.unit.as_deref().filter(|unit| !unit.is_empty()) {
        None => guest.console(),
        Some(unit) if unit.contains(['/', '\0']) => {
            return Err(ApiError::invalid(
                "unit",
                unit,
                "Must be the name of a unit.",
            ));
        }
        Some(unit) => guest.unit_log(unit),
    };
    tokio::fs::read(&file)
        .await
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                let unit = query.unit.unwrap_or_else(|| "console".into());
                ApiError::unknown(format!("The machine {} has no log of {unit}.", key.name))
            }
            _ => ApiError::backend(format!("{}: {error}", file.display())),
        })
}

async fn stop(Shared(cloud): Shared<Cloud>) -> Json<Value> {
    cloud.stop();
    Json(json!({}))
}

fn failed(error: &GuestError) -> ApiError {
    match error {
        GuestError::NotRunning { .. } | GuestError::Paused { .. } => {
            ApiError::conflict(error.to_string())
        }
        GuestError::Refused { .. } => ApiError::refused(error.to_string()),
        _ => ApiError::backend(error.to_string()),
    }
}
