//! Lists everything with a cluster's ownership label, on all reachable hosts.

use crate::host::Host;
use crate::machine::{Found, read};
use crate::mark::NetworkMark;
use crate::memory::{Said, mistaken};
use crate::volumes::Volume;
use crate::{Libvirt, of_those_that_answer};
use futures::future::join_all;
use hakube_provider::{
    Address, Attempt, Disk, Inventory, Namesake, NodeGroup, Owner, ProviderError, ResourceId,
    ResourceKind, Result, Scope, namesakes,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

/// What one host has of a cluster.
#[derive(Debug, Default)]
struct Sight {
    zones: Vec<String>,
    uuid: Option<String>,
    machines: Vec<Found>,
    /// The network's name and ownership label.
    network: Option<(String, NetworkMark)>,
    volumes: Vec<Volume>,
}

impl Sight {
    fn said(&self) -> Said {
        let machines = self.machines.iter();
        Said {
            zones: self.zones.clone(),
            uuid: self.uuid.clone(),
            machines: machines
                .map(|found| (found.mark.zone.clone(), found.mark.address))
                .collect(),
            network: self.network.as_ref().map(|(_, mark)| mark.clone()),
        }
    }
}

impl Libvirt {
    /// See [`hakube_provider::Provider::inspect`].
    pub(crate) async fn inventory(&self, cluster: &str) -> Result<Inventory> {
        let looked = self.hosts.iter().map(|host| self.sight(host, cluster));
        let mut sights = Vec::new();
        let mut unreachable = BTreeMap::new();
        let mut why: Option<ProviderError> = None;
        for (host, seen) in self.hosts.iter().zip(join_all(looked).await) {
            match seen {
                Ok(sight) => sights.push(sight),
                Err(error) => {
                    let zones = host.zones.iter().cloned();
                    unreachable.extend(zones.map(|zone| (zone, error.message.clone())));
                    why = Some(error);
                }
            }
        }
        let said: Vec<Said> = sights.iter().map(Sight::said).collect();
        let attempt = Attempt::new("read", "the zones");
        for (zone, mistaken) in mistaken(&said) {
            let uri = &self.host_of(&attempt, &zone)?.uri;
            let words = mistaken.words(cluster, uri);
            unreachable.insert(zone, words);
        }
        match why {
            Some(error) if sights.is_empty() => Err(error),
            _ => Ok(Inventory {
                unreachable,
                ..inventory(sights)
            }),
        }
    }

    /// See [`hakube_provider::Provider::namesakes`].
    pub(crate) async fn clusters_named(&self, name: &str) -> Result<Vec<Namesake>> {
        let attempt = Attempt::new("read", "the clusters' machines and networks");
        let looked = self.hosts.iter().map(|host| async {
            let machines = self.machines_on(host, &attempt).await?;
            let networks = self.networks_on(host, &attempt).await?;
            let machines = machines.into_iter().map(|found| {
                let id = ResourceId::in_zone(ResourceKind::Machine, found.mark.zone, found.name);
                (found.mark.cluster, id)
            });
            let networks = networks.into_iter().map(|(name, mark)| {
                let id = ResourceId::in_zone(ResourceKind::Network, host.first_zone(), name);
                (mark.cluster, id)
            });
            Ok::<_, ProviderError>(machines.chain(networks).collect::<Vec<_>>())
        });
        let found = join_all(looked).await.into_iter().flatten().flatten();
        let found = found.map(|(mark, id)| Namesake {
            owner: Owner::of_mark(&mark),
            since: None,
            example: id.to_string(),
        });
        Ok(namesakes(name, found))
    }

    async fn sight(&self, host: &Host, cluster: &str) -> Result<Sight> {
        let attempt = Attempt::new("read", format!("the resources in {}", host.first_zone()));
        let machines = self.machines_on(host, &attempt).await?.into_iter();
        let networks = self.networks_on(host, &attempt).await?.into_iter();
        let volumes = self.volumes_on(host, &attempt).await?;
        let volumes = volumes.iter().filter_map(|name| Volume::of(cluster, name));
        Ok(Sight {
            zones: host.zones.clone(),
            uuid: self.uuid_of(host, &attempt).await?,
            machines: machines
                .filter(|found| found.mark.cluster == cluster)
                .collect(),
            network: networks
                .into_iter()
                .find(|(_, mark)| mark.cluster == cluster),
            volumes: volumes.collect(),
        })
    }

    /// The machines of all clusters on a host.
    pub(crate) async fn machines_on(&self, host: &Host, attempt: &Attempt) -> Result<Vec<Found>> {
        let domains = host.domains(attempt).await?;
        let read = domains.into_iter().map(|domain| read(attempt, domain));
        Ok(read
            .collect::<Result<Vec<_>>>()?
            .into_iter()
            .flatten()
            .collect())
    }

    /// The networks of all clusters on a host, with their names.
    pub(crate) async fn networks_on(
        &self,
        host: &Host,
        attempt: &Attempt,
    ) -> Result<Vec<(String, NetworkMark)>> {
        let networks = host.networks(attempt).await?;
        let mut marks = Vec::new();
        for network in networks {
            let mark = NetworkMark::from_xml(&network.xml);
            if let Some(mark) = mark.map_err(|fault| attempt.failed(&fault))? {
                marks.push((network.name, mark));
            }
        }
        Ok(marks)
    }

    /// The addresses of the machines of all clusters, on the reachable hosts.
    pub(crate) async fn machines_of_all(&self, hosts: &[&Host]) -> Result<BTreeSet<Ipv4Addr>> {
        let attempt = Attempt::new("read", "the addresses in use");
        let hosts = hosts.iter();
        let machines = join_all(hosts.map(|host| self.machines_on(host, &attempt))).await;
        let machines = of_those_that_answer(machines)?;
        let machines = machines.into_iter().flatten();
        Ok(machines.map(|found| found.mark.address).collect())
    }

    /// The networks of all clusters on the reachable hosts.
    pub(crate) async fn networks_of_all(&self, hosts: &[&Host]) -> Result<Vec<NetworkMark>> {
        let attempt = Attempt::new("read", "the clusters' networks");
        let hosts = hosts.iter();
        let networks = join_all(hosts.map(|host| self.networks_on(host, &attempt))).await;
        let networks = of_those_that_answer(networks)?;
        let networks = networks.into_iter().flatten();
        Ok(networks.map(|(_, mark)| mark).collect())
    }

    /// See [`hakube_provider::Provider::zones`]: the zones whose host is reachable.
    pub(crate) async fn zones_up(&self) -> Result<Vec<String>> {
        let up = self.answering().await?;
        let up: BTreeSet<&String> = up.iter().flat_map(|host| &host.zones).collect();
        Ok(up.into_iter().cloned().collect())
    }

    /// The reachable hosts. Call this before locking `agreeing`, so that concurrent operations wait
    /// for a hung host at the same time, not one after the other.
    pub(crate) async fn answering(&self) -> Result<Vec<&Host>> {
        let attempt = Attempt::new("read", "the zones");
        let answers = self.hosts.iter().map(async |host| {
            host.node(&attempt).await?;
            Ok(host)
        });
        of_those_that_answer(join_all(answers).await)
    }
}

/// Merges the observations into one inventory. Pure.
fn inventory(sights: Vec<Sight>) -> Inventory {
    let mut inventory = Inventory::default();
    let mut resources = BTreeSet::new();
    let mut resource = |kind, scope, name: &str| {
        resources.insert(ResourceId::new(kind, scope, name));
    };
    for sight in sights {
        let first = sight.zones.first().cloned().unwrap_or_default();
        if let Some((name, mark)) = sight.network {
            resource(ResourceKind::Network, Scope::Zone(first.clone()), &name);
            if let Some((name, number)) = mark.endpoint {
                resource(ResourceKind::Address, Scope::Global, &name);
                let address = IpAddr::V4(number);
                inventory.address.get_or_insert(Address { name, address });
            }
        }
        for found in &sight.machines {
            let scope = Scope::Zone(found.mark.zone.clone());
            match &found.mark.group {
                Some(group) => resource(ResourceKind::NodeGroup, scope, &group.name),
                None => {
                    resource(ResourceKind::Machine, scope, &found.name);
                    inventory.machines.push(found.machine());
                }
            }
        }
        inventory.node_groups.extend(groups(&sight.machines));
        for volume in &sight.volumes {
            match volume {
                Volume::Image(sum) | Volume::Verified(sum) => {
                    resource(ResourceKind::Image, Scope::Zone(first.clone()), sum);
                }
                // Deleted with its machine, or listed on its own if the machine is gone.
                Volume::Machine { zone, name, .. } => {
                    let is_its = |found: &&Found| found.name == *name && found.mark.zone == *zone;
                    if sight.machines.iter().find(is_its).is_none() {
                        resource(ResourceKind::Disk, Scope::Zone(zone.clone()), name);
                    }
                }
                Volume::Data { zone, name } => {
                    let user = sight.machines.iter().find(|found| {
                        found.mark.data_disk.as_ref() == Some(name) && found.mark.zone == *zone
                    });
                    if user.is_some_and(|user| user.mark.group.is_some()) {
                        continue;
                    }
                    resource(ResourceKind::Disk, Scope::Zone(zone.clone()), name);
                    inventory.disks.push(Disk {
                        name: name.clone(),
                        zone: zone.clone(),
                        user: user.map(|user| user.name.clone()),
                    });
                }
            }
        }
    }
    inventory.machines.sort_by(|a, b| a.name.cmp(&b.name));
    inventory.node_groups.sort_by(|a, b| a.name.cmp(&b.name));
    inventory.disks.sort_by(|a, b| a.name.cmp(&b.name));
    inventory.resources = resources.into_iter().collect();
    inventory
}

/// The node groups. A group consists only of its machines, so its size is their number.
fn groups(machines: &[Found]) -> Vec<NodeGroup> {
    let mut groups: BTreeMap<(&str, &str), Vec<&Found>> = BTreeMap::new();
    for found in machines {
        if let Some(group) = &found.mark.group {
            let key = (found.mark.zone.as_str(), group.name.as_str());
            groups.entry(key).or_default().push(found);
        }
    }
    let group = |((zone, name), machines): ((&str, &str), Vec<&Found>)| {
        let newest = machines
            .iter()
            .filter_map(|found| found.mark.group.as_ref())
            .max_by_key(|group| group.number);
        // A machine that is incomplete or was shut off doesn't count towards the size.
        let running = machines.iter().filter(|found| found.is_up()).count();
        NodeGroup {
            name: name.to_owned(),
            zone: zone.to_owned(),
            size: u32::try_from(running).unwrap_or(u32::MAX),
            template: newest.map_or_else(String::new, |group| group.template.clone()),
            machines: machines.iter().map(|found| found.name.clone()).collect(),
            origins: machines
                .iter()
                .filter_map(|found| {
                    let group = found.mark.group.as_ref()?;
                    Some((found.name.clone(), group.template.clone()))
                })
                .collect(),
        }
    };
    groups.into_iter().map(group).collect()
}
