//! Networks and subnetworks.

use crate::Gce;
use crate::link::name_in;
use crate::operation::{change, look, request};
use google_cloud_compute_v1::model;
use hakube_provider::{Attempt, ErrorKind, NetworkSpec, Result, mark_description};
use ipnet::IpNet;

impl Gce {
    /// See [`hakube_provider::Provider::ensure_network`].
    pub(crate) async fn put_network(&self, spec: &NetworkSpec) -> Result<()> {
        if self.config.is_shared() {
            return self.host_network_exists(&spec.name).await;
        }
        let attempt = Attempt::new("create", format!("network {}", spec.name));
        if self.network(&attempt, &spec.name).await?.is_none() {
            let network = model::Network::new()
                .set_name(&spec.name)
                .set_description(mark_description(&spec.cluster))
                .set_auto_create_subnetworks(spec.subnetwork.is_none());
            let insert = request!(self.networks.insert).set_body(network);
            self.insert(&attempt, change!(insert)).await?;
        }
        match &spec.subnetwork {
            Some((name, range)) => self.ensure_subnetwork(spec, name, *range).await,
            None => Ok(()),
        }
    }

    pub(crate) async fn network(
        &self,
        attempt: &Attempt,
        name: &str,
    ) -> Result<Option<model::Network>> {
        let client = self.clients.networks().await?;
        let get = client
            .get()
            .set_project(&self.config.network_project)
            .set_network(name);
        look(attempt, get.send()).await
    }

    async fn ensure_subnetwork(&self, spec: &NetworkSpec, name: &str, range: IpNet) -> Result<()> {
        let region = &self.config.region;
        let attempt = Attempt::new("create", format!("subnetwork {name} in {region}"));
        let get = request!(self.subnetworks.get in region).set_subnetwork(name);
        if let Some(found) = look(&attempt, get.send()).await? {
            return is_of_network(&attempt, &found, &spec.name);
        }
        let subnetwork = model::Subnetwork::new()
            .set_name(name)
            .set_description(mark_description(&spec.cluster))
            .set_network(self.network_link(&spec.name))
            .set_ip_cidr_range(range.to_string());
        let insert = request!(self.subnetworks.insert in region).set_body(subnetwork);
        self.insert(&attempt, change!(insert)).await
    }
}

pub(crate) fn is_of_network(
    attempt: &Attempt,
    found: &model::Subnetwork,
    network: &str,
) -> Result<()> {
    let of = name_in(found.network.as_deref().unwrap_or_default());
    if of == network {
        return Ok(());
    }
    let message = format!("it exists in network {of}, not in {network}");
    Err(attempt
        .error(ErrorKind::Conflict, message)
        .with_hint("use another subnetwork name"))
}
