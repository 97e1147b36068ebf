//! The admin API: everything that Compute Engine has no call for.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State as Shared};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use hakube_local_client::{DiskSpace, FileContent, MachineSummary};
use hakube_local_compute::Cloud;
use hakube_local_machine::{GuestError, Machine, NewFile};
use hakube_local_resources::rules::quota;
use hakube_local_resources::types::Instance;
use hakube_local_resources::{ApiError, Key, Limits};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::crowd;

/// The longest list of files, in bytes. A machine's init process accepts as much.
const LARGEST_FILES: usize = 64 << 20;

/// The routes below `/local/v1`.
pub fn routes() -> Router<Cloud> {
    let machine = "/local/v1/machines/{zone}/{name}";
    Router::new()
        .route("/local/v1/status", get(status))
        .route("/local/v1/machines", get(machines))
        .route("/local/v1/quotas", get(quotas).put(set_quotas))
        .route(
            &format!("{machine}/files"),
            put(put_files).layer(DefaultBodyLimit::max(LARGEST_FILES)),
        )
        .route(&format!("{machine}/file"), get(read_file))
        .route(&format!("{machine}/disk"), get(disk_space))
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

/// The limits that were set; everything else is effectively unlimited.
async fn quotas(Shared(cloud): Shared<Cloud>) -> Json<Limits> {
    Json(cloud.store().read(|state| state.quotas.clone()))
}

async fn set_quotas(
    Shared(cloud): Shared<Cloud>,
    content: Bytes,
) -> Result<Json<Limits>, ApiError> {
    let limits: Limits = serde_json::from_slice(&content)
        .map_err(|error| ApiError::refused(format!("Invalid quotas: {error}")))?;
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
        // A machine that is off or paused reports no units.
        summary.units = cloud.guest(key).units().await.unwrap_or_default();
    }
    Json(summaries.into_iter().map(|(_, summary)| summary).collect())
}

/// The machine that a path names.
fn machine(
    cloud: &Cloud,
    path: &HashMap<String, String>,
) -> Result<(Key, Arc<dyn Machine>), ApiError> {
    let part = |name: &str| path.get(name).map_or("", String::as_str);
    let key = Key::zonal(part("zone"), part("name"));
    cloud
        .store()
        .read(|state| state.get::<Instance>(&key).map(|_| ()))?;
    let guest = cloud.guest(&key);
    Ok((key, guest))
}

async fn put_files(
    Shared(cloud): Shared<Cloud>,
    Path(path): Path<HashMap<String, String>>,
    Json(files): Json<Vec<NewFile>>,
) -> Result<(), ApiError> {
    let (_, guest) = machine(&cloud, &path)?;
    guest.put_files(files).await.map_err(|error| failed(&error))
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

async fn disk_space(
    Shared(cloud): Shared<Cloud>,
    Path(path): Path<HashMap<String, String>>,
    Query(directory): Query<PathQuery>,
) -> Result<Json<Option<DiskSpace>>, ApiError> {
    let (_, guest) = machine(&cloud, &path)?;
    let space = guest.disk_space(&directory.path).await;
    space.map(Json).map_err(|error| failed(&error))
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
    let unit = query.unit.as_deref().filter(|unit| !unit.is_empty());
    if let Some(unit) = unit.filter(|unit| unit.contains(['/', '\0'])) {
        return Err(ApiError::invalid(
            "unit",
            unit,
            "Must be the name of a unit.",
        ));
    }
    let log = guest.log(unit).await.map_err(|error| failed(&error))?;
    log.ok_or_else(|| {
        let unit = unit.unwrap_or("console");
        ApiError::unknown(format!("The machine {} has no log of {unit}.", key.name))
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
