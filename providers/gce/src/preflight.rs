//! What can't work, found before anything is made.

use crate::Gce;
use crate::error::Attempt;
use crate::link::name_in;
use crate::operation::{every, look};
use futures::future::join_all;
use google_cloud_compute_v1::model;
use google_cloud_compute_v1::model::zone::Status;
use hakube_provider::{ErrorKind, PreflightSpec, ProviderError, Result};

impl Gce {
    /// See [`hakube_provider::Provider::preflight`].
    pub(crate) async fn findings(&self, spec: &PreflightSpec) -> Result<Vec<ProviderError>> {
        let zones = join_all(spec.zones.iter().map(|zone| self.zone_finding(zone)));
        let pairs = spec
            .zones
            .iter()
            .flat_map(|zone| spec.machine_types.iter().map(move |size| (zone, size)));
        let types = join_all(pairs.map(|(zone, size)| self.machine_type_finding(zone, size)));
        let (zones, types) = futures::join!(zones, types);
        let unusable = |zone: &str| {
            spec.zones
                .iter()
                .zip(&zones)
                .any(|(name, found)| name == zone && found.is_some())
        };
        // That a machine type is missing in a zone that is missing says nothing new.
        let types = types
            .into_iter()
            .flatten()
            .filter(|(zone, _)| !unusable(zone))
            .map(|(_, finding)| finding)
            .collect::<Vec<_>>();
        Ok(distinct(zones.into_iter().flatten().chain(types)))
    }

    /// See [`hakube_provider::Provider::zones`].
    pub(crate) async fn zones_up(&self) -> Result<Vec<String>> {
        let attempt = Attempt::new("list", "the project's zones");
        let list = self
            .clients
            .zones()
            .await?
            .list()
            .set_project(&self.config.project);
        let zones: Vec<model::Zone> = every!(attempt, list);
        let usable = |zone: &model::Zone| judge(&attempt, zone, &self.config.region).is_none();
        let names = zones
            .into_iter()
            .filter(usable)
            .filter_map(|zone| zone.name);
        let mut names: Vec<String> = names.collect();
        names.sort_unstable();
        Ok(names)
    }

    async fn zone_finding(&self, zone: &str) -> Option<ProviderError> {
        let attempt = Attempt::new("use", format!("zone {zone}"));
        match self.zone(&attempt, zone).await {
            Ok(Some(found)) => judge(&attempt, &found, &self.config.region),
            Ok(None) => Some(
                attempt
                    .error(ErrorKind::Invalid, "there is no such zone")
                    .with_hint("`gcloud compute zones list` shows them all"),
            ),
            Err(error) => Some(error),
        }
    }

    async fn zone(&self, attempt: &Attempt, zone: &str) -> Result<Option<model::Zone>> {
        let get = self
            .clients
            .zones()
            .await?
            .get()
            .set_project(&self.config.project)
            .set_zone(zone);
        look(attempt, get.send()).await
    }

    async fn machine_type_finding<'a>(
        &self,
        zone: &'a str,
        size: &str,
    ) -> Option<(&'a str, ProviderError)> {
        let attempt = Attempt::new("use", format!("machine type {size} in {zone}"));
        let finding = match self.machine_type(&attempt, zone, size).await {
            Ok(Some(_)) => return None,
            Ok(None) => attempt
                .error(ErrorKind::Invalid, "the zone has no such machine type")
                .with_hint(format!(
                    "`gcloud compute machine-types list --zones {zone}` shows what it has"
                )),
            Err(error) => error,
        };
        Some((zone, finding))
    }

    async fn machine_type(
        &self,
        attempt: &Attempt,
        zone: &str,
        size: &str,
    ) -> Result<Option<model::MachineType>> {
        let get = self
            .clients
            .machine_types()
            .await?
            .get()
            .set_project(&self.config.project)
            .set_zone(zone)
            .set_machine_type(size);
        look(attempt, get.send()).await
    }
}

fn judge(attempt: &Attempt, zone: &model::Zone, region: &str) -> Option<ProviderError> {
    let of = name_in(zone.region.as_deref().unwrap_or_default());
    if of != region {
        let message = format!("it is in region {of}, and the cluster is in {region}");
        return Some(attempt.error(ErrorKind::Invalid, message));
    }
    (zone.status != Some(Status::Up)).then(|| {
        attempt
            .error(ErrorKind::NoCapacity, "Compute Engine says that it is down")
            .with_hint("try another zone of the region")
    })
}

/// Each finding once: missing credentials, or clients that can't be built, would otherwise be found for
/// every call.
fn distinct(findings: impl IntoIterator<Item = ProviderError>) -> Vec<ProviderError> {
    let mut kept: Vec<ProviderError> = Vec::new();
    for finding in findings {
        let known = |other: &ProviderError| {
            other.kind == finding.kind
                && other.message == finding.message
                && matches!(finding.kind, ErrorKind::Denied | ErrorKind::Fatal)
        };
        if !kept.iter().any(known) {
            kept.push(finding);
        }
    }
    kept
}
