//! Networks, firewall rules and reserved addresses.

use crate::Gce;
use crate::link::name_in;
use crate::mark::ours;
use crate::operation::{change, look};
use google_cloud_compute_v1::model;
use google_cloud_compute_v1::model::address::AddressType;
use google_cloud_compute_v1::model::firewall::{Allowed, Direction};
use hakube_provider::{
    Address, AddressSpec, Attempt, ErrorKind, Firewall, FirewallSource, FirewallSpec, NetworkSpec,
    Reach, ResourceId, ResourceKind, Result, Scope, mark_description,
};
use ipnet::IpNet;
use std::collections::BTreeSet;

impl Gce {
    /// See [`hakube_provider::Provider::ensure_network`].
    pub(crate) async fn network_exists(&self, spec: &NetworkSpec) -> Result<()> {
        if self.config.is_shared() {
            return self.host_network_exists(&spec.name).await;
        }
        let attempt = Attempt::new("create", format!("network {}", spec.name));
        let client = self.clients.networks().await?;
        if self.network(&attempt, &spec.name).await?.is_none() {
            let network = model::Network::new()
                .set_name(&spec.name)
                .set_description(mark_description(&spec.cluster))
                .set_auto_create_subnetworks(spec.subnetwork.is_none());
            let insert = client
                .insert()
                .set_project(&self.config.project)
                .set_body(network);
            self.insert(&attempt, change!(insert)).await?;
        }
        match &spec.subnetwork {
            Some((name, range)) => self.subnetwork_exists(spec, name, *range).await,
            None => Ok(()),
        }
    }

    /// The network of that name.
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

    async fn subnetwork_exists(&self, spec: &NetworkSpec, name: &str, range: IpNet) -> Result<()> {
        let region = &self.config.region;
        let attempt = Attempt::new("create", format!("subnetwork {name} in {region}"));
        let client = self.clients.subnetworks().await?;
        let get = client
            .get()
            .set_project(&self.config.project)
            .set_region(region)
            .set_subnetwork(name);
        if let Some(found) = look(&attempt, get.send()).await? {
            return is_of_network(&attempt, &found, &spec.name);
        }
        let subnetwork = model::Subnetwork::new()
            .set_name(name)
            .set_description(mark_description(&spec.cluster))
            .set_network(self.network_link(&spec.name))
            .set_ip_cidr_range(range.to_string());
        let insert = client
            .insert()
            .set_project(&self.config.project)
            .set_region(region)
            .set_body(subnetwork);
        self.insert(&attempt, change!(insert)).await
    }

    /// See [`hakube_provider::Provider::ensure_firewall`].
    pub(crate) async fn firewall_exists(&self, spec: &FirewallSpec) -> Result<()> {
        let made = self.make_firewall(spec).await;
        made.map_err(|error| self.config.for_the_host(ResourceKind::Firewall, error))
    }

    async fn make_firewall(&self, spec: &FirewallSpec) -> Result<()> {
        let id = ResourceId {
            kind: ResourceKind::Firewall,
            scope: Scope::Global,
            name: spec.name.clone(),
        };
        let attempt = self.config.attempt("create", &id);
        let owner = self.config.owner(id.kind, &spec.cluster);
        let project = &self.config.network_project;
        let client = self.clients.firewalls().await?;
        let get = client.get().set_project(project).set_firewall(&spec.name);
        let wanted = rule(spec, &owner, self.network_link(&spec.network));
        let Some(found) = look(&attempt, get.send()).await? else {
            let insert = client.insert().set_project(project).set_body(wanted);
            return self.insert(&attempt, change!(insert)).await;
        };
        let found = ours(&attempt, &owner, found)?;
        if firewall(&found) == Firewall::from(spec) {
            return Ok(());
        }
        // Not a patch: that can't empty a list, and a rule with both ranges and tags lets both in.
        let update = client
            .update()
            .set_project(project)
            .set_firewall(&spec.name)
            .set_body(wanted);
        self.run(&attempt.to("update"), change!(update)).await
    }

    /// See [`hakube_provider::Provider::ensure_address`].
    pub(crate) async fn address_exists(&self, spec: &AddressSpec) -> Result<Address> {
        let attempt = self.address_attempt("reserve", &spec.name);
        if let Some(found) = self.address(&spec.name).await? {
            return reservation(&attempt, &ours(&attempt, &spec.cluster, found)?);
        }
        let wanted = model::Address::new()
            .set_name(&spec.name)
            .set_description(mark_description(&spec.cluster));
        let wanted = match &spec.reach {
            Reach::Anywhere => wanted.set_address_type(AddressType::External),
            Reach::Within { subnetwork, .. } => wanted
                .set_address_type(AddressType::Internal)
                .set_subnetwork(self.subnetwork_link(subnetwork)),
        };
        let insert = self
            .clients
            .addresses()
            .await?
            .insert()
            .set_project(&self.config.project)
            .set_region(&self.config.region)
            .set_body(wanted);
        self.insert(&attempt, change!(insert)).await?;
        match self.address(&spec.name).await? {
            Some(made) => reservation(&attempt, &made),
            None => Err(attempt.error(
                ErrorKind::Transient { retry_after: None },
                "it is gone again, a moment after it was made",
            )),
        }
    }

