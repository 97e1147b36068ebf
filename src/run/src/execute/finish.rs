//! The user's kubeconfig, and the check that nothing remains.

use super::Execution;
use hakube_error::{Error, Kind, Result};
use hakube_kubeconfig::{self as kubeconfig, Access, Credentials, CurrentContext};
use hakube_output::Event;
use hakube_pki as pki;

impl Execution<'_> {
    pub(super) fn write_kubeconfig(&self) -> Result<()> {
        let access = admin_access(self.intent, self.means, self.endpoint()?)?;
        // A new cluster becomes the current context. A repaired or renewed entry leaves the current context alone.
        let files = &self.means.kubeconfig;
        let current = if self.intent.formed && kubeconfig::has_current(files) {
            CurrentContext::Keep
        } else {
            CurrentContext::Switch
        };
        let path = kubeconfig::install(files, &access, current)?;
        self.reporter.event(&Event::note(format!(
            "wrote context {} to {}",
            self.means.context,
            path.display()
        )));
        Ok(())
    }

    pub(super) fn remove_kubeconfig(&self) -> Result<()> {
        kubeconfig::uninstall(&self.means.kubeconfig, &self.means.context)?;
        Ok(())
    }

    /// Checks that the inventory is empty. The error lists what remains.
    pub(super) async fn prove_empty(&self) -> Result<()> {
        let cluster = &self.intent.spec.cluster;
        let inventory = self
            .means
            .provider
            .inspect(&self.intent.spec.mark())
            .await?;
        let left = inventory
            .resources
            .iter()
            .filter(|resource| !self.intent.keeps(resource));
        let mut names: Vec<String> = left.map(ToString::to_string).collect();
        let zones = &inventory.unreachable;
        let machines = &inventory.unreachable_machines;
        if !zones.is_empty() || !machines.is_empty() {
            let zones = zones.iter();
            names.extend(zones.map(|(zone, why)| format!("zone {zone} is unreachable: {why}")));
            // This includes unreachable hosts that were never in the cluster.
            let machines = machines.iter();
            names.extend(machines.map(|(name, why)| {
                format!("host {name} is unreachable and may have the cluster's units, files and data: {why}")
            }));
            return Err(Error::new(
                Kind::LeftBehind,
                format!("could not check whether resources of cluster {cluster} remain"),
            )
            .because(names.join("\n"))
            .hint("make them reachable again; then: hakube down"));
        }
        if names.is_empty() {
            return Ok(());
        }
        Err(Error::new(
            Kind::LeftBehind,
            format!("{} resources of cluster {cluster} remain", names.len()),
        )
        .because(names.join("\n"))
        .hint("retry: hakube down"))
    }
}

/// Admin access, with a fresh client certificate.
pub fn admin_access(
    intent: &hakube_model::Intent,
    means: &crate::Means,
    endpoint: std::net::SocketAddr,
) -> Result<Access> {
    let admin =
        pki::admin(&means.authorities, intent.spec.pki, means.clock.now()).map_err(|error| {
            Error::failed("could not sign the administrator's certificate").because(error)
        })?;
    Ok(Access {
        cluster: means.context.clone(),
        user: means.context.clone(),
        context: means.context.clone(),
        id: intent.spec.id().map(str::to_owned),
        server: kubeconfig::server_url(endpoint),
        ca: admin.ca,
        credentials: Credentials::Certificate {
            certificate: admin.certificate,
            key: admin.key,
        },
    })
}
