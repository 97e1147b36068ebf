//! The user's kubeconfig, and the proof that nothing is left.

use super::Execution;
use crate::error::{Error, Kind, Result};
use crate::kubeconfig::{self, Access, Credentials};
use crate::output::Event;
use crate::pki;

impl Execution<'_> {
    pub(super) fn write_kubeconfig(&self) -> Result<()> {
        let access = admin_access(self.intent, self.means, self.endpoint()?)?;
        let path = kubeconfig::install(&self.means.kubeconfig, &access, true)?;
        self.reporter.event(&Event::note(format!(
            "context {} is in {}",
            self.means.context,
            path.display()
        )));
        Ok(())
    }

    pub(super) fn remove_kubeconfig(&self) -> Result<()> {
        kubeconfig::uninstall(&self.means.kubeconfig, &self.means.context)?;
        Ok(())
    }

    /// Invariant 3: an empty inventory, or the names of what is in it.
    pub(super) async fn prove_empty(&self) -> Result<()> {
        let cluster = &self.intent.spec.cluster;
        let inventory = self.means.provider.inspect(cluster).await?;
        let left = inventory
            .resources
            .iter()
            .filter(|resource| !self.intent.keeps(resource));
        let mut names: Vec<String> = left.map(ToString::to_string).collect();
        let zones = &inventory.unreachable;
        let machines = &inventory.unreachable_machines;
        if !zones.is_empty() || !machines.is_empty() {
            let zones = zones.iter();
            names.extend(zones.map(|(zone, why)| format!("zone {zone} can't be asked: {why}")));
            // Hosts in the inventory that the cluster never had, and that are off, are in doubt too.
            let machines = machines.iter();
            names.extend(machines.map(|(name, why)| {
                format!("host {name} can't be asked, and may have units, files and data of the cluster: {why}")
            }));
            return Err(Error::new(
                Kind::LeftBehind,
                format!("it isn't known whether anything of cluster {cluster} is left"),
            )
            .because(names.join("\n"))
            .hint("bring that host back, or the way to it; then: hakube down"));
        }
        if names.is_empty() {
            return Ok(());
        }
        Err(Error::new(
            Kind::LeftBehind,
            format!("{} resources of cluster {cluster} are left", names.len()),
        )
        .because(names.join("\n"))
        .hint("to try again: hakube down"))
    }
}

/// The administrator's way in, with a fresh certificate.
pub fn admin_access(
    intent: &crate::cluster::Intent,
    means: &crate::run::Means,
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
        server: kubeconfig::server_url(endpoint),
        ca: admin.ca,
        credentials: Credentials::Certificate {
            certificate: admin.certificate,
            key: admin.key,
        },
    })
}
