//! What a forwarding rule leads to, and how that and other things of it are changed.

use axum::Router;
use axum::routing::{patch, post};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::ForwardingRule;
use crate::cloud::Cloud;
use crate::compute::backend_service::BackendService;
use crate::compute::crud::{self, Begun, begins};
use crate::compute::error::ApiError;
use crate::compute::link;
use crate::compute::patch::check_fingerprint;
use crate::compute::place::Body;
use crate::compute::resource::{Resource as _, Target, Type, fresh_fingerprint};
use crate::compute::scope::Key;
use crate::compute::target_pool::TargetPool;
use crate::operation::{Request, Work};
use crate::store::State;

impl ForwardingRule {
    /// The backend service or the target pool that it leads to.
    pub fn destination(&self) -> Option<Target> {
        let (kind, text) = if self.target.is_empty() {
            (BackendService::TYPE, &self.backend_service)
        } else {
            (TargetPool::TYPE, &self.target)
        };
        let key = link::key_of(text)?;
        Some(Target { kind, key })
    }

    /// Checks what a client wants the rule to lead to, and fills in the link.
    pub(super) fn settle_destination(&mut self, state: &State, key: &Key) -> Result<(), ApiError> {
        match (self.target.is_empty(), self.backend_service.is_empty()) {
            (true, _) => self.use_service(state, key, "resource.backendService"),
            (false, true) => self.use_pool(state, key, "resource.target"),
            (false, false) => {
                let why = "Only one of target and backendService may be specified.";
                Err(ApiError::invalid("resource.target", &self.target, why))
            }
        }
    }

    fn use_service(&mut self, state: &State, key: &Key, field: &str) -> Result<(), ApiError> {
        let service = link::parse::<BackendService>(field, &self.backend_service)?;
        if service.scope != key.scope {
            let why = "The backend service must be in the region of the rule.";
            return Err(ApiError::invalid(field, &self.backend_service, why));
        }
        let known = state.ready::<BackendService>(&service)?;
        let scheme = &known.load_balancing_scheme;
        if *scheme != self.load_balancing_scheme {
            let why = format!("The load balancing scheme of the backend service is {scheme}.");
            let own = &self.load_balancing_scheme;
            return Err(ApiError::invalid("resource.loadBalancingScheme", own, why));
        }
        self.backend_service = state.link_of::<BackendService>(&service);
        Ok(())
    }

    fn use_pool(&mut self, state: &State, key: &Key, field: &str) -> Result<(), ApiError> {
        if collection(&self.target) != Type::TargetPool.collection() {
            return Err(ApiError::not_emulated(format_args!(
                "forwarding rules to {}",
                collection(&self.target)
            )));
        }
        let pool = link::parse::<TargetPool>(field, &self.target)?;
        if pool.scope != key.scope {
            let why = "The target pool must be in the region of the rule.";
            return Err(ApiError::invalid(field, &self.target, why));
        }
        if !self.is_external() {
            let why = "A target pool takes external traffic only.";
            let own = &self.load_balancing_scheme;
            return Err(ApiError::invalid("resource.loadBalancingScheme", own, why));
        }
        state.ready::<TargetPool>(&pool)?;
        self.target = state.link_of::<TargetPool>(&pool);
        Ok(())
    }
}

/// `targetPools` of `…/targetPools/p`.
fn collection(text: &str) -> &str {
    text.rsplit('/').nth(1).unwrap_or_default()
}

/// `setTarget` and `patch`.
pub(super) fn routes() -> Router<Cloud> {
    let one = crud::one::<ForwardingRule>();
    Router::new()
        .route(&one, patch(begins(change)))
        .route(&format!("{one}/setTarget"), post(begins(set_target)))
}

#[derive(Deserialize)]
struct TargetReference {
    target: String,
}

/// Only to another target of the same type: a target pool doesn't become a backend service.
fn set_target(state: &mut State, key: &Key, Body(wanted): Body<TargetReference>) -> Begun {
    let target = Target::of::<ForwardingRule>(key);
    state.idle(&target)?;
    let mut rule = state.ready::<ForwardingRule>(key)?.clone();
    let current = rule.destination().map(|now| now.kind.collection());
    if current != Some(collection(&wanted.target)) {
        let why = format!(
            "The new target must be of the type of the old one: one of {}.",
            current.unwrap_or_default()
        );
        return Err(ApiError::invalid("target", wanted.target, why));
    }
    if rule.target.is_empty() {
        rule.backend_service = wanted.target;
        rule.use_service(state, key, "target")?;
    } else {
        rule.target = wanted.target;
        rule.use_pool(state, key, "target")?;
    }
    rule.fingerprint = fresh_fingerprint();
    *state.ready_mut::<ForwardingRule>(key)? = rule;
    Ok(Request::new("SetTarget", target, Work::Update))
}

/// Compute Engine lets little of a rule be patched: its network tier, and global access to an internal one.
fn change(state: &mut State, key: &Key, Body(body): Body<Map<String, Value>>) -> Begun {
    let target = Target::of::<ForwardingRule>(key);
    state.idle(&target)?;
    let rule = state.ready_mut::<ForwardingRule>(key)?;
    if body.contains_key("fingerprint") {
        check_fingerprint(&body, "fingerprint", &rule.fingerprint)?;
    }
    for (field, wanted) in body {
        match field.as_str() {
            "fingerprint" | "name" => {}
            "networkTier" if rule.rest.get("networkTier") == Some(&wanted) => {}
            "networkTier" => {
                return Err(ApiError::not_emulated("other network tiers than PREMIUM"));
            }
            "allowGlobalAccess" if !rule.is_external() && wanted.is_boolean() => {
                rule.rest.insert(field, wanted);
            }
            _ => {
                let field = format!("resource.{field}");
                let why = "It cannot be changed: delete the rule and make it anew.";
                return Err(ApiError::invalid(&field, wanted, why));
            }
        }
    }
    rule.fingerprint = fresh_fingerprint();
    Ok(Request::new("patch", target, Work::Update))
}
