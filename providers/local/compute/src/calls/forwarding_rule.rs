//! Regional forwarding rules: from an address, external or internal, and ports to a backend service or a
//! target pool.

use axum::Router;
use axum::routing::{patch, post};
use hakube_local_resources::rules::forwarding_rule::collection;
use hakube_local_resources::rules::patch::check_fingerprint;
use hakube_local_resources::types::{ForwardingRule, Request, Work};
use hakube_local_resources::{ApiError, Key, State, Target, fresh_fingerprint};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::calls::crud::{self, Begun, begins};
use crate::calls::labels;
use crate::cloud::Cloud;
use crate::place::Body;

/// The routes of forwarding rules.
pub fn routes() -> Router<Cloud> {
    let one = crud::one::<ForwardingRule>();
    crud::routes::<ForwardingRule>()
        .merge(crud::aggregated::<ForwardingRule>())
        .merge(labels::routes::<ForwardingRule>())
        .route(&one, patch(begins(change)))
        .route(&format!("{one}/setTarget"), post(begins(set_target)))
}

#[derive(Deserialize)]
struct TargetReference {
    target: String,
}

/// Only another target of the same type is allowed: not a backend service in place of a target pool.
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

/// Compute Engine allows patches of two fields: the network tier, and global access of an internal rule.
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
                let why = "It cannot be changed: delete the rule and recreate it.";
                return Err(ApiError::invalid(&field, wanted, why));
            }
        }
    }
    rule.fingerprint = fresh_fingerprint();
    Ok(Request::new("patch", target, Work::Update))
}
