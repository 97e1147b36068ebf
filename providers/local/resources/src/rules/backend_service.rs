//! Regional backend services: external or internal, passthrough, TCP.

use crate::base::{ApiError, Key, Scope, Target, fresh_fingerprint, link};
use crate::rules::instance_group;
use crate::rules::managed::{Managed, Seen};
use crate::rules::patch::Patchable;
use crate::state::State;
use crate::types::backend_service::Backend;
use crate::types::{BackendService, ForwardingRule, HealthCheck, Instance, InstanceGroup};

impl Seen for BackendService {}

impl BackendService {
    /// The health check of its instances.
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

/// Fields that would route traffic in ways the local cloud doesn't emulate.
const NOT_EMULATED: &[(&str, &str)] = &[
    ("failoverPolicy", "failover policies of backend services"),
    (
        "connectionTrackingPolicy",
        "connection tracking policies of backend services",
    ),
    ("subsetting", "subsetting of backend services"),
];

impl BackendService {
    /// Rejects settings that would have no effect here.
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
        let own = Some(Target::of::<Self>(key));
        state.path_where::<ForwardingRule>(|rule| rule.destination() == own)
    }
}
