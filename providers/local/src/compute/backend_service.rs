//! Regional backend services: external or internal, passthrough, TCP.

use std::net::SocketAddr;

use axum::extract::State as Shared;
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::crud::{self, Answer};
use super::error::ApiError;
use super::forwarding_rule::ForwardingRule;
use super::health_check::HealthCheck;
use super::instance::Instance;
use super::instance_group::{self, InstanceGroup};
use super::link;
use super::patch::{self, Patchable};
use super::place::{Body, Place};
use super::resource::{Managed, Meta, Target, fresh_fingerprint, resource};
use super::scope::{Key, Scope};
use crate::cloud::Cloud;
use crate::net::BackendId;
use crate::store::State;

/// Groups of instances, and how their health is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendService {
    #[serde(flatten)]
    pub(crate) meta: Meta,
    /// The groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backends: Vec<Backend>,
    /// URLs; exactly one.
    #[serde(default)]
    pub health_checks: Vec<String>,
    /// `EXTERNAL` or `INTERNAL`
    #[serde(default = "external")]
    pub load_balancing_scheme: String,
    /// `TCP`
    #[serde(default = "tcp")]
    pub protocol: String,
    /// For patch.
    #[serde(default)]
    pub fingerprint: String,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// One group of a service.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Backend {
    /// URL.
    pub group: String,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

fn external() -> String {
    "EXTERNAL".into()
}

fn tcp() -> String {
    "TCP".into()
}

resource!(BackendService, backend_services);

impl BackendService {
    /// The keys of its groups.
    pub fn groups(&self) -> impl Iterator<Item = Key> {
        self.backends
            .iter()
            .filter_map(|backend| link::key_of(&backend.group))
    }

    /// How the health of its instances is told.
    pub fn health_check<'a>(&self, state: &'a State) -> Option<&'a HealthCheck> {
        let check = link::key_of(self.health_checks.first()?)?;
        Some(&state.health_checks.get(&check)?.resource)
    }

    /// The instances in its groups.
    pub fn members<'a>(&'a self, state: &'a State) -> impl Iterator<Item = (Key, &'a Instance)> {
        self.groups()
            .flat_map(|group| instance_group::members(state, &group))
            .filter_map(|member| {
                let key = link::key_of(member)?;
                let instance = &state.instances.get(&key)?.resource;
                Some((key, instance))
            })
    }
}

/// Fields that would lead traffic elsewhere than the local cloud does.
const NOT_EMULATED: &[(&str, &str)] = &[
    ("failoverPolicy", "failover policies of backend services"),
    (
        "connectionTrackingPolicy",
        "connection tracking policies of backend services",
    ),
    ("subsetting", "subsetting of backend services"),
];

impl BackendService {
    /// Refuses what would have no effect here.
    fn check_emulated(&self) -> Result<(), ApiError> {
        let given = |field: &str| self.rest.get(field).filter(|value| !value.is_null());
        if let Some(affinity) = given("sessionAffinity").filter(|affinity| *affinity != "NONE") {
            return Err(ApiError::not_emulated(format_args!(
                "backend services with the session affinity {affinity}"
            )));
        }
        if let Some((_, what)) = NOT_EMULATED
            .iter()
            .find(|(field, _)| given(field).is_some())
        {
            return Err(ApiError::not_emulated(what));
        }
        let is_failover = |backend: &Backend| backend.rest.get("failover") == Some(&true.into());
        if self.backends.iter().any(is_failover) {
            return Err(ApiError::not_emulated(
                "failover groups of backend services",
            ));
        }
        Ok(())
    }
}

impl Patchable for BackendService {
    fn fingerprint(&self) -> Option<&str> {
        Some(&self.fingerprint)
    }

