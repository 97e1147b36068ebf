//! Instance groups: lists of instances of one zone, for balancers. A managed group has one beside it, of its
//! name, whose members are the manager's.

use axum::Router;
use axum::extract::{Query, State as Shared};
use axum::routing::post;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::backend_service::BackendService;
use super::crud::{self, Answer, Begun, begins};
use super::error::ApiError;
use super::instance::Instance;
use super::instance_group_manager::InstanceGroupManager;
use super::link;
use super::list::{self, ListQuery};
use super::patch::check_fingerprint;
use super::place::{Body, Place};
use super::resource::{Managed, Meta, Resource as _, Target, fresh_fingerprint, resource};
use super::scope::Key;
use crate::cloud::Cloud;
use crate::operation::{Request, Work};
use crate::store::{Phase, State};

/// A group.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceGroup {
    #[serde(flatten)]
    pub(crate) meta: Meta,
    /// URLs of instances that were added. A manager keeps its own.
    #[serde(default, alias = "members")]
    pub(crate) added: Vec<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

resource!(InstanceGroup, instance_groups, complete = size);

fn size(group: &InstanceGroup, state: &State, view: &mut Map<String, Value>) {
    view.remove("added");
    let members = link::key_of(&group.meta.self_link);
    let members = members.map_or(&[][..], |key| self::members(state, &key));
    view.insert("size".into(), members.len().into());
    let first = members.first().and_then(|member| link::key_of(member));
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
        self.added.clear();
        self.renew_fingerprint();
        Ok(())
    }

    fn user(&self, state: &State, key: &Key) -> Option<String> {
        let manager = state.instance_group_managers.get(key);
        let manager = manager.map(|_| state.path_of::<InstanceGroupManager>(key));
        manager.or_else(|| service_with(state, key))
    }
}

/// The backend service that a group is in.
pub fn service_with(state: &State, group: &Key) -> Option<String> {
    state
        .backend_services
        .iter()
        .find(|(_, service)| service.groups().any(|used| used == *group))
        .map(|(service, _)| state.path_of::<BackendService>(service))
}

/// URLs of the instances in a group.
pub fn members<'a>(state: &'a State, group: &Key) -> &'a [String] {
    if let Some(manager) = state.instance_group_managers.get(group) {
        return &manager.resource.members;
    }
    let group = state.instance_groups.get(group);
    group.map_or(&[], |group| &group.resource.added)
}

/// Makes the group that Compute Engine keeps beside a managed one.
pub fn put_beside(state: &mut State, manager: &Key) -> Result<(), ApiError> {
    let name = &manager.name;
    let group = InstanceGroup {
        meta: Meta {
            description: Some(format!(
                "This instance group is controlled by Instance Group Manager '{name}'. To modify instances \
                 in this group, use the Instance Group Manager API."
            )),
            ..Meta::default()
        },
        added: Vec::new(),
        rest: Map::new(),
    };
    crud::put_new(state, manager, group)?;
    // Nobody can use it before its manager is there: it has no members until then.
    let table = state.table_mut(InstanceGroup::TYPE);
    table.set_phase(manager, Phase::Ready);
    Ok(())
}

/// Forgets an instance that is deleted.
pub fn forget_member(state: &mut State, instance: &str) {
    for (_, group) in state.instance_groups.iter_mut() {
        group.added.retain(|member| member != instance);
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
    let target = Target::of::<InstanceGroup>(key);
    Ok(Request::new("addInstances", target, Work::Update))
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
    let target = Target::of::<InstanceGroup>(key);
    Ok(Request::new("removeInstances", target, Work::Update))
}

/// Refuses a group whose members are a manager's business.
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

async fn list_instances(
    Shared(cloud): Shared<Cloud>,
    place: Place,
    Query(query): Query<ListQuery>,
) -> Answer {
    let key = place.key()?;
    let items = cloud.store().read(|state| {
        state.get::<InstanceGroup>(&key)?;
        let items = self::members(state, &key).iter().filter_map(|member| {
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
