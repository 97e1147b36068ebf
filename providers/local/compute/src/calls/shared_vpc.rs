//! Shared VPC: networks of another project, the host, that the cloud's own project may use.

use axum::extract::State as Shared;
use axum::routing::{get, post};
use axum::{Json, Router};
use hakube_local_resources::rules::managed::view;
use hakube_local_resources::types::{Instance, Project, Request, Work};
use hakube_local_resources::{ApiError, Key, State, Target, link};
use serde::Deserialize;
use serde_json::{Map, json};

use crate::calls::crud::{Answer, Begun, begins};
use crate::cloud::Cloud;
use crate::place::{Body, Place};

const HOST: &str = "HOST";

/// The Shared VPC methods of `projects`.
pub fn routes() -> Router<Cloud> {
    let at = |method: &str| format!("/compute/v1/projects/{{project}}/{method}");
    Router::new()
        .route(&at("getXpnHost"), get(get_host))
        .route(&at("getXpnResources"), get(get_resources))
        .route(&at("enableXpnHost"), post(begins(enable_host)))
        .route(&at("disableXpnHost"), post(begins(disable_host)))
        .route(&at("enableXpnResource"), post(begins(enable_resource)))
        .route(&at("disableXpnResource"), post(begins(disable_resource)))
}

/// The host of a project. A project without one gets a project without a name.
async fn get_host(Shared(cloud): Shared<Cloud>, place: Place) -> Answer {
    cloud.store().read(|state| {
        let host = state.shared_vpc.as_deref();
        let Some(host) = host.filter(|_| place.project.is_none()) else {
            return Ok(Json(json!({"kind": "compute#project"})));
        };
        let host = state.get::<Project>(&state.project_key(Some(host)))?;
        Ok(Json(view(host, state).into()))
    })
}

/// The projects that may use a host's networks.
async fn get_resources(Shared(cloud): Shared<Cloud>, place: Place) -> Answer {
    cloud.store().read(|state| {
        let mut answer = Map::new();
        answer.insert("kind".into(), "compute#projectsGetXpnResources".into());
        if place.project.is_some() && state.shared_vpc == place.project {
            let own = json!([{"id": state.project, "type": "PROJECT"}]);
            answer.insert("resources".into(), own);
        }
        Ok(Json(answer.into()))
    })
}

/// The host project in a path. It can't be the cloud's own, the only project with machines.
fn host<'a>(state: &'a mut State, key: &Key) -> Result<(&'a mut Project, Target), ApiError> {
    if key.project.is_none() {
        let what = "sharing the networks of the project that machines are in";
        return Err(ApiError::not_emulated(what));
    }
    let key = state.project_key(key.project.as_deref());
    let target = Target::of::<Project>(&key);
    Ok((state.ready_mut::<Project>(&key)?, target))
}

fn enable_host(state: &mut State, key: &Key, (): ()) -> Begun {
    let (project, target) = host(state, key)?;
    project.xpn_project_status = Some(HOST.to_owned());
    Ok(Request::new("enableXpnHost", target, Work::Update))
}

fn disable_host(state: &mut State, key: &Key, (): ()) -> Begun {
    if state.shared_vpc.is_some() && state.shared_vpc == key.project {
        let path = format!("projects/{}", state.project_of(key));
        let user = format!("projects/{}", state.project);
        return Err(ApiError::in_use("project", &path, &user));
    }
    let (project, target) = host(state, key)?;
    project.xpn_project_status = None;
    Ok(Request::new("disableXpnHost", target, Work::Update))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Association {
    xpn_resource: ResourceId,
}

#[derive(Deserialize)]
struct ResourceId {
    id: String,
    #[serde(rename = "type")]
    kind: String,
}

/// Checks that the service project is the cloud's own.
fn check_own(state: &State, Body(wanted): Body<Association>) -> Result<(), ApiError> {
    let ResourceId { id, kind } = wanted.xpn_resource;
    if kind != "PROJECT" {
        let why = "Must be PROJECT.";
        return Err(ApiError::invalid("xpnResource.type", kind, why));
    }
    match state.project_called(&id)? {
        None => Ok(()),
        Some(_) => Err(ApiError::not_emulated(
            "service projects other than the one that machines are in",
        )),
    }
}

fn enable_resource(state: &mut State, key: &Key, body: Body<Association>) -> Begun {
    check_own(state, body)?;
    let other = state
        .shared_vpc
        .clone()
        .filter(|_| state.shared_vpc != key.project);
    let (project, target) = host(state, key)?;
    if project.xpn_project_status.as_deref() != Some(HOST) {
        let why = "The project is not enabled as a shared VPC host project.";
        return Err(ApiError::invalid("project", &project.meta.name, why));
    }
    if let Some(other) = other {
        let why = "The resource is associated with another host project.";
        return Err(ApiError::invalid("xpnResource.id", other, why));
    }
    state.shared_vpc.clone_from(&key.project);
    Ok(Request::new("enableXpnResource", target, Work::Update))
}

fn disable_resource(state: &mut State, key: &Key, body: Body<Association>) -> Begun {
    check_own(state, body)?;
    let (project, target) = host(state, key)?;
    let name = project.meta.name.clone();
    let user = state.path_where::<Instance>(|instance| {
        let mut nics = instance.network_interfaces.iter();
        nics.any(|nic| link::project(&nic.network) == Some(&name))
    });
    if let Some(user) = user {
        return Err(ApiError::in_use(
            "project",
            &format!("projects/{name}"),
            &user,
        ));
    }
    if state.shared_vpc == key.project {
        state.shared_vpc = None;
    }
    Ok(Request::new("disableXpnResource", target, Work::Update))
}
