//! The cluster's ownership label on libvirt's domains and networks: an element of hakube's own in
//! their metadata.

use crate::error::Answer;
use crate::xml;
use hakube_provider::{Attempt, ProviderError, someone_elses};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// The XML namespace of hakube's elements. Only a name: nothing fetches it.
const NAMESPACE: &str = "urn:hakube:libvirt:1";

/// A machine's label and other metadata, stored in its domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MachineMark {
    /// The owner.
    pub(crate) cluster: String,
    /// Its zone; a host may have several.
    pub(crate) zone: String,
    pub(crate) address: Ipv4Addr,
    /// Its ssh server's public key. The private half is only on its seed.
    pub(crate) host_key: String,
    pub(crate) image: String,
    /// Whether all its volumes are complete. An incomplete machine is recreated from the start with
    /// the same address.
    pub(crate) complete: bool,
    /// The group that it is in.
    pub(crate) group: Option<Group>,
    pub(crate) data_disk: Option<String>,
    /// All its labels except the ownership label.
    pub(crate) labels: BTreeMap<String, String>,
}

/// A machine's group, and the template it was created from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) template: String,
    /// Higher is newer.
    pub(crate) number: u32,
}

impl MachineMark {
    /// The content of the domain's metadata element.
    pub(crate) fn metadata(&self) -> Value {
        let group = self.group.as_ref().map(|group| {
            json!({ "@name": group.name, "@template": group.template, "@number": group.number })
        });
        let data_disk = self.data_disk.as_ref();
        let labels = self.labels.iter();
        json!({ "hakube:machine": {
            "@xmlns:hakube": NAMESPACE,
            "@cluster": self.cluster,
            "@zone": self.zone,
            "@address": self.address,
            "@host-key": self.host_key,
            "@image": self.image,
            "@complete": if self.complete { "yes" } else { "no" },
            "hakube:group": Value::from_iter(group),
            "hakube:data-disk": Value::from_iter(data_disk.map(|name| json!({ "@name": name }))),
            "hakube:label": Value::from_iter(
                labels.map(|(name, value)| json!({ "@name": name, "@value": value })),
            ),
        }})
    }

    /// A domain's XML, changed only to label it incomplete.
    pub(crate) fn unfinished(described: &str) -> Answer<String> {
        let document = xml::parse(described)?;
        let complete = Self::element(&document).and_then(|mark| mark.attribute_node("complete"));
        let mut unfinished = described.to_owned();
        if let Some(complete) = complete {
            unfinished.replace_range(complete.range_value(), "no");
        }
        Ok(unfinished)
    }

    fn element<'a, 'input>(
        domain: &'a roxmltree::Document<'input>,
    ) -> Option<roxmltree::Node<'a, 'input>> {
        let metadata = xml::child(domain.root_element(), "metadata")?;
        xml::child_in(metadata, NAMESPACE, "machine")
    }

    /// Reads a domain's XML; `None` if it isn't any cluster's.
    pub(crate) fn from_xml(described: &str) -> Answer<Option<Self>> {
        let document = xml::parse(described)?;
        let Some(mark) = Self::element(&document) else {
            return Ok(None);
        };
        let text = |name: &str| mark.attribute(name).map(str::to_owned);
        let ours = || mark.children().filter(|node| in_namespace(*node));
        let named = |tag: &'static str| ours().filter(move |node| node.tag_name().name() == tag);
        let attribute = |node: roxmltree::Node<'_, '_>, name: &str| {
            node.attribute(name).unwrap_or_default().to_owned()
        };
        // Without a cluster or an address it isn't hakube's.
        let address = mark.attribute("address").and_then(|text| text.parse().ok());
        let Some((cluster, address)) = text("cluster").zip(address) else {
            return Ok(None);
        };
        Ok(Some(Self {
            cluster,
            zone: text("zone").unwrap_or_default(),
            address,
            host_key: text("host-key").unwrap_or_default(),
            image: text("image").unwrap_or_default(),
            complete: mark.attribute("complete") == Some("yes"),
            group: named("group").next().map(|group| Group {
                name: attribute(group, "name"),
                template: attribute(group, "template"),
                number: attribute(group, "number").parse().unwrap_or_default(),
            }),
            data_disk: named("data-disk")
                .next()
                .map(|disk| attribute(disk, "name")),
            labels: named("label")
                .map(|label| (attribute(label, "name"), attribute(label, "value")))
                .collect(),
        }))
    }
}

fn in_namespace(node: roxmltree::Node<'_, '_>) -> bool {
    node.tag_name().namespace() == Some(NAMESPACE)
}

/// A cluster's label and other metadata, stored in its network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NetworkMark {
    /// The owner.
    pub(crate) cluster: String,
    /// The endpoint's reservation: its name and address.
    pub(crate) endpoint: Option<(String, Ipv4Addr)>,
    /// The machines' addresses by zone, as known when an address was last assigned. Only used for
    /// unreachable hosts: a reachable host's addresses are in its domains.
    pub(crate) known: BTreeMap<String, BTreeSet<Ipv4Addr>>,
    /// By zone, its host's UUID at that time. A zone's URI may later lead to another host (`memory.rs`).
    pub(crate) hosts: BTreeMap<String, String>,
}

