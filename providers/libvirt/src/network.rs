//! The cluster's own network on each host. It has the ownership label and the reservation of the
//! endpoint's address.
//!
//! It is either a complete network with its own bridge, or just a libvirt network for an existing bridge.
//!
//! Source: <https://libvirt.org/formatnetwork.html>

use crate::config::{AddressPlan, HostNetwork};
use crate::domain::mac;
use crate::error::Answer;
use crate::host::Host;
use crate::mark::{NetworkMark, network_name, strange};
use crate::memory::Agreed;
use crate::xml;
use crate::{Libvirt, of_those_that_answer};
use futures::future::join_all;
use hakube_provider::{Attempt, ErrorKind, Result};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::net::Ipv4Addr;
use std::result;
use uuid::Uuid;

/// The XML of a cluster's network. Pure.
fn described(
    plan: &AddressPlan,
    mark: &NetworkMark,
    bridge: Option<&str>,
) -> result::Result<String, String> {
    let cluster = &mark.cluster;
    let name = network_name(cluster);
    let uuid = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
    let mut network = json!({
        "name": name,
        "uuid": uuid.to_string(),
        "metadata": mark.metadata(),
    });
    if let Some(bridge) = bridge {
        network["forward"] = json!({ "@mode": "bridge" });
        network["bridge"] = json!({ "@name": bridge });
        return Ok(xml::document("network", &network));
    }
    let gateway = plan
        .gateway
        .ok_or("the cluster's own network needs a gateway: the host's address in it")?;
    // No DHCP: a machine's address is in its seed.
    let answers = plan.dns.contains(&gateway);
    network["forward"] = json!({ "@mode": "nat" });
    network["bridge"] = json!({ "@name": own_bridge(cluster) });
    network["mac"] = json!({ "@address": mac(cluster, &name, gateway) });
    network["dns"] = json!({ "@enable": if answers { "yes" } else { "no" } });
    network["ip"] = json!({ "@address": gateway, "@prefix": plan.prefix_len });
    Ok(xml::document("network", &network))
}

/// A bridge's name has at most 15 characters.
fn own_bridge(cluster: &str) -> String {
    let sum = Sha256::digest(cluster);
    format!(
        "hakube{:02x}{:02x}{:02x}{:02x}",
        sum[0], sum[1], sum[2], sum[3]
    )
}

/// The bridge of a libvirt network. The inner error is a message why it has none.
pub(crate) fn bridge_of(network: &str) -> Answer<result::Result<String, String>> {
    let document = xml::parse(network)?;
    let bridge = xml::child(document.root_element(), "bridge");
    let name = bridge.and_then(|bridge| bridge.attribute("name"));
    Ok(name
        .map(str::to_owned)
        .ok_or_else(|| "it has no bridge to attach machines to".to_owned()))
}

/// A libvirt network's DHCP ranges: first and last addresses.
pub(crate) fn dhcp_ranges(network: &str) -> Answer<Vec<(Ipv4Addr, Ipv4Addr)>> {
    let document = xml::parse(network)?;
    let ranges = document.descendants().filter(|node| {
        node.has_tag_name("range") && node.parent().is_some_and(|dhcp| dhcp.has_tag_name("dhcp"))
    });
    Ok(ranges
        .filter_map(|range| {
            let end = |name: &str| range.attribute(name)?.parse().ok();
            Some((end("start")?, end("end")?))
        })
        .collect())
}

impl Libvirt {
    /// See [`hakube_provider::Provider::ensure_network`]: on every reachable host.
    pub(crate) async fn ensure_networks(&self, cluster: &str) -> Result<()> {
        let hosts = self.answering().await?;
        let _alone = self.agreeing.lock().await;
        let agreed = self.agreed(cluster, &hosts).await?;
        self.networks_on_all(&agreed, &hosts).await
    }

    /// Ensures that the cluster's network with this record is active on all these hosts that are
    /// reachable. The caller holds `agreeing`.
    pub(crate) async fn networks_on_all(&self, agreed: &Agreed, hosts: &[&Host]) -> Result<()> {
        let hosts = hosts.iter().filter(|host| !agreed.is_mistaken(host));
        let made = hosts.map(|host| self.network_on(host, &agreed.mark));
        of_those_that_answer(join_all(made).await).map(drop)
    }

    /// Does the same before a machine is created on one host. Problems with other hosts are only logged.
    pub(crate) async fn network_for(
        &self,
        host: &Host,
        agreed: &Agreed,
        hosts: &[&Host],
    ) -> Result<()> {
        self.network_on(host, &agreed.mark).await?;
        let is_outdated = |other: &&&Host| other.uri != host.uri && !agreed.is_mistaken(other);
        let others = hosts.iter().filter(is_outdated);
        let updates = others.map(|other| self.network_on(other, &agreed.mark));
        for error in join_all(updates).await.into_iter().filter_map(Result::err) {
            tracing::warn!("could not update the cluster's network on another host: {error}");
        }
        Ok(())
    }

