//! The cluster's own network on each host, which bears its mark and the reservation of the endpoint's address.
//!
//! It may be a whole network with its own bridge, or no more than a name for a bridge that is there already.
//!
//! Source: <https://libvirt.org/formatnetwork.html>

use crate::config::{AddressPlan, HostNetwork};
use crate::domain::mac;
use crate::error::Answer;
use crate::host::Host;
use crate::mark::{NetworkMark, network_name, strange};
use crate::memory::Agreed;
use crate::xml::{self, Element};
use crate::{Libvirt, of_those_that_answer};
use futures::future::{join_all, try_join_all};
use hakube_provider::{Address, AddressSpec, Attempt, ErrorKind, Result};
use sha2::{Digest, Sha256};
use std::net::{IpAddr, Ipv4Addr};
use std::result;
use uuid::Uuid;

/// The description of a cluster's network. Pure.
fn described(
    plan: &AddressPlan,
    mark: &NetworkMark,
    bridge: Option<&str>,
) -> result::Result<String, String> {
    let cluster = &mark.cluster;
    let name = network_name(cluster);
    let uuid = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
    let network = Element::new("network")
        .child(Element::text("name", &name))
        .child(Element::text("uuid", uuid))
        .child(mark.to_xml());
    if let Some(bridge) = bridge {
        return Ok(network
            .child(Element::new("forward").with("mode", "bridge"))
            .child(Element::new("bridge").with("name", bridge))
            .render());
    }
    let gateway = plan
        .gateway
        .ok_or("a network of the cluster's own needs a gateway: the host's address in it")?;
    // No DHCP: a machine's address is on its seed.
    let answers = plan.dns.contains(&gateway);
    Ok(network
        .child(Element::new("forward").with("mode", "nat"))
        .child(Element::new("bridge").with("name", own_bridge(cluster)))
        .child(Element::new("mac").with("address", mac(cluster, &name, gateway)))
        .child(Element::new("dns").with("enable", if answers { "yes" } else { "no" }))
        .child(
            Element::new("ip")
                .with("address", gateway)
                .with("prefix", plan.prefix_len),
        )
        .render())
}

/// A bridge's name has at most 15 characters.
fn own_bridge(cluster: &str) -> String {
    let sum = Sha256::digest(cluster);
    format!(
        "hakube{:02x}{:02x}{:02x}{:02x}",
        sum[0], sum[1], sum[2], sum[3]
    )
}

/// The bridge of a network of libvirt's; in words, why it has none.
pub(crate) fn bridge_of(network: &str) -> Answer<result::Result<String, String>> {
    let document = xml::parse(network)?;
    let bridge = xml::child(document.root_element(), "bridge");
    let name = bridge.and_then(|bridge| bridge.attribute("name"));
    Ok(name
        .map(str::to_owned)
        .ok_or_else(|| "it has no bridge, which other machines could be attached to".to_owned()))
}

