//! Networks.

use axum::Router;
use axum::routing::post;
use hakube_local_resources::types::{Network, Request};
use hakube_local_resources::{ApiError, Key, State};

use crate::calls::crud::{self, Begun, begins};
use crate::calls::patch;
use crate::cloud::Cloud;

/// The routes of networks.
pub fn routes() -> Router<Cloud> {
    let to_custom = format!("{}/switchToCustomMode", crud::one::<Network>());
    patch::routes::<Network>().route(&to_custom, post(begins(switch_to_custom)))
}

/// Existing subnetworks stay.
fn switch_to_custom(state: &mut State, key: &Key, (): ()) -> Begun {
    let network = state.ready_mut::<Network>(key)?;
    if !network.auto_create_subnetworks {
        let why = "The network is in custom subnet mode already.";
        return Err(ApiError::invalid("network", &key.name, why));
    }
    network.auto_create_subnetworks = false;
    Ok(Request::update::<Network>("switchToCustomMode", key))
}
