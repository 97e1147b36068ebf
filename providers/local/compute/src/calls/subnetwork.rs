//! Subnetworks.

use axum::Router;
use axum::routing::post;
use hakube_local_resources::rules::subnetwork::free_range;
use hakube_local_resources::types::{Request, Subnetwork, Work};
use hakube_local_resources::{ApiError, Key, State, Target, fresh_fingerprint};
use ipnet::Ipv4Net;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::calls::crud::{self, Begun, begins};
use crate::calls::patch;
use crate::cloud::Cloud;
use crate::place::Body;

/// The routes of subnetworks.
pub fn routes() -> Router<Cloud> {
    let one = crud::one::<Subnetwork>();
    let at = |method: &str| format!("{one}/{method}");
    patch::routes::<Subnetwork>()
        .merge(crud::aggregated::<Subnetwork>())
        .route(&at("expandIpCidrRange"), post(begins(expand)))
        .route(
            &at("setPrivateIpGoogleAccess"),
            post(begins(set_private_access)),
        )
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Expansion {
    ip_cidr_range: Ipv4Net,
}

fn expand(state: &mut State, key: &Key, Body(wanted): Body<Expansion>) -> Begun {
    let wanted = wanted.ip_cidr_range;
    let before = state.ready::<Subnetwork>(key)?.ip_cidr_range;
    if !wanted.contains(&before) || wanted == before {
        let why = format!("The new range must be larger than {before}, and hold it.");
        return Err(ApiError::invalid("ipCidrRange", wanted, why));
    }
    free_range(state, Some(key), wanted)?;
    let subnet = state.ready_mut::<Subnetwork>(key)?;
    subnet.ip_cidr_range = wanted;
    subnet.fingerprint = fresh_fingerprint();
    Ok(Request::update::<Subnetwork>("expandIpCidrRange", key))
}

/// Stored without effect: machines of the local cloud reach whatever this host reaches.
fn set_private_access(
    state: &mut State,
    key: &Key,
    Body(mut body): Body<Map<String, Value>>,
) -> Begun {
    let subnet = state.ready_mut::<Subnetwork>(key)?;
    let wanted = body.remove("privateIpGoogleAccess").unwrap_or_default();
    if !wanted.is_boolean() {
        let why = "Must be true or false.";
        return Err(ApiError::invalid("privateIpGoogleAccess", wanted, why));
    }
    subnet.rest.insert("privateIpGoogleAccess".into(), wanted);
    subnet.fingerprint = fresh_fingerprint();
    let target = Target::of::<Subnetwork>(key);
    Ok(Request::new(
        "setPrivateIpGoogleAccess",
        target,
        Work::Update,
    ))
}
