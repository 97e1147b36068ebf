//! What remains of a cluster when an unfinished operation is dropped.

use super::{EtcdView, Intent, MemberRole, MemberView, NodeGroupIntent, Observed, ReplicaIntent};
use crate::error::{Error, Result};

/// What remains when an unfinished operation is dropped: the replicas from before it that aren't gone yet, and those that
/// it added and that are healthy; and as many nodes as before it.
///
/// # Errors
/// Refused: it is the cluster's first `up`, or etcd can't be asked which replicas are healthy.
pub fn abandoned(
    intent: &Intent,
    observed: &Observed,
    previous: &[ReplicaIntent],
    previous_nodes: Option<&[NodeGroupIntent]>,
) -> Result<Intent> {
    let cluster = &intent.spec.cluster;
    if !intent.formed {
        return Err(Error::refused(format!(
            "cluster {cluster} isn't there yet, so nothing of it can be kept"
        ))
        .hint("to finish it: hakube up; to give it up: hakube down"));
    }
    if let EtcdView::Unknown { why } = &observed.etcd {
        return Err(Error::refused(
            "could not ask etcd which replicas are healthy, so none is given up",
        )
        .because(why)
        .hint("see which machines run: hakube status"));
    }
    let is_gone = |replica: &&ReplicaIntent| {
        observed.etcd.member(&replica.name).is_none()
            && observed.inventory.machine(&replica.name).is_none()
            && !observed.is_hidden(intent, &replica.name)
    };
    let is_healthy = |replica: &&ReplicaIntent| {
        let member = observed.etcd.member(&replica.name);
        let votes = |member: &MemberView| member.healthy && member.role != MemberRole::Learner;
        member.is_some_and(votes) && observed.api_ready(&replica.name)
    };
    let mut next = intent.clone();
    next.replicas = previous
        .iter()
        .filter(|replica| !is_gone(replica))
        .cloned()
        .collect();
    let added = intent
        .replicas
        .iter()
        .filter(|replica| previous.iter().all(|before| before.name != replica.name));
    next.replicas.extend(added.filter(is_healthy).cloned());
    if let Some(nodes) = previous_nodes {
        next.nodes = nodes.to_vec();
    }
    if next.replicas.is_empty() {
        return Err(Error::refused(format!(
            "without what is unfinished cluster {cluster} has no replica"
        ))
        .hint("to finish it: hakube reconcile; to give the cluster up: hakube down"));
    }
    Ok(next)
}
