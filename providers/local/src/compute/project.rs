//! Projects: their quotas, and the metadata that all instances of the cloud's own can read.

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

/// The cloud's own project, or one whose networks that may use.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Project {
    #[serde(flatten)]
    pub(crate) meta: Meta,
    /// What every instance can read.
    pub common_instance_metadata: Metadata,
    /// `HOST` where others may use its networks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xpn_project_status: Option<String>,
}

resource!(Project, projects, complete = as_seen);

fn as_seen(project: &Project, state: &State, view: &mut Map<String, Value>) {
    view.insert("defaultNetworkTier".into(), "PREMIUM".into());
    let account = catalog::DEFAULT_SERVICE_ACCOUNT;
    view.insert("defaultServiceAccount".into(), account.into());
    let quotas = match &project.meta.name {
        own if *own == state.project => quota::view(state, &Scope::Global),
        other => quota::view_of_other(state, other),
    };
    view.insert("quotas".into(), quotas);
}

/// The key of a project as a resource; of the cloud's own for `None`.
pub fn key_of(state: &State, project: Option<&str>) -> Key {
    Key::new(Scope::Global, project.unwrap_or(&state.project)).of(project)
}

/// The project's metadata; none before it is put in a new state.
pub fn metadata(state: &State) -> Option<&Metadata> {
    let project = state.projects.get(&key_of(state, None))?;
    Some(&project.resource.common_instance_metadata)
}

/// Puts a project in a state that hasn't got it; the cloud's own for `None`.
pub fn put(state: &mut State, project: Option<&str>) {
    let key = key_of(state, project);
    if state.projects.get(&key).is_some() {
        return;
    }
    let mut meta = Meta {
        name: key.name.clone(),
        ..Meta::default()
    };
    meta.stamp(state, &Target::of::<Project>(&key));
    meta.id = catalog::id_of(&key.name);
    let project = Project {
        meta,
        common_instance_metadata: Metadata {
            fingerprint: fresh_fingerprint(),
            items: Vec::new(),
        },
        xpn_project_status: None,
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

async fn get_project(Shared(cloud): Shared<Cloud>, place: Place) -> Answer {
    cloud.store().read(|state| {
        let project = state.get::<Project>(&key_of(state, place.project.as_deref()))?;
        Ok(Json(crud::view(project, state).into()))
    })
}

fn set_metadata(state: &mut State, _: &Key, Body(body): Body<Map<String, Value>>) -> Begun {
    let key = key_of(state, None);
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
