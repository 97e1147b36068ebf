//! Placement of nodes: the edits of commands, and the groups that nodes are in.

use super::edit::check_known_zone;
use super::{Intent, NodeGroupIntent, Zones};
use crate::HostRole;
use hakube_error::{Error, Result};
use std::collections::BTreeSet;

/// A group of nodes, as the provider creates it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeGroupPart {
    /// The group's name.
    pub name: String,
    /// Its zone.
    pub zone: String,
    /// Its number of nodes.
    pub size: u32,
}

impl Intent {
    /// The nodes of all zones in groups of at most MAX_INSTANCES_PER_MIG. All but a zone's last are full, so
    /// scaling only changes the last.
    pub fn node_groups(&self) -> Vec<NodeGroupPart> {
        let largest = self.spec.node_machines.largest_group.max(1);
        let parts = |group: &NodeGroupIntent| -> Vec<NodeGroupPart> {
            (0..group.size.div_ceil(largest))
                .map(|number| NodeGroupPart {
                    name: self.spec.names.node_group(&group.zone, number),
                    zone: group.zone.clone(),
                    size: largest.min(group.size - number * largest),
                })
                .collect()
        };
        self.nodes.iter().flat_map(parts).collect()
    }

    /// Spreads the cluster's nodes over these zones, if it may be in several.
    pub fn with_nodes_spread(mut self, zones: &[String]) -> Self {
        self.nodes = self.nodes_spread(self.node_count(), zones);
        self
    }

    /// Spreads `count` nodes over these zones if the cluster may be in several, or else puts them in its own zone. The
    /// first zone gets the remainder.
    fn nodes_spread(&self, count: u32, zones: &[String]) -> Vec<NodeGroupIntent> {
        let home = self.spec.zone.name();
        let mut zones = if self.spec.multizone {
            zones.to_vec()
        } else {
            vec![home.to_owned()]
        };
        zones.sort_by_key(|zone| (zone != home, zone.clone()));
        let room: Vec<Option<u32>> = zones.iter().map(|zone| self.node_room(zone)).collect();
        let sizes = spread(count, &room);
        let groups = zones.into_iter().zip(sizes);
        groups
            .filter(|(_, size)| *size > 0)
            .map(|(zone, size)| NodeGroupIntent { zone, size })
            .collect()
    }

    /// The number of nodes that a zone has hosts for. `None`: the provider creates machines.
    fn node_room(&self, zone: &str) -> Option<u32> {
        let hosts = &self.spec.hosts.as_ref()?.hosts;
        let may_be_node = hosts.iter().filter(|host| {
            host.zone.name() == zone
                && host.role != HostRole::Replica
                && self.replica(&host.name).is_none()
        });
        Some(u32::try_from(may_be_node.count()).unwrap_or(u32::MAX))
    }
}

/// Spreads `count` nodes evenly over zones with this much room: each goes to the first of the zones with the fewest. If
/// no zone has room it is spread anyway, and the provider reports the shortage.
fn spread(count: u32, room: &[Option<u32>]) -> Vec<u32> {
    let mut sizes = vec![0; room.len()];
    for _ in 0..count {
        let has_room = |index: &usize| room[*index].is_none_or(|room| sizes[*index] < room);
        let fewest = |candidates: &mut dyn Iterator<Item = usize>| {
            candidates.min_by_key(|index: &usize| sizes[*index])
        };
        let all = 0..sizes.len();
        let chosen = fewest(&mut all.clone().filter(has_room)).or(fewest(&mut all.clone()));
        if let Some(chosen) = chosen {
            sizes[chosen] += 1;
        }
    }
    sizes
}

/// Scales to `count` nodes: in the requested zone, or spread over all zones as `up` does.
///
/// # Errors
/// The zone isn't valid, or the cluster has too few addresses (bad input).
pub fn scale_nodes(intent: &Intent, zones: &Zones, count: u32) -> Result<Intent> {
    let mut next = intent.clone();
    match &zones.asked {
        Some(zone) => {
            check_zone(intent, zone, zones)?;
            next.nodes.retain(|group| group.zone != *zone);
            if count > 0 {
                next.nodes.push(NodeGroupIntent {
                    zone: zone.clone(),
                    size: count,
                });
            }
        }
        None => {
            // A zone that is down keeps its share: its nodes may only be unreachable.
            let known = intent.nodes.iter().map(|group| &group.zone);
            let all: BTreeSet<&String> = zones.up.iter().chain(known).collect();
            let all: Vec<String> = all.into_iter().cloned().collect();
            next.nodes = intent.nodes_spread(count, &all);
        }
    }
    check_room(&next)?;
    Ok(next)
}

/// Adds `count` nodes in a zone that has none. Repeated, it changes nothing.
///
/// # Errors
/// The zone isn't valid, or has another number of nodes.
pub fn add_nodes(intent: &Intent, zones: &Zones, count: u32) -> Result<Intent> {
    let home = intent.spec.zone.name();
    let zone = zones.asked.as_deref().unwrap_or(home);
    match intent.nodes.iter().find(|group| group.zone == zone) {
        Some(group) if group.size == count => Ok(intent.clone()),
        Some(group) => Err(Error::refused(format!(
            "zone {zone} already has {} nodes of cluster {}, not {count}",
            group.size, intent.spec.cluster
        ))
        .hint(format!(
            "to change their number: hakube nodes scale {count} --zone {zone}"
        ))),
        None => {
            let asked = Zones {
                asked: Some(zone.to_owned()),
                up: zones.up.clone(),
                free: None,
            };
            scale_nodes(intent, &asked, count)
        }
    }
}

fn check_zone(intent: &Intent, zone: &str, zones: &Zones) -> Result<()> {
    let spec = &intent.spec;
    check_known_zone(intent, zone, &zones.up)?;
    let is_new = intent.nodes.iter().all(|group| group.zone != zone) && zone != spec.zone.name();
    if is_new && !spec.multizone {
        return Err(Error::refused(format!(
            "cluster {} was created without MULTIZONE=true, so all its nodes are in {}",
            spec.cluster,
            spec.zone.name()
        ))
        .hint("use that zone, or recreate the cluster: MULTIZONE=true hakube up"));
    }
    Ok(())
}

/// Checks that there is an address range for each node's pods.
fn check_room(intent: &Intent) -> Result<()> {
    let network = &intent.spec.network;
    let (count, room) = (intent.node_count(), network.nodes_at_most());
    if u128::from(count) > room {
        return Err(Error::bad_input(format!(
            "cluster {} has pod address ranges for {room} nodes, but {count} were requested",
            intent.spec.cluster
        ))
        .because(format!("CLUSTER_IP_RANGE is {}", network.cluster_range))
        .hint("the range can't be changed later; create a cluster with a larger one"));
    }
    Ok(())
}