    fn recheck(&mut self, state: &State, key: &Key) -> Result<(), ApiError> {
        if !matches!(self.load_balancing_scheme.as_str(), "EXTERNAL" | "INTERNAL") {
            return Err(ApiError::not_emulated(format_args!(
                "backend services with the load balancing scheme {}",
                self.load_balancing_scheme
            )));
        }
        if self.protocol != "TCP" {
            return Err(ApiError::not_emulated(format_args!(
                "backend services for the protocol {}",
                self.protocol
            )));
        }
        self.check_emulated()?;
        let [check] = self.health_checks.as_mut_slice() else {
            let why = "Exactly one health check must be specified.";
            let count = self.health_checks.len();
            return Err(ApiError::invalid("resource.healthChecks", count, why));
        };
        let check_key = link::parse::<HealthCheck>("resource.healthChecks[0]", check)?;
        if check_key.scope == Scope::Global && self.load_balancing_scheme == "EXTERNAL" {
            let why = "An external regional backend service takes regional health checks only.";
            return Err(ApiError::invalid("resource.healthChecks[0]", check, why));
        }
        state.ready::<HealthCheck>(&check_key)?;
        *check = state.link_of::<HealthCheck>(&check_key);
        let mut seen = Vec::new();
        for (index, backend) in self.backends.iter_mut().enumerate() {
            let field = format!("resource.backends[{index}].group");
            let group = link::parse::<InstanceGroup>(&field, &backend.group)?;
            if group.scope.region() != key.scope.region() {
                let why = "The group must be in the region of the backend service.";
                return Err(ApiError::invalid(&field, &backend.group, why));
            }
            state.ready::<InstanceGroup>(&group)?;
            if seen.contains(&group) {
                let why = "Duplicate instance group in backend service.";
                return Err(ApiError::invalid(&field, &backend.group, why));
            }
            backend.group = state.link_of::<InstanceGroup>(&group);
            let mode = backend.rest.entry("balancingMode");
            let mode = mode.or_insert("CONNECTION".into());
            if *mode != "CONNECTION" {
                let field = format!("resource.backends[{index}].balancingMode");
                let why = "A passthrough load balancer has the balancing mode CONNECTION only.";
                return Err(ApiError::invalid(&field, mode, why));
            }
            seen.push(group);
        }
        self.fingerprint = fresh_fingerprint();
        Ok(())
    }
}

impl Managed for BackendService {
    fn prepare(&mut self, state: &mut State, key: &Key) -> Result<(), ApiError> {
        self.rest.entry("sessionAffinity").or_insert("NONE".into());
        self.rest.entry("timeoutSec").or_insert(30.into());
        self.recheck(state, key)
    }

    fn user(&self, state: &State, key: &Key) -> Option<String> {
        state
            .forwarding_rules
            .iter()
            .find(|(_, rule)| rule.destination() == Some(Target::of::<Self>(key)))
            .map(|(rule, _)| state.path_of::<ForwardingRule>(rule))
    }
}

/// Its routes.
pub fn routes() -> Router<Cloud> {
    let health = format!("{}/getHealth", crud::one::<BackendService>());
    patch::routes::<BackendService>()
        .merge(crud::aggregated::<BackendService>())
        .route(&health, post(get_health))
}

#[derive(Deserialize)]
struct GroupReference {
    group: String,
}

async fn get_health(
    Shared(cloud): Shared<Cloud>,
    place: Place,
    Body(body): Body<GroupReference>,
) -> Answer {
    let key = place.key()?;
    let group = link::parse::<InstanceGroup>("group", &body.group)?;
    let backends = cloud.store().read(|state| {
        let service = state.get::<BackendService>(&key)?;
        if !service.groups().any(|known| known == group) {
            let why = "The group is not a backend of the service.";
            return Err(ApiError::invalid("group", &body.group, why));
        }
        let port = service
            .health_check(state)
            .and_then(|check| check.target().port)
            .unwrap_or_default();
        let members = instance_group::members(state, &group).iter();
        let found = members.filter_map(|member| {
            let instance_key = link::key_of(member)?;
            let ip = state.instances.get(&instance_key)?.resource.internal_ip()?;
            Some((member.clone(), instance_key, SocketAddr::from((ip, port))))
        });
        Ok(found.collect::<Vec<_>>())
    })?;
    let health: Vec<Value> = backends
        .into_iter()
        .map(|(link, instance, address)| {
            let healthy = cloud.plane().is_healthy(&BackendId {
                of: Target::of::<BackendService>(&key),
                instance,
            });
            json!({
                "instance": link,
                "ipAddress": address.ip(),
                "port": address.port(),
                "healthState": if healthy { "HEALTHY" } else { "UNHEALTHY" },
            })
        })
        .collect();
    let mut answer = json!({"kind": "compute#backendServiceGroupHealth"});
    if !health.is_empty() {
        answer["healthStatus"] = health.into();
    }
    Ok(Json(answer))
}
