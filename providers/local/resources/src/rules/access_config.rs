//! External addresses of instances.

use crate::base::{ApiError, link, region_of};
use crate::rules::{address, addresses};
use crate::state::State;
use crate::types::{AccessConfig, Instance, NetworkInterface};

/// Validates an access config and assigns its address: the reserved one that it names, or the next free one.
pub fn assign_external(
    state: &mut State,
    region: &str,
    config: &mut AccessConfig,
) -> Result<(), ApiError> {
    if config.kind != "ONE_TO_ONE_NAT" {
        let why = "Must be ONE_TO_ONE_NAT.";
        return Err(ApiError::invalid("accessConfig.type", &config.kind, why));
    }
    match config.nat_ip {
        Some(wanted) => address::usable(state, wanted, region)?,
        None => {
            config.nat_ip = Some(addresses::take_external(state).ok_or_else(|| {
                ApiError::refused("The local cloud has no free external addresses.")
            })?);
        }
    }
    config
        .rest
        .insert("kind".into(), "compute#accessConfig".into());
    config.rest.entry("networkTier").or_insert("PREMIUM".into());
    Ok(())
}

impl Instance {
    /// The NIC that a request names.
    pub fn nic_mut(&mut self, name: &str) -> Result<&mut NetworkInterface, ApiError> {
        let mut nics = self.network_interfaces.iter_mut();
        nics.find(|nic| nic.name == name).ok_or_else(|| {
            let why = "The specified network interface does not exist.";
            ApiError::invalid("networkInterface", name, why)
        })
    }

    /// Rejects a second access config of the NIC.
    pub fn accepts_config(&mut self, nic: &str) -> Result<(), ApiError> {
        if self.nic_mut(nic)?.access_configs.is_empty() {
            return Ok(());
        }
        Err(ApiError::refused(
            "At most one access config currently supported.",
        ))
    }
}

/// Releases the ephemeral address of a stopped instance. It keeps a reserved one.
pub fn release_ephemeral(state: &State, instance: &mut Instance) {
    for nic in &mut instance.network_interfaces {
        for config in &mut nic.access_configs {
            let reserved = |ip| address::reserved_in(state, ip).is_some();
            config.nat_ip = config.nat_ip.filter(|ip| reserved(*ip));
        }
    }
}

/// Assigns a new ephemeral address to a starting instance if it had one before.
pub fn acquire_ephemeral(state: &mut State, instance: &mut Instance) -> Result<(), ApiError> {
    let region = instance.meta.zone.as_deref().unwrap_or_default();
    let region = region_of(link::last(region)).to_owned();
    for nic in &mut instance.network_interfaces {
        for config in nic.access_configs.iter_mut().filter(|c| c.nat_ip.is_none()) {
            assign_external(state, &region, config)?;
        }
    }
    Ok(())
}
