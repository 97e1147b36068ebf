//! Projects: their quotas, and the metadata shared by all instances of the cloud's own project.

use axum::extract::State as Shared;
use axum::routing::{get, post};
use axum::{Json, Router};
use hakube_local_resources::rules::managed::view;
use hakube_local_resources::rules::patch::check_fingerprint;
use hakube_local_resources::types::{Metadata, Project, Request, Work};
use hakube_local_resources::{Key, State, Target};
use serde_json::{Map, Value};

use crate::calls::crud::{Answer, Begun, begins};
use crate::cloud::Cloud;
use crate::place::{Body, Place};

/// The project, and `setCommonInstanceMetadata`.
pub fn routes() -> Router<Cloud> {
    const PROJECT: &str = "/compute/v1/projects/{project}";
    Router::new().route(PROJECT, get(get_project)).route(
        &format!("{PROJECT}/setCommonInstanceMetadata"),
        post(begins(set_metadata)),
    )
}

async fn get_project(Shared(cloud): Shared<Cloud>, place: Place) -> Answer {
    cloud.store().read(|state| {
        let project = state.get::<Project>(&state.project_key(place.project.as_deref()))?;
        Ok(Json(view(project, state).into()))
    })
}

fn set_metadata(state: &mut State, _: &Key, Body(body): Body<Map<String, Value>>) -> Begun {
    let key = state.project_key(None);
    let kept = &mut state.ready_mut::<Project>(&key)?.common_instance_metadata;
    check_fingerprint(&body, "fingerprint", &kept.fingerprint)?;
    *kept = Metadata::checked(body)?;
    let target = Target::of::<Project>(&key);
    Ok(Request::new(
        "compute.projects.setCommonInstanceMetadata",
        target,
        Work::Update,
    ))
}
