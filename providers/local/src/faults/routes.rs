//! The admin API of the rules and of the log.

use axum::body::Bytes;
use axum::extract::{Query, State as Shared};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::{FaultReport, FaultRule, LoggedRequest};
use crate::cloud::Cloud;
use crate::compute::error::ApiError;

/// `/local/v1/faults` and `/local/v1/requests`.
pub fn routes() -> Router<Cloud> {
    Router::new()
        .route("/local/v1/faults", get(report).put(set).delete(clear))
        .route("/local/v1/requests", get(requests))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    rules: Vec<FaultRule>,
}

#[derive(Serialize)]
struct Report {
    rules: Vec<FaultReport>,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    after: u64,
}

#[derive(Serialize)]
struct Requests {
    requests: Vec<LoggedRequest>,
}

async fn report(Shared(cloud): Shared<Cloud>) -> Json<Report> {
    Json(Report {
        rules: cloud.faults().report(),
    })
}

async fn set(Shared(cloud): Shared<Cloud>, body: Bytes) -> Result<Json<Report>, ApiError> {
    let Rules { rules } = serde_json::from_slice(&body)
        .map_err(|error| ApiError::refused(format!("These are no fault rules: {error}")))?;
    cloud.faults().set(rules).map_err(ApiError::refused)?;
    Ok(report(Shared(cloud)).await)
}

async fn clear(Shared(cloud): Shared<Cloud>) -> Result<Json<Report>, ApiError> {
    cloud.faults().set(Vec::new()).map_err(ApiError::refused)?;
    Ok(report(Shared(cloud)).await)
}

async fn requests(Shared(cloud): Shared<Cloud>, Query(page): Query<Page>) -> Json<Requests> {
    Json(Requests {
        requests: cloud.faults().requests(page.after),
    })
}
