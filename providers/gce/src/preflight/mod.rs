//! Finds what would fail before anything is created.
//!
//! The project is read first: if that fails, everything else would fail with the same error. Then
//! everything is read concurrently, and pure functions evaluate the results.
//!
//! A zone's capacity can't be known in advance: Compute Engine reports it only by failing.

mod limits;
mod permissions;
mod places;
mod quota;
mod taken;

use crate::Gce;
use crate::error::Fault;
use crate::operation::request;
use google_cloud_compute_v1::model;
use hakube_provider::{Attempt, ErrorKind, PreflightSpec, ProviderError, Result};
use quota::{Demand, Quotas};

impl Gce {
    /// See [`hakube_provider::Provider::preflight`].
    pub(crate) async fn findings(&self, spec: &PreflightSpec) -> Result<Vec<ProviderError>> {
        let (project, host) = futures::join!(self.project(), self.host());
        let (project, host) = match (project, host) {
            (Ok(project), Ok(host)) => (project, host),
            (Err(error), _) | (_, Err(error)) if error.is_transient() => return Err(error),
            (project, host) => return Ok(project.err().into_iter().chain(host.err()).collect()),
        };
        let (region, zones, types, images, taken) = futures::join!(
            self.region(),
            self.zone_findings(spec),
            self.machine_types(spec),
            self.images(spec),
            self.taken(spec)
        );
        let mut findings = limits::findings(spec);
        findings.extend(zones.findings);
        // Machine types are always missing in an unusable zone. Don't report both.
        let (types, missing) = types;
        let new = missing
            .into_iter()
            .filter(|(zone, _)| !zones.unusable.contains(zone))
            .map(|(_, finding)| finding);
        findings.extend(new);
        findings.extend(images);
        let there = taken.there;
        findings.extend(taken.findings);
        findings.extend(self.permission_findings(spec, &there).await);
        let quotas = match &region {
            Ok(region) => Quotas::new(&project, region),
            Err(_) => Quotas::of_project(&project),
        };
        findings.extend(region.err());
        let mut demand = Demand::new(spec, &types, &there);
        if self.config.is_shared() {
            findings.extend(self.host_finding().await);
            let on_network = demand.split_network();
            let quotas = host.as_ref().map(Quotas::of_project);
            findings.extend(quotas.map_or_else(Vec::new, |it| it.short_of(&on_network)));
        }
        findings.extend(quotas.short_of(&demand));
        if let Some(passing) = findings.iter().position(ProviderError::is_transient) {
            return Err(findings.swap_remove(passing));
        }
        Ok(distinct(findings))
    }

    async fn project(&self) -> Result<model::Project> {
        self.project_called(&self.config.project).await
    }

    /// The host project of a Shared VPC; `None` if there is none, or the operator has no permission
    /// to read it.
    async fn host(&self) -> Result<Option<model::Project>> {
        if !self.config.is_shared() {
            return Ok(None);
        }
        match self.project_called(&self.config.network_project).await {
            Ok(host) => Ok(Some(host)),
            Err(error) if error.kind == ErrorKind::Denied => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn project_called(&self, name: &str) -> Result<model::Project> {
        let attempt = Attempt::new("use", format!("project {name}"));
        let get = self.clients.projects().await?.get().set_project(name);
        get.send()
            .await
            .map_err(|error| places::no_project(attempt.failed(&Fault::from(error))))
    }

    async fn region(&self) -> Result<model::Region> {
        let attempt = Attempt::new("use", format!("region {}", self.config.region));
        let get = request!(self.regions.get in region);
        get.send()
            .await
            .map_err(|error| attempt.failed(&Fault::from(error)))
    }
}

/// Removes duplicates: a missing permission, or clients that can't be built, would otherwise be
/// reported for every call.
fn distinct(findings: Vec<ProviderError>) -> Vec<ProviderError> {
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
