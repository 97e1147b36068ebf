//! Unmanaged instance groups: lists of instances of one zone, for balancers.

use axum::Router;
use axum::extract::{Query, State as Shared};
use axum::routing::post;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::backend_service::BackendService;
use super::crud::{self, Answer, Begun, begins};
use super::error::ApiError;
use super::instance::Instance;
use super::link;
use super::list::{self, ListQuery};
use super::patch::check_fingerprint;
use super::place::{Body, Place};
use super::resource::{Managed, Meta, Target, fresh_fingerprint, resource};
use super::scope::Key;
use crate::cloud::Cloud;
use crate::operation::{Request, Work};
use crate::store::State;

/// An unmanaged group.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceGroup {
    #[serde(flatten)]
    pub(crate) meta: Meta,
    /// URLs of instances. Kept here, shown by listInstances.
    #[serde(default)]
    pub members: Vec<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

resource!(InstanceGroup, instance_groups, complete = size);

fn size(group: &InstanceGroup, state: &State, view: &mut Map<String, Value>) {
    view.remove("members");
    view.insert("size".into(), group.members.len().into());
    let first = group
        .members
        .first()
        .and_then(|member| link::key_of(member));
    let nic = first
        .and_then(|key| state.instances.get(&key))
        .and_then(|record| record.resource.network_interfaces.first());
    if let Some(nic) = nic {
        view.insert("network".into(), nic.network.clone().into());
        view.insert("subnetwork".into(), nic.subnetwork.clone().into());
    }
}

impl Managed for InstanceGroup {
    fn prepare(&mut self, _: &mut State, _key: &Key) -> Result<(), ApiError> {
        self.members.clear();
        self.renew_fingerprint();
        Ok(())
    }

    fn user(&self, state: &State, key: &Key) -> Option<String> {
        state
            .backend_services
            .iter()
            .find(|(_, service)| service.groups().any(|group| group == *key))
            .map(|(service, _)| state.path_of::<BackendService>(service))
    }
}

impl InstanceGroup {
    fn renew_fingerprint(&mut self) {
        let fresh = fresh_fingerprint().into();
        self.rest.insert("fingerprint".into(), fresh);
    }
}

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
        .route(&format!("{one}/listInstances"), post(members))
        .route(
            &format!("{one}/setNamedPorts"),
            post(begins(set_named_ports)),
        )
}

fn add(state: &mut State, key: &Key, Body(body): Body<Instances>) -> Begun {
    let path = state.path_of::<InstanceGroup>(key);
    state.ready::<InstanceGroup>(key)?;
    for member in body.keys()? {
        if member.scope != key.scope {
            let why = "Instances must be in the zone of the group.";
            return Err(ApiError::invalid("instances.instance", member, why));
        }
        state.ready::<Instance>(&member)?;
        let link = state.link_of::<Instance>(&member);
        let member = state.path_of::<Instance>(&member);
        let group = state.ready_mut::<InstanceGroup>(key)?;
        if group.members.contains(&link) {
            return Err(ApiError::bad_request(
                "memberAlreadyExists",
                format!("Resource '{member}' is already a member of '{path}'."),
            ));
        }
        group.members.push(link);
    }
    let target = Target::of::<InstanceGroup>(key);
    Ok(Request::new("addInstances", target, Work::Update))
}

fn remove(state: &mut State, key: &Key, Body(body): Body<Instances>) -> Begun {
    let path = state.path_of::<InstanceGroup>(key);
    for member in body.keys()? {
        let link = state.link_of::<Instance>(&member);
        let member = state.path_of::<Instance>(&member);
        let group = state.ready_mut::<InstanceGroup>(key)?;
        let before = group.members.len();
        group.members.retain(|known| *known != link);
        if group.members.len() == before {
            return Err(ApiError::bad_request(
                "memberNotFound",
                format!("Resource '{member}' is not a member of '{path}'."),
            ));
        }
    }
    let target = Target::of::<InstanceGroup>(key);
    Ok(Request::new("removeInstances", target, Work::Update))
}

fn set_named_ports(
    state: &mut State,
    key: &Key,
    Body(mut body): Body<Map<String, Value>>,
) -> Begun {
    let group = state.ready_mut::<InstanceGroup>(key)?;
    let current = group.rest.get("fingerprint").and_then(Value::as_str);
    // It may be left out here, unlike elsewhere.
    if body.contains_key("fingerprint") {
        check_fingerprint(&body, "fingerprint", current.unwrap_or_default())?;
    }
    let ports = body.remove("namedPorts").unwrap_or_else(|| json!([]));
    group.rest.insert("namedPorts".into(), ports);
    group.renew_fingerprint();
    let target = Target::of::<InstanceGroup>(key);
    Ok(Request::new("setNamedPorts", target, Work::Update))
}

async fn members(
    Shared(cloud): Shared<Cloud>,
    place: Place,
    Query(query): Query<ListQuery>,
) -> Answer {
    let key = place.key()?;
    let items = cloud.store().read(|state| {
        let group = state.get::<InstanceGroup>(&key)?;
        let items = group.members.iter().filter_map(|member| {
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
    Ok(axum::Json(page.into_answer(
        "compute#instanceGroupsListInstances",
        json!({}),
    )))
}