/// What a network of libvirt's gives out by itself: first and last addresses.
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
    /// See [`hakube_provider::Provider::ensure_network`]: on every host that answers.
    pub(crate) async fn networks_exist(&self, cluster: &str) -> Result<()> {
        let hosts = self.answering().await?;
        let _alone = self.agreeing.lock().await;
        let agreed = self.agreed(cluster, &hosts).await?;
        self.networks_on_all(&agreed, &hosts).await
    }

    /// The cluster's network is up on every one of these hosts that answers, and says this. Whoever calls it is alone
    /// in agreeing.
    async fn networks_on_all(&self, agreed: &Agreed, hosts: &[&Host]) -> Result<()> {
        let hosts = hosts.iter().filter(|host| !agreed.is_mistaken(host));
        let made = hosts.map(|host| self.network_on(host, &agreed.mark));
        of_those_that_answer(join_all(made).await).map(drop)
    }

    /// The same for a machine of one host: what is wrong with another doesn't keep it from being made.
    pub(crate) async fn network_for(
        &self,
        host: &Host,
        agreed: &Agreed,
        hosts: &[&Host],
    ) -> Result<()> {
        self.network_on(host, &agreed.mark).await?;
        let is_to_be_told = |other: &&&Host| other.uri != host.uri && !agreed.is_mistaken(other);
        let others = hosts.iter().filter(is_to_be_told);
        let told = others.map(|other| self.network_on(other, &agreed.mark));
        for error in join_all(told).await.into_iter().filter_map(Result::err) {
            tracing::warn!("a host isn't told of the cluster's addresses: {error}");
        }
        Ok(())
    }

    /// The cluster's network is up on the host, and says this.
    pub(crate) async fn network_on(&self, host: &Host, wanted: &NetworkMark) -> Result<()> {
        let cluster = wanted.cluster.as_str();
        let name = network_name(cluster);
        let attempt = Attempt::new("create", format!("network {name} in {}", host.first_zone()));
        let named = name.clone();
        let found = host
            .ask(&attempt, move |hypervisor| hypervisor.network(&named))
            .await?;
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
            host.ask(&attempt, move |hypervisor| {
                hypervisor.define_network(&described)
            })
            .await?;
        }
        let (active, autostart) =
            found.map_or((false, false), |found| (found.active, found.autostart));
        if !autostart {
            let name = name.clone();
            host.ask(&attempt, move |hypervisor| {
                hypervisor.autostart_network(&name)
            })
            .await?;
        }
        if !active {
            host.ask(&attempt.to("start"), move |hypervisor| {
                hypervisor.start_network(&name)
            })
            .await?;
        }
        Ok(())
    }

    /// The bridge that machines of the host are attached to, where it isn't one of the cluster's own.
    async fn bridge_on(&self, host: &Host, attempt: &Attempt) -> Result<Option<String>> {
        let name = match &self.config.network {
            HostNetwork::Nat { .. } => return Ok(None),
            HostNetwork::Bridge(bridge) => return Ok(Some(bridge.clone())),
            HostNetwork::Network(name) => name,
        };
        let looked_up = name.clone();
        let found = host
            .ask(attempt, move |hypervisor| hypervisor.network(&looked_up))
            .await?;
        let Some(found) = found else {
            let message = format!("there is no network {name} on {}", host.uri);
            return Err(attempt
                .error(ErrorKind::Invalid, message)
                .with_hint("`virsh net-list --all` lists them"));
        };
        let bridge = bridge_of(&found.xml).map_err(|fault| attempt.failed(&fault))?;
        bridge
            .map(Some)
            .map_err(|words| attempt.error(ErrorKind::Invalid, format!("network {name}: {words}")))
    }

    /// See [`hakube_provider::Provider::ensure_address`].
    pub(crate) async fn address_exists(&self, spec: &AddressSpec) -> Result<Address> {
        let attempt = Attempt::new("reserve", format!("address {}", spec.name));
        let hosts = self.answering().await?;
        let _alone = self.agreeing.lock().await;
        let mut agreed = self.agreed(&spec.cluster, &hosts).await?;
        let number = match &agreed.mark.endpoint {
            Some((name, number)) if *name == spec.name => *number,
            Some((other, number)) => {
                let message = format!("{number} is reserved already, as {other}");
                return Err(attempt.error(ErrorKind::Conflict, message));
            }
            None => {
                let number = self.config.addresses.endpoint();
                self.free_of_strangers(&attempt, &spec.cluster, number, &hosts)
                    .await?;
                number
            }
        };
        agreed.mark.endpoint = Some((spec.name.clone(), number));
        self.networks_on_all(&agreed, &hosts).await?;
        Ok(Address {
            name: spec.name.clone(),
            address: IpAddr::V4(number),
        })
    }

    /// Refuses an address that somebody else has.
    async fn free_of_strangers(
        &self,
        attempt: &Attempt,
        cluster: &str,
        address: Ipv4Addr,
        hosts: &[&Host],
    ) -> Result<()> {
        let in_use = |message: String| {
            attempt
                .error(ErrorKind::Conflict, message)
                .with_hint("give the cluster a range of addresses that nothing else uses")
        };
        for mark in self.networks_of_all(hosts).await? {
            let other = mark.endpoint.filter(|(_, number)| *number == address);
            if other.is_some() && mark.cluster != cluster {
                let message = format!("{address} is the endpoint of cluster {}", mark.cluster);
                return Err(in_use(message));
            }
        }
        if self.machines_of_all(hosts).await?.contains(&address) {
            return Err(in_use(format!(
                "{address} is a machine's of another cluster"
            )));
        }
        match self.neighbours.at(address).await {
            None => Ok(()),
            Some(mac) => Err(in_use(format!("{address} is in use: {mac} answers there"))),
        }
    }

    /// The reservation is gone from every host.
    pub(crate) async fn address_gone(&self, attempt: &Attempt, cluster: &str) -> Result<()> {
        let _alone = self.agreeing.lock().await;
        let hosts = self.hosts.iter().map(async |host| {
            let name = network_name(cluster);
            let found = host
                .ask(attempt, move |hypervisor| hypervisor.network(&name))
                .await?;
            let mark = match &found {
                Some(found) => {
                    NetworkMark::from_xml(&found.xml).map_err(|fault| attempt.failed(&fault))?
                }
                None => None,
            };
            match mark {
                Some(mark) if mark.cluster == cluster && mark.endpoint.is_some() => {
                    let without = NetworkMark {
                        endpoint: None,
                        ..mark
                    };
                    self.network_on(host, &without).await
                }
                _ => Ok(()),
            }
        });
        try_join_all(hosts).await.map(drop)
    }

    /// The cluster's network is gone from the host.
    pub(crate) async fn network_gone(
        &self,
        host: &Host,
        attempt: &Attempt,
        cluster: &str,
        name: &str,
    ) -> Result<()> {
        let looked_up = name.to_owned();
        let found = host
            .ask(attempt, move |hypervisor| hypervisor.network(&looked_up))
            .await?;
        let Some(found) = found else { return Ok(()) };
        let mark = NetworkMark::from_xml(&found.xml).map_err(|fault| attempt.failed(&fault))?;
        if mark.as_ref().is_none_or(|mark| mark.cluster != cluster) {
            let whose = mark.map(|mark| mark.cluster);
            return Err(strange(attempt, cluster, whose.as_deref()));
        }
        let name = found.name.clone();
        host.ask(attempt, move |hypervisor| hypervisor.destroy_network(&name))
            .await?;
        let name = found.name;
        host.ask(attempt, move |hypervisor| {
            hypervisor.undefine_network(&name)
        })
        .await
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
    fn a_network_of_its_own_gives_out_no_address() {
        let plan = AddressPlan::of("192.168.77.0/24".parse().unwrap());
        insta::assert_snapshot!(described(&plan, &mark(), None).unwrap());
    }

    #[test]
    fn a_bridge_that_is_there_gets_a_name() {
        let plan = AddressPlan::of("192.168.77.0/24".parse().unwrap());
        insta::assert_snapshot!(described(&plan, &mark(), Some("br0")).unwrap());
    }

    #[test]
    fn a_bridges_name_is_short_enough() {
        assert!(own_bridge(&"x".repeat(63)).len() <= 15);
        assert_ne!(own_bridge("a"), own_bridge("b"));
    }

    #[test]
    fn the_users_network_is_read() {
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
