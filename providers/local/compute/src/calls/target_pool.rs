//! Target pools: lists of instances of a region, for forwarding rules.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use axum::extract::State as Shared;
use axum::routing::post;
use axum::{Json, Router};
use hakube_local_net::BackendId;
use hakube_local_resources::rules::target_pool;
use hakube_local_resources::rules::target_pool::{possible_member, usable_check};
use hakube_local_resources::types::{HttpHealthCheck, Instance, Request, TargetPool, Work};
use hakube_local_resources::{ApiError, Key, State, Target, link};
use serde::Deserialize;
use serde_json::json;

use crate::calls::crud::{self, Answer, Begun, begins};
use crate::cloud::Cloud;
use crate::place::{Body, Place};

/// The routes of pools.
pub fn routes() -> Router<Cloud> {
    let one = crud::one::<TargetPool>();
    let at = |method: &str| format!("{one}/{method}");
    crud::routes::<TargetPool>()
        .merge(crud::aggregated::<TargetPool>())
        .route(&at("addInstance"), post(begins(add_instance)))
        .route(&at("removeInstance"), post(begins(remove_instance)))
        .route(&at("addHealthCheck"), post(begins(add_health_check)))
        .route(&at("removeHealthCheck"), post(begins(remove_health_check)))
        .route(&at("getHealth"), post(get_health))
        .route(
            &at("setBackup"),
            post(async || ApiError::not_emulated("backup pools of target pools")),
        )
}

#[derive(Deserialize)]
struct InstanceReference {
    instance: String,
}

#[derive(Deserialize)]
struct Instances {
    #[serde(default)]
    instances: Vec<InstanceReference>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CheckReference {
    health_check: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Checks {
    #[serde(default)]
    health_checks: Vec<CheckReference>,
}

fn add_instance(state: &mut State, key: &Key, Body(body): Body<Instances>) -> Begun {
    for reference in &body.instances {
        let member = possible_member(state, key, "resource.instance", &reference.instance)?;
        let pool = state.ready_mut::<TargetPool>(key)?;
        if !pool.instances.contains(&member) {
            pool.instances.push(member);
        }
    }
    changed(state, key, "addInstance")
}

fn remove_instance(state: &mut State, key: &Key, Body(body): Body<Instances>) -> Begun {
    for reference in &body.instances {
        let field = "resource.instance";
        let member = possible_member(state, key, field, &reference.instance)?;
        let pool = state.ready_mut::<TargetPool>(key)?;
        let before = pool.instances.len();
        pool.instances.retain(|known| *known != member);
        if pool.instances.len() == before {
            let why = "Instance is not currently attached to this target pool.";
            return Err(ApiError::invalid(field, member, why));
        }
    }
    changed(state, key, "removeInstance")
}

fn add_health_check(state: &mut State, key: &Key, Body(body): Body<Checks>) -> Begun {
    for reference in &body.health_checks {
        let field = "resource.healthCheck";
        let check = usable_check(state, field, &reference.health_check)?;
        let pool = state.ready_mut::<TargetPool>(key)?;
        if !pool.health_checks.is_empty() {
            return Err(ApiError::invalid(field, check, target_pool::MOST_CHECKS));
        }
        pool.health_checks.push(check);
    }
    changed(state, key, "addHealthCheck")
}

fn remove_health_check(state: &mut State, key: &Key, Body(body): Body<Checks>) -> Begun {
    for reference in &body.health_checks {
        let field = "resource.healthCheck";
        let check = link::parse::<HttpHealthCheck>(field, &reference.health_check)?;
        let link = state.link_of::<HttpHealthCheck>(&check);
        let pool = state.ready_mut::<TargetPool>(key)?;
        if !pool.health_checks.contains(&link) {
            let why = "Health check is not currently attached to this target pool.";
            return Err(ApiError::invalid(field, link, why));
        }
        pool.health_checks.clear();
    }
    changed(state, key, "removeHealthCheck")
}

/// The operation on a changed pool. It updates listeners and checks.
fn changed(state: &State, key: &Key, verb: &'static str) -> Begun {
    state.ready::<TargetPool>(key)?;
    Ok(Request::new(
        verb,
        Target::of::<TargetPool>(key),
        Work::Update,
    ))
}

async fn get_health(
    Shared(cloud): Shared<Cloud>,
    place: Place,
    Body(body): Body<InstanceReference>,
) -> Answer {
    let key = place.key()?;
    let (member, id, addresses, is_checked) = cloud.store().read(|state| {
        let pool = state.get::<TargetPool>(&key)?;
        let field = "instance";
        let member = possible_member(state, &key, field, &body.instance)?;
        if !pool.instances.contains(&member) {
            let why = "Instance is not currently attached to this target pool.";
            return Err(ApiError::invalid(field, member, why));
        }
        let instance = link::parse::<Instance>(field, &member)?;
        state.get::<Instance>(&instance)?;
        let target = Target::of::<TargetPool>(&key);
        let rules = state.forwarding_rules.iter().map(|(_, rule)| rule);
        let own = rules.filter(|rule| rule.destination().as_ref() == Some(&target));
        let addresses: BTreeSet<Option<Ipv4Addr>> = own.map(|rule| rule.ip_address).collect();
        let id = BackendId {
            of: state.path_of::<TargetPool>(&key),
            instance: state.path_of::<Instance>(&instance),
        };
        Ok((member, id, addresses, pool.health_check(state).is_some()))
    })?;
    let is_healthy = !is_checked || cloud.plane().is_healthy(&id);
    let state = if is_healthy { "HEALTHY" } else { "UNHEALTHY" };
    // One for each address at which the instance gets connections, or for the instance alone.
    let mut statuses = Vec::new();
    for address in addresses.iter().flatten() {
        statuses.push(json!({"instance": member, "ipAddress": address, "healthState": state}));
    }
    if statuses.is_empty() {
        statuses.push(json!({"instance": member, "healthState": state}));
    }
    Ok(Json(json!({
        "kind": "compute#targetPoolInstanceHealth",
        "healthStatus": statuses,
    })))
}
