//! Zonal managed instance groups. Updates change all instances at once; autohealing is not emulated.

use axum::extract::{Query, State as Shared};
use axum::routing::post;
use axum::{Json, Router};
use hakube_local_resources::list::ListQuery;
use hakube_local_resources::rules::instance_group_manager::{check_size, retire};
use hakube_local_resources::types::instance::Status;
use hakube_local_resources::types::{InstanceGroupManager, Request, Work};
use hakube_local_resources::{ApiError, Key, State, Target, link, list};
use serde::Deserialize;
use serde_json::json;

use crate::calls::crud::{self, Answer, Begun, begins};
use crate::cloud::Cloud;
use crate::place::Place;

/// The routes of managers.
pub fn routes() -> Router<Cloud> {
    let one = crud::one::<InstanceGroupManager>();
    crud::routes::<InstanceGroupManager>()
        .merge(crud::aggregated::<InstanceGroupManager>())
        .route(&format!("{one}/resize"), post(begins(resize)))
        .route(&format!("{one}/listManagedInstances"), post(members))
}

#[derive(Deserialize)]
struct Resize {
    size: Option<String>,
}

fn resize(state: &mut State, key: &Key, Query(query): Query<Resize>) -> Begun {
    let text = query.size.unwrap_or_default();
    let size: u32 = text
        .parse()
        .map_err(|_| ApiError::invalid("size", &text, "Must be a whole number, zero or more."))?;
    check_size(size)?;
    let target = Target::of::<InstanceGroupManager>(key);
    let mut manager = state.ready::<InstanceGroupManager>(key)?.clone();
    state.idle(&target)?;
    manager.target_size = size;
    let wanted = usize::try_from(size).unwrap_or(usize::MAX);
    while manager.members.len() < wanted {
        let member = manager.add(state, key)?;
        manager.members.push(member);
    }
    let mut going = Vec::new();
    manager.set_members(|members| going = members.split_off(wanted))?;
    let going: Vec<Key> = going
        .iter()
        .filter_map(|member| link::key_of(member))
        .collect();
    retire(state, &going);
    *state.ready_mut::<InstanceGroupManager>(key)? = manager;
    let verb = "compute.instanceGroupManagers.resize";
    Ok(Request::new(verb, target, Work::Resize { going }))
}

async fn members(
    Shared(cloud): Shared<Cloud>,
    place: Place,
    Query(query): Query<ListQuery>,
) -> Answer {
    let key = place.key()?;
    cloud.store().read(|state| {
        let manager = state.get::<InstanceGroupManager>(&key)?;
        let items = manager.members.iter().filter_map(|member| {
            let instance = &state.instances.get(&link::key_of(member)?)?.resource;
            let action = match instance.status {
                Status::Provisioning | Status::Staging => "CREATING",
                Status::Running | Status::Stopping | Status::Terminated => "NONE",
            };
            let item = json!({
                "id": instance.meta.id,
                "name": instance.meta.name,
                "instance": member,
                "instanceStatus": instance.status,
                "currentAction": action,
                "version": manager.version_of(member),
            });
            Some((member.clone(), item))
        });
        let page = list::page(items.collect(), &query)?;
        Ok(Json(page.into_managed()))
    })
}