impl NetworkMark {
    /// The content of the network's metadata element.
    pub(crate) fn metadata(&self) -> Value {
        let endpoint = self.endpoint.as_ref();
        let pairs = self.known.iter();
        let pairs = pairs.flat_map(|(zone, addresses)| addresses.iter().map(move |a| (zone, a)));
        let hosts = self.hosts.iter();
        json!({ "hakube:network": {
            "@xmlns:hakube": NAMESPACE,
            "@cluster": self.cluster,
            "hakube:endpoint": Value::from_iter(
                endpoint.map(|(name, address)| json!({ "@name": name, "@address": address })),
            ),
            "hakube:known": Value::from_iter(
                pairs.map(|(zone, address)| json!({ "@zone": zone, "@address": address })),
            ),
            "hakube:host": Value::from_iter(
                hosts.map(|(zone, uuid)| json!({ "@zone": zone, "@uuid": uuid })),
            ),
        }})
    }

    /// Reads a network's XML; `None` if it isn't any cluster's.
    pub(crate) fn from_xml(described: &str) -> Answer<Option<Self>> {
        let document = xml::parse(described)?;
        let mark = xml::child(document.root_element(), "metadata")
            .and_then(|metadata| xml::child_in(metadata, NAMESPACE, "network"));
        let Some(mark) = mark else { return Ok(None) };
        let Some(cluster) = mark.attribute("cluster").map(str::to_owned) else {
            return Ok(None);
        };
        let endpoint = xml::child_in(mark, NAMESPACE, "endpoint").and_then(|endpoint| {
            let name = endpoint.attribute("name")?.to_owned();
            Some((name, endpoint.attribute("address")?.parse().ok()?))
        });
        let mut known: BTreeMap<String, BTreeSet<Ipv4Addr>> = BTreeMap::new();
        let named = |tag: &'static str| {
            let children = mark.children();
            children.filter(move |node| node.has_tag_name((NAMESPACE, tag)))
        };
        for entry in named("known") {
            let address = entry
                .attribute("address")
                .and_then(|text| text.parse().ok());
            if let Some((zone, address)) = entry.attribute("zone").zip(address) {
                known.entry(zone.to_owned()).or_default().insert(address);
            }
        }
        let hosts = named("host").filter_map(|host| {
            let (zone, uuid) = host.attribute("zone").zip(host.attribute("uuid"))?;
            Some((zone.to_owned(), uuid.to_owned()))
        });
        Ok(Some(Self {
            cluster,
            endpoint,
            known,
            hosts: hosts.collect(),
        }))
    }
}

/// The name of a cluster's network. It is unique, because cluster names have no dots.
pub(crate) fn network_name(cluster: &str) -> String {
    format!("hakube.{cluster}")
}

/// The error for an existing resource of that name that isn't the cluster's.
pub(crate) fn strange(attempt: &Attempt, cluster: &str, whose: Option<&str>) -> ProviderError {
    someone_elses(attempt, cluster, whose)
        .with_hint("rename or delete it if it is yours, or choose another name for the cluster")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn mark() -> MachineMark {
        MachineMark {
            cluster: "kubernetes".into(),
            zone: "lan-a".into(),
            address: Ipv4Addr::new(10, 0, 0, 11),
            host_key: "ssh-ed25519 AAAA".into(),
            image: "ab".repeat(32),
            complete: true,
            group: Some(Group {
                name: "nodes".into(),
                template: "nodes-1".into(),
                number: 7,
            }),
            data_disk: Some("master-pd".into()),
            labels: [("role".to_owned(), "<replica> & 'more'".to_owned())].into(),
        }
    }

    #[test]
    fn a_machines_label_round_trips() {
        let described = xml::document("domain", &json!({ "metadata": mark().metadata() }));
        assert_eq!(MachineMark::from_xml(&described).unwrap(), Some(mark()));
        let bare = MachineMark {
            complete: false,
            group: None,
            data_disk: None,
            labels: BTreeMap::new(),
            ..mark()
        };
        let described = xml::document("domain", &json!({ "metadata": bare.metadata() }));
        assert_eq!(MachineMark::from_xml(&described).unwrap(), Some(bare));
    }

    #[test]
    fn an_incomplete_machine_is_otherwise_unchanged() {
        let described = xml::document("domain", &json!({ "metadata": mark().metadata() }));
        let unfinished = MachineMark::unfinished(&described).unwrap();
        let expected = MachineMark {
            complete: false,
            ..mark()
        };
        assert_eq!(MachineMark::from_xml(&unfinished).unwrap(), Some(expected));
        assert_eq!(MachineMark::unfinished(&unfinished).unwrap(), unfinished);
        assert_eq!(unfinished.len(), described.len() - 1);
    }

    #[test]
    fn a_networks_label_round_trips() {
        let mark = NetworkMark {
            cluster: "kubernetes".into(),
            endpoint: Some(("kubernetes-ip".into(), Ipv4Addr::new(10, 0, 0, 10))),
            known: [("lan-a".to_owned(), [Ipv4Addr::new(10, 0, 0, 11)].into())].into(),
            hosts: [("lan-a".to_owned(), "0-1-2".to_owned())].into(),
        };
        let described = xml::document("network", &json!({ "metadata": mark.metadata() }));
        assert_eq!(NetworkMark::from_xml(&described).unwrap(), Some(mark));
    }

    #[test]
    fn other_metadata_is_not_a_label() {
        for metadata in [
            "",
            "<metadata/>",
            "<metadata><machine cluster='kubernetes' address='10.0.0.1'/></metadata>",
            "<metadata><a:machine xmlns:a='urn:other' cluster='kubernetes' address='10.0.0.1'/></metadata>",
            "<metadata><a:machine xmlns:a='urn:hakube:libvirt:1' cluster='kubernetes'/></metadata>",
        ] {
            let described = format!("<domain>{metadata}</domain>");
            assert_eq!(
                MachineMark::from_xml(&described).unwrap(),
                None,
                "{metadata}"
            );
        }
    }
}
