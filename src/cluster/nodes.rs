//! Where nodes go: the edits that commands make, and the groups that they come in.

use super::edit::check_known_zone;
use super::{Intent, NodeGroupIntent, Zones};
use crate::error::{Error, Result};

#[cfg(test)]
mod tests;

/// A group of nodes as the provider makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeGroupPart {
    /// Its name.
    pub name: String,
    /// Its zone.
    pub zone: String,
    /// How many nodes it has.
    pub size: u32,
}

impl Intent {
    /// The nodes of all zones in groups, none larger than MAX_INSTANCES_PER_MIG. All but a zone's last
    /// are full, so that scaling changes or removes the last, and no other.
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

    /// The same cluster with its nodes spread over these zones, if it may be in several.
    pub fn with_nodes_spread(mut self, zones: &[String]) -> Self {
        if self.spec.multizone {
            let mut zones = zones.to_vec();
            let home = self.spec.zone.name();
            zones.sort_by_key(|zone| (zone != home, zone.clone()));
            self.nodes = spread(self.node_count(), &zones);
        }
        self
    }
}

/// `count` nodes over the zones, as evenly as can be, the first zones getting what is left over.
fn spread(count: u32, zones: &[String]) -> Vec<NodeGroupIntent> {
    let among = u32::try_from(zones.len()).unwrap_or(u32::MAX).max(1);
    let (each, over) = (count / among, count % among);
    (0..)
        .zip(zones)
        .map(|(number, zone)| NodeGroupIntent {
            zone: zone.clone(),
            size: each + u32::from(number < over),
        })
        .filter(|group| group.size > 0)
        .collect()
}

/// `count` nodes: in the zone that was asked for, or in all of the cluster's together, evenly.
///
/// # Errors
/// A zone that won't do, or more nodes than the cluster has addresses for (bad input).
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
        None if intent.nodes.is_empty() => {
            let home = vec![intent.spec.zone.name().to_owned()];
            next.nodes = spread(count, &home);
            next = next.with_nodes_spread(&zones.up);
        }
        None => {
            let known: Vec<String> = intent
                .nodes
                .iter()
                .map(|group| group.zone.clone())
                .collect();
            next.nodes = spread(count, &known);
        }
    }
    check_room(&next)?;
    Ok(next)
}

/// `count` nodes in a zone that has none. Asked for again, nothing changes.
///
/// # Errors
/// A zone that won't do, or that has another number of nodes.
pub fn add_nodes(intent: &Intent, zones: &Zones, count: u32) -> Result<Intent> {
    let home = intent.spec.zone.name();
    let zone = zones.asked.as_deref().unwrap_or(home);
    match intent.nodes.iter().find(|group| group.zone == zone) {
        Some(group) if group.size == count => Ok(intent.clone()),
        Some(group) => Err(Error::refused(format!(
            "zone {zone} has {} nodes of cluster {}, and {count} were asked for",
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
            "cluster {} was made without MULTIZONE=true, so all its nodes are in {}",
            spec.cluster,
            spec.zone.name()
        ))
        .hint("name that zone, or make the cluster anew: MULTIZONE=true hakube up"));
    }
    Ok(())
}

/// Each node has a range of pods' addresses of its own.
fn check_room(intent: &Intent) -> Result<()> {
    let network = &intent.spec.network;
    let (count, room) = (intent.node_count(), network.nodes_at_most());
    if u128::from(count) > room {
        return Err(Error::bad_input(format!(
            "cluster {} has addresses for the pods of {room} nodes, and {count} were asked for",
            intent.spec.cluster
        ))
        .because(format!("CLUSTER_IP_RANGE is {}", network.cluster_range))
        .hint("the range can't be changed later: make a cluster with a larger one"));
    }
    Ok(())
}
