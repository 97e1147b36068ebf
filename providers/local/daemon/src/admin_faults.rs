//! The admin API for fault rules and the request log.

use axum::body::Bytes;
use axum::extract::{Query, State as Shared};
use axum::routing::get;
use axum::{Json, Router};
use hakube_local_client::{FaultReports, FaultRule, LoggedRequests};
use hakube_local_compute::Cloud;
use hakube_local_resources::ApiError;
use serde::Deserialize;

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

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    after: u64,
}

async fn report(Shared(cloud): Shared<Cloud>) -> Json<FaultReports> {
    Json(FaultReports {
        rules: cloud.faults().report(),
    })
}

async fn set(Shared(cloud): Shared<Cloud>, body: Bytes) -> Result<Json<FaultReports>, ApiError> {
    let Rules { rules } = serde_json::from_slice(&body)
        .map_err(|error| ApiError::refused(format!("Invalid fault rules: {error}")))?;
    cloud.faults().set(rules).map_err(ApiError::refused)?;
    Ok(report(Shared(cloud)).await)
}

async fn clear(Shared(cloud): Shared<Cloud>) -> Result<Json<FaultReports>, ApiError> {
    cloud.faults().set(Vec::new()).map_err(ApiError::refused)?;
    Ok(report(Shared(cloud)).await)
}

async fn requests(Shared(cloud): Shared<Cloud>, Query(page): Query<Page>) -> Json<LoggedRequests> {
    Json(LoggedRequests {
        requests: cloud.faults().requests(page.after),
    })
}
