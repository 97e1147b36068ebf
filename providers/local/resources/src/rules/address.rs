//! Reserved addresses: external, and internal ones of a subnetwork.

use std::net::Ipv4Addr;

use serde_json::{Map, Value};

use crate::base::{ApiError, Key, Phase};
use crate::rules::managed::{Managed, Seen};
use crate::rules::{addresses, subnetwork};
use crate::state::State;
use crate::types::{Address, Subnetwork};

impl Seen for Address {
    fn complete(&self, state: &State, view: &mut Map<String, Value>) {
        let users: Vec<Value> = addresses::users(state)
            .filter(|(used, _)| Some(*used) == self.address)
            .map(|(_, user)| user.into())
            .collect();
        let ready = state
            .addresses
            .ready()
            .any(|(_, other)| other.meta.id == self.meta.id);
        let status = match (ready, users.is_empty()) {
            (false, _) => "RESERVING",
            (true, true) => "RESERVED",
            (true, false) => "IN_USE",
        };
        view.insert("status".into(), status.into());
        if !users.is_empty() {
            view.insert("users".into(), users.into());
        }
    }
}

impl Managed for Address {
    fn prepare(&mut self, state: &mut State, key: &Key) -> Result<(), ApiError> {
        match self.address_type.as_str() {
            "EXTERNAL" => {}
            "INTERNAL" => {
                self.labels.prepare()?;
                return self.prepare_internal(state, key);
            }
            other => {
                let why = "Must be one of EXTERNAL, INTERNAL.";
                return Err(ApiError::invalid("resource.addressType", other, why));
            }
        }
        match self.address {
            None => {
                self.address = addresses::take_external(state);
                if self.address.is_none() {
                    return Err(ApiError::refused(
                        "The local cloud has no free external addresses.",
                    ));
                }
            }
            // An ephemeral address in use can be promoted to a reserved one.
            Some(wanted) => {
                let reserved = reserved_in(state, wanted).is_some();
                let in_use = addresses::users(state).any(|(used, _)| used == wanted);
                if reserved || !in_use {
                    let why =
                        "The specified address is not in use by a resource, or reserved already.";
                    return Err(ApiError::invalid("resource.address", wanted, why));
                }
            }
        }
        self.labels.prepare()?;
        self.rest.entry("networkTier").or_insert("PREMIUM".into());
        Ok(())
    }

    /// Always `None`: as in the real cloud, an address in use can be deleted. It becomes ephemeral and is
    /// lost when its user releases it.
    fn user(&self, _: &State, _: &Key) -> Option<String> {
        None
    }
}

impl Address {
    fn prepare_internal(&mut self, state: &State, key: &Key) -> Result<(), ApiError> {
        let field = "resource.subnetwork";
        let text = self.rest.get("subnetwork").and_then(Value::as_str);
        let region = key.scope.region().unwrap_or_default();
        let subnet = subnetwork::named(state, field, region, "", text.unwrap_or_default())?;
        let range = state.ready::<Subnetwork>(&subnet)?.ip_cidr_range;
        self.address = Some(subnetwork::take(
            state,
            range,
            "resource.address",
            self.address,
        )?);
        let link = state.link_of::<Subnetwork>(&subnet);
        self.rest.insert("subnetwork".into(), link.into());
        self.rest.entry("purpose").or_insert("GCE_ENDPOINT".into());
        Ok(())
    }
}

/// The reservation of an address, in any region.
pub fn reserved_in(state: &State, address: Ipv4Addr) -> Option<&Key> {
    state
        .addresses
        .iter()
        .find(|(_, reserved)| reserved.address == Some(address))
        .map(|(key, _)| key)
}

/// Rejects an address that isn't reserved in this region, isn't ready, or is in use.
pub fn usable(state: &State, address: Ipv4Addr, region: &str) -> Result<(), ApiError> {
    let key = reserved_in(state, address)
        .filter(|key| key.scope.region() == Some(region))
        .ok_or_else(|| {
            ApiError::refused(format!(
                "The specified external IP address '{address}' was not found in region '{region}'."
            ))
        })?;
    if state
        .addresses
        .get(key)
        .is_some_and(|record| record.phase != Phase::Ready)
    {
        return Err(ApiError::not_ready(&state.path_of::<Address>(key)));
    }
    unused(state, address)
}

/// Rejects an address that an instance or a forwarding rule uses.
pub fn unused(state: &State, address: Ipv4Addr) -> Result<(), ApiError> {
    if addresses::users(state).any(|(used, _)| used == address) {
        return Err(ApiError::refused(
            "Specified IP address is in-use and would result in a conflict.",
        ));
    }
    Ok(())
}