    /// The reservation of that name.
    pub(crate) async fn address(&self, name: &str) -> Result<Option<model::Address>> {
        let attempt = self.address_attempt("read", name);
        let client = self.clients.addresses().await?;
        let get = client
            .get()
            .set_project(&self.config.project)
            .set_region(&self.config.region)
            .set_address(name);
        look(&attempt, get.send()).await
    }

    /// The reservation of that name, which must exist.
    pub(crate) async fn reserved(&self, name: &str) -> Result<Address> {
        let attempt = self.address_attempt("use", name);
        match self.address(name).await? {
            Some(found) => reservation(&attempt, &found),
            None => Err(attempt.error(ErrorKind::Invalid, "it isn't reserved")),
        }
    }

    pub(crate) fn address_attempt(&self, action: &'static str, name: &str) -> Attempt {
        Attempt::new(action, format!("address {name} in {}", self.config.region))
    }
}

/// The reservation, once it has an address.
pub(crate) fn reservation(attempt: &Attempt, found: &model::Address) -> Result<Address> {
    let address = found.address.as_deref().and_then(|text| text.parse().ok());
    match (&found.name, address) {
        (Some(name), Some(address)) => Ok(Address {
            name: name.clone(),
            address,
        }),
        _ => Err(attempt.error(
            ErrorKind::Transient { retry_after: None },
            "it is still being reserved",
        )),
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
    let message = format!("it exists, in network {of} and not in {network}");
    Err(attempt
        .error(ErrorKind::Conflict, message)
        .with_hint("choose another subnetwork, or name another in its place"))
}

fn rule(spec: &FirewallSpec, owner: &str, network: String) -> model::Firewall {
    let rule = model::Firewall::new()
        .set_name(&spec.name)
        .set_description(mark_description(owner))
        .set_network(network)
        .set_direction(Direction::Ingress)
        .set_target_tags([&spec.target_tag])
        .set_allowed([Allowed::new()
            .set_ip_protocol("tcp")
            .set_ports(&spec.tcp_ports)]);
    match &spec.source {
        FirewallSource::Ranges(ranges) => {
            rule.set_source_ranges(ranges.iter().map(IpNet::to_string))
        }
        FirewallSource::Tags(tags) => rule.set_source_tags(tags),
    }
}

/// What a rule does, in the vocabulary of all providers.
pub(crate) fn firewall(found: &model::Firewall) -> Firewall {
    fn set(words: &[String]) -> BTreeSet<String> {
        words.iter().cloned().collect()
    }
    let allowed = found.allowed.iter().flat_map(|allowed| {
        let protocol = allowed.ip_protocol.as_deref().unwrap_or_default();
        let all = allowed.ports.is_empty().then(|| protocol.to_owned());
        let ports = allowed.ports.iter();
        all.into_iter()
            .chain(ports.map(move |port| format!("{protocol}:{port}")))
    });
    Firewall {
        name: found.name.clone().unwrap_or_default(),
        network: name_in(found.network.as_deref().unwrap_or_default()).to_owned(),
        source_ranges: set(&found.source_ranges),
        source_tags: set(&found.source_tags),
        target_tags: set(&found.target_tags),
        allowed: allowed.collect(),
        enabled: !found.disabled.unwrap_or_default(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    const OWNER: &str = "kubernetes";

    fn spec(source: FirewallSource, ports: &[&str]) -> FirewallSpec {
        FirewallSpec {
            cluster: "kubernetes".into(),
            name: "kubernetes-master-https".into(),
            network: "default".into(),
            source,
            target_tag: "kubernetes-master".into(),
            tcp_ports: ports.iter().map(ToString::to_string).collect(),
        }
    }

    fn ranges(ranges: &[&str]) -> FirewallSource {
        FirewallSource::Ranges(ranges.iter().map(|range| range.parse().unwrap()).collect())
    }

    #[test]
    fn order_and_the_form_of_a_link_make_no_difference() {
        let wanted = spec(ranges(&["10.0.0.0/8", "192.168.0.0/16"]), &["443", "6443"]);
        let found = rule(
            &spec(ranges(&["192.168.0.0/16", "10.0.0.0/8"]), &["6443", "443"]),
            OWNER,
            "https://www.googleapis.com/compute/v1/projects/p/global/networks/default".into(),
        );
        assert_eq!(firewall(&found), Firewall::from(&wanted));
    }

    #[test]
    fn any_other_traffic_is_a_difference() {
        let link = || "projects/p/global/networks/default".to_owned();
        let wanted = spec(ranges(&["0.0.0.0/0"]), &["6443"]);
        let made = rule(&wanted, OWNER, link());
        assert_eq!(firewall(&made), Firewall::from(&wanted));
        let others = [
            rule(&spec(ranges(&["10.0.0.0/8"]), &["6443"]), OWNER, link()),
            rule(&spec(ranges(&["0.0.0.0/0"]), &["443"]), OWNER, link()),
            rule(
                &spec(FirewallSource::Tags(vec!["a".into()]), &["6443"]),
                OWNER,
                link(),
            ),
            rule(&wanted, OWNER, "global/networks/x".into()),
            made.clone().set_source_tags(["a"]),
            made.clone().set_target_tags(["a"]),
            made.clone().set_disabled(true),
            made.clone()
                .set_allowed([Allowed::new().set_ip_protocol("tcp")]),
            made.clone()
                .set_allowed([Allowed::new().set_ip_protocol("udp").set_ports(["6443"])]),
        ];
        for other in others {
            assert_ne!(firewall(&other), Firewall::from(&wanted), "{other:?}");
        }
    }
}
