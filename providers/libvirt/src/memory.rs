//! What hosts record about each other in their networks' metadata, and the conclusions.
//!
//! The records are for unreachable hosts, and for URIs that lead to the wrong host:
//! `qemu:///system` is a different host on each computer. That host has nothing of the cluster, and
//! without the records, running machines would be taken for lost.

use crate::host::Host;
use crate::machinery::host_uuid;
use crate::mark::{NetworkMark, network_name};
use crate::{Libvirt, of_those_that_answer};
use futures::future::join_all;
use hakube_provider::{Attempt, ErrorKind, Owner, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// One host's information about a cluster.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) zones: Vec<String>,
    /// The UUID that its libvirt reports. Without one in its firmware, the UUID changes each time
    /// libvirt starts.
    pub(crate) uuid: Option<String>,
    /// The zones and addresses of its machines.
    pub(crate) machines: Vec<(String, Ipv4Addr)>,
    /// Its network's metadata.
    pub(crate) network: Option<NetworkMark>,
}

/// A zone whose URI leads to a host other than the one with its machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistaken {
    /// The UUID of the host that has the machines.
    had: String,
    /// The UUID of the host at the URI.
    is: String,
}

impl Mistaken {
    /// The message, for the host at this URI.
    pub(crate) fn words(&self, cluster: &str, uri: &str) -> String {
        let Self { had, is } = self;
        format!(
            "it has nothing of this zone of {}: the zone's machines are on host {had}, but this is host {is}. Check that \
             {uri} in HAKUBE_LIBVIRT_ZONES is the right host and wasn't reinstalled",
            Owner::of_mark(cluster)
        )
    }
}

/// The hosts' combined information.
#[derive(Debug)]
pub(crate) struct Agreed {
    /// The record that all hosts should have.
    pub(crate) mark: NetworkMark,
    /// Zones whose URI leads to the wrong host. Nothing is recorded or created on these hosts.
    mistaken: BTreeMap<String, Mistaken>,
}

impl Agreed {
    /// Whether one of the host's zones is on another host.
    pub(crate) fn is_mistaken(&self, host: &Host) -> bool {
        host.zones
            .iter()
            .any(|zone| self.mistaken.contains_key(zone))
    }

    /// Fails if the host isn't the zone's.
    pub(crate) fn confirm(&self, attempt: &Attempt, host: &Host, zone: &str) -> Result<()> {
        let Some(mistaken) = self.mistaken.get(zone) else {
            return Ok(());
        };
        let message = mistaken.words(&self.mark.cluster, &host.uri);
        Err(attempt
            .error(ErrorKind::Invalid, message)
            .with_hint("set the zone's own host; a host that replaces a dead one needs a new zone"))
    }
}

/// The zones whose URI leads to a host other than the recorded one. Pure.
///
/// A UUID alone proves nothing: without one in the firmware, it changes. So a host with the
/// cluster's network counts as right, unless it is recorded as another zone's host. Only a zone
/// with machines can be mistaken: without machines, nothing would be lost. A recorded host without
/// a network was emptied, and counts as right too.
pub(crate) fn mistaken(said: &[Said]) -> BTreeMap<String, Mistaken> {
    let marks = || said.iter().filter_map(|host| host.network.as_ref());
    let mut mistaken = BTreeMap::new();
    for host in said {
        let Some(is) = &host.uuid else { continue };
        for zone in &host.zones {
            if host.machines.iter().any(|(its, _)| its == zone) {
                continue;
            }
            let had = marks().find_map(|mark| {
                let known = mark.known.get(zone).is_some_and(|known| !known.is_empty());
                let had = mark.hosts.get(zone).filter(|had| known && *had != is)?;
                let is_anothers = || mark.hosts.values().any(|other| other == is);
                (host.network.is_none() || is_anothers()).then(|| had.clone())
            });
            if let Some(had) = had {
                let is = is.clone();
                mistaken.insert(zone.clone(), Mistaken { had, is });
            }
        }
    }
    mistaken
}

/// Combines the hosts' information. Reachable hosts report their own machines; for others the last
/// record counts. Pure.
fn agree(cluster: &str, said: Vec<Said>) -> Agreed {
    let mistaken = mistaken(&said);
    let mut mark = NetworkMark {
        cluster: cluster.to_owned(),
        endpoint: None,
        known: BTreeMap::new(),
        hosts: BTreeMap::new(),
    };
    let asked: BTreeSet<String> = said
        .iter()
        .flat_map(|host| host.zones.clone())
        .filter(|zone| !mistaken.contains_key(zone))
        .collect();
    for host in said {
        for (zone, address) in host.machines {
            mark.known.entry(zone).or_default().insert(address);
        }
        if let Some(uuid) = host.uuid {
            let its = host.zones.iter().filter(|zone| asked.contains(*zone));
            mark.hosts
                .extend(its.map(|zone| (zone.clone(), uuid.clone())));
        }
        let Some(network) = host.network else {
            continue;
        };
        mark.endpoint = mark.endpoint.or(network.endpoint);
        for (zone, addresses) in network.known {
            if !asked.contains(&zone) {
                mark.known.entry(zone).or_default().extend(addresses);
            }
        }
        for (zone, uuid) in network.hosts {
            if !asked.contains(&zone) {
                mark.hosts.entry(zone).or_insert(uuid);
            }
        }
    }
    Agreed { mark, mistaken }
}

