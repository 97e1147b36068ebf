//! Instance groups: lists of instances of one zone, for balancers. Each managed group has an instance group
//! of the same name, whose members the manager controls.

use axum::extract::{Query, State as Shared};
use axum::routing::post;
use axum::{Json, Router};
use hakube_local_resources::list::ListQuery;
use hakube_local_resources::rules::instance_group;
use hakube_local_resources::rules::patch::check_fingerprint;
use hakube_local_resources::types::{Instance, InstanceGroup, Request};
use hakube_local_resources::{ApiError, Key, State, link, list};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::calls::crud::{self, Answer, Begun, begins};
use crate::cloud::Cloud;
use crate::place::{Body, Place};

#[derive(Deserialize)]
struct Instances {
    #[serde(default)]
    instances: Vec<InstanceReference>,
}

#[derive(Deserialize)]
struct InstanceReference {
    instance: String,
}

impl Instances {
    fn keys(&self) -> Result<Vec<Key>, ApiError> {
        if self.instances.is_empty() {
            let why = "At least one instance must be specified.";
            return Err(ApiError::invalid("instances", "", why));
        }
        self.instances
            .iter()
            .map(|reference| link::parse::<Instance>("instances.instance", &reference.instance))
            .collect()
    }
}

/// The routes of groups.
pub fn routes() -> Router<Cloud> {
    let one = crud::one::<InstanceGroup>();
    crud::routes::<InstanceGroup>()
        .merge(crud::aggregated::<InstanceGroup>())
        .route(&format!("{one}/addInstances"), post(begins(add)))
        .route(&format!("{one}/removeInstances"), post(begins(remove)))
        .route(&format!("{one}/listInstances"), post(list_instances))
        .route(
            &format!("{one}/setNamedPorts"),
            post(begins(set_named_ports)),
        )
}

fn add(state: &mut State, key: &Key, Body(body): Body<Instances>) -> Begun {
    let path = state.path_of::<InstanceGroup>(key);
    state.ready::<InstanceGroup>(key)?;
    unmanaged(state, key)?;
    for member in body.keys()? {
        if member.scope != key.scope {
            let why = "Instances must be in the zone of the group.";
            return Err(ApiError::invalid("instances.instance", member, why));
        }
        state.ready::<Instance>(&member)?;
        let link = state.link_of::<Instance>(&member);
        let member = state.path_of::<Instance>(&member);
        let group = state.ready_mut::<InstanceGroup>(key)?;
        if group.added.contains(&link) {
            return Err(ApiError::bad_request(
                "memberAlreadyExists",
                format!("Resource '{member}' is already a member of '{path}'."),
            ));
        }
        group.added.push(link);
    }
    Ok(Request::update::<InstanceGroup>("addInstances", key))
}

fn remove(state: &mut State, key: &Key, Body(body): Body<Instances>) -> Begun {
    let path = state.path_of::<InstanceGroup>(key);
    unmanaged(state, key)?;
    for member in body.keys()? {
        let link = state.link_of::<Instance>(&member);
        let member = state.path_of::<Instance>(&member);
        let group = state.ready_mut::<InstanceGroup>(key)?;
        let before = group.added.len();
        group.added.retain(|known| *known != link);
        if group.added.len() == before {
            return Err(ApiError::bad_request(
                "memberNotFound",
                format!("Resource '{member}' is not a member of '{path}'."),
            ));
        }
    }
    Ok(Request::update::<InstanceGroup>("removeInstances", key))
}

/// Rejects changes of a managed group's members.
fn unmanaged(state: &State, group: &Key) -> Result<(), ApiError> {
    if state.instance_group_managers.get(group).is_none() {
        return Ok(());
    }
    let why = "The group is managed: resize its instance group manager instead.";
    Err(ApiError::invalid("instanceGroup", &group.name, why))
}

fn set_named_ports(
    state: &mut State,
    key: &Key,
    Body(mut body): Body<Map<String, Value>>,
) -> Begun {
    let group = state.ready_mut::<InstanceGroup>(key)?;
    let current = group.rest.get("fingerprint").and_then(Value::as_str);
    // Optional here, unlike elsewhere.
    if body.contains_key("fingerprint") {
        check_fingerprint(&body, "fingerprint", current.unwrap_or_default())?;
    }
    let ports = body.remove("namedPorts").unwrap_or_else(|| json!([]));
    group.rest.insert("namedPorts".into(), ports);
    group.renew_fingerprint();
    Ok(Request::update::<InstanceGroup>("setNamedPorts", key))
}

async fn list_instances(
    Shared(cloud): Shared<Cloud>,
    place: Place,
    Query(query): Query<ListQuery>,
) -> Answer {
    let key = place.key()?;
    let items = cloud.store().read(|state| {
        state.get::<InstanceGroup>(&key)?;
        let items = instance_group::members(state, &key)
            .iter()
            .filter_map(|member| {
                let instance = link::key_of(member)?;
                let record = state.instances.get(&instance)?;
                Some((
                    member.clone(),
                    json!({"instance": member, "status": record.resource.status}),
                ))
            });
        Ok(items.collect::<Vec<_>>())
    })?;
    let page = list::page(items, &query)?;
    Ok(Json(page.into_answer(
        "compute#instanceGroupsListInstances",
        json!({}),
    )))
}
