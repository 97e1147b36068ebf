//! Shared VPC: networks of another project, the host, that the cloud's own project may use.

use crate::base::{ApiError, Key};
use crate::state::State;
use crate::types::Network;

const REFUSED: &str = "Cross project referencing is not allowed for this resource.";

/// The network of a firewall rule or a subnetwork, which must be in the same project.
pub fn own_network(state: &State, text: &str, of: &Key) -> Result<Key, ApiError> {
    let field = "resource.network";
    let network = state.reference::<Network>(field, text, of.project.as_deref())?;
    if network.project != of.project {
        return Err(ApiError::invalid(field, text, REFUSED));
    }
    state.ready::<Network>(&network)?;
    Ok(network)
}

/// Rejects a network or subnetwork that isn't shared with the cloud's own project.
pub fn check_use(state: &State, field: &str, text: &str, used: &Key) -> Result<(), ApiError> {
    if used.project.is_none() || used.project == state.shared_vpc {
        return Ok(());
    }
    Err(ApiError::invalid(field, text, REFUSED))
}
