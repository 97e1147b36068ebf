//! Alias ranges: how a machine holds an internal address besides its own.

use super::FIRST_INTERFACE;
use crate::Gce;
use crate::error::Attempt;
use crate::machine::{alias_address, alias_range};
use google_cloud_compute_v1::model;
use hakube_provider::{ErrorKind, MachineRef, Result};
use serde_json::json;
use std::net::IpAddr;

impl Gce {
    /// Changes the addresses that an interface answers to besides its own. Ranges of more than one address stay
    /// as they are. What others change meanwhile makes the fingerprint another one, and this is refused.
    pub(super) async fn change_aliases(
        &self,
        attempt: &Attempt,
        machine: &MachineRef,
        interface: &str,
        change: impl FnOnce(&mut Vec<IpAddr>),
    ) -> Result<()> {
        let found = self.instance(machine).await?;
        let interfaces = found.into_iter().flat_map(|found| found.network_interfaces);
        let is_it = |nic: &model::NetworkInterface| {
            nic.name.as_deref().unwrap_or(FIRST_INTERFACE) == interface
        };
        let Some(nic) = interfaces.into_iter().find(is_it) else {
            let message = format!("it has no interface {interface} any more");
            return Err(attempt.error(ErrorKind::Transient { retry_after: None }, message));
        };
        let (single, mut ranges): (Vec<_>, Vec<_>) = nic
            .alias_ip_ranges
            .into_iter()
            .partition(|range| alias_address(range).is_some());
        let mut addresses = single.iter().filter_map(alias_address).collect();
        change(&mut addresses);
        ranges.extend(addresses.into_iter().map(alias_range));
        let path = format!(
            "projects/{}/zones/{}/instances/{}/updateNetworkInterface",
            self.config.project, machine.zone, machine.name
        );
        // Google's client leaves out an empty list, and what is left out isn't changed.
        let mut body =
            json!(model::NetworkInterface::new().set_or_clear_fingerprint(nic.fingerprint));
        body["aliasIpRanges"] = json!(ranges);
        self.run(attempt, |id| async move {
            let (interface, id) = (interface.to_owned(), id.to_string());
            let query = [("networkInterface", interface), ("requestId", id)];
            self.clients.rest().patch(&path, &query, &body).await
        })
        .await
    }
}
