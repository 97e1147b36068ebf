//! Rebuilds the intent from the cluster when the stored one is wrong or lost.

use super::{EtcdView, Intent, MemberRole, NodeGroupIntent, Observed, Phase, ReplicaIntent};
use hakube_error::{Error, Result};

/// The last known intent, with the replicas and nodes that exist.
///
/// A known replica is kept while any part of it exists, or may exist in an unreachable place. An unknown one is
/// added if its member votes.
///
/// # Errors
/// Refused: etcd's members can't be listed.
pub fn rebuilt(known: &Intent, observed: &Observed) -> Result<Intent> {
    let cluster = &known.spec.cluster;
    let members = match &observed.etcd {
        EtcdView::Known(members) if !members.is_empty() => members,
        EtcdView::Unknown { why } => {
            return Err(Error::refused(format!(
                "could not list the etcd members of cluster {cluster}; the intent is unchanged"
            ))
            .because(why)
            .hint("check which machines are running: hakube status"));
        }
        EtcdView::Known(_) | EtcdView::Absent => {
            return Err(Error::refused(format!(
                "cluster {cluster} has no resources to rebuild its intent from"
            ))
            .hint("to create it: hakube up"));
        }
    };
    let inventory = &observed.inventory;
    let exists = |replica: &&ReplicaIntent| {
        let name = &replica.name;
        let is_member = observed.etcd.member(name).is_some();
        is_member || inventory.machine(name).is_some() || observed.is_hidden(known, name)
    };
    let mut next = known.clone();
    next.replicas = known.replicas.iter().filter(exists).cloned().collect();
    for member in members {
        let machine = inventory.machine(&member.name);
        let votes = member.role != MemberRole::Learner;
        if let Some(machine) = machine.filter(|_| votes && next.replica(&member.name).is_none()) {
            next.replicas.push(ReplicaIntent {
                name: machine.name.clone(),
                zone: machine.zone.clone(),
            });
        }
    }
    let groups = inventory.node_groups.iter().map(|group| NodeGroupIntent {
        zone: group.zone.clone(),
        size: group.size,
    });
    let hidden = known.nodes.iter();
    let hidden = hidden.filter(|group| inventory.unreachable.contains_key(&group.zone));
    let mut nodes: Vec<NodeGroupIntent> = hidden.cloned().collect();
    for group in groups {
        match nodes.iter_mut().find(|known| known.zone == group.zone) {
            Some(known) => known.size += group.size,
            None => nodes.push(group),
        }
    }
    next.nodes = nodes;
    next.phase = Phase::Present;
    next.formed = true;
    next.joining.clear();
    Ok(next)
}