    /// Ensures that the cluster's network with this record is active on the host.
    pub(crate) async fn network_on(&self, host: &Host, wanted: &NetworkMark) -> Result<()> {
        let cluster = wanted.cluster.as_str();
        let name = network_name(cluster);
        let attempt = Attempt::new("create", format!("network {name} in {}", host.first_zone()));
        let found = host.network(&attempt, &name).await?;
        let mark = match &found {
            None => None,
            Some(found) => {
                let mark = NetworkMark::from_xml(&found.xml)
                    .map_err(|fault| attempt.failed(&fault))?
                    .filter(|mark| mark.cluster == cluster);
                Some(mark.ok_or_else(|| strange(&attempt, cluster, None))?)
            }
        };
        if mark.as_ref() != Some(wanted) {
            let bridge = self.bridge_on(host, &attempt).await?;
            let described = described(&self.config.addresses, wanted, bridge.as_deref())
                .map_err(|words| attempt.error(ErrorKind::Invalid, words))?;
            host.define_network(&attempt, &described).await?;
        }
        let (active, autostart) =
            found.map_or((false, false), |found| (found.active, found.autostart));
        if !autostart {
            host.autostart_network(&attempt, &name).await?;
        }
        if !active {
            host.start_network(&attempt.to("start"), &name).await?;
        }
        Ok(())
    }

    /// The bridge to attach the host's machines to; `None` for the cluster's own network.
    async fn bridge_on(&self, host: &Host, attempt: &Attempt) -> Result<Option<String>> {
        let name = match &self.config.network {
            HostNetwork::Nat { .. } => return Ok(None),
            HostNetwork::Bridge(bridge) => return Ok(Some(bridge.clone())),
            HostNetwork::Network(name) => name,
        };
        let Some(found) = host.network(attempt, name).await? else {
            let message = format!("no network {name} on {}", host.uri);
            return Err(attempt
                .error(ErrorKind::Invalid, message)
                .with_hint("run `virsh net-list --all` to list the networks"));
        };
        let bridge = bridge_of(&found.xml).map_err(|fault| attempt.failed(&fault))?;
        bridge
            .map(Some)
            .map_err(|words| attempt.error(ErrorKind::Invalid, format!("network {name}: {words}")))
    }

    /// Deletes the cluster's network from the host.
    pub(crate) async fn network_gone(
        &self,
        host: &Host,
        attempt: &Attempt,
        cluster: &str,
        name: &str,
    ) -> Result<()> {
        let Some(found) = host.network(attempt, name).await? else {
            return Ok(());
        };
        let mark = NetworkMark::from_xml(&found.xml).map_err(|fault| attempt.failed(&fault))?;
        if mark.as_ref().is_none_or(|mark| mark.cluster != cluster) {
            let whose = mark.map(|mark| mark.cluster);
            return Err(strange(attempt, cluster, whose.as_deref()));
        }
        host.destroy_network(attempt, name).await?;
        host.undefine_network(attempt, name).await
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn mark() -> NetworkMark {
        NetworkMark {
            cluster: "kubernetes".into(),
            endpoint: Some(("kubernetes-ip".into(), Ipv4Addr::new(192, 168, 77, 2))),
            known: BTreeMap::new(),
            hosts: BTreeMap::new(),
        }
    }

    #[test]
    fn the_clusters_own_network_has_no_dhcp() {
        let plan = AddressPlan::of("192.168.77.0/24".parse().unwrap());
        insta::assert_snapshot!(described(&plan, &mark(), None).unwrap());
    }

    #[test]
    fn an_existing_bridge_gets_a_network() {
        let plan = AddressPlan::of("192.168.77.0/24".parse().unwrap());
        insta::assert_snapshot!(described(&plan, &mark(), Some("br0")).unwrap());
    }

    #[test]
    fn a_bridges_name_is_short_enough() {
        assert!(own_bridge(&"x".repeat(63)).len() <= 15);
        assert_ne!(own_bridge("a"), own_bridge("b"));
    }

    #[test]
    fn an_existing_network_is_parsed() {
        let default = "<network><name>default</name><forward mode='nat'/><bridge name='virbr0'/>\
            <ip address='192.168.122.1' netmask='255.255.255.0'><dhcp>\
            <range start='192.168.122.2' end='192.168.122.254'/></dhcp></ip></network>";
        assert_eq!(bridge_of(default).unwrap().unwrap(), "virbr0");
        let range = (
            Ipv4Addr::new(192, 168, 122, 2),
            Ipv4Addr::new(192, 168, 122, 254),
        );
        assert_eq!(dhcp_ranges(default).unwrap(), [range]);
        let macvtap = "<network><forward mode='bridge'><interface dev='eth0'/></forward></network>";
        assert!(bridge_of(macvtap).unwrap().is_err());
        assert_eq!(dhcp_ranges(macvtap).unwrap(), []);
    }
}
