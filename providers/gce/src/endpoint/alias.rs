//! Alias ranges: how a machine holds an internal address besides its own.

use super::FIRST_INTERFACE;
use crate::Gce;
use google_cloud_compute_v1::model;
use hakube_provider::{Attempt, ErrorKind, MachineRef, Result};
use serde_json::json;

impl Gce {
    /// Changes the ranges that an interface answers to besides its own address. What `change` leaves alone is
    /// sent back as it was found, with the name of the subnetwork's range that it is from.
    pub(super) async fn change_aliases(
        &self,
        attempt: &Attempt,
        machine: &MachineRef,
        interface: &str,
        change: impl FnOnce(&mut Vec<model::AliasIpRange>),
    ) -> Result<()> {
        let found = self.instance(machine).await?;
        let interfaces = found.into_iter().flat_map(|found| found.network_interfaces);
        let is_it = |nic: &model::NetworkInterface| {
            nic.name.as_deref().unwrap_or(FIRST_INTERFACE) == interface
        };
        let Some(mut nic) = interfaces.into_iter().find(is_it) else {
            let message = format!("it has no interface {interface} any more");
            return Err(attempt.error(ErrorKind::Transient { retry_after: None }, message));
        };
        change(&mut nic.alias_ip_ranges);
        let path = format!(
            "projects/{}/zones/{}/instances/{}/updateNetworkInterface",
            self.config.project, machine.zone, machine.name
        );
        // Google's client leaves out an empty list, and what is left out isn't changed.
        let mut body =
            json!(model::NetworkInterface::new().set_or_clear_fingerprint(nic.fingerprint));
        body["aliasIpRanges"] = json!(nic.alias_ip_ranges);
        self.update(attempt, |id| async move {
            let (interface, id) = (interface.to_owned(), id.to_string());
            let query = [("networkInterface", interface), ("requestId", id)];
            self.clients.rest().patch(&path, &query, &body).await
        })
        .await
    }
}
