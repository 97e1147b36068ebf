//! Methods on the instances of a managed group: create, delete, abandon, recreate, and update to a new version.

use std::collections::BTreeSet;

use axum::extract::State as Shared;
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use hakube_local_resources::rules::fields;
use hakube_local_resources::rules::instance_group_manager::{remake, retire, version};
use hakube_local_resources::rules::managed::view;
use hakube_local_resources::types::instance_group_manager::Version;
use hakube_local_resources::types::{Instance, InstanceGroupManager, Request, Work};
use hakube_local_resources::{ApiError, Key, State, Target, link};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::calls::crud::{self, Answer, Begun, begins};
use crate::cloud::Cloud;
use crate::operation::{RequestId, boot_members};
use crate::place::{Body, Place};

/// `createInstances`, `deleteInstances`, `abandonInstances`, `recreateInstances`, `setInstanceTemplate`, `listErrors`,
/// `applyUpdatesToInstances`, and `patch`.
pub fn routes() -> Router<Cloud> {
    let one = crud::one::<InstanceGroupManager>();
    let at = |method: &str| format!("{one}/{method}");
    Router::new()
        .route(&one, patch(begins(change)))
        .route(&at("applyUpdatesToInstances"), post(begins(apply_updates)))
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
    /// Their keys, if the manager owns all of them and has no operation in progress.
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

/// Creates instances with names that the client chose.
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
        let why = "Instance names must be unique.";
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

/// Abandons instances: they keep running without the manager.
fn abandon_instances(state: &mut State, key: &Key, Body(body): Body<Instances>) -> Begun {
    let abandoned = body.of(state, key)?;
    leave(state, key, &abandoned)?;
    Ok(Request::update::<InstanceGroupManager>(
        "compute.instanceGroupManagers.abandonInstances",
        key,
    ))
}

/// Removes instances from a manager and lowers its target size.
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
    let verb = "compute.instanceGroupManagers.recreateInstances";
    recreate(state, key, members, verb)
}

/// Recreates an instance that lost its machine, if a group manager has it, as Compute Engine repairs a group.
pub async fn repair(cloud: &Cloud, instance: &Key) {
    let Some(manager) = cloud.store().read(|state| manager_of(state, instance)) else {
        return;
    };
    let verb = "compute.instances.repair.recreateInstance";
    let members = vec![instance.clone()];
    let begun = cloud.begin(RequestId::default(), &manager, |state| {
        recreate(state, &manager, members, verb)
    });
    if let Err(error) = begun.await {
        tracing::warn!(%instance, %error, "the group manager can't recreate it");
    }
}

/// Makes a deleted instance again, if a group manager still has it.
pub async fn replace_deleted(cloud: &Cloud, instance: &Key) -> Result<(), ApiError> {
    let Some(manager) = cloud.store().read(|state| manager_of(state, instance)) else {
        return Ok(());
    };
    let remade = |state: &mut State| remake(state, &manager, std::slice::from_ref(instance));
    cloud.store().transact(remade).await?;
    boot_members(cloud, &manager).await
}

fn manager_of(state: &State, instance: &Key) -> Option<Key> {
    let mut managers = state.instance_group_managers.ready();
    let found = managers.find(|(_, manager)| manager.member_keys().any(|own| own == *instance));
    found.map(|(key, _)| key.clone())
}

