//! Target pools: lists of instances of a region, for forwarding rules.

use axum::extract::State as Shared;
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::crud::{self, Answer, Begun, begins};
use super::error::ApiError;
use super::forwarding_rule::ForwardingRule;
use super::instance::Instance;
use super::legacy_health_check::HttpHealthCheck;
use super::link;
use super::place::{Body, Place};
use super::resource::{Managed, Meta, Target, resource};
use super::scope::Key;
use crate::cloud::Cloud;
use crate::net::BackendId;
use crate::operation::{Request, Work};
use crate::store::State;

/// A pool.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetPool {
    #[serde(flatten)]
    pub(crate) meta: Meta,
    /// URLs of legacy HTTP checks; at most one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health_checks: Vec<String>,
    /// URLs. Of instances that needn't be there: one that is made later under that name is in the pool.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<String>,
    /// `NONE`
    #[serde(default = "none")]
    session_affinity: String,
    /// Not emulated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    backup_pool: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

fn none() -> String {
    "NONE".into()
}

const MOST_CHECKS: &str = "At most one health check may be specified for a target pool.";

resource!(TargetPool, target_pools);

impl TargetPool {
    /// Its instances that are there.
    pub fn members<'a>(&'a self, state: &'a State) -> impl Iterator<Item = (Key, &'a Instance)> {
        self.instances.iter().filter_map(|member| {
            let key = link::key_of(member)?;
            let instance = &state.instances.get(&key)?.resource;
            Some((key, instance))
        })
    }

    /// Its health check, if it has one. Without one, all of its instances count as healthy.
    pub fn health_check<'a>(&self, state: &'a State) -> Option<&'a HttpHealthCheck> {
        let check = link::key_of(self.health_checks.first()?)?;
        Some(&state.http_health_checks.get(&check)?.resource)
    }
}

impl Managed for TargetPool {
    fn prepare(&mut self, state: &mut State, key: &Key) -> Result<(), ApiError> {
        if self
            .backup_pool
            .as_deref()
            .is_some_and(|pool| !pool.is_empty())
        {
            return Err(ApiError::not_emulated("backup pools of target pools"));
        }
        if self.session_affinity != "NONE" {
            return Err(ApiError::not_emulated(format_args!(
                "target pools with the session affinity {}",
                self.session_affinity
            )));
        }
        if self.health_checks.len() > 1 {
            let count = self.health_checks.len();
            return Err(ApiError::invalid(
                "resource.healthChecks",
                count,
                MOST_CHECKS,
            ));
        }
        for check in &mut self.health_checks {
            *check = usable_check(state, "resource.healthChecks[0]", check)?;
        }
        for (index, member) in self.instances.iter_mut().enumerate() {
            let field = format!("resource.instances[{index}]");
            *member = possible_member(state, key, &field, member)?;
        }
        Ok(())
    }

    fn user(&self, state: &State, key: &Key) -> Option<String> {
        let mut rules = state.forwarding_rules.iter();
        let rule = rules.find(|(_, rule)| rule.destination() == Some(Target::of::<Self>(key)));
        rule.map(|(rule, _)| state.path_of::<ForwardingRule>(rule))
    }
}

/// The URL of a check that a pool can have.
fn usable_check(state: &State, field: &str, text: &str) -> Result<String, ApiError> {
    let check = link::parse::<HttpHealthCheck>(field, text)?;
    state.ready::<HttpHealthCheck>(&check)?;
    Ok(state.link_of::<HttpHealthCheck>(&check))
}

/// The URL of an instance that a pool can have.
fn possible_member(state: &State, pool: &Key, field: &str, text: &str) -> Result<String, ApiError> {
    let member = link::parse::<Instance>(field, text)?;
    if member.scope.region() != pool.scope.region() {
        let why = "The instance must be in the region of the target pool.";
        return Err(ApiError::invalid(field, text, why));
    }
    Ok(state.link_of::<Instance>(&member))
}

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
            return Err(ApiError::invalid(field, check, MOST_CHECKS));
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

/// The operation of a pool that was changed; what follows for listeners and checks is its work.
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
    let (member, instance, address, is_checked) = cloud.store().read(|state| {
        let pool = state.get::<TargetPool>(&key)?;
        let field = "instance";
        let member = possible_member(state, &key, field, &body.instance)?;
        if !pool.instances.contains(&member) {
            let why = "Instance is not currently attached to this target pool.";
            return Err(ApiError::invalid(field, member, why));
        }
        let instance = link::parse::<Instance>(field, &member)?;
        let address = state.get::<Instance>(&instance)?.internal_ip();
        Ok((
            member,
            instance,
            address,
            pool.health_check(state).is_some(),
        ))
    })?;
    let id = BackendId {
        of: Target::of::<TargetPool>(&key),
        instance,
    };
    let is_healthy = !is_checked || cloud.plane().is_healthy(&id);
    Ok(Json(json!({
        "kind": "compute#targetPoolInstanceHealth",
        "healthStatus": [{
            "instance": member,
            "ipAddress": address,
            "healthState": if is_healthy { "HEALTHY" } else { "UNHEALTHY" },
        }],
    })))
}
