//! The cluster's mark on libvirt's things: an element of our own in the metadata of domains and networks, the
//! whole name of volumes, which have no metadata.

use crate::error::Answer;
use crate::xml::{self, Element};
use hakube_provider::{Attempt, ErrorKind, ProviderError};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// The XML namespace of our elements. Only a name: nobody fetches it.
const NAMESPACE: &str = "urn:hakube:libvirt:1";

/// What a machine's domain says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MachineMark {
    /// Whose it is.
    pub(crate) cluster: String,
    /// Its zone: a host may be several.
    pub(crate) zone: String,
    /// The address that it has.
    pub(crate) address: Ipv4Addr,
    /// Its ssh server's public key. The private half is on its seed, and nowhere else.
    pub(crate) host_key: String,
    /// The SHA-256 of its base image.
    pub(crate) image: String,
    /// Whether all its volumes are complete. One that isn't is made from the start, with the same address.
    pub(crate) complete: bool,
    /// The group that it was made for.
    pub(crate) group: Option<Group>,
    /// The name of its data disk.
    pub(crate) data_disk: Option<String>,
    /// All its labels but the mark.
    pub(crate) labels: BTreeMap<String, String>,
}

/// The group that a machine was made for, and the template that it was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// The group's name.
    pub(crate) name: String,
    /// The template's name.
    pub(crate) template: String,
    /// The higher, the newer.
    pub(crate) number: u32,
}

impl MachineMark {
    /// As a domain's metadata.
    pub(crate) fn to_xml(&self) -> Element {
        let mark = Element::new("hakube:machine")
            .with("xmlns:hakube", NAMESPACE)
            .with("cluster", &self.cluster)
            .with("zone", &self.zone)
            .with("address", self.address)
            .with("host-key", &self.host_key)
            .with("image", &self.image)
            .with("complete", if self.complete { "yes" } else { "no" });
        let group = self.group.iter().map(|group| {
            Element::new("hakube:group")
                .with("name", &group.name)
                .with("template", &group.template)
                .with("number", group.number)
        });
        let data_disk = self
            .data_disk
            .iter()
            .map(|name| Element::new("hakube:data-disk").with("name", name));
        let labels = self.labels.iter().map(|(name, value)| {
            Element::new("hakube:label")
                .with("name", name)
                .with("value", value)
        });
        let mark = mark.children(group).children(data_disk).children(labels);
        Element::new("metadata").child(mark)
    }

    /// A domain's description, with a mark that says that it isn't complete. All else stays as it is.
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

