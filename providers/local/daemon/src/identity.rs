//! The route at which a cloud proves its identity.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use hakube_local_client::identity::{PATH, Proof};
use serde::Deserialize;

/// The cloud's ID and its token.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The cloud's ID, created with its home.
    pub id: String,
    pub token: String,
}

#[derive(Deserialize)]
struct Asked {
    challenge: String,
}

/// The route, which needs no token.
pub fn routes(identity: Identity) -> Router {
    Router::new()
        .route(&format!("/local/v1{PATH}"), get(prove))
        .with_state(Arc::new(identity))
}

async fn prove(State(own): State<Arc<Identity>>, Query(asked): Query<Asked>) -> Json<Proof> {
    Json(Proof::of(&own.token, &own.id, &asked.challenge))
}
