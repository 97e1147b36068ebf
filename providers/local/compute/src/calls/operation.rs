//! Get, list, wait and delete of operations, in all three scopes.

use std::time::Duration;

use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use hakube_local_resources::rules::managed::view;
use hakube_local_resources::types::Operation;
use hakube_local_resources::types::operation::Status;
use hakube_local_resources::{ApiError, Type};
use serde_json::Value;

use crate::calls::crud::{self, Answer};
use crate::cloud::Cloud;
use crate::place::Place;

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
        Ok(Json(Value::Object(view(operation, state))))
    })
}

/// Compute Engine's limit for such a request.
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