/// Recreates instances under their names, from the present template.
fn recreate(state: &mut State, key: &Key, members: Vec<Key>, verb: &'static str) -> Begun {
    state
        .ready_mut::<InstanceGroupManager>(key)?
        .updated(&members);
    retire(state, &members);
    let target = Target::of::<InstanceGroupManager>(key);
    Ok(Request::new(verb, target, Work::Recreate { members }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Template {
    instance_template: String,
}

fn set_instance_template(state: &mut State, key: &Key, Body(body): Body<Template>) -> Begun {
    let version = version(state, "resource", &body.instance_template, Vec::new())?;
    // Existing instances keep the old template.
    state
        .ready_mut::<InstanceGroupManager>(key)?
        .use_version(version);
    Ok(Request::update::<InstanceGroupManager>(
        "compute.instanceGroupManagers.setInstanceTemplate",
        key,
    ))
}

/// The fields of a group that can be changed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Change {
    fingerprint: Option<String>,
    description: Option<String>,
    instance_template: Option<String>,
    versions: Option<Vec<Version>>,
    update_policy: Option<Map<String, Value>>,
}

/// Changes a group's template and its update policy. A proactive policy updates the instances at once.
fn change(state: &mut State, key: &Key, Body(body): Body<Map<String, Value>>) -> Begun {
    const VERB: &str = "compute.instanceGroupManagers.patch";
    let target = Target::of::<InstanceGroupManager>(key);
    state.idle(&target)?;
    let mut manager = state.ready::<InstanceGroupManager>(key)?.clone();
    let view = view(&manager, state);
    fields::check_change(target.kind, &body, &view)?;
    for fixed in ["baseInstanceName", "targetSize"] {
        if body
            .get(fixed)
            .is_some_and(|wanted| view.get(fixed) != Some(wanted))
        {
            let what = format!("patches of the field '{fixed}' of managed groups");
            return Err(ApiError::not_emulated(what));
        }
    }
    let body: Change = serde_json::from_value(Value::Object(body))
        .map_err(|error| ApiError::invalid("resource", "", error))?;
    let current = view.get("fingerprint").and_then(Value::as_str);
    if body
        .fingerprint
        .is_some_and(|known| Some(known.as_str()) != current)
    {
        return Err(ApiError::fingerprint());
    }
    if let Some(description) = body.description {
        manager.meta.description = Some(description);
    }
    if body.versions.is_some() || body.instance_template.is_some() {
        let template = body.instance_template.unwrap_or_default();
        let versions = body.versions.unwrap_or_default();
        let version = version(state, "resource", &template, versions)?;
        manager.use_version(version);
    }
    manager.use_policy(body.update_policy.unwrap_or_default());
    let is_proactive = manager.policy_is("type", "PROACTIVE");
    let outdated: Vec<(Key, bool)> = manager.outdated().filter(|_| is_proactive).collect();
    *state.ready_mut::<InstanceGroupManager>(key)? = manager;
    update_instances(state, key, outdated, VERB)
}

/// Gives instances the group's present version. Those that have its template already only restart if the policy
/// says so.
fn update_instances(
    state: &mut State,
    key: &Key,
    outdated: Vec<(Key, bool)>,
    verb: &'static str,
) -> Begun {
    let target = Target::of::<InstanceGroupManager>(key);
    let mut manager = state.ready::<InstanceGroupManager>(key)?.clone();
    let can_stay = !manager.policy_is("minimalAction", "REPLACE");
    let all_stay = can_stay && outdated.iter().all(|(_, same)| *same);
    let members: Vec<Key> = outdated.into_iter().map(|(member, _)| member).collect();
    let restarts = manager.policy_is("minimalAction", "RESTART");
    if members.is_empty() || all_stay {
        manager.updated(&members);
        *state.ready_mut::<InstanceGroupManager>(key)? = manager;
        let work = if restarts && !members.is_empty() {
            Work::Restart { members }
        } else {
            Work::Update
        };
        return Ok(Request::new(verb, target, work));
    }
    if manager.policy_is("replacementMethod", "RECREATE") {
        return recreate(state, key, members, verb);
    }
    retire(state, &members);
    manager.substitute(state, key, &members)?;
    *state.ready_mut::<InstanceGroupManager>(key)? = manager;
    Ok(Request::new(verb, target, Work::Resize { going: members }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Updates {
    #[serde(default)]
    instances: Vec<String>,
    #[serde(default)]
    all_instances: bool,
    minimal_action: Option<String>,
}

/// Gives some instances the group's version, whatever its policy: under their names. `minimalAction` says what
/// happens to instances that have it already.
fn apply_updates(state: &mut State, key: &Key, Body(body): Body<Updates>) -> Begun {
    const VERB: &str = "compute.instanceGroupManagers.applyUpdatesToInstances";
    let target = Target::of::<InstanceGroupManager>(key);
    state.idle(&target)?;
    let manager = state.ready::<InstanceGroupManager>(key)?;
    let outdated: BTreeSet<Key> = manager.outdated().map(|(member, _)| member).collect();
    let chosen = if body.all_instances {
        manager.member_keys().collect()
    } else {
        let instances = body.instances;
        Instances { instances }.of(state, key)?
    };
    match body.minimal_action.as_deref().unwrap_or("NONE") {
        "REPLACE" => recreate(state, key, chosen, VERB),
        "RESTART" if !chosen.iter().any(|member| outdated.contains(member)) => {
            let work = Work::Restart { members: chosen };
            Ok(Request::new(VERB, target, work))
        }
        "NONE" | "REFRESH" | "RESTART" => {
            let due = chosen.into_iter();
            let due: Vec<Key> = due.filter(|member| outdated.contains(member)).collect();
            if due.is_empty() {
                return Ok(Request::new(VERB, target, Work::Update));
            }
            recreate(state, key, due, VERB)
        }
        other => {
            let why = "Must be one of NONE, REFRESH, RESTART, REPLACE.";
            Err(ApiError::invalid("minimalAction", other, why))
        }
    }
}

/// Always empty: here, an instance that can't be created fails the operation.
async fn list_errors(Shared(cloud): Shared<Cloud>, place: Place) -> Answer {
    let key = place.key()?;
    cloud.store().read(|state| {
        state.get::<InstanceGroupManager>(&key)?;
        Ok(Json(json!({})))
    })
}