    /// From a domain's description; `None` when it isn't any cluster's.
    pub(crate) fn from_xml(described: &str) -> Answer<Option<Self>> {
        let document = xml::parse(described)?;
        let Some(mark) = Self::element(&document) else {
            return Ok(None);
        };
        let says = |name: &str| mark.attribute(name).map(str::to_owned);
        let ours = || mark.children().filter(|node| in_namespace(*node));
        let named = |tag: &'static str| ours().filter(move |node| node.tag_name().name() == tag);
        let attribute = |node: roxmltree::Node<'_, '_>, name: &str| {
            node.attribute(name).unwrap_or_default().to_owned()
        };
        // Without a cluster or an address it isn't a mark of ours, whoever wrote it.
        let address = mark.attribute("address").and_then(|text| text.parse().ok());
        let Some((cluster, address)) = says("cluster").zip(address) else {
            return Ok(None);
        };
        Ok(Some(Self {
            cluster,
            zone: says("zone").unwrap_or_default(),
            address,
            host_key: says("host-key").unwrap_or_default(),
            image: says("image").unwrap_or_default(),
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

/// What a cluster's network says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NetworkMark {
    /// Whose it is.
    pub(crate) cluster: String,
    /// The endpoint's reservation: its name and address.
    pub(crate) endpoint: Option<(String, Ipv4Addr)>,
    /// The machines' addresses by zone, as all hosts knew them when one was last given out. It is for hosts that
    /// can't be asked: of one that can, its domains say it.
    pub(crate) known: BTreeMap<String, BTreeSet<Ipv4Addr>>,
    /// By zone, the UUID of its host, as it was then. A zone may come to be spoken of at another host (`memory.rs`).
    pub(crate) hosts: BTreeMap<String, String>,
}

impl NetworkMark {
    /// As a network's metadata.
    pub(crate) fn to_xml(&self) -> Element {
        let endpoint = self.endpoint.iter().map(|(name, address)| {
            Element::new("hakube:endpoint")
                .with("name", name)
                .with("address", address)
        });
        let pairs = self.known.iter();
        let pairs = pairs.flat_map(|(zone, addresses)| addresses.iter().map(move |a| (zone, a)));
        let known = pairs.map(|(zone, address)| {
            Element::new("hakube:known")
                .with("zone", zone)
                .with("address", address)
        });
        let hosts = self.hosts.iter().map(|(zone, uuid)| {
            Element::new("hakube:host")
                .with("zone", zone)
                .with("uuid", uuid)
        });
        let mark = Element::new("hakube:network")
            .with("xmlns:hakube", NAMESPACE)
            .with("cluster", &self.cluster)
            .children(endpoint)
            .children(known)
            .children(hosts);
        Element::new("metadata").child(mark)
    }

    /// From a network's description; `None` when it isn't any cluster's.
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

/// The name of a cluster's network. Cluster names have no dots, so it is no other cluster's.
pub(crate) fn network_name(cluster: &str) -> String {
    format!("hakube.{cluster}")
}

/// What a volume is of a cluster, by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Volume {
    /// A base image, by its SHA-256.
    Image(String),
    /// That a base image is complete, and has that SHA-256: an empty volume, made last.
    Verified(String),
    /// What is a machine's, and goes with it.
    Machine {
        /// The machine's zone.
        zone: String,
        /// The machine's name.
        name: String,
        /// What it is.
        part: Part,
    },
    /// A data disk.
    Data {
        /// Its zone.
        zone: String,
        /// Its name.
        name: String,
    },
}

/// What a volume is of a machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// The disk that it boots from.
    Boot,
    /// What its first boot reads.
    Seed,
    /// What it wrote to its console; an older part of it has a number.
    Log(Option<u32>),
}

/// The first of a volume's name.
const PREFIX: &str = "hakube";

impl Volume {
    /// Its name. None of the parts may have a dot; names of clusters, zones and machines have none.
    pub(crate) fn name(&self, cluster: &str) -> String {
        match self {
            Self::Image(sum) => format!("{PREFIX}.{cluster}.{}.image", short(sum)),
            Self::Verified(sum) => format!("{PREFIX}.{cluster}.{}.verified", short(sum)),
            Self::Machine { zone, name, part } => {
                let part = match part {
                    Part::Boot => "boot".to_owned(),
                    Part::Seed => "seed".to_owned(),
                    Part::Log(None) => "log".to_owned(),
                    Part::Log(Some(number)) => format!("log.{number}"),
                };
                format!("{PREFIX}.{cluster}.{zone}.{name}.{part}")
            }
            Self::Data { zone, name } => format!("{PREFIX}.{cluster}.{zone}.{name}.disk"),
        }
    }

    /// What a volume of that name is of this cluster. The name is compared as a whole: no cluster's is a prefix
    /// of another's.
    pub(crate) fn of(cluster: &str, volume: &str) -> Option<Self> {
        let parts: Vec<&str> = volume.split('.').collect();
        let own = |part: &str| part.to_owned();
        let machine = |zone: &str, name: &str, part| Self::Machine {
            zone: zone.to_owned(),
            name: name.to_owned(),
            part,
        };
        match parts.as_slice() {
            [PREFIX, whose, rest @ ..] if *whose == cluster => match rest {
                [sum, "image"] => Some(Self::Image(own(sum))),
                [sum, "verified"] => Some(Self::Verified(own(sum))),
                [zone, name, "boot"] => Some(machine(zone, name, Part::Boot)),
                [zone, name, "seed"] => Some(machine(zone, name, Part::Seed)),
                [zone, name, "log"] => Some(machine(zone, name, Part::Log(None))),
                [zone, name, "log", number] => {
                    let number = number.parse().ok()?;
                    Some(machine(zone, name, Part::Log(Some(number))))
                }
                [zone, name, "disk"] => Some(Self::Data {
                    zone: own(zone),
                    name: own(name),
                }),
                _ => None,
            },
            _ => None,
        }
    }
}

/// The first digits of a sum: enough that no two of a cluster's images have the same.
pub(crate) fn short(sum: &str) -> &str {
    sum.get(..16).unwrap_or(sum)
}

/// Something of that name is there, and isn't ours.
pub(crate) fn strange(attempt: &Attempt, cluster: &str, whose: Option<&str>) -> ProviderError {
    let whose = whose.map(|other| format!(" (it is cluster {other}'s)"));
    let whose = whose.unwrap_or_default();
    let message = format!("it exists, without the mark of cluster {cluster}{whose}");
    attempt
        .error(ErrorKind::Conflict, message)
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
    fn a_machines_mark_reads_as_it_was_written() {
        let described = Element::new("domain").child(mark().to_xml()).render();
        assert_eq!(MachineMark::from_xml(&described).unwrap(), Some(mark()));
        let bare = MachineMark {
            complete: false,
            group: None,
            data_disk: None,
            labels: BTreeMap::new(),
            ..mark()
        };
        let described = Element::new("domain").child(bare.to_xml()).render();
        assert_eq!(MachineMark::from_xml(&described).unwrap(), Some(bare));
    }

    #[test]
    fn an_unfinished_machine_is_the_same_but_for_that() {
        let described = Element::new("domain").child(mark().to_xml()).render();
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
    fn a_networks_mark_reads_as_it_was_written() {
        let mark = NetworkMark {
            cluster: "kubernetes".into(),
            endpoint: Some(("kubernetes-ip".into(), Ipv4Addr::new(10, 0, 0, 10))),
            known: [("lan-a".to_owned(), [Ipv4Addr::new(10, 0, 0, 11)].into())].into(),
            hosts: [("lan-a".to_owned(), "0-1-2".to_owned())].into(),
        };
        let described = Element::new("network").child(mark.to_xml()).render();
        assert_eq!(NetworkMark::from_xml(&described).unwrap(), Some(mark));
    }

    #[test]
    fn other_metadata_is_no_mark() {
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

    #[test]
    fn volumes_are_told_by_their_whole_name() {
        let machine = |part| Volume::Machine {
            zone: "lan-a".into(),
            name: "kubernetes-master".into(),
            part,
        };
        let volumes = [
            Volume::Image("0123456789abcdef".into()),
            Volume::Verified("0123456789abcdef".into()),
            machine(Part::Boot),
            machine(Part::Seed),
            machine(Part::Log(None)),
            machine(Part::Log(Some(2))),
            Volume::Data {
                zone: "lan-a".into(),
                name: "kubernetes-master-pd".into(),
            },
        ];
        for volume in volumes {
            let name = volume.name("kubernetes");
            assert_eq!(Volume::of("kubernetes", &name), Some(volume), "{name}");
            assert_eq!(Volume::of("kubernetes2", &name), None, "{name}");
            assert_eq!(Volume::of("kube", &name), None, "{name}");
        }
        for stranger in [
            "debian.qcow2",
            "hakube.kubernetes",
            "hakube.kubernetes.a.b.c",
            "hakube.kubernetes.a.b.log.x",
            "hakube.kubernetes.a.b.boot.bak",
        ] {
            assert_eq!(Volume::of("kubernetes", stranger), None, "{stranger}");
        }
    }
}
