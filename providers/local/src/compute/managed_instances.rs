//! What a managed group is told to do with the instances that it has: delete some, make some anew, make
//! the next ones of another template.

use std::collections::BTreeSet;

use axum::extract::State as Shared;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::crud::{self, Answer, Begun, begins};
use super::error::ApiError;
use super::instance::Instance;
use super::instance_group_manager::{InstanceGroupManager, remake, retire};
use super::instance_template::InstanceTemplate;
use super::link;
use super::place::{Body, Place};
use super::resource::Target;
use super::scope::Key;
use crate::cloud::Cloud;
use crate::operation::{Request, Work};
use crate::store::State;

/// `createInstances`, `deleteInstances`, `abandonInstances`, `recreateInstances`, `setInstanceTemplate`, `listErrors`.
pub fn routes() -> Router<Cloud> {
    let one = crud::one::<InstanceGroupManager>();
    let at = |method: &str| format!("{one}/{method}");
    Router::new()
        .route(&at("createInstances"), post(begins(create_instances)))
        .route(&at("deleteInstances"), post(begins(delete_instances)))
        .route(&at("abandonInstances"), post(begins(abandon_instances)))
        .route(&at("recreateInstances"), post(begins(recreate_instances)))
        .route(
            &at("setInstanceTemplate"),
            post(begins(set_instance_template)),
        )
        .route(&at("listErrors"), get(list_errors))
}

#[derive(Deserialize)]
struct Instances {
    #[serde(default)]
    instances: Vec<String>,
}

impl Instances {
    /// Their keys, if the manager has all of them and nothing else is being done to it.
    fn of(&self, state: &State, manager: &Key) -> Result<Vec<Key>, ApiError> {
        state.idle(&Target::of::<InstanceGroupManager>(manager))?;
        let members: Vec<Key> = state
            .ready::<InstanceGroupManager>(manager)?
            .member_keys()
            .collect();
        if self.instances.is_empty() {
            let why = "At least one instance must be specified.";
            return Err(ApiError::invalid("instances", "", why));
        }
        let known = |text: &String| {
            let key = link::parse::<Instance>("instances", text)?;
            if members.contains(&key) {
                return Ok(key);
            }
            let group = state.path_of::<InstanceGroupManager>(manager);
            let why = format!("It is not an instance of '{group}'.");
            Err(ApiError::invalid("instances", text, why))
        };
        self.instances.iter().map(known).collect()
    }
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct NewInstances {
    #[serde(default)]
    instances: Vec<Named>,
}

/// More instances, with names that the client chose.
fn create_instances(state: &mut State, key: &Key, Body(body): Body<NewInstances>) -> Begun {
    let target = Target::of::<InstanceGroupManager>(key);
    state.idle(&target)?;
    state.ready::<InstanceGroupManager>(key)?;
    let new: Vec<Key> = body
        .instances
        .into_iter()
        .map(|instance| Key::new(key.scope.clone(), instance.name))
        .collect();
    if new.is_empty() {
        let why = "At least one instance must be specified.";
        return Err(ApiError::invalid("instances", "", why));
    }
    let mut names = BTreeSet::new();
    if let Some(twice) = new.iter().find(|new| !names.insert(&new.name)) {
        let why = "Each instance must have a name of its own.";
        return Err(ApiError::invalid("instances.name", &twice.name, why));
    }
    if let Some(known) = new.iter().find(|new| state.instances.get(new).is_some()) {
        return Err(ApiError::exists(&state.path_of::<Instance>(known)));
    }
    remake(state, key, &new)?;
    let links = new.iter().map(|new| state.link_of::<Instance>(new));
    let links: Vec<String> = links.collect();
    state
        .ready_mut::<InstanceGroupManager>(key)?
        .set_members(|members| members.extend(links))?;
    Ok(Request::new(
        "compute.instanceGroupManagers.createInstances",
        target,
        Work::Resize { going: Vec::new() },
    ))
}

/// They go on, as nobody's but their owner's.
fn abandon_instances(state: &mut State, key: &Key, Body(body): Body<Instances>) -> Begun {
    let abandoned = body.of(state, key)?;
    leave(state, key, &abandoned)?;
    Ok(Request::new(
        "compute.instanceGroupManagers.abandonInstances",
        Target::of::<InstanceGroupManager>(key),
        Work::Update,
    ))
}

/// Takes instances out of a manager, which is to have so many fewer.
fn leave(state: &mut State, manager: &Key, leaving: &[Key]) -> Result<(), ApiError> {
    let is_leaving =
        |member: &str| link::key_of(member).is_some_and(|member| leaving.contains(&member));
    state
        .ready_mut::<InstanceGroupManager>(manager)?
        .set_members(|members| members.retain(|member| !is_leaving(member)))
}

fn delete_instances(state: &mut State, key: &Key, Body(body): Body<Instances>) -> Begun {
    let going = body.of(state, key)?;
    retire(state, &going);
    leave(state, key, &going)?;
    Ok(Request::new(
        "compute.instanceGroupManagers.deleteInstances",
        Target::of::<InstanceGroupManager>(key),
        Work::Resize { going },
    ))
}

fn recreate_instances(state: &mut State, key: &Key, Body(body): Body<Instances>) -> Begun {
    let members = body.of(state, key)?;
    retire(state, &members);
    Ok(Request::new(
        "compute.instanceGroupManagers.recreateInstances",
        Target::of::<InstanceGroupManager>(key),
        Work::Recreate { members },
    ))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Template {
    instance_template: String,
}

fn set_instance_template(state: &mut State, key: &Key, Body(body): Body<Template>) -> Begun {
    let template = link::parse::<InstanceTemplate>("instanceTemplate", &body.instance_template)?;
    state.ready::<InstanceTemplate>(&template)?;
    let link = state.link_of::<InstanceTemplate>(&template);
    // Those that are there stay what they are.
    state
        .ready_mut::<InstanceGroupManager>(key)?
        .use_template(link);
    Ok(Request::new(
        "compute.instanceGroupManagers.setInstanceTemplate",
        Target::of::<InstanceGroupManager>(key),
        Work::Update,
    ))
}

/// Members that couldn't be made fail the operation here: there is nothing to list afterwards.
async fn list_errors(Shared(cloud): Shared<Cloud>, place: Place) -> Answer {
    let key = place.key()?;
    cloud.store().read(|state| {
        state.get::<InstanceGroupManager>(&key)?;
        Ok(Json(json!({})))
    })
}
