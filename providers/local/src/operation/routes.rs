//! Get, list, wait and delete of operations, in all three scopes.

use std::time::Duration;

use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::Value;

use super::resource::{Operation, Status};
use crate::cloud::Cloud;
use crate::compute::crud::{self, Answer};
use crate::compute::error::ApiError;
use crate::compute::place::Place;
use crate::compute::resource::Type;

/// The routes of operations.
pub fn routes() -> Router<Cloud> {
    crud::collections::<Operation>().fold(crud::aggregated::<Operation>(), |router, many| {
        let one = format!("{many}/{{name}}");
        router
            .route(&many, get(crud::list_all::<Operation>))
            .route(&one, get(get_one).delete(delete))
            .route(&format!("{one}/wait"), post(wait))
    })
}

async fn get_one(Shared(cloud): Shared<Cloud>, place: Place) -> Answer {
    let key = place.key()?;
    cloud.store().flush().await?;
    cloud.store().read(|state| {
        let operation = state.get::<Operation>(&key)?;
        Ok(Json(Value::Object(crud::view(operation, state))))
    })
}

/// As long as Compute Engine holds such a request.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

async fn wait(Shared(cloud): Shared<Cloud>, place: Place) -> Answer {
    let key = place.key()?;
    cloud.wait_for_operation(&key, LONGEST_WAIT).await;
    get_one(Shared(cloud), place).await
}

async fn delete(Shared(cloud): Shared<Cloud>, place: Place) -> Result<StatusCode, ApiError> {
    let key = place.key()?;
    cloud
        .store()
        .transact(|state| {
            let operation = state.get::<Operation>(&key)?;
            if operation.status != Status::Done {
                return Err(ApiError::not_ready(&state.path_of::<Operation>(&key)));
            }
            state.table_mut(Type::Operation).remove(&key);
            Ok(())
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
