//! The project: its quotas, and the metadata that all of its instances can read.

use axum::extract::State as Shared;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::catalog;
use super::crud::{self, Answer, Begun, begins};
use super::instance::Metadata;
use super::patch::check_fingerprint;
use super::place::{Body, Place};
use super::quota;
use super::resource::{Meta, Resource as _, Target, fresh_fingerprint, resource};
use super::scope::{Key, Scope};
use crate::cloud::Cloud;
use crate::operation::{Request, Work};
use crate::store::{Phase, State};

/// The one project.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Project {
    #[serde(flatten)]
    pub(crate) meta: Meta,
    /// What every instance can read.
    pub common_instance_metadata: Metadata,
}

resource!(Project, projects, complete = as_seen);

fn as_seen(_: &Project, state: &State, view: &mut Map<String, Value>) {
    view.insert("defaultNetworkTier".into(), "PREMIUM".into());
    let account = catalog::DEFAULT_SERVICE_ACCOUNT;
    view.insert("defaultServiceAccount".into(), account.into());
    view.insert("quotas".into(), quota::view(state, &Scope::Global));
}

fn key_of(state: &State) -> Key {
    Key::new(Scope::Global, state.project.as_str())
}

/// The project's metadata; none before it is put in a new state.
pub fn metadata(state: &State) -> Option<&Metadata> {
    let project = state.projects.get(&key_of(state))?;
    Some(&project.resource.common_instance_metadata)
}

/// Puts the project in a state that has none.
pub fn put(state: &mut State) {
    let key = key_of(state);
    if state.projects.get(&key).is_some() {
        return;
    }
    let mut meta = Meta {
        name: key.name.clone(),
        ..Meta::default()
    };
    meta.stamp(state, &Target::of::<Project>(&key));
    meta.id = catalog::project_number(state);
    let project = Project {
        meta,
        common_instance_metadata: Metadata {
            fingerprint: fresh_fingerprint(),
            items: Vec::new(),
        },
    };
    Project::table_mut(state).put(key, Phase::Ready, project);
}

/// The project, and `setCommonInstanceMetadata`.
pub fn routes() -> Router<Cloud> {
    const PROJECT: &str = "/compute/v1/projects/{project}";
    Router::new().route(PROJECT, get(get_project)).route(
        &format!("{PROJECT}/setCommonInstanceMetadata"),
        post(begins(set_metadata)),
    )
}

async fn get_project(Shared(cloud): Shared<Cloud>, _: Place) -> Answer {
    cloud.store().read(|state| {
        let project = state.get::<Project>(&key_of(state))?;
        Ok(Json(crud::view(project, state).into()))
    })
}

fn set_metadata(state: &mut State, _: &Key, Body(body): Body<Map<String, Value>>) -> Begun {
    let key = key_of(state);
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
