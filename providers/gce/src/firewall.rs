//! Firewall rules.

use crate::Gce;
use crate::link::name_in;
use crate::mark::ours;
use crate::operation::{change, look};
use google_cloud_compute_v1::model;
use google_cloud_compute_v1::model::firewall::{Allowed, Direction};
use hakube_provider::{
    Firewall, FirewallSource, FirewallSpec, ResourceId, ResourceKind, Result, Scope,
    mark_description,
};
use ipnet::IpNet;
use std::collections::BTreeSet;

impl Gce {
    /// See [`hakube_provider::Provider::ensure_firewall`].
    pub(crate) async fn put_firewall(&self, spec: &FirewallSpec) -> Result<()> {
        let made = self.make_firewall(spec).await;
        made.map_err(|error| self.config.for_the_host(ResourceKind::Firewall, error))
    }

    async fn make_firewall(&self, spec: &FirewallSpec) -> Result<()> {
        let id = ResourceId::new(ResourceKind::Firewall, Scope::Global, &spec.name);
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
        // Not a patch: it can't empty a list, and a rule with both ranges and tags allows both.
        let update = client
            .update()
            .set_project(project)
            .set_firewall(&spec.name)
            .set_body(wanted);
        self.run(&attempt.to("update"), change!(update)).await
    }
}

fn rule(spec: &FirewallSpec, owner: &str, network: String) -> model::Firewall {
    let allowed = [("tcp", &spec.tcp_ports), ("udp", &spec.udp_ports)];
    let allowed = allowed.into_iter().filter(|(_, ports)| !ports.is_empty());
    let rule = model::Firewall::new()
        .set_name(&spec.name)
        .set_description(mark_description(owner))
        .set_network(network)
        .set_direction(Direction::Ingress)
        .set_target_tags([&spec.target_tag])
        .set_allowed(
            allowed
                .map(|(protocol, ports)| Allowed::new().set_ip_protocol(protocol).set_ports(ports)),
        );
    match &spec.source {
        FirewallSource::Ranges(ranges) => {
            rule.set_source_ranges(ranges.iter().map(IpNet::to_string))
        }
        FirewallSource::Tags(tags) => rule.set_source_tags(tags),
    }
}

/// Converts a rule to the provider API's type.
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
            udp_ports: Vec::new(),
        }
    }

    fn ranges(ranges: &[&str]) -> FirewallSource {
        FirewallSource::Ranges(ranges.iter().map(|range| range.parse().unwrap()).collect())
    }

    #[test]
    fn order_and_link_form_make_no_difference() {
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
        let with_udp = FirewallSpec {
            udp_ports: vec!["8472".into()],
            ..wanted.clone()
        };
        let others = [
            rule(&with_udp, OWNER, link()),
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
