//! Alias ranges, by which a machine holds an internal address in addition to its own.

use super::swap::FIRST_INTERFACE;
use crate::Gce;
use google_cloud_compute_v1::model;
use hakube_provider::{Attempt, ErrorKind, MachineRef, Result};
use serde_json::json;

impl Gce {
    /// Changes an interface's alias ranges. Ranges that `change` keeps are sent back unchanged,
    /// including the name of their subnetwork range.
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
            let message = format!("it no longer has the interface {interface}");
            return Err(attempt.error(ErrorKind::TRANSIENT, message));
        };
        change(&mut nic.alias_ip_ranges);
        let path = format!(
            "projects/{}/zones/{}/instances/{}/updateNetworkInterface",
            self.config.project, machine.zone, machine.name
        );
        // Google's client omits an empty list, and the API doesn't change what is omitted.
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
