//! Changes of alias IP ranges, additional internal addresses of a NIC.

use axum::Router;
use axum::extract::Query;
use axum::routing::patch;
use hakube_local_resources::rules::instance::idle;
use hakube_local_resources::rules::patch::check_fingerprint;
use hakube_local_resources::types::{AliasIpRange, Instance, Request, Subnetwork, Work};
use hakube_local_resources::{ApiError, Key, State, fresh_fingerprint};
use serde_json::{Map, Value};

use crate::calls::crud::{self, Begun, begins};
use crate::calls::instance::methods::AccessConfigQuery;
use crate::cloud::Cloud;
use crate::place::Body;

/// `updateNetworkInterface`.
pub fn routes() -> Router<Cloud> {
    let path = format!("{}/updateNetworkInterface", crud::one::<Instance>());
    Router::new().route(&path, patch(begins(update)))
}

fn update(
    state: &mut State,
    key: &Key,
    (Query(query), Body(mut body)): (Query<AccessConfigQuery>, Body<Map<String, Value>>),
) -> Begun {
    let (target, instance) = idle(state, key)?;
    let nic = instance.nic_mut(&query.network_interface)?;
    check_fingerprint(&body, "fingerprint", &nic.fingerprint)?;
    let wanted = body.remove("aliasIpRanges").ok_or_else(|| {
        ApiError::not_emulated("changes of a NIC other than of its aliasIpRanges")
    })?;
    let wanted: Vec<AliasIpRange> = serde_json::from_value(wanted)
        .map_err(|error| ApiError::invalid("aliasIpRanges", "", error))?;
    // The current aliases don't conflict with the new ones.
    nic.alias_ip_ranges.clear();
    let mut changed = nic.clone();
    changed.alias_ip_ranges = wanted;
    changed.fingerprint = fresh_fingerprint();
    let subnet = state.reference::<Subnetwork>("subnetwork", &changed.subnetwork, None)?;
    let subnet = state.ready::<Subnetwork>(&subnet)?.clone();
    changed.settle_aliases(state, &subnet)?;
    let instance = state.ready_mut::<Instance>(key)?;
    *instance.nic_mut(&query.network_interface)? = changed;
    Ok(Request::new("updateNetworkInterface", target, Work::Update))
}