impl Libvirt {
    /// The combined information of all reachable hosts about the cluster's network.
    pub(crate) async fn agreed(&self, cluster: &str, hosts: &[&Host]) -> Result<Agreed> {
        let attempt = Attempt::new(
            "read",
            format!("the records of network {}", network_name(cluster)),
        );
        let seen = hosts.iter().map(async |host| {
            let machines = self.machines_on(host, &attempt).await?;
            let networks = self.networks_on(host, &attempt).await?;
            let mut network = networks.into_iter().map(|(_, mark)| mark);
            let machines = machines.into_iter();
            Ok(Said {
                zones: host.zones.clone(),
                uuid: self.uuid_of(host, &attempt).await?,
                machines: machines
                    .filter(|found| found.mark.cluster == cluster)
                    .map(|found| (found.mark.zone, found.mark.address))
                    .collect(),
                network: network.find(|mark| mark.cluster == cluster),
            })
        });
        let seen = of_those_that_answer(join_all(seen).await)?;
        Ok(agree(cluster, seen))
    }

    /// A host's UUID, if its libvirt reports one.
    pub(crate) async fn uuid_of(&self, host: &Host, attempt: &Attempt) -> Result<Option<String>> {
        let capabilities = host.capabilities(attempt).await?;
        host_uuid(&capabilities).map_err(|fault| attempt.failed(&fault))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn mark(known: &[&str], hosts: &[(&str, &str)]) -> NetworkMark {
        let address = Ipv4Addr::new(192, 168, 77, 3);
        let own = |(zone, uuid): &(&str, &str)| ((*zone).to_owned(), (*uuid).to_owned());
        NetworkMark {
            cluster: "kubernetes".into(),
            endpoint: None,
            known: known
                .iter()
                .map(|zone| ((*zone).to_owned(), [address].into()))
                .collect(),
            hosts: hosts.iter().map(own).collect(),
        }
    }

    fn host(zone: &str, uuid: &str, has: &[&str], network: Option<&NetworkMark>) -> Said {
        let address = Ipv4Addr::new(192, 168, 77, 3);
        Said {
            zones: vec![zone.to_owned()],
            uuid: (!uuid.is_empty()).then(|| uuid.to_owned()),
            machines: has
                .iter()
                .map(|zone| ((*zone).to_owned(), address))
                .collect(),
            network: network.cloned(),
        }
    }

    #[test]
    fn a_zone_is_mistaken_if_its_uri_leads_to_another_host() {
        let both = mark(&["a", "b"], &[("a", "A"), ("b", "B")]);
        let both = Some(&both);
        let before_uuids = mark(&["a", "b"], &[]);
        let before_uuids = Some(&before_uuids);
        let without_machines = mark(&["a"], &[("a", "A"), ("b", "B")]);
        let without_machines = Some(&without_machines);
        let a = |network| host("a", "A", &["a"], network);
        let table = [
            (
                "all is correct",
                vec![a(both), host("b", "B", &["b"], both)],
                vec![],
            ),
            (
                "another host",
                vec![a(both), host("b", "X", &[], None)],
                vec!["b"],
            ),
            (
                "a's host given twice",
                vec![a(both), host("b", "A", &["a"], both)],
                vec!["b"],
            ),
            (
                "swapped hosts",
                vec![host("a", "B", &["b"], both), host("b", "A", &["a"], both)],
                vec!["a", "b"],
            ),
            (
                "emptied by `down`",
                vec![a(both), host("b", "B", &[], None)],
                vec![],
            ),
            (
                "a UUID that changes",
                vec![a(both), host("b", "X", &["b"], both)],
                vec![],
            ),
            (
                "the same without machines",
                vec![a(both), host("b", "X", &[], both)],
                vec![],
            ),
            (
                "no UUID at all",
                vec![a(both), host("b", "", &[], None)],
                vec![],
            ),
            (
                "a new zone",
                vec![a(both), host("c", "X", &[], None)],
                vec![],
            ),
            (
                "a zone without machines",
                vec![a(without_machines), host("b", "X", &[], None)],
                vec![],
            ),
            (
                "no records",
                vec![a(before_uuids), host("b", "X", &[], None)],
                vec![],
            ),
            ("no resources", vec![host("b", "X", &[], None)], vec![]),
        ];
        for (what, said, expected) in table {
            let zones: Vec<String> = mistaken(&said).into_keys().collect();
            assert_eq!(zones, expected, "{what}");
        }
    }

    #[test]
    fn a_zones_record_survives_another_host_at_its_uri() {
        let both = mark(&["a", "b"], &[("a", "A"), ("b", "B")]);
        let wrong = [
            host("a", "A", &["a"], Some(&both)),
            host("b", "X", &[], None),
        ];
        assert_eq!(agree("kubernetes", wrong.into()).mark, both);
    }
}
